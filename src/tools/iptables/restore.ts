/** The command iptables-restore (iptables/iptables-restore.c): tables from text, each with its COMMIT or not at all. */
import type { NetNs } from "../../net/core/net-ns.ts";
import {
  IptcError,
  iptChains,
  iptDeleteChain,
  iptFlush,
  iptNewChain,
  iptPolicy,
  iptTransaction,
} from "../../net/ctl/iptables.ts";
import { problem } from "../../net/netfilter/words/extension.ts";
import { Getopt, type LongOption } from "../../net/netfilter/words/getopt.ts";
import type { TableName } from "../../net/netfilter/x-tables.ts";
import { NotModelledError, UsageError } from "../../util/errors.ts";
import type { Tool, ToolOutput } from "../tool.ts";
import { parseRestoreLine, WarnedError, waitWarning } from "./command.ts";
import { usageText } from "./iptables.ts";
import { NoTableError, runCommand, tableName } from "./run-command.ts";

interface RestoreArgs {
  readonly counters: boolean;
  readonly noflush: boolean;
  readonly test: boolean;
  readonly verbose: boolean;
  readonly table: string | null;
  readonly text: string;
  /** What the options say on stderr. */
  readonly warnings: string;
}

/** Ends the run: text for stderr, exit status, and what was printed before. */
class RestoreError extends UsageError {
  readonly stdout: string;
  constructor(stderr: string, status: number, stdout = "") {
    super(stderr, status);
    this.stdout = stdout;
  }
}

const LONG: readonly LongOption[] = [
  { name: "counters", arg: "none", key: "c" },
  { name: "verbose", arg: "none", key: "v" },
  { name: "version", arg: "none", key: "V" },
  { name: "test", arg: "none", key: "t" },
  { name: "help", arg: "none", key: "h" },
  { name: "noflush", arg: "none", key: "n" },
  { name: "modprobe", arg: "required", key: "M" },
  { name: "table", arg: "required", key: "T" },
  { name: "wait", arg: "optional", key: "w" },
  { name: "wait-interval", arg: "optional", key: "W" },
];

function parse(argv: readonly string[], context: { stdin: string; files: Map<string, string> }): RestoreArgs {
  const getopt = new Getopt(argv, "bcvVthnwWM:T:");
  const seen = new Set<string>();
  const files: string[] = [];
  let table: string | null = null;
  let warnings = "";
  for (let opt = getopt.next(LONG); opt.kind !== "end"; opt = getopt.next(LONG)) {
    if (opt.kind === "word") files.push(opt.word);
    else if (opt.kind !== "option") throw badOption(opt);
    else if (opt.key === "T") table = opt.value;
    else if (opt.key === "h" || opt.key === "V") throw new NotModelledError(`iptables-restore -${opt.key}`);
    else if (opt.key === "w" || opt.key === "W")
      warnings += waitOption(opt.key, opt.value ?? getopt.argument());
    else if (opt.key === "b") warnings += "-b/--binary option is not implemented\n";
    else if (opt.key === "v" && seen.has("v")) throw new NotModelledError("iptables-restore -vv");
    if (opt.kind === "option") seen.add(opt.key);
  }
  files.push(...argv.slice(getopt.index));
  if (files.length > 1) throw new RestoreError("Unknown arguments found on commandline\n", 1);
  const text = files.length === 0 ? context.stdin : context.files.get(files[0]);
  if (text === undefined) throw new RestoreError(`Can't open ${files[0]}: No such file or directory\n`, 1);
  if (seen.has("W") && !seen.has("w"))
    throw new RestoreError(`${warnings}Option --wait-interval requires option --wait\n`, 1);
  const [counters, noflush, test, verbose] = ["c", "n", "t", "v"].map((key) => seen.has(key));
  return { counters, noflush, test, verbose, table, text, warnings };
}

/** The time of -w or -W, which changes nothing; the line for stderr. */
function waitOption(letter: "w" | "W", value: string | null): string {
  try {
    return waitWarning(letter, value);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new RestoreError(usageText("iptables-restore", error.message, "Error occurred at line: 0\n"), 2);
  }
}

function badOption(opt: { kind: "missing" | "unknown"; text: string }): RestoreError {
  const long = opt.text.startsWith("--");
  const lacks = long
    ? `option '${opt.text}' requires an argument`
    : `option requires an argument -- '${opt.text.slice(1)}'`;
  const wrong = long ? `unrecognized option '${opt.text}'` : `invalid option -- '${opt.text.slice(1)}'`;
  const what = opt.kind === "missing" ? lacks : wrong;
  return new RestoreError(`iptables-restore: ${what}\nTry \`iptables-restore -h' for more information.\n`, 1);
}

