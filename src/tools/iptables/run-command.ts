/** Carries out one command of iptables through `net/ctl` (the second half of do_command4). */
import type { NetNs } from "../../net/core/net-ns.ts";
import {
  IptcError,
  iptAppend,
  iptChain,
  iptChains,
  iptDelete,
  iptDeleteChain,
  iptDeleteIndex,
  iptFlush,
  iptHas,
  iptInsert,
  iptNewChain,
  iptPolicy,
  iptRenameChain,
  iptReplace,
  iptZero,
} from "../../net/ctl/iptables.ts";
import type { RuleSpec } from "../../net/netfilter/rule-spec.ts";
import { problem } from "../../net/netfilter/words/extension.ts";
import { saveRule } from "../../net/netfilter/words/save.ts";
import { type Chain, type Rule, TABLE_NAMES, type TableName } from "../../net/netfilter/x-tables.ts";
import { SysError } from "../../util/errors.ts";
import type { IptablesCommand } from "./command.ts";
import { chainHeader, changedLine, ruleLine } from "./list.ts";

/** A table that no kernel has. */
export class NoTableError extends SysError {
  readonly table: string;
  constructor(table: string) {
    super("ENOENT", table);
    this.table = table;
  }
}

/** The table of that name. NoTableError. */
export function tableName(name: string): TableName {
  const found = TABLE_NAMES.find((known) => known === name);
  if (found === undefined) throw new NoTableError(name);
  return found;
}

/** Does it and returns what goes to stdout. UsageError, IptcError, NoTableError. */
export function runCommand(ns: NetNs, command: IptablesCommand): string {
  const table = tableName(command.table);
  if (command.rule.specs.length > 0) {
    checkInterfaces(command);
    checkJump(ns, table, command);
  }
  switch (command.letter) {
    case "A":
    case "I":
    case "D":
    case "C":
    case "R":
      return runRules(ns, table, command);
    case "L":
    case "S":
      return runListing(ns, table, command);
    case "F":
    case "Z":
    case "X":
      return runOnChains(ns, table, command);
    case "N":
      iptNewChain(ns, table, command.chain);
      return "";
    case "E":
      iptRenameChain(ns, table, command.chain, command.second);
      return "";
    case "P":
      iptPolicy(ns, table, command.chain, command.second);
      return "";
    default:
      return "iptables v1.8.9 (legacy)\n";
  }
}

function checkInterfaces({ chain, inIface, outIface }: IptablesCommand): void {
  if ((chain === "PREROUTING" || chain === "INPUT") && outIface !== "")
    problem(`Can't use -o with ${chain}\n`);
  if ((chain === "POSTROUTING" || chain === "OUTPUT") && inIface !== "")
    problem(`Can't use -i with ${chain}\n`);
}

/** A name behind -j that is no extension must be a chain. */
function checkJump(ns: NetNs, table: TableName, command: IptablesCommand): void {
  const target = command.rule.specs[0].target;
  if (target?.name !== "chain") return;
  if (iptChains(ns, table).some((chain) => chain.name === target.chain)) return;
  if (target.goto) problem(`goto '${target.chain}' is not a chain`);
  problem(`Couldn't load target \`${target.chain}':No such file or directory\n`);
}

function runRules(ns: NetNs, table: TableName, command: IptablesCommand): string {
  const { letter, chain, ruleNumber } = command;
  if (letter === "D" && ruleNumber > 0) {
    iptDeleteIndex(ns, table, chain, ruleNumber - 1);
    return "";
  }
  const lines: string[] = [];
  for (const spec of command.rule.specs) {
    runRule(ns, table, command, spec);
    if (command.verbose) lines.push(changedLine(spec));
  }
  return lines.join("");
}

