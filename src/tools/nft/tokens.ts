/** The text of nft(8) as tokens (src/scanner.l), and what is said about a place in it (src/erec.c). */
import { UsageError } from "../../util/errors.ts";

/** A part of one line; `to` is behind its end. */
export interface Place {
  readonly line: number;
  readonly from: number;
  readonly to: number;
}

export interface Token extends Place {
  readonly kind: "word" | "quoted" | "number" | "sign" | "newline" | "end";
  readonly text: string;
}

/** Bad words, or a refusal, with the place that it is about and one that it is against. */
export class NftTextError extends UsageError {
  readonly place: Place;
  readonly against: Place | null;
  constructor(message: string, place: Place, against: Place | null = null) {
    super(message);
    this.place = place;
    this.against = against;
  }
}

const PATTERN =
  /[ \t\r]+|#[^\n]*|\\\n|(?<newline>\n)|"(?<quoted>[^"\n]*)"|(?<address>[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+)|(?<number>0x[0-9a-fA-F]+|[0-9]+)(?![A-Za-z_])|(?<word>[A-Za-z0-9_\\][A-Za-z0-9_/\-.\\]*\*?|\*)|(?<sign>==|!=|<=|>=|<<|>>|[^\s])/y;

export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let line = 0;
  let lineStart = 0;
  let at = 0;
  const push = (kind: Token["kind"], word: string, from: number, to: number) =>
    tokens.push({ kind, text: word, line, from: from - lineStart, to: to - lineStart });
  while (at < text.length) {
    PATTERN.lastIndex = at;
    const found = PATTERN.exec(text)!;
    const { newline, quoted, address, number, word, sign } = found.groups!;
    const to = at + found[0].length;
    if (newline !== undefined) push("newline", "newline", at, to);
    else if (quoted !== undefined) push("quoted", quoted, at, to);
    else if (address !== undefined) push("word", address, at, to);
    else if (number !== undefined) push("number", number, at, to);
    else if (word !== undefined) push("word", word, at, to);
    else if (sign !== undefined) push("sign", sign, at, to);
    if (found[0].endsWith("\n")) {
      line++;
      lineStart = to;
    }
    at = to;
  }
  push("end", "newline", text.length, text.length + 1);
  return tokens;
}

/** From the beginning of one place to the end of another on the same line. */
export function span(a: Place, b: Place): Place {
  return { line: a.line, from: a.from, to: b.line === a.line ? b.to : a.to };
}

/** The words of nft about an error; `source` is the name of a file, "" for the command line. */
export function errorText(text: string, source: string, { message, place, against }: NftTextError): string {
  const line = text.split("\n")[place.line] ?? "";
  const marks: string[] = Array.from(line, (c) => (c === "\t" ? "\t" : " "));
  const underline = (one: Place, mark: string) => {
    for (let i = one.from; i < one.to; i++) marks[i] = mark;
  };
  if (against !== null) underline(against, "~");
  underline(place, "^");
  const drawn = Array.from(marks, (mark) => mark ?? " ")
    .join("")
    .trimEnd();
  const where = source === "" ? "" : `${source}:${place.line + 1}:${place.from + 1}-${place.to}: `;
  return `${where}Error: ${message}\n${line}\n${drawn}\n`;
}

/** Reads tokens one after the other. */
export class Cursor {
  private readonly tokens: readonly Token[];
  private at = 0;

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens;
  }

  get token(): Token {
    return this.tokens[this.at];
  }

  get last(): Token {
    return this.tokens[Math.max(0, this.at - 1)];
  }

  next(): Token {
    const { token } = this;
    if (token.kind !== "end") this.at++;
    return token;
  }

  /** Whether the next one is that word or sign. */
  is(text: string): boolean {
    return this.token.kind !== "quoted" && this.token.kind !== "newline" && this.token.text === text;
  }

  /** Whether a comparison stands here and that sign behind it. */
  isAhead(text: string): boolean {
    if (!this.is("!=") && !this.is("==")) return false;
    const next = this.tokens[this.at + 1];
    return next.kind === "sign" && next.text === text;
  }

  /** Goes past it when it is there. */
  take(text: string): boolean {
    if (!this.is(text)) return false;
    this.next();
    return true;
  }

  expect(text: string): Token {
    if (!this.is(text)) this.unexpected();
    return this.next();
  }

  /** A name: of a table, a chain, a counter, a device. */
  name(): Token {
    const { kind } = this.token;
    if (kind !== "word" && kind !== "quoted") this.unexpected("string");
    return this.next();
  }

  number(): number {
    if (this.token.kind !== "number") this.unexpected();
    return Number(this.next().text);
  }

  get atEnd(): boolean {
    return this.token.kind === "newline" || this.token.kind === "end" || this.is(";");
  }

  skipLines(): void {
    while (this.token.kind === "newline" || this.is(";")) this.next();
  }

  unexpected(wanted = ""): never {
    const { kind, text } = this.token;
    const end = kind === "newline" || kind === "end";
    const shown =
      kind === "quoted"
        ? "quoted string"
        : end
          ? "newline"
          : kind === "word"
            ? "string"
            : kind === "number"
              ? "number"
              : `'${text}'`;
    throw new NftTextError(
      `syntax error, unexpected ${shown}${wanted === "" ? "" : `, expecting ${wanted}`}`,
      this.token,
    );
  }
}