/** A test run ends here: everything is taken back. */
class TakeBack extends Error {}

class Restorer {
  private readonly ns: NetNs;
  private readonly args: RestoreArgs;
  /** With their line ends. */
  private readonly lines: readonly string[];
  private readonly output: string[] = [];
  readonly warnings: string[] = [];
  /** Index of the line at work. */
  private at = 0;

  constructor(ns: NetNs, args: RestoreArgs) {
    this.ns = ns;
    this.args = args;
    this.lines = args.text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  }

  run(): string {
    /** The table that was begun last, "" before the first. */
    let current = "";
    for (; this.at < this.lines.length; this.at++) {
      const line = this.lines[this.at];
      if (this.skipped(line)) continue;
      if (!line.startsWith("*")) {
        if (this.args.table === null || this.args.table === current) this.fail();
        continue;
      }
      current = firstWord(line.slice(1));
      if (current === "")
        this.located(() => problem(`iptables-restore: line ${this.at + 1} table name invalid`));
      if (this.args.table === null || this.args.table === current) this.table(current);
    }
    return this.output.join("");
  }

  /** Empty lines and comments. */
  private skipped(line: string): boolean {
    if (line.startsWith("#") && this.args.verbose) this.output.push(line);
    return line === "\n" || line.startsWith("#");
  }

  private table(word: string): void {
    const name = this.located(() => {
      try {
        return tableName(word);
      } catch (error) {
        if (error instanceof NoTableError) problem(`iptables-restore: unable to initialize table '${word}'`);
        throw error;
      }
    });
    try {
      iptTransaction(this.ns, name, () => this.block(name));
    } catch (error) {
      if (error instanceof TakeBack) return;
      // What only the kernel refuses shows when the table is handed to it, at its COMMIT.
      if (error instanceof IptcError) this.fail();
      throw error;
    }
  }

  /** From the line behind `*table` to COMMIT. */
  private block(name: TableName): void {
    if (!this.args.noflush) this.clear(name);
    for (this.at++; this.at < this.lines.length; this.at++) {
      const line = this.lines[this.at];
      if (this.skipped(line)) continue;
      if (line === "COMMIT\n") {
        if (this.args.test) throw new TakeBack();
        return;
      }
      this.located(() => (line.startsWith(":") ? this.chainLine(name, line) : this.ruleLine(name, line)));
    }
    throw this.error(`iptables-restore: COMMIT expected at line ${this.lines.length + 1}\n`, 1);
  }

  private clear(name: TableName): void {
    if (this.args.verbose)
      for (const chain of iptChains(this.ns, name)) this.output.push(`Flushing chain \`${chain.name}'\n`);
    iptFlush(this.ns, name, null);
    for (const chain of iptChains(this.ns, name).filter((entry) => entry.hook === -1)) {
      if (this.args.verbose) this.output.push(`Deleting chain \`${chain.name}'\n`);
      iptDeleteChain(this.ns, name, chain.name);
    }
  }

  private chainLine(table: TableName, line: string): void {
    const [name = "", policy, counters] = line
      .slice(1)
      .split(/[ \t\n]/)
      .filter((word) => word !== "");
    if (name === "") problem(`iptables-restore: line ${this.at + 1} chain name invalid`);
    if (name.length >= 29) problem(`Invalid chain name \`${name}' (28 chars max)`);
    const known = iptChains(this.ns, table).find((chain) => chain.name === name);
    if (known === undefined || known.hook === -1) this.userChain(table, name, known !== undefined);
    if (policy === undefined) problem(`iptables-restore: line ${this.at + 1} policy invalid`);
    if (policy === "-") return;
    this.setPolicy(table, name, policy, counters);
  }

  private userChain(table: TableName, name: string, exists: boolean): void {
    if (exists && this.args.noflush) iptFlush(this.ns, table, name);
    else if (exists || !this.newChain(table, name)) problem(`error creating chain '${name}':File exists`);
  }

  private newChain(table: TableName, name: string): boolean {
    try {
      iptNewChain(this.ns, table, name);
      return true;
    } catch (error) {
      if (error instanceof IptcError) return false;
      throw error;
    }
  }

