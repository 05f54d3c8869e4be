/** Options of the docker command (spf13/pflag, cli/cobra.go): long and short names, values, the texts of refusals. */
import { NotModelledError, UsageError } from "../../util/errors.ts";

/**
 * `NAME[,SHORT][=]`: with `=` the option takes a value, and may come several times; with a `!` at the end it exists but
 * is not modelled.
 */
export type FlagSpec = string;

export interface CommandSpec {
  /** `docker service create` */
  readonly path: string;
  /** `[OPTIONS] IMAGE [COMMAND] [ARG...]` */
  readonly usage: string;
  readonly short: string;
  readonly flags: readonly FlagSpec[];
  readonly min: number;
  /** -1: no limit. */
  readonly max: number;
  /** Options end at the first argument. */
  readonly stopAtArgument?: boolean;
}

interface Flag {
  readonly name: string;
  readonly short: string;
  readonly value: boolean;
  readonly modelled: boolean;
}

const FLAG_ERROR_STATUS = 125;

export class Flags {
  private readonly values = new Map<string, string[]>();
  readonly args: string[] = [];

  add(name: string, value: string): void {
    const list = this.values.get(name);
    if (list === undefined) this.values.set(name, [value]);
    else list.push(value);
  }

  /** Whether a switch is on. */
  on(name: string): boolean {
    const value = this.values.get(name)?.at(-1);
    return value !== undefined && value !== "false";
  }

  has(name: string): boolean {
    return this.values.has(name);
  }

  /** The last value, or `otherwise`. */
  get(name: string, otherwise = ""): string {
    return this.values.get(name)?.at(-1) ?? otherwise;
  }

  list(name: string): readonly string[] {
    return this.values.get(name) ?? [];
  }
}

/** Parses the words behind the command's name. UsageError with the real text, NotModelledError for what is left out. */
export function parseFlags(spec: CommandSpec, argv: readonly string[]): Flags {
  const flags = spec.flags.map(parseSpec);
  const result = new Flags();
  let i = 0;
  while (i < argv.length) {
    const word = argv[i++];
    if (word === "--") {
      result.args.push(...argv.slice(i));
      break;
    }
    if (word.startsWith("--")) i = longFlag(spec, flags, result, word, argv, i);
    else if (word.length > 1 && word.startsWith("-")) i = shortFlags(spec, flags, result, word, argv, i);
    else {
      result.args.push(word);
      if (spec.stopAtArgument === true) {
        result.args.push(...argv.slice(i));
        break;
      }
    }
  }
  checkCount(spec, result.args.length);
  return result;
}

function parseSpec(text: FlagSpec): Flag {
  const modelled = !text.endsWith("!");
  const body = modelled ? text : text.slice(0, -1);
  const value = body.endsWith("=");
  const [name, short = ""] = (value ? body.slice(0, -1) : body).split(",");
  return { name, short, value, modelled };
}

function longFlag(
  spec: CommandSpec,
  flags: readonly Flag[],
  result: Flags,
  word: string,
  argv: readonly string[],
  next: number,
): number {
  const equals = word.indexOf("=");
  const name = word.slice(2, equals < 0 ? undefined : equals);
  const flag = flags.find((candidate) => candidate.name === name);
  if (name === "help") throw new UsageError(helpText(spec), 0);
  if (flag === undefined) throw flagError(spec, `unknown flag: --${name}`);
  checkModelled(spec, flag);
  if (equals >= 0) result.add(name, word.slice(equals + 1));
  else if (!flag.value) result.add(name, "true");
  else {
    if (next >= argv.length) throw flagError(spec, `flag needs an argument: --${name}`);
    result.add(name, argv[next]);
    return next + 1;
  }
  return next;
}

function shortFlags(
  spec: CommandSpec,
  flags: readonly Flag[],
  result: Flags,
  word: string,
  argv: readonly string[],
  next: number,
): number {
  for (let k = 1; k < word.length; k++) {
    const flag = flags.find((candidate) => candidate.short === word[k]);
    if (flag === undefined) throw flagError(spec, `unknown shorthand flag: '${word[k]}' in ${word}`);
    checkModelled(spec, flag);
    if (!flag.value) {
      result.add(flag.name, "true");
      continue;
    }
    const rest = word.slice(k + 1).replace(/^=/, "");
    if (rest !== "") {
      result.add(flag.name, rest);
      return next;
    }
    if (next >= argv.length) throw flagError(spec, `flag needs an argument: '${word[k]}' in ${word}`);
    result.add(flag.name, argv[next]);
    return next + 1;
  }
  return next;
}

function checkModelled(spec: CommandSpec, flag: Flag): void {
  if (!flag.modelled) throw new NotModelledError(`${spec.path} --${flag.name}`);
}

function flagError(spec: CommandSpec, text: string): UsageError {
  return new UsageError(`${text}\nSee '${spec.path} --help'.\n`, FLAG_ERROR_STATUS);
}

function helpText(spec: CommandSpec): string {
  return `\nUsage:  ${spec.path} ${spec.usage}\n\n${spec.short}\n`;
}

function checkCount(spec: CommandSpec, count: number): void {
  const { min, max } = spec;
  if (count >= min && (max < 0 || count <= max)) return;
  const plural = (n: number): string => (n === 1 ? "argument" : "arguments");
  let wants: string;
  if (max === 0) wants = "accepts no arguments";
  else if (min === max) wants = `requires exactly ${min} ${plural(min)}`;
  else if (max < 0) wants = `requires at least ${min} ${plural(min)}`;
  else if (min === 0) wants = `requires at most ${max} ${plural(max)}`;
  else wants = `requires at least ${min} and at most ${max} ${plural(max)}`;
  const usage = `Usage:  ${spec.path} ${spec.usage}`;
  throw new UsageError(
    `"${spec.path}" ${wants}.\nSee '${spec.path} --help'.\n\n${usage}\n\n${spec.short}\n`,
    1,
  );
}
