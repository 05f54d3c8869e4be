/**
 * Integer arithmetic of `$((…))`, `((…))` and array indices (POSIX XCU 2.6.4, bash's Shell Arithmetic): the operators of C
 * on 64 bits, assignments, `**`, numbers in other bases.
 */
import { UsageError } from "../../util/errors.ts";

/** The variables that an expression reads and writes; `index` is null for a plain one. */
export interface ArithmeticVariables {
  get(name: string, index: string | null): string;
  set(name: string, index: string | null, value: string): void;
}

const TOKEN =
  /\s*(?:(\d+#[0-9a-zA-Z@_]+|0[xX][0-9a-fA-F]+|\d+)|([A-Za-z_]\w*)|(<<=|>>=|\*\*|<<|>>|<=|>=|==|!=|&&|\|\||\+\+|--|[-+*/%&^|]=|[-+*/%<>!~&^|?:=(),[\]])|(\S))/y;
const LEVELS: readonly (readonly string[])[] = [
  ["||"],
  ["&&"],
  ["|"],
  ["^"],
  ["&"],
  ["==", "!="],
  ["<=", ">=", "<", ">"],
  ["<<", ">>"],
  ["+", "-"],
  ["*", "/", "%"],
];
const ASSIGN: ReadonlySet<string> = new Set([
  "=",
  "+=",
  "-=",
  "*=",
  "/=",
  "%=",
  "<<=",
  ">>=",
  "&=",
  "^=",
  "|=",
]);
/** A variable whose value names itself. */
const MAX_DEPTH = 64;

interface Operand {
  readonly value: bigint;
  /** What an assignment would change. */
  readonly name: string | null;
  readonly index: string | null;
}

/** Throws UsageError in bash's words. */
export function arithmetic(text: string, variables: ArithmeticVariables, depth = 0): bigint {
  return new Evaluator(text, variables, depth).whole();
}

class Evaluator {
  private readonly text: string;
  private readonly variables: ArithmeticVariables;
  private readonly depth: number;
  private readonly tokens: { text: string; kind: "number" | "name" | "op" | "bad"; at: number }[] = [];
  private at = 0;
  /** Inside the branch of `&&`, `||` or `?:` that does not count. */
  private idle = 0;

  constructor(text: string, variables: ArithmeticVariables, depth: number) {
    this.text = text;
    this.variables = variables;
    this.depth = depth;
    if (depth > MAX_DEPTH) this.fail("expression recursion level exceeded", text);
    TOKEN.lastIndex = 0;
    for (;;) {
      const from = TOKEN.lastIndex;
      const found = TOKEN.exec(text);
      if (found === null) break;
      const kind =
        found[1] !== undefined ? "number" : found[2] !== undefined ? "name" : found[3] ? "op" : "bad";
      this.tokens.push({ text: found[0].trim(), kind, at: from });
    }
  }

  whole(): bigint {
    if (this.tokens.length === 0) return 0n;
    const value = this.comma();
    if (this.at < this.tokens.length) this.fail("syntax error in expression", this.rest());
    return value;
  }

  private comma(): bigint {
    let value = this.assignment().value;
    while (this.take(",")) value = this.assignment().value;
    return value;
  }

  private assignment(): Operand {
    const left = this.ternary();
    const op = this.peek();
    if (left.name === null || !ASSIGN.has(op)) return left;
    this.at++;
    const right = this.assignment().value;
    const value = op === "=" ? right : this.apply(op.slice(0, -1), left.value, right);
    return this.store(left, value);
  }

  private store({ name, index }: Operand, value: bigint): Operand {
    const wrapped = BigInt.asIntN(64, value);
    if (this.idle === 0) this.variables.set(name!, index, String(wrapped));
    return { value: wrapped, name: null, index: null };
  }

  private ternary(): Operand {
    const test = this.level(0);
    if (!this.take("?")) return test;
    const yes = this.branch(test.value !== 0n, () => this.comma());
    if (!this.take(":")) this.fail("`:' expected for conditional expression", this.rest());
    const no = this.branch(test.value === 0n, () => this.assignment().value);
    return plain(test.value !== 0n ? yes : no);
  }

  private branch(counts: boolean, read: () => bigint): bigint {
    if (!counts) this.idle++;
    const value = read();
    if (!counts) this.idle--;
    return value;
  }

  private level(index: number): Operand {
    if (index === LEVELS.length) return this.power();
    let left = this.level(index + 1);
    while (LEVELS[index].includes(this.peek())) {
      const op = this.tokens[this.at++].text;
      const skip = (op === "&&" && left.value === 0n) || (op === "||" && left.value !== 0n);
      const right = this.branch(!skip, () => this.level(index + 1).value);
      left = plain(this.apply(op, left.value, right));
    }
    return left;
  }

  private power(): Operand {
    const base = this.unary();
    if (!this.take("**")) return base;
    const exponent = this.power().value;
    if (exponent < 0n) this.fail("exponent less than 0", this.rest());
    return plain(BigInt.asIntN(64, base.value ** exponent));
  }

  private unary(): Operand {
    if (this.take("-")) return plain(-this.unary().value);
    if (this.take("+")) return plain(this.unary().value);
    if (this.take("!")) return plain(this.unary().value === 0n ? 1n : 0n);
    if (this.take("~")) return plain(~this.unary().value);
    for (const [op, by] of [
      ["++", 1n],
      ["--", -1n],
    ] as const)
      if (this.take(op)) {
        const operand = this.unary();
        return operand.name === null ? operand : this.store(operand, operand.value + by);
      }
    const operand = this.primary();
    if (operand.name !== null)
      for (const [op, by] of [
        ["++", 1n],
        ["--", -1n],
      ] as const)
        if (this.take(op)) {
          this.store(operand, operand.value + by);
          return plain(operand.value);
        }
    return operand;
  }

  private primary(): Operand {
    const token = this.tokens[this.at++];
    if (token === undefined) return this.fail("syntax error: operand expected", "");
    if (token.text === "(") {
      const value = this.comma();
      if (!this.take(")")) this.fail("missing `)'", this.rest());
      return plain(value);
    }
    if (token.kind === "number") return plain(this.number(token.text));
    if (token.kind !== "name") {
      this.at--;
      return this.fail("syntax error: operand expected", this.rest());
    }
    let index: string | null = null;
    if (this.take("[")) {
      index = String(this.comma());
      if (!this.take("]")) this.fail("syntax error in expression", this.rest());
    }
    const text = this.variables.get(token.text, index).trim();
    const value = /^-?\d+$/.test(text) && !/^-?0\d/.test(text) ? BigInt(text) : this.nested(text);
    return { value, name: token.text, index };
  }

  private nested(text: string): bigint {
    return text === "" ? 0n : arithmetic(text, this.variables, this.depth + 1);
  }

  private number(text: string): bigint {
    const based = /^(\d+)#(.*)$/.exec(text);
    if (based !== null) {
      const base = Number(based[1]);
      let value = 0n;
      for (const c of base <= 36 ? based[2].toLowerCase() : based[2]) {
        const digit = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ@_".indexOf(c);
        if (digit < 0 || digit >= base) this.fail("value too great for base", text);
        value = value * BigInt(base) + BigInt(digit);
      }
      return value;
    }
    if (/^0[0-9]/.test(text)) {
      if (/[89]/.test(text)) this.fail("value too great for base", text);
      return BigInt(`0o${text.slice(1)}`);
    }
    return BigInt(text);
  }

  private apply(op: string, a: bigint, b: bigint): bigint {
    if ((op === "/" || op === "%") && b === 0n) {
      if (this.idle > 0) return 0n;
      this.fail("division by 0", this.tokens[this.at - 1]?.text ?? "0");
    }
    return BigInt.asIntN(64, binary(op, a, b));
  }

  private peek(): string {
    return this.tokens[this.at]?.text ?? "";
  }

  private take(text: string): boolean {
    if (this.peek() !== text) return false;
    this.at++;
    return true;
  }

  private rest(): string {
    return this.text.slice(this.tokens[this.at]?.at ?? this.text.length).trim();
  }

  private fail(what: string, token: string): never {
    throw new UsageError(`bash: ${this.text.trim()}: ${what} (error token is "${token}")`, 1);
  }
}

const plain = (value: bigint): Operand => ({ value, name: null, index: null });
const truth = (value: boolean): bigint => (value ? 1n : 0n);

function binary(op: string, a: bigint, b: bigint): bigint {
  switch (op) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "/":
      return a / b;
    case "%":
      return a % b;
    case "<<":
      return a << (b & 63n);
    case ">>":
      return a >> (b & 63n);
    case "&":
      return a & b;
    case "|":
      return a | b;
    case "^":
      return a ^ b;
    case "&&":
      return truth(a !== 0n && b !== 0n);
    case "||":
      return truth(a !== 0n || b !== 0n);
    case "==":
      return truth(a === b);
    case "!=":
      return truth(a !== b);
    case "<":
      return truth(a < b);
    case "<=":
      return truth(a <= b);
    case ">":
      return truth(a > b);
    default:
      return truth(a >= b);
  }
}
