/**
 * Changes of nf_tables (net/netfilter/nf_tables_api.c): the door of the command nft. Several changes are one transaction:
 * all of them begin to run together, or none is made.
 */
import { type Errno, SysError } from "../../util/errors.ts";
import {
  NF_INET_FORWARD,
  NF_INET_LOCAL_IN,
  NF_INET_LOCAL_OUT,
  NF_INET_POST_ROUTING,
  NF_INET_PRE_ROUTING,
  NF_IP_PRI_CONNTRACK,
} from "../core/hooks.ts";
import type { NetNs } from "../core/net-ns.ts";
import { conntrackEnable } from "../netfilter/conntrack/conntrack.ts";
import type { NftStatement } from "../netfilter/nft/nft-rule.ts";
import { elementsOf, type NftData, useOf } from "../netfilter/nft/nft-set.ts";
import {
  type NftBase,
  NftChain,
  NftCounter,
  type NftFamily,
  type NftRule,
  NftTable,
  nftOf,
} from "../netfilter/nft/nft-table.ts";

/** What of a request was refused. */
export type NftPlace =
  | "command"
  | "table"
  | "chain"
  | "counter"
  | "set"
  | "handle"
  | "statement"
  | "element"
  /** An element that is like none of a set of intervals, or too much like one. */
  | "interval"
  | "overlap";

/** `statement`: the number of that one in the rule, or of the element in the set. */
export class NftRefusal extends SysError {
  readonly place: NftPlace;
  readonly statement: number;
  constructor(code: Errno, place: NftPlace, statement = -1) {
    super(code, place);
    this.place = place;
    this.statement = statement;
  }
}

export interface NftTableRef {
  readonly family: NftFamily;
  readonly table: string;
}

const PRE = 1 << NF_INET_PRE_ROUTING;
const IN = 1 << NF_INET_LOCAL_IN;
const FWD = 1 << NF_INET_FORWARD;
const OUT = 1 << NF_INET_LOCAL_OUT;
const POST = 1 << NF_INET_POST_ROUTING;
const NFT_JUMP_STACK_SIZE = 16;

/** Hooks that a statement may be reached from. */
const NAT_HOOKS: Readonly<Record<string, number>> = {
  DNAT: PRE | OUT,
  REDIRECT: PRE | OUT,
  SNAT: POST | IN,
  MASQUERADE: POST,
};

export function nftTables(ns: NetNs): readonly NftTable[] {
  return nftOf(ns).tables;
}

export function nftTable(ns: NetNs, { family, table }: NftTableRef): NftTable {
  const found = nftOf(ns).find(family, table);
  if (found === undefined) throw new NftRefusal("ENOENT", "table");
  return found;
}

export function nftChain(ns: NetNs, ref: NftTableRef, name: string): NftChain {
  const found = nftTable(ns, ref).chain(name);
  if (found === undefined) throw new NftRefusal("ENOENT", "chain");
  return found;
}

export function nftCounter(ns: NetNs, ref: NftTableRef, name: string): NftCounter {
  const found = nftTable(ns, ref).counter(name);
  if (found === undefined) throw new NftRefusal("ENOENT", "counter");
  return found;
}

/** Runs `change` so that all of it happens, or nothing when it throws. */
export function nftTransaction(ns: NetNs, change: () => void): void {
  const tables = nftOf(ns);
  const before = tables.snapshot();
  try {
    change();
    tables.commit();
  } catch (error) {
    tables.restore(before);
    throw error;
  }
}

/** `create` refuses what is there already. */
export function nftAddTable(ns: NetNs, { family, table }: NftTableRef, create = false): void {
  const tables = nftOf(ns);
  if (tables.find(family, table) === undefined)
    tables.tables = [...tables.tables, new NftTable(family, table, tables.takeHandle())];
  else if (create) throw new NftRefusal("EEXIST", "table");
}

export function nftDeleteTable(ns: NetNs, ref: NftTableRef): void {
  const table = nftTable(ns, ref);
  const tables = nftOf(ns);
  tables.tables = tables.tables.filter((one) => one !== table);
}

/** Of one family, or of all when it is null. */
export function nftFlushRuleset(ns: NetNs, family: NftFamily | null): void {
  const tables = nftOf(ns);
  tables.tables = tables.tables.filter((table) => family !== null && table.family !== family);
}

