/** Addresses that this machine goes by towards a packet's sender or its next station (net/ipv4/fib_frontend.c, route.c). */
import { ipDaddr, ipSaddr, ipTos } from "../../wire/ipv4.ts";
import { RTN_LOCAL } from "../core/dst.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import type { Skb } from "../core/skb.ts";
import { RT_SCOPE_LINK, RT_SCOPE_UNIVERSE } from "./fib.ts";
import { fibLookup } from "./fib-rules.ts";
import { inDevOf } from "./in-device.ts";
import { inetSelectAddr } from "./inet-select-addr.ts";
import { ipv4Of } from "./ipv4-net.ts";
import { IPTOS_RT_MASK, routeSource } from "./route.ts";

/**
 * The address that a received packet is answered from: its destination, unless that was a broadcast
 * (fib_compute_spec_dst). 0: none.
 */
export function computeSpecDst(ns: NetNs, skb: Skb, dev: NetDevice): number {
  const { view, netOff } = skb;
  if (skb.dst !== null && skb.dst.type === RTN_LOCAL) return ipDaddr(view, netOff);
  const saddr = ipSaddr(view, netOff);
  if (saddr === 0) return inetSelectAddr(dev, 0, RT_SCOPE_LINK);
  const net = ipv4Of(ns);
  const inDev = inDevOf(dev);
  const byMark = inDev !== null && (net.confAll.srcValidMark | inDev.conf.srcValidMark) !== 0;
  const tos = ipTos(view, netOff) & IPTOS_RT_MASK;
  const back = fibLookup(ns, net.rules, saddr, 0, tos, 1, 0, byMark ? skb.mark : 0);
  if (back !== null && back.outDst !== null) return routeSource(back.outDst, saddr);
  return inetSelectAddr(dev, saddr, RT_SCOPE_UNIVERSE);
}

/** The address that a forwarded packet leaves by, for its record of the route (ip_rt_get_source of an input route). */
export function ipRtGetSource(ns: NetNs, skb: Skb): number {
  const { view, netOff } = skb;
  const dst = skb.dst!;
  const daddr = ipDaddr(view, netOff);
  const tos = ipTos(view, netOff) & IPTOS_RT_MASK;
  const iif = skb.dev!.ifindex;
  const { rules } = ipv4Of(ns);
  const found = fibLookup(ns, rules, daddr, ipSaddr(view, netOff), tos, iif, dst.dev.ifindex, skb.mark);
  if (found !== null && found.outDst !== null) return routeSource(found.outDst, daddr);
  return inetSelectAddr(dst.dev, skb.nextHop, RT_SCOPE_UNIVERSE);
}
