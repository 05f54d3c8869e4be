/** awk (mawk 1.3.4) on whole texts: runs what `awk-parser.ts` read. */
import type { ToolOutput } from "../../../tools/tool.ts";
import { NotModelledError, UsageError } from "../../../util/errors.ts";
import { type AwkRule, type Expr, parseAwk, type Statement } from "./awk-parser.ts";
import { formatOnce, unescapeText } from "./printf.ts";
import { posixRegex } from "./regex.ts";
import {
  ByLine,
  getopt,
  lastValue,
  linesOf,
  output,
  readAll,
  type StreamUtility,
  type Utility,
} from "./utility.ts";

/** Values are strings or numbers; text that came from input and looks like a number compares as one. */
type Value = string | number;

type Flow = "on" | "next" | "exit";

const MAX_TURNS = 1_000_000;
const NUMERIC = /^\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*$/;

const toNumber = (value: Value) =>
  typeof value === "number"
    ? value
    : Number(/^\s*[-+]?(?:\d+\.?\d*|\.\d+)?/.exec(value)![0].trim() || 0) || 0;
const toText = (value: Value) =>
  typeof value === "string" || Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));
const isTrue = (value: Value) => (typeof value === "number" ? value !== 0 : value !== "" && value !== "0");
const numeric = (value: Value) => typeof value === "number" || NUMERIC.test(value);

class Awk {
  out = "";
  /** What `exit` said last. */
  status = 0;
  readonly variables = new Map<string, Value>([
    ["FS", " "],
    ["OFS", " "],
    ["ORS", "\n"],
    ["NR", 0],
    ["NF", 0],
  ]);
  private readonly arrays = new Map<string, Map<string, Value>>();
  private line = "";
  private fields: string[] = [];

  setLine(line: string, number: number): void {
    this.line = line;
    this.fields = splitFields(line, toText(this.variables.get("FS")!));
    this.variables.set("NR", number);
    this.variables.set("NF", this.fields.length);
  }

  chosen(rule: AwkRule): boolean {
    if (rule.from === null) return true;
    if (rule.to === null) return isTrue(this.value(rule.from));
    if (!rule.active && !isTrue(this.value(rule.from))) return false;
    rule.active = !isTrue(this.value(rule.to));
    return true;
  }

  run(statement: Statement | null): Flow {
    if (statement === null) return this.print(false, []);
    switch (statement.kind) {
      case "print":
        return this.print(statement.format, statement.args);
      case "expr":
        this.value(statement.expr);
        return "on";
      case "if":
        if (isTrue(this.value(statement.test))) return this.run(statement.yes);
        return statement.no === null ? "on" : this.run(statement.no);
      case "each":
        for (const key of [...this.array(statement.array).keys()]) {
          this.variables.set(statement.name, key);
          const flow = this.run(statement.body);
          if (flow !== "on") return flow;
        }
        return "on";
      case "loop":
        return this.loop(statement);
      case "block":
        for (const inner of statement.body) {
          const flow = this.run(inner);
          if (flow !== "on") return flow;
        }
        return "on";
      case "exit":
        if (statement.status !== null) this.status = toNumber(this.value(statement.status)) & 0xff;
        return "exit";
      case "next":
        return "next";
    }
  }

  private loop({ start, test, step, body }: Extract<Statement, { kind: "loop" }>): Flow {
    if (start !== null) this.value(start);
    for (let turns = 0; test === null || isTrue(this.value(test)); turns++) {
      if (turns === MAX_TURNS) throw new UsageError("awk: a loop without an end was stopped", 2);
      const flow = this.run(body);
      if (flow !== "on") return flow;
      if (step !== null) this.value(step);
    }
    return "on";
  }

  private print(format: boolean, args: readonly Expr[]): Flow {
    const words = args.map((arg) => toText(this.value(arg)));
    if (format) this.out += formatted(words);
    else if (words.length === 0) this.out += this.line + toText(this.variables.get("ORS")!);
    else this.out += words.join(toText(this.variables.get("OFS")!)) + toText(this.variables.get("ORS")!);
    return "on";
  }

