/** The expression language of the u32 match (libxt_u32.c): tests joined by `&&`, each `LOCATION = VALUE[,VALUE...]`. */

import type { U32Match, U32Test } from "../rule-spec.ts";
import { type Extension, hex, problem } from "./extension.ts";
import { leadingNumber } from "./names.ts";

/** Most tests of a match, steps of a location, values of a test (XT_U32_MAXSIZE). */
const MAX_SIZE = 10;

type Step = U32Test["location"][number];
type Operator = Step["op"];

class U32Parser {
  private readonly text: string;
  private at = 0;

  constructor(text: string) {
    this.text = text;
  }

  tests(): U32Test[] {
    const tests: U32Test[] = [];
    for (;;) {
      const location = this.location();
      const { values, more } = this.values();
      tests.push({ location, values });
      if (tests.length > MAX_SIZE || (more && tests.length === MAX_SIZE + 1)) this.fail('too many "&&"s');
      if (!more) return tests;
      this.at++;
    }
  }

  /** Numbers with operators between, up to `=`. */
  private location(): Step[] {
    const steps: Step[] = [];
    for (;;) {
      this.space();
      if (this.ended) problem("u32: abrupt end of input after location specifier");
      if (this.text[this.at] === "=") {
        if (steps.length === 0) this.fail("location spec missing");
        this.at++;
        return steps;
      }
      const op = steps.length === 0 ? "" : this.operator();
      steps.push({ op, value: this.number() });
      if (steps.length > MAX_SIZE) this.fail("too many operators");
    }
  }

  private operator(): Operator {
    const sign = this.text[this.at];
    if (sign === "&" || sign === "@") {
      this.at++;
      return sign;
    }
    if (sign !== "<" && sign !== ">") this.fail("operator expected");
    if (this.text[++this.at] !== sign) this.fail(`a second '${sign}' was expected`);
    this.at++;
    return sign === "<" ? "<<" : ">>";
  }

  /** Numbers and ranges by comma, up to `&&` or the end. */
  private values(): { values: [number, number][]; more: boolean } {
    const values: [number, number][] = [];
    for (;;) {
      this.space();
      if (this.ended) {
        if (values.length === 0) problem("u32: test ended with no value specified");
        return { values, more: false };
      }
      if (this.text[this.at] === "&") {
        if (this.text[++this.at] !== "&") this.fail("a second '&' was expected");
        if (values.length === 0) this.fail("value spec missing");
        return { values, more: true };
      }
      values.push(this.range(values.length > 0));
      if (values.length > MAX_SIZE) this.fail('too many ","s');
    }
  }

  private range(afterComma: boolean): [number, number] {
    if (afterComma) {
      if (this.text[this.at] !== ",") this.fail('expected "," or "&&"');
      this.at++;
    }
    const low = this.number();
    this.space();
    if (this.text[this.at] !== ":") return [low, low];
    this.at++;
    return [low, this.number()];
  }

  private number(): number {
    const found = leadingNumber(this.text.slice(this.at));
    if (found === null || found.value > 0xffffffff) return this.fail("not a number or out of range");
    this.at = this.text.length - found.rest.length;
    return found.value;
  }

  private get ended(): boolean {
    return this.at >= this.text.length;
  }

  private space(): void {
    while (/\s/.test(this.text[this.at] ?? "")) this.at++;
  }

  private fail(what: string): never {
    return problem(`u32: at char ${this.at}: ${what}`);
  }
}

export const U32: Extension<U32Match> = {
  name: "u32",
  options: [{ name: "u32", arg: true, invert: true, mandatory: true }],
  open: () => {
    let spec: U32Match = { name: "u32", tests: [], invert: false };
    return {
      take: (given) => {
        spec = { name: "u32", tests: new U32Parser(given.value).tests(), invert: given.invert };
      },
      finish: () => spec,
    };
  },
};

/** The expression as iptables writes it: all numbers hexadecimal, no spaces. */
export function u32Text(spec: U32Match): string {
  return spec.tests
    .map(({ location, values }) => {
      const steps = location.map(({ op, value }) => op + hex(value)).join("");
      const ranges = values.map(([low, high]) => (low === high ? hex(low) : `${hex(low)}:${hex(high)}`));
      return `${steps}=${ranges.join(",")}`;
    })
    .join("&&");
}