function runRule(ns: NetNs, table: TableName, command: IptablesCommand, spec: RuleSpec): void {
  const { letter, chain, ruleNumber } = command;
  if (letter === "D") iptDelete(ns, table, chain, spec);
  else if (letter === "C") {
    if (!iptHas(ns, table, chain, spec))
      throw new IptcError("ENOENT", "Bad rule (does a matching rule exist in that chain?)");
  } else {
    const rule = placeRule(ns, table, command, spec, ruleNumber);
    if (command.rule.counters !== null) rule.setCounters(...command.rule.counters);
  }
}

function placeRule(
  ns: NetNs,
  table: TableName,
  command: IptablesCommand,
  spec: RuleSpec,
  number: number,
): Rule {
  const { letter, chain } = command;
  if (letter === "A") return iptAppend(ns, table, chain, spec);
  if (letter === "R") return iptReplace(ns, table, chain, number - 1, spec);
  return iptInsert(ns, table, chain, spec, Math.max(number - 1, 0));
}

/** The chains that a command without a name is about: all. */
function chosen(ns: NetNs, table: TableName, name: string): readonly Chain[] {
  return name === "" ? iptChains(ns, table) : [iptChain(ns, table, name)];
}

function runListing(ns: NetNs, table: TableName, command: IptablesCommand): string {
  const { letter, chain, ruleNumber, zero } = command;
  const chains = chosen(ns, table, chain);
  const text = letter === "L" ? listText(chains, command) : rulesText(chains, command);
  if (zero) iptZero(ns, table, chain === "" ? null : chain, ruleNumber > 0 ? ruleNumber - 1 : null);
  return text;
}

function listText(chains: readonly Chain[], command: IptablesCommand): string {
  const { ruleNumber } = command;
  return chains
    .map((chain) => {
      const lines = chain.rules.map((rule, i) => ruleLine(rule, i + 1, command));
      return ruleNumber > 0 ? (lines[ruleNumber - 1] ?? "") : chainHeader(chain, command) + lines.join("");
    })
    .join("\n");
}

/** -S: the chains, then the rules. */
function rulesText(chains: readonly Chain[], command: IptablesCommand): string {
  const { ruleNumber, verbose } = command;
  const counters = (of: Chain | Rule): string => (verbose ? ` -c ${of.packets} ${of.bytes}` : "");
  const lines: string[] = [];
  if (ruleNumber === 0)
    for (const chain of chains)
      lines.push(
        chain.policy === null ? `-N ${chain.name}\n` : `-P ${chain.name} ${chain.policy}${counters(chain)}\n`,
      );
  for (const chain of chains)
    for (const [i, rule] of chain.rules.entries()) {
      if (ruleNumber > 0 && ruleNumber !== i + 1) continue;
      const words = saveRule(rule.spec, counters(rule));
      lines.push(`-A ${chain.name}${words === "" ? "" : " "}${words}\n`);
    }
  return lines.join("");
}

function runOnChains(ns: NetNs, table: TableName, command: IptablesCommand): string {
  const { letter, chain, ruleNumber, verbose } = command;
  const names = chosen(ns, table, chain).map((entry) => entry.name);
  if (letter === "F") iptFlush(ns, table, chain === "" ? null : chain);
  else if (letter === "Z")
    iptZero(ns, table, chain === "" ? null : chain, ruleNumber > 0 ? ruleNumber - 1 : null);
  else if (chain !== "") iptDeleteChain(ns, table, chain);
  else
    for (const user of iptChains(ns, table).filter((entry) => entry.hook === -1))
      iptDeleteChain(ns, table, user.name);
  if (!verbose || (letter === "Z" && ruleNumber > 0)) return "";
  const doing = letter === "F" ? "Flushing" : letter === "Z" ? "Zeroing" : "Deleting";
  const touched =
    letter === "X" && chain === "" ? names.filter((name) => !iptChainNamed(ns, table, name)) : names;
  return touched.map((name) => `${doing} chain \`${name}'\n`).join("");
}

function iptChainNamed(ns: NetNs, table: TableName, name: string): boolean {
  return iptChains(ns, table).some((chain) => chain.name === name);
}
