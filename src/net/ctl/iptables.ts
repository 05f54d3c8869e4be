/**
 * Changes of the packet filter: the one door for the drivers, the commands and the importer (libiptc.c for the refusals,
 * `netfilter/xt-check.ts` for what the kernel refuses). A rule is given as data, or as libnetwork gives it: as the words
 * of an iptables command line. Nothing is changed when a request is refused.
 */
import { type Errno, SysError } from "../../util/errors.ts";
import type { NetNs } from "../core/net-ns.ts";
import type { RuleSpec } from "../netfilter/rule-spec.ts";
import { parseRuleWords } from "../netfilter/words/parse-rule.ts";
import { saveRule } from "../netfilter/words/save.ts";
import { Chain, type Policy, Rule, type Table, type TableName, xtOf } from "../netfilter/x-tables.ts";
import { checkRule, checkTable, startNeeds } from "../netfilter/xt-check.ts";

/** A rule as data, or its words (`-p tcp --dport 80 -j ACCEPT`), split or in one string without quotes. */
export type RuleLike = RuleSpec | string | readonly string[];

/** A refusal with the words of iptc_strerror; `code` is the nearest errno. */
export class IptcError extends SysError {
  readonly text: string;
  constructor(code: Errno, text: string) {
    super(code, text);
    this.name = "IptcError";
    this.text = text;
  }
}

const NO_NAME = "No chain/target/match by that name";
const VERDICTS: ReadonlySet<string> = new Set(["ACCEPT", "DROP", "RETURN"]);
const BAD_RULE = "Bad rule (does a matching rule exist in that chain?)";

function specOf(rule: RuleLike): RuleSpec {
  return typeof rule === "string" || Array.isArray(rule)
    ? parseRuleWords(rule as string | readonly string[])
    : (rule as RuleSpec);
}

/** The chain; ENOENT when there is none. */
export function iptChain(ns: NetNs, table: TableName, name: string, missing = NO_NAME): Chain {
  const chain = xtOf(ns).table(table).chain(name);
  if (chain === undefined) throw new IptcError("ENOENT", missing);
  return chain;
}

/** The chains of a table in the order of iptables -S; makes the table when it does not exist. */
export function iptChains(ns: NetNs, table: TableName): readonly Chain[] {
  return xtOf(ns).table(table).chains;
}

/** Names of the tables that exist, newest first. */
export function iptTableNames(ns: NetNs): TableName[] {
  return xtOf(ns).tables.map((table) => table.name);
}

/** -A */
export function iptAppend(ns: NetNs, table: TableName, chain: string, rule: RuleLike): Rule {
  const at = iptChain(ns, table, chain);
  return place(at, at.rules.length, specOf(rule));
}

/** -I; `index` counts from 0. */
export function iptInsert(ns: NetNs, table: TableName, chain: string, rule: RuleLike, index = 0): Rule {
  const at = iptChain(ns, table, chain);
  if (index > at.rules.length) throw new IptcError("ERANGE", "Index of insertion too big");
  return place(at, index, specOf(rule));
}

/** -R; `index` counts from 0. */
export function iptReplace(ns: NetNs, table: TableName, chain: string, index: number, rule: RuleLike): Rule {
  const at = iptChain(ns, table, chain);
  const old = at.rules[index];
  if (old === undefined) throw new IptcError("ERANGE", "Index of replacement too big");
  at.rules.splice(index, 1);
  try {
    const made = place(at, index, specOf(rule));
    at.table.freeSlot(old.slot);
    return made;
  } catch (error) {
    at.rules.splice(index, 0, old);
    throw error;
  }
}

/** -D with a rule: the first one that was written so. */
export function iptDelete(ns: NetNs, table: TableName, chain: string, rule: RuleLike): void {
  const at = iptChain(ns, table, chain, BAD_RULE);
  const spec = specOf(rule);
  const index = findRule(at, spec);
  if (index < 0) throw missingRule(spec);
  remove(at, index);
}

/** -D with a number; `index` counts from 0. */
export function iptDeleteIndex(ns: NetNs, table: TableName, chain: string, index: number): void {
  const at = iptChain(ns, table, chain);
  if (index >= at.rules.length) throw new IptcError("ERANGE", "Index of deletion too big");
  remove(at, index);
}

/**
 * There is no such rule. libiptc remembers the function that failed by the last one that it called, and one that jumps
 * made it ask for a chain of that name: it blames the target then.
 */
function missingRule({ target }: RuleSpec): IptcError {
  const plain = target === null || VERDICTS.has(target.name);
  return new IptcError("ENOENT", plain ? BAD_RULE : NO_NAME);
}

/** -C: the chain has that rule, or ENOENT. */
export function iptCheck(ns: NetNs, table: TableName, chain: string, rule: RuleLike): void {
  const spec = specOf(rule);
  if (findRule(iptChain(ns, table, chain, BAD_RULE), spec) < 0) throw missingRule(spec);
}

/** Whether the chain has that rule. */
export function iptHas(ns: NetNs, table: TableName, chain: string, rule: RuleLike): boolean {
  const at = xtOf(ns).table(table).chain(chain);
  return at !== undefined && findRule(at, specOf(rule)) >= 0;
}

