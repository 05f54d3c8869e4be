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
  if (known === undefined) table.sets = [...table.sets, new NftSet(name, table.takeHandle(), spec, [])];
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
  elements.forEach((element, i) => {
    const known = set.elements.find(({ key }) => sameKey(key, element.key));
    if (known !== undefined && (create || !sameData(known, element)))
      throw new NftRefusal("EEXIST", "element", i);
    if (known !== undefined) return;
    checkData(table, spec, element, i);
    if (spec.size > 0 && set.elements.length >= spec.size) throw new NftRefusal("ENFILE", "element", i);
    const clash = spec.interval && set.elements.some(({ key }) => overlap(key, element.key));
    if (clash && !spec.autoMerge) throw new NftRefusal("EEXIST", "overlap", i);
    set.elements = [...set.elements, element];
    if (spec.autoMerge) set.elements = merged(set.elements);
  });
  if (spec.data === "verdict") nftValidate(table);
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
  elements.forEach(({ key }, i) => {
    const rest = set.elements.filter((one) => !sameKey(one.key, key));
    if (rest.length === set.elements.length)
      throw new NftRefusal("ENOENT", set.spec.interval && key.length === 1 ? "interval" : "element", i);
    set.elements = rest;
  });
}

export function nftFlushSet(ns: NetNs, ref: NftTableRef, name: string): void {
  nftSet(ns, ref, name).elements = [];
}

export function nftDeleteSet(ns: NetNs, ref: NftTableRef, name: string): void {
  const set = nftSet(ns, ref, name);
  const table = nftTable(ns, ref);
  if (usersIn(table, (one) => useOf(one)?.set === name)) throw new NftRefusal("EBUSY", "set");
  table.sets = table.sets.filter((one) => one !== set);
}
