/** What happens to a packet in connection tracking (nf_conntrack_core.c of Linux 6.1). */

import { SEC } from "../../../sim/sim.ts";
import {
  IPPROTO_DCCP,
  IPPROTO_GRE,
  IPPROTO_ICMP,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPPROTO_UDPLITE,
  ipHeaderLen,
} from "../../../wire/ipv4.ts";
import { type Hook, NF_ACCEPT, NF_DROP, type Verdict } from "../../core/hooks.ts";
import {
  IP_CT_ESTABLISHED,
  IP_CT_ESTABLISHED_REPLY,
  IP_CT_NEW,
  IP_CT_RELATED,
  IP_CT_RELATED_REPLY,
  IP_CT_UNTRACKED,
  type Skb,
} from "../../core/skb.ts";
import { TRACE_CT_NEW } from "../../core/trace.ts";
import {
  Conn,
  type CtDir,
  EventCache,
  IP_CT_DIR_ORIGINAL,
  IP_CT_DIR_REPLY,
  IPS_CONFIRMED,
  IPS_DYING,
  IPS_EXPECTED,
  IPS_FIXED_TIMEOUT,
  IPS_NAT_CLASH,
  IPS_NAT_DONE_MASK,
  IPS_SEEN_REPLY,
  NF_CT_DEFAULT_ZONE_DIR,
  NF_CT_FLAG_MARK,
} from "./conn.ts";
import type { Conntrack } from "./conntrack-net.ts";
import { CT_ACCEPT, CT_DROP, CT_INVALID, CT_REPEAT, type CtVerdict } from "./proto.ts";
import { dccpPacket } from "./proto-dccp.ts";
import { icmpError, icmpPacket } from "./proto-icmp.ts";
import { sctpPacket } from "./proto-sctp.ts";
import { tcpPacket } from "./proto-tcp.ts";
import { genericPacket, grePacket, udplitePacket, udpPacket } from "./proto-udp.ts";

const CLASH_TIMEOUT_NS = SEC;

/** Set when the last `initConntrack` failed for want of room. */
let tableFull = false;

/** Direction of a packet by its IP_CT_* (CTINFO2DIR). */
export function ctDirOf(ctInfo: number): CtDir {
  return ctInfo === IP_CT_ESTABLISHED_REPLY || ctInfo === IP_CT_RELATED_REPLY
    ? IP_CT_DIR_REPLY
    : IP_CT_DIR_ORIGINAL;
}

/** A new, unconfirmed entry for `ct.tuple` (init_conntrack); null: no such flow can be, or the table is full. */
function initConntrack(ct: Conntrack): Conn | null {
  const { tuple, inner } = ct;
  inner.copy(tuple);
  if (!inner.invert()) return null;
  const { max } = ct.limits;
  if (max !== 0 && ct.count >= max && !ct.earlyDrop()) {
    ct.limits.warnFull(ct.ns.kernel);
    ct.stats.drop++;
    tableFull = true;
    return null;
  }
  const conn = new Conn(tuple.proto, tuple.src, tuple.dst, tuple.sport, tuple.dport);
  conn.zone = ct.zone;
  conn.zoneFlags = ct.zoneFlags;
  conn.replSrc = inner.src;
  conn.replDst = inner.dst;
  conn.replSport = inner.sport;
  conn.replDport = inner.dport;
  if (ct.acct !== 0) conn.acct = new Float64Array(4);
  if (ct.limits.listeners !== 0) conn.ecache = new EventCache();
  return conn;
}

/** A host that talks to itself from a port to the same: both ways look alike, and the one back is found first. */
function sameWays(conn: Conn): boolean {
  return (
    conn.origSrc === conn.replSrc &&
    conn.origDst === conn.replDst &&
    conn.origSport === conn.replSport &&
    conn.origDport === conn.replDport
  );
}

