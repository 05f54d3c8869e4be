/** printf(1) and echo -e: formats, backslash escapes, numbers that are none (POSIX XBD chapter 5, bash printf.def). */

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

const DIRECTIVE = /%(?:%|([-+ 0#]*)(\d+|\*)?(?:\.(\d+|\*))?(?:ll|l|h|j|z|t)?([a-zA-Z]|.?))/gs;
const INTEGER_MAX = (1n << 63n) - 1n;
const UNSIGNED = 1n << 64n;

/** What a format made of its words. */
export interface Formatted {
  readonly text: string;
  /** Words that it took. */
  readonly used: number;
  /** What was wrong with them, without the command's name; a warning leaves the status alone. */
  readonly problems: readonly string[];
  /** It stopped at a directive that is none. */
  readonly stopped: boolean;
}

type IntegerReader = (word: string, problems: string[]) => bigint;

/** An integer as strtoimax reads it: `'a` is the character, 0x and 0 in front as in C. */
function integerOf(word: string, problems: string[]): bigint {
  if (/^['"]/.test(word)) return BigInt(word.codePointAt(1) ?? 0);
  const [, sign, digits, rest] = /^\s*([-+]?)(0[xX][0-9a-fA-F]+|\d*)(.*)$/s.exec(word)!;
  const octal = /^0\d/.test(digits) ? /^[0-7]*/.exec(digits)![0] : null;
  if (word !== "" && (rest !== "" || digits === "" || (octal ?? digits) !== digits)) {
    const kind = /^0[xX]/.test(digits) ? "hex " : octal === null ? "" : "octal ";
    problems.push(`${word}: invalid ${kind}number`);
  }
  const size = BigInt(octal === null ? digits || "0" : `0o${octal}`);
  const value = sign === "-" ? -size : size;
  if (value <= INTEGER_MAX && value >= -INTEGER_MAX - 1n) return value;
  problems.push(`warning: ${word}: Numerical result out of range`);
  return sign === "-" ? -INTEGER_MAX - 1n : INTEGER_MAX;
}

function floatOf(word: string, problems: string[]): number {
  if (/^['"]/.test(word)) return word.codePointAt(1) ?? 0;
  const [, digits, rest] = /^(\s*[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?)?)(.*)$/s.exec(
    word,
  )!;
  if (word !== "" && (rest !== "" || Number.isNaN(Number.parseFloat(digits))))
    problems.push(`${word}: invalid number`);
  return Number.parseFloat(digits) || 0;
}

/** `1e+4` as C writes it: two digits of exponent at least. */
const exponent = (text: string): string =>
  text.replace(/e([-+])(\d)$/, (_, sign: string, digit: string) => `e${sign}0${digit}`);

function formatFloat(value: number, verb: string, precision: number): string {
  if (verb === "f") return value.toFixed(precision);
  if (verb === "e") return exponent(value.toExponential(precision));
  const power = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)));
  const digits = Math.max(precision, 1);
  if (power < -4 || power >= digits)
    return exponent(value.toExponential(digits - 1).replace(/\.?0+(?=e)/, ""));
  const text = value.toPrecision(digits);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

interface Directive {
  readonly flags: string;
  readonly width: number;
  readonly precision: number | null;
  readonly verb: string;
}

function signed(text: string, negative: boolean, flags: string): string {
  if (negative) return `-${text}`;
  return flags.includes("+") ? `+${text}` : flags.includes(" ") ? ` ${text}` : text;
}

function formatNumber(
  { flags, width, precision, verb }: Directive,
  word: string,
  problems: string[],
  readInteger: IntegerReader,
): string {
  const lower = verb.toLowerCase();
  let text: string;
  if ("feg".includes(lower)) {
    const value = floatOf(word, problems);
    text = signed(formatFloat(Math.abs(value), lower, precision ?? 6), value < 0, flags);
  } else {
    const value = readInteger(word, problems);
    const isSigned = lower === "d" || lower === "i";
    const size = isSigned ? (value < 0n ? -value : value) : (value + UNSIGNED) % UNSIGNED;
    const digits = size.toString(lower === "x" ? 16 : lower === "o" ? 8 : 10).padStart(precision ?? 1, "0");
    const mark = flags.includes("#") && size !== 0n ? (lower === "x" ? "0x" : lower === "o" ? "0" : "") : "";
    text = isSigned ? signed(digits, value < 0n, flags) : mark + digits;
  }
  if (flags.includes("0") && !flags.includes("-") && (precision === null || "feg".includes(lower))) {
    const lead = /^(?:[-+ ]|0x)?/.exec(text)![0];
    text = lead + text.slice(lead.length).padStart(width - lead.length, "0");
  }
  return verb === lower ? text : text.toUpperCase();
}

/** One directive applied to one word; null when there is no such directive. */
function formatDirective(
  directive: Directive,
  word: string,
  problems: string[],
  readInteger: IntegerReader,
): string | null {
  const { flags, width, precision, verb } = directive;
  let text: string;
  if (verb === "s" || verb === "b")
    text = (verb === "b" ? unescapeText(word) : word).slice(0, precision ?? undefined);
  else if (verb === "q") text = /^[\w@%+=:,./-]+$/.test(word) ? word : quoted(word);
  else if (verb === "c") text = word.slice(0, 1);
  else if ("diuoxXfeEgG".includes(verb) && verb !== "")
    text = formatNumber(directive, word, problems, readInteger);
  else return null;
  return flags.includes("-") ? text.padEnd(width) : text.padStart(width);
}

/** A word as the shell can read it again. */
const quoted = (word: string): string =>
  word === "" ? "''" : word.replace(/[^\w@%+=:,./-]/g, (c) => (c === "\n" ? "$'\\n'" : `\\${c}`));

/** In a format an octal escape needs no zero in front. */
const unescapeFormat = (text: string): string =>
  unescapeText(
    text.replace(/\\(\\|[1-7][0-7]{0,2})/g, (token, digits: string) =>
      digits === "\\" ? token : `\\0${digits}`,
    ),
  );

/** Applies `format` (escapes still in it) once to `words`; awk reads integers in its own way. */
export function formatOnce(
  format: string,
  words: readonly string[],
  readInteger: IntegerReader = integerOf,
): Formatted {
  const problems: string[] = [];
  let used = 0;
  let text = "";
  let at = 0;
  for (const found of format.matchAll(DIRECTIVE)) {
    text += unescapeFormat(format.slice(at, found.index));
    at = found.index + found[0].length;
    const [whole, flags = "", width, precision, verb = ""] = found;
    if (whole === "%%") {
      text += "%";
      continue;
    }
    const number = (part: string | undefined): number | null =>
      part === undefined
        ? null
        : part === "*"
          ? Number(integerOf(words[used++] ?? "", problems))
          : Number(part);
    const columns = number(width) ?? 0;
    const directive = {
      flags: columns < 0 ? `${flags}-` : flags,
      width: Math.abs(columns),
      precision: number(precision),
      verb,
    };
    const part = formatDirective(directive, words[used] ?? "", problems, readInteger);
    if (part === null) {
      problems.push(verb === "" ? `\`%': missing format character` : `\`${verb}': invalid format character`);
      return { text, used, problems, stopped: true };
    }
    used++;
    text += part;
  }
  return { text: text + unescapeFormat(format.slice(at)), used, problems, stopped: false };
}

/** printf of the shell: the format is used again while words are left. */
export function shellPrintf(format: string, words: readonly string[]): Formatted {
  let { text, used, problems, stopped } = formatOnce(format, words);
  while (!stopped && used > 0 && used < words.length) {
    const more = formatOnce(format, words.slice(used));
    text += more.text;
    used += more.used;
    problems = [...problems, ...more.problems];
    stopped = more.stopped;
  }
  return { text, used, problems, stopped };
}
