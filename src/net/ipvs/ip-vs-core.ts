/**
 * The hook entries of IPVS (net/netfilter/ipvs/ip_vs_core.c): requests to a virtual service go to a real server, replies
 * get the virtual address back. ICMP errors about balanced flows: ip-vs-icmp.ts.
 */
import { ICMP_DEST_UNREACH, ICMP_PORT_UNREACH } from "../../wire/icmp.ts";
import {
  IPPROTO_ICMP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  ipDaddr,
  ipHeaderLen,
  ipIsFragment,
  ipProtocol,
  ipSaddr,
  ipTotLen,
} from "../../wire/ipv4.ts";
import { rewriteAddress, rewriteTransport } from "../../wire/rewrite.ts";
import { TCP_HLEN, TCP_RST, TCP_SYN, tcpFlags } from "../../wire/tcp.ts";
import { UDP_HLEN } from "../../wire/udp.ts";
import {
  type Hook,
  type HookEntry,
  NF_ACCEPT,
  NF_DROP,
  NF_INET_FORWARD,
  NF_INET_LOCAL_IN,
  NF_INET_LOCAL_OUT,
  NF_IP_PRI_NAT_DST,
  NF_IP_PRI_NAT_SRC,
  NF_STOLEN,
  type Verdict,
} from "../core/hooks.ts";
import type { NetNs } from "../core/net-ns.ts";
import { PACKET_HOST, type Skb } from "../core/skb.ts";
import { TRACE_IPVS_NEW } from "../core/trace.ts";
import { icmpSend } from "../ipv4/icmp.ts";
import { ipDefrag } from "../ipv4/ip-fragment.ts";
import { ipRouteMeHarder } from "../ipv4/ip-output.ts";
import type { IpvsConn } from "./conn.ts";
import { ignoreConntrack, updateConntrack, usesOldConntrack } from "./conntrack.ts";
import { type IpvsNet, ipvsOf } from "./ip-vs.ts";
import {
  IP_VS_DIR_INPUT,
  IP_VS_DIR_OUTPUT,
  IP_VS_TCP_S_CLOSE,
  IP_VS_TCP_S_FIN_WAIT,
  IP_VS_TCP_S_TIME_WAIT,
  tcpStateTransition,
  udpStateTransition,
} from "./ip-vs-proto.ts";
import { ipSendCheck, ipVsXmit } from "./ip-vs-xmit.ts";
import { SCHEDULE_NO_DEST, scheduleConn } from "./schedule.ts";
import { FTP_PORT, type IpvsService } from "./service.ts";

const FORWARD_ICMP_PRIORITY = 99;
const FORWARD_REPLY_PRIORITY = 100;

/** enum ip_defrag_users: IP_DEFRAG_VS_IN, _OUT, _FWD */
const IP_DEFRAG_VS_IN = 6;
const IP_DEFRAG_VS_OUT = 7;
const IP_DEFRAG_VS_FWD = 8;

/** What handles ICMP, by direction; ip-vs-icmp.ts, which needs this file. */
export interface IcmpHandlers {
  in(ns: NetNs, skb: Skb, hook: Hook): Verdict;
  out(ns: NetNs, skb: Skb, hook: Hook): Verdict;
}

/** The seven entries, with the priorities of ip_vs_ops4. */
export function ipvsHookEntries(icmp: IcmpHandlers): HookEntry[] {
  const request = (ns: NetNs, skb: Skb, hook: Hook): Verdict => ipVsIn(ns, skb, hook, icmp);
  const reply = (ns: NetNs, skb: Skb, hook: Hook): Verdict => ipVsOut(ns, skb, hook, icmp);
  const [beforeSnat, afterDnat] = [NF_IP_PRI_NAT_SRC - 2, NF_IP_PRI_NAT_DST + 1];
  return [
    { name: "ip_vs_reply", hook: NF_INET_LOCAL_IN, priority: beforeSnat, fn: reply },
    { name: "ip_vs_remote_request", hook: NF_INET_LOCAL_IN, priority: beforeSnat + 1, fn: request },
    { name: "ip_vs_local_reply", hook: NF_INET_LOCAL_OUT, priority: afterDnat, fn: reply },
    { name: "ip_vs_local_request", hook: NF_INET_LOCAL_OUT, priority: afterDnat + 1, fn: request },
    {
      name: "ip_vs_forward_icmp",
      hook: NF_INET_FORWARD,
      priority: FORWARD_ICMP_PRIORITY,
      fn: (ns, skb, hook) =>
        ipProtocol(skb.view, skb.netOff) === IPPROTO_ICMP ? icmp.in(ns, skb, hook) : NF_ACCEPT,
    },
    { name: "ip_vs_reply", hook: NF_INET_FORWARD, priority: FORWARD_REPLY_PRIORITY, fn: reply },
  ];
}

