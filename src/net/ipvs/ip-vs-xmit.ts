/** Sending a balanced packet on to its real server (net/netfilter/ipvs/ip_vs_xmit.c): masquerading and direct routing. */
import { inetChecksum } from "../../wire/checksum.ts";
import {
  ICMP_DEST_UNREACH,
  ICMP_EXC_TTL,
  ICMP_FRAG_NEEDED,
  ICMP_TIME_EXCEEDED,
  setIcmpCheck,
} from "../../wire/icmp.ts";
import { IP_DF, ipDecreaseTtl, ipFragOff, ipHeaderLen, ipTos, ipTotLen, ipTtl } from "../../wire/ipv4.ts";
import { rewriteAddress, rewriteTransport } from "../../wire/rewrite.ts";
import { DROP } from "../core/drop-reason.ts";
import { type Dst, RTN_LOCAL } from "../core/dst.ts";
import { NF_ACCEPT, NF_INET_LOCAL_OUT, NF_STOLEN, nfHook, type Verdict } from "../core/hooks.ts";
import type { NetNs } from "../core/net-ns.ts";
import type { Skb } from "../core/skb.ts";
import { icmpSend } from "../ipv4/icmp.ts";
import { ipOutput } from "../ipv4/ip-output.ts";
import { ipRouteOutput, skbSetRoute } from "../ipv4/route.ts";
import { dstMtu } from "../ipv4/route-exception.ts";
import type { IpvsConn } from "./conn.ts";
import { ignoreConntrack, updateConntrack } from "./conntrack.ts";
import { IP_VS_CONN_F_DROUTE, IP_VS_CONN_F_LOCALNODE } from "./service.ts";

/** Sends by the method of the destination; the packet is the caller's only on NF_ACCEPT. */
export function ipVsXmit(ns: NetNs, skb: Skb, conn: IpvsConn): Verdict {
  const method = conn.dest === null ? IP_VS_CONN_F_LOCALNODE : conn.method;
  if (method === IP_VS_CONN_F_LOCALNODE) return NF_ACCEPT;
  return method === IP_VS_CONN_F_DROUTE ? directRoute(ns, skb, conn) : natXmit(ns, skb, conn);
}

/** ip_vs_nat_xmit */
function natXmit(ns: NetNs, skb: Skb, conn: IpvsConn): Verdict {
  const dst = ipRouteOutput(ns, conn.daddr, 0, 0, skb.mark, ipTos(skb.view, skb.netOff));
  if (dst === null) return stolen(skb, DROP.IP_NOROUTE);
  const local = dst.type === RTN_LOCAL;
  if (local && conn.daddr >>> 24 === 127 && skb.iif !== 0) return stolen(skb, DROP.IP_MARTIAN);
  if (!local && !mayLeave(ns, skb, dst, conn.daddr)) return NF_STOLEN;
  const l4Off = skb.netOff + ipHeaderLen(skb.view, skb.netOff);
  const from = rewriteAddress(skb.view, skb.netOff, false, conn.daddr);
  rewriteTransport(skb.view, skb.tail, conn.protocol, l4Off, false, from, conn.daddr, conn.dport);
  skb.ipvsProperty = true;
  if (conn.nfct) updateConntrack(skb, conn, true);
  else ignoreConntrack(skb);
  if (local) return NF_ACCEPT;
  return send(ns, skb, dst, conn.daddr);
}

/** ip_vs_dr_xmit: the packet itself, to the real server's link address. */
function directRoute(ns: NetNs, skb: Skb, conn: IpvsConn): Verdict {
  const dst = ipRouteOutput(ns, conn.daddr, 0, 0, skb.mark, ipTos(skb.view, skb.netOff));
  if (dst === null) return stolen(skb, DROP.IP_NOROUTE);
  const local = dst.type === RTN_LOCAL;
  if (!local && !mayLeave(ns, skb, dst, conn.daddr)) return NF_STOLEN;
  skb.ipvsProperty = true;
  if (!conn.nfct) ignoreConntrack(skb);
  if (local) return NF_ACCEPT;
  return send(ns, skb, dst, conn.daddr);
}

/** An ICMP error of the client about a reply goes on to the real server (ip_vs_icmp_xmit). */
export function ipVsIcmpXmit(ns: NetNs, skb: Skb, conn: IpvsConn): Verdict {
  if (conn.dest === null || conn.dest.method !== 0) return ipVsXmit(ns, skb, conn);
  const dst = ipRouteOutput(ns, conn.daddr, 0, 0, skb.mark, ipTos(skb.view, skb.netOff));
  if (dst === null) return stolen(skb, DROP.IP_NOROUTE);
  const local = dst.type === RTN_LOCAL;
  if (!local && !mayLeave(ns, skb, dst, conn.daddr)) return NF_STOLEN;
  natIcmp(skb, conn, false);
  skb.ipvsProperty = true;
  if (conn.nfct) updateConntrack(skb, conn, true);
  else ignoreConntrack(skb);
  if (local) return NF_ACCEPT;
  return send(ns, skb, dst, conn.daddr);
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
  rewriteAddress(view, inner, !outwards, addr);
  view.setUint16(outwards ? innerL4 + 2 : innerL4, port);
  recomputeIcmpChecksum(view, icmp, outer + ipTotLen(view, outer));
}

/** __ip_vs_get_out_rt's checks: TTL, MTU. On false the packet is gone. */
function mayLeave(ns: NetNs, skb: Skb, dst: Dst, daddr: number): boolean {
  const view = skb.view;
  if (ipTtl(view, skb.netOff) <= 1) {
    icmpSend(ns, skb, ICMP_TIME_EXCEEDED, ICMP_EXC_TTL, 0);
    skb.drop(DROP.IPVS_TTL);
    return false;
  }
  ipDecreaseTtl(view, skb.netOff);
  const mtu = dstMtu(ns, dst, daddr);
  if (ipTotLen(view, skb.netOff) > mtu && (ipFragOff(view, skb.netOff) & IP_DF) !== 0) {
    icmpSend(ns, skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, mtu);
    skb.drop(DROP.PKT_TOO_BIG);
    return false;
  }
  return true;
}

function send(ns: NetNs, skb: Skb, dst: Dst, daddr: number): Verdict {
  skbSetRoute(skb, dst, daddr);
  if (nfHook(ns, NF_INET_LOCAL_OUT, skb, null, dst.dev) === NF_ACCEPT) ipOutput(skb);
  return NF_STOLEN;
}

function stolen(skb: Skb, reason: number): Verdict {
  skb.drop(reason);
  return NF_STOLEN;
}

function recomputeIcmpChecksum(view: DataView, icmp: number, end: number): void {
  setIcmpCheck(view, icmp, 0);
  setIcmpCheck(view, icmp, inetChecksum(view, icmp, end - icmp));
}
