/** The awk language as far as it is used on command output (POSIX awk grammar): patterns, print, printf, assignment, if. */
import { NotModelledError, UsageError } from "../../../util/errors.ts";
import { posixRegex } from "./regex.ts";

export type Expr =
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "regex"; readonly value: RegExp }
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "field"; readonly index: Expr }
  | { readonly kind: "element"; readonly name: string; readonly index: Expr }
  | { readonly kind: "unary"; readonly op: string; readonly operand: Expr }
  | { readonly kind: "binary"; readonly op: string; readonly left: Expr; readonly right: Expr }
  | { readonly kind: "assign"; readonly op: string; readonly target: Expr; readonly value: Expr }
  | { readonly kind: "step"; readonly target: Expr; readonly by: number; readonly prefix: boolean }
  | { readonly kind: "choice"; readonly test: Expr; readonly yes: Expr; readonly no: Expr }
  | { readonly kind: "call"; readonly name: string; readonly args: readonly Expr[] };

export type Statement =
  | { readonly kind: "print"; readonly format: boolean; readonly args: readonly Expr[] }
  | { readonly kind: "expr"; readonly expr: Expr }
  | { readonly kind: "if"; readonly test: Expr; readonly yes: Statement; readonly no: Statement | null }
  | { readonly kind: "each"; readonly name: string; readonly array: string; readonly body: Statement }
  | {
      readonly kind: "loop";
      readonly start: Expr | null;
      readonly test: Expr | null;
      readonly step: Expr | null;
      readonly body: Statement;
    }
  | { readonly kind: "block"; readonly body: readonly Statement[] }
  | { readonly kind: "next" }
  | { readonly kind: "exit"; readonly status: Expr | null };

export interface AwkRule {
  readonly when: "begin" | "end" | "line";
  readonly from: Expr | null;
  readonly to: Expr | null;
  readonly action: Statement | null;
  active: boolean;
}

interface Token {
  readonly kind: "number" | "string" | "regex" | "name" | "op" | "end";
  readonly text: string;
}

const OPERATOR = /^(?:&&|\|\||==|!=|<=|>=|\+\+|--|\+=|-=|\*=|\/=|%=|!~|[-+*/%<>=!~$(){}[\],;?:\n])/;
const LEVELS: readonly (readonly string[])[] = [
  ["||"],
  ["&&"],
  ["in"],
  ["~", "!~"],
  ["<", "<=", "==", "!=", ">", ">="],
];

