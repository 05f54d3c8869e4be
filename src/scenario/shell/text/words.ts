/** Utilities that make text of their words: echo, printf, seq, basename, dirname; and cat, tee, column, yes. */
import { NotModelledError, UsageError } from "../../../util/errors.ts";
import { unescapeText } from "./printf.ts";
import { joinLines, output, type Utility, type UtilityContext } from "./utility.ts";

export const echo: Utility = (argv) => {
  let from = 0;
  let newline = true;
  let escapes = false;
  for (; /^-[neE]+$/.test(argv[from] ?? ""); from++) {
    if (argv[from].includes("n")) newline = false;
    if (argv[from].includes("e")) escapes = true;
    if (argv[from].includes("E")) escapes = false;
  }
  const text = argv.slice(from).join(" ");
  return output((escapes ? unescapeText(text) : text) + (newline ? "\n" : ""));
};

/** All output stays in memory. */
const MAX_NUMBERS = 1_000_000;

export const seq: Utility = (argv) => {
  const words = [...argv];
  let separator = "\n";
  if (words[0]?.startsWith("-s")) separator = words.shift()!.slice(2) || (words.shift() ?? "");
  const numbers = words.map(Number);
  if (numbers.length === 0)
    throw new UsageError("seq: missing operand\nTry 'seq --help' for more information.", 1);
  const bad = numbers.findIndex((n) => Number.isNaN(n));
  if (bad >= 0)
    throw new UsageError(
      `seq: invalid floating point argument: ‘${words[bad]}’\nTry 'seq --help' for more information.`,
      1,
    );
  const first = numbers.length > 1 ? numbers[0] : 1;
  const step = numbers.length > 2 ? numbers[1] : 1;
  const last = numbers.at(-1)!;
  if (step === 0) throw new UsageError("seq: invalid Zero increment value: ‘0’", 1);
  const count = Math.floor((last - first) / step + 1e-9) + 1;
  if (count <= 0) return output("");
  if (count > MAX_NUMBERS) throw new UsageError(`seq: more than ${MAX_NUMBERS} numbers were refused`, 1);
  return output(
    `${Array.from({ length: count }, (_, i) => String(Number((first + i * step).toFixed(9)))).join(separator)}\n`,
  );
};

export const basename: Utility = (argv) => {
  const name = argv[0].replace(/\/+$/, "").split("/").at(-1)!;
  return output(
    `${argv[1] !== undefined && name !== argv[1] && name.endsWith(argv[1]) ? name.slice(0, -argv[1].length) : name}\n`,
  );
};

export const dirname: Utility = (argv) =>
  output(`${argv[0].includes("/") ? argv[0].replace(/\/[^/]*$/, "") || "/" : "."}\n`);

export const cat: Utility = (argv, context) => {
  const files = argv.filter((word) => word === "-" || !word.startsWith("-"));
  let stdout = "";
  let stderr = "";
  for (const path of files.length === 0 ? ["-"] : files) {
    try {
      stdout += path === "-" ? context.stdin : context.read(path);
    } catch {
      stderr += `cat: ${path}: No such file or directory\n`;
    }
  }
  return output(stdout, stderr === "" ? 0 : 1, stderr);
};

export const tee: Utility = (argv, context) => {
  for (const path of argv.filter((word) => word !== "-a"))
    context.write(path, argv.includes("-a") ? readOrEmpty(context, path) + context.stdin : context.stdin);
  return output(context.stdin);
};

function readOrEmpty(context: UtilityContext, path: string): string {
  try {
    return context.read(path);
  } catch {
    return "";
  }
}

export const yes: Utility = () => {
  throw new NotModelledError("yes outside of a pipe (it never ends)");
};

export const column: Utility = (argv, context) => {
  if (!argv.includes("-t")) return output(context.stdin);
  const rows = context.stdin
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.trim().split(/\s+/));
  const widths: number[] = [];
  for (const row of rows)
    for (let i = 0; i < row.length; i++) widths[i] = Math.max(widths[i] ?? 0, row[i].length);
  return output(
    joinLines(
      rows.map((row) =>
        row.map((word, i) => (i < row.length - 1 ? word.padEnd(widths[i]) : word)).join("  "),
      ),
    ),
  );
};
