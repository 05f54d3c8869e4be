/** Sending a balanced packet on to its real server (net/netfilter/ipvs/ip_vs_xmit.c): masquerading, tunnelling and direct routing. */
import { inetChecksum } from "../../wire/checksum.ts";
import {
  ICMP_DEST_UNREACH,
  ICMP_EXC_TTL,
  ICMP_FRAG_NEEDED,
  ICMP_HOST_UNREACH,
  ICMP_TIME_EXCEEDED,
  setIcmpCheck,
} from "../../wire/icmp.ts";
import {
  IP_DF,
  IP_HLEN,
  IPPROTO_IPIP,
  IPPROTO_TCP,
  ipChecksumSet,
  ipDaddr,
  ipDecreaseTtl,
  ipFragOff,
  ipHeaderLen,
  ipSaddr,
  ipTos,
  ipTotLen,
  ipTtl,
} from "../../wire/ipv4.ts";
import { rewriteAddress, rewriteTransport } from "../../wire/rewrite.ts";
import { TCP_HLEN } from "../../wire/tcp.ts";
import { UDP_HLEN } from "../../wire/udp.ts";
import { DROP } from "../core/drop-reason.ts";
import { type Dst, RTN_LOCAL } from "../core/dst.ts";
import {
  type Hook,
  NF_ACCEPT,
  NF_INET_FORWARD,
  NF_INET_LOCAL_OUT,
  NF_STOLEN,
  nfHook,
  type Verdict,
} from "../core/hooks.ts";
import type { NetNs } from "../core/net-ns.ts";
import { IP_CT_NEW, type Skb } from "../core/skb.ts";
import { ipTunnelEcnEncap } from "../drivers/tunnel-ecn.ts";
import { icmpSend } from "../ipv4/icmp.ts";
import { ipSelectIdent } from "../ipv4/ip-ident.ts";
import { ipBuildHeader, ipLocalOut, ipOutput } from "../ipv4/ip-output.ts";
import { ipRouteOutput, routeSource, skbSetRoute } from "../ipv4/route.ts";
import { dstMtu, updatePmtu } from "../ipv4/route-exception.ts";
import type { IpvsConn } from "./conn.ts";
import { confirmConntrack, ignoreConntrack, updateConntrack } from "./conntrack.ts";
import { IP_VS_CONN_F_DROUTE, IP_VS_CONN_F_LOCALNODE, IP_VS_CONN_F_TUNNEL } from "./service.ts";

/** Where a packet may go (IP_VS_RT_MODE_*): to this machine, elsewhere, and here although it was for elsewhere. */
const LOCAL = 1;
const NON_LOCAL = 2;
const REDIRECT = 4;
/** It is an ICMP message: too long is not too long. */
const NO_MTU = 8;
/** One more IP header comes in front. */
const TUNNEL = 16;

const LOOPBACK_NET = 127;
/** Least MTU of IPv4 (RFC 791). */
const IPV4_MIN_MTU = 68;

/** Sends by the method of the destination; the packet is the caller's only on NF_ACCEPT. */
export function ipVsXmit(ns: NetNs, skb: Skb, conn: IpvsConn): Verdict {
  if (conn.method === IP_VS_CONN_F_LOCALNODE) return sendOrCont(ns, skb, conn, null);
  if (conn.method === IP_VS_CONN_F_TUNNEL) return tunnelXmit(ns, skb, conn, 0);
  return conn.method === IP_VS_CONN_F_DROUTE ? directRoute(ns, skb, conn) : natXmit(ns, skb, conn);
}

/** ip_vs_nat_xmit */
function natXmit(ns: NetNs, skb: Skb, conn: IpvsConn): Verdict {
  const dst = outRoute(ns, skb, conn, LOCAL | NON_LOCAL | REDIRECT);
  if (dst === null || martian(skb, conn, dst)) return NF_STOLEN;
  const l4Off = skb.netOff + ipHeaderLen(skb.view, skb.netOff);
  const from = rewriteAddress(skb.view, skb.netOff, false, conn.daddr);
  ipSendCheck(skb);
  skb.ensureWritable(l4Off, l4Off + (conn.protocol === IPPROTO_TCP ? TCP_HLEN : UDP_HLEN));
  rewriteTransport(skb.view, skb.tail, conn.protocol, l4Off, false, from, conn.daddr, conn.dport);
  return natSendOrCont(ns, skb, conn, dst);
}

