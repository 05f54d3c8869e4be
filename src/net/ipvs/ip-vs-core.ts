/**
 * The hook entries of IPVS (net/netfilter/ipvs/ip_vs_core.c): requests to a virtual service go to a real server, replies
 * get the virtual address back, ICMP errors about balanced flows are translated.
 */
import { formatIp4 } from "../../wire/address.ts";
import {
  ICMP_DEST_UNREACH,
  ICMP_HLEN,
  ICMP_PORT_UNREACH,
  ICMP_SOURCE_QUENCH,
  ICMP_TIME_EXCEEDED,
  icmpType,
} from "../../wire/icmp.ts";
import {
  IP_HLEN,
  IP_OFFSET,
  IPPROTO_ICMP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  ipDaddr,
  ipFragOff,
  ipHeaderLen,
  ipProtocol,
  ipSaddr,
  ipTotLen,
  l4ChecksumOk,
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
  type Verdict,
} from "../core/hooks.ts";
import { IFF_LOOPBACK } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import { PACKET_HOST, type Skb } from "../core/skb.ts";
import { TRACE_IPVS_NEW } from "../core/trace.ts";
import { icmpSend } from "../ipv4/icmp.ts";
import { ipRouteMeHarder } from "../ipv4/ip-output.ts";
import type { IpvsConn } from "./conn.ts";
import { ignoreConntrack, updateConntrack, usesOldConntrack } from "./conntrack.ts";
import { type IpvsNet, ipvsOf } from "./ip-vs.ts";
import {
  IP_VS_DIR_INPUT,
  IP_VS_DIR_OUTPUT,
  IP_VS_TCP_S_CLOSE,
  IP_VS_TCP_S_TIME_WAIT,
  tcpStateTransition,
  udpStateTransition,
} from "./ip-vs-proto.ts";
import { ipVsIcmpXmit, ipVsXmit, natIcmp } from "./ip-vs-xmit.ts";
import { scheduleConn } from "./schedule.ts";
import type { IpvsService } from "./service.ts";

const FORWARD_ICMP_PRIORITY = 99;
const FORWARD_REPLY_PRIORITY = 100;

/** The seven entries, with the priorities of ip_vs_ops4. */
export function ipvsHookEntries(): HookEntry[] {
  return [
    { name: "ip_vs_reply", hook: NF_INET_LOCAL_IN, priority: NF_IP_PRI_NAT_SRC - 2, fn: ipVsOut },
    { name: "ip_vs_remote_request", hook: NF_INET_LOCAL_IN, priority: NF_IP_PRI_NAT_SRC - 1, fn: ipVsIn },
    { name: "ip_vs_local_reply", hook: NF_INET_LOCAL_OUT, priority: NF_IP_PRI_NAT_DST + 1, fn: ipVsOut },
    { name: "ip_vs_local_request", hook: NF_INET_LOCAL_OUT, priority: NF_IP_PRI_NAT_DST + 2, fn: ipVsIn },
    {
      name: "ip_vs_forward_icmp",
      hook: NF_INET_FORWARD,
      priority: FORWARD_ICMP_PRIORITY,
      fn: ipVsForwardIcmp,
    },
    { name: "ip_vs_reply", hook: NF_INET_FORWARD, priority: FORWARD_REPLY_PRIORITY, fn: ipVsOut },
  ];
}

/** Said of an error about a flow whose replies do not come this way; it is translated all the same. */
const HALF_CONNECTION =
  "IPVS: shouldn't reach here, because the box is on the half connection in the tun/dr module.";

/** What becomes of a connection that a packet found. */
const KEEP = 0;
const RESCHEDULE = 1;
const DROP_PACKET = 2;

/** A packet to a virtual service (ip_vs_in_hook). */
function ipVsIn(ns: NetNs, skb: Skb, hook: Hook): Verdict {
  if (skb.ipvsProperty || skb.dst === null) return NF_ACCEPT;
  if (skb.pktType !== PACKET_HOST && hook !== NF_INET_LOCAL_OUT) return NF_ACCEPT;
  const net = ipvsOf(ns);
  const { view, netOff } = skb;
  const protocol = ipProtocol(view, netOff);
  if (protocol === IPPROTO_ICMP) return ipVsInIcmp(net, skb);
  if (!isBalanced(skb, protocol)) return NF_ACCEPT;
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
  if (conn === null) {
    const service = maySchedule(net, protocol, flags) ? net.match(skb.mark, protocol, daddr, dport) : null;
    if (service === null || isLocalReply(net, skb, protocol, saddr, sport, daddr, dport)) return NF_ACCEPT;
    conn = scheduleConn(net, service, protocol, saddr, sport, daddr, dport);
    if (conn === null) return leave(ns, skb, service);
    countConn(net, conn);
    if (skb.trace !== null) skb.trace.add(TRACE_IPVS_NEW, 1, 0, conn);
  } else if (skb.trace !== null) {
    skb.trace.add(TRACE_IPVS_NEW, 0, 0, conn);
  }
  countIn(net, conn, ipTotLen(view, netOff));
  setState(conn, protocol, IP_VS_DIR_INPUT, flags);
  const verdict = ipVsXmit(ns, skb, conn);
  net.conns.touch(conn);
  return verdict;
}

