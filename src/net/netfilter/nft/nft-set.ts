/**
 * Sets and maps of nf_tables (struct nft_set, nft_set_elem; include/net/netfilter/nf_tables.h) as plain data, and the index
 * by which a packet finds its element (nft_set_hash.c, nft_set_rbtree.c, nft_set_pipapo.c).
 */
import type { NetDevice } from "../../core/net-device.ts";
import type { TargetSpec } from "../rule-spec.ts";
import type { NftRange, NftStatement, NftVerdictWord } from "./nft-rule.ts";
import type { NftType, Selector } from "./nft-selector.ts";
import type { NftChain, NftCounter, NftTable } from "./nft-table.ts";

/** One field of a key: from and to, or the name of a device. */
export type NftKeyPart = NftRange | string;

/** What an element of a map stands for. */
export type NftData =
  | { readonly kind: "verdict"; readonly verdict: NftVerdictWord; readonly chain: string }
  | { readonly kind: "object"; readonly name: string }
  | { readonly kind: "values"; readonly values: readonly number[] };

export interface NftElement {
  readonly key: readonly NftKeyPart[];
  readonly data: NftData | null;
  readonly comment: string;
}

export interface NftSetSpec {
  readonly types: readonly NftType[];
  /** The words of `typeof`, "" when types were named. */
  readonly typeWords: string;
  /** null: a set; else a map to verdicts, to counters, or to values of these types. */
  readonly data: null | "verdict" | "counter" | readonly NftType[];
  readonly dataWords: string;
  readonly constant: boolean;
  readonly interval: boolean;
  readonly autoMerge: boolean;
  /** 0: none was written. */
  readonly size: number;
  readonly comment: string;
}

export class NftSet {
  /** "": of a rule. */
  readonly name: string;
  readonly handle: number;
  readonly spec: NftSetSpec;
  /** Most elements, 0 for no limit: as was written, or as many as a constant set begins with. */
  readonly limit: number;
  elements: readonly NftElement[];

  constructor(name: string, handle: number, spec: NftSetSpec, elements: readonly NftElement[], begins = 0) {
    this.name = name;
    this.handle = handle;
    this.spec = spec;
    this.elements = elements;
    this.limit = spec.constant && !spec.interval && spec.size === 0 ? begins : spec.size;
  }
}

/** Fields of a packet looked for together in a set: one of the rule, or the name of one of the table. */
export interface NftUse {
  readonly keys: readonly Selector[];
  readonly set: NftSet | string;
}

/** The set or map that a statement looks into. */
export function useOf(statement: NftStatement): NftUse | null {
  if (statement.kind === "nat" || statement.kind === "set") return statement.map;
  const looks = statement.kind === "lookup" || statement.kind === "vmap" || statement.kind === "objects";
  return looks ? statement.use : null;
}

export function elementsOf(table: NftTable, { set }: NftUse): readonly NftElement[] {
  return (typeof set === "string" ? table.set(set)?.elements : set.elements) ?? [];
}

export function sameKey(a: readonly NftKeyPart[], b: readonly NftKeyPart[]): boolean {
  return a.every((part, i) => {
    const other = b[i];
    if (typeof part === "string" || typeof other === "string") return part === other;
    return part[0] === other[0] && part[1] === other[1];
  });
}

/** Numbers for the names of devices, so that a packet's is compared as a number. 0: no device. */
export class NftNameIds {
  private readonly ids = new Map<string, number>();
  private readonly names: (string | undefined)[] = [];
  private readonly known: number[] = [];

  idOf(name: string): number {
    const id = this.ids.get(name) ?? this.ids.size + 1;
    this.ids.set(name, id);
    return id;
  }

  ofDevice(dev: NetDevice | null): number {
    if (dev === null) return 0;
    if (this.names[dev.ifindex] !== dev.name) {
      this.names[dev.ifindex] = dev.name;
      this.known[dev.ifindex] = this.idOf(dev.name);
    }
    return this.known[dev.ifindex];
  }
}

const KEY_FIELDS_MAX = 16;
/** The key that is looked for, one number a field. */
export const lookupKey = new Uint32Array(KEY_FIELDS_MAX);

export class NftIndex {
  private readonly fields: number;
  private readonly count: number;
  /** Of each element its fields, from and to. */
  private readonly low: Uint32Array;
  private readonly high: Uint32Array;
  /** Numbers of elements from 1, by the hash of their keys; empty when a field has a range. */
  private readonly slots: Int32Array;
  /** Numbers of elements from 0, in rising order: of one field with ranges, which do not overlap. */
  private readonly order: Int32Array;
  /** What the elements stand for. */
  readonly kinds: number[] = [];
  readonly chains: (NftChain | null)[] = [];
  readonly counters: (NftCounter | null)[] = [];
  readonly values: number[] = [];
  targets: readonly TargetSpec[] = [];

  constructor(fields: number, elements: readonly NftElement[], names: NftNameIds) {
    this.fields = fields;
    this.count = elements.length;
    this.low = new Uint32Array(elements.length * fields);
    this.high = new Uint32Array(elements.length * fields);
    elements
      .flatMap(({ key }) => key)
      .forEach((part, i) => {
        const [from, to] = typeof part === "string" ? [names.idOf(part), names.idOf(part)] : part;
        this.low[i] = from;
        this.high[i] = to;
      });
    const exact = this.low.every((from, i) => from === this.high[i]);
    this.slots = new Int32Array(exact ? 2 ** Math.ceil(Math.log2(2 * elements.length + 1)) : 0);
    const sorted = !exact && fields === 1;
    this.order = Int32Array.from({ length: sorted ? elements.length : 0 }, (_, n) => n);
    this.order.sort((a, b) => this.low[a] - this.low[b]);
    if (exact) for (let n = 0; n < elements.length; n++) this.slots[this.slotOf(n)] = n + 1;
  }

  /** The first empty place for that element. */
  private slotOf(n: number): number {
    const mask = this.slots.length - 1;
    let at = hashOf(this.low, n * this.fields, this.fields) & mask;
    while (this.slots[at] !== 0) at = (at + 1) & mask;
    return at;
  }

  /** The number of the element with {@link lookupKey}, -1 for none. */
  find(): number {
    const { slots, fields } = this;
    if (slots.length === 0) return fields === 1 ? this.search() : this.scan();
    const mask = slots.length - 1;
    for (let at = hashOf(lookupKey, 0, fields) & mask; slots[at] !== 0; at = (at + 1) & mask)
      if (this.fits(slots[at] - 1)) return slots[at] - 1;
    return -1;
  }

  private search(): number {
    const { order, low, high } = this;
    const wanted = lookupKey[0];
    let from = 0;
    let to = order.length - 1;
    while (from <= to) {
      const middle = (from + to) >> 1;
      const n = order[middle];
      if (wanted < low[n]) to = middle - 1;
      else if (wanted > high[n]) from = middle + 1;
      else return n;
    }
    return -1;
  }

  private scan(): number {
    for (let n = 0; n < this.count; n++) if (this.fits(n)) return n;
    return -1;
  }

  private fits(n: number): boolean {
    const { fields, low, high } = this;
    const at = n * fields;
    for (let i = 0; i < fields; i++)
      if (lookupKey[i] < low[at + i] || lookupKey[i] > high[at + i]) return false;
    return true;
  }
}

function hashOf(words: Uint32Array, from: number, count: number): number {
  let hash = 0;
  for (let i = 0; i < count; i++) {
    hash = Math.imul(hash ^ words[from + i], 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return hash;
}
