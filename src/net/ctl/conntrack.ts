/**
 * Tracked connections of a namespace as ctnetlink gives them (nf_conntrack_netlink.c): list, get, delete, flush, change.
 * A namespace without hooks has an empty table. Entries come in the order of their confirmation.
 */

import { SEC } from "../../sim/sim.ts";
import { SysError } from "../../util/errors.ts";
import type { NetNs } from "../core/net-ns.ts";
import {
  type Conn,
  IPS_ASSURED,
  IPS_DST_NAT_DONE,
  IPS_NAT_CLASH,
  IPS_SEEN_REPLY,
  IPS_SRC_NAT_DONE,
} from "../netfilter/conntrack/conn.ts";
import { type ConntrackStats, conntrackOf } from "../netfilter/conntrack/conntrack-net.ts";
import { Tuple } from "../netfilter/conntrack/tuple.ts";

/** A value with a mask: addresses and marks match when they agree under it. */
export interface Masked {
  readonly value: number;
  readonly mask: number;
}

/** Which entries; what is absent matches everything. Addresses are int32, ports plain numbers. */
export interface ConntrackFilter {
  readonly proto?: number;
  readonly origSrc?: Masked;
  readonly origDst?: Masked;
  readonly replSrc?: Masked;
  readonly replDst?: Masked;
  readonly origSport?: number;
  readonly origDport?: number;
  readonly replSport?: number;
  readonly replDport?: number;
  /** ICMP of the original direction. */
  readonly icmpType?: number;
  readonly icmpCode?: number;
  readonly icmpId?: number;
  readonly mark?: Masked;
  /** TCP_CONNTRACK_* */
  readonly tcpState?: number;
  /** All of these bits of IPS_SEEN_REPLY and IPS_ASSURED. */
  readonly status?: number;
  readonly unreplied?: boolean;
  /** Source, destination, or either is translated. */
  readonly nat?: "src" | "dst" | "any" | "both";
}

/** One entry at the moment of asking. */
export interface ConntrackEntry {
  readonly conn: Conn;
  /** Whole seconds until it expires. */
  readonly expiresS: number;
  readonly seenReply: boolean;
  readonly assured: boolean;
}

/** The four tuple fields that identify a flow in its original direction. */
export interface FlowKey {
  readonly proto: number;
  readonly src: number;
  readonly dst: number;
  readonly sport: number;
  readonly dport: number;
}

function hasSourceNat(conn: Conn): boolean {
  if ((conn.status & IPS_SRC_NAT_DONE) === 0) return false;
  return conn.replDst !== conn.origSrc || conn.replDport !== conn.origSport;
}

function hasDestNat(conn: Conn): boolean {
  if ((conn.status & IPS_DST_NAT_DONE) === 0) return false;
  return conn.replSrc !== conn.origDst || conn.replSport !== conn.origDport;
}

function natMatches(conn: Conn, nat: ConntrackFilter["nat"]): boolean {
  if (nat === undefined) return true;
  const ports = conn.proto !== 1;
  const source = ports ? hasSourceNat(conn) : conn.replDst !== conn.origSrc;
  const dest = ports ? hasDestNat(conn) : conn.replSrc !== conn.origDst;
  if (nat === "src") return source;
  if (nat === "dst") return dest;
  return nat === "both" ? source && dest : source || dest;
}

function agrees(wanted: Masked | undefined, value: number): boolean {
  return wanted === undefined || ((wanted.value ^ value) & wanted.mask) === 0;
}

function equals(wanted: number | undefined, value: number): boolean {
  return wanted === undefined || wanted === value;
}

function tupleMatches(conn: Conn, filter: ConntrackFilter): boolean {
  return (
    equals(filter.proto, conn.proto) &&
    agrees(filter.origSrc, conn.origSrc) &&
    agrees(filter.origDst, conn.origDst) &&
    agrees(filter.replSrc, conn.replSrc) &&
    agrees(filter.replDst, conn.replDst) &&
    equals(filter.origSport, conn.origSport) &&
    equals(filter.origDport, conn.origDport) &&
    equals(filter.replSport, conn.replSport) &&
    equals(filter.replDport, conn.replDport) &&
    equals(filter.icmpId, conn.origSport) &&
    equals(filter.icmpType, conn.origDport >> 8) &&
    equals(filter.icmpCode, conn.origDport & 0xff)
  );
}

function matches(conn: Conn, filter: ConntrackFilter): boolean {
  if (!tupleMatches(conn, filter) || !agrees(filter.mark, conn.mark)) return false;
  if (!equals(filter.tcpState, conn.tcpState) || !natMatches(conn, filter.nat)) return false;
  if (filter.unreplied === true && (conn.status & IPS_SEEN_REPLY) !== 0) return false;
  return filter.status === undefined || (conn.status & filter.status) === filter.status;
}

function snapshot(conn: Conn, nowNs: number): ConntrackEntry {
  return {
    conn,
    expiresS: Math.floor((conn.timeoutNs - nowNs) / SEC),
    seenReply: (conn.status & IPS_SEEN_REPLY) !== 0,
    assured: (conn.status & IPS_ASSURED) !== 0,
  };
}

/** The live entries that match, the oldest first. What has expired is deleted on the way. */
export function conntrackList(ns: NetNs, filter: ConntrackFilter = {}): ConntrackEntry[] {
  const ct = conntrackOf(ns);
  ct.cleanup((conn) => conn.timeoutNs <= ct.now);
  const entries: ConntrackEntry[] = [];
  for (let conn = ct.head; conn !== null; conn = conn.listNext) {
    if ((conn.status & IPS_NAT_CLASH) === 0 && matches(conn, filter)) entries.push(snapshot(conn, ct.now));
  }
  return entries;
}

/** The entry with that tuple in either direction. ENOENT. */
export function conntrackGet(ns: NetNs, key: FlowKey): ConntrackEntry {
  const ct = conntrackOf(ns);
  const tuple = new Tuple();
  tuple.set(key.proto, key.src, key.dst, key.sport, key.dport);
  const conn = ct.find(tuple);
  if (conn === null) throw new SysError("ENOENT");
  return snapshot(conn, ct.now);
}

/** Deletes what matches; returns it as it was. */
export function conntrackDelete(ns: NetNs, filter: ConntrackFilter): ConntrackEntry[] {
  const entries = conntrackList(ns, filter);
  for (const { conn } of entries) conntrackOf(ns).kill(conn);
  return entries;
}

/** Deletes everything. */
export function conntrackFlush(ns: NetNs): void {
  conntrackOf(ns).cleanup(() => true);
}

/** Sets mark (under its mask) and lifetime of what matches; returns it as it is then. */
export function conntrackUpdate(
  ns: NetNs,
  filter: ConntrackFilter,
  change: { readonly mark?: Masked; readonly timeoutS?: number },
): ConntrackEntry[] {
  const ct = conntrackOf(ns);
  return conntrackList(ns, filter).map(({ conn }) => {
    const { mark, timeoutS } = change;
    if (mark !== undefined) conn.mark = (conn.mark & ~mark.mask) ^ mark.value;
    if (timeoutS !== undefined) ct.setTimeout(conn, ct.now + timeoutS * SEC);
    return snapshot(conn, ct.now);
  });
}

/** net.netfilter.nf_conntrack_count. */
export function conntrackCount(ns: NetNs): number {
  return conntrackOf(ns).count;
}

export function conntrackStats(ns: NetNs): Readonly<ConntrackStats> {
  return conntrackOf(ns).stats;
}
