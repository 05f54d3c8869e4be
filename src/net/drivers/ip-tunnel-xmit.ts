/** Sending into an IP tunnel (net/ipv4/ip_tunnel.c ip_tunnel_xmit, tnl_update_pmtu; ip_tunnel_core.c iptunnel_xmit). */
import { SEC } from "../../sim/sim.ts";
import { ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, ICMP_HOST_UNREACH } from "../../wire/icmp.ts";
import {
  IP_DF,
  IPPROTO_IPIP,
  ipDaddr,
  ipFragOff,
  ipSaddr,
  ipTos,
  ipTtl,
  setIpSaddr,
} from "../../wire/ipv4.ts";
import { countTx } from "../core/dev.ts";
import { DROP, type DropReason } from "../core/drop-reason.ts";
import type { Dst } from "../core/dst.ts";
import { IP_CT_ESTABLISHED_REPLY, type Skb } from "../core/skb.ts";
import { skbScrubPacket } from "../core/skb-scrub.ts";
import { setFlow } from "../ipv4/fib-multipath.ts";
import { icmpSendOptions } from "../ipv4/icmp.ts";
import { ipSelectIdent } from "../ipv4/ip-ident.ts";
import { ipBuildHeader, ipLocalOut } from "../ipv4/ip-output.ts";
import { ipRouteOutput, routeSource, skbSetRoute } from "../ipv4/route.ts";
import { dstMtu, routeExceptionOf, updatePmtu } from "../ipv4/route-exception.ts";
import { IPS_SRC_NAT } from "../netfilter/conntrack/conn.ts";
import { ctOf } from "../netfilter/conntrack/conntrack-net.ts";
import type { IpTunnel } from "./ip-tunnel.ts";
import { ipTunnelEcnEncap } from "./tunnel-ecn.ts";

const IP_HLEN = 20;
/** How long an error that a router told is passed on to senders (IPTUNNEL_ERR_TIMEO). */
export const IPTUNNEL_ERR_TIMEO_NS = 30 * SEC;
/** Bit of the TOS setting: the inner packet's. */
const TOS_INHERIT = 1;

/** Wraps up an IPv4 packet, `data` at its header, and sends it in the underlay. Takes it. */
export function ipTunnelXmit(tunnel: IpTunnel, skb: Skb): void {
  const { dev, net, parms } = tunnel;
  const { view, data: inner } = skb;
  let daddr = parms.remote;
  if (daddr === 0) {
    // Without a fixed other end the next hop of the inner route is it.
    if (skb.dst === null) {
      tunnel.txFifoErrors++;
      refuse(tunnel, skb, DROP.IP_NOROUTE);
      return;
    }
    daddr = skb.dst.gateway !== 0 ? skb.dst.gateway : ipDaddr(view, inner);
  }
  const innerTos = ipTos(view, inner);
  let tos = (parms.tos & TOS_INHERIT) !== 0 ? innerTos : parms.tos;
  setFlow(net, IPPROTO_IPIP, 0, 0);
  const dst = ipRouteOutput(net, daddr, parms.local, parms.link, 0, tos);
  if (dst === null) {
    tunnel.txCarrierErrors++;
    refuse(tunnel, skb, DROP.IP_NOROUTE);
    return;
  }
  if (dst.dev === dev) {
    tunnel.collisions++;
    refuse(tunnel, skb, DROP.LOOP);
    return;
  }
  const df = parms.pmtudisc || (ipFragOff(view, inner) & IP_DF) !== 0;
  if (tooBig(tunnel, skb, dst, daddr, df)) {
    refuse(tunnel, skb, DROP.PKT_TOO_BIG);
    return;
  }
  passErrorsOn(tunnel, skb);
  tos = ipTunnelEcnEncap(tos, innerTos);
  const ttl = parms.ttl !== 0 ? parms.ttl : ipTtl(view, inner);
  const saddr = parms.local !== 0 ? parms.local : routeSource(dst, daddr);
  const length = skb.length;
  const locked = routeExceptionOf(net, dst, daddr)?.locked === true;
  skbScrubPacket(skb, net !== dev.ns);
  const id = ipSelectIdent(net, saddr, daddr, IPPROTO_IPIP);
  ipBuildHeader(skb, saddr, daddr, IPPROTO_IPIP, tos, ttl, df && !locked, id);
  skb.macOff = -1;
  skb.dev = dst.dev;
  skbSetRoute(skb, dst, daddr);
  if (ipLocalOut(net, skb)) countTx(dev, length);
  else dev.txDropped++;
}

function refuse(tunnel: IpTunnel, skb: Skb, reason: DropReason): void {
  tunnel.txErrors++;
  skb.drop(reason);
}

/** The inner path learns what fits; true: this packet does not, and its sender was told (tnl_update_pmtu). */
function tooBig({ dev, net }: IpTunnel, skb: Skb, dst: Dst, daddr: number, df: boolean): boolean {
  const { view, data: inner } = skb;
  const innerDaddr = ipDaddr(view, inner);
  const innerMtu = skb.dst === null ? dev.mtu : dstMtu(dev.ns, skb.dst, innerDaddr);
  const mtu = df ? dstMtu(net, dst, daddr) - IP_HLEN : innerMtu;
  if (skb.dst !== null) updatePmtu(dev.ns, skb.dst, innerDaddr, mtu);
  if ((ipFragOff(view, inner) & IP_DF) === 0 || mtu >= skb.length) return false;
  icmpNdoSend(skb, ICMP_FRAG_NEEDED, mtu);
  return true;
}

/** A device complains about a packet whose source may be translated already: to the true one (icmp_ndo_send). */
function icmpNdoSend(skb: Skb, code: number, info: number): void {
  const { ns } = skb.dev!;
  const { view, netOff } = skb;
  const ct = ctOf(skb);
  if (ct === null || (ct.status & IPS_SRC_NAT) === 0) {
    icmpSendOptions(ns, skb, ICMP_DEST_UNREACH, code, info, null);
    return;
  }
  const saddr = ipSaddr(view, netOff);
  setIpSaddr(view, netOff, skb.ctInfo >= IP_CT_ESTABLISHED_REPLY ? ct.replSrc : ct.origSrc);
  icmpSendOptions(ns, skb, ICMP_DEST_UNREACH, code, info, null);
  setIpSaddr(view, netOff, saddr);
}

/** For a while after a router complained each error makes one sender hear that the host is unreachable. */
function passErrorsOn(tunnel: IpTunnel, skb: Skb): void {
  if (tunnel.errCount === 0) return;
  const { ns } = tunnel.dev;
  if (ns.kernel.sim.now >= tunnel.errTimeNs + IPTUNNEL_ERR_TIMEO_NS) {
    tunnel.errCount = 0;
    return;
  }
  tunnel.errCount--;
  icmpSendOptions(ns, skb, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0, null);
}
