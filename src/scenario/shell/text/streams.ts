/** The utilities that take a pipe bit by bit: what they print can be read while they run, and some end before their input does. */
import { awkStream } from "./awk.ts";
import { grepStream } from "./grep.ts";
import { cut, headStream, tr } from "./lines.ts";
import { sedStream } from "./sed.ts";
import { ByLine, output, type Streaming, type StreamUtility, type UtilityContext } from "./utility.ts";
import { tee } from "./words.ts";

const SILENT = () => output("");
const YES_BLOCK = 8192;

function withInput({ read, write, kind }: UtilityContext, stdin: string): UtilityContext {
  return { stdin, read, write, kind };
}

/** Passes on what comes; with words it reads files too. */
const catStream: StreamUtility = (argv) =>
  argv.length > 0 && (argv.length > 1 || argv[0] !== "-")
    ? null
    : { done: false, feed: (text) => text, end: SILENT };

/** Every part goes into the files as well, behind what is there from the second on. */
const teeStream: StreamUtility = (argv, context) => {
  const part = (words: readonly string[], text: string) => tee(words, withInput(context, text));
  part(argv, "");
  const appending = argv.includes("-a") ? argv : ["-a", ...argv];
  return { done: false, feed: (text) => part(appending, text).stdout, end: SILENT };
};

/** `cut` of the standard input: no word but options and their values. */
const cutStream: StreamUtility = (argv, context) => {
  if (!argv.every((word, i) => word.startsWith("-") || /^-[a-z]*[dfcb]$/.test(argv[i - 1] ?? "")))
    return null;
  const part = (text: string): string => cut(argv, withInput(context, text)).stdout;
  part("");
  return new ByLine((line) => part(`${line}\n`), SILENT);
};

/** Every character by itself; with -s the one before counts too. */
const trStream: StreamUtility = (argv, context) => {
  if (argv.some((word) => /^-\w*s|^--squeeze/.test(word))) return null;
  const part = (text: string): string => tr(argv, withInput(context, text)).stdout;
  part("");
  return { done: false, feed: part, end: SILENT };
};

/** Words, over and over. */
const yesStream: StreamUtility = (argv) => endless(`${argv.length === 0 ? "y" : argv.join(" ")}\n`);

function endless(line: string): Streaming {
  const block = line.repeat(Math.ceil(YES_BLOCK / line.length));
  return { done: false, endless: true, feed: () => block, end: SILENT };
}

export const STREAMS: ReadonlyMap<string, StreamUtility> = new Map<string, StreamUtility>([
  ["awk", awkStream],
  ["mawk", awkStream],
  ["gawk", awkStream],
  ["grep", grepStream],
  ["egrep", (argv, context) => grepStream(["-E", ...argv], context)],
  ["fgrep", (argv, context) => grepStream(["-F", ...argv], context)],
  ["sed", sedStream],
  ["head", headStream],
  ["cat", catStream],
  ["tee", teeStream],
  ["cut", cutStream],
  ["tr", trStream],
  ["yes", yesStream],
]);

/** Writes what it has at once, as its words or its nature say; the others keep it in a stdio buffer. */
export function writesAtOnce(name: string, argv: readonly string[]): boolean {
  if (name === "cat" || name === "tee") return true;
  if (name.endsWith("awk")) return argv.some((word) => /^(?:-W ?)?interactive$/.test(word));
  if (name === "sed") return argv.some((word) => /^-[a-zA-Z]*u|^--unbuffered$/.test(word));
  return name.endsWith("grep") && argv.includes("--line-buffered");
}
