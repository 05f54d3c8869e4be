/** The words of a filter expression (libpcap scanner.l). */
import { UsageError } from "../util/errors.ts";

/** A filter that does not compile: tcpdump's words, and where it stopped making sense (from 1). */
export class FilterError extends UsageError {
  readonly column: number;
  constructor(message: string, column: number) {
    super(`tcpdump: ${message}`, 1);
    this.name = "FilterError";
    this.column = column;
  }
}

export interface FilterToken {
  /** `end` behind the last. A word is a keyword, a name or a number; what an address or MAC is stays one word. */
  readonly kind: "word" | "symbol" | "end";
  readonly text: string;
  readonly column: number;
}

const SYMBOL = /^(?:&&|\|\||<<|>>|<=|>=|!=|==|[()[\]!<>=+\-*/%&|^:])/;
const WORD =
  /^(?:[0-9a-fA-F]{1,2}(?::[0-9a-fA-F]{1,2}){5}|[A-Za-z0-9][A-Za-z0-9_.-]*[A-Za-z0-9]|[A-Za-z0-9])/;
const RANGE = /^[0-9]+-[0-9]+$/;
const NAME_WITH_MINUS = /^(?:tcp|icmp|icmp6)-[a-z]+$/;

/** A minus joins the parts of a name or a port range; between other things it subtracts. */
function wordAt(rest: string): string | null {
  const word = WORD.exec(rest)?.[0] ?? null;
  if (word?.includes("-") !== true || RANGE.test(word) || NAME_WITH_MINUS.test(word)) return word;
  return /^[a-zA-Z]/.test(word) ? word : word.slice(0, word.indexOf("-"));
}

/** Splits an expression; throws FilterError for a character that cannot stand in one. */
export function lexFilter(text: string): FilterToken[] {
  const tokens: FilterToken[] = [];
  for (let at = 0; at < text.length; ) {
    const rest = text.slice(at);
    const space = /^(?:\s+|\\(?=[a-z]))/.exec(rest);
    if (space !== null) {
      at += space[0].length;
      continue;
    }
    const word = wordAt(rest);
    const symbol = word === null ? SYMBOL.exec(rest)?.[0] : undefined;
    if (word === null && symbol === undefined) {
      throw new FilterError("can't parse filter expression: syntax error", at + 1);
    }
    tokens.push({ kind: word === null ? "symbol" : "word", text: word ?? symbol!, column: at + 1 });
    at += (word ?? symbol!).length;
  }
  tokens.push({ kind: "end", text: "", column: text.length + 1 });
  return tokens;
}