  private value(expr: Expr): Value {
    switch (expr.kind) {
      case "number":
      case "string":
        return expr.value;
      case "regex":
        return Number(expr.value.test(this.line));
      case "name":
        return this.variables.get(expr.name) ?? "";
      case "field":
        return this.field(toNumber(this.value(expr.index)));
      case "element":
        return this.array(expr.name).get(toText(this.value(expr.index))) ?? "";
      case "unary":
        return this.unary(expr.op, this.value(expr.operand));
      case "binary":
        return this.binary(expr.op, expr.left, expr.right);
      case "assign":
        return this.assign(expr.target, this.assigned(expr.op, expr.target, this.value(expr.value)));
      case "step": {
        const before = toNumber(this.value(expr.target));
        this.assign(expr.target, before + expr.by);
        return expr.prefix ? before + expr.by : before;
      }
      case "choice":
        return this.value(isTrue(this.value(expr.test)) ? expr.yes : expr.no);
      case "call":
        return this.call(expr.name, expr.args);
    }
  }

  private field(index: number): string {
    return index === 0 ? this.line : (this.fields[index - 1] ?? "");
  }

  private unary(op: string, value: Value): Value {
    if (op === "!") return Number(!isTrue(value));
    return op === "-" ? -toNumber(value) : toNumber(value);
  }

  private binary(op: string, leftExpr: Expr, rightExpr: Expr): Value {
    const left = this.value(leftExpr);
    if (op === "&&") return Number(isTrue(left) && isTrue(this.value(rightExpr)));
    if (op === "||") return Number(isTrue(left) || isTrue(this.value(rightExpr)));
    if (op === "in") return Number(rightExpr.kind === "name" && this.array(rightExpr.name).has(toText(left)));
    if (op === "~" || op === "!~") {
      const regex =
        rightExpr.kind === "regex"
          ? rightExpr.value
          : posixRegex("awk", toText(this.value(rightExpr)), true, "");
      return Number(regex.test(toText(left)) === (op === "~"));
    }
    const right = this.value(rightExpr);
    if (op === " ") return toText(left) + toText(right);
    if ("+-*/%".includes(op)) return arithmetic(op, toNumber(left), toNumber(right));
    return Number(compare(op, left, right, leftExpr.kind === "string" || rightExpr.kind === "string"));
  }

  private assigned(op: string, target: Expr, value: Value): Value {
    return op === "=" ? value : arithmetic(op[0], toNumber(this.value(target)), toNumber(value));
  }

  private assign(target: Expr, value: Value): Value {
    if (target.kind === "name") this.variables.set(target.name, value);
    else if (target.kind === "element") this.array(target.name).set(toText(this.value(target.index)), value);
    else if (target.kind === "field") this.assignField(toNumber(this.value(target.index)), toText(value));
    else throw new UsageError("awk: line 1: syntax error at or near =", 2);
    return value;
  }

  private assignField(index: number, text: string): void {
    if (index === 0) {
      this.setLine(text, toNumber(this.variables.get("NR")!));
      return;
    }
    while (this.fields.length < index) this.fields.push("");
    this.fields[index - 1] = text;
    this.variables.set("NF", this.fields.length);
    this.line = this.fields.join(toText(this.variables.get("OFS")!));
  }

  private call(name: string, args: readonly Expr[]): Value {
    const values = args.map((arg) => (arg.kind === "regex" ? "" : this.value(arg)));
    const text = toText(values[0] ?? this.line);
    if (name === "length") return text.length;
    if (name === "toupper") return text.toUpperCase();
    if (name === "tolower") return text.toLowerCase();
    if (name === "int") return Math.trunc(toNumber(values[0]));
    if (name === "substr") {
      const from = toNumber(values[1]) - 1;
      return text.slice(
        Math.max(0, from),
        values[2] === undefined ? undefined : Math.max(0, from + toNumber(values[2])),
      );
    }
    if (name === "index") return text.indexOf(toText(values[1])) + 1;
    if (name === "sprintf") return formatted(values.map(toText));
    if (name === "split" && args[1]?.kind === "name") {
      const parts = splitFields(
        text,
        values[2] === undefined ? toText(this.variables.get("FS")!) : toText(values[2]),
      );
      this.arrays.set(args[1].name, new Map(parts.map((part, i) => [String(i + 1), part])));
      return parts.length;
    }
    if (name === "gsub" || name === "sub") return this.substitute(name === "gsub", args, values);
    throw new NotModelledError(`awk ${name}()`);
  }

