/**
 * Words of the shell (POSIX XCU 2.2 quoting, 2.3 token recognition, 2.6 expansions, 2.7 redirection): reads characters
 * and gives words as parts that are expanded when the command runs.
 */
import type { Redirect, Script, Word, WordPart } from "./ast.ts";
import { ShellSyntaxError } from "./syntax-error.ts";

const META = " \t\n;&|<>()";
const OPERATORS = ["&&", "||", ";;", "<<<", "<<", ">>", "\n", ";", "&", "|", "<", ">", "(", ")"];
const NAME = /^(?:[A-Za-z_][A-Za-z0-9_]*|[0-9?!$#@*])/;
const BRACED = /^([A-Za-z_][A-Za-z0-9_]*|[0-9?!$#@*])(:-|:=|:\+|-|%%|%|##|#)?/;
const REDIRECT = /^([012])?(>>|>&|&>|<<<|>|<)/;

export class WordReader {
  offset = 0;
  private readonly text: string;
  private readonly parse: (text: string) => Script;

  /** `parse` reads the inside of `$(…)`. */
  constructor(text: string, parse: (text: string) => Script) {
    this.text = text;
    this.parse = parse;
  }

  atEnd(): boolean {
    return this.offset >= this.text.length;
  }

  startsWith(token: string): boolean {
    return this.text.startsWith(token, this.offset);
  }

  take(token: string): boolean {
    if (!this.startsWith(token)) return false;
    this.offset += token.length;
    return true;
  }

  takePattern(pattern: RegExp): string | null {
    const found = pattern.exec(this.text.slice(this.offset));
    if (found === null) return null;
    this.offset += found[0].length;
    return found[0];
  }

  /** Skips blanks, joined lines and comments, and line ends where `lines` says so. */
  skipBlank(lines: boolean): void {
    for (;;) {
      const c = this.text[this.offset];
      if (c === " " || c === "\t" || (lines && c === "\n")) this.offset++;
      else if (c === "\\" && this.text[this.offset + 1] === "\n") this.offset += 2;
      else if (c === "#" && (this.offset === 0 || META.includes(this.text[this.offset - 1])))
        this.offset = this.indexOrEnd("\n");
      else return;
    }
  }

  /** The operator or bare word that stands here, without taking it. */
  peekToken(): string {
    for (const operator of OPERATORS) if (this.startsWith(operator)) return operator;
    let end = this.offset;
    while (end < this.text.length && !META.includes(this.text[end])) end++;
    return this.text.slice(this.offset, end);
  }

  /** The word that stands here, null when there is none. */
  word(): Word | null {
    const offset = this.offset;
    const parts: WordPart[] = [];
    while (!this.atEnd() && !META.includes(this.text[this.offset])) this.part(parts);
    return this.offset === offset ? null : { parts, offset };
  }

  redirect(): Redirect | null {
    const found = REDIRECT.exec(this.text.slice(this.offset));
    if (found === null || this.text.startsWith("<<", this.offset) !== (found[2] === "<<<")) return null;
    this.offset += found[0].length;
    const operator = found[2];
    const fd = (found[1] !== undefined ? Number(found[1]) : operator.startsWith("<") ? 0 : 1) as 0 | 1 | 2;
    if (operator === ">&") {
      const from = this.takePattern(/^[12]/);
      if (from === null)
        throw new ShellSyntaxError("syntax error: a descriptor (1 or 2) must follow >&", this.offset);
      return { fd, kind: "dup", target: null, from: Number(from) as 1 | 2 };
    }
    this.skipBlank(false);
    const target = this.word();
    if (target === null) {
      const token = this.peekToken();
      const shown = token === "" || token === "\n" ? "newline" : token;
      throw new ShellSyntaxError(`syntax error near unexpected token \`${shown}'`, this.offset);
    }
    if (operator === "&>") return { fd: 1, kind: "write", target, from: 2 };
    const kind =
      operator === "<" ? "read" : operator === "<<<" ? "here" : operator === ">>" ? "append" : "write";
    return { fd, kind, target, from: fd };
  }

  private part(parts: WordPart[]): void {
    const c = this.text[this.offset];
    if (c === "'") this.singleQuoted(parts);
    else if (c === '"') this.doubleQuoted(parts);
    else if (c === "\\") this.escaped(parts);
    else if (c === "$" || c === "`") this.dollar(parts, false);
    else this.plain(parts);
  }

  private plain(parts: WordPart[]): void {
    const start = this.offset;
    while (!this.atEnd() && !`${META}'"\\$\``.includes(this.text[this.offset])) this.offset++;
    parts.push({ kind: "text", text: this.text.slice(start, this.offset), quoted: false });
  }

  private escaped(parts: WordPart[]): void {
    const next = this.text[this.offset + 1];
    this.offset += 2;
    if (next !== undefined && next !== "\n") parts.push({ kind: "text", text: next, quoted: true });
  }

  private singleQuoted(parts: WordPart[]): void {
    const end = this.text.indexOf("'", this.offset + 1);
    if (end < 0) this.unmatched("'");
    parts.push({ kind: "text", text: this.text.slice(this.offset + 1, end), quoted: true });
    this.offset = end + 1;
  }

  private doubleQuoted(parts: WordPart[]): void {
    const start = this.offset++;
    let text = "";
    parts.push({ kind: "text", text: "", quoted: true });
    for (;;) {
      const c = this.text[this.offset];
      if (c === undefined) {
        this.offset = start;
        this.unmatched('"');
      }
      if (c === '"') break;
      if (c === "\\") {
        const next = this.text[this.offset + 1] ?? "";
        this.offset += 2;
        text += '"\\$`'.includes(next) ? next : next === "\n" ? "" : `\\${next}`;
      } else if (c === "$" || c === "`") {
        parts.push({ kind: "text", text, quoted: true });
        text = "";
        this.dollar(parts, true);
      } else {
        text += c;
        this.offset++;
      }
    }
    this.offset++;
    parts.push({ kind: "text", text, quoted: true });
  }

  private dollar(parts: WordPart[], quoted: boolean): void {
    const start = this.offset;
    if (this.take("`")) {
      const end = this.text.indexOf("`", this.offset);
      if (end < 0) this.unmatched("`");
      parts.push({ kind: "command", script: this.inner(this.offset, end), quoted });
      this.offset = end + 1;
      return;
    }
    this.offset++;
    if (this.startsWith("((")) {
      const end = this.text.indexOf("))", this.offset);
      if (end < 0) this.unmatched(")");
      parts.push({ kind: "arithmetic", text: this.text.slice(this.offset + 2, end) });
      this.offset = end + 2;
    } else if (this.take("(")) {
      const end = this.closingParenthesis();
      parts.push({ kind: "command", script: this.inner(this.offset, end), quoted });
      this.offset = end + 1;
    } else if (this.take("{")) this.braced(parts, quoted);
    else {
      const name = this.takePattern(NAME);
      if (name !== null) parts.push({ kind: "variable", name, op: "", operand: "", quoted });
      else parts.push({ kind: "text", text: this.text.slice(start, this.offset), quoted });
    }
  }

  private braced(parts: WordPart[], quoted: boolean): void {
    const end = this.text.indexOf("}", this.offset);
    if (end < 0) this.unmatched("}");
    const inside = this.text.slice(this.offset, end);
    const lengthOf = /^#([A-Za-z_][A-Za-z0-9_]*)$/.exec(inside);
    const found = BRACED.exec(inside);
    if (lengthOf !== null)
      parts.push({ kind: "variable", name: lengthOf[1], op: "length", operand: "", quoted });
    else if (found !== null && (found[2] !== undefined || found[0].length === inside.length)) {
      const op = (found[2] ?? "") as ":-";
      parts.push({ kind: "variable", name: found[1], op, operand: inside.slice(found[0].length), quoted });
    } else throw new ShellSyntaxError(`\${${inside}}: bad substitution`, this.offset);
    this.offset = end + 1;
  }

  private inner(start: number, end: number): Script {
    try {
      return this.parse(this.text.slice(start, end));
    } catch (error) {
      if (!(error instanceof ShellSyntaxError)) throw error;
      throw new ShellSyntaxError(error.message.replace(/^bash: /, ""), start + error.offset);
    }
  }

  /** Offset of the `)` that closes a `$(` before the reader: quotes and nested parentheses are stepped over. */
  private closingParenthesis(): number {
    let depth = 1;
    for (let i = this.offset; i < this.text.length; i++) {
      const c = this.text[i];
      if (c === "\\") i++;
      else if (c === "'" || c === '"') {
        i++;
        while (i < this.text.length && this.text[i] !== c) i += c === '"' && this.text[i] === "\\" ? 2 : 1;
      } else if (c === "(") depth++;
      else if (c === ")" && --depth === 0) return i;
    }
    return this.unmatched(")");
  }

  private indexOrEnd(text: string): number {
    const i = this.text.indexOf(text, this.offset);
    return i < 0 ? this.text.length : i;
  }

  private unmatched(quote: string): never {
    throw new ShellSyntaxError(`unexpected EOF while looking for matching \`${quote}'`, this.offset);
  }
}
