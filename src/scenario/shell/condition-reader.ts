/** The inside of `[[ … ]]` (bash reference, Conditional Constructs). */
import type { Condition, Word } from "./ast.ts";
import { ShellSyntaxError } from "./syntax-error.ts";
import type { WordReader } from "./word-reader.ts";

const BINARY = /(?:==|=~|!=|=|<|>|-(?:eq|ne|lt|le|gt|ge|nt|ot|ef))(?=[ \t\n])/y;
const UNARY = /-[a-zA-Z](?=[ \t\n])/y;
const END = /\]\](?=[ \t\n;&|<>()]|$)/y;

/** Reads behind `[[` and takes the end. */
export function readCondition(reader: WordReader): Condition {
  const condition = either(reader);
  reader.skipBlank(true);
  if (reader.takePattern(END) === null) unexpected(reader);
  return condition;
}

function either(reader: WordReader): Condition {
  let left = both(reader);
  for (;;) {
    reader.skipBlank(true);
    if (!reader.take("||")) return left;
    left = { kind: "or", left, right: both(reader) };
  }
}

function both(reader: WordReader): Condition {
  let left = primary(reader);
  for (;;) {
    reader.skipBlank(true);
    if (!reader.take("&&")) return left;
    left = { kind: "and", left, right: primary(reader) };
  }
}

function primary(reader: WordReader): Condition {
  reader.skipBlank(true);
  if (reader.takePattern(/!(?=[ \t\n])/y) !== null) return { kind: "not", operand: primary(reader) };
  if (reader.take("(")) {
    const inner = either(reader);
    reader.skipBlank(true);
    if (!reader.take(")")) unexpected(reader);
    return inner;
  }
  const unary = reader.takePattern(UNARY);
  if (unary !== null) {
    reader.skipBlank(true);
    const operand = reader.word();
    if (operand !== null) return { kind: "unary", op: unary, operand };
  }
  const left = reader.word() ?? unexpected(reader);
  reader.skipBlank(true);
  const op = reader.takePattern(BINARY);
  if (op === null) return { kind: "unary", op: "-n", operand: left };
  reader.skipBlank(true);
  return {
    kind: "binary",
    op,
    left,
    right: op === "=~" ? regexWord(reader) : (reader.word() ?? unexpected(reader)),
  };
}

/** A regular expression goes up to a blank outside its parentheses and brackets. */
function regexWord(reader: WordReader): Word {
  const offset = reader.offset;
  const parts: Word["parts"][number][] = [];
  let depth = 0;
  for (;;) {
    parts.push(...reader.wordUntil(depth > 0 ? "()" : " \t\n()", false).parts);
    const c = reader.text[reader.offset];
    if (c !== "(" && !(c === ")" && depth > 0)) return { parts, offset };
    depth += c === "(" ? 1 : -1;
    parts.push({ kind: "text", text: c, quoted: false });
    reader.offset++;
  }
}

function unexpected(reader: WordReader): never {
  const token = reader.peekToken();
  const shown = token === "\n" ? "newline" : token;
  throw new ShellSyntaxError(
    shown === "" ? "syntax error: unexpected end of file" : `syntax error near unexpected token \`${shown}'`,
    reader.offset,
  );
}
