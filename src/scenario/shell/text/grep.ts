/** grep (GNU grep 3.8) over whole texts: the options that are used on command output. */
import { UsageError } from "../../../util/errors.ts";
import { posixRegex } from "./regex.ts";
import {
  ByLine,
  getopt,
  joinLines,
  lastValue,
  linesOf,
  type Options,
  output,
  type StreamUtility,
  type Utility,
} from "./utility.ts";

const LONG = {
  "--color": "q",
  "--ignore-case": "i",
  "--invert-match": "v",
  "--count": "c",
  "--only-matching": "o",
  "--quiet": "q",
  "--line-number": "n",
  "--extended-regexp": "E",
  "--fixed-strings": "F",
  "--word-regexp": "w",
  "--after-context": "A",
  "--before-context": "B",
  "--context": "C",
  "--max-count": "m",
};

const escapeRegex = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** PCRE as far as JavaScript's expressions are the same. */
function perlRegex(pattern: string): string {
  try {
    return new RegExp(pattern).source;
  } catch {
    const text = /\[[^\]]*$/.test(pattern)
      ? "missing terminating ] for character class"
      : "missing closing parenthesis";
    throw new UsageError(`grep: ${text}`, 2);
  }
}

function compile(options: Options, patterns: readonly string[]): RegExp {
  const perl = options.flags.has("P");
  const extended = options.flags.has("E");
  const sources = patterns
    .flatMap((pattern) => pattern.split("\n"))
    .map((pattern) => {
      const source = options.flags.has("F")
        ? escapeRegex(pattern)
        : perl
          ? perlRegex(pattern)
          : posixRegex("grep", pattern, extended, "").source;
      if (options.flags.has("x")) return `^(?:${source})$`;
      return options.flags.has("w") ? `(?<!\\w)(?:${source})(?!\\w)` : `(?:${source})`;
    });
  return new RegExp(sources.join("|"), options.flags.has("i") ? "gi" : "g");
}

/** Indices of the lines that are printed: those chosen and their neighbours. */
function withContext(chosen: readonly number[], before: number, after: number, count: number): number[] {
  const shown = new Set<number>();
  for (const i of chosen)
    for (let j = Math.max(0, i - before); j <= Math.min(count - 1, i + after); j++) shown.add(j);
  return [...shown].sort((a, b) => a - b);
}

interface GrepWords {
  readonly options: Options;
  readonly regex: RegExp;
  /** Files, `-` for the standard input. */
  readonly files: readonly string[];
  readonly named: boolean;
}

function grepWords(argv: readonly string[]): GrepWords {
  const words = argv.filter((word) => !/^--(?:colou?r(=.*)?|line-buffered)$/.test(word));
  const options = getopt("grep", words, "viEFcoqnwxhHlsPa", "eABCm", LONG);
  const given = options.values.get("e");
  const operands = [...options.operands];
  const patterns = given ?? (operands.length > 0 ? [operands.shift()!] : null);
  if (patterns === null)
    throw new UsageError(
      "Usage: grep [OPTION]... PATTERNS [FILE]...\nTry 'grep --help' for more information.",
      2,
    );
  const regex = compile(options, patterns);
  const files = operands.length === 0 ? ["-"] : operands;
  const named = (files.length > 1 || options.flags.has("H")) && !options.flags.has("h");
  return { options, regex, files, named };
}

export const grep: Utility = (argv, context) => {
  const { options, regex, files, named } = grepWords(argv);
  let stdout = "";
  let any = false;
  for (const file of files) {
    const text = file === "-" ? context.stdin : context.read(file);
    const found = grepText(text, regex, options, named ? `${file === "-" ? "(standard input)" : file}` : "");
    any ||= found.matched;
    stdout += options.flags.has("l") ? (found.matched ? `${file}\n` : "") : found.text;
  }
  return output(options.flags.has("q") ? "" : stdout, any ? 0 : 1);
};

function grepText(
  text: string,
  regex: RegExp,
  options: Options,
  prefix: string,
): { text: string; matched: boolean } {
  const lines = linesOf(text);
  const invert = options.flags.has("v");
  const limit = Number(lastValue(options, "m") ?? Number.POSITIVE_INFINITY);
  const chosen: number[] = [];
  for (let i = 0; i < lines.length && chosen.length < limit; i++) {
    regex.lastIndex = 0;
    if (regex.test(lines[i]) !== invert) chosen.push(i);
  }
  const matched = chosen.length > 0;
  const head = prefix === "" ? "" : `${prefix}:`;
  if (options.flags.has("c")) return { text: `${head}${chosen.length}\n`, matched };
  const label = (i: number, mark: string) =>
    (prefix === "" ? "" : prefix + mark) + (options.flags.has("n") ? `${i + 1}${mark}` : "");
  if (options.flags.has("o")) {
    const parts = chosen.flatMap((i) =>
      (lines[i].match(regex) ?? []).filter((m) => m !== "").map((m) => label(i, ":") + m),
    );
    return { text: joinLines(parts), matched };
  }
  const around = Number(lastValue(options, "C") ?? 0);
  const before = Number(lastValue(options, "B") ?? around);
  const after = Number(lastValue(options, "A") ?? around);
  const printed: string[] = [];
  let last = -1;
  for (const i of withContext(chosen, before, after, lines.length)) {
    if (before + after > 0 && last >= 0 && i > last + 1) printed.push("--");
    printed.push(label(i, chosen.includes(i) ? ":" : "-") + lines[i]);
    last = i;
  }
  return { text: joinLines(printed), matched };
}

/** Line by line; what prints neighbours of lines, or names of files, takes the whole input. */
export const grepStream: StreamUtility = (argv) => {
  const { options, regex, files, named } = grepWords(argv);
  const { flags, values } = options;
  const whole = flags.has("l") || values.has("A") || values.has("B") || values.has("C");
  if (whole || files.length > 1 || files[0] !== "-") return null;
  const limit = Number(lastValue(options, "m") ?? Number.POSITIVE_INFINITY);
  const silent = flags.has("q") || flags.has("c");
  const label = named ? "(standard input):" : "";
  let number = 0;
  let count = 0;
  return new ByLine(
    (line, stream) => {
      number++;
      const found = grepText(`${line}\n`, regex, options, "");
      if (!found.matched) return "";
      count++;
      stream.done = flags.has("q") || count >= limit;
      if (silent) return "";
      const place = label + (flags.has("n") ? `${number}:` : "");
      return linesOf(found.text)
        .map((text) => `${place}${flags.has("n") ? text.replace(/^\d+:/, "") : text}\n`)
        .join("");
    },
    () => output(flags.has("c") && !flags.has("q") ? `${label}${count}\n` : "", count > 0 ? 0 : 1),
  );
};
