/** Sets and maps as nft(8) lists them (src/rule.c set_print, src/expression.c set_expr_print, src/mergesort.c). */
import type { NftType } from "../../net/netfilter/nft/nft-selector.ts";
import type { NftData, NftElement, NftKeyPart, NftSet, NftUse } from "../../net/netfilter/nft/nft-set.ts";
import { handleText, type ListOptions } from "./list-options.ts";
import { networkText, writeValue } from "./values.ts";

/** How many elements of a named set stand on a line; of other types one. */
const PER_LINE: Readonly<Partial<Record<NftType, number>>> = {
  ipv4_addr: 2,
  ct_state: 2,
  ct_status: 2,
  inet_service: 5,
  inet_proto: 5,
  mark: 5,
  tcp_flag: 5,
  integer: 5,
};

/** Bytes of a value, and whether the lowest comes first. */
const BYTES: Readonly<Partial<Record<NftType, readonly [number, boolean]>>> = {
  ipv4_addr: [4, false],
  inet_service: [2, false],
  inet_proto: [1, false],
  icmp_type: [1, false],
  icmp_code: [1, false],
  tcp_flag: [1, false],
  integer: [1, false],
};
const NAME_BYTES = 16;

export function setText(options: ListOptions, set: NftSet): string {
  const { spec, name, handle, elements } = set;
  const isMap = spec.data !== null;
  const lines = [`\t${isMap ? "map" : "set"} ${name} {${handleText(options, handle)}`];
  const key = spec.typeWords || spec.types.join(" . ");
  const data = spec.dataWords || (typeof spec.data === "string" ? spec.data : (spec.data?.join(" . ") ?? ""));
  lines.push(`\t\t${spec.typeWords === "" ? "type" : "typeof"} ${key}${isMap ? ` : ${data}` : ""}`);
  if (spec.size > 0) lines.push(`\t\tsize ${spec.size}`);
  const flags = [...(spec.constant ? ["constant"] : []), ...(spec.interval ? ["interval"] : [])];
  if (flags.length > 0) lines.push(`\t\tflags ${flags.join(",")}`);
  if (spec.autoMerge) lines.push("\t\tauto-merge");
  if (spec.comment !== "") lines.push(`\t\tcomment "${spec.comment}"`);
  if (elements.length > 0) lines.push(`\t\telements = ${namedElements(options, set)}`);
  return `${lines.join("\n")}\n\t}\n`;
}

function namedElements(options: ListOptions, set: NftSet): string {
  const { types } = set.spec;
  const perLine = types.length === 1 ? (PER_LINE[types[0]] ?? 1) : 1;
  const words = sorted(set).map((element) => elementText(options, set, element));
  const text = words.map((word, i) => {
    if (i === words.length - 1) return word;
    return word + ((i + 1) % perLine === 0 ? ",\n\t\t\t     " : ", ");
  });
  return `{ ${text.join("")} }`;
}

/** What a rule looks into: a name, or the elements. */
export function useText(options: ListOptions, { set }: NftUse): string {
  if (typeof set === "string") return `@${set}`;
  return `{ ${sorted(set)
    .map((element) => elementText(options, set, element))
    .join(", ")} }`;
}

/**
 * In rising order; several fields are compared from the last byte to the first. Those with ranges stand as the kernel has
 * them.
 */
function sorted({ spec, elements }: NftSet): readonly NftElement[] {
  const { types, interval } = spec;
  if (types.length === 1 && types[0] !== "ifname")
    return elements.toSorted(({ key: [a] }, { key: [b] }) => lowOf(a) - lowOf(b));
  if (interval && types.length > 1) return elements;
  const keyed = elements.map((element) => ({ element, bytes: bytesOf(types, element.key) }));
  return keyed.sort((a, b) => compare(a.bytes, b.bytes)).map(({ element }) => element);
}

function lowOf(part: NftKeyPart): number {
  return typeof part === "string" ? 0 : part[0];
}

function bytesOf(types: readonly NftType[], key: readonly NftKeyPart[]): number[] {
  const bytes = key.flatMap((part, i) => {
    if (typeof part === "string")
      return Array.from({ length: NAME_BYTES }, (_, at) => (at < part.length ? part.charCodeAt(at) : 0));
    const [count, littleEndian] = BYTES[types[i]] ?? [4, true];
    const little = Array.from({ length: count }, (_, at) => (part[0] >>> (8 * at)) & 0xff);
    return littleEndian ? little : little.reverse();
  });
  return bytes.reverse();
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((byte, i) => byte !== b[i]);
  return at < 0 ? 0 : a[at] - b[at];
}

/** Names of devices in the order of a set; one with beginnings of names is one of intervals. */
export function sortedNames(names: readonly string[]): readonly string[] {
  if (names.some((name) => name.endsWith("*"))) return names.toSorted();
  return names.toSorted((a, b) => compare(bytesOf(["ifname"], [a]), bytesOf(["ifname"], [b])));
}

function elementText(options: ListOptions, { spec }: NftSet, { key, data, comment }: NftElement): string {
  const words = key.map((part, i) => partText(options, spec.types[i], part)).join(" . ");
  const told = comment === "" ? words : `${words} comment "${comment}"`;
  return data === null ? told : `${told} : ${dataText(options, spec.data, data)}`;
}

function partText({ ns, numeric }: ListOptions, type: NftType, part: NftKeyPart): string {
  if (typeof part === "string") return `"${part}"`;
  if (part[0] === part[1]) return writeValue(ns, type, part[0], numeric);
  const range = `${writeValue(ns, type, part[0], numeric)}-${writeValue(ns, type, part[1], numeric)}`;
  return (type === "ipv4_addr" ? networkText(part) : null) ?? range;
}

function dataText({ ns, numeric }: ListOptions, types: NftSet["spec"]["data"], data: NftData): string {
  if (data.kind === "object") return `"${data.name}"`;
  if (data.kind === "verdict") return data.chain === "" ? data.verdict : `${data.verdict} ${data.chain}`;
  return data.values.map((value, i) => writeValue(ns, types![i] as NftType, value, numeric)).join(" . ");
}
