/** `${…}` (POSIX XCU 2.6.2 and bash's additions): name, index, operation and its words. */
import type { ParameterOp, ParameterPart, Word } from "./ast.ts";
import { ShellSyntaxError } from "./syntax-error.ts";
import type { WordReader } from "./word-reader.ts";

const NAME = /[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[?!$#@*-]/y;
const OP = /:-|:=|:\+|:\?|\/\/|\/#|\/%|%%|##|\^\^|,,|[-=+?%#/:^,]/y;

/** Reads behind `${` and takes the closing brace. */
export function bracedParameter(reader: WordReader, quoted: boolean): ParameterPart {
  const start = reader.offset;
  const bad = (): never => {
    const end = reader.text.indexOf("}", start);
    if (end < 0) return reader.unmatched("}", start);
    throw new ShellSyntaxError(`\${${reader.text.slice(start, end)}}: bad substitution`, start);
  };
  const rest = reader.text.slice(start, start + 3);
  const length = /^#[A-Za-z0-9_@*?$!#]/.test(rest) && !/^##/.test(rest) && reader.take("#");
  const indirect = !length && /^![A-Za-z0-9_@*]/.test(rest) && reader.take("!");
  const name = reader.takePattern(NAME) ?? bad();
  const index = reader.take("[") ? indexWord(reader) : null;
  const part = { kind: "parameter" as const, name, index, quoted, indirect };
  if (reader.take("}")) {
    const keys = indirect && index !== null && isAll(index);
    const op = length ? "length" : keys ? "keys" : "";
    return { ...part, op, operand: null, second: null, indirect: indirect && !keys };
  }
  const op = (length ? null : reader.takePattern(OP)) as ParameterOp | null;
  if (op === null) return bad();
  const { operand, second } = operands(reader, op, quoted);
  if (!reader.take("}")) bad();
  return { ...part, op, operand, second };
}

function operands(
  reader: WordReader,
  op: ParameterOp,
  quoted: boolean,
): { operand: Word; second: Word | null } {
  if (op === ":") {
    const operand = reader.wordUntil(":}", quoted);
    return { operand, second: reader.take(":") ? reader.wordUntil("}", quoted) : null };
  }
  if (op.startsWith("/")) {
    const operand = reader.wordUntil("/}", false);
    return { operand, second: reader.take("/") ? reader.wordUntil("}", quoted) : null };
  }
  const pattern = "%%##^^,,".includes(op);
  return { operand: reader.wordUntil("}", quoted && !pattern, !quoted || pattern), second: null };
}

function indexWord(reader: WordReader): Word {
  const word = reader.wordUntil("]", true);
  if (!reader.take("]")) reader.unmatched("]", word.offset);
  return word;
}

/** Whether an index is `@` or `*`. */
export function isAll(index: Word): boolean {
  const [first, ...others] = index.parts;
  return others.length === 0 && first?.kind === "text" && (first.text === "@" || first.text === "*");
}
