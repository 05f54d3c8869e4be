/** The command nft 1.0.6. Its commands of one call or file are one transaction. */
import type { NetNs } from "../../net/core/net-ns.ts";
import {
  NftRefusal,
  nftAddChain,
  nftAddCounter,
  nftAddRule,
  nftAddTable,
  nftChain,
  nftCounter,
  nftDeleteChain,
  nftDeleteCounter,
  nftDeleteRule,
  nftDeleteTable,
  nftFlushChain,
  nftFlushRuleset,
  nftFlushTable,
  nftResetCounter,
  nftTable,
  nftTables,
  nftTransaction,
} from "../../net/ctl/nft.ts";
import {
  nftAddElements,
  nftAddSet,
  nftDeleteElements,
  nftDeleteSet,
  nftFlushSet,
  nftSet,
} from "../../net/ctl/nft-set.ts";
import type { NftSet } from "../../net/netfilter/nft/nft-set.ts";
import type { NftTable } from "../../net/netfilter/nft/nft-table.ts";
import { NotModelledError, strerror, UsageError } from "../../util/errors.ts";
import type { Tool, ToolContext, ToolOutput } from "../tool.ts";
import type { NftCommand } from "./command.ts";
import { CommandParser } from "./commands.ts";
import { chainText, counterText, listTable, tableText } from "./list.ts";
import type { ListOptions } from "./list-options.ts";
import { setText } from "./list-set.ts";
import { errorText, NftTextError, type Place } from "./tokens.ts";

interface NftArgs {
  readonly text: string;
  /** Name of the file, "" for the command line. */
  readonly source: string;
  readonly version: boolean;
  readonly handles: boolean;
  readonly numeric: boolean;
  readonly stateless: boolean;
}

function parse(argv: readonly string[], context: ToolContext): NftArgs {
  const letters = new Set<string>();
  const words: string[] = [];
  let file: string | null = null;
  for (let i = 0; i < argv.length; i++) {
    const long: Readonly<Record<string, string>> = {
      "--handle": "a",
      "--numeric": "n",
      "--stateless": "s",
      "--version": "v",
    };
    const letter = long[argv[i]];
    if (letter !== undefined) letters.add(letter);
    else if (argv[i] === "-f" || argv[i] === "--file") file = argv[++i] ?? missing();
    else if (/^-[ansv]+$/.test(argv[i])) for (const one of argv[i].slice(1)) letters.add(one);
    else if (/^-[^0-9]/.test(argv[i]) && words.length === 0) throw new NotModelledError(`nft ${argv[i]}`);
    else words.push(argv[i]);
  }
  const version = letters.has("v");
  if (file === null && words.length === 0 && !version) throw new UsageError("nft: no command specified");
  const { text, source } = file === null ? { text: words.join(" "), source: "" } : readFile(context, file);
  return {
    text,
    source,
    version,
    handles: letters.has("a"),
    numeric: letters.has("n"),
    stateless: letters.has("s"),
  };
}

function missing(): never {
  throw new UsageError("nft: option requires an argument -- 'f'");
}

function readFile({ stdin, files }: ToolContext, name: string): { text: string; source: string } {
  if (name === "-" || name === "/dev/stdin") return { text: stdin, source: "/dev/stdin" };
  const text = files.get(name);
  if (text === undefined)
    throw new UsageError(
      `internal:0:0-0: Error: Could not open file "${name}": No such file or directory\n\n`,
    );
  return { text, source: name };
}

/** What was printed, and what was refused in the end. */
interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
}

function run(args: NftArgs, { ns }: ToolContext): Outcome {
  if (args.version) return { stdout: "nftables v1.0.6 (Lester Gooch #5)\n", stderr: "" };
  const { handles, numeric, stateless } = args;
  const printed: string[] = [];
  try {
    const commands = new CommandParser(ns, args.text).parse();
    nftTransaction(ns, () => {
      for (const command of commands)
        printed.push(located(command, () => execute({ ns, handles, numeric, stateless }, command)));
    });
    return { stdout: printed.join(""), stderr: "" };
  } catch (error) {
    if (!(error instanceof NftTextError)) throw error;
    return { stdout: "", stderr: errorText(args.text, args.source, error) };
  }
}

/** What the kernel refuses, with its place in the text. */
function located(command: NftCommand, work: () => string): string {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof NftRefusal)) throw error;
    throw new NftTextError(refusalText(command, error), placeOf(command, error));
  }
}

/** A table or chain that is not there is missed by nft itself, before it asks the kernel, unless it is to be deleted. */
function refusalText({ verb, what }: NftCommand, { code, place }: NftRefusal): string {
  if (place === "overlap") return "interval overlaps with an existing one";
  if (place === "interval") return "element does not exist";
  const named = place === "table" || place === "chain" || place === "counter" || place === "set";
  const isSet = what === "set" || what === "map";
  const adds = verb === "add" || verb === "insert";
  const asked =
    verb === "list" ||
    (adds && (isSet || what === "rule" || what === "chain")) ||
    (verb === "flush" && isSet);
  return code === "ENOENT" && named && asked ? strerror(code) : `Could not process rule: ${strerror(code)}`;
}

function placeOf({ places, rule }: NftCommand, { place, statement }: NftRefusal): Place {
  if (place === "statement") return rule!.places[statement];
  if (place === "element" || place === "overlap" || place === "interval") return places.elements[statement];
  if (place === "table") return places.table;
  if (place === "handle") return places.handle;
  return place === "command" ? places.command : places.name;
}

