/**
 * Tracked connections of a namespace as ctnetlink gives them (nf_conntrack_netlink.c): list, get, delete, flush, change.
 * A namespace without hooks has an empty table. Entries come in the order of their confirmation.
 */

import { SEC } from "../../sim/sim.ts";
import { SysError } from "../../util/errors.ts";
import { IPPROTO_DCCP, IPPROTO_SCTP, IPPROTO_TCP } from "../../wire/ipv4.ts";
import type { NetNs } from "../core/net-ns.ts";
import {
  Conn,
  type CtDir,
  EventCache,
  IPS_ASSURED,
  IPS_CONFIRMED,
  IPS_DST_NAT,
  IPS_DST_NAT_DONE,
  IPS_FIXED_TIMEOUT,
  IPS_NAT_CLASH,
  IPS_SEEN_REPLY,
  IPS_SRC_NAT,
  IPS_SRC_NAT_DONE,
  NF_CT_DEFAULT_ZONE_DIR,
  NF_CT_ZONE_DIR_ORIG,
  NF_CT_ZONE_DIR_REPL,
  TcpTrack,
} from "../netfilter/conntrack/conn.ts";
import { conntrackEnable } from "../netfilter/conntrack/conntrack.ts";
import { type Conntrack, type ConntrackStats, conntrackOf } from "../netfilter/conntrack/conntrack-net.ts";
import type { ConntrackEvent } from "../netfilter/conntrack/ecache.ts";
import { DccpTrack, SctpTrack } from "../netfilter/conntrack/track.ts";
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
  /** In both directions, in one. */
  readonly zone?: number;
  readonly zoneOrig?: number;
  readonly zoneReply?: number;
  /** Of its protocol: TCP_CONNTRACK_*, SCTP_CONNTRACK_*, CT_DCCP_*. */
  readonly state?: number;
  /** All of these bits of IPS_*. */
  readonly status?: number;
  readonly unreplied?: boolean;
  /** Source, destination, or either is translated. */
  readonly nat?: "src" | "dst" | "any" | "both";
  /** To what they are translated; with `any` one of the two is enough. */
  readonly natSrc?: NatTo;
  readonly natDst?: NatTo;
}

export interface NatTo {
  readonly addr: Masked;
  readonly port?: number;
}

/** A connection that somebody makes by hand; what is not said of the answers follows from the rest. */
export interface NewFlow extends FlowKey {
  readonly replSrc?: number;
  readonly replDst?: number;
  readonly replSport?: number;
  readonly replDport?: number;
  /** That the answers come from elsewhere, or go there, is the work of NAT. */
  readonly nat: boolean;
  readonly mark: number;
  /** IPS_* */
  readonly status: number;
  readonly state?: number;
  /** SCTP: the verification tags of both directions. */
  readonly vtags: readonly [number, number];
  /** DCCP: the direction in which the client sends. */
  readonly clientDir: CtDir;
  readonly timeoutS: number;
  readonly zone: number;
  readonly zoneDir: "both" | "orig" | "reply";
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

/** A zone of other directions than those that are asked for reads as none. */
function zonesMatch(conn: Conn, filter: ConntrackFilter): boolean {
  const of = (dirs: number): number => (conn.zoneFlags === dirs ? conn.zone : 0);
  return (
    equals(filter.zone, of(NF_CT_DEFAULT_ZONE_DIR)) &&
    equals(filter.zoneOrig, of(NF_CT_ZONE_DIR_ORIG)) &&
    equals(filter.zoneReply, of(NF_CT_ZONE_DIR_REPL))
  );
}

function natToMatches(conn: Conn, { nat, natSrc, natDst }: ConntrackFilter): boolean {
  if (natSrc === undefined && natDst === undefined) return true;
  const source =
    natSrc !== undefined && agrees(natSrc.addr, conn.replDst) && equals(natSrc.port, conn.replDport);
  const dest =
    natDst !== undefined && agrees(natDst.addr, conn.replSrc) && equals(natDst.port, conn.replSport);
  if (nat === "any") return source || dest;
  return (natSrc === undefined || source) && (natDst === undefined || dest);
}

/** Whether a connection is among those that are asked for. */
export function conntrackMatches(conn: Conn, filter: ConntrackFilter): boolean {
  if (!tupleMatches(conn, filter) || !agrees(filter.mark, conn.mark)) return false;
  if (!equals(filter.state, conn.protoState) || !natMatches(conn, filter.nat)) return false;
  if (!zonesMatch(conn, filter) || !natToMatches(conn, filter)) return false;
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
    if ((conn.status & IPS_NAT_CLASH) === 0 && conntrackMatches(conn, filter))
      entries.push(snapshot(conn, ct.now));
  }
  return entries;
}