/** A packet that may be a reply of a real server (ip_vs_out_hook). */
function ipVsOut(ns: NetNs, skb: Skb, hook: Hook): Verdict {
  if (skb.ipvsProperty || skb.dst === null) return NF_ACCEPT;
  const net = ipvsOf(ns);
  const { view, netOff } = skb;
  const protocol = ipProtocol(view, netOff);
  if (protocol === IPPROTO_ICMP) return ipVsOutIcmp(ns, net, skb, hook);
  if (!isBalanced(skb, protocol)) return NF_ACCEPT;
  const l4Off = netOff + ipHeaderLen(view, netOff);
  if (l4Off + (protocol === IPPROTO_TCP ? TCP_HLEN : UDP_HLEN) > skb.tail) return NF_ACCEPT;
  const conn = net.conns.findOut(
    protocol,
    ipSaddr(view, netOff),
    view.getUint16(l4Off),
    ipDaddr(view, netOff),
    view.getUint16(l4Off + 2),
  );
  if (conn === null) return NF_ACCEPT;
  const from = rewriteAddress(view, netOff, true, conn.vaddr);
  rewriteTransport(view, skb.tail, protocol, l4Off, true, from, conn.vaddr, conn.vport);
  if (!reroute(ns, net, skb, hook)) return NF_DROP;
  countOut(net, conn, ipTotLen(view, netOff));
  setState(conn, protocol, IP_VS_DIR_OUTPUT, protocol === IPPROTO_TCP ? tcpFlags(view, l4Off) : 0);
  handled(skb, conn);
  net.conns.touch(conn);
  return NF_ACCEPT;
}

/** ICMP that is forwarded may be about a balanced flow (ip_vs_forward_icmp). */
function ipVsForwardIcmp(ns: NetNs, skb: Skb): Verdict {
  return ipProtocol(skb.view, skb.netOff) === IPPROTO_ICMP ? ipVsInIcmp(ipvsOf(ns), skb) : NF_ACCEPT;
}

/** An ICMP error of a client about a reply: goes to the real server (ip_vs_in_icmp). */
function ipVsInIcmp(net: IpvsNet, skb: Skb): Verdict {
  const conn = connOfIcmp(net, skb, false);
  if (conn === null) return NF_ACCEPT;
  if (!icmpIntact(skb)) return NF_DROP;
  countIn(net, conn, ipTotLen(skb.view, skb.netOff));
  return ipVsIcmpXmit(net.ns, skb, conn);
}

/** An ICMP error of a real server about a request: goes to the client as from the virtual address (ip_vs_out_icmp). */
function ipVsOutIcmp(ns: NetNs, net: IpvsNet, skb: Skb, hook: Hook): Verdict {
  const conn = connOfIcmp(net, skb, true);
  if (conn === null) return NF_ACCEPT;
  if (!icmpIntact(skb)) return NF_DROP;
  if (!conn.masquerades) ns.kernel.printk(HALF_CONNECTION);
  natIcmp(skb, conn, true);
  if (!reroute(ns, net, skb, hook)) return NF_DROP;
  countOut(net, conn, ipTotLen(skb.view, skb.netOff));
  handled(skb, conn);
  return NF_ACCEPT;
}

/** A translated error gets a new checksum, so a damaged one must not come that far (ip_vs_checksum_complete). */
function icmpIntact(skb: Skb): boolean {
  const { bytes, view, netOff } = skb;
  const headerLen = ipHeaderLen(view, netOff);
  return l4ChecksumOk(bytes, view, netOff, netOff + headerLen, ipTotLen(view, netOff) - headerLen);
}

/** The connection that an ICMP error quotes. `outwards`: the quoted packet is a request to the real server. */
function connOfIcmp(net: IpvsNet, skb: Skb, outwards: boolean): IpvsConn | null {
  const { view, netOff } = skb;
  const icmp = netOff + ipHeaderLen(view, netOff);
  const inner = icmp + ICMP_HLEN;
  if (inner + IP_HLEN > skb.tail) return null;
  const type = icmpType(view, icmp);
  if (type !== ICMP_DEST_UNREACH && type !== ICMP_SOURCE_QUENCH && type !== ICMP_TIME_EXCEEDED) return null;
  const protocol = ipProtocol(view, inner);
  if (protocol !== IPPROTO_TCP && protocol !== IPPROTO_UDP) return null;
  const l4 = inner + ipHeaderLen(view, inner);
  if (l4 + 8 > skb.tail || (ipFragOff(view, inner) & IP_OFFSET) !== 0) return null;
  const saddr = ipSaddr(view, inner);
  const sport = view.getUint16(l4);
  const daddr = ipDaddr(view, inner);
  const dport = view.getUint16(l4 + 2);
  return outwards
    ? net.conns.findOut(protocol, daddr, dport, saddr, sport)
    : net.conns.findIn(protocol, daddr, dport, saddr, sport);
}