/** Takes out the rules of all chains. */
export function nftFlushTable(ns: NetNs, ref: NftTableRef): void {
  for (const chain of nftTable(ns, ref).chains) chain.rules = [];
}

/** `drops`: the policy, null when none is given. */
export function nftAddChain(
  ns: NetNs,
  ref: NftTableRef,
  name: string,
  base: NftBase | null,
  drops: boolean | null,
  create = false,
): void {
  const table = nftTable(ns, ref);
  const known = table.chain(name);
  if (known !== undefined) {
    if (create || (base !== null && !sameBase(known.base, base))) throw new NftRefusal("EEXIST", "chain");
    if (drops !== null) known.drops = drops;
    return;
  }
  if (base !== null) checkBase(base);
  const chain = new NftChain(table, name, table.takeHandle(), base);
  chain.drops = drops ?? false;
  table.chains = [...table.chains, chain];
}

function sameBase(a: NftBase | null, b: NftBase): boolean {
  return a !== null && a.type === b.type && a.hook === b.hook && a.priority === b.priority;
}

/** NAT needs a connection: its chains stand behind conntrack (nft_chain_parse_hook). */
function checkBase({ type, hook, priority }: NftBase): void {
  if (type === "nat" && (hook === NF_INET_FORWARD || priority <= NF_IP_PRI_CONNTRACK))
    throw new NftRefusal("EOPNOTSUPP", "command");
}

/** With its rules, unless somebody jumps there. */
export function nftDeleteChain(ns: NetNs, ref: NftTableRef, name: string): void {
  const chain = nftChain(ns, ref, name);
  const { table } = chain;
  const used = (one: NftStatement) => jumpsOf(table, one).includes(name);
  const mapped = table.sets.some(({ elements }) => elements.some((one) => chainOf(one.data) === name));
  if (mapped || usersIn(table, used, chain)) throw new NftRefusal("EBUSY", "chain");
  table.chains = table.chains.filter((one) => one !== chain);
}

export function nftFlushChain(ns: NetNs, ref: NftTableRef, name: string): void {
  nftChain(ns, ref, name).rules = [];
}

function chainOf(data: NftData | null): string {
  return data?.kind === "verdict" ? data.chain : "";
}

/** Names of the chains where it may jump to. */
function jumpsOf(table: NftTable, statement: NftStatement): readonly string[] {
  if (statement.kind === "verdict") return statement.chain === "" ? [] : [statement.chain];
  const use = useOf(statement);
  if (use === null) return [];
  return elementsOf(table, use)
    .map(({ data }) => chainOf(data))
    .filter((name) => name !== "");
}

export function usersIn(table: NftTable, used: (one: NftStatement) => boolean, except?: NftChain): boolean {
  return table.chains.some(
    (chain) => chain !== except && chain.rules.some((rule) => rule.statements.some(used)),
  );
}

/** Where a rule is put: behind or before the one with the handle, or the one of that number from 0. */
export interface NftRulePlace {
  readonly before: boolean;
  readonly handle: number | null;
  readonly index: number | null;
}

/** `sets`: how many anonymous sets the rule brings along, each with a handle. */
export function nftAddRule(
  ns: NetNs,
  ref: NftTableRef,
  chainName: string,
  place: NftRulePlace,
  rule: Omit<NftRule, "handle">,
  sets: number,
): void {
  const chain = nftChain(ns, ref, chainName);
  const { table, rules } = chain;
  for (let i = 0; i < sets; i++) table.takeHandle();
  const handle = table.takeHandle();
  const at = placeOf(rules, place);
  rule.statements.forEach((statement, i) => {
    checkStatement(table, statement, i);
    if (needsConntrack(statement)) conntrackEnable(ns);
    if (statement.kind === "log") ns.kernel.nfLogSyslog = true;
  });
  chain.rules = [...rules.slice(0, at), { ...rule, handle }, ...rules.slice(at)];
  nftValidate(table);
}

/** Whether all that is reached from the base chains may run there. */
export function nftValidate({ chains }: NftTable): void {
  for (const chain of chains) if (chain.base !== null) validate(chain, chain.base, 0);
}

