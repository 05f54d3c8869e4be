/**
 * The shell's grammar (POSIX XCU 2.10 with bash's compound commands): command text to syntax tree. Reserved words are
 * only known where a command may begin. Words are read by `word-reader.ts`, simple commands by `simple-reader.ts`.
 */
import type { AndOr, CaseBranch, Command, Pipeline, Redirect, Script, Word } from "./ast.ts";
import { readCondition } from "./condition-reader.ts";
import { readRedirect } from "./redirect-reader.ts";
import { readSimple } from "./simple-reader.ts";
import { ShellSyntaxError } from "./syntax-error.ts";
import { type ScriptReader, WordReader } from "./word-reader.ts";

const RESERVED: ReadonlySet<string> = new Set(
  "if then else elif fi for while until do done case esac { } ! [[ function".split(" "),
);
const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
const FUNCTION_NAME = /[A-Za-z_][A-Za-z0-9_.:-]*(?=[ \t]*\([ \t]*\))/y;

/** Parses a command line or script. Throws {@link ShellSyntaxError} with the offset of the trouble. */
export function parseShell(text: string): Script {
  const parser = new Parser(new WordReader(text, SCRIPTS));
  const script = parser.script([]);
  parser.expectEnd();
  return script;
}

/** Whether a command goes on on the next line: an open quote, compound command, here-document or joined line. */
export function goesOn(text: string): boolean {
  if (/(?:^|[^\\])(?:\\\\)*\\$/.test(text)) return true;
  const reader = new WordReader(`${text}\n`, SCRIPTS);
  try {
    const parser = new Parser(reader);
    parser.script([]);
    parser.expectEnd();
    return reader.expectsHere;
  } catch (error) {
    if (!(error instanceof ShellSyntaxError)) throw error;
    return reader.expectsHere || /unexpected (?:EOF|end of file)/.test(error.message);
  }
}

const SCRIPTS: ScriptReader = {
  inside: (reader) => new Parser(reader).script([")"]),
  whole: parseShell,
};

class Parser {
  private readonly reader: WordReader;

  constructor(reader: WordReader) {
    this.reader = reader;
  }

  expectEnd(): void {
    this.reader.skipBlank(true);
    if (!this.reader.atEnd()) this.unexpected();
  }

