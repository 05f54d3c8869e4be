/** Brace expansion (bash reference 3.5.1): `a{x,y}` and `a{1..3}`, before every other expansion. */
import type { Word, WordPart } from "./ast.ts";

/** Characters that stand unquoted in the word, and parts that are kept whole. */
type Piece = string | WordPart;

/** The words that a word stands for; itself when it has no braces. */
export function expandBraces(word: Word): Word[] {
  if (!word.parts.some((part) => part.kind === "text" && !part.quoted && part.text.includes("{")))
    return [word];
  const pieces: Piece[] = word.parts.flatMap((part): Piece[] =>
    part.kind === "text" && !part.quoted ? [...part.text] : [part],
  );
  return expand(pieces).map((result) => ({ parts: join(result), offset: word.offset }));
}

function join(pieces: readonly Piece[]): WordPart[] {
  const parts: WordPart[] = [];
  for (const piece of pieces) {
    const last = parts.at(-1);
    if (typeof piece !== "string") parts.push(piece);
    else if (last?.kind === "text" && !last.quoted)
      parts[parts.length - 1] = { kind: "text", text: last.text + piece, quoted: false };
    else parts.push({ kind: "text", text: piece, quoted: false });
  }
  return parts;
}

function expand(pieces: readonly Piece[]): Piece[][] {
  for (let start = pieces.indexOf("{"); start >= 0; start = pieces.indexOf("{", start + 1)) {
    const { end, commas } = scan(pieces, start);
    if (end < 0) continue;
    const range = commas.length === 0 ? rangeOf(pieces.slice(start + 1, end)) : null;
    if (commas.length === 0 && range === null) continue;
    const before = pieces.slice(0, start);
    const after = expand(pieces.slice(end + 1));
    const cuts = [start, ...commas, end];
    const items: Piece[][] =
      range ?? cuts.slice(1).flatMap((cut, i) => expand(pieces.slice(cuts[i] + 1, cut)));
    return items.flatMap((item) => after.map((rest) => [...before, ...item, ...rest]));
  }
  return [[...pieces]];
}

/** The brace that closes the one at `start` (-1: none) and the commas between at its level. */
function scan(pieces: readonly Piece[], start: number): { end: number; commas: number[] } {
  const commas: number[] = [];
  let depth = 0;
  for (let i = start; i < pieces.length; i++) {
    if (pieces[i] === "{") depth++;
    else if (pieces[i] === "}" && --depth === 0) return { end: i, commas };
    else if (pieces[i] === "," && depth === 1) commas.push(i);
  }
  return { end: -1, commas };
}

function rangeOf(pieces: readonly Piece[]): Piece[][] | null {
  if (pieces.some((piece) => typeof piece !== "string")) return null;
  const found = /^(?:(-?\d+)\.\.(-?\d+)|([A-Za-z])\.\.([A-Za-z]))(?:\.\.(-?\d+))?$/.exec(pieces.join(""));
  if (found === null) return null;
  const letters = found[3] !== undefined;
  const from = letters ? found[3].charCodeAt(0) : Number(found[1]);
  const to = letters ? found[4].charCodeAt(0) : Number(found[2]);
  const step = Math.abs(Number(found[5] ?? 1)) || 1;
  const padded = !letters && [found[1], found[2]].some((text) => /^-?0\d/.test(text));
  const width = padded ? Math.max(found[1].length, found[2].length) : 0;
  const items: Piece[][] = [];
  for (let i = 0; i <= Math.abs(to - from) / step; i++) {
    const value = from + (from <= to ? i : -i) * step;
    const digits = String(Math.abs(value)).padStart(value < 0 ? width - 1 : width, "0");
    items.push([...(letters ? String.fromCharCode(value) : (value < 0 ? "-" : "") + digits)]);
  }
  return items;
}