/** Options that were read changed the header; its checksum follows now (ip_send_check). */
export function ipSendCheck(skb: Skb): void {
  if (skb.opt !== null) ipChecksumSet(skb.view, skb.netOff);
}

/** ip_vs_dr_xmit: the packet itself, to the real server's link address. */
function directRoute(ns: NetNs, skb: Skb, conn: IpvsConn): Verdict {
  const dst = outRoute(ns, skb, conn, LOCAL | NON_LOCAL);
  if (dst !== null) ipSendCheck(skb);
  return dst === null ? NF_STOLEN : sendOrCont(ns, skb, conn, dst);
}

/**
 * ip_vs_tunnel_xmit: the packet in one of protocol 4, from this machine to the real server, which knows the virtual address
 * too. TOS and TTL are those inside, DF as well unless path MTU discovery is off: then what is too long leaves in fragments.
 */
function tunnelXmit(ns: NetNs, skb: Skb, conn: IpvsConn, noMtu: number): Verdict {
  const dst = outRoute(ns, skb, conn, LOCAL | NON_LOCAL | TUNNEL | noMtu);
  if (dst === null) return NF_STOLEN;
  if (dst.type === RTN_LOCAL) return sendOrCont(ns, skb, conn, dst);
  const { view, netOff } = skb;
  const df = conn.net.sysctl.pmtuDisc !== 0 && (ipFragOff(view, netOff) & IP_DF) !== 0;
  const innerTos = ipTos(view, netOff);
  const tos = ipTunnelEcnEncap(innerTos, innerTos);
  const ttl = ipTtl(view, netOff);
  ipSendCheck(skb);
  const saddr = routeSource(dst, conn.daddr);
  skb.opt = null;
  skb.fragList = null;
  const id = ipSelectIdent(ns, saddr, conn.daddr, IPPROTO_IPIP);
  ipBuildHeader(skb, saddr, conn.daddr, IPPROTO_IPIP, tos, ttl, df, id);
  skb.ipvsProperty = true;
  if (conn.nfct && !confirmConntrack(ns, skb)) return NF_STOLEN;
  skb.ct = null;
  skb.ctInfo = IP_CT_NEW;
  skbSetRoute(skb, dst, conn.daddr);
  ipLocalOut(ns, skb);
  return NF_STOLEN;
}

/** An ICMP error of the client about a reply goes on to the real server (ip_vs_icmp_xmit). */
export function ipVsIcmpXmit(ns: NetNs, skb: Skb, conn: IpvsConn, hook: Hook): Verdict {
  if (conn.method === IP_VS_CONN_F_TUNNEL) return tunnelXmit(ns, skb, conn, NO_MTU);
  if (!conn.masquerades) return ipVsXmit(ns, skb, conn);
  const where = hook === NF_INET_FORWARD ? NON_LOCAL : LOCAL | NON_LOCAL | REDIRECT;
  const dst = outRoute(ns, skb, conn, where | NO_MTU);
  if (dst === null || martian(skb, conn, dst)) return NF_STOLEN;
  natIcmp(skb, conn, false);
  return natSendOrCont(ns, skb, conn, dst);
}

/**
 * Translates an ICMP error about a balanced flow, outer header and quoted one (ip_vs_nat_icmp). `outwards`: it comes from
 * the real server and goes to the client.
 */
export function natIcmp(skb: Skb, conn: IpvsConn, outwards: boolean): void {
  const view = skb.view;
  const outer = skb.netOff;
  const icmp = outer + ipHeaderLen(view, outer);
  const inner = icmp + 8;
  const innerL4 = inner + ipHeaderLen(view, inner);
  const addr = outwards ? conn.vaddr : conn.daddr;
  const port = outwards ? conn.vport : conn.dport;
  rewriteAddress(view, outer, outwards, addr);
  ipSendCheck(skb);
  rewriteAddress(view, inner, !outwards, addr);
  ipChecksumSet(view, inner);
  view.setUint16(outwards ? innerL4 + 2 : innerL4, port);
  recomputeIcmpChecksum(view, icmp, outer + ipTotLen(view, outer));
}

