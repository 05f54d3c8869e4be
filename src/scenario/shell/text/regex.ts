/** POSIX regular expressions (XBD chapter 9) as JavaScript ones: basic, as grep and sed take them, and extended. */
import { UsageError } from "../../../util/errors.ts";
import { regexProblem } from "./regex-check.ts";

/** `[:NAME:]` of a bracket expression. */
export const CLASSES: Record<string, string> = {
  alpha: "A-Za-z",
  digit: "0-9",
  alnum: "A-Za-z0-9",
  upper: "A-Z",
  lower: "a-z",
  space: "\\s",
  blank: " \\t",
  punct: "!-\\/:-@\\[-`{-~",
  xdigit: "0-9A-Fa-f",
  word: "\\w",
};

/** `name` is the command, for its error text; `flags` are JavaScript's. */
export function posixRegex(name: string, pattern: string, extended: boolean, flags: string): RegExp {
  const problem = regexProblem(pattern, extended);
  if (problem !== null) throw new UsageError(`${name}: ${problem}`, 2);
  try {
    return new RegExp(translate(pattern, extended), flags);
  } catch {
    throw new UsageError(`${name}: Invalid regular expression`, 2);
  }
}

function translate(pattern: string, extended: boolean): string {
  let out = "";
  let open = 0;
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i];
    if (c === "[") {
      const end = bracketEnd(pattern, i);
      out += bracket(pattern.slice(i, end));
      i = end - 1;
    } else if (c === "\\") {
      const next = pattern[++i] ?? "\\";
      if (!extended && "(){}+?|".includes(next)) out += next;
      else if (next === "<" || next === ">") out += "\\b";
      else out += /[a-zA-Z0-9]/.test(next) && !/[bBwWsSn1-9]/.test(next) ? next : `\\${next}`;
    } else if (!extended && "(){}+?|".includes(c)) out += `\\${c}`;
    else if (c === ")" && open === 0) out += "\\)";
    else if (c === "*" && (out === "" || out === "^")) out += "\\*";
    else {
      open += Number(c === "(") - Number(c === ")");
      out += c;
    }
  }
  return out.replace(/(?<!\\)\{,/g, "{0,");
}

/** Offset behind the `]` that closes the bracket expression at `start`. */
function bracketEnd(pattern: string, start: number): number {
  let i = start + 1;
  if (pattern[i] === "^") i++;
  if (pattern[i] === "]") i++;
  while (i < pattern.length && pattern[i] !== "]")
    i += /^\[[:.=]/.test(pattern.slice(i, i + 2)) ? pattern.indexOf(`${pattern[i + 1]}]`, i + 2) - i + 2 : 1;
  return i + 1;
}

function bracket(text: string): string {
  const inside = text
    .slice(1, -1)
    .replace(/\\/g, "\\\\")
    .replace(/\[([.=])(.)\1\]/g, "$2")
    .replace(/\[:(\w+):\]/g, (_, name: string) => CLASSES[name] ?? "")
    .replace(/^(\^?)\]/, "$1\\]")
    .replace(/(?<!\\)\[(?!-)/g, "\\[");
  return `[${inside}]`;
}
