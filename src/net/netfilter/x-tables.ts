/**
 * The tables of a namespace (net/netfilter/x_tables.c, iptable_filter.c and its sisters; the chain model of libiptc):
 * made on first use, which is when their hooks are registered. Chains and rules are kept as written; a table is compiled
 * anew when the next packet finds it changed. Who changes it is `net/ctl/iptables.ts`.
 */
import {
  type Hook,
  NF_INET_FORWARD,
  NF_INET_LOCAL_IN,
  NF_INET_LOCAL_OUT,
  NF_INET_POST_ROUTING,
  NF_INET_PRE_ROUTING,
  NF_IP_PRI_FILTER,
  NF_IP_PRI_MANGLE,
  NF_IP_PRI_RAW,
  NF_IP_PRI_SECURITY,
} from "../core/hooks.ts";
import type { NetNs } from "../core/net-ns.ts";
import type { RuleSpec } from "./rule-spec.ts";
import { saveRule } from "./words/save.ts";
import type { CompiledTable } from "./xt-compile.ts";

export type TableName = "raw" | "mangle" | "nat" | "filter" | "security";

export const TABLE_NAMES: readonly TableName[] = ["raw", "mangle", "nat", "filter", "security"];

const ALL_HOOKS: readonly Hook[] = [
  NF_INET_PRE_ROUTING,
  NF_INET_LOCAL_IN,
  NF_INET_FORWARD,
  NF_INET_LOCAL_OUT,
  NF_INET_POST_ROUTING,
];

/** Hooks that a table has, in the order of its built-in chains. */
export const TABLE_HOOKS: Readonly<Record<TableName, readonly Hook[]>> = {
  raw: [NF_INET_PRE_ROUTING, NF_INET_LOCAL_OUT],
  mangle: ALL_HOOKS,
  nat: [NF_INET_PRE_ROUTING, NF_INET_LOCAL_IN, NF_INET_LOCAL_OUT, NF_INET_POST_ROUTING],
  filter: [NF_INET_LOCAL_IN, NF_INET_FORWARD, NF_INET_LOCAL_OUT],
  security: [NF_INET_LOCAL_IN, NF_INET_FORWARD, NF_INET_LOCAL_OUT],
};

/** Hook priority of a table; nat has its own, `nat/nat.ts` registers them. */
export const TABLE_PRIORITY: Readonly<Record<TableName, number>> = {
  raw: NF_IP_PRI_RAW,
  mangle: NF_IP_PRI_MANGLE,
  nat: 0,
  filter: NF_IP_PRI_FILTER,
  security: NF_IP_PRI_SECURITY,
};

export const HOOK_CHAIN_NAMES: readonly string[] = [
  "PREROUTING",
  "INPUT",
  "FORWARD",
  "OUTPUT",
  "POSTROUTING",
];

export type Policy = "ACCEPT" | "DROP";

/** A rule in its place. The counters stand in the table's arrays, so that a packet touches no object. */
export class Rule {
  readonly chain: Chain;
  spec: RuleSpec;
  /** Index of its counters in the table. */
  readonly slot: number;
  private savedSpec: RuleSpec | null = null;
  private saved = "";

  constructor(chain: Chain, spec: RuleSpec) {
    this.chain = chain;
    this.spec = spec;
    this.slot = chain.table.takeSlot();
  }

  get packets(): number {
    return this.chain.table.packets[this.slot];
  }

  /** Sum of the IP total lengths. */
  get bytes(): number {
    return this.chain.table.bytes[this.slot];
  }

  setCounters(packets: number, bytes: number): void {
    this.chain.table.packets[this.slot] = packets;
    this.chain.table.bytes[this.slot] = bytes;
  }

  /** The rule's words as iptables-save writes them, without `-A CHAIN`. */
  get text(): string {
    if (this.savedSpec !== this.spec) {
      this.savedSpec = this.spec;
      this.saved = saveRule(this.spec);
    }
    return this.saved;
  }
}

export class Chain {
  name: string;
  readonly table: Table;
  /** The hook of a built-in chain, -1 of a user's. */
  readonly hook: Hook | -1;
  /** null of a user's chain. */
  policy: Policy | null;
  readonly rules: Rule[] = [];
  /** Index of the policy's counters in the table; -1 of a user's chain. */
  readonly slot: number;

  constructor(table: Table, name: string, hook: Hook | -1) {
    this.table = table;
    this.name = name;
    this.hook = hook;
    this.policy = hook === -1 ? null : "ACCEPT";
    this.slot = hook === -1 ? -1 : table.takeSlot();
  }

  /** Packets and bytes that the policy decided about. */
  get packets(): number {
    return this.slot < 0 ? 0 : this.table.packets[this.slot];
  }

  get bytes(): number {
    return this.slot < 0 ? 0 : this.table.bytes[this.slot];
  }

  setCounters(packets: number, bytes: number): void {
    if (this.slot < 0) return;
    this.table.packets[this.slot] = packets;
    this.table.bytes[this.slot] = bytes;
  }

