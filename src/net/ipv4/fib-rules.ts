/**
 * Policy rules (net/core/fib_rules.c, net/ipv4/fib_rules.c) and the lookup through them. Without rules of a user the local
 * and main tables answer as one (the kernel merges their tries), then table default.
 */
import { SysError } from "../../util/errors.ts";
import { RTN_BLACKHOLE, RTN_PROHIBIT } from "../core/dst.ts";
import type { NetNs } from "../core/net-ns.ts";
import {
  FibAlias,
  RT_SCOPE_UNIVERSE,
  RT_TABLE_DEFAULT,
  RT_TABLE_LOCAL,
  RT_TABLE_MAIN,
  RTN_THROW,
} from "./fib.ts";
import { FibIndex, FibTable } from "./fib-table.ts";

/** FR_ACT_*: look a table up, or answer at once. */
export type FibRuleAction = "lookup" | "blackhole" | "unreachable" | "prohibit";

export interface FibRule {
  readonly priority: number;
  /** 0/0: any. */
  readonly src: number;
  readonly srcLen: number;
  readonly dst: number;
  readonly dstLen: number;
  readonly tos: number;
  readonly fwmark: number;
  /** 0: the mark does not matter. */
  readonly fwmask: number;
  /** Device names, "" any. */
  readonly iif: string;
  readonly oif: string;
  /** The selector is turned round (`ip rule add not ...`). */
  readonly invert: boolean;
  readonly action: FibRuleAction;
  readonly table: number;
  /** Answers of at most this prefix length do not count; -1 none. */
  readonly suppressPrefixLen: number;
  /** RTPROT_* that made it. */
  readonly protocol: number;
}

const ANY = {
  src: 0,
  srcLen: 0,
  dst: 0,
  dstLen: 0,
  tos: 0,
  fwmark: 0,
  fwmask: 0,
  iif: "",
  oif: "",
  invert: false,
  action: "lookup",
  suppressPrefixLen: -1,
  protocol: 2,
} as const;

/** A rule that takes every packet to `table`. */
export function defaultRule(priority: number, table: number): FibRule {
  return { ...ANY, priority, table };
}

function errorAlias(type: number): FibAlias {
  const nowhere = { table: 0, dst: 0, prefixLen: 0, tos: 0, metric: 0, protocol: 0, scope: 0, prefSrc: 0 };
  return new FibAlias({ ...nowhere, type, gateway: 0, dev: null, nhScope: 0, mtu: 0, onlink: false }, null);
}

/** A rule says "unreachable" as if there were no route; a route of that type means the host (fib4_rule_action). */
const RULE_ANSWER: Record<Exclude<FibRuleAction, "lookup">, FibAlias | null> = {
  blackhole: errorAlias(RTN_BLACKHOLE),
  unreachable: null,
  prohibit: errorAlias(RTN_PROHIBIT),
};

/** The rules and tables of a namespace. */
export class FibRules {
  readonly rules: FibRule[] = [
    defaultRule(0, RT_TABLE_LOCAL),
    defaultRule(32766, RT_TABLE_MAIN),
    defaultRule(32767, RT_TABLE_DEFAULT),
  ];
  /** A user changed the rules: the fast path is off. */
  custom = false;
  /** A route depends on TOS. */
  usesTos = false;
  readonly tables = new Map<number, FibTable>();
  private readonly indexes = new Map<number, FibIndex>();
  private merged: FibIndex | null = null;
  private defaultIndex: FibIndex | null = null;

  /** The route of a packet depends on its addresses and device alone. */
  get plain(): boolean {
    return !this.custom && !this.usesTos;
  }

  /** The table of that number; made when it is new. */
  table(id: number): FibTable {
    let table = this.tables.get(id);
    if (table === undefined) {
      table = new FibTable(id);
      this.tables.set(id, table);
    }
    return table;
  }

  /** Tables in the order of a dump: by the low byte of the number, then the newest first. */
  tablesInOrder(): FibTable[] {
    const list = [...this.tables.values()].reverse();
    return list.sort((a, b) => (a.id & 255) - (b.id & 255));
  }

  /** Routes changed: the indexes are void. */
  invalidate(): void {
    this.indexes.clear();
    this.merged = null;
    this.defaultIndex = null;
  }

