/** Utilities of coreutils 9.1 that choose and order lines: head, tail, wc, sort, uniq, cut, tr, tac, nl. */
import type { ToolOutput } from "../../../tools/tool.ts";
import { NotModelledError, UsageError } from "../../../util/errors.ts";
import {
  ByLine,
  getopt,
  joinLines,
  lastValue,
  linesOf,
  type Options,
  output,
  readAll,
  type StreamUtility,
  type Utility,
  type UtilityContext,
} from "./utility.ts";

/** `-5` is an old form of `-n 5`. */
const oldCount = (argv: readonly string[]) =>
  argv.map((word) => (/^-\d+$/.test(word) ? `-n${word.slice(1)}` : word));

function countOf(name: string, text: string): number {
  if (!/^[+-]?\d+$/.test(text)) throw new UsageError(`${name}: invalid number of lines: ‘${text}’`, 1);
  return Number(text);
}

/** Runs `part` on each file by itself; from two files on each comes under its name. */
function eachFile(
  { operands, flags }: Options,
  context: UtilityContext,
  part: (text: string) => string,
): ToolOutput {
  if (operands.length < 2 || flags.has("q")) {
    const texts = operands.length === 0 ? [context.stdin] : operands.map((path) => context.read(path));
    return output(texts.map(part).join(""));
  }
  const title = (path: string) => `==> ${path === "-" ? "standard input" : path} <==\n`;
  return output(operands.map((path) => title(path) + part(context.read(path))).join("\n"));
}

const headOptions = (argv: readonly string[]) =>
  getopt("head", oldCount(argv), "q", "nc", { "--lines": "n", "--bytes": "c" });

export const head: Utility = (argv, context) => {
  const options = headOptions(argv);
  const bytes = lastValue(options, "c");
  return eachFile(options, context, (text) => {
    if (bytes !== undefined) return text.slice(0, countOf("head", bytes));
    return joinLines(linesOf(text).slice(0, countOf("head", lastValue(options, "n") ?? "10")));
  });
};

/** Takes no more than it prints; `-n -N` knows its last line at the end only. */
export const headStream: StreamUtility = (argv) => {
  const options = headOptions(argv);
  const bytes = lastValue(options, "c");
  const wanted = countOf("head", bytes ?? lastValue(options, "n") ?? "10");
  if (options.operands.length > 0 || wanted < 0) return null;
  let left = wanted;
  if (bytes === undefined) {
    const stream = new ByLine(
      (line, self) => {
        self.done = --left <= 0;
        return `${line}\n`;
      },
      () => output(""),
    );
    stream.done = left === 0;
    return stream;
  }
  return {
    get done() {
      return left === 0;
    },
    feed(text) {
      const part = text.slice(0, left);
      left -= part.length;
      return part;
    },
    end: () => output(""),
  };
};

export const tail: Utility = (argv, context) => {
  const options = getopt("tail", oldCount(argv), "q", "nc", { "--lines": "n", "--bytes": "c" });
  const bytes = lastValue(options, "c");
  return eachFile(options, context, (text) => {
    if (bytes !== undefined) return text.slice(-countOf("tail", bytes));
    const wanted = lastValue(options, "n") ?? "10";
    const count = Math.abs(countOf("tail", wanted));
    const lines = linesOf(text);
    if (wanted.startsWith("+")) return joinLines(lines.slice(Math.max(0, count - 1)));
    return joinLines(count === 0 ? [] : lines.slice(-count));
  });
};

export const wc: Utility = (argv, context) => {
  const options = getopt("wc", argv, "lwcm", "", {
    "--lines": "l",
    "--words": "w",
    "--bytes": "c",
    "--chars": "m",
  });
  const all = options.flags.size === 0;
  const measure = (text: string) => {
    const counts: number[] = [];
    if (all || options.flags.has("l")) counts.push(text.split("\n").length - 1);
    if (all || options.flags.has("w")) counts.push(text.split(/\s+/).filter((word) => word !== "").length);
    if (all || options.flags.has("c") || options.flags.has("m")) counts.push(text.length);
    return counts;
  };
  if (options.operands.length === 0) {
    const counts = measure(context.stdin);
    const width = counts.length > 1 ? 7 : 1;
    return output(`${counts.map((count) => String(count).padStart(width)).join(" ")}\n`);
  }
  const rows = options.operands.map((path) => ({ path, counts: measure(context.read(path)) }));
  if (rows.length > 1)
    rows.push({
      path: "total",
      counts: rows[0].counts.map((_, i) => rows.reduce((sum, row) => sum + row.counts[i], 0)),
    });
  const width = Math.max(...rows.flatMap((row) => row.counts.map((count) => String(count).length)));
  return output(
    joinLines(rows.map((row) => `${row.counts.map((n) => String(n).padStart(width)).join(" ")} ${row.path}`)),
  );
};