/** The entry with that tuple in either direction, in the common zone. ENOENT. */
export function conntrackGet(ns: NetNs, key: FlowKey): ConntrackEntry {
  const ct = conntrackOf(ns);
  const tuple = new Tuple();
  tuple.set(key.proto, key.src, key.dst, key.sport, key.dport);
  const conn = ct.find(tuple);
  if (conn === null) throw new SysError("ENOENT");
  return snapshot(conn, ct.now);
}

/** Deletes what matches; returns it as it was. `portid` here and below: the netlink port of who wants it. */
export function conntrackDelete(ns: NetNs, filter: ConntrackFilter, portid: number): ConntrackEntry[] {
  const entries = conntrackList(ns, filter);
  byPort(ns, portid, (ct) => {
    for (const { conn } of entries) ct.kill(conn);
  });
  return entries;
}

/** Deletes everything. */
export function conntrackFlush(ns: NetNs, portid: number): void {
  byPort(ns, portid, (ct) => ct.cleanup(() => true));
}

/** What an entry is changed to; what is absent stays. */
export interface ConntrackChange {
  /** Under its mask. */
  readonly mark?: Masked;
  readonly timeoutS?: number;
  /** These bits of IPS_* are set. */
  readonly status?: number;
  readonly state?: number;
}

/** Something would be another than it is. */
function changes(conn: Conn, { mark, timeoutS, status, state }: ConntrackChange): boolean {
  if (timeoutS !== undefined) return true;
  if (mark !== undefined && ((conn.mark & ~mark.mask) ^ mark.value) !== conn.mark) return true;
  if (status !== undefined && (conn.status & status) !== status) return true;
  return state !== undefined && conn.protoState !== state;
}

/** Changes what matches and is not like that already; returns it as it is then. */
export function conntrackUpdate(
  ns: NetNs,
  filter: ConntrackFilter,
  change: ConntrackChange,
  portid: number,
): ConntrackEntry[] {
  const ct = conntrackOf(ns);
  const { mark, timeoutS, status, state } = change;
  return conntrackList(ns, filter)
    .filter(({ conn }) => changes(conn, change))
    .map(({ conn }) => {
      if (mark !== undefined) conn.mark = (conn.mark & ~mark.mask) ^ mark.value;
      if (timeoutS !== undefined) ct.setTimeout(conn, ct.now + timeoutS * SEC);
      if (status !== undefined) conn.status |= status & CHANGEABLE_STATUS;
      if (state !== undefined) setState(conn, state);
      if (conn.ecache !== null) byPort(ns, portid, ({ events }) => events.deliver(conn));
      return snapshot(conn, ct.now);
    });
}

