/**
 * Words of the shell (POSIX XCU 2.2 quoting, 2.3 token recognition, 2.6 expansions): reads characters and gives words as
 * parts that are expanded when the command runs. `${…}` is read by `parameter-reader.ts`, redirections by
 * `redirect-reader.ts`.
 */
import type { Redirect, Script, Word, WordPart } from "./ast.ts";
import { bracedParameter } from "./parameter-reader.ts";
import { ShellSyntaxError } from "./syntax-error.ts";
import { unescapeText } from "./text/printf.ts";

export const META = " \t\n;&|<>()";
const OPERATORS = ["&&", "||", ";;&", ";;", ";&", "<<<", "<<", ">>", "\n", ";", "&", "|", "<", ">", "(", ")"];
const NAME = /[A-Za-z_][A-Za-z0-9_]*|[0-9?!$#@*-]/y;
const TOKEN = /[^ \t\n;&|<>()]*/y;

/** Reads scripts inside words. */
export interface ScriptReader {
  /** The script from the reader's place up to `)`, which is not taken. */
  inside(reader: WordReader): Script;
  whole(text: string): Script;
}

export class WordReader {
  offset = 0;
  readonly text: string;
  private readonly scripts: ScriptReader;
  /** A here-document whose end has not come. */
  hereOpen = false;
  /** Here-documents whose text begins behind the present line. */
  private pending: { redirect: Redirect; end: string; tabs: boolean; quoted: boolean }[] = [];

  constructor(text: string, scripts: ScriptReader) {
    this.text = text;
    this.scripts = scripts;
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

  /** `pattern` is sticky. */
  takePattern(pattern: RegExp): string | null {
    pattern.lastIndex = this.offset;
    const found = pattern.exec(this.text);
    if (found === null) return null;
    this.offset += found[0].length;
    return found[0];
  }

  /** The line of the reader, from 1. */
  line(): number {
    let line = 1;
    for (let i = this.text.indexOf("\n"); i >= 0 && i < this.offset; i = this.text.indexOf("\n", i + 1))
      line++;
    return line;
  }

  /** Skips blanks, joined lines and comments, and line ends where `lines` says so. Tells whether a line ended. */
  skipBlank(lines: boolean): boolean {
    let ended = false;
    for (;;) {
      const c = this.text[this.offset];
      if (c === " " || c === "\t") this.offset++;
      else if (c === "\n" && lines) {
        this.newline();
        ended = true;
      } else if (c === "\\" && this.text[this.offset + 1] === "\n") this.offset += 2;
      else if (c === "#" && (this.offset === 0 || META.includes(this.text[this.offset - 1])))
        this.offset = this.indexOrEnd("\n");
      else return ended;
    }
  }

  /** Takes a line end and the here-documents that begin behind it. */
  newline(): void {
    this.offset++;
    const { pending } = this;
    this.pending = [];
    for (const { redirect, end, tabs, quoted } of pending) {
      let body = "";
      this.hereOpen = true;
      while (!this.atEnd()) {
        const to = this.indexOrEnd("\n");
        let line = this.text.slice(this.offset, to);
        this.offset = Math.min(to + 1, this.text.length);
        if (tabs) line = line.replace(/^\t+/, "");
        if (line === end) {
          this.hereOpen = false;
          break;
        }
        body += `${line}\n`;
      }
      redirect.target = quoted ? literalWord(body, this.offset) : this.hereWord(body);
    }
  }

  get expectsHere(): boolean {
    return this.hereOpen || this.pending.length > 0;
  }

  expectHere(redirect: Redirect, end: string, tabs: boolean, quoted: boolean): void {
    this.pending.push({ redirect, end, tabs, quoted });
  }

  /** The operator or bare word that stands here, without taking it. */
  peekToken(): string {
    for (const operator of OPERATORS) if (this.startsWith(operator)) return operator;
    TOKEN.lastIndex = this.offset;
    return TOKEN.exec(this.text)![0];
  }

  /** The word that stands here, null when there is none. */
  word(): Word | null {
    const offset = this.offset;
    const parts = this.parts(META, false);
    return this.offset === offset ? null : { parts, offset };
  }

  /** A word up to one of the characters of `until`, which is not taken; `quoted`: it stands in double quotes. */
  wordUntil(until: string, quoted: boolean, singleQuotes = true): Word {
    const offset = this.offset;
    return { parts: this.parts(until, quoted, singleQuotes), offset };
  }

  /** Arithmetic up to `end`, which is taken: parentheses count, quotes mean nothing. */
  arithmeticUntil(end: string): Word {
    const start = this.offset;
    const parts: WordPart[] = [];
    let depth = 0;
    let text = "";
    while (depth > 0 || !this.startsWith(end)) {
      const c = this.text[this.offset];
      if (c === undefined) this.unmatched(end[0], start);
      if (c === "(" || c === "[") depth++;
      if ((c === ")" || c === "]") && depth > 0) depth--;
      if (c === "$" || c === "`") {
        parts.push({ kind: "text", text, quoted: true });
        text = "";
        this.dollar(parts, true);
        continue;
      }
      if (c !== '"') text += c;
      this.offset++;
    }
    parts.push({ kind: "text", text, quoted: true });
    this.offset += end.length;
    return { parts, offset: start };
  }

  private parts(until: string, quoted: boolean, singleQuotes = true): WordPart[] {
    const parts: WordPart[] = [];
    while (!this.atEnd()) {
      const c = this.text[this.offset];
      const next = this.text[this.offset + 1];
      if (until === META && (c === "<" || c === ">") && next === "(") this.process(parts);
      else if (until.includes(c)) break;
      else if (c === "'" && singleQuotes) this.singleQuoted(parts);
      else if (c === '"') this.doubleQuoted(parts);
      else if (c === "\\") this.escaped(parts, quoted);
      else if (c === "$" && next === "'" && !quoted) this.ansiQuoted(parts);
      else if (c === "$" || c === "`") this.dollar(parts, quoted);
      else this.plain(parts, `${until}${singleQuotes ? "'" : ""}"\\$\``, quoted);
    }
    return parts;
  }

  private plain(parts: WordPart[], stop: string, quoted: boolean): void {
    const start = this.offset++;
    while (!this.atEnd() && !stop.includes(this.text[this.offset])) this.offset++;
    parts.push({ kind: "text", text: this.text.slice(start, this.offset), quoted });
  }

  private escaped(parts: WordPart[], quoted: boolean): void {
    const next = this.text[this.offset + 1];
    this.offset += 2;
    if (next === "\n") return;
    const kept = quoted && next !== undefined && !'"\\$`}'.includes(next);
    if (next !== undefined) parts.push({ kind: "text", text: kept ? `\\${next}` : next, quoted: true });
    else parts.push({ kind: "text", text: "\\", quoted: true });
  }

  private singleQuoted(parts: WordPart[]): void {
    const end = this.text.indexOf("'", this.offset + 1);
    if (end < 0) this.unmatched("'", this.offset);
    parts.push({ kind: "text", text: this.text.slice(this.offset + 1, end), quoted: true });
    this.offset = end + 1;
  }

  /** `$'…'` */
  private ansiQuoted(parts: WordPart[]): void {
    const start = this.offset;
    this.offset += 2;
    let text = "";
    while (!this.startsWith("'")) {
      if (this.atEnd()) this.unmatched("'", start);
      const length = this.startsWith("\\") ? 2 : 1;
      text += this.text.slice(this.offset, this.offset + length);
      this.offset += length;
    }
    this.offset++;
    parts.push({ kind: "text", text: unescapeText(text.replaceAll("\\'", "'")), quoted: true });
  }

  private doubleQuoted(parts: WordPart[]): void {
    const start = this.offset++;
    const before = parts.length;
    this.quotedText(parts, '"', start);
    this.offset++;
    if (parts.length === before) parts.push({ kind: "text", text: "", quoted: true });
  }

  /** Text in which only `$`, backquotes and backslashes mean something, up to `end` or the end of the text. */
  private quotedText(parts: WordPart[], end: string, start: number): void {
    let text = "";
    const flush = (): void => {
      if (text !== "") parts.push({ kind: "text", text, quoted: true });
      text = "";
    };
    for (;;) {
      const c = this.text[this.offset];
      if (c === undefined && end !== "") this.unmatched(end, start);
      if (c === undefined || c === end) break;
      if (c === "\\") {
        const next = this.text[this.offset + 1] ?? "";
        this.offset += 2;
        const special = next !== "" && (next === '"' ? end === '"' : "\\$`".includes(next));
        text += special ? next : next === "\n" ? "" : `\\${next}`;
      } else if (c === "$" || c === "`") {
        flush();
        this.dollar(parts, true);
      } else {
        text += c;
        this.offset++;
      }
    }
    flush();
  }

  private hereWord(body: string): Word {
    const inner = new WordReader(body, this.scripts);
    const parts: WordPart[] = [];
    inner.quotedText(parts, "", 0);
    return { parts, offset: this.offset };
  }

  private dollar(parts: WordPart[], quoted: boolean): void {
    const start = this.offset;
    if (this.take("`")) {
      this.backquoted(parts, quoted, start);
      return;
    }
    this.offset++;
    if (this.startsWith("((") && this.tryArithmetic(parts, quoted)) return;
    if (this.take("(")) {
      parts.push({ kind: "command", script: this.inside(), quoted });
    } else if (this.take("{")) parts.push(bracedParameter(this, quoted));
    else {
      const name = this.takePattern(NAME);
      if (name === null) parts.push({ kind: "text", text: this.text.slice(start, this.offset), quoted });
      else
        parts.push({
          kind: "parameter",
          name,
          index: null,
          op: "",
          operand: null,
          second: null,
          indirect: false,
          quoted,
        });
    }
  }

  /** `$((…))`; false where it turns out to be `$( (…) …)`. */
  private tryArithmetic(parts: WordPart[], quoted: boolean): boolean {
    const start = this.offset;
    this.offset += 2;
    try {
      parts.push({ kind: "arithmetic", text: this.arithmeticUntil("))"), quoted });
      return true;
    } catch (error) {
      if (!(error instanceof ShellSyntaxError)) throw error;
      this.offset = start;
      return false;
    }
  }

  private backquoted(parts: WordPart[], quoted: boolean, start: number): void {
    let text = "";
    while (!this.take("`")) {
      if (this.atEnd()) this.unmatched("`", start);
      const next = this.text[this.offset + 1] ?? "";
      const escaped =
        this.startsWith("\\") && next !== "" && ("\\$`".includes(next) || (quoted && next === '"'));
      text += escaped ? next : this.text[this.offset];
      this.offset += escaped ? 2 : 1;
    }
    parts.push({ kind: "command", script: this.scripts.whole(text), quoted });
  }

  private process(parts: WordPart[]): void {
    const reads = this.text[this.offset] === ">";
    this.offset += 2;
    parts.push({ kind: "process", reads, script: this.inside(), quoted: false });
  }

  /** The script in parentheses whose opening one was just taken; takes the closing one. */
  private inside(): Script {
    const start = this.offset;
    let script: Script;
    try {
      script = this.scripts.inside(this);
    } catch (error) {
      if (!(error instanceof ShellSyntaxError) || !error.message.includes("EOF")) throw error;
      return this.unmatched(")", start);
    }
    if (!this.take(")")) this.unmatched(")", start);
    return script;
  }

  private indexOrEnd(text: string): number {
    const i = this.text.indexOf(text, this.offset);
    return i < 0 ? this.text.length : i;
  }

  unmatched(quote: string, offset: number): never {
    throw new ShellSyntaxError(`unexpected EOF while looking for matching \`${quote}'`, offset);
  }
}

export function literalWord(text: string, offset: number): Word {
  return { parts: [{ kind: "text", text, quoted: true }], offset };
}
