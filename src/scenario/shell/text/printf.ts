/** printf(1) and echo -e: formats and backslash escapes (POSIX XBD chapter 5). */

const SIMPLE: Record<string, string> = {
  n: "\n",
  t: "\t",
  r: "\r",
  a: "\x07",
  b: "\b",
  f: "\f",
  v: "\v",
  "\\": "\\",
  '"': '"',
  e: "\x1b",
};

/** Backslash escapes as characters. */
export function unescapeText(text: string): string {
  return text.replace(/\\(x[0-9a-fA-F]{1,2}|0[0-7]{0,3}|.)/gs, (token, body: string) => {
    if (body.startsWith("x") && body.length > 1)
      return String.fromCharCode(Number.parseInt(body.slice(1), 16));
    if (body.startsWith("0")) return String.fromCharCode(Number.parseInt(body, 8));
    return SIMPLE[body] ?? token;
  });
}

const DIRECTIVE = /%([-+ 0#]*)(\d+|\*)?(?:\.(\d+))?([sdiuxXocfgeb%])/g;

/** One directive applied to one word. */
export function formatDirective(
  flags: string,
  width: number,
  precision: number | null,
  verb: string,
  word: string,
): string {
  let text = word;
  if (verb === "s" || verb === "b")
    text = (verb === "b" ? unescapeText(word) : word).slice(0, precision ?? undefined);
  else if (verb === "c") text = word.slice(0, 1);
  else {
    const number = Number(word === "" ? 0 : word);
    if (verb === "x" || verb === "X" || verb === "o")
      text = Math.trunc(number).toString(verb === "o" ? 8 : 16);
    else if (verb === "f") text = number.toFixed(precision ?? 6);
    else if (verb === "g" || verb === "e") text = String(number);
    else text = String(Math.trunc(Number.isNaN(number) ? 0 : number));
    if (verb === "X") text = text.toUpperCase();
    if (flags.includes("+") && number >= 0) text = `+${text}`;
    if (flags.includes("0") && !flags.includes("-")) text = text.padStart(width, "0");
  }
  return flags.includes("-") ? text.padEnd(width) : text.padStart(width);
}

/** Applies `format` (escapes still in it) once to `words`; tells how many it used. */
export function formatOnce(format: string, words: readonly string[]): { text: string; used: number } {
  let used = 0;
  const text = unescapeText(format).replace(
    DIRECTIVE,
    (_, flags: string, width?: string, precision?: string, verb = "s") => {
      if (verb === "%") return "%";
      const columns = width === "*" ? Number(words[used++] ?? 0) : Number(width ?? 0);
      return formatDirective(
        flags,
        columns,
        precision === undefined ? null : Number(precision),
        verb,
        words[used++] ?? "",
      );
    },
  );
  return { text, used };
}

/** printf of the shell: the format is used again while words are left. */
export function shellPrintf(format: string, words: readonly string[]): string {
  let { text, used } = formatOnce(format, words);
  while (used > 0 && used < words.length) {
    const more = formatOnce(format, words.slice(used));
    text += more.text;
    used += more.used;
  }
  return text;
}
