/**
 * Policy rules (net/core/fib_rules.c, net/ipv4/fib_rules.c) and the lookup through them. Without rules of a user the local
 * and main tables answer as one (the kernel merges their tries), then table default.
 */
import { SysError } from "../../util/errors.ts";
import { RTN_BLACKHOLE, RTN_PROHIBIT } from "../core/dst.ts";
import type { NetNs } from "../core/net-ns.ts";
import {
  FibAlias,
  type FlowKeys,
  RT_SCOPE_UNIVERSE,
  RT_TABLE_DEFAULT,
  RT_TABLE_LOCAL,
  RT_TABLE_MAIN,
  RTN_THROW,
} from "./fib.ts";
import { FibIndex, FibTable } from "./fib-table.ts";

/** FR_ACT_*: look a table up, or answer at once. */
export type FibRuleAction = "lookup" | "blackhole" | "unreachable" | "prohibit" | "goto" | "nop";

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
  /** Priority of the rule that `goto` leads to. */
  readonly target: number;
  /** 0: any protocol, any port. */
  readonly ipProto: number;
  readonly sportMin: number;
  readonly sportMax: number;
  readonly dportMin: number;
  readonly dportMax: number;
  /** Of the sender; 0 to 2^32 - 1: any. */
  readonly uidMin: number;
  readonly uidMax: number;
  /** RTPROT_* that made it. */
  readonly protocol: number;
}

/** Any user. */
export const UID_MAX = 0xffffffff;

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
  target: 0,
  ipProto: 0,
  sportMin: 0,
  sportMax: 0,
  dportMin: 0,
  dportMax: 0,
  uidMin: 0,
  uidMax: UID_MAX,
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
const RULE_ANSWER: Record<Exclude<FibRuleAction, "lookup" | "goto" | "nop">, FibAlias | null> = {
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
  /** A rule asks for the transport (fib_rules_require_fldissect). */
  usesPorts = false;
  /** The transport of the packet that the next lookup is for. */
  readonly flow: FlowKeys = { proto: 0, sport: 0, dport: 0, uid: 0 };
  readonly tables = new Map<number, FibTable>();
  private readonly indexes = new Map<number, FibIndex>();
  private merged: FibIndex | null = null;
  private defaultIndex: FibIndex | null = null;

  /** The route of a packet depends on its addresses and device alone. */
  get plain(): boolean {
    return !this.custom && !this.usesTos;
  }

  forgetFlow(): void {
    const { flow } = this;
    if ((flow.proto | flow.sport | flow.dport | flow.uid) === 0) return;
    flow.uid = 0;
    flow.proto = 0;
    flow.sport = 0;
    flow.dport = 0;
  }

  /** Ports as of the way back. */
  turnFlow(): void {
    const { flow } = this;
    const { sport } = flow;
    flow.sport = flow.dport;
    flow.dport = sport;
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

  /** Of the first rule of that priority, -1 for none. */
  indexOfPriority(priority: number): number {
    for (let i = 0; i < this.rules.length; i++) if (this.rules[i].priority === priority) return i;
    return -1;
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
    this.usesPorts = this.rules.some(
      (rule) => rule.ipProto !== 0 || rule.sportMin !== 0 || rule.dportMin !== 0,
    );
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
      if (!ruleMatches(ns, rule, daddr, saddr, tos, iif, oif, mark, this.flow)) continue;
      if (rule.action === "nop") continue;
      if (rule.action === "goto") {
        const at = this.indexOfPriority(rule.target);
        if (at >= 0) i = at - 1;
        continue;
      }
      if (rule.action !== "lookup") return RULE_ANSWER[rule.action];
      const found = this.index(rule.table).lookup(daddr, tos, oif, scope);
      if (found === null || found.type === RTN_THROW) continue;
      if (found.prefixLen <= rule.suppressPrefixLen) continue;
      return found;
    }
    return null;
  }
}

/** fib_rule_port_match */
function transportMatches(rule: FibRule, { proto, sport, dport, uid }: FlowKeys): boolean {
  if (uid < rule.uidMin || uid > rule.uidMax) return false;
  if (rule.ipProto !== 0 && rule.ipProto !== proto) return false;
  if (rule.sportMin !== 0 && (sport < rule.sportMin || sport > rule.sportMax)) return false;
  return rule.dportMin === 0 || (dport >= rule.dportMin && dport <= rule.dportMax);
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
  flow: FlowKeys,
): boolean {
  const matches =
    (rule.iif === "" || ns.device(rule.iif)?.ifindex === (iif === 0 ? 1 : iif)) &&
    (rule.oif === "" || (oif !== 0 && ns.device(rule.oif)?.ifindex === oif)) &&
    ((mark ^ rule.fwmark) & rule.fwmask) === 0 &&
    prefixMatches(saddr, rule.src, rule.srcLen) &&
    prefixMatches(daddr, rule.dst, rule.dstLen) &&
    (rule.tos === 0 || rule.tos === tos) &&
    transportMatches(rule, flow);
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
