/** Word expansion (POSIX XCU 2.6): parameters, command substitution, arithmetic, field splitting, quote removal. */
import type { Co } from "../../host/process.ts";
import { UsageError } from "../../util/errors.ts";
import { arithmetic } from "./arithmetic.ts";
import type { Script, Word, WordPart } from "./ast.ts";
import type { ShellState } from "./state.ts";

/** Runs a command substitution and gives its output. */
export type Substitute = (script: Script) => Co<string>;

/** Value of a parameter; undefined when it is not set. */
export function parameter(name: string, state: ShellState, pid: number): string | undefined {
  if (name === "?") return String(state.status);
  if (name === "!") return state.lastJob === 0 ? "" : String(state.lastJob);
  if (name === "$") return String(pid);
  if (name === "#") return String(state.positional.length - 1);
  if (name === "@" || name === "*") return state.positional.slice(1).join(" ");
  if (/^\d$/.test(name)) return state.positional[Number(name)];
  return state.variables.get(name);
}

/** A glob as a regular expression, for `${NAME%PATTERN}`. */
const glob = (pattern: string) =>
  pattern
    .replace(/[.+^${}()|\\]/g, "\\$&")
    .replace(/\*/g, "[\\s\\S]*")
    .replace(/\?/g, "[\\s\\S]");

function strip(value: string, op: string, pattern: string): string {
  const fromEnd = op.startsWith("%");
  const longest = op.length === 2;
  const lengths = Array.from({ length: value.length + 1 }, (_, i) => (longest ? value.length - i : i));
  const regex = new RegExp(`^${glob(pattern)}$`);
  for (const length of lengths) {
    const part = fromEnd ? value.slice(value.length - length) : value.slice(0, length);
    if (regex.test(part)) return fromEnd ? value.slice(0, value.length - length) : value.slice(length);
  }
  return value;
}

export class Expander {
  private readonly state: ShellState;
  private readonly pid: number;
  private readonly substitute: Substitute;

  constructor(state: ShellState, pid: number, substitute: Substitute) {
    this.state = state;
    this.pid = pid;
    this.substitute = substitute;
  }

  /** Words after splitting: one word may become none or several. */
  *words(words: readonly Word[]): Co<string[]> {
    const out: string[] = [];
    for (const word of words) out.push(...(yield* this.fields(word)));
    return out;
  }

  /** One word without splitting: assignments, file names. */
  *text(word: Word): Co<string> {
    let out = "";
    for (const part of word.parts) out += yield* this.part(part);
    return out;
  }

  private *fields(word: Word): Co<string[]> {
    const fields: string[] = [];
    let current: string | null = null;
    for (const part of word.parts) {
      const text = yield* this.part(part);
      if (part.kind === "text" || part.kind === "arithmetic" || part.quoted) {
        current = (current ?? "") + text;
        continue;
      }
      const pieces = text.split(/[ \t\n]+/);
      current = pieces[0] === "" && current === null ? null : (current ?? "") + pieces[0];
      for (const piece of pieces.slice(1)) {
        if (current !== null) fields.push(current);
        current = piece === "" ? null : piece;
      }
    }
    if (current !== null) fields.push(current);
    return fields.flatMap((field) => (isBraces(word) ? braces(field) : [field]));
  }

  private *part(part: WordPart): Co<string> {
    if (part.kind === "text") return part.text;
    if (part.kind === "command") return (yield* this.substitute(part.script)).replace(/\n+$/, "");
    if (part.kind === "arithmetic")
      return String(arithmetic(part.text, (name) => this.state.variables.get(name) ?? "0"));
    return this.variable(part);
  }

  private variable(part: Extract<WordPart, { kind: "variable" }>): string {
    const value = parameter(part.name, this.state, this.pid);
    const empty = value === undefined || value === "";
    switch (part.op) {
      case "":
        return value ?? "";
      case "length":
        return String((value ?? "").length);
      case "-":
        return value ?? part.operand;
      case ":-":
        return empty ? part.operand : value;
      case ":=":
        if (empty) this.state.variables.set(part.name, part.operand);
        return empty ? part.operand : value;
      case ":+":
        return empty ? "" : part.operand;
      default:
        if (part.operand === "")
          throw new UsageError(`bash: \${${part.name}${part.op}}: bad substitution`, 1);
        return strip(value ?? "", part.op, part.operand);
    }
  }
}

/** Brace expansion is for words written without quotes or expansions. */
function isBraces(word: Word): boolean {
  return word.parts.every((part) => part.kind === "text" && !part.quoted);
}

/** `a{1..3}` and `a{x,y}` (bash brace expansion). */
function braces(text: string): string[] {
  const found = /^(.*?)\{([^{}]*)\}(.*)$/.exec(text);
  if (found === null) return [text];
  const range = /^(-?\d+)\.\.(-?\d+)$/.exec(found[2]);
  if (range === null && !found[2].includes(",")) return [text];
  let items = found[2].split(",");
  if (range !== null) {
    const [from, to] = [Number(range[1]), Number(range[2])];
    items = Array.from({ length: Math.abs(to - from) + 1 }, (_, i) =>
      String(from <= to ? from + i : from - i),
    );
  }
  return items.flatMap((item) => braces(`${found[1]}${item}${found[3]}`));
}
