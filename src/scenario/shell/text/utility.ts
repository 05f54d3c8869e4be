/** What the text utilities (coreutils, grep, sed, awk) have in common: their shape and their options. */
import type { ToolOutput } from "../../../tools/tool.ts";
import { NotModelledError, UsageError } from "../../../util/errors.ts";
import type { FileKind } from "../files.ts";

export interface UtilityContext {
  /** What is piped in. */
  readonly stdin: string;
  /** Text of a file; throws SysError ENOENT. `-` is the standard input. */
  read(path: string): string;
  write(path: string, text: string): void;
  /** What a name stands for; null: nothing. */
  kind(path: string): FileKind | null;
}

/** `argv` is without the command's name. */
export type Utility = (argv: readonly string[], context: UtilityContext) => ToolOutput;

/** A utility at work on a standard input that comes bit by bit. */
export interface Streaming {
  /** What it prints about the next part of its input. */
  feed(text: string): string;
  /** It wants no more input. */
  readonly done: boolean;
  /** It asks for no input, and never ends. */
  readonly endless?: boolean;
  /** The input ended, or it is done: the rest of its output, and its status. */
  end(): ToolOutput;
}

/** The same utility on a pipe; null where these words need the whole input first, or none. */
export type StreamUtility = (argv: readonly string[], context: UtilityContext) => Streaming | null;

/** A utility that takes a line at a time. */
export class ByLine implements Streaming {
  done = false;
  private rest = "";
  private readonly line: (line: string, stream: ByLine) => string;
  private readonly finish: () => ToolOutput;

  /** `line` gives what is printed about one line, and sets `done`. */
  constructor(line: (line: string, stream: ByLine) => string, finish: () => ToolOutput) {
    this.line = line;
    this.finish = finish;
  }

  feed(text: string): string {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop()!;
    let printed = "";
    for (let i = 0; i < lines.length && !this.done; i++) printed += this.line(lines[i], this);
    return printed;
  }

  end(): ToolOutput {
    const last = this.done || this.rest === "" ? "" : this.line(this.rest, this);
    const { stdout, stderr, status } = this.finish();
    return { stdout: last + stdout, stderr, status };
  }
}

export interface Options {
  readonly flags: ReadonlySet<string>;
  readonly values: ReadonlyMap<string, readonly string[]>;
  readonly operands: readonly string[];
}

/**
 * Splits words into single-letter flags, options with a value, and operands. `flags` and `valued` list the letters (or
 * long names with their dashes). What is not listed throws NotModelledError.
 */
export function getopt(
  name: string,
  argv: readonly string[],
  flags: string,
  valued: string,
  long: Record<string, string> = {},
): Options {
  const found = new Set<string>();
  const values = new Map<string, string[]>();
  const operands: string[] = [];
  const keep = (letter: string, value: string) => values.set(letter, [...(values.get(letter) ?? []), value]);
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i];
    if (word === "--") {
      operands.push(...argv.slice(i + 1));
      break;
    }
    if (word.startsWith("--")) {
      const [head, value] = word.split(/=(.*)/s);
      const letter = long[head];
      if (letter === undefined) throw new NotModelledError(`${name} ${head}`);
      if (flags.includes(letter)) found.add(letter);
      else keep(letter, value ?? argv[++i] ?? missing(name, head));
      continue;
    }
    if (!word.startsWith("-") || word === "-") {
      operands.push(word);
      continue;
    }
    for (let j = 1; j < word.length; j++) {
      const letter = word[j];
      if (valued.includes(letter)) {
        keep(letter, word.slice(j + 1) || (argv[++i] ?? missing(name, letter)));
        break;
      }
      if (!flags.includes(letter)) throw new NotModelledError(`${name} -${letter}`);
      found.add(letter);
    }
  }
  return { flags: found, values, operands };
}

function missing(name: string, option: string): never {
  const what = option.startsWith("-")
    ? `option '${option}' requires an argument`
    : `option requires an argument -- '${option}'`;
  throw new UsageError(`${name}: ${what}\nTry '${name} --help' for more information.`, 1);
}

export function lastValue(options: Options, letter: string): string | undefined {
  return options.values.get(letter)?.at(-1);
}

/** Lines without their ends; text that does not end in a line end still gives its last line. */
export function linesOf(text: string): string[] {
  if (text === "") return [];
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

export function joinLines(lines: readonly string[]): string {
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

export function output(stdout: string, status = 0, stderr = ""): ToolOutput {
  return { stdout, stderr, status };
}

/** The text of all the files named, or the standard input. */
export function readAll(operands: readonly string[], context: UtilityContext): string {
  return operands.length === 0 ? context.stdin : operands.map((path) => context.read(path)).join("");
}
