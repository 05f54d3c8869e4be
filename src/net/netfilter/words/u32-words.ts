/** The expression language of the u32 match (libxt_u32.c): tests joined by `&&`, each `LOCATION = VALUE[,VALUE...]`. */

import type { U32Match, U32Test } from "../rule-spec.ts";
import type { Extension } from "./extension.ts";
import { hex, problem } from "./extension.ts";

const MAX_TESTS = 10;

type Operator = "" | "&" | "<<" | ">>" | "@";

class U32Parser {
  private readonly text: string;
  private at = 0;

  constructor(text: string) {
    this.text = text;
  }

  tests(): U32Test[] {
    const tests: U32Test[] = [];
    for (;;) {
      if (tests.length === MAX_TESTS) this.fail(`too many "&&"s`);
      tests.push({ location: this.location(), values: this.values() });
      this.space();
      if (this.at >= this.text.length) return tests;
      if (!this.skip("&&")) this.fail('"&&" expected');
    }
  }

  private location(): U32Test["location"] {
    const steps: { op: Operator; value: number }[] = [{ op: "", value: this.number() }];
    for (;;) {
      this.space();
      if (this.skip("=")) return steps;
      if (this.at >= this.text.length) problem("u32: abrupt end of input after location specifier");
      const op = (["<<", ">>", "@", "&"] as const).find((word) => this.skip(word));
      if (op === undefined) this.fail("operator expected");
      steps.push({ op: op!, value: this.number() });
    }
  }

  private values(): [number, number][] {
    const values: [number, number][] = [];
    do {
      const low = this.number();
      this.space();
      values.push([low, this.skip(":") ? this.number() : low]);
      this.space();
    } while (this.skip(","));
    return values;
  }

  private number(): number {
    this.space();
    const found = /^(0[xX][0-9a-fA-F]+|[0-9]+)/.exec(this.text.slice(this.at));
    const octal = found !== null && /^0[0-7]+$/.test(found[0]);
    const value = found === null ? -1 : octal ? Number.parseInt(found[0], 8) : Number(found[0]);
    if (value < 0 || value > 0xffffffff) this.fail("not a number or out of range");
    this.at += found![0].length;
    return value;
  }

  private space(): void {
    while (this.text[this.at] === " " || this.text[this.at] === "\t" || this.text[this.at] === "\n")
      this.at++;
  }

  private skip(word: string): boolean {
    if (!this.text.startsWith(word, this.at)) return false;
    this.at += word.length;
    return true;
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
