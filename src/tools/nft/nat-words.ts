/** The words of NAT in a rule of nft(8) (src/parser_bison.y, src/evaluate.c stmt_evaluate_nat). */

import type { NetNs } from "../../net/core/net-ns.ts";
import {
  NF_NAT_RANGE_MAP_IPS,
  NF_NAT_RANGE_PERSISTENT,
  NF_NAT_RANGE_PROTO_RANDOM,
  NF_NAT_RANGE_PROTO_RANDOM_FULLY,
  NF_NAT_RANGE_PROTO_SPECIFIED,
} from "../../net/netfilter/nat/nat-range.ts";
import type { NftStatement } from "../../net/netfilter/nft/nft-rule.ts";
import type { NftUse } from "../../net/netfilter/nft/nft-set.ts";
import type { NatTarget } from "../../net/netfilter/rule-spec.ts";
import { NotModelledError } from "../../util/errors.ts";
import { parseIp4 } from "../../wire/address.ts";
import type { Context } from "./evaluate.ts";
import { beginsSelector, readKeys } from "./match-words.ts";
import { readUse } from "./set-use.ts";
import { type Cursor, NftTextError, type Place, span, type Token } from "./tokens.ts";

const TARGETS: Readonly<Record<string, NatTarget["name"]>> = {
  dnat: "DNAT",
  snat: "SNAT",
  masquerade: "MASQUERADE",
  redirect: "REDIRECT",
};

/** In the order in which they are written. */
export const NAT_FLAGS: readonly (readonly [string, number])[] = [
  ["random", NF_NAT_RANGE_PROTO_RANDOM],
  ["fully-random", NF_NAT_RANGE_PROTO_RANDOM_FULLY],
  ["persistent", NF_NAT_RANGE_PERSISTENT],
];

interface Ports {
  readonly low: number;
  readonly high: number;
  readonly place: Place;
}

/** The statement whose word was `first`, null when that is another. */
export function readNat(
  ns: NetNs,
  context: Context,
  cursor: Cursor,
  first: Token,
): { statement: NftStatement; place: Place } | null {
  const name = TARGETS[first.text];
  if (name === undefined) return null;
  const translates = name === "DNAT" || name === "SNAT";
  const family = translates && cursor.take("ip");
  if (translates && (cursor.is("ip6") || cursor.is("prefix")))
    throw new NotModelledError(`nft: ${first.text} ${cursor.token.text}`);
  let addr: readonly [number, number] | null = null;
  let ports: Ports | null = null;
  let map: NftUse | null = null;
  if (translates ? cursor.expect("to") !== null : cursor.take("to")) {
    if (translates && cursor.token.kind === "word" && beginsSelector(cursor))
      map = readMap(ns, context, cursor);
    else if (translates && cursor.token.kind === "word") addr = readAddresses(cursor);
    if (!translates && cursor.token.kind === "number") ports = readPorts(cursor);
    else if (cursor.take(":")) ports = readPorts(cursor);
  }
  if (translates && addr === null && map === null && ports === null) cursor.unexpected();
  const byMap = map?.keys.some(({ proto }) => proto === "tcp" || proto === "udp") === true;
  if (ports !== null && context.transport === null && !byMap)
    throw new NftTextError(
      "transport protocol mapping is only valid after transport protocol match",
      ports.place,
      first,
    );
  const hasAddr = addr !== null || map !== null;
  if (hasAddr && context.family === "inet" && !family && !context.network)
    throw new NftTextError("ip or ip6 must be specified with address for inet tables.", first);
  const flags = readFlags(cursor);
  const target: NatTarget = {
    name,
    flags: flags | (hasAddr ? NF_NAT_RANGE_MAP_IPS : 0) | (ports === null ? 0 : NF_NAT_RANGE_PROTO_SPECIFIED),
    minAddr: addr?.[0] ?? 0,
    maxAddr: addr?.[1] ?? 0,
    minPort: ports?.low ?? 0,
    maxPort: ports?.high ?? 0,
    basePort: 0,
  };
  return {
    statement: {
      kind: "nat",
      target,
      withFamily: hasAddr && (context.family === "inet" || hasPort(map)),
      map,
    },
    place: first,
  };
}

/** `tcp dport map { 80 : 10.0.0.1 . 8080 }` */
function readMap(ns: NetNs, context: Context, cursor: Cursor): NftUse {
  const read = readKeys(cursor);
  cursor.expect("map");
  const use = readUse(ns, context, cursor, read, ["ipv4_addr", "inet_service"]);
  for (const { proto } of use.keys) if (proto === "ip") context.network = true;
  return use;
}

/** With an address and a port in one, the family is always written; of a map with a name that is found later. */
function hasPort(map: NftUse | null): boolean {
  if (map === null || typeof map.set === "string") return false;
  return map.set.elements.some(({ data }) => data?.kind === "values" && data.values.length > 1);
}

function readAddress(cursor: Cursor): number {
  const token = cursor.next();
  const addr = parseIp4(token.text);
  if (addr === null) throw new NotModelledError(`nft: an address from ${token.text}`);
  return addr;
}

function readAddresses(cursor: Cursor): readonly [number, number] {
  const first = cursor.token;
  const low = readAddress(cursor);
  if (cursor.is("/")) throw new NotModelledError("nft: a network to translate to");
  if (!cursor.take("-")) return [low, low];
  const high = readAddress(cursor);
  if (high >>> 0 < low >>> 0)
    throw new NftTextError("Range has zero or negative size", span(first, cursor.last));
  return [low, high];
}

function readPorts(cursor: Cursor): Ports {
  const first = cursor.token;
  if (first.kind !== "number") throw new NotModelledError(`nft: a port from ${first.text}`);
  const low = cursor.number();
  const high = cursor.take("-") ? cursor.number() : low;
  const place = span(first, cursor.last);
  if (high > 0xffff) throw new NftTextError("Service out of range", place);
  if (high < low) throw new NftTextError("Range has zero or negative size", place);
  return { low, high, place };
}

function readFlags(cursor: Cursor): number {
  let flags = 0;
  do {
    const found = NAT_FLAGS.find(([word]) => cursor.is(word));
    if (found === undefined) break;
    cursor.next();
    flags |= found[1];
  } while (cursor.take(","));
  return flags;
}
