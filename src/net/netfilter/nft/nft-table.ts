/**
 * The tables of nf_tables in a namespace (net/netfilter/nf_tables_api.c): tables with their chains, rules and counters as
 * plain data. Who changes them is `net/ctl/nft.ts`; base chains come into the packet's path when a change is done.
 */
import type { Hook } from "../../core/hooks.ts";
import type { NetNs } from "../../core/net-ns.ts";
import type { NftExpr } from "./nft-compile.ts";
import type { NftStatement } from "./nft-rule.ts";
import { type NftElement, NftNameIds, type NftSet } from "./nft-set.ts";

export type NftFamily = "ip" | "inet";
export type NftChainType = "filter" | "nat";

/** A counter, with a name or in a rule. */
export class NftCounter {
  readonly name: string;
  readonly handle: number;
  packets: number;
  bytes: number;

  constructor(name: string, packets: number, bytes: number, handle = 0) {
    this.name = name;
    this.packets = packets;
    this.bytes = bytes;
    this.handle = handle;
  }
}

export interface NftRule {
  readonly handle: number;
  readonly statements: readonly NftStatement[];
  readonly comment: string;
}

export interface NftBase {
  readonly type: NftChainType;
  readonly hook: Hook;
  readonly priority: number;
}

export class NftChain {
  readonly table: NftTable;
  readonly name: string;
  readonly handle: number;
  /** null: reached by jumps only. */
  readonly base: NftBase | null;
  drops = false;
  rules: readonly NftRule[] = [];
  /** The rules as they run; null: changed since. */
  program: readonly (readonly NftExpr[])[] | null = null;

  constructor(table: NftTable, name: string, handle: number, base: NftBase | null) {
    this.table = table;
    this.name = name;
    this.handle = handle;
    this.base = base;
  }
}

export class NftTable {
  readonly family: NftFamily;
  readonly name: string;
  readonly handle: number;
  chains: readonly NftChain[] = [];
  counters: readonly NftCounter[] = [];
  sets: readonly NftSet[] = [];
  readonly nameIds = new NftNameIds();
  private lastHandle = 0;

  constructor(family: NftFamily, name: string, handle: number) {
    this.family = family;
    this.name = name;
    this.handle = handle;
  }

  chain(name: string): NftChain | undefined {
    return this.chains.find((chain) => chain.name === name);
  }

  counter(name: string): NftCounter | undefined {
    return this.counters.find((counter) => counter.name === name);
  }

  set(name: string): NftSet | undefined {
    return this.sets.find((set) => set.name === name);
  }

  takeHandle(): number {
    return ++this.lastHandle;
  }
}

/** All tables as they were at one moment. */
interface NftState {
  readonly tables: readonly NftTable[];
  readonly parts: readonly {
    readonly chains: readonly NftChain[];
    readonly counters: readonly NftCounter[];
    readonly contents: readonly { readonly rules: readonly NftRule[]; readonly drops: boolean }[];
    readonly sets: readonly NftSet[];
    readonly elements: readonly (readonly NftElement[])[];
  }[];
}

/** Puts a base chain into the packet's path; what is returned takes it out again. */
export type NftStart = (ns: NetNs, chain: NftChain) => () => void;

export class NftTables {
  readonly ns: NetNs;
  tables: readonly NftTable[] = [];
  private lastHandle = 0;
  private readonly start: NftStart;
  private readonly running = new Map<NftChain, () => void>();

  constructor(ns: NetNs, start: NftStart) {
    this.ns = ns;
    this.start = start;
  }

  find(family: NftFamily, name: string): NftTable | undefined {
    return this.tables.find((table) => table.family === family && table.name === name);
  }

  takeHandle(): number {
    return ++this.lastHandle;
  }

  snapshot(): NftState {
    const parts = this.tables.map(({ chains, counters, sets }) => {
      const contents = chains.map(({ rules, drops }) => ({ rules, drops }));
      return { chains, counters, contents, sets, elements: sets.map((set) => set.elements) };
    });
    return { tables: this.tables, parts };
  }

  /** Numbers of handles that were given out since are lost. */
  restore(state: NftState): void {
    this.tables = state.tables;
    state.parts.forEach(({ chains, counters, contents, sets, elements }, i) => {
      const table = this.tables[i];
      table.chains = chains;
      table.counters = counters;
      table.sets = sets;
      elements.forEach((those, at) => {
        sets[at].elements = those;
      });
      contents.forEach(({ rules, drops }, at) => {
        chains[at].rules = rules;
        chains[at].drops = drops;
      });
    });
  }

  /** What was changed begins to run (nf_tables_commit). */
  commit(): void {
    const chains = this.tables.flatMap((table) => table.chains);
    for (const chain of chains) chain.program = null;
    for (const [chain, stop] of this.running) {
      if (chains.includes(chain)) continue;
      stop();
      this.running.delete(chain);
    }
    for (const chain of chains)
      if (chain.base !== null && !this.running.has(chain))
        this.running.set(chain, this.start(this.ns, chain));
  }
}

/** nf_tables of a namespace that was equipped with `nftInit` (nft-chain.ts). */
export function nftOf(ns: NetNs): NftTables {
  return ns.nft as NftTables;
}
