/** The path MTU that an ICMP error tells about a packet from here (ipv4_update_pmtu in net/ipv4/route.c). */
import { ipDaddr, ipSaddr, ipTos } from "../../wire/ipv4.ts";
import type { NetNs } from "../core/net-ns.ts";
import type { Skb } from "../core/skb.ts";
import { ipRouteOutput } from "./route.ts";
import { updatePmtu } from "./route-exception.ts";

/** Notes the path MTU for the route of the quoted packet; `data` at its IP header. */
export function ipv4UpdatePmtu(ns: NetNs, skb: Skb, mtu: number): void {
  const daddr = ipDaddr(skb.view, skb.data);
  const dst = ipRouteOutput(ns, daddr, ipSaddr(skb.view, skb.data), 0, 0, ipTos(skb.view, skb.data));
  if (dst !== null) updatePmtu(ns, dst, daddr, mtu);
}