  /** How many rules of the table jump here. */
  get references(): number {
    let count = 0;
    for (const chain of this.table.chains)
      for (const { spec } of chain.rules)
        if (spec.target?.name === "chain" && spec.target.chain === this.name) count++;
    return count;
  }
}

/** A table as it was at one moment. */
export interface TableState {
  readonly chains: readonly {
    readonly chain: Chain;
    readonly name: string;
    readonly policy: Policy | null;
    readonly rules: readonly { readonly rule: Rule; readonly spec: RuleSpec }[];
  }[];
  readonly packets: Float64Array;
  readonly bytes: Float64Array;
  readonly freeSlots: readonly number[];
  readonly nextSlot: number;
}

export class Table {
  readonly ns: NetNs;
  readonly name: TableName;
  /** Built-in chains in hook order, then the user's by name. */
  readonly chains: Chain[] = [];
  /** Counters by slot. */
  packets = new Float64Array(16);
  bytes = new Float64Array(16);
  /** null: changed since the last packet. */
  compiled: CompiledTable | null = null;
  /** Several changes go to the kernel as one. */
  inTransaction = false;
  private readonly freeSlots: number[] = [];
  private nextSlot = 0;

  constructor(ns: NetNs, name: TableName) {
    this.ns = ns;
    this.name = name;
    for (const hook of TABLE_HOOKS[name]) this.chains.push(new Chain(this, HOOK_CHAIN_NAMES[hook], hook));
  }

  chain(name: string): Chain | undefined {
    return this.chains.find((chain) => chain.name === name);
  }

  /** Puts a user's chain in its place: behind the built-in ones, by name as bytes. */
  insertChain(chain: Chain): void {
    let i = TABLE_HOOKS[this.name].length;
    while (i < this.chains.length && this.chains[i].name < chain.name) i++;
    this.chains.splice(i, 0, chain);
  }

  /**
   * The table was replaced. libiptc puts the counters of the rules that stay back, but those of the policies start anew,
   * whichever chain was changed.
   */
  replaced(): void {
    this.compiled = null;
    if (!this.inTransaction) this.zeroPolicies();
  }

  zeroPolicies(): void {
    for (const chain of this.chains) chain.setCounters(0, 0);
  }

  takeSlot(): number {
    const slot = this.freeSlots.pop() ?? this.nextSlot++;
    if (slot >= this.packets.length) {
      const packets = new Float64Array(slot * 2);
      const bytes = new Float64Array(slot * 2);
      packets.set(this.packets);
      bytes.set(this.bytes);
      this.packets = packets;
      this.bytes = bytes;
    }
    this.packets[slot] = 0;
    this.bytes[slot] = 0;
    return slot;
  }

  freeSlot(slot: number): void {
    this.freeSlots.push(slot);
  }

  /** Everything that a change can touch, to be given back to {@link restore}. */
  snapshot(): TableState {
    return {
      chains: this.chains.map((chain) => ({
        chain,
        name: chain.name,
        policy: chain.policy,
        rules: chain.rules.map((rule) => ({ rule, spec: rule.spec })),
      })),
      packets: this.packets.slice(),
      bytes: this.bytes.slice(),
      freeSlots: this.freeSlots.slice(),
      nextSlot: this.nextSlot,
    };
  }

  restore(state: TableState): void {
    this.chains.length = 0;
    for (const { chain, name, policy, rules } of state.chains) {
      chain.name = name;
      chain.policy = policy;
      chain.rules.length = 0;
      for (const { rule, spec } of rules) {
        rule.spec = spec;
        chain.rules.push(rule);
      }
      this.chains.push(chain);
    }
    this.packets = state.packets.slice();
    this.bytes = state.bytes.slice();
    this.freeSlots.length = 0;
    this.freeSlots.push(...state.freeSlots);
    this.nextSlot = state.nextSlot;
    this.compiled = null;
  }
}

/** Called when a table comes into being, to hook it into the packet's path. */
export type TableStart = (table: Table) => void;

export class XtTables {
  readonly ns: NetNs;
  /** Tables that exist, newest first (/proc/net/ip_tables_names). */
  readonly tables: Table[] = [];
  private readonly start: TableStart;

  constructor(ns: NetNs, start: TableStart) {
    this.ns = ns;
    this.start = start;
  }

  find(name: TableName): Table | undefined {
    return this.tables.find((table) => table.name === name);
  }

  /** The table, made when it does not exist yet (xt_find_table_lock with its module). */
  table(name: TableName): Table {
    const found = this.find(name);
    if (found !== undefined) return found;
    const table = new Table(this.ns, name);
    this.tables.unshift(table);
    this.start(table);
    return table;
  }
}

/** The tables of a namespace that was equipped with `netfilterInit` (ip-tables.ts). */
export function xtOf(ns: NetNs): XtTables {
  return ns.netfilter as XtTables;
}