/** What becomes of a connection that a packet found. */
const KEEP = 0;
const RESCHEDULE = 1;
const DROP_PACKET = 2;

/** A packet to a virtual service (ip_vs_in_hook). */
function ipVsIn(ns: NetNs, skb: Skb, hook: Hook, icmp: IcmpHandlers): Verdict {
  if (skb.ipvsProperty || skb.dst === null) return NF_ACCEPT;
  if (skb.pktType !== PACKET_HOST && hook !== NF_INET_LOCAL_OUT) return NF_ACCEPT;
  const net = ipvsOf(ns);
  const { view, netOff } = skb;
  const protocol = ipProtocol(view, netOff);
  if (protocol === IPPROTO_ICMP) return icmp.in(ns, skb, hook);
  if (protocol !== IPPROTO_TCP && protocol !== IPPROTO_UDP) return NF_ACCEPT;
  const l4Off = netOff + ipHeaderLen(view, netOff);
  if (l4Off + (protocol === IPPROTO_TCP ? TCP_HLEN : UDP_HLEN) > skb.tail) return NF_DROP;
  const flags = protocol === IPPROTO_TCP ? tcpFlags(view, l4Off) : 0;
  const saddr = ipSaddr(view, netOff);
  const sport = view.getUint16(l4Off);
  const daddr = ipDaddr(view, netOff);
  const dport = view.getUint16(l4Off + 2);
  let conn = net.conns.findIn(protocol, saddr, sport, daddr, dport);
  if (conn !== null) {
    const fate = judge(net, skb, conn, (flags & TCP_SYN) !== 0);
    if (fate === DROP_PACKET) return NF_DROP;
    if (fate === RESCHEDULE) conn = null;
  }
  const isNew = conn === null;
  if (conn === null) {
    if (!maySchedule(net, protocol, flags)) return NF_ACCEPT;
    const service = net.match(skb.mark, protocol, daddr, dport);
    if (service === null) return NF_ACCEPT;
    if (net.defense.mustDrop()) return NF_DROP;
    conn = scheduleConn(net, skb, service, protocol, saddr, sport, daddr, dport);
    if (conn === null) return net.ignored === SCHEDULE_NO_DEST ? leave(ns, skb, service, dport) : NF_ACCEPT;
  }
  if (skb.trace !== null) skb.trace.add(TRACE_IPVS_NEW, isNew ? 1 : 0, 0, conn);
  countIn(net, conn, ipTotLen(view, netOff));
  setState(conn, protocol, IP_VS_DIR_INPUT, flags);
  const verdict = ipVsXmit(ns, skb, conn);
  net.conns.touch(conn);
  return verdict;
}

/** A packet that may be a reply of a real server (ip_vs_out_hook). */
function ipVsOut(ns: NetNs, skb: Skb, hook: Hook, icmp: IcmpHandlers): Verdict {
  if (skb.ipvsProperty || skb.dst === null) return NF_ACCEPT;
  const net = ipvsOf(ns);
  const protocol = ipProtocol(skb.view, skb.netOff);
  if (protocol === IPPROTO_ICMP) return icmp.out(ns, skb, hook);
  if (protocol !== IPPROTO_TCP && protocol !== IPPROTO_UDP) return NF_ACCEPT;
  if (!gatherFragments(ns, skb, hook)) return NF_STOLEN;
  const { view, netOff } = skb;
  const l4Off = netOff + ipHeaderLen(view, netOff);
  if (l4Off + 4 > skb.tail) return NF_ACCEPT;
  const saddr = ipSaddr(view, netOff);
  const sport = view.getUint16(l4Off);
  const conn = net.conns.findOut(protocol, saddr, sport, ipDaddr(view, netOff), view.getUint16(l4Off + 2));
  if (conn === null) {
    if (net.sysctl.natIcmpSend === 0 || !net.hasRealServer(protocol, saddr, sport)) return NF_ACCEPT;
    if (protocol === IPPROTO_TCP && (l4Off + TCP_HLEN > skb.tail || (tcpFlags(view, l4Off) & TCP_RST) !== 0))
      return NF_ACCEPT;
    icmpSend(ns, skb, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0);
    return NF_DROP;
  }
  if (l4Off + (protocol === IPPROTO_TCP ? TCP_HLEN : UDP_HLEN) > skb.tail) return NF_DROP;
  if (conn.masquerades) {
    const from = rewriteAddress(view, netOff, true, conn.vaddr);
    ipSendCheck(skb);
    skb.ensureWritable(l4Off, l4Off + (protocol === IPPROTO_TCP ? TCP_HLEN : UDP_HLEN));
    rewriteTransport(view, skb.tail, protocol, l4Off, true, from, conn.vaddr, conn.vport);
    if (!reroute(ns, net, skb, hook)) return NF_DROP;
  }
  countOut(net, conn, ipTotLen(view, netOff));
  setState(conn, protocol, IP_VS_DIR_OUTPUT, protocol === IPPROTO_TCP ? tcpFlags(view, l4Off) : 0);
  markReply(skb, conn);
  net.conns.touch(conn);
  return NF_ACCEPT;
}