  private substitute(all: boolean, args: readonly Expr[], values: readonly Value[]): number {
    const source =
      args[0].kind === "regex" ? args[0].value.source : posixRegex("awk", toText(values[0]), true, "").source;
    const target: Expr = args[2] ?? { kind: "field", index: { kind: "number", value: 0 } };
    let count = 0;
    const changed = toText(this.value(target)).replace(new RegExp(source, all ? "g" : ""), (found) => {
      count++;
      return toText(values[1]).replace(/\\&|&/g, (token) => (token === "&" ? found : "&"));
    });
    if (count > 0) this.assign(target, changed);
    return count;
  }

  private array(name: string): Map<string, Value> {
    let array = this.arrays.get(name);
    if (array === undefined) this.arrays.set(name, (array = new Map()));
    return array;
  }
}

function arithmetic(op: string, a: number, b: number): number {
  if (b === 0 && (op === "/" || op === "%")) throw new UsageError("awk: division by zero", 2);
  return op === "+" ? a + b : op === "-" ? a - b : op === "*" ? a * b : op === "/" ? a / b : a % b;
}

function compare(op: string, left: Value, right: Value, asText: boolean): boolean {
  const numbers = !asText && numeric(left) && numeric(right);
  const [a, b] = numbers ? [toNumber(left), toNumber(right)] : [toText(left), toText(right)];
  if (op === "==") return a === b;
  if (op === "!=") return a !== b;
  if (op === "<") return a < b;
  if (op === "<=") return a <= b;
  return op === ">" ? a > b : a >= b;
}

/** printf and sprintf: integers are cut from numbers, and text that is none counts as 0. */
const formatted = ([format, ...words]: readonly string[]): string =>
  formatOnce(format.replace(/\\/g, "\\\\"), words, (word) => BigInt(Math.trunc(Number.parseFloat(word) || 0)))
    .text;

function splitFields(line: string, separator: string): string[] {
  if (line === "") return [];
  if (separator === " ") return line.split(/\s+/).filter((field) => field !== "");
  return separator.length === 1 ? line.split(separator) : line.split(posixRegex("awk", separator, true, ""));
}

/** A program on its way through the input. */
class AwkRun {
  readonly files: readonly string[];
  private readonly rules: readonly AwkRule[];
  private readonly machine = new Awk();
  private number = 0;
  private flow: Flow;

  constructor(argv: readonly string[]) {
    const options = getopt("awk", argv, "", "FvW");
    const [source, ...files] = options.operands;
    if (source === undefined)
      throw new UsageError("usage: awk [-F fs][-v var=value][prog | -f progfile][file ...]", 2);
    if (options.values.get("W")?.some((word) => word !== "interactive"))
      throw new NotModelledError(`awk -W ${lastValue(options, "W")}`);
    this.files = files;
    this.rules = parseAwk(source);
    const separator = lastValue(options, "F");
    if (separator !== undefined) this.machine.variables.set("FS", unescapeText(separator));
    for (const setting of options.values.get("v") ?? []) {
      const at = setting.indexOf("=");
      this.machine.variables.set(setting.slice(0, at), unescapeText(setting.slice(at + 1)));
    }
    this.flow = this.stage("begin");
  }

  get wantsInput(): boolean {
    return this.flow !== "exit" && this.rules.some((rule) => rule.when !== "begin");
  }

  line(line: string): void {
    this.machine.setLine(line, ++this.number);
    this.flow = this.stage("line");
  }

  end(): void {
    this.stage("end");
  }

  /** What it has printed since this was asked last, and its status. */
  printed(): ToolOutput {
    const { out, status } = this.machine;
    this.machine.out = "";
    return output(out, status);
  }

  private stage(when: AwkRule["when"]): Flow {
    for (const rule of this.rules) {
      if (rule.when !== when || (when === "line" && !this.machine.chosen(rule))) continue;
      const flow = this.machine.run(rule.action);
      if (flow !== "on") return flow;
    }
    return "on";
  }
}

export const awk: Utility = (argv, context) => {
  const run = new AwkRun(argv);
  const lines = run.wantsInput ? linesOf(readAll(run.files, context)) : [];
  for (let i = 0; i < lines.length && run.wantsInput; i++) run.line(lines[i]);
  run.end();
  return run.printed();
};

export const awkStream: StreamUtility = (argv) => {
  const run = new AwkRun(argv);
  if (run.files.length > 0 || !run.wantsInput) return null;
  return new ByLine(
    (line, stream) => {
      run.line(line);
      stream.done = !run.wantsInput;
      return run.printed().stdout;
    },
    () => {
      run.end();
      return run.printed();
    },
  );
};
