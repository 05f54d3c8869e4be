/** Redirections (POSIX XCU 2.7, and `&>`, `<<<` of bash). */
import type { Redirect, Word } from "./ast.ts";
import { ShellSyntaxError } from "./syntax-error.ts";
import type { WordReader } from "./word-reader.ts";

const OPERATOR = /([0-9])?(&>>|&>|<<<|<<-|<<|<&|<>|>>|>&|>\||<|>)/y;

/** The redirection that stands here, null when there is none. */
export function readRedirect(reader: WordReader): Redirect | null {
  if (/[<>]\(/y.test(reader.text.slice(reader.offset, reader.offset + 2))) return null;
  OPERATOR.lastIndex = reader.offset;
  const found = OPERATOR.exec(reader.text);
  if (found === null) return null;
  reader.offset += found[0].length;
  const operator = found[2];
  const fd = found[1] !== undefined ? Number(found[1]) : operator.startsWith("<") ? 0 : 1;
  reader.skipBlank(false);
  if (operator === ">&" || operator === "<&") return duplicate(reader, fd, found[1] === undefined);
  const offset = reader.offset;
  const target = wordOrError(reader);
  switch (operator) {
    case "<<":
    case "<<-": {
      const redirect: Redirect = { fd, kind: "here", target: { parts: [], offset } };
      const raw = reader.text.slice(offset, reader.offset);
      const quoted = /['"\\]/.test(raw);
      reader.expectHere(redirect, raw.replace(/['"\\]/g, ""), operator === "<<-", quoted);
      return redirect;
    }
    case "<<<":
      return { fd, kind: "here", target: withLineEnd(target) };
    case "&>":
      return { fd: 1, kind: "both", target };
    case "&>>":
      return { fd: 1, kind: "bothAppend", target };
    case ">>":
      return { fd, kind: "append", target };
    case "<":
      return { fd, kind: "read", target };
    default:
      return { fd, kind: "write", target };
  }
}

function duplicate(reader: WordReader, fd: number, plain: boolean): Redirect {
  if (reader.take("-")) return { fd, kind: "close", target: null };
  const target = wordOrError(reader);
  const digits =
    target.parts.length === 1 && target.parts[0].kind === "text" && /^\d$/.test(target.parts[0].text);
  const name = target.parts[0]?.kind === "text" && !digits;
  return name && plain ? { fd: 1, kind: "both", target } : { fd, kind: "dup", target };
}

function withLineEnd(word: Word): Word {
  const parts = word.parts.map((part) => ({ ...part, quoted: true }));
  return { parts: [...parts, { kind: "text", text: "\n", quoted: true }], offset: word.offset };
}

function wordOrError(reader: WordReader): Word {
  const word = reader.word();
  if (word !== null) return word;
  const token = reader.peekToken();
  const shown = token === "" || token === "\n" ? "newline" : token;
  throw new ShellSyntaxError(`syntax error near unexpected token \`${shown}'`, reader.offset);
}
