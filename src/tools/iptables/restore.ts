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
import { parseCommand } from "./command.ts";
import { usageText } from "./iptables.ts";
import { NoTableError, runCommand, tableName } from "./run-command.ts";

interface RestoreArgs {
  readonly counters: boolean;
  readonly noflush: boolean;
  readonly test: boolean;
  readonly verbose: boolean;
  readonly table: string | null;
  /** null: standard input. */
  readonly file: string | null;
  readonly text: string;
}

/** Ends the run: text for stderr, exit status. */
class RestoreError extends UsageError {}

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
  let table: string | null = null;
  let file: string | null = null;
  for (let opt = getopt.next(LONG); opt.kind !== "end"; opt = getopt.next(LONG)) {
    if (opt.kind === "word") file = opt.word;
    else if (opt.kind !== "option") throw badOption(opt);
    else if (opt.key === "T") table = opt.value;
    else if (opt.key === "h" || opt.key === "V") throw new NotModelledError(`iptables-restore -${opt.key}`);
    else seen.add(opt.key);
  }
  const text = file === null ? context.stdin : context.files.get(file);
  if (text === undefined) throw new RestoreError(`Can't open ${file}: No such file or directory\n`, 1);
  const [counters, noflush, test, verbose] = ["c", "n", "t", "v"].map((key) => seen.has(key));
  return { counters, noflush, test, verbose, table, file, text };
}

function badOption(opt: { kind: "missing" | "unknown"; text: string }): RestoreError {
  const long = opt.text.startsWith("--");
  const what = long ? `unrecognized option '${opt.text}'` : `invalid option -- '${opt.text.slice(1)}'`;
  return new RestoreError(`iptables-restore: ${what}\nTry \`iptables-restore -h' for more information.\n`, 1);
}

/** A test run, or a table that was asked to be left out, ends here: everything is taken back. */
class TakeBack extends Error {}

class Restorer {
  private readonly ns: NetNs;
  private readonly args: RestoreArgs;
  private readonly lines: readonly string[];
  private readonly output: string[] = [];
  /** Index of the line at work. */
  private at = 0;

  constructor(ns: NetNs, args: RestoreArgs) {
    this.ns = ns;
    this.args = args;
    this.lines = args.text.endsWith("\n") ? args.text.slice(0, -1).split("\n") : args.text.split("\n");
  }

  run(): string {
    for (; this.at < this.lines.length; this.at++) {
      const line = this.lines[this.at];
      if (line === "" || line.startsWith("#")) continue;
      if (!line.startsWith("*")) this.fail();
      this.table(line.slice(1).split(/[ \t\n]/)[0]);
    }
    return this.output.join("");
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
    if (this.args.table !== null && this.args.table !== name) {
      this.skipTable();
      return;
    }
    try {
      iptTransaction(this.ns, name, () => this.block(name));
    } catch (error) {
      if (!(error instanceof TakeBack)) throw error;
    }
  }

  private skipTable(): void {
    while (this.at < this.lines.length && this.lines[this.at] !== "COMMIT") this.at++;
    if (this.at >= this.lines.length) this.commitExpected();
  }

  /** From the line behind `*table` to COMMIT. */
  private block(name: TableName): void {
    if (!this.args.noflush) this.clear(name);
    for (this.at++; this.at < this.lines.length; this.at++) {
      const line = this.lines[this.at];
      if (line === "" || line.startsWith("#")) continue;
      if (line === "COMMIT") {
        if (this.args.test) throw new TakeBack();
        return;
      }
      this.located(() => (line.startsWith(":") ? this.chainLine(name, line) : this.ruleLine(name, line)));
    }
    this.commitExpected();
  }

