/**
 * Redirects that arrive (ipv4_redirect and __ip_do_redirect in net/ipv4/route.c; RFC 1122 3.2.2.2): another gateway of the
 * same link is nearer. Only for what was sent from here: the socket, or the tunnel, whose packet is quoted asks for it.
 */
import { ipDaddr, ipSaddr, ipTos } from "../../wire/ipv4.ts";
import { type Dst, RTN_UNICAST } from "../core/dst.ts";
import type { NetNs } from "../core/net-ns.ts";
import type { Skb } from "../core/skb.ts";
import { inDevOf, inetAddrOnlink } from "./in-device.ts";
import { ipv4Of } from "./ipv4-net.ts";
import { NUD_VALID, neighCreate, neighEventSend, neighLookup } from "./neighbour.ts";
import { inetAddrType, ipRouteOutput } from "./route.ts";
import { updateRedirect } from "./route-exception.ts";

/** Codes 0 to 3: for a network or a host, with a type of service or without. */
const LAST_CODE = 3;

/** Follows a redirect to `gateway` for the route of the quoted packet; `data` at its IP header. */
export function ipv4Redirect(ns: NetNs, skb: Skb, code: number, gateway: number): void {
  const { view, data } = skb;
  const dst = ipRouteOutput(ns, ipDaddr(view, data), ipSaddr(view, data), 0, 0, ipTos(view, data));
  if (dst !== null) ipDoRedirect(ns, skb, dst, code, gateway);
}

/** The same for the route `dst` that the socket has. */
export function ipDoRedirect(ns: NetNs, skb: Skb, dst: Dst, code: number, gateway: number): void {
  const old = ipSaddr(skb.view, skb.netOff);
  if (code > LAST_CODE || dst.gateway === 0 || dst.gateway !== old) return;
  if (!redirectAllowed(ns, skb, old, gateway)) return;
  const n = neighLookup(ns, dst.dev, gateway) ?? neighCreate(ns, dst.dev, gateway);
  if (n === null) return;
  if ((n.nudState & NUD_VALID) === 0) neighEventSend(n, null);
  else updateRedirect(ns, dst, ipDaddr(skb.view, skb.data), gateway);
}

function redirectAllowed(ns: NetNs, skb: Skb, old: number, gateway: number): boolean {
  const inDev = inDevOf(skb.dev!);
  if (inDev === null || gateway === old) return false;
  const { confAll } = ipv4Of(ns);
  const { conf } = inDev;
  const both = confAll.acceptRedirects & conf.acceptRedirects;
  const accepts = conf.forwarding !== 0 ? both : confAll.acceptRedirects | conf.acceptRedirects;
  if (accepts === 0 || gateway >>> 28 === 0xe || gateway === -1 || gateway === 0) return false;
  if ((confAll.sharedMedia | conf.sharedMedia) === 0) return inetAddrOnlink(inDev, gateway, old);
  return inetAddrType(ns, gateway) === RTN_UNICAST;
}