/** -N */
export function iptNewChain(ns: NetNs, table: TableName, name: string): Chain {
  const at = xtOf(ns).table(table);
  if (at.chain(name) !== undefined || VERDICTS.has(name) || name === "QUEUE")
    throw new IptcError("EEXIST", "Chain already exists");
  const chain = new Chain(at, name, -1);
  at.insertChain(chain);
  at.replaced();
  return chain;
}

/** -X: a user's chain that is empty and that nobody jumps to. */
export function iptDeleteChain(ns: NetNs, table: TableName, name: string): void {
  const chain = iptChain(ns, table, name);
  if (chain.hook !== -1) throw new IptcError("EINVAL", "Invalid argument");
  if (chain.references > 0) throw new IptcError("EBUSY", "Too many links");
  if (chain.rules.length > 0) throw new IptcError("EBUSY", "Directory not empty");
  const { chains } = chain.table;
  chains.splice(chains.indexOf(chain), 1);
  chain.table.replaced();
}

/** -F, of all chains when `name` is null. */
export function iptFlush(ns: NetNs, table: TableName, name: string | null): void {
  const chains = name === null ? iptChains(ns, table) : [iptChain(ns, table, name)];
  for (const chain of chains) {
    for (const rule of chain.rules) chain.table.freeSlot(rule.slot);
    chain.rules.length = 0;
    chain.table.replaced();
  }
}

/** -Z: zeroes the counters of all chains, of one, or of one rule (`index` from 0). */
export function iptZero(ns: NetNs, table: TableName, name: string | null, index: number | null = null): void {
  const chains = name === null ? iptChains(ns, table) : [iptChain(ns, table, name)];
  if (index !== null) {
    const rule = chains[0].rules[index];
    if (rule === undefined) throw new IptcError("ERANGE", "Index of counter too big");
    rule.setCounters(0, 0);
    return;
  }
  for (const chain of chains) {
    chain.setCounters(0, 0);
    for (const rule of chain.rules) rule.setCounters(0, 0);
  }
}

/** -P of a built-in chain. */
export function iptPolicy(ns: NetNs, table: TableName, name: string, policy: string): void {
  const chain = xtOf(ns).table(table).chain(name);
  if (chain === undefined || chain.hook === -1) throw new IptcError("ENOENT", "Bad built-in chain name");
  if (policy !== "ACCEPT" && policy !== "DROP") throw new IptcError("EINVAL", "Bad policy name");
  chain.policy = policy as Policy;
  chain.setCounters(0, 0);
  chain.table.replaced();
}

/** -E: jumps to the chain follow. */
export function iptRenameChain(ns: NetNs, table: TableName, from: string, to: string): void {
  const at = xtOf(ns).table(table);
  if (at.chain(to) !== undefined || VERDICTS.has(to) || to === "QUEUE")
    throw new IptcError("EEXIST", "File exists");
  const chain = iptChain(ns, table, from);
  if (chain.hook !== -1) throw new IptcError("ENOENT", NO_NAME);
  at.chains.splice(at.chains.indexOf(chain), 1);
  chain.name = to;
  at.insertChain(chain);
  for (const user of at.chains)
    for (const rule of user.rules) {
      const { target } = rule.spec;
      if (target?.name === "chain" && target.chain === from)
        rule.spec = { ...rule.spec, target: { ...target, chain: to } };
    }
  at.replaced();
}

/** Puts a rule in its place; refused rules leave no trace. */
function place(chain: Chain, index: number, spec: RuleSpec): Rule {
  const { target } = spec;
  if (target?.name === "chain" && chain.table.chain(target.chain) === undefined)
    throw new IptcError("ENOENT", NO_NAME);
  const rule = new Rule(chain, spec);
  chain.rules.splice(index, 0, rule);
  // The kernel looks at a table when all of it is there.
  if (chain.table.inTransaction) return rule;
  try {
    asKernel(() => (target?.name === "chain" ? checkTable(chain.table) : checkRule(rule)));
  } catch (error) {
    chain.rules.splice(index, 1);
    chain.table.freeSlot(rule.slot);
    throw error;
  }
  startNeeds(rule);
  chain.table.replaced();
  return rule;
}

/** What the kernel refuses, in the words of iptc_strerror. */
function asKernel(check: () => void): void {
  try {
    check();
  } catch (error) {
    throw error instanceof SysError ? new IptcError(error.code, kernelText(error)) : error;
  }
}

function kernelText(error: SysError): string {
  return error.code === "ENOENT" ? NO_NAME : new SysError(error.code).message;
}

function remove(chain: Chain, index: number): void {
  chain.table.freeSlot(chain.rules[index].slot);
  chain.rules.splice(index, 1);
  chain.table.replaced();
}

/** Two rules are the same when they are written the same. */
function findRule(chain: Chain, spec: RuleSpec): number {
  const text = saveRule(spec);
  return chain.rules.findIndex((rule) => rule.text === text);
}

/** Runs `change` so that all of it happens to the table, or nothing when it throws (one COMMIT of iptables-restore). */
export function iptTransaction<T>(ns: NetNs, name: TableName, change: (table: Table) => T): T {
  const table = xtOf(ns).table(name);
  const before = table.snapshot();
  table.inTransaction = true;
  table.zeroPolicies();
  try {
    const result = change(table);
    asKernel(() => checkTable(table));
    for (const chain of table.chains) for (const rule of chain.rules) startNeeds(rule);
    table.compiled = null;
    return result;
  } catch (error) {
    table.restore(before);
    throw error;
  } finally {
    table.inTransaction = false;
  }
}