  private setPolicy(table: TableName, name: string, policy: string, counters: string | undefined): void {
    const found = /^\[\s*\+?([0-9]+):\s*\+?([0-9]+)/.exec(counters ?? "");
    if (this.args.counters && found === null) problem(`invalid policy counters for chain '${name}'`);
    try {
      iptPolicy(this.ns, table, name, policy);
    } catch (error) {
      if (!(error instanceof IptcError)) throw error;
      const text = `Can't set policy \`${policy}' on \`${name}' line ${this.at + 1}: ${error.text}`;
      throw this.error(`iptables-restore v1.8.9 (legacy): ${text}\n`, 1);
    }
    if (!this.args.counters) return;
    iptChains(this.ns, table)
      .find((chain) => chain.name === name)!
      .setCounters(Number(found![1]), Number(found![2]));
  }

  private ruleLine(table: TableName, line: string): void {
    const { counters, rest } = splitCounters(line, this.at + 1);
    const words: string[] = [];
    if (this.args.verbose && !this.args.noflush) words.push("-v");
    if (counters !== null && this.args.counters) words.push("--set-counters", ...counters);
    words.push(...splitWords(rest));
    try {
      const command = parseRestoreLine(words, table);
      if (command === null) return;
      this.warnings.push(command.warnings);
      runCommand(this.ns, command, (text) => this.output.push(text));
    } catch (error) {
      if (error instanceof WarnedError) this.warnings.push(error.warnings);
      if (!(error instanceof IptcError)) throw error;
      this.fail();
    }
  }

  private fail(): never {
    throw this.error(`iptables-restore: line ${this.at + 1} failed\n`, 1);
  }

  /** The end of the run, behind what was said before. */
  private error(text: string, status: number): RestoreError {
    return new RestoreError(this.warnings.join("") + text, status, this.output.join(""));
  }

  /** Adds the line to what is said about bad words. */
  private located<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof UsageError) || error instanceof RestoreError) throw error;
      const where = `Error occurred at line: ${this.at + 1}\n`;
      throw this.error(usageText("iptables-restore", error.message, where), error.status);
    }
  }
}

function firstWord(text: string): string {
  return text.split(/[ \t\n]/).find((word) => word !== "") ?? "";
}

/** `[PACKETS:BYTES]` before a rule (tokenize_rule_counters). */
function splitCounters(line: string, number: number): { counters: [string, string] | null; rest: string } {
  if (!line.startsWith("[")) return { counters: null, rest: line };
  const end = line.indexOf("]");
  if (end < 0) problem(`Bad line ${number}: need ]`);
  const inside = line.slice(1).replace(/^:+/, "");
  const colon = inside.indexOf(":");
  const bytes = colon < 0 ? "" : inside.slice(colon + 1).replace(/^\]+/, "");
  if (bytes === "") problem(`Bad line ${number}: need ]`);
  // The colon is where the text is cut, wherever it stands.
  const cut = line.length - inside.length + colon;
  return {
    counters: [inside.slice(0, colon), bytes.split("]")[0]],
    rest: line.slice(end + 1, cut > end ? cut : undefined),
  };
}

const MAX_WORD = 1024;

/**
 * Words of a line (add_param_to_argv): by blanks; a closing quote ends a word too, and in quotes a backslash takes the next
 * character as it is.
 */
function splitWords(line: string): string[] {
  const words: string[] = [];
  let word = "";
  let quoted = false;
  for (let i = 0; i < line.length; i++) {
    const c = line[i];
    const escaped = quoted && c === "\\";
    if (escaped && ++i >= line.length) break;
    if (c === '"' && !quoted) {
      quoted = true;
    } else if (!escaped && (quoted ? c === '"' : c === " " || c === "\t" || c === "\n")) {
      if (quoted || word !== "") words.push(word);
      quoted = false;
      word = "";
    } else {
      word += line[i];
      if (word.length >= MAX_WORD) problem("Parameter too long!");
    }
  }
  if (word !== "") words.push(word);
  return words;
}

/** Restores tables from text, as `iptables-restore` does with its standard input; returns what it prints. */
export function restoreText(
  ns: NetNs,
  text: string,
  flags: { counters?: boolean; noflush?: boolean } = {},
): string {
  const { counters = false, noflush = false } = flags;
  return new Restorer(ns, {
    counters,
    noflush,
    test: false,
    verbose: false,
    table: null,
    text,
    warnings: "",
  }).run();
}

export const iptablesRestoreTool: Tool<RestoreArgs, ToolOutput> = {
  name: "iptables-restore",
  parse,
  run: (args, { ns }) => {
    const restorer = new Restorer(ns, args);
    const stdout = restorer.run();
    return { stdout, stderr: args.warnings + restorer.warnings.join(""), status: 0 };
  },
  render: (output) => output,
  failure: (error, args): ToolOutput | null =>
    error instanceof RestoreError
      ? { stdout: error.stdout, stderr: (args?.warnings ?? "") + error.message, status: error.status }
      : null,
};