/** Whether the entry that a packet found still serves it. */
function judge(net: IpvsNet, skb: Skb, conn: IpvsConn, isNew: boolean): number {
  const { expireNodestConn, connReuseMode } = net.sysctl;
  const dest = conn.dest;
  if (isNew) {
    const drained = expireNodestConn !== 0 && dest !== null && dest.weight === 0;
    const old = usesOldConntrack(skb, conn);
    const reused = !drained && connReuseMode !== 0 && conn.control === null && isClosed(conn);
    if (drained || (reused && (conn.controlled === 0 || !old))) return retire(net, conn, old);
  }
  if (dest === null || dest.available) return KEEP;
  return expireNodestConn === 0 ? DROP_PACKET : retire(net, conn, usesOldConntrack(skb, conn));
}

/** Ends an entry; the packet waits for its retransmission when it still rides on the entry's conntrack. */
function retire(net: IpvsNet, conn: IpvsConn, old: boolean): number {
  if (!old) conn.nfct = false;
  if (conn.controlled === 0) net.conns.expire(conn);
  return old ? DROP_PACKET : RESCHEDULE;
}

function isClosed(conn: IpvsConn): boolean {
  return (
    conn.protocol === IPPROTO_TCP &&
    (conn.state === IP_VS_TCP_S_TIME_WAIT || conn.state === IP_VS_TCP_S_CLOSE)
  );
}

/** TCP and UDP, first fragments or whole. */
function isBalanced(skb: Skb, protocol: number): boolean {
  return (
    (protocol === IPPROTO_TCP || protocol === IPPROTO_UDP) &&
    (ipFragOff(skb.view, skb.netOff) & IP_OFFSET) === 0
  );
}

function maySchedule(net: IpvsNet, protocol: number, flags: number): boolean {
  if (protocol === IPPROTO_UDP) return true;
  return (flags & TCP_RST) === 0 && (net.sysctl.sloppyTcp !== 0 || (flags & TCP_SYN) !== 0);
}

/** A reply of a real server on this machine must not be scheduled as a request. */
function isLocalReply(
  net: IpvsNet,
  skb: Skb,
  protocol: number,
  saddr: number,
  sport: number,
  daddr: number,
  dport: number,
): boolean {
  if (skb.dev !== null && (skb.dev.flags & IFF_LOOPBACK) === 0) return false;
  return net.conns.findIn(protocol, daddr, dport, saddr, sport) !== null;
}

/** No destination would take it (ip_vs_leave). */
function leave(ns: NetNs, skb: Skb, service: IpvsService): Verdict {
  const { fwmark, protocol } = service.key;
  const name =
    fwmark === 0
      ? `${protocol === IPPROTO_TCP ? "TCP" : "UDP"} ${formatIp4(service.key.addr)}:${service.key.port}`
      : `FWM ${fwmark >>> 0} 0x${(fwmark >>> 0).toString(16).padStart(8, "0")}`;
  ns.kernel.printkRatelimited(`IPVS: ${service.options.scheduler}: ${name} - no destination available`);
  icmpSend(ns, skb, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0);
  return NF_DROP;
}

/** Replies to remote clients may have another way than the request came (ip_vs_route_me_harder). */
function reroute(ns: NetNs, net: IpvsNet, skb: Skb, hook: Hook): boolean {
  if (hook === NF_INET_LOCAL_IN || net.sysctl.snatReroute === 0) return true;
  return ipRouteMeHarder(ns, skb);
}

function handled(skb: Skb, conn: IpvsConn): void {
  skb.ipvsProperty = true;
  if (conn.nfct) updateConntrack(skb, conn, false);
  else ignoreConntrack(skb);
}

function setState(conn: IpvsConn, protocol: number, direction: number, flags: number): void {
  if (protocol === IPPROTO_TCP) tcpStateTransition(conn, direction, flags);
  else udpStateTransition(conn, direction);
}

function countConn(net: IpvsNet, conn: IpvsConn): void {
  conn.dest!.stats.countConn();
  conn.dest!.service.stats.countConn();
  net.totals.countConn();
}

function countIn(net: IpvsNet, conn: IpvsConn, lenBytes: number): void {
  const dest = conn.dest;
  if (dest === null || !dest.available) return;
  dest.stats.countIn(lenBytes);
  dest.service.stats.countIn(lenBytes);
  net.totals.countIn(lenBytes);
}

function countOut(net: IpvsNet, conn: IpvsConn, lenBytes: number): void {
  const dest = conn.dest;
  if (dest === null || !dest.available) return;
  dest.stats.countOut(lenBytes);
  dest.service.stats.countOut(lenBytes);
  net.totals.countOut(lenBytes);
}
