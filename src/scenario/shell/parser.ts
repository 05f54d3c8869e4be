/**
 * The shell's grammar (POSIX XCU 2.10): command text to syntax tree. Reserved words are only known where a command may
 * begin. Words are read by `word-reader.ts`.
 */
import type { AndOr, Assignment, Command, Pipeline, Redirect, Script, Word } from "./ast.ts";
import { ShellSyntaxError } from "./syntax-error.ts";
import { WordReader } from "./word-reader.ts";

const RESERVED = new Set([
  "if",
  "then",
  "else",
  "elif",
  "fi",
  "for",
  "while",
  "until",
  "do",
  "done",
  "{",
  "}",
  "!",
]);
const ASSIGNMENT = /^[A-Za-z_][A-Za-z0-9_]*=/;

/** Parses a command line or script. Throws {@link ShellSyntaxError} with the offset of the trouble. */
export function parseShell(text: string): Script {
  const parser = new Parser(text);
  const script = parser.script([]);
  parser.expectEnd();
  return script;
}

class Parser {
  private readonly reader: WordReader;

  constructor(text: string) {
    this.reader = new WordReader(text, parseShell);
  }

  expectEnd(): void {
    this.reader.skipBlank(true);
    if (!this.reader.atEnd()) this.unexpected();
  }

  /** Lists up to the end or one of the reserved words (or `)`) in `until`. */
  script(until: readonly string[]): Script {
    const lists: AndOr[] = [];
    for (;;) {
      this.reader.skipBlank(true);
      if (this.reader.atEnd() || until.includes(this.peekToken())) return { lists };
      lists.push(this.andOr());
    }
  }

  private andOr(): AndOr {
    const items: { when: "always" | "success" | "failure"; pipeline: Pipeline }[] = [];
    let when: "always" | "success" | "failure" = "always";
    for (;;) {
      items.push({ when, pipeline: this.pipeline() });
      this.reader.skipBlank(false);
      if (this.reader.take("&&")) when = "success";
      else if (this.reader.take("||")) when = "failure";
      else break;
      this.reader.skipBlank(true);
    }
    const background = this.reader.startsWith("&") && !this.reader.startsWith("&&") && this.reader.take("&");
    if (!background && !this.reader.startsWith(";;")) this.reader.take(";");
    return { items, background };
  }

  private pipeline(): Pipeline {
    let negated = false;
    this.reader.skipBlank(false);
    while (this.peekToken() === "!") {
      this.takeToken("!");
      negated = !negated;
    }
    const commands: Command[] = [this.command()];
    for (;;) {
      this.reader.skipBlank(false);
      if (this.reader.startsWith("||") || !this.reader.take("|")) return { commands, negated };
      this.reader.skipBlank(true);
      commands.push(this.command());
    }
  }

  private command(): Command {
    this.reader.skipBlank(false);
    switch (this.peekToken()) {
      case "for":
        return this.forCommand();
      case "while":
      case "until":
        return this.whileCommand();
      case "if":
        return this.ifCommand();
      case "{":
        return this.group("{", "}");
      case "(":
        return this.group("(", ")");
      default:
        return this.simple();
    }
  }

  private forCommand(): Command {
    this.takeToken("for");
    this.reader.skipBlank(false);
    const name = this.reader.takePattern(/^[A-Za-z_][A-Za-z0-9_]*/);
    if (name === null) this.unexpected();
    this.reader.skipBlank(true);
    const words: Word[] = [];
    if (this.peekToken() === "in") {
      this.takeToken("in");
      for (;;) {
        this.reader.skipBlank(false);
        const word = this.reader.word();
        if (word === null) break;
        words.push(word);
      }
    }
    this.separator();
    const body = this.body("do", ["done"]);
    this.takeToken("done");
    return { kind: "for", name: name!, words, body, redirects: this.redirects() };
  }

  private whileCommand(): Command {
    const until = this.peekToken() === "until";
    this.takeToken(until ? "until" : "while");
    const condition = this.body(null, ["do"]);
    const body = this.body("do", ["done"]);
    this.takeToken("done");
    return { kind: "while", until, condition, body, redirects: this.redirects() };
  }

  private ifCommand(): Command {
    const branches: { condition: Script; body: Script }[] = [];
    let otherwise: Script | null = null;
    this.takeToken("if");
    for (;;) {
      const condition = this.body(null, ["then"]);
      branches.push({ condition, body: this.body("then", ["elif", "else", "fi"]) });
      if (this.peekToken() !== "elif") break;
      this.takeToken("elif");
    }
    if (this.peekToken() === "else") otherwise = this.body("else", ["fi"]);
    this.takeToken("fi");
    return { kind: "if", branches, otherwise, redirects: this.redirects() };
  }

  private group(open: string, close: string): Command {
    this.takeToken(open);
    const body = this.body(null, [close]);
    this.takeToken(close);
    return { kind: "group", subshell: open === "(", body, redirects: this.redirects() };
  }

  /** A script that must not be empty, after the word `open`, before one of `until`. */
  private body(open: string | null, until: readonly string[]): Script {
    if (open !== null) {
      this.reader.skipBlank(true);
      this.takeToken(open);
    }
    const script = this.script(until);
    if (this.reader.atEnd()) this.endOfFile();
    if (script.lists.length === 0) this.unexpected();
    return script;
  }

  private simple(): Command {
    const assignments: Assignment[] = [];
    const words: Word[] = [];
    const redirects: Redirect[] = [];
    if (RESERVED.has(this.peekToken())) this.unexpected();
    for (;;) {
      this.reader.skipBlank(false);
      const redirect = this.reader.redirect();
      if (redirect !== null) {
        redirects.push(redirect);
        continue;
      }
      const assignment = words.length === 0 ? this.assignment() : null;
      if (assignment !== null) {
        assignments.push(assignment);
        continue;
      }
      const word = this.reader.word();
      if (word === null) break;
      words.push(word);
    }
    if (words.length + assignments.length + redirects.length === 0) this.unexpected();
    return { kind: "simple", assignments, words, redirects };
  }

  private assignment(): Assignment | null {
    const head = this.reader.takePattern(ASSIGNMENT);
    if (head === null) return null;
    const offset = this.reader.offset;
    return { name: head.slice(0, -1), value: this.reader.word() ?? { parts: [], offset } };
  }

  private redirects(): Redirect[] {
    const found: Redirect[] = [];
    for (;;) {
      this.reader.skipBlank(false);
      const redirect = this.reader.redirect();
      if (redirect === null) return found;
      found.push(redirect);
    }
  }

  private separator(): void {
    this.reader.skipBlank(false);
    if (!this.reader.take(";") && !this.reader.startsWith("\n")) this.unexpected();
    this.reader.skipBlank(true);
  }

  /** The bare word or operator at the reader, "" at the end. */
  private peekToken(): string {
    return this.reader.peekToken();
  }

  private takeToken(token: string): void {
    this.reader.skipBlank(true);
    if (this.peekToken() !== token) {
      if (this.reader.atEnd()) this.endOfFile();
      this.unexpected();
    }
    this.reader.take(token);
  }

  private unexpected(): never {
    const token = this.peekToken();
    if (token === "") this.endOfFile();
    const shown = token === "\n" ? "newline" : token;
    throw new ShellSyntaxError(`syntax error near unexpected token \`${shown}'`, this.reader.offset);
  }

  private endOfFile(): never {
    throw new ShellSyntaxError("syntax error: unexpected end of file", this.reader.offset);
  }
}
