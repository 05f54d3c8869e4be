/** test(1) and `[` (POSIX XCU, bash 5.2): by the number of words first, longer ones by precedence. */
import { SysError, UsageError } from "../../../util/errors.ts";
import type { FileKind } from "../files.ts";
import { output, type Utility } from "./utility.ts";

type Kind = (path: string) => FileKind | null;
type Read = (path: string) => string;

const ALWAYS_ON_FILES = "erwxOG";

/** A test of one word; null for an operator that is none. */
export function fileTest(op: string, word: string, kind: Kind, read: Read): boolean | null {
  switch (op) {
    case "-n":
      return word !== "";
    case "-z":
      return word === "";
    case "-f":
      return kind(word) === "file";
    case "-d":
      return kind(word) === "folder";
    case "-c":
      return kind(word) === "device";
    case "-s":
      return kind(word) === "folder" || (kind(word) === "file" && textOf(word, read) !== "");
    case "-t":
    case "-h":
    case "-L":
    case "-p":
    case "-S":
    case "-b":
    case "-u":
    case "-g":
    case "-k":
      return false;
    default:
      return op.length === 2 && op[0] === "-" && (ALWAYS_ON_FILES.includes(op[1]) || op[1] === "a")
        ? kind(word) !== null
        : null;
  }
}

function textOf(path: string, read: Read): string {
  try {
    return read(path);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return "";
  }
}

const NUMBERS: Record<string, (a: bigint, b: bigint) => boolean> = {
  "-eq": (a, b) => a === b,
  "-ne": (a, b) => a !== b,
  "-lt": (a, b) => a < b,
  "-le": (a, b) => a <= b,
  "-gt": (a, b) => a > b,
  "-ge": (a, b) => a >= b,
};
const TEXTS: Record<string, (a: string, b: string) => boolean> = {
  "=": (a, b) => a === b,
  "==": (a, b) => a === b,
  "!=": (a, b) => a !== b,
  "<": (a, b) => a < b,
  ">": (a, b) => a > b,
};
const isBinary = (op: string) => op in NUMBERS || op in TEXTS || op === "-a" || op === "-o";

class Test {
  private readonly name: string;
  private readonly words: readonly string[];
  private readonly kind: Kind;
  private readonly read: Read;
  private at = 0;

  constructor(name: string, words: readonly string[], kind: Kind, read: Read) {
    this.name = name;
    this.words = words;
    this.kind = kind;
    this.read = read;
  }

  whole(): boolean {
    const { words } = this;
    switch (words.length) {
      case 0:
        return false;
      case 1:
        return words[0] !== "";
      case 2:
        if (words[0] === "!") return words[1] === "";
        return this.unary(words[0], words[1]) ?? this.fail(`${words[0]}: unary operator expected`);
      case 3:
        if (isBinary(words[1])) return this.binary(words[0], words[1], words[2]);
        if (words[0] === "!") return !this.inner(words.slice(1));
        if (words[0] === "(" && words[2] === ")") return words[1] !== "";
        return this.fail(`${words[1]}: binary operator expected`);
      case 4:
        if (words[0] === "!") return !this.inner(words.slice(1));
        if (words[0] === "(" && words[3] === ")") return this.inner(words.slice(1, 3));
    }
    const value = this.either();
    if (this.at < words.length) this.fail("too many arguments");
    return value;
  }

  private inner(words: readonly string[]): boolean {
    return new Test(this.name, words, this.kind, this.read).whole();
  }

  private either(): boolean {
    let value = this.both();
    while (this.words[this.at] === "-o") {
      this.at++;
      const right = this.both();
      value ||= right;
    }
    return value;
  }

  private both(): boolean {
    let value = this.primary();
    while (this.words[this.at] === "-a") {
      this.at++;
      const right = this.primary();
      value &&= right;
    }
    return value;
  }

  private primary(): boolean {
    const { words, at } = this;
    if (at >= words.length) this.fail("argument expected");
    if (words[at] === "!") {
      this.at++;
      return !this.primary();
    }
    if (words[at] === "(") {
      this.at++;
      const value = this.either();
      if (words[this.at++] !== ")") this.fail("`)' expected");
      return value;
    }
    if (
      at + 2 < words.length &&
      isBinary(words[at + 1]) &&
      words[at + 1] !== "-a" &&
      words[at + 1] !== "-o"
    ) {
      this.at += 3;
      return this.binary(words[at], words[at + 1], words[at + 2]);
    }
    const unary = at + 1 < words.length ? this.unary(words[at], words[at + 1]) : null;
    this.at += unary === null ? 1 : 2;
    return unary ?? words[at] !== "";
  }

  private unary(op: string, word: string): boolean | null {
    return fileTest(op, word, this.kind, this.read);
  }

  private binary(a: string, op: string, b: string): boolean {
    if (op === "-a") return a !== "" && b !== "";
    if (op === "-o") return a !== "" || b !== "";
    return op in TEXTS ? TEXTS[op](a, b) : NUMBERS[op](this.number(a), this.number(b));
  }

  private number(text: string): bigint {
    if (!/^\s*[-+]?\d+\s*$/.test(text)) this.fail(`${text}: integer expression expected`);
    return BigInt(text.trim().replace("+", ""));
  }

  private fail(what: string): never {
    throw new UsageError(`bash: ${this.name}: ${what}`, 2);
  }
}

export const test: Utility = (argv, context) =>
  output("", new Test("test", argv, context.kind, context.read).whole() ? 0 : 1);

export const bracket: Utility = (argv, context) => {
  if (argv.at(-1) !== "]") throw new UsageError("bash: [: missing `]'", 2);
  return output("", new Test("[", argv.slice(0, -1), context.kind, context.read).whole() ? 0 : 1);
};