  /** Lists up to the end or one of the reserved words or operators in `until`. */
  script(until: readonly string[]): Script {
    const lists: AndOr[] = [];
    let lines = false;
    for (;;) {
      const ended = this.reader.skipBlank(true);
      if (this.reader.atEnd() || until.includes(this.peekToken())) return { lists, lines };
      lines ||= ended && lists.length > 0;
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
    if (!background && !this.reader.startsWith(";;") && !this.reader.startsWith(";&")) this.reader.take(";");
    return { items, background };
  }

  private pipeline(): Pipeline {
    let negated = false;
    this.reader.skipBlank(false);
    while (this.peekToken() === "!") {
      this.takeToken("!");
      negated = !negated;
      this.reader.skipBlank(false);
    }
    const commands: Command[] = [this.command()];
    for (;;) {
      this.reader.skipBlank(false);
      if (this.reader.startsWith("||") || !this.reader.take("|")) return { commands, negated };
      if (this.reader.take("&")) commands.push(withErrors(commands.pop()!));
      this.reader.skipBlank(true);
      commands.push(this.command());
    }
  }

  private command(): Command {
    this.reader.skipBlank(false);
    if (this.reader.startsWith("((")) {
      const arithmetic = this.arithmetic();
      if (arithmetic !== null) return arithmetic;
    }
    switch (this.peekToken()) {
      case "for":
        return this.forCommand();
      case "while":
      case "until":
        return this.whileCommand();
      case "if":
        return this.ifCommand();
      case "case":
        return this.caseCommand();
      case "[[":
        return this.conditionCommand();
      case "function":
        return this.functionCommand();
      case "{":
        return this.group("{", "}");
      case "(":
        return this.group("(", ")");
      default:
        return this.functionOrSimple();
    }
  }

  /** `((…))`; null where it turns out to be two subshells. */
  private arithmetic(): Command | null {
    const start = this.reader.offset;
    this.reader.offset += 2;
    try {
      const text = this.reader.arithmeticUntil("))");
      return { kind: "arithmetic", text, redirects: this.redirects() };
    } catch (error) {
      if (!(error instanceof ShellSyntaxError)) throw error;
      this.reader.offset = start;
      return null;
    }
  }

  private forCommand(): Command {
    this.takeToken("for");
    this.reader.skipBlank(false);
    if (this.reader.take("((")) return this.cFor();
    const name = this.reader.takePattern(NAME);
    if (name === null) return this.unexpected();
    this.reader.skipBlank(true);
    let words: Word[] | null = null;
    if (this.peekToken() === "in") {
      this.takeToken("in");
      words = this.words();
      this.separator();
    } else this.reader.take(";");
    return { kind: "for", name, words, body: this.loopBody(), redirects: this.redirects() };
  }

  private cFor(): Command {
    const start = this.reader.arithmeticUntil(";");
    const test = this.reader.arithmeticUntil(";");
    const step = this.reader.arithmeticUntil("))");
    this.reader.skipBlank(false);
    this.reader.take(";");
    return { kind: "cfor", start, test, step, body: this.loopBody(), redirects: this.redirects() };
  }

  private words(): Word[] {
    const words: Word[] = [];
    for (;;) {
      this.reader.skipBlank(false);
      const word = this.reader.word();
      if (word === null) return words;
      words.push(word);
    }
  }

  private loopBody(): Script {
    const body = this.body("do", ["done"]);
    this.takeToken("done");
    return body;
  }

  private whileCommand(): Command {
    const until = this.peekToken() === "until";
    this.takeToken(until ? "until" : "while");
    const condition = this.body(null, ["do"]);
    return { kind: "while", until, condition, body: this.loopBody(), redirects: this.redirects() };
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

  private caseCommand(): Command {
    this.takeToken("case");
    this.reader.skipBlank(false);
    const word = this.reader.word() ?? this.unexpected();
    this.takeToken("in");
    const branches: CaseBranch[] = [];
    for (;;) {
      this.reader.skipBlank(true);
      if (this.peekToken() === "esac") break;
      if (this.reader.atEnd()) this.endOfFile();
      branches.push(this.caseBranch());
    }
    this.takeToken("esac");
    return { kind: "case", word, branches, redirects: this.redirects() };
  }

  private caseBranch(): CaseBranch {
    this.reader.take("(");
    const patterns: Word[] = [];
    do {
      this.reader.skipBlank(false);
      patterns.push(this.reader.word() ?? this.unexpected());
      this.reader.skipBlank(false);
    } while (this.reader.take("|"));
    this.takeToken(")");
    const body = this.script([";;", ";&", ";;&", "esac"]);
    const end = ([";;&", ";;", ";&"] as const).find((token) => this.reader.take(token)) ?? ";;";
    return { patterns, body, end };
  }

  private conditionCommand(): Command {
    this.takeToken("[[");
    const test = readCondition(this.reader);
    return { kind: "condition", test, redirects: this.redirects() };
  }

  private functionCommand(): Command {
    this.takeToken("function");
    this.reader.skipBlank(false);
    const name = this.reader.takePattern(/[^ \t\n;&|<>()]+/y) ?? this.unexpected();
    this.reader.skipBlank(false);
    this.reader.takePattern(/\([ \t]*\)/y);
    this.reader.skipBlank(true);
    return { kind: "function", name, body: this.command(), redirects: [] };
  }

  private functionOrSimple(): Command {
    const name = this.reader.takePattern(FUNCTION_NAME);
    if (name !== null) {
      this.reader.takePattern(/[ \t]*\([ \t]*\)/y);
      this.reader.skipBlank(true);
      return { kind: "function", name, body: this.command(), redirects: [] };
    }
    if (RESERVED.has(this.peekToken())) this.unexpected();
    return readSimple(this.reader) ?? this.unexpected();
  }

  private group(open: string, close: string): Command {
    this.takeToken(open);
    const body = this.body(null, [close]);
    this.takeToken(close);
    return { kind: "group", subshell: open === "(", body, redirects: this.redirects() };
  }

  /** A script that must not be empty, after the word `open`, before one of `until`. */
  private body(open: string | null, until: readonly string[]): Script {
    if (open !== null) this.takeToken(open);
    const script = this.script(until);
    if (this.reader.atEnd()) this.endOfFile();
    if (script.lists.length === 0) this.unexpected();
    return script;
  }

  private redirects(): Redirect[] {
    const found: Redirect[] = [];
    for (;;) {
      this.reader.skipBlank(false);
      const redirect = readRedirect(this.reader);
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
    if (this.peekToken() !== token && !(token === ")" && this.reader.startsWith(")"))) {
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

/** The command of `COMMAND |& …`: its errors go the same way. */
function withErrors(command: Command): Command {
  const target = { parts: [{ kind: "text" as const, text: "1", quoted: false }], offset: 0 };
  return { ...command, redirects: [...command.redirects, { fd: 2, kind: "dup", target }] };
}