/** Makes a connection that no packet has opened. EEXIST, EINVAL: the answers must be said of whole or not at all. */
export function conntrackCreate(ns: NetNs, flow: NewFlow, portid: number): void {
  conntrackEnable(ns);
  const ct = conntrackOf(ns);
  const tuple = new Tuple();
  tuple.set(flow.proto, flow.src, flow.dst, flow.sport, flow.dport);
  const reply = new Tuple();
  reply.copy(tuple);
  if (!reply.invert()) throw new SysError("EINVAL");
  const conn = new Conn(tuple.proto, tuple.src, tuple.dst, tuple.sport, tuple.dport);
  conn.replSrc = flow.replSrc ?? reply.src;
  conn.replDst = flow.replDst ?? reply.dst;
  conn.replSport = flow.replSport ?? reply.sport;
  conn.replDport = flow.replDport ?? reply.dport;
  conn.zone = flow.zone;
  conn.zoneFlags = ZONE_DIRS[flow.zoneDir];
  reply.set(conn.proto, conn.replSrc, conn.replDst, conn.replSport, conn.replDport);
  const zones = [conn.zoneOf(0), conn.zoneOf(1)] as const;
  if (ct.find(tuple, ...zones) !== null || ct.find(reply, ...zones) !== null) throw new SysError("EEXIST");
  conn.mark = flow.mark;
  conn.status = IPS_CONFIRMED | (flow.status & CHANGEABLE_STATUS);
  if (flow.nat) {
    conn.status |= IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE;
    if (conn.replDst !== conn.origSrc) conn.status |= IPS_SRC_NAT;
    if (conn.replSrc !== conn.origDst) conn.status |= IPS_DST_NAT;
  }
  if (conn.proto === IPPROTO_TCP) conn.tcp = new TcpTrack();
  if (conn.proto === IPPROTO_SCTP) {
    conn.sctp = new SctpTrack();
    conn.sctp.vtag.set(flow.vtags);
  }
  if (conn.proto === IPPROTO_DCCP) {
    conn.dccp = new DccpTrack();
    conn.dccp.clientDir = flow.clientDir;
  }
  setState(conn, flow.state ?? 0);
  if (ct.acct !== 0) conn.acct = new Float64Array(4);
  conn.timeoutNs = flow.timeoutS * SEC;
  ct.insert(conn, false);
  if (ct.limits.listeners === 0) return;
  conn.ecache = new EventCache();
  byPort(ns, portid, ({ events }) => events.deliver(conn));
}

/** What happens meanwhile is not the work of packets. */
function byPort(ns: NetNs, portid: number, work: (ct: Conntrack) => void): void {
  const ct = conntrackOf(ns);
  ct.events.portid = portid;
  work(ct);
  ct.events.portid = 0;
}

/** An event and the whole seconds that its connection has left. */
export type ConntrackNews = ConntrackEvent & { readonly expiresS: number };

/** Hears of every event from now on, until what it returns is called. */
export function conntrackListen(ns: NetNs, heard: (news: ConntrackNews) => void): () => void {
  const ct = conntrackOf(ns);
  const listener = (event: ConntrackEvent): void =>
    heard({ ...event, expiresS: snapshot(event.conn, ct.now).expiresS });
  ct.events.add(listener);
  ct.limits.listeners++;
  return () => {
    ct.events.remove(listener);
    ct.limits.listeners--;
  };
}

function setState(conn: Conn, state: number): void {
  const track = conn.tcp ?? conn.sctp ?? conn.dccp;
  if (track !== null) track.state = state;
}

/** Bits that an administrator may set. */
const CHANGEABLE_STATUS = IPS_ASSURED | IPS_SEEN_REPLY | IPS_FIXED_TIMEOUT;

const ZONE_DIRS: Readonly<Record<NewFlow["zoneDir"], number>> = {
  both: NF_CT_DEFAULT_ZONE_DIR,
  orig: NF_CT_ZONE_DIR_ORIG,
  reply: NF_CT_ZONE_DIR_REPL,
};

/** net.netfilter.nf_conntrack_count. */
export function conntrackCount(ns: NetNs): number {
  return conntrackOf(ns).count;
}

export function conntrackStats(ns: NetNs): Readonly<ConntrackStats> {
  return conntrackOf(ns).stats;
}
