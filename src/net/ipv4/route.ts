/** Routes of packets (net/ipv4/route.c): received ones, ones sent from here, and what kind of address one is. */
import { ipDaddr, ipSaddr, ipTos } from "../../wire/ipv4.ts";
import { DROP, type DropReason } from "../core/drop-reason.ts";
import {
  Dst,
  type RouteType,
  RTN_BLACKHOLE,
  RTN_BROADCAST,
  RTN_LOCAL,
  RTN_MULTICAST,
  RTN_PROHIBIT,
  RTN_UNICAST,
  RTN_UNREACHABLE,
} from "../core/dst.ts";
import { IFF_LOOPBACK, type NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import { IPSKB_DOREDIRECT, type Skb } from "../core/skb.ts";
import { TRACE_ROUTE } from "../core/trace.ts";
import { broadcastDst, linkDst, multicastDst } from "./device-dst.ts";
import { type FibAlias, RT_SCOPE_HOST, RT_SCOPE_LINK, RT_SCOPE_UNIVERSE, RT_TABLE_LOCAL } from "./fib.ts";
import { fibSelectDefault, hasOtherDefaults } from "./fib-default.ts";
import { dissectFlow, fibMultipathHash, fibSelectMultipath } from "./fib-multipath.ts";
import { fibLookup } from "./fib-rules.ts";
import { fibValidateSource } from "./fib-validate.ts";
import { type InDevice, inDevOf, inetAddrOnlink } from "./in-device.ts";
import { inetSelectAddr } from "./inet-select-addr.ts";
import { type Ipv4Net, ipv4Of } from "./ipv4-net.ts";

/** Bits of TOS that routing looks at (IPTOS_RT_MASK). */
export const IPTOS_RT_MASK = 0x1c;
/**
 * Flag of {@link ipRouteOutputKey}: the source need not be an address of this machine (FLOWI_FLAG_ANYSRC); one that is no
 * station's counts as not given.
 */
export const FLOWI_FLAG_ANYSRC = 1;

export const INADDR_LOOPBACK = 0x7f000001;
/** The group that every host is in. */
const ALL_HOSTS = 0xe0000001 | 0;

function isMulticast(addr: number): boolean {
  return addr >>> 28 === 0xe;
}

function isLoopback(addr: number): boolean {
  return addr >>> 24 === 127;
}

/** Only 0.0.0.0 itself: the rest of 0/8 is like any other address (ipv4_is_zeronet since Linux 5.3). */
function isZeronet(addr: number): boolean {
  return addr === 0;
}

/** RTN_* of an address (inet_addr_type): local, broadcast, multicast, else unicast. */
export function inetAddrType(ns: NetNs, addr: number): RouteType {
  return inetDevAddrType(ns, null, addr);
}

/** The same as seen from `dev`: an address of another device counts as unicast (inet_dev_addr_type); null: any. */
export function inetDevAddrType(ns: NetNs, dev: NetDevice | null, addr: number): RouteType {
  if (addr === -1 || isZeronet(addr)) return RTN_BROADCAST;
  if (isMulticast(addr)) return RTN_MULTICAST;
  const found = ipv4Of(ns).rules.index(RT_TABLE_LOCAL).lookup(addr, 0, 0, RT_SCOPE_UNIVERSE);
  if (found === null || (dev !== null && found.dev !== dev)) return RTN_UNICAST;
  return found.type as RouteType;
}

/** Gives a packet to `daddr` its route: sets `dst` and `nextHop`. */
export function skbSetRoute(skb: Skb, dst: Dst, daddr: number): void {
  skb.dst = dst;
  skb.nextHop = dst.gateway !== 0 ? dst.gateway : daddr;
  if (skb.trace !== null) skb.trace.add(TRACE_ROUTE, skb.nextHop, 0, dst);
}

/** Source address of a packet to `daddr` by that route, when the sender did not choose (fib_result_prefsrc). */
export function routeSource(dst: Dst, daddr: number): number {
  if (dst.prefSrc !== 0) return dst.prefSrc;
  if (dst.type === RTN_LOCAL) return isZeronet(daddr) ? INADDR_LOOPBACK : daddr;
  return inetSelectAddr(dst.dev, dst.gateway, dst.gateway === 0 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE);
}

/**
 * Route of a received packet whose IP header stands at `netOff`: sets `dst` and `nextHop` and gives 0 (a route may be an
 * error, which dstInput answers); else the reason why the packet must be dropped, which the caller does.
 */
export function ipRouteInput(ns: NetNs, skb: Skb, dev: NetDevice): DropReason {
  const off = skb.netOff;
  const view = skb.view;
  return ipRouteInputKey(ns, skb, ipDaddr(view, off), ipSaddr(view, off), ipTos(view, off), dev, true);
}

/** The same for given addresses; `isIp` false: for an ARP request, which must not be answered with a redirect. */
export function ipRouteInputKey(
  ns: NetNs,
  skb: Skb,
  daddr: number,
  saddr: number,
  tos: number,
  dev: NetDevice,
  isIp: boolean,
): DropReason {
  const net = ipv4Of(ns);
  if (isIp && net.rules.plain) {
    const known = net.routeCache.find(daddr, saddr, dev.ifindex, net.routeGeneration);
    if (known !== null) {
      skbSetRoute(skb, known, daddr);
      return 0;
    }
  }
  const inDev = inDevOf(dev);
  if (inDev === null) return DROP.IP_MARTIAN;
  if (isMulticast(daddr)) return routeInputMulticast(net, skb, daddr, saddr, inDev, isIp);
  const reason = routeInputSlow(net, skb, daddr, saddr, tos & IPTOS_RT_MASK, inDev, isIp);
  net.rules.forgetFlow();
  return reason;
}

/** Only the group of all hosts is joined. */
function routeInputMulticast(
  net: Ipv4Net,
  skb: Skb,
  daddr: number,
  saddr: number,
  inDev: InDevice,
  isIp: boolean,
): DropReason {
  if (daddr !== ALL_HOSTS || !isIp || isMulticast(saddr) || saddr === -1 || isLoopback(saddr))
    return DROP.IP_MARTIAN;
  if (!isZeronet(saddr)) {
    const valid = fibValidateSource(net, saddr, 0, 0, 0, inDev.dev, inDev, skb.mark);
    if (valid < 0) return sourceDrop(valid);
  }
  skbSetRoute(skb, multicastDst(net, inDev), daddr);
  return 0;
}

function sourceDrop(verdict: number): DropReason {
  return verdict === -2 ? DROP.IP_RPFILTER : DROP.IP_MARTIAN;
}

/** ip_route_input_slow. */
function routeInputSlow(
  net: Ipv4Net,
  skb: Skb,
  daddr: number,
  saddr: number,
  tos: number,
  inDev: InDevice,
  isIp: boolean,
): DropReason {
  const dev = inDev.dev;
  if (isMulticast(saddr) || saddr === -1) return DROP.IP_MARTIAN;
  if (daddr === -1 || (saddr === 0 && daddr === 0))
    return broadcastInput(net, skb, daddr, saddr, inDev, isIp);
  if (isZeronet(saddr) || isZeronet(daddr)) return DROP.IP_MARTIAN;
  if (isLoopback(daddr) || isLoopback(saddr)) {
    if ((net.confAll.routeLocalnet | inDev.conf.routeLocalnet) === 0) return DROP.IP_MARTIAN;
  }
  if (net.rules.usesPorts && isIp) dissectFlow(skb, skb.netOff, net.rules.flow);
  const first = fibLookup(net.ns, net.rules, daddr, saddr, tos, dev.ifindex, 0, skb.mark);
  const several = first !== null && first.owner !== null;
  const found = several
    ? fibSelectMultipath(net, first, fibMultipathHash(net, saddr, daddr, net.rules.flow, skb))
    : first;
  const forwards = inDev.conf.forwarding !== 0;
  if (found === null || found.inDst === null) {
    skbSetRoute(skb, errorDst(net, found, forwards), daddr);
    return 0;
  }
  if (found.type === RTN_BROADCAST) {
    const forwardsThem = (net.confAll.bcForwarding & inDev.conf.bcForwarding) !== 0;
    if (!forwardsThem) return broadcastInput(net, skb, daddr, saddr, inDev, isIp);
    return forwardBroadcast(net, skb, daddr, saddr, tos, inDev, found, isIp);
  }
  const dst = found.inDst;
  if (found.type === RTN_LOCAL) {
    const valid = fibValidateSource(net, saddr, daddr, tos, 0, dev, inDev, skb.mark);
    if (valid < 0) return sourceDrop(valid);
  } else {
    if (!forwards) {
      skbSetRoute(skb, net.hostUnreachDst!, daddr);
      return 0;
    }
    const reason = checkForwarded(net, skb, daddr, saddr, tos, inDev, found, isIp);
    if (reason !== 0) return reason;
  }
  skbSetRoute(skb, dst, daddr);
  const cacheable = isIp && net.rules.plain && !several && (skb.ipcb & IPSKB_DOREDIRECT) === 0;
  if (cacheable) net.routeCache.store(daddr, saddr, dev.ifindex, net.routeGeneration, dst);
  return 0;
}

/** The route that stands for "no route": answered with an ICMP error where forwarding is on (ip_error). */
function errorDst(net: Ipv4Net, found: FibAlias | null, forwards: boolean): Dst {
  if (!forwards) return net.hostUnreachDst!;
  if (found === null) return net.noRouteDst!;
  if (found.type === RTN_PROHIBIT) return net.prohibitDst!;
  return found.type === RTN_UNREACHABLE ? net.hostUnreachDst! : net.blackholeDst!;
}

/** __mkroute_input: source check of a packet to forward, and whether its sender should be redirected. */
function checkForwarded(
  net: Ipv4Net,
  skb: Skb,
  daddr: number,
  saddr: number,
  tos: number,
  inDev: InDevice,
  found: FibAlias,
  isIp: boolean,
): DropReason {
  const dev = inDev.dev;
  const out = found.dev!;
  const valid = fibValidateSource(net, saddr, daddr, tos, out.ifindex, dev, inDev, skb.mark);
  if (valid < 0) return sourceDrop(valid);
  if (out !== dev) return 0;
  if (!isIp) return inDev.conf.proxyArpPvlan === 0 ? DROP.IP_MARTIAN : 0;
  if (valid === 0 || (net.confAll.sendRedirects | inDev.conf.sendRedirects) === 0) return 0;
  const sharedMedia = (net.confAll.sharedMedia | inDev.conf.sharedMedia) !== 0;
  if (sharedMedia || inetAddrOnlink(inDev, saddr, found.gateway)) skb.ipcb |= IPSKB_DOREDIRECT;
  return 0;
}

/** A packet to the broadcast address of a subnet goes on like any other (bc_forwarding; RFC 2644). */
function forwardBroadcast(
  net: Ipv4Net,
  skb: Skb,
  daddr: number,
  saddr: number,
  tos: number,
  inDev: InDevice,
  found: FibAlias,
  isIp: boolean,
): DropReason {
  const reason = checkForwarded(net, skb, daddr, saddr, tos, inDev, found, isIp);
  if (reason !== 0) return reason;
  const dev = found.dev!;
  const out = inDevOf(dev)!;
  out.forwardedBroadcastDst ??= new Dst(RTN_UNICAST, dev, 0, 0, 0);
  skbSetRoute(skb, out.forwardedBroadcastDst, daddr);
  return 0;
}

function broadcastInput(
  net: Ipv4Net,
  skb: Skb,
  daddr: number,
  saddr: number,
  inDev: InDevice,
  isIp: boolean,
): DropReason {
  if (!isIp) return DROP.IP_MARTIAN;
  if (!isZeronet(saddr)) {
    const valid = fibValidateSource(net, saddr, 0, 0, 0, inDev.dev, inDev, skb.mark);
    if (valid < 0) return sourceDrop(valid);
  }
  skbSetRoute(skb, broadcastDst(net, inDev), daddr);
  return 0;
}

/**
 * Route of a packet that is sent from here. `saddr`, `oif` (ifindex), `mark`, `tos` are 0 when not given. `about`: the packet
 * that an error is about. null: none, with the errno in `ipv4Of(ns).routeError`. The source is `saddr` or `routeSource(dst, daddr)`.
 */
export function ipRouteOutput(
  ns: NetNs,
  daddr: number,
  saddr: number,
  oif: number,
  mark: number,
  tos = 0,
  about: Skb | null = null,
): Dst | null {
  return ipRouteOutputKey(ns, daddr, saddr, oif, mark, tos, 0, about);
}

/** The same with FLOWI_FLAG_*. */
export function ipRouteOutputKey(
  ns: NetNs,
  daddr: number,
  saddr: number,
  oif: number,
  mark: number,
  tos: number,
  flags: number,
  about: Skb | null = null,
): Dst | null {
  const net = ipv4Of(ns);
  const cacheKey = ~oif ^ (flags << 30);
  if (net.rules.plain) {
    const known = net.routeCache.find(daddr, saddr, cacheKey, net.routeGeneration);
    if (known !== null) {
      net.rules.forgetFlow();
      return redirected(net, known, daddr);
    }
  }
  const from = (flags & FLOWI_FLAG_ANYSRC) === 0 || isStation(ns, saddr) ? saddr : 0;
  net.routeOfSeveral = false;
  const dst = routeOutputSlow(net, daddr, from, oif, mark, tos & IPTOS_RT_MASK, flags, about);
  net.rules.forgetFlow();
  if (dst === null) return null;
  if (net.rules.plain && !net.routeOfSeveral)
    net.routeCache.store(daddr, saddr, cacheKey, net.routeGeneration, dst);
  return redirected(net, dst, daddr);
}

function isStation(ns: NetNs, addr: number): boolean {
  const type = inetAddrType(ns, addr);
  return type === RTN_LOCAL || type === RTN_UNICAST;
}

/** A redirect may have told a better gateway (the next-hop exceptions of a route). */
function redirected(net: Ipv4Net, dst: Dst, daddr: number): Dst {
  return net.exceptions.redirects === 0 ? dst : net.exceptions.redirectOf(dst, daddr);
}

/** ip_route_output_key_hash_rcu. */
function routeOutputSlow(
  net: Ipv4Net,
  daddr: number,
  saddr: number,
  oif: number,
  mark: number,
  tos: number,
  flags: number,
  about: Skb | null,
): Dst | null {
  net.routeError = "EINVAL";
  let dev: NetDevice | undefined;
  if (saddr !== 0) {
    if (isMulticast(saddr) || saddr === -1 || isZeronet(saddr)) return null;
    net.routeError = "ENETUNREACH";
    const anySource = (flags & FLOWI_FLAG_ANYSRC) !== 0;
    if (!anySource && inetAddrType(net.ns, saddr) !== RTN_LOCAL) return null;
    if (oif === 0 && (isMulticast(daddr) || daddr === -1)) dev = deviceOfAddress(net, saddr);
  }
  if (oif !== 0) {
    dev = net.ns.deviceByIndex(oif);
    net.routeError = "ENODEV";
    if (dev === undefined) return null;
    net.routeError = "ENETUNREACH";
    if (!dev.isUp || inDevOf(dev) === null) return null;
  }
  if (dev !== undefined && (isMulticast(daddr) || daddr === -1)) return linkDst(dev, daddr);
  const to = daddr !== 0 ? daddr : saddr !== 0 ? saddr : INADDR_LOOPBACK;
  const found = fibLookup(net.ns, net.rules, to, saddr, tos, 1, daddr === 0 ? 0 : oif, mark);
  if (found === null || found.outDst === null) {
    if (dev !== undefined) return linkDst(dev, daddr);
    net.routeError = found === null ? "ENETUNREACH" : errnoOf(found.type);
    return null;
  }
  if (oif === 0 && found.owner === null && hasOtherDefaults(net, found)) {
    net.routeOfSeveral = true;
    return mkrouteOutput(net, fibSelectDefault(net, found, tos).outDst!, daddr, saddr);
  }
  if (found.owner === null || oif !== 0) return mkrouteOutput(net, found.outDst, daddr, saddr);
  net.routeOfSeveral = true;
  const hash = fibMultipathHash(net, saddr, to, net.rules.flow, about);
  return mkrouteOutput(net, fibSelectMultipath(net, found, hash).outDst!, daddr, saddr);
}

function errnoOf(type: number): "EINVAL" | "EACCES" | "EHOSTUNREACH" {
  if (type === RTN_BLACKHOLE) return "EINVAL";
  return type === RTN_PROHIBIT ? "EACCES" : "EHOSTUNREACH";
}

/** __mkroute_output: what may not leave, and the types that the address decides. */
function mkrouteOutput(net: Ipv4Net, dst: Dst, daddr: number, saddr: number): Dst | null {
  const dev = dst.dev;
  net.routeError = "EINVAL";
  const inDev = inDevOf(dev);
  if (inDev === null) return null;
  const routesLocalnet = (net.confAll.routeLocalnet | inDev.conf.routeLocalnet) !== 0;
  if (isLoopback(saddr) && (dev.flags & IFF_LOOPBACK) === 0 && !routesLocalnet) return null;
  if (daddr === -1 || isMulticast(daddr)) return linkDst(dev, daddr);
  return dst;
}

function deviceOfAddress(net: Ipv4Net, addr: number): NetDevice | undefined {
  const found = net.rules.index(RT_TABLE_LOCAL).lookup(addr, 0, 0, RT_SCOPE_HOST);
  return found?.dev ?? undefined;
}