function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  let rest = source;
  const take = (pattern: RegExp): string | null => {
    const found = pattern.exec(rest);
    if (found === null) return null;
    rest = rest.slice(found[0].length);
    return found[0];
  };
  for (;;) {
    take(/^(?:[ \t]|\\\n|#[^\n]*)+/);
    if (rest === "") return [...tokens, { kind: "end", text: "" }];
    const last = tokens.at(-1);
    const operand =
      last !== undefined &&
      (["number", "string", "name"].includes(last.kind) || [")", "]"].includes(last.text));
    let text: string | null;
    if ((text = take(/^(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?/)) !== null)
      tokens.push({ kind: "number", text });
    else if ((text = take(/^"(?:[^"\\]|\\.)*"/s)) !== null) tokens.push({ kind: "string", text });
    else if (!operand && (text = take(/^\/(?:[^/\\\n]|\\.)*\//)) !== null)
      tokens.push({ kind: "regex", text });
    else if ((text = take(/^[A-Za-z_]\w*/)) !== null) tokens.push({ kind: "name", text });
    else if ((text = take(OPERATOR)) !== null) tokens.push({ kind: "op", text });
    else throw new UsageError(`awk: line 1: syntax error at or near ${rest[0]}`, 2);
  }
}

export function parseAwk(source: string): AwkRule[] {
  return new AwkParser(tokenize(source)).program();
}

class AwkParser {
  private at = 0;
  private readonly tokens: readonly Token[];

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens;
  }

  program(): AwkRule[] {
    const rules: AwkRule[] = [];
    for (;;) {
      while (this.take(";") || this.take("\n"));
      if (this.token.kind === "end") return rules;
      rules.push(this.rule());
    }
  }

  private rule(): AwkRule {
    let when: AwkRule["when"] = "line";
    let from: Expr | null = null;
    let to: Expr | null = null;
    if (this.take("BEGIN")) when = "begin";
    else if (this.take("END")) when = "end";
    else if (this.token.text !== "{") {
      from = this.expr();
      if (this.take(",")) to = this.expr();
    }
    return { when, from, to, action: this.token.text === "{" ? this.block() : null, active: false };
  }

  private block(): Statement {
    this.need("{");
    const body: Statement[] = [];
    for (;;) {
      while (this.take(";") || this.take("\n"));
      if (this.take("}")) return { kind: "block", body };
      body.push(this.statement());
    }
  }

  private statement(): Statement {
    if (this.token.text === "{") return this.block();
    if (this.take("if")) {
      this.need("(");
      const test = this.expr();
      this.need(")");
      const yes = this.statement();
      const mark = this.at;
      while (this.take(";") || this.take("\n"));
      if (this.take("else")) return { kind: "if", test, yes, no: this.statement() };
      this.at = mark;
      return { kind: "if", test, yes, no: null };
    }
    if (this.take("for")) return this.loop();
    if (this.take("while")) {
      this.need("(");
      const test = this.expr();
      this.need(")");
      return { kind: "loop", start: null, test, step: null, body: this.statement() };
    }
    if (this.take("next")) return { kind: "next" };
    if (this.take("exit")) {
      const isBare = ";}\n".includes(this.token.text) || this.token.kind === "end";
      return { kind: "exit", status: isBare ? null : this.expr() };
    }
    if (this.token.text === "print" || this.token.text === "printf") return this.print();
    return { kind: "expr", expr: this.expr() };
  }

  private loop(): Statement {
    this.need("(");
    if (this.tokens[this.at + 1]?.text !== "in") {
      const part = (end: string): Expr | null => {
        const expr = this.token.text === end ? null : this.expr();
        this.need(end);
        return expr;
      };
      const [start, test, step] = [part(";"), part(";"), part(")")];
      return { kind: "loop", start, test, step, body: this.statement() };
    }
    const name = this.token.text;
    this.at += 2;
    const array = this.token.text;
    this.at++;
    this.need(")");
    return { kind: "each", name, array, body: this.statement() };
  }

  private print(): Statement {
    const format = this.token.text === "printf";
    this.at++;
    const args: Expr[] = [];
    const parenthesised = this.token.text === "(" && this.closesStatement();
    if (parenthesised) this.need("(");
    if (!";}\n)".includes(this.token.text) && this.token.kind !== "end") {
      do args.push(this.binary(0, true));
      while (this.take(","));
    }
    if (parenthesised) this.need(")");
    if (this.token.text === ">") throw new NotModelledError("awk print > FILE");
    return { kind: "print", format, args };
  }

  /** Whether the parenthesis here closes at the end of the statement: `print(a, b)`. */
  private closesStatement(): boolean {
    let depth = 0;
    for (let i = this.at; i < this.tokens.length; i++) {
      if (this.tokens[i].text === "(") depth++;
      if (this.tokens[i].text === ")" && --depth === 0)
        return [";", "}", "\n", ""].includes(this.tokens[i + 1].text);
    }
    return false;
  }

  private expr(): Expr {
    const left = this.ternary();
    const op = this.token.text;
    if (this.token.kind !== "op" || !["=", "+=", "-=", "*=", "/=", "%="].includes(op)) return left;
    this.at++;
    return { kind: "assign", op, target: left, value: this.expr() };
  }

  private ternary(): Expr {
    const test = this.binary(0, false);
    if (!this.take("?")) return test;
    const yes = this.ternary();
    this.need(":");
    return { kind: "choice", test, yes, no: this.ternary() };
  }

  /** `noGreater`: in a print list `>` would redirect. */
  private binary(level: number, noGreater: boolean): Expr {
    if (level === LEVELS.length) return this.concatenation();
    let left = this.binary(level + 1, noGreater);
    while (LEVELS[level].includes(this.token.text) && !(noGreater && this.token.text === ">")) {
      const op = this.token.text;
      this.at++;
      left = { kind: "binary", op, left, right: this.binary(level + 1, noGreater) };
    }
    return left;
  }

  private concatenation(): Expr {
    let left = this.sum();
    const starts = () =>
      ["number", "string"].includes(this.token.kind) ||
      (this.token.kind === "name" && !["in", "if", "else", "print", "printf"].includes(this.token.text)) ||
      ["$", "(", "!", "-"].includes(this.token.text);
    while (starts()) left = { kind: "binary", op: " ", left, right: this.sum() };
    return left;
  }

  private sum(): Expr {
    let left = this.product();
    while (this.token.text === "+" || this.token.text === "-") {
      const op = this.tokens[this.at++].text;
      left = { kind: "binary", op, left, right: this.product() };
    }
    return left;
  }

  private product(): Expr {
    let left = this.unary();
    while (this.token.kind === "op" && ["*", "/", "%"].includes(this.token.text)) {
      const op = this.tokens[this.at++].text;
      left = { kind: "binary", op, left, right: this.unary() };
    }
    return left;
  }

  private unary(): Expr {
    for (const op of ["!", "-", "+"])
      if (this.token.kind === "op" && this.take(op)) return { kind: "unary", op, operand: this.unary() };
    for (const [op, by] of [
      ["++", 1],
      ["--", -1],
    ] as const)
      if (this.take(op)) return { kind: "step", target: this.primary(), by, prefix: true };
    const primary = this.primary();
    if (this.take("++")) return { kind: "step", target: primary, by: 1, prefix: false };
    if (this.take("--")) return { kind: "step", target: primary, by: -1, prefix: false };
    return primary;
  }

  private primary(): Expr {
    const token = this.token;
    this.at++;
    if (token.kind === "number") return { kind: "number", value: Number(token.text) };
    if (token.kind === "string") return { kind: "string", value: unquote(token.text) };
    if (token.kind === "regex")
      return { kind: "regex", value: posixRegex("awk", token.text.slice(1, -1), true, "") };
    if (token.text === "$") return { kind: "field", index: this.primary() };
    if (token.text === "(") {
      const inner = this.expr();
      this.need(")");
      return inner;
    }
    if (token.kind !== "name")
      throw new UsageError(`awk: line 1: syntax error at or near ${token.text || "end of file"}`, 2);
    if (this.take("[")) {
      const index = this.expr();
      this.need("]");
      return { kind: "element", name: token.text, index };
    }
    if (!this.take("(")) return { kind: "name", name: token.text };
    const args: Expr[] = [];
    while (!this.take(")")) {
      args.push(this.expr());
      this.take(",");
    }
    return { kind: "call", name: token.text, args };
  }

  private get token(): Token {
    return this.tokens[this.at];
  }

  private take(text: string): boolean {
    if (this.token.text !== text || this.token.kind === "string") return false;
    this.at++;
    return true;
  }

  private need(text: string): void {
    if (!this.take(text))
      throw new UsageError(`awk: line 1: syntax error at or near ${this.token.text || "end of file"}`, 2);
  }
}

function unquote(text: string): string {
  const names: Record<string, string> = { n: "\n", t: "\t", r: "\r" };
  return text.slice(1, -1).replace(/\\(.)/gs, (_, c: string) => names[c] ?? c);
}
