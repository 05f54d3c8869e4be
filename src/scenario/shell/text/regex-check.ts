/** What is wrong with a POSIX regular expression, in the words of glibc (posix/regcomp.c) and GNU grep (lib/dfa.c). */

const UNMATCHED_BRACKET = "Unmatched [, [^, [:, [., or [=";
const BAD_INTERVAL = "Invalid content of \\{\\}";
const CLASS_NAMES = "alpha digit alnum upper lower space blank punct xdigit cntrl graph print".split(" ");
/** Largest count of an interval (RE_DUP_MAX). */
const DUP_MAX = 32767;

/** null when nothing is. */
export function regexProblem(pattern: string, extended: boolean): string | null {
  let open = 0;
  let closed = 0;
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i];
    if (c === "[") {
      const end = bracketProblem(pattern, i);
      if (typeof end === "string") return end;
      i = end;
      continue;
    }
    if (c === "\\" && i === pattern.length - 1) return "Trailing backslash";
    const token = c === "\\" ? `\\${pattern[++i]}` : c;
    if (token === (extended ? "(" : "\\(")) open++;
    else if (token === (extended ? ")" : "\\)")) {
      if (open > 0) [open, closed] = [open - 1, closed + 1];
      else if (!extended) return "Unmatched ) or \\)";
    } else if (token === (extended ? "{" : "\\{")) {
      const problem = intervalProblem(pattern.slice(i + 1), extended);
      if (problem !== null) return problem;
    } else if (/^\\[1-9]$/.test(token) && Number(token[1]) > closed) return "Invalid back reference";
  }
  return open > 0 ? "Unmatched ( or \\(" : null;
}

/** Offset of the `]` that ends the bracket expression at `start`, or what is wrong with it. */
function bracketProblem(pattern: string, start: number): number | string {
  let i = start + 1;
  if (pattern[i] === "^") i++;
  if (i === pattern.length) return "Invalid regular expression";
  const first = i;
  let before = "";
  for (; i < pattern.length; i++) {
    const c = pattern[i];
    if (c === "]" && i > first) {
      const body = pattern.slice(start + 1, i);
      return /^:[a-z]+:$/.test(body) ? "character class syntax is [[:space:]], not [:space:]" : i;
    }
    if (c === "[" && ":.=".includes(pattern[i + 1] ?? " ")) {
      const end = pattern.indexOf(`${pattern[i + 1]}]`, i + 2);
      if (end < 0) return UNMATCHED_BRACKET;
      if (pattern[i + 1] === ":" && !CLASS_NAMES.includes(pattern.slice(i + 2, end)))
        return "Invalid character class name";
      i = end + 1;
      before = "";
    } else if (c === "-" && before !== "" && ![undefined, "]"].includes(pattern[i + 1])) {
      if (pattern[i + 1] < before) return "Invalid range end";
      before = "";
      i++;
    } else before = c;
  }
  return UNMATCHED_BRACKET;
}

/** `rest` is what follows the brace; in an extended expression one that opens no interval is a character. */
function intervalProblem(rest: string, extended: boolean): string | null {
  const end = rest.indexOf(extended ? "}" : "\\}");
  const found = /^(\d*)(,?)(\d*)$/.exec(end < 0 ? rest : rest.slice(0, end));
  const isInterval = found !== null && found[0] !== "";
  if (extended && (end < 0 || !isInterval)) return null;
  if (end < 0) return isInterval || rest === "" ? "Unmatched \\{" : BAD_INTERVAL;
  if (!isInterval) return BAD_INTERVAL;
  const [, least, comma, most] = found;
  if (comma !== "" && most !== "" && Number(most) < Number(least)) return BAD_INTERVAL;
  return Math.max(Number(least), Number(most)) > DUP_MAX ? "Regular expression too big" : null;
}
