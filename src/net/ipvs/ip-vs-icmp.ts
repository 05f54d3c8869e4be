/** ICMP errors about balanced flows, in both directions (ip_vs_in_icmp, ip_vs_out_icmp in net/netfilter/ipvs/ip_vs_core.c). */
import {
  ICMP_DEST_UNREACH,
  ICMP_FRAG_NEEDED,
  ICMP_HLEN,
  ICMP_SOURCE_QUENCH,
  ICMP_TIME_EXCEEDED,
  icmpCode,
  icmpMtu,
  icmpRest,
  icmpType,
} from "../../wire/icmp.ts";
import {
  IP_DF,
  IP_HLEN,
  IP_OFFSET,
  IPPROTO_IPIP,
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
import { RTN_LOCAL } from "../core/dst.ts";
import { type Hook, NF_ACCEPT, NF_DROP, NF_STOLEN, type Verdict } from "../core/hooks.ts";
import type { NetNs } from "../core/net-ns.ts";
import type { Skb } from "../core/skb.ts";
import { icmpSend } from "../ipv4/icmp.ts";
import { dstMtu, routeExceptionOf } from "../ipv4/route-exception.ts";
import { ipv4UpdatePmtu } from "../ipv4/route-pmtu.ts";
import type { IpvsConn } from "./conn.ts";
import { type IpvsNet, ipvsOf } from "./ip-vs.ts";
import { countIn, countOut, gatherFragments, markReply, reroute } from "./ip-vs-core.ts";
import { ipVsIcmpXmit, natIcmp } from "./ip-vs-xmit.ts";
import { SCHEDULE_NO_DEST, scheduleConn } from "./schedule.ts";
import { FTP_PORT, IP_VS_CONN_F_TUNNEL } from "./service.ts";

/** Bytes of both ports. */
const PORTS = 4;
/** Least MTU of IPv4 (RFC 791). */
const IPV4_MIN_MTU = 68;

/** An error about a reply, of a client or of a router on its way: goes to the real server. */
export function ipVsInIcmp(ns: NetNs, skb: Skb, hook: Hook): Verdict {
  const inner = quotedPacket(ns, skb, hook);
  if (inner === TUNNELLED) return tunnelError(ipvsOf(ns), skb);
  if (inner < 0) return otherwise(inner);
  const net = ipvsOf(ns);
  const { view } = skb;
  const protocol = ipProtocol(view, inner);
  const l4 = inner + ipHeaderLen(view, inner);
  if (l4 + PORTS > skb.tail) return net.sysctl.scheduleIcmp === 0 ? NF_ACCEPT : NF_DROP;
  const vaddr = ipSaddr(view, inner);
  const vport = view.getUint16(l4);
  const caddr = ipDaddr(view, inner);
  const cport = view.getUint16(l4 + 2);
  let conn = net.conns.findIn(protocol, caddr, cport, vaddr, vport);
  const isNew = conn === null;
  if (conn === null) {
    if (net.sysctl.scheduleIcmp === 0) return NF_ACCEPT;
    const service = net.match(skb.mark, protocol, vaddr, vport);
    if (service === null) return NF_ACCEPT;
    if (net.defense.mustDrop()) return NF_DROP;
    conn = scheduleConn(net, skb, service, protocol, caddr, cport, vaddr, vport);
    if (conn === null) {
      if (net.ignored !== SCHEDULE_NO_DEST) return NF_ACCEPT;
      return service.key.port === FTP_PORT && vport !== FTP_PORT ? NF_ACCEPT : NF_DROP;
    }
  }
  const verdict = toRealServer(net, skb, conn, hook);
  if (isNew) net.conns.touch(conn);
  return verdict;
}

function toRealServer(net: IpvsNet, skb: Skb, conn: IpvsConn, hook: Hook): Verdict {
  if (!icmpIntact(skb)) return NF_DROP;
  countIn(net, conn, ipTotLen(skb.view, skb.netOff));
  return ipVsIcmpXmit(net.ns, skb, conn, hook);
}

/**
 * An error about a packet that was wrapped up for a real server: the client hears of it as if it were about its own, with an
 * MTU that leaves room for the wrapping.
 */
function tunnelError(net: IpvsNet, skb: Skb): Verdict {
  const { view, tail } = skb;
  const icmp = skb.netOff + ipHeaderLen(view, skb.netOff);
  const outer = icmp + ICMP_HLEN;
  const inner = outer + ipHeaderLen(view, outer);
  const isOurs = (ipFragOff(view, outer) & IP_OFFSET) === 0 && skb.dst!.type === RTN_LOCAL;
  if (!isOurs || !hasTunnelTo(net, ipDaddr(view, outer)) || inner + IP_HLEN > tail) return NF_ACCEPT;
  const protocol = ipProtocol(view, inner);
  const l4 = inner + ipHeaderLen(view, inner);
  if ((protocol !== IPPROTO_TCP && protocol !== IPPROTO_UDP) || l4 + PORTS > tail) return NF_ACCEPT;
  const conn = net.conns.findIn(
    protocol,
    ipSaddr(view, inner),
    view.getUint16(l4),
    ipDaddr(view, inner),
    view.getUint16(l4 + 2),
  );
  if (conn === null) return NF_ACCEPT;
  if (!icmpIntact(skb)) return NF_DROP;
  const type = icmpType(view, icmp);
  const code = icmpCode(view, icmp);
  let info = icmpRest(view, icmp);
  if (type === ICMP_DEST_UNREACH && code === ICMP_FRAG_NEEDED) {
    info = innerMtu(net, skb, outer, conn);
    // Who does not ask for the path MTU gets its packets in fragments.
    if ((ipFragOff(view, inner) & IP_DF) === 0) {
      skb.consume();
      return NF_STOLEN;
    }
  }
  skb.data = inner;
  skb.netOff = inner;
  icmpSend(net.ns, skb, type, code, info);
  countOut(net, conn, skb.length);
  skb.consume();
  return NF_STOLEN;
}

/** Whether there is a real server of that address behind a tunnel (ip_vs_find_tunnel). */
function hasTunnelTo(net: IpvsNet, addr: number): boolean {
  for (const { dests } of net.services)
    for (const dest of dests) if (dest.addr === addr && dest.method === IP_VS_CONN_F_TUNNEL) return true;
  return false;
}

/** Notes the path MTU that the error tells, and gives what it leaves for the packet inside. */
function innerMtu(net: IpvsNet, skb: Skb, outer: number, { dest }: IpvsConn): number {
  const { ns } = net;
  let mtu = icmpMtu(skb.view, outer - ICMP_HLEN);
  const route = dest === null ? null : dest.route;
  // A route that knew of no path MTU is replaced when it is used next, and until then has that of its device.
  const known = route !== null && routeExceptionOf(ns, route, dest!.addr) !== null;
  const stale = route === null ? 0 : dstMtu(ns, route, dest!.addr);
  skb.data = outer;
  ipv4UpdatePmtu(ns, skb, mtu);
  if (route !== null) mtu = known ? dstMtu(ns, route, dest!.addr) : stale;
  return mtu > IPV4_MIN_MTU + IP_HLEN ? mtu - IP_HLEN : mtu;
}

/** An error of a real server about a request: goes to the client as from the virtual address. */
export function ipVsOutIcmp(ns: NetNs, skb: Skb, hook: Hook): Verdict {
  const inner = quotedPacket(ns, skb, hook);
  if (inner < 0) return otherwise(inner);
  const net = ipvsOf(ns);
  const { view } = skb;
  const l4 = inner + ipHeaderLen(view, inner);
  if (l4 + PORTS > skb.tail) return NF_ACCEPT;
  const conn = net.conns.findOut(
    ipProtocol(view, inner),
    ipDaddr(view, inner),
    view.getUint16(l4 + 2),
    ipSaddr(view, inner),
    view.getUint16(l4),
  );
  if (conn === null) return NF_ACCEPT;
  if (conn.masquerades) {
    if (!icmpIntact(skb)) return NF_DROP;
    natIcmp(skb, conn, true);
    if (!reroute(ns, net, skb, hook)) return NF_DROP;
  }
  countOut(net, conn, ipTotLen(view, skb.netOff));
  markReply(skb, conn);
  return NF_ACCEPT;
}

/** A translated error gets a new checksum, so a damaged one must not come that far (ip_vs_checksum_complete). */
function icmpIntact(skb: Skb): boolean {
  const { bytes, view, netOff } = skb;
  const headerLen = ipHeaderLen(view, netOff);
  return l4ChecksumOk(bytes, view, netOff, netOff + headerLen, ipTotLen(view, netOff) - headerLen);
}

/** Why there is no quoted packet. */
const NOT_OURS = -1;
const TOO_SHORT = -2;
const INCOMPLETE = -3;
const TUNNELLED = -4;

function otherwise(why: number): Verdict {
  if (why === NOT_OURS || why === TUNNELLED) return NF_ACCEPT;
  return why === TOO_SHORT ? NF_DROP : NF_STOLEN;
}

/** Offset of the TCP or UDP packet that an error quotes, or why there is none. */
function quotedPacket(ns: NetNs, skb: Skb, hook: Hook): number {
  if (!gatherFragments(ns, skb, hook)) return INCOMPLETE;
  const { view, tail, netOff } = skb;
  const icmp = netOff + ipHeaderLen(view, netOff);
  const inner = icmp + ICMP_HLEN;
  if (inner > tail) return TOO_SHORT;
  const type = icmpType(view, icmp);
  if (type !== ICMP_DEST_UNREACH && type !== ICMP_SOURCE_QUENCH && type !== ICMP_TIME_EXCEEDED)
    return NOT_OURS;
  if (inner + IP_HLEN > tail) return NOT_OURS;
  const protocol = ipProtocol(view, inner);
  if (protocol === IPPROTO_IPIP) return TUNNELLED;
  return protocol === IPPROTO_TCP || protocol === IPPROTO_UDP ? inner : NOT_OURS;
}
