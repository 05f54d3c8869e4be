/** The path MTU that an ICMP error tells about a packet from here (ipv4_update_pmtu in net/ipv4/route.c). */
import { ipDaddr, ipSaddr, ipTos } from "../../wire/ipv4.ts";
import { RTN_LOCAL } from "../core/dst.ts";
import type { NetNs } from "../core/net-ns.ts";
import type { Skb } from "../core/skb.ts";
import { fibLookup } from "./fib-rules.ts";
import { ipv4Of } from "./ipv4-net.ts";
import { ipRouteOutput } from "./route.ts";
import { updatePmtu } from "./route-exception.ts";

/**
 * Notes the path MTU for the route of the quoted packet; `data` at its IP header. The route is looked for again as one out of
 * the device that it gave: for an address of this machine that is lo, which only its own addresses lie on. Not for a socket
 * that is `connected`, which keeps its route (ipv4_sk_update_pmtu).
 */
export function ipv4UpdatePmtu(ns: NetNs, skb: Skb, mtu: number, connected = false): void {
  const daddr = ipDaddr(skb.view, skb.data);
  const saddr = ipSaddr(skb.view, skb.data);
  const tos = ipTos(skb.view, skb.data);
  const dst = ipRouteOutput(ns, daddr, saddr, 0, 0, tos);
  if (dst === null) return;
  if (dst.type === RTN_LOCAL && !connected) {
    const found = fibLookup(ns, ipv4Of(ns).rules, daddr, saddr, tos, 1, dst.dev.ifindex, 0);
    if (found === null || found.outDst !== dst) return;
  }
  updatePmtu(ns, dst, daddr, mtu);
}
