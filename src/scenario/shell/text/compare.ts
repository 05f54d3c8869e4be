/** cmp, diff (diffutils 3.8), expr, dd and truncate-like helpers of coreutils 9.1 that scripts check results with. */
import { NotModelledError, SysError, UsageError } from "../../../util/errors.ts";
import { posixRegex } from "./regex.ts";
import { getopt, linesOf, output, type Utility, type UtilityContext } from "./utility.ts";

function readOr(context: UtilityContext, name: string, command: string): string {
  if (name === "-") return context.stdin;
  try {
    return context.read(name);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new UsageError(`${command}: ${name}: No such file or directory`, 2);
  }
}

export const cmp: Utility = (argv, context) => {
  const { flags, operands } = getopt("cmp", argv, "sbl", "n", { "--silent": "s", "--quiet": "s" });
  const [a, b = "-"] = operands;
  const [left, right] = [readOr(context, a, "cmp"), readOr(context, b, "cmp")];
  if (left === right) return output("");
  const quiet = flags.has("s");
  const shorter = Math.min(left.length, right.length);
  let at = 0;
  while (at < shorter && left[at] === right[at]) at++;
  const line = left.slice(0, at).split("\n").length;
  if (at < shorter) return output(quiet ? "" : `${a} ${b} differ: byte ${at + 1}, line ${line}\n`, 1);
  const short = left.length < right.length ? a : b;
  const where =
    at === 0
      ? " which is empty"
      : ` after byte ${at}, ${left[at - 1] === "\n" ? "" : "in "}line ${line - Number(left[at - 1] === "\n")}`;
  return output("", 1, quiet ? "" : `cmp: EOF on ${short}${where}\n`);
};

/** The longest common subsequence, as pairs of indices. */
function common(a: readonly string[], b: readonly string[]): [number, number][] {
  const table = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      table[i][j] = a[i] === b[j] ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
  const pairs: [number, number][] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; )
    if (a[i] === b[j]) pairs.push([i++, j++]);
    else if (table[i + 1][j] >= table[i][j + 1]) i++;
    else j++;
  return pairs;
}

export const diff: Utility = (argv, context) => {
  const { flags, operands } = getopt("diff", argv, "qsbBwuN", "", { "--brief": "q" });
  if (flags.has("u")) throw new NotModelledError("diff -u");
  const [first, second] = operands;
  if (second === undefined)
    throw new UsageError("diff: missing operand\ndiff: Try 'diff --help' for more information.", 2);
  const space = (text: string) =>
    flags.has("w")
      ? text.replace(/[ \t]+/g, "")
      : flags.has("b")
        ? text.replace(/[ \t]+/g, " ").trimEnd()
        : text;
  const [a, b] = [linesOf(readOr(context, first, "diff")), linesOf(readOr(context, second, "diff"))];
  const pairs = common(a.map(space), b.map(space));
  let text = "";
  let [i, j] = [0, 0];
  for (const [x, y] of [...pairs, [a.length, b.length] as [number, number]]) {
    if (x > i || y > j) text += hunk(a.slice(i, x), b.slice(j, y), i, j);
    [i, j] = [x + 1, y + 1];
  }
  if (text === "") return output("");
  return output(flags.has("q") ? `Files ${first} and ${second} differ\n` : text, 1);
};

function hunk(old: readonly string[], fresh: readonly string[], i: number, j: number): string {
  const range = (from: number, count: number) =>
    count === 0 ? `${from}` : count === 1 ? `${from + 1}` : `${from + 1},${from + count}`;
  const verb = old.length === 0 ? "a" : fresh.length === 0 ? "d" : "c";
  const head = `${range(i, old.length)}${verb}${range(j, fresh.length)}\n`;
  const middle = verb === "c" ? "---\n" : "";
  return (
    head + old.map((line) => `< ${line}\n`).join("") + middle + fresh.map((line) => `> ${line}\n`).join("")
  );
}

const UNITS: Record<string, number> = {
  "": 1,
  c: 1,
  w: 2,
  b: 512,
  k: 1024,
  K: 1024,
  kB: 1000,
  M: 1 << 20,
  MB: 1e6,
};

function size(text: string): number {
  const found = /^(\d+)([A-Za-z]*)$/.exec(text);
  const unit = found === null ? undefined : UNITS[found[2]];
  if (found === null || unit === undefined) throw new UsageError(`dd: invalid number: ‘${text}’`, 1);
  return Number(found[1]) * unit;
}