/** Attaches the packet to its connection, a new one if need be (resolve_normal_ct). */
function resolveNormalCt(ct: Conntrack, skb: Skb): void {
  tableFull = false;
  if (!ct.tuple.read(skb.view, skb.netOff, skb.tail)) return;
  const conn = ct.findInZone(ct.tuple);
  if (conn === null) {
    skb.ct = initConntrack(ct);
    skb.ctInfo = IP_CT_NEW;
    return;
  }
  skb.ct = conn;
  if (ct.table.foundDir === IP_CT_DIR_REPLY || sameWays(conn)) skb.ctInfo = IP_CT_ESTABLISHED_REPLY;
  else if ((conn.status & IPS_SEEN_REPLY) !== 0) skb.ctInfo = IP_CT_ESTABLISHED;
  else if ((conn.status & IPS_EXPECTED) !== 0) skb.ctInfo = IP_CT_RELATED;
  else skb.ctInfo = IP_CT_NEW;
}

function handlePacket(ct: Conntrack, conn: Conn, skb: Skb, off: number, hook: Hook): CtVerdict {
  if (conn.proto === IPPROTO_TCP) return tcpPacket(ct, conn, skb, off, ctDirOf(skb.ctInfo), hook);
  if (conn.proto === IPPROTO_UDP) return udpPacket(ct, conn, skb, off, hook);
  if (conn.proto === IPPROTO_ICMP) return icmpPacket(ct, conn);
  if (conn.proto === IPPROTO_GRE) return grePacket(ct, conn);
  if (conn.proto === IPPROTO_SCTP) return sctpPacket(ct, conn, skb, off, ctDirOf(skb.ctInfo), hook);
  if (conn.proto === IPPROTO_DCCP) return dccpPacket(ct, conn, skb, off, ctDirOf(skb.ctInfo), hook);
  if (conn.proto === IPPROTO_UDPLITE) return udplitePacket(ct, conn, skb, off, hook);
  return genericPacket(ct, conn);
}

/** Leaves the packet without a connection. */
function invalid(ct: Conntrack, skb: Skb): Verdict {
  skb.ct = null;
  skb.ctInfo = IP_CT_NEW;
  ct.stats.invalid++;
  return NF_ACCEPT;
}

function account(conn: Conn, skb: Skb): void {
  const acct = conn.acct;
  if (acct === null) return;
  const at = ctDirOf(skb.ctInfo) * 2;
  acct[at]++;
  acct[at + 1] += skb.tail - skb.netOff;
}

/** Takes the template off a packet, and with it the zone that is wanted (nf_ct_zone_tmpl). */
function takeTemplate(ct: Conntrack, skb: Skb): void {
  const template = skb.ct as Conn | null;
  skb.ct = null;
  if (template === null) {
    ct.zone = 0;
    ct.zoneFlags = NF_CT_DEFAULT_ZONE_DIR;
    return;
  }
  const { zoneFlags } = template;
  ct.zone = (zoneFlags & NF_CT_FLAG_MARK) === 0 ? template.zone : skb.mark & 0xffff;
  ct.zoneFlags = zoneFlags & NF_CT_DEFAULT_ZONE_DIR;
}

/** Finds or makes the connection of a whole packet and tracks it (nf_conntrack_in). */
export function nfConntrackIn(ct: Conntrack, skb: Skb, hook: Hook): Verdict {
  if (skb.ctInfo === IP_CT_UNTRACKED || (skb.ct !== null && !(skb.ct as Conn).isTemplate)) return NF_ACCEPT;
  takeTemplate(ct, skb);
  const { view, netOff } = skb;
  const off = netOff + ipHeaderLen(view, netOff);
  if (view.getUint8(netOff + 9) === IPPROTO_ICMP) {
    if (icmpError(ct, skb, off, hook) === CT_INVALID) {
      ct.stats.error++;
      return NF_ACCEPT;
    }
    if (skb.ct !== null) return NF_ACCEPT;
  }
  for (;;) {
    resolveNormalCt(ct, skb);
    const conn = skb.ct as Conn | null;
    if (conn === null) return tableFull ? NF_DROP : invalid(ct, skb);
    const verdict = handlePacket(ct, conn, skb, off, hook);
    if (verdict === CT_REPEAT) continue;
    if (verdict === CT_INVALID) return invalid(ct, skb);
    if (verdict === CT_DROP) {
      ct.stats.drop++;
      invalid(ct, skb);
      return NF_DROP;
    }
    if (skb.trace !== null && !conn.isConfirmed) skb.trace.add(TRACE_CT_NEW, 0, 0, conn);
    if (verdict === CT_ACCEPT) account(conn, skb);
    if (skb.ctInfo === IP_CT_ESTABLISHED_REPLY) conn.status |= IPS_SEEN_REPLY;
    return NF_ACCEPT;
  }
}

