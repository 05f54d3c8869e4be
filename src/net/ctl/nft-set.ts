/** Changes of sets and maps of nf_tables (net/netfilter/nf_tables_api.c nf_tables_newset, nf_tables_newsetelem). */
import type { NetNs } from "../core/net-ns.ts";
import {
  type NftElement,
  type NftKeyPart,
  NftSet,
  type NftSetSpec,
  sameKey,
  useOf,
} from "../netfilter/nft/nft-set.ts";
import type { NftTable } from "../netfilter/nft/nft-table.ts";
import { checkNames, NftRefusal, type NftTableRef, nftTable, nftValidate, usersIn } from "./nft.ts";

export function nftSet(ns: NetNs, ref: NftTableRef, name: string): NftSet {
  const found = nftTable(ns, ref).set(name);
  if (found === undefined) throw new NftRefusal("ENOENT", "set");
  return found;
}

/** Another one of the same name must be alike. */
export function nftAddSet(
  ns: NetNs,
  ref: NftTableRef,
  name: string,
  spec: NftSetSpec,
  elements: readonly NftElement[],
  create = false,
): void {
  const table = nftTable(ns, ref);
  const known = table.set(name);
  if (known !== undefined && (create || !alike(known.spec, spec))) throw new NftRefusal("EEXIST", "set");
  if (known === undefined) {
    const made = new NftSet(name, table.takeHandle(), spec, [], elements.length);
    table.sets = [...table.sets, made];
  }
  nftAddElements(ns, ref, name, elements);
}

function alike(a: NftSetSpec, b: NftSetSpec): boolean {
  return (
    String(a.types) === String(b.types) &&
    String(a.data) === String(b.data) &&
    a.constant === b.constant &&
    a.interval === b.interval
  );
}

export function nftAddElements(
  ns: NetNs,
  ref: NftTableRef,
  name: string,
  elements: readonly NftElement[],
  create = false,
): void {
  const set = nftSet(ns, ref, name);
  const table = nftTable(ns, ref);
  const { spec } = set;
  checkChangeable(table, set);
  elements.forEach((element, i) => {
    const known = set.elements.find(({ key }) => sameKey(key, element.key));
    if (known !== undefined && (create || !sameData(known, element)))
      throw new NftRefusal("EEXIST", "element", i);
    if (known !== undefined) return;
    checkData(table, spec, element, i);
    if (set.limit > 0 && set.elements.length >= set.limit) throw new NftRefusal("ENFILE", "element", i);
    if (spec.interval) checkOverlap(set, element, i);
    set.elements = [...set.elements, element];
    if (spec.autoMerge) set.elements = merged(set.elements);
  });
  if (spec.data === "verdict") nftValidate(table);
}

/** What rules look into that is constant stays as it is. */
function checkChangeable(table: NftTable, { name, spec }: NftSet): void {
  if (spec.constant && usersIn(table, (one) => useOf(one)?.set === name))
    throw new NftRefusal("EBUSY", "command");
}

/** Of several fields only the first and the last key of the new element are looked for (nft_pipapo_insert). */
function checkOverlap({ spec, elements }: NftSet, { key }: NftElement, i: number): void {
  if (spec.types.length === 1) {
    if (!spec.autoMerge && elements.some((one) => overlap(one.key, key)))
      throw new NftRefusal("EEXIST", "overlap", i);
    return;
  }
  const [low, high] = [corner(key, 0), corner(key, 1)];
  if (elements.some((one) => overlap(one.key, low) || overlap(one.key, high)))
    throw new NftRefusal("EEXIST", "element", i);
}

/** The first key of a range (0), or the last (1). */
function corner(key: readonly NftKeyPart[], end: 0 | 1): readonly NftKeyPart[] {
  return key.map((part) => (typeof part === "string" ? part : [part[end], part[end]]));
}

function sameData({ data: a }: NftElement, { data: b }: NftElement): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** nft_add_set_elem */
function checkData(table: NftTable, spec: NftSetSpec, { data }: NftElement, i: number): void {
  if ((spec.data === null) !== (data === null)) throw new NftRefusal("EINVAL", "element", i);
  if (data !== null) checkNames(table, data, "element", i);
}

function overlap(a: readonly NftKeyPart[], b: readonly NftKeyPart[]): boolean {
  return a.every((part, i) => {
    const other = b[i];
    if (typeof part === "string" || typeof other === "string") return part === other;
    return part[0] <= other[1] && other[0] <= part[1];
  });
}

/** Elements that overlap or touch become one (src/intervals.c of nft). */
function merged(elements: readonly NftElement[]): readonly NftElement[] {
  const from = ({ key: [part] }: NftElement) => (typeof part === "string" ? 0 : part[0]);
  const to = ({ key: [part] }: NftElement) => (typeof part === "string" ? 0 : part[1]);
  const result: NftElement[] = [];
  for (const element of elements.toSorted((a, b) => from(a) - from(b))) {
    const last = result.at(-1);
    if (last === undefined || from(element) > to(last) + 1) result.push(element);
    else result[result.length - 1] = { ...last, key: [[from(last), Math.max(to(last), to(element))]] };
  }
  return result;
}

export function nftDeleteElements(
  ns: NetNs,
  ref: NftTableRef,
  name: string,
  elements: readonly NftElement[],
): void {
  const set = nftSet(ns, ref, name);
  checkChangeable(nftTable(ns, ref), set);
  elements.forEach(({ key }, i) => {
    const { interval } = set.spec;
    const first = corner(key, 0);
    // Of several fields with ranges the one goes that the first key falls into (nft_pipapo_deactivate).
    const gone = set.elements.find((one) =>
      interval && key.length > 1 ? overlap(one.key, first) : sameKey(one.key, key),
    );
    if (gone === undefined)
      throw new NftRefusal("ENOENT", interval && key.length === 1 ? "interval" : "element", i);
    set.elements = set.elements.filter((one) => one !== gone);
  });
}

export function nftFlushSet(ns: NetNs, ref: NftTableRef, name: string): void {
  const set = nftSet(ns, ref, name);
  checkChangeable(nftTable(ns, ref), set);
  set.elements = [];
}

export function nftDeleteSet(ns: NetNs, ref: NftTableRef, name: string): void {
  const set = nftSet(ns, ref, name);
  const table = nftTable(ns, ref);
  if (usersIn(table, (one) => useOf(one)?.set === name)) throw new NftRefusal("EBUSY", "set");
  table.sets = table.sets.filter((one) => one !== set);
}
