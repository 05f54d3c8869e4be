/** Simple commands (POSIX XCU 2.9.1): assignments, words, redirections, and array values. */
import type { Argument, ArrayElement, Assignment, Redirect, SimpleCommand, Word } from "./ast.ts";
import { readRedirect } from "./redirect-reader.ts";
import { ShellSyntaxError } from "./syntax-error.ts";
import type { WordReader } from "./word-reader.ts";

const ASSIGNMENT = /([A-Za-z_][A-Za-z0-9_]*)(\[|\+?=)/y;
/** Builtins whose arguments may be assignments. */
const DECLARING: ReadonlySet<string> = new Set(["local", "declare", "typeset", "export", "readonly"]);

/** Null when no word, assignment or redirection stands here. */
export function readSimple(reader: WordReader): SimpleCommand | null {
  const assignments: Assignment[] = [];
  const words: Argument[] = [];
  const redirects: Redirect[] = [];
  const line = reader.line();
  let declares = false;
  for (;;) {
    reader.skipBlank(false);
    const redirect = readRedirect(reader);
    if (redirect !== null) {
      redirects.push(redirect);
      continue;
    }
    const { offset } = reader;
    const assignment = words.length === 0 || declares ? readAssignment(reader) : null;
    if (assignment !== null) {
      if (declares) words.push({ word: { parts: [], offset }, assignment });
      else assignments.push(assignment);
      continue;
    }
    const word = reader.word();
    if (word === null) break;
    if (words.length === 0) declares = DECLARING.has(reader.text.slice(offset, reader.offset));
    words.push({ word, assignment: null });
  }
  if (words.length + assignments.length + redirects.length === 0) return null;
  return { kind: "simple", assignments, words, redirects, line };
}

function readAssignment(reader: WordReader): Assignment | null {
  const start = reader.offset;
  ASSIGNMENT.lastIndex = start;
  const found = ASSIGNMENT.exec(reader.text);
  if (found === null) return null;
  reader.offset += found[0].length;
  let index: Word | null = null;
  let operator = found[2];
  if (operator === "[") {
    index = reader.wordUntil("]\n", true);
    const equals = reader.takePattern(/\]\+?=/y);
    if (equals === null) {
      reader.offset = start;
      return null;
    }
    operator = equals.slice(1);
  }
  const append = operator === "+=";
  const name = found[1];
  if (index === null && reader.take("(")) {
    const offset = reader.offset;
    return { name, index, append, value: { parts: [], offset }, elements: readElements(reader) };
  }
  const value = reader.word() ?? { parts: [], offset: reader.offset };
  return { name, index, append, value, elements: null };
}

/** The words of `(…)` behind the opening parenthesis. */
function readElements(reader: WordReader): ArrayElement[] {
  const start = reader.offset;
  const elements: ArrayElement[] = [];
  for (;;) {
    reader.skipBlank(true);
    if (reader.take(")")) return elements;
    if (reader.atEnd()) reader.unmatched(")", start);
    let index: Word | null = null;
    if (/\[[^\]\n]*\]=/y.test(reader.text.slice(reader.offset))) {
      reader.offset++;
      index = reader.wordUntil("]", true);
      reader.take("]=");
    }
    const word = reader.word();
    if (word === null && index === null)
      throw new ShellSyntaxError(
        `syntax error near unexpected token \`${reader.peekToken()}'`,
        reader.offset,
      );
    elements.push({ index, value: word ?? { parts: [], offset: reader.offset } });
  }
}