  private commitExpected(): never {
    throw new RestoreError(`iptables-restore: COMMIT expected at line ${this.lines.length + 1}\n`, 1);
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
    const [name = "", policy, counters] = line.slice(1).split(/[ \t]+/);
    if (name === "") problem(`iptables-restore: line ${this.at + 1} chain name invalid`);
    if (name.length >= 29) problem(`Invalid chain name \`${name}' (28 chars max)`);
    const known = iptChains(this.ns, table).find((chain) => chain.name === name);
    if (known === undefined || known.hook === -1) this.userChain(table, name, known !== undefined);
    if (policy === undefined || policy === "")
      problem(`iptables-restore: line ${this.at + 1} policy invalid`);
    if (policy === "-") return;
    this.setPolicy(table, name, policy, counters);
  }

  private userChain(table: TableName, name: string, exists: boolean): void {
    if (exists && this.args.noflush) iptFlush(this.ns, table, name);
    else if (exists) problem(`error creating chain '${name}':File exists`);
    else iptNewChain(this.ns, table, name);
  }

  private setPolicy(table: TableName, name: string, policy: string, counters: string | undefined): void {
    const found = /^\[([0-9]+):([0-9]+)\]$/.exec(counters ?? "");
    if (this.args.counters && found === null) problem(`invalid policy counters for chain '${name}'`);
    try {
      iptPolicy(this.ns, table, name, policy);
    } catch (error) {
      if (!(error instanceof IptcError)) throw error;
      const text = `Can't set policy \`${policy}' on \`${name}' line ${this.at + 1}: ${error.text}`;
      throw new RestoreError(`iptables-restore v1.8.9 (legacy): ${text}\n`, 1);
    }
    if (!this.args.counters) return;
    iptChains(this.ns, table)
      .find((chain) => chain.name === name)!
      .setCounters(Number(found![1]), Number(found![2]));
  }

  private ruleLine(table: TableName, line: string): void {
    const counters = /^\[([0-9]+):([0-9]+)\]/.exec(line);
    const words = splitWords(counters === null ? line : line.slice(counters[0].length));
    if (counters !== null && this.args.counters) words.push("--set-counters", counters[1], counters[2]);
    if (this.args.verbose) words.push("-v");
    try {
      this.output.push(runCommand(this.ns, parseCommand(words, table)));
    } catch (error) {
      if (!(error instanceof IptcError)) throw error;
      // What only the kernel refuses shows when the table is handed to it.
      if (error.code === "EINVAL" || error.code === "ELOOP") this.at = this.commitLine();
      this.fail();
    }
  }

  private commitLine(): number {
    const found = this.lines.indexOf("COMMIT", this.at);
    return found < 0 ? this.at : found;
  }

  private fail(): never {
    throw new RestoreError(`iptables-restore: line ${this.at + 1} failed\n`, 1);
  }

  /** Adds the line to what is said about bad words. */
  private located<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof UsageError) || error instanceof RestoreError) throw error;
      const where = `Error occurred at line: ${this.at + 1}\n`;
      throw new RestoreError(usageText("iptables-restore", error.message, where), error.status);
    }
  }
}

/** Words of a line: by spaces, with "..." and backslashes inside of quotes. */
function splitWords(line: string): string[] {
  const words: string[] = [];
  let word: string | null = null;
  let quoted = false;
  for (let i = 0; i < line.length; i++) {
    const c = line[i];
    if (quoted) {
      if (c === "\\" && i + 1 < line.length) word += line[++i];
      else if (c === '"') quoted = false;
      else word += c;
    } else if (c === '"') {
      quoted = true;
      word ??= "";
    } else if (c === " " || c === "\t") {
      if (word !== null) words.push(word);
      word = null;
    } else word = (word ?? "") + c;
  }
  if (word !== null) words.push(word);
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
    file: null,
    text,
  }).run();
}

export const iptablesRestoreTool: Tool<RestoreArgs, string> = {
  name: "iptables-restore",
  parse,
  run: (args, { ns }) => new Restorer(ns, args).run(),
  render: (stdout) => ({ stdout, stderr: "", status: 0 }),
  failure: (error): ToolOutput | null =>
    error instanceof RestoreError ? { stdout: "", stderr: error.message, status: error.status } : null,
};
