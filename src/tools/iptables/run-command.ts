/** Carries out one command of iptables through `net/ctl` (the second half of do_command4). */
import type { NetNs } from "../../net/core/net-ns.ts";
import {
  IptcError,
  iptAppend,
  iptChain,
  iptChains,
  iptCheck,
  iptDelete,
  iptDeleteChain,
  iptDeleteIndex,
  iptFlush,
  iptInsert,
  iptNewChain,
  iptPolicy,
  iptRenameChain,
  iptReplace,
  iptTransaction,
  iptZero,
} from "../../net/ctl/iptables.ts";
import type { RuleSpec } from "../../net/netfilter/rule-spec.ts";
import { problem } from "../../net/netfilter/words/extension.ts";
import { saveRule } from "../../net/netfilter/words/save.ts";
import { type Chain, type Rule, TABLE_NAMES, type TableName, xtOf } from "../../net/netfilter/x-tables.ts";
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

/** Where a command prints: what it said before it failed stays said. */
export type Print = (text: string) => void;

/** Does it. UsageError, IptcError, NoTableError. */
export function runCommand(ns: NetNs, command: IptablesCommand, print: Print): void {
  if (command.letter === "V") {
    print(command.inverted ? "Not 1.8.9 (legacy) ;-)\n" : "iptables v1.8.9 (legacy)\n");
    return;
  }
  const table = tableName(command.table);
  if (command.rule.specs.length > 0) checkJump(ns, table, command);
  const chain = command.chain ?? "";
  switch (command.letter) {
    case "A":
    case "I":
    case "D":
    case "C":
    case "R":
      runRules(ns, table, command, print);
      return;
    case "L":
    case "S":
      runListing(ns, table, command, print);
      return;
    case "F":
    case "Z":
    case "X":
      runOnChains(ns, table, command, print);
      return;
    case "N":
      iptNewChain(ns, table, chain);
      return;
    case "E":
      iptRenameChain(ns, table, chain, command.second);
      return;
    case "P":
      setPolicy(ns, table, chain, command);
  }
}

function setPolicy(ns: NetNs, table: TableName, chain: string, command: IptablesCommand): void {
  iptPolicy(ns, table, chain, command.second);
  const { counters } = command.rule;
  if (counters !== null) iptChain(ns, table, chain).setCounters(...counters);
}

/** A name behind -j that is no extension must be a chain. */
function checkJump(ns: NetNs, table: TableName, command: IptablesCommand): void {
  const target = command.rule.specs[0].target;
  if (target?.name !== "chain") return;
  if (iptChains(ns, table).some((chain) => chain.name === target.chain)) return;
  if (target.goto) problem(`goto '${target.chain}' is not a chain`);
  problem(`Couldn't load target \`${target.chain}':No such file or directory\n`);
}

function runRules(ns: NetNs, table: TableName, command: IptablesCommand, print: Print): void {
  const { letter, ruleNumber } = command;
  const chain = command.chain ?? "";
  if (letter === "D" && ruleNumber > 0) {
    iptDeleteIndex(ns, table, chain, ruleNumber - 1);
    return;
  }
  const { specs } = command.rule;
  const run = (): void => {
    let refused: IptcError | null = null;
    for (const spec of specs) {
      if (command.verbose) print(changedLine(spec));
      refused = refusal(() => runRule(ns, table, command, spec)) ?? refused;
    }
    if (refused !== null) throw refused;
  };
  // Several addresses make several rules, all or none.
  if (specs.length > 1 && !xtOf(ns).table(table).inTransaction) iptTransaction(ns, table, run);
  else run();
}

/** What was said against a step of several, which goes on. */
function refusal(step: () => void): IptcError | null {
  try {
    step();
    return null;
  } catch (error) {
    if (error instanceof IptcError) return error;
    throw error;
  }
}

function runRule(ns: NetNs, table: TableName, command: IptablesCommand, spec: RuleSpec): void {
  const { letter } = command;
  const chain = command.chain ?? "";
  if (letter === "D") iptDelete(ns, table, chain, spec);
  else if (letter === "C") iptCheck(ns, table, chain, spec);
  else {
    const rule = placeRule(ns, table, command, spec);
    if (command.rule.counters !== null) rule.setCounters(...command.rule.counters);
  }
}

function placeRule(ns: NetNs, table: TableName, command: IptablesCommand, spec: RuleSpec): Rule {
  const { letter, ruleNumber } = command;
  const chain = command.chain ?? "";
  if (letter === "A") return iptAppend(ns, table, chain, spec);
  if (letter === "R") return iptReplace(ns, table, chain, ruleNumber - 1, spec);
  return iptInsert(ns, table, chain, spec, Math.max(ruleNumber - 1, 0));
}

/** The chains that a command without a name is about: all. */
function chosen(ns: NetNs, table: TableName, name: string | null): readonly Chain[] {
  return name === null ? iptChains(ns, table) : [iptChain(ns, table, name)];
}

function runListing(ns: NetNs, table: TableName, command: IptablesCommand, print: Print): void {
  const { letter, chain } = command;
  const chains = chosen(ns, table, chain);
  print(letter === "L" ? listText(chains, command) : rulesText(chains, command));
  if (command.zeroNumber !== null) iptZero(ns, table, chain, command.zeroNumber - 1);
  else if (command.zero) zeroChains(ns, table, command, print);
}

function zeroChains(ns: NetNs, table: TableName, command: IptablesCommand, print: Print): void {
  const { chain } = command;
  if (command.verbose)
    for (const name of chain === null ? names(ns, table) : [chain]) print(`Zeroing chain \`${name}'\n`);
  iptZero(ns, table, chain);
}

function names(ns: NetNs, table: TableName): string[] {
  return iptChains(ns, table).map((chain) => chain.name);
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

function runOnChains(ns: NetNs, table: TableName, command: IptablesCommand, print: Print): void {
  const { letter, chain, verbose } = command;
  if (letter === "Z") {
    if (command.zeroNumber !== null) iptZero(ns, table, chain, command.zeroNumber - 1);
    else zeroChains(ns, table, command, print);
  } else if (letter === "F") {
    if (verbose)
      for (const name of chain === null ? names(ns, table) : [chain]) print(`Flushing chain \`${name}'\n`);
    iptFlush(ns, table, chain);
  } else {
    const users = iptChains(ns, table).filter((entry) => entry.hook === -1);
    const gone = chain === null ? users.map((user) => user.name) : [chain];
    if (verbose) for (const name of gone) print(`Deleting chain \`${name}'\n`);
    deleteChains(ns, table, gone);
  }
}

/** All of them or none; it is the last one that cannot go that is complained of. */
function deleteChains(ns: NetNs, table: TableName, gone: readonly string[]): void {
  iptTransaction(ns, table, () => {
    let refused: IptcError | null = null;
    for (const name of gone) refused = refusal(() => iptDeleteChain(ns, table, name)) ?? refused;
    if (refused !== null) throw refused;
  });
}