  /** Index of one table (for inet_addr_type, and rules). */
  index(id: number): FibIndex {
    let index = this.indexes.get(id);
    if (index === undefined) {
      index = new FibIndex(this.tables.get(id)?.routes ?? []);
      this.indexes.set(id, index);
    }
    return index;
  }

  /** The answer without rules of a user: local and main as one, then default. */
  lookupDefault(daddr: number, tos: number, oif: number, scope: number): FibAlias | null {
    if (this.merged === null) this.compile();
    const found = this.merged!.lookup(daddr, tos, oif, scope);
    if (found !== null && found.type !== RTN_THROW) return found;
    return this.defaultIndex!.lookup(daddr, tos, oif, scope);
  }

  private compile(): void {
    const local = this.tables.get(RT_TABLE_LOCAL)?.routes ?? [];
    const main = this.tables.get(RT_TABLE_MAIN)?.routes ?? [];
    this.merged = new FibIndex([...local, ...main]);
    this.defaultIndex = new FibIndex(this.tables.get(RT_TABLE_DEFAULT)?.routes ?? []);
  }

  /** Adds a rule behind those of its priority. */
  add(rule: FibRule): void {
    let i = 0;
    while (i < this.rules.length && this.rules[i].priority <= rule.priority) i++;
    this.rules.splice(i, 0, rule);
    this.changed();
  }

  /** ENOENT when it is not there. */
  remove(rule: FibRule): void {
    const i = this.rules.indexOf(rule);
    if (i < 0) throw new SysError("ENOENT");
    this.rules.splice(i, 1);
    this.changed();
  }

  private changed(): void {
    this.custom = true;
    this.invalidate();
  }

  /** Through the rules, in order of priority. `iif`, `oif`: ifindex or 0. null: no route. */
  lookupRules(
    ns: NetNs,
    daddr: number,
    saddr: number,
    tos: number,
    iif: number,
    oif: number,
    mark: number,
    scope: number,
  ): FibAlias | null {
    for (let i = 0; i < this.rules.length; i++) {
      const rule = this.rules[i];
      if (!ruleMatches(ns, rule, daddr, saddr, tos, iif, oif, mark)) continue;
      if (rule.action !== "lookup") return RULE_ANSWER[rule.action];
      const found = this.index(rule.table).lookup(daddr, tos, oif, scope);
      if (found === null || found.type === RTN_THROW) continue;
      if (found.prefixLen <= rule.suppressPrefixLen) continue;
      return found;
    }
    return null;
  }
}

/** fib_rule_match and fib4_rule_match. */
function ruleMatches(
  ns: NetNs,
  rule: FibRule,
  daddr: number,
  saddr: number,
  tos: number,
  iif: number,
  oif: number,
  mark: number,
): boolean {
  const matches =
    (rule.iif === "" || ns.device(rule.iif)?.ifindex === (iif === 0 ? 1 : iif)) &&
    (rule.oif === "" || (oif !== 0 && ns.device(rule.oif)?.ifindex === oif)) &&
    ((mark ^ rule.fwmark) & rule.fwmask) === 0 &&
    prefixMatches(saddr, rule.src, rule.srcLen) &&
    prefixMatches(daddr, rule.dst, rule.dstLen) &&
    (rule.tos === 0 || rule.tos === tos);
  return matches !== rule.invert;
}

function prefixMatches(addr: number, prefix: number, len: number): boolean {
  return len === 0 || (addr ^ prefix) >>> (32 - len) === 0;
}

/**
 * The route of a packet (fib_lookup); an answer may be of a type that is an error. null: no route (ENETUNREACH).
 * Addresses are int32, `iif` and `oif` ifindexes or 0.
 */
export function fibLookup(
  ns: NetNs,
  rules: FibRules,
  daddr: number,
  saddr: number,
  tos: number,
  iif: number,
  oif: number,
  mark: number,
): FibAlias | null {
  if (!rules.custom) return rules.lookupDefault(daddr, tos, oif, RT_SCOPE_UNIVERSE);
  return rules.lookupRules(ns, daddr, saddr, tos, iif, oif, mark, RT_SCOPE_UNIVERSE);
}