/** Puts fragments together (ip_vs_gather_frags); false: the packet is not whole yet, and gone. */
export function gatherFragments(ns: NetNs, skb: Skb, hook: Hook): boolean {
  if (!ipIsFragment(skb.view, skb.netOff)) return true;
  if (hook === NF_INET_LOCAL_IN) return ipDefrag(ns, skb, IP_DEFRAG_VS_IN);
  return ipDefrag(ns, skb, hook === NF_INET_FORWARD ? IP_DEFRAG_VS_FWD : IP_DEFRAG_VS_OUT);
}

/** Whether the entry that a packet found still serves it. */
function judge(net: IpvsNet, skb: Skb, conn: IpvsConn, isNew: boolean): number {
  const { expireNodestConn } = net.sysctl;
  const dest = conn.dest;
  if (isNew) {
    const drained = expireNodestConn !== 0 && dest !== null && dest.weight === 0;
    const old = usesOldConntrack(skb, conn);
    const reused = !drained && isReused(net, conn);
    if (drained || (reused && (conn.controlled === 0 || !old))) return retire(net, conn, old);
  }
  if (dest === null || dest.available) return KEEP;
  return expireNodestConn === 0 ? DROP_PACKET : retire(net, conn, usesOldConntrack(skb, conn));
}

/** Ends an entry; the packet waits for its retransmission when it still rides on the entry's conntrack. */
function retire(net: IpvsNet, conn: IpvsConn, old: boolean): number {
  if (!old) conn.nfct = false;
  if (conn.controlled === 0) net.conns.expireNow(conn);
  return old ? DROP_PACKET : RESCHEDULE;
}

/** A SYN to an entry that is over is a new connection from the same port (is_new_conn_expected). */
function isReused(net: IpvsNet, conn: IpvsConn): boolean {
  const { connReuseMode } = net.sysctl;
  if (connReuseMode === 0 || conn.control !== null || conn.protocol !== IPPROTO_TCP) return false;
  const { state } = conn;
  if (state === IP_VS_TCP_S_TIME_WAIT || state === IP_VS_TCP_S_CLOSE) return true;
  return (connReuseMode & 2) !== 0 && state === IP_VS_TCP_S_FIN_WAIT && conn.noOutput;
}

function maySchedule(net: IpvsNet, protocol: number, flags: number): boolean {
  if (protocol === IPPROTO_UDP) return true;
  return (flags & TCP_RST) === 0 && (net.sysctl.sloppyTcp !== 0 || (flags & TCP_SYN) !== 0);
}

/** No destination would take it (ip_vs_leave). */
function leave(ns: NetNs, skb: Skb, service: IpvsService, dport: number): Verdict {
  if (service.key.port === FTP_PORT && dport !== FTP_PORT) return NF_ACCEPT;
  icmpSend(ns, skb, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0);
  return NF_DROP;
}

/** Replies to remote clients may have another way than the request came (ip_vs_route_me_harder). */
export function reroute(ns: NetNs, net: IpvsNet, skb: Skb, hook: Hook): boolean {
  if (hook === NF_INET_LOCAL_IN || net.sysctl.snatReroute === 0) return true;
  return ipRouteMeHarder(ns, skb);
}

/** The reply is done with. */
export function markReply(skb: Skb, conn: IpvsConn): void {
  skb.ipvsProperty = true;
  if (conn.nfct) updateConntrack(skb, conn, false);
  else ignoreConntrack(skb);
}

function setState(conn: IpvsConn, protocol: number, direction: number, flags: number): void {
  if (protocol === IPPROTO_TCP) tcpStateTransition(conn, direction, flags);
  else udpStateTransition(conn, direction);
}

export function countIn(net: IpvsNet, conn: IpvsConn, lenBytes: number): void {
  const dest = conn.dest;
  if (dest === null || !dest.available) return;
  dest.stats.countIn(lenBytes);
  dest.service.stats.countIn(lenBytes);
  net.totals.countIn(lenBytes);
}

export function countOut(net: IpvsNet, conn: IpvsConn, lenBytes: number): void {
  const dest = conn.dest;
  if (dest === null || !dest.available) return;
  dest.stats.countOut(lenBytes);
  dest.service.stats.countOut(lenBytes);
  net.totals.countOut(lenBytes);
}