interface SortKey {
  readonly from: number;
  readonly to: number;
  readonly numeric: boolean;
  readonly reverse: boolean;
}

function sortKey(text: string, numeric: boolean, reverse: boolean): SortKey {
  const found = /^(\d+)(?:\.\d+)?([nrVb]*)(?:,(\d+)(?:\.\d+)?([nrVb]*))?$/.exec(text);
  if (found === null) throw new NotModelledError(`sort -k ${text}`);
  const letters = found[2] + (found[4] ?? "");
  const to = found[3] === undefined ? Number.POSITIVE_INFINITY : Number(found[3]);
  return {
    from: Number(found[1]),
    to,
    numeric: numeric || letters.includes("n") || letters.includes("V"),
    reverse: reverse || letters.includes("r"),
  };
}

const leadingNumber = (text: string) => Number(/^\s*(-?\d*\.?\d*)/.exec(text)?.[1] || 0);
const byCode = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** Version order of `sort -V`: runs of digits compare as numbers. */
function byVersion(a: string, b: string): number {
  const left = a.split(/(\d+)/);
  const right = b.split(/(\d+)/);
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const order = i % 2 === 1 ? Number(left[i]) - Number(right[i]) : byCode(left[i], right[i]);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

export const sort: Utility = (argv, context) => {
  const options = getopt("sort", argv, "nurVbs", "kt", {
    "--unique": "u",
    "--reverse": "r",
    "--numeric-sort": "n",
  });
  const lines = linesOf(readAll(options.operands, context));
  const numeric = options.flags.has("n");
  const reverse = options.flags.has("r");
  const version = options.flags.has("V");
  const separator = lastValue(options, "t");
  const keys = (options.values.get("k") ?? []).map((text) => sortKey(text, numeric, reverse));
  const split = (line: string) =>
    separator !== undefined ? line.split(separator) : line.trimStart().split(/\s+/);
  const field = (line: string, key: SortKey) =>
    split(line)
      .slice(key.from - 1, key.to)
      .join(separator ?? " ");
  const order = (a: string, b: string): number => {
    for (const key of keys) {
      const [x, y] = [field(a, key), field(b, key)];
      const way = key.numeric ? leadingNumber(x) - leadingNumber(y) : byCode(x, y);
      if (way !== 0) return key.reverse ? -way : way;
    }
    if (keys.length > 0 && options.flags.has("u")) return 0;
    const way = version
      ? byVersion(a, b)
      : numeric && keys.length === 0
        ? leadingNumber(a) - leadingNumber(b)
        : 0;
    const final = way !== 0 || (numeric && options.flags.has("u")) ? way : byCode(a, b);
    return reverse ? -final : final;
  };
  const sorted = [...lines].sort(order);
  return output(
    joinLines(
      options.flags.has("u")
        ? sorted.filter((line, i) => i === 0 || order(sorted[i - 1], line) !== 0)
        : sorted,
    ),
  );
};

export const uniq: Utility = (argv, context) => {
  const options = getopt("uniq", argv, "cdui", "", { "--count": "c", "--repeated": "d", "--unique": "u" });
  const groups: { line: string; count: number }[] = [];
  for (const line of linesOf(readAll(options.operands, context))) {
    const last = groups.at(-1);
    if (last !== undefined && last.line === line) last.count++;
    else groups.push({ line, count: 1 });
  }
  const wanted = groups.filter(
    ({ count }) => (!options.flags.has("d") || count > 1) && (!options.flags.has("u") || count === 1),
  );
  const counted = options.flags.has("c");
  return output(
    joinLines(wanted.map(({ line, count }) => (counted ? `${String(count).padStart(7)} ${line}` : line))),
  );
};

/** `1,3-5,7-` as a test of an index from 1. */
function ranges(text: string): (index: number) => boolean {
  const parts = text.split(",").map((part) => {
    const found = /^(\d*)(-?)(\d*)$/.exec(part);
    if (found === null || part === "" || part === "-")
      throw new UsageError(`cut: invalid field value ‘${part}’\nTry 'cut --help' for more information.`, 1);
    const from = Number(found[1] || 1);
    return {
      from,
      to: found[2] === "" ? from : found[3] === "" ? Number.POSITIVE_INFINITY : Number(found[3]),
    };
  });
  return (index) => parts.some(({ from, to }) => index >= from && index <= to);
}

export const cut: Utility = (argv, context) => {
  const options = getopt("cut", argv, "s", "dfcb", {
    "--delimiter": "d",
    "--fields": "f",
    "--characters": "c",
  });
  const lines = linesOf(readAll(options.operands, context));
  const characters = lastValue(options, "c") ?? lastValue(options, "b");
  if (characters !== undefined) {
    const wanted = ranges(characters);
    return output(joinLines(lines.map((line) => [...line].filter((_, i) => wanted(i + 1)).join(""))));
  }
  const fields = lastValue(options, "f");
  if (fields === undefined)
    throw new UsageError(
      "cut: you must specify a list of bytes, characters, or fields\nTry 'cut --help' for more information.",
      1,
    );
  const wanted = ranges(fields);
  const delimiter = lastValue(options, "d") ?? "\t";
  const kept = options.flags.has("s") ? lines.filter((line) => line.includes(delimiter)) : lines;
  const pick = (line: string) =>
    line
      .split(delimiter)
      .filter((_, i) => wanted(i + 1))
      .join(delimiter);
  return output(joinLines(kept.map((line) => (line.includes(delimiter) ? pick(line) : line))));
};

const ESCAPES: Record<string, string> = { n: "\n", t: "\t", r: "\r", "\\": "\\" };

/** The characters of a tr set: ranges, classes and escapes written out. */
function characterSet(text: string): string[] {
  const plain = text
    .replace(/\[:upper:\]/g, "A-Z")
    .replace(/\[:lower:\]/g, "a-z")
    .replace(/\[:digit:\]/g, "0-9")
    .replace(/\[:alpha:\]/g, "A-Za-z")
    .replace(/\[:alnum:\]/g, "A-Za-z0-9")
    .replace(/\[:space:\]/g, " \\t\\n\\r")
    .replace(/\[:blank:\]/g, " \\t")
    .replace(/\\([0-7]{1,3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
    .replace(/\\(.)/g, (_, c: string) => ESCAPES[c] ?? c);
  const set: string[] = [];
  for (let i = 0; i < plain.length; i++) {
    if (plain[i + 1] !== "-" || i + 2 >= plain.length) set.push(plain[i]);
    else {
      for (let code = plain.charCodeAt(i); code <= plain.charCodeAt(i + 2); code++)
        set.push(String.fromCharCode(code));
      i += 2;
    }
  }
  return set;
}

export const tr: Utility = (argv, context) => {
  const options = getopt("tr", argv, "dsc", "", { "--delete": "d", "--squeeze-repeats": "s" });
  const [first, second] = options.operands.map(characterSet);
  if (first === undefined)
    throw new UsageError("tr: missing operand\nTry 'tr --help' for more information.", 1);
  const inFirst = (c: string) => first.includes(c) !== options.flags.has("c");
  let text = [...context.stdin];
  if (options.flags.has("d")) text = text.filter((c) => !inFirst(c));
  else if (second !== undefined) {
    const to = (c: string) =>
      options.flags.has("c") ? second.at(-1)! : second[Math.min(first.indexOf(c), second.length - 1)];
    text = text.map((c) => (inFirst(c) ? to(c) : c));
  }
  if (options.flags.has("s")) {
    const squeezed = second ?? first;
    text = text.filter((c, i) => i === 0 || c !== text[i - 1] || !squeezed.includes(c));
  }
  return output(text.join(""));
};

export const tac: Utility = (argv, context) => output(joinLines(linesOf(readAll(argv, context)).reverse()));

export const nl: Utility = (argv, context) =>
  output(
    joinLines(linesOf(readAll(argv, context)).map((line, i) => `${String(i + 1).padStart(6)}\t${line}`)),
  );