/** Another entry than `own` that has `own`'s original or reply tuple, or null. */
function clashing(ct: Conntrack, own: Conn): Conn | null {
  const { tuple } = ct;
  const zoneOrig = own.zoneOf(IP_CT_DIR_ORIGINAL);
  const zoneReply = own.zoneOf(IP_CT_DIR_REPLY);
  tuple.set(own.proto, own.origSrc, own.origDst, own.origSport, own.origDport);
  const first = ct.findUnder(tuple, zoneOrig, zoneOrig, zoneReply);
  if (first !== null) return first;
  tuple.set(own.proto, own.replSrc, own.replDst, own.replSport, own.replDport);
  return ct.findUnder(tuple, zoneReply, zoneOrig, zoneReply);
}

function sameTuples(a: Conn, b: Conn): boolean {
  return sameOriginal(a, b) && sameReply(a, b);
}

function sameOriginal(a: Conn, b: Conn): boolean {
  return (
    a.origSrc === b.origSrc &&
    a.origDst === b.origDst &&
    a.origSport === b.origSport &&
    a.origDport === b.origDport
  );
}

function sameReply(a: Conn, b: Conn): boolean {
  return (
    a.replSrc === b.replSrc &&
    a.replDst === b.replDst &&
    a.replSport === b.replSport &&
    a.replDport === b.replDport
  );
}

/** Two first packets of a flow met the hooks before one was confirmed (nf_ct_resolve_clash). */
function resolveClash(ct: Conntrack, skb: Skb, loser: Conn, winner: Conn): Verdict {
  if (loser.proto === IPPROTO_UDP) {
    if ((winner.status & IPS_NAT_DONE_MASK) === 0 || sameTuples(winner, loser)) {
      skb.ct = winner;
      resolveClashInfo(skb, winner);
      ct.stats.clashResolve++;
      return NF_ACCEPT;
    }
    ct.tuple.set(loser.proto, loser.replSrc, loser.replDst, loser.replSport, loser.replDport);
    const zoneReply = loser.zoneOf(IP_CT_DIR_REPLY);
    if (ct.findUnder(ct.tuple, zoneReply, loser.zoneOf(IP_CT_DIR_ORIGINAL), zoneReply) === null) {
      loser.timeoutNs = CLASH_TIMEOUT_NS;
      loser.status |= IPS_FIXED_TIMEOUT | IPS_NAT_CLASH | IPS_CONFIRMED;
      ct.insert(loser, true);
      ct.stats.clashResolve++;
      return NF_ACCEPT;
    }
  }
  ct.stats.drop++;
  ct.stats.insertFailed++;
  return NF_DROP;
}

/** State of a packet that was moved to the winner of a clash. */
function resolveClashInfo(skb: Skb, winner: Conn): void {
  skb.ctInfo = (winner.status & IPS_SEEN_REPLY) !== 0 ? IP_CT_ESTABLISHED : IP_CT_NEW;
}

/** The packet made it out of the namespace or to a socket: its new connection becomes real (__nf_conntrack_confirm). */
export function nfConntrackConfirm(ct: Conntrack, skb: Skb): Verdict {
  const conn = skb.ct as Conn | null;
  if (conn === null) return NF_ACCEPT;
  if ((conn.status & IPS_CONFIRMED) !== 0) {
    if (conn.ecache !== null && (conn.status & IPS_DYING) === 0) ct.events.deliver(conn);
    return NF_ACCEPT;
  }
  if (ctDirOf(skb.ctInfo) !== IP_CT_DIR_ORIGINAL) return NF_ACCEPT;
  if ((conn.status & IPS_DYING) !== 0) {
    ct.stats.insertFailed++;
    return NF_DROP;
  }
  const winner = clashing(ct, conn);
  if (winner !== null) return resolveClash(ct, skb, conn, winner);
  conn.status |= IPS_CONFIRMED;
  ct.insert(conn, false);
  if (conn.ecache !== null) ct.events.deliver(conn);
  return NF_ACCEPT;
}