/** Runs one command; what it prints. */
function execute(options: ListOptions, command: NftCommand): string {
  const { ns } = options;
  const { verb, what, ref, name } = command;
  if (verb === "list") return list(options, command);
  if (verb === "reset") return reset(options, command);
  if (verb === "flush") {
    if (what === "ruleset") nftFlushRuleset(ns, command.family);
    else if (what === "table") nftFlushTable(ns, ref);
    else if (what === "chain") nftFlushChain(ns, ref, name);
    else nftFlushSet(ns, ref, setNamed(ns, command).name);
  } else if (verb === "delete") {
    if (what === "table") nftDeleteTable(ns, ref);
    else if (what === "chain") nftDeleteChain(ns, ref, name);
    else if (what === "counter") nftDeleteCounter(ns, ref, name);
    else if (what === "set" || what === "map") nftDeleteSet(ns, ref, name);
    else if (what === "element") nftDeleteElements(ns, ref, name, command.elements);
    else nftDeleteRule(ns, ref, name, command.handle);
  } else {
    add(ns, command);
  }
  return "";
}

function add(
  ns: NetNs,
  { verb, what, ref, name, base, drops, rule, rulePlace, packets, bytes, spec, elements }: NftCommand,
): void {
  const create = verb === "create";
  if (what === "table") nftAddTable(ns, ref, create);
  else if (what === "chain") nftAddChain(ns, ref, name, base, drops, create);
  else if (what === "counter") nftAddCounter(ns, ref, name, packets, bytes, create);
  else if (what === "set" || what === "map") nftAddSet(ns, ref, name, spec!, elements, create);
  else if (what === "element") nftAddElements(ns, ref, name, elements, create);
  else {
    const { statements, comment, sets } = rule!;
    nftAddRule(ns, ref, name, rulePlace, { statements, comment }, sets);
  }
}

function list(options: ListOptions, command: NftCommand): string {
  const { ns } = options;
  const { what, ref, name, family } = command;
  const tables = nftTables(ns).filter((table) => family === null || table.family === family);
  switch (what) {
    case "ruleset":
      return tables.map((table) => listTable(options, table)).join("");
    case "tables":
      return tables.map((table) => `table ${table.family} ${table.name}\n`).join("");
    case "chains":
      return tables
        .map((table) =>
          tableText(options, table, table.chains.map((chain) => chainText(options, chain, false)).join("")),
        )
        .join("");
    case "table":
      return listTable(options, nftTable(ns, ref));
    case "chain": {
      const chain = nftChain(ns, ref, name);
      return tableText(withoutHandle(options), chain.table, chainText(options, chain));
    }
    case "counter": {
      const counter = nftCounter(ns, ref, name);
      return tableText(withoutHandle(options), nftTable(ns, ref), counterText(options, counter));
    }
    case "set":
    case "map": {
      const set = setText(options, setNamed(ns, command));
      return tableText(withoutHandle(options), nftTable(ns, ref), set);
    }
    case "sets":
    case "maps":
      return tables
        .map((table) => tableText(withoutHandle(options), table, sets(options, table, what)))
        .join("");
    case "counters":
      return counters(options, countedTables(ns, command));
    default:
      throw new NotModelledError(`nft list ${what}`);
  }
}

/** A set is not listed or flushed as a map, nor a map as a set. */
function setNamed(ns: NetNs, { what, ref, name }: NftCommand): NftSet {
  const set = nftSet(ns, ref, name);
  if ((set.spec.data !== null) !== (what === "map")) throw new NftRefusal("ENOENT", "set");
  return set;
}

function sets(options: ListOptions, table: NftTable, what: "sets" | "maps"): string {
  return table.sets
    .filter(({ spec }) => (spec.data !== null) === (what === "maps"))
    .map((set) => setText(options, set))
    .join("");
}

/** A table around one of its parts stands without its handle. */
function withoutHandle(options: ListOptions): ListOptions {
  return { ...options, handles: false };
}

function countedTables(ns: NetNs, { ref, family }: NftCommand): readonly NftTable[] {
  if (ref.table !== "") return [nftTable(ns, ref)];
  return nftTables(ns).filter(
    (table) => (family === null || table.family === family) && table.counters.length > 0,
  );
}

function counters(options: ListOptions, tables: readonly NftTable[]): string {
  return tables
    .map((table) =>
      tableText(
        withoutHandle(options),
        table,
        table.counters.map((counter) => counterText(options, counter)).join(""),
      ),
    )
    .join("");
}

/** Prints what was counted, and begins anew. */
function reset(options: ListOptions, command: NftCommand): string {
  const { ns } = options;
  if (command.what === "counter") {
    const counter = nftCounter(ns, command.ref, command.name);
    const text = list(options, command);
    nftResetCounter(counter);
    return text;
  }
  const tables = countedTables(ns, command);
  const text = counters(options, tables);
  for (const table of tables) for (const counter of table.counters) nftResetCounter(counter);
  return text;
}

export const nft: Tool<NftArgs, Outcome> = {
  name: "nft",
  parse,
  run,
  render: ({ stdout, stderr }): ToolOutput => ({ stdout, stderr, status: stderr === "" ? 0 : 1 }),
};
