/** Integer arithmetic of `$((…))` (POSIX XCU 2.6.4): `+ - * / %`, comparisons, `&& || !`, parentheses, variables. */
import { UsageError } from "../../util/errors.ts";

const LEVELS: readonly (readonly string[])[] = [
  ["||"],
  ["&&"],
  ["==", "!="],
  ["<=", ">=", "<", ">"],
  ["+", "-"],
  ["*", "/", "%"],
];

/** `lookup` gives a variable's text. Throws UsageError in bash's words. */
export function arithmetic(text: string, lookup: (name: string) => string): number {
  const tokens = text.match(/\$?[A-Za-z_]\w*|\d+|[<>=!]=|&&|\|\||[-+*/%<>!()]|\S/g) ?? [];
  let at = 0;
  const bad = (): never => {
    throw new UsageError(
      `bash: ${text.trim()}: syntax error: operand expected (error token is "${tokens[at] ?? ""}")`,
      1,
    );
  };
  const primary = (): number => {
    const token = tokens[at++];
    if (token === "(") {
      const value = level(0);
      if (tokens[at++] !== ")") bad();
      return value;
    }
    if (token === "-") return -primary();
    if (token === "+") return primary();
    if (token === "!") return primary() === 0 ? 1 : 0;
    if (token !== undefined && /^\d+$/.test(token)) return Number(token);
    if (token !== undefined && /^\$?[A-Za-z_]/.test(token)) {
      const value = lookup(token.replace("$", "")).trim();
      return value === "" ? 0 : arithmetic(value, lookup);
    }
    at--;
    return bad();
  };
  const level = (index: number): number => {
    if (index === LEVELS.length) return primary();
    let left = level(index + 1);
    while (at < tokens.length && LEVELS[index].includes(tokens[at])) {
      const op = tokens[at++];
      left = apply(op, left, level(index + 1), text);
    }
    return left;
  };
  if (tokens.length === 0) return 0;
  const value = level(0);
  if (at < tokens.length) bad();
  return value;
}

function apply(op: string, a: number, b: number, text: string): number {
  if ((op === "/" || op === "%") && b === 0)
    throw new UsageError(`bash: ${text.trim()}: division by 0 (error token is "0")`, 1);
  switch (op) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "/":
      return Math.trunc(a / b);
    case "%":
      return a % b;
    case "&&":
      return Number(a !== 0 && b !== 0);
    case "||":
      return Number(a !== 0 || b !== 0);
    case "==":
      return Number(a === b);
    case "!=":
      return Number(a !== b);
    case "<":
      return Number(a < b);
    case "<=":
      return Number(a <= b);
    case ">":
      return Number(a > b);
    default:
      return Number(a >= b);
  }
}