function placeOf(rules: readonly NftRule[], { before, handle, index }: NftRulePlace): number {
  if (handle === null && index === null) return before ? 0 : rules.length;
  const at = handle === null ? index! : rules.findIndex((rule) => rule.handle === handle);
  if (at < 0 || at >= rules.length) throw new NftRefusal("ENOENT", "handle");
  return before ? at : at + 1;
}

function checkStatement(table: NftTable, statement: NftStatement, number: number): void {
  if (statement.kind === "object" || statement.kind === "verdict")
    checkNames(table, statement, "statement", number);
  const use = useOf(statement);
  if (use === null) return;
  for (const { data } of elementsOf(table, use))
    if (data !== null) checkNames(table, data, "statement", number);
}

/** nft_verdict_init, nft_objref_init */
export function checkNames(
  table: NftTable,
  named: NftData | (NftStatement & { kind: "object" | "verdict" }),
  place: NftPlace,
  number: number,
): void {
  if (named.kind === "object" && table.counter(named.name) === undefined)
    throw new NftRefusal("ENOENT", place, number);
  if (named.kind !== "verdict" || named.chain === "") return;
  const chain = table.chain(named.chain);
  if (chain === undefined) throw new NftRefusal("ENOENT", place, number);
  if (chain.base !== null) throw new NftRefusal("EOPNOTSUPP", place, number);
}

function needsConntrack(statement: NftStatement): boolean {
  if (statement.kind === "nat") return true;
  if (statement.kind === "match") return statement.selector.words.startsWith("ct ");
  if (useOf(statement)?.keys.some(({ words }) => words.startsWith("ct "))) return true;
  if (statement.kind !== "set") return false;
  return statement.selector.words === "ct mark" || statement.from?.words === "ct mark";
}

/** nft_chain_validate: what is reached from a base chain may run in its place. */
function validate(chain: NftChain, base: NftBase, level: number): void {
  if (level === NFT_JUMP_STACK_SIZE) throw new NftRefusal("EMLINK", "command");
  const { table } = chain;
  for (const { statements } of chain.rules)
    for (const statement of statements) {
      for (const name of jumpsOf(table, statement)) validate(table.chain(name)!, base, level + 1);
      if (!mayRun(statement, base)) throw new NftRefusal("EOPNOTSUPP", "command");
    }
}

function mayRun(statement: NftStatement, { type, hook }: NftBase): boolean {
  if (statement.kind === "nat")
    return type === "nat" && (NAT_HOOKS[statement.target.name] & (1 << hook)) !== 0;
  return statement.kind !== "reject" || ((IN | FWD | OUT | PRE) & (1 << hook)) !== 0;
}

export function nftDeleteRule(ns: NetNs, ref: NftTableRef, chainName: string, handle: number): void {
  const chain = nftChain(ns, ref, chainName);
  const rest = chain.rules.filter((rule) => rule.handle !== handle);
  if (rest.length === chain.rules.length) throw new NftRefusal("ENOENT", "handle");
  chain.rules = rest;
}

export function nftAddCounter(
  ns: NetNs,
  ref: NftTableRef,
  name: string,
  packets: number,
  bytes: number,
  create = false,
): void {
  const table = nftTable(ns, ref);
  if (table.counter(name) === undefined)
    table.counters = [...table.counters, new NftCounter(name, packets, bytes, table.takeHandle())];
  else if (create) throw new NftRefusal("EEXIST", "counter");
}

export function nftDeleteCounter(ns: NetNs, ref: NftTableRef, name: string): void {
  const counter = nftCounter(ns, ref, name);
  const table = nftTable(ns, ref);
  const used = (one: NftStatement) => countersOf(table, one).includes(name);
  const mapped = table.sets.some(({ elements }) => elements.some((one) => counterOf(one.data) === name));
  if (mapped || usersIn(table, used)) throw new NftRefusal("EBUSY", "counter");
  table.counters = table.counters.filter((one) => one !== counter);
}

function counterOf(data: NftData | null): string {
  return data?.kind === "object" ? data.name : "";
}

/** Names of the counters that it counts with. */
function countersOf(table: NftTable, statement: NftStatement): readonly string[] {
  if (statement.kind === "object") return [statement.name];
  const use = useOf(statement);
  return use === null ? [] : elementsOf(table, use).map(({ data }) => counterOf(data));
}

export function nftResetCounter(counter: NftCounter): void {
  counter.packets = 0;
  counter.bytes = 0;
}