export const dd: Utility = (argv, context) => {
  const words = new Map(argv.map((word) => [word.replace(/=.*/s, ""), word.replace(/^[^=]*=?/s, "")]));
  for (const key of words.keys())
    if (!["if", "of", "bs", "ibs", "obs", "count", "skip", "status", "conv", "iflag", "oflag"].includes(key))
      throw new UsageError(`dd: unrecognized operand ‘${key}’\nTry 'dd --help' for more information.`, 1);
  const block = size(words.get("bs") ?? words.get("ibs") ?? "512");
  const from = size(words.get("skip") ?? "0") * block;
  const source = words.has("if") ? context.read(words.get("if")!) : context.stdin;
  const endless = /^\/dev\/(?:zero|u?random)$/.test(words.get("if") ?? "");
  const count = words.has("count") ? size(words.get("count")!) * block : source.length;
  const have = endless ? source.repeat(Math.ceil((from + count) / source.length)) : source;
  const text = have.slice(from, from + count);
  const target = words.get("of");
  if (target !== undefined) context.write(target, text);
  const [full, part] = [Math.floor(text.length / block), Number(text.length % block > 0)];
  const told =
    words.get("status") === "none" ? "" : `${full}+${part} records in\n${full}+${part} records out\n`;
  return output(target === undefined ? text : "", 0, told);
};

/** expr: `|`, `&`, comparisons, sums, products, `:`, and its words. */
class Expr {
  private at = 0;
  private readonly words: readonly string[];

  constructor(words: readonly string[]) {
    this.words = words;
  }

  whole(): string {
    const value = this.or();
    if (this.at < this.words.length) this.fail(`unexpected argument ‘${this.words[this.at]}’`);
    return value;
  }

  private or(): string {
    let left = this.and();
    while (this.take("|")) {
      const right = this.and();
      left = isNull(left) ? (isNull(right) ? "0" : right) : left;
    }
    return left;
  }

  private and(): string {
    let left = this.comparison();
    while (this.take("&")) left = isNull(this.comparison()) || isNull(left) ? "0" : left;
    return left;
  }

  private comparison(): string {
    let left = this.sum();
    for (;;) {
      const op = ["=", "==", "!=", "<", "<=", ">", ">="].find((word) => this.take(word));
      if (op === undefined) return left;
      const right = this.sum();
      const numbers = isNumber(left) && isNumber(right);
      const order = numbers ? Number(left) - Number(right) : left < right ? -1 : Number(left > right);
      left = String(
        Number(
          {
            "=": order === 0,
            "==": order === 0,
            "!=": order !== 0,
            "<": order < 0,
            "<=": order <= 0,
            ">": order > 0,
            ">=": order >= 0,
          }[op],
        ),
      );
    }
  }

  private sum(): string {
    let left = this.product();
    for (;;) {
      if (this.take("+")) left = String(number(left) + number(this.product()));
      else if (this.take("-")) left = String(number(left) - number(this.product()));
      else return left;
    }
  }

  private product(): string {
    let left = this.match();
    for (;;) {
      const op = ["*", "/", "%"].find((word) => this.take(word));
      if (op === undefined) return left;
      const [a, b] = [number(left), number(this.match())];
      if (op !== "*" && b === 0n) throw new UsageError("expr: division by zero", 2);
      left = String(op === "*" ? a * b : op === "/" ? a / b : a % b);
    }
  }

  private match(): string {
    let left = this.primary();
    while (this.take(":")) left = matched(left, this.primary());
    return left;
  }

  private primary(): string {
    const word = this.words[this.at++];
    if (word === undefined)
      throw new UsageError(`expr: syntax error: missing argument after ‘${this.words.at(-1) ?? ""}’`, 2);
    if (word === "(") {
      const value = this.or();
      if (!this.take(")")) this.fail("expecting ‘)’");
      return value;
    }
    if (word === "length" && this.at < this.words.length) return String(this.primary().length);
    if (word === "match" && this.at + 1 < this.words.length) return matched(this.primary(), this.primary());
    if (word === "substr" && this.at + 2 < this.words.length) {
      const [text, from, count] = [this.primary(), Number(this.primary()), Number(this.primary())];
      return from > 0 && count > 0 ? text.slice(from - 1, from - 1 + count) : "";
    }
    return word;
  }

  private take(word: string): boolean {
    if (this.words[this.at] !== word) return false;
    this.at++;
    return true;
  }

  private fail(what: string): never {
    throw new UsageError(`expr: syntax error: ${what}`, 2);
  }
}

const isNull = (text: string) => text === "" || /^-?0+$/.test(text);
const isNumber = (text: string) => /^-?\d+$/.test(text);

function number(text: string): bigint {
  if (!isNumber(text)) throw new UsageError("expr: non-integer argument", 2);
  return BigInt(text);
}

function matched(text: string, pattern: string): string {
  const found = new RegExp(`^(?:${posixRegex("expr", pattern, false, "").source})`).exec(text);
  if (/\\\(/.test(pattern)) return found?.[1] ?? "";
  return String(found?.[0].length ?? 0);
}

export const expr: Utility = (argv) => {
  if (argv.length === 0)
    throw new UsageError("expr: missing operand\nTry 'expr --help' for more information.", 2);
  const value = new Expr(argv).whole();
  return output(`${value}\n`, isNull(value) ? 1 : 0);
};