/** The way to the real server; its TTL is less then. Null: there is none, the packet is gone (__ip_vs_get_out_rt). */
function outRoute(ns: NetNs, skb: Skb, conn: IpvsConn, where: number): Dst | null {
  const { view, netOff } = skb;
  const dst = ipRouteOutput(ns, conn.daddr, 0, 0, 0, 0);
  if (dst === null) {
    if (conn.dest !== null) conn.dest.route = null;
    icmpSend(ns, skb, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0);
    return gone(skb, DROP.IP_NOROUTE);
  }
  const { dest } = conn;
  if (dest !== null && dest.route !== dst) {
    dest.route = dst;
    dest.routeKnowsHop = conn.method === IP_VS_CONN_F_DROUTE;
  }
  if (dst.type === RTN_LOCAL) {
    const redirected = skb.dst!.type !== RTN_LOCAL;
    if ((where & LOCAL) === 0 || (redirected && (where & REDIRECT) === 0)) return gone(skb, DROP.IP_NOROUTE);
    return dst;
  }
  if ((where & NON_LOCAL) === 0 || ipSaddr(view, netOff) >>> 24 === LOOPBACK_NET)
    return gone(skb, DROP.IP_NOROUTE);
  if (ipTtl(view, netOff) <= 1) {
    icmpSend(ns, skb, ICMP_TIME_EXCEEDED, ICMP_EXC_TTL, 0);
    return gone(skb, DROP.IPVS_TTL);
  }
  ipDecreaseTtl(view, netOff);
  let mtu = dstMtu(ns, dst, conn.daddr);
  if ((where & TUNNEL) !== 0) {
    mtu -= IP_HLEN;
    if (dest === null || mtu < IPV4_MIN_MTU) return gone(skb, DROP.PKT_TOO_BIG);
    tellSocket(ns, skb, mtu);
    if (conn.net.sysctl.pmtuDisc === 0) return dst;
  }
  if ((where & NO_MTU) === 0 && ipTotLen(view, netOff) > mtu && (ipFragOff(view, netOff) & IP_DF) !== 0) {
    icmpSend(ns, skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, mtu);
    return gone(skb, DROP.PKT_TOO_BIG);
  }
  return dst;
}

/** A socket of this machine learns the path MTU at once (maybe_update_pmtu). */
function tellSocket(ns: NetNs, skb: Skb, mtu: number): void {
  if (skb.dev === null && skb.sk !== null && skb.dst !== null)
    updatePmtu(ns, skb.dst, ipDaddr(skb.view, skb.netOff), mtu);
}

function gone(skb: Skb, reason: number): null {
  skb.drop(reason);
  return null;
}

/** From the world to the loopback address: the packet is gone. */
function martian(skb: Skb, conn: IpvsConn, dst: Dst): boolean {
  if (dst.type !== RTN_LOCAL || conn.daddr >>> 24 !== LOOPBACK_NET || skb.iif === 0) return false;
  skb.drop(DROP.IP_MARTIAN);
  return true;
}

/** ip_vs_nat_send_or_cont */
function natSendOrCont(ns: NetNs, skb: Skb, conn: IpvsConn, dst: Dst): Verdict {
  skb.ipvsProperty = true;
  if (conn.nfct) updateConntrack(skb, conn, true);
  else ignoreConntrack(skb);
  return dst.type === RTN_LOCAL ? NF_ACCEPT : send(ns, skb, dst, conn);
}

/** ip_vs_send_or_cont: to the real server, or on here (no route, or a local one). */
function sendOrCont(ns: NetNs, skb: Skb, conn: IpvsConn, dst: Dst | null): Verdict {
  skb.ipvsProperty = true;
  if (!conn.nfct) ignoreConntrack(skb);
  return dst === null || dst.type === RTN_LOCAL ? NF_ACCEPT : send(ns, skb, dst, conn);
}

function send(ns: NetNs, skb: Skb, dst: Dst, { dest, daddr }: IpvsConn): Verdict {
  const knowsHop = dest === null || dest.routeKnowsHop;
  skbSetRoute(skb, dst, knowsHop ? daddr : ipDaddr(skb.view, skb.netOff));
  if (nfHook(ns, NF_INET_LOCAL_OUT, skb, null, dst.dev) !== NF_ACCEPT) return NF_STOLEN;
  // NAT may have put back the address that was asked for.
  if (!knowsHop && skb.dst === dst) skbSetRoute(skb, dst, ipDaddr(skb.view, skb.netOff));
  ipOutput(skb);
  return NF_STOLEN;
}

function recomputeIcmpChecksum(view: DataView, icmp: number, end: number): void {
  setIcmpCheck(view, icmp, 0);
  setIcmpCheck(view, icmp, inetChecksum(view, icmp, end - icmp));
}
