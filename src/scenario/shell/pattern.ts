/** Patterns of the shell (POSIX XCU 2.14): `*`, `?`, `[…]`; a backslash makes the next character mean itself. */
import { CLASSES } from "./text/regex.ts";

const escapeChar = (c: string) => (/[.*+?^${}()|[\]\\/]/.test(c) ? `\\${c}` : c);

/** Makes every character of `text` mean itself. */
export function escapePattern(text: string): string {
  return text.replace(/[*?[\]\\]/g, "\\$&");
}

/** The source of a regular expression; `star` is what `*` stands for, `one` what `?` does. */
export function patternSource(pattern: string, star = "[^]*", one = "[^]"): string {
  let out = "";
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i];
    if (c === "\\") out += escapeChar(pattern[++i] ?? "\\");
    else if (c === "*") out += star;
    else if (c === "?") out += one;
    else if (c === "[") {
      const end = bracketEnd(pattern, i);
      if (end < 0) out += "\\[";
      else {
        out += bracket(pattern.slice(i + 1, end));
        i = end;
      }
    } else out += escapeChar(c);
  }
  return out;
}

/** Whether the whole text is described by the pattern. */
export function patternMatches(pattern: string, text: string): boolean {
  return new RegExp(`^(?:${patternSource(pattern)})$`).test(text);
}

/** Offset of the `]` that ends the bracket expression at `start`, -1 when there is none. */
function bracketEnd(pattern: string, start: number): number {
  let i = start + 1;
  if (pattern[i] === "!" || pattern[i] === "^") i++;
  if (pattern[i] === "]") i++;
  for (; i < pattern.length; i++) {
    if (pattern.startsWith("[:", i)) i = pattern.indexOf(":]", i) + 1 || pattern.length;
    else if (pattern[i] === "\\") i++;
    else if (pattern[i] === "]") return i;
  }
  return -1;
}

function bracket(inside: string): string {
  const negated = /^[!^]/.test(inside);
  const body = (negated ? inside.slice(1) : inside)
    .replace(/\\(.)/g, "$1")
    .replace(/[\\\]^]|\[(?!:)/g, "\\$&")
    .replace(/\[:(\w+):\\?\]/g, (_, name: string) => CLASSES[name] ?? "");
  return `[${negated ? "^" : ""}${body}]`;
}
