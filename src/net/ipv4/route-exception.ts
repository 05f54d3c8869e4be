/**
 * What ICMP taught about single destinations (struct fib_nh_exception, net/ipv4/route.c): a path MTU, which ages, or
 * another gateway. Kept apart from the routes, so that a packet to a destination without one pays one number's test.
 */
import { SEC } from "../../sim/sim.ts";
import { Dst } from "../core/dst.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import { IPSKB_FORWARDED, type Skb } from "../core/skb.ts";
import { ipv4Of } from "./ipv4-net.ts";

/** Largest MTU of IPv4 (IP_MAX_MTU). */
const IP_MAX_MTU = 0xffff;
/** How long a redirect holds (ip_rt_gc_timeout). */
const REDIRECT_LIFE_NS = 300 * SEC;
/** Exceptions kept before the oldest make room. */
const EXCEPTIONS_MAX = 20480;

/** One destination reached by one next hop. */
export class RouteException {
  readonly dev: NetDevice;
  readonly gateway: number;
  /** Path MTU, 0 none. */
  pmtu = 0;
  /** The MTU is below route.min_pmtu: fixed, never asked to shrink again. */
  locked = false;
  expiresNs = 0;
  /** Route by the gateway that a redirect told. */
  redirect: Dst | null = null;

  constructor(dst: Dst) {
    this.dev = dst.dev;
    this.gateway = dst.gateway;
  }
}

export class RouteExceptions {
  /** How many carry a redirect. */
  redirects = 0;
  private readonly byDaddr = new Map<number, RouteException[]>();

  /** How many destinations have one. */
  get size(): number {
    return this.byDaddr.size;
  }

  find(dst: Dst, daddr: number): RouteException | null {
    const list = this.byDaddr.get(daddr);
    if (list === undefined) return null;
    for (let i = 0; i < list.length; i++) {
      const e = list[i];
      if (e.dev === dst.dev && (e.gateway === dst.gateway || e.redirect === dst)) return e;
    }
    return null;
  }

  /** The exception of that destination, made when it is new (update_or_create_fnhe). */
  findOrMake(dst: Dst, daddr: number): RouteException {
    const known = this.find(dst, daddr);
    if (known !== null) return known;
    if (this.byDaddr.size >= EXCEPTIONS_MAX) this.byDaddr.delete(this.byDaddr.keys().next().value!);
    const made = new RouteException(dst);
    const list = this.byDaddr.get(daddr);
    if (list === undefined) this.byDaddr.set(daddr, [made]);
    else list.push(made);
    return made;
  }

  /** The route to use for `daddr` instead of `dst`: by the gateway a redirect told, else `dst` itself. */
  redirectOf(dst: Dst, daddr: number): Dst {
    const e = this.find(dst, daddr);
    return e === null || e.redirect === null ? dst : e.redirect;
  }

  /** A path MTU that was that of the device follows it, one above it shrinks, and a fixed one is free (fib_nhc_update_mtu). */
  deviceMtuChanged(dev: NetDevice, oldMtu: number): void {
    for (const list of this.byDaddr.values())
      for (const e of list) {
        if (e.dev !== dev || e.pmtu === 0) continue;
        if (e.locked) {
          if (dev.mtu > e.pmtu) continue;
          e.locked = false;
        } else if (dev.mtu >= e.pmtu && oldMtu !== e.pmtu) continue;
        e.pmtu = dev.mtu;
      }
  }

  /** Forgets what was learnt about next hops that no route has any more: it goes with them (fib_info_put). */
  retain(isUsed: (dev: NetDevice, gateway: number) => boolean): void {
    for (const [daddr, list] of this.byDaddr) {
      const kept = list.filter((e) => isUsed(e.dev, e.gateway));
      if (kept.length === list.length) continue;
      for (const e of list) if (e.redirect !== null && !kept.includes(e)) this.redirects--;
      if (kept.length === 0) this.byDaddr.delete(daddr);
      else this.byDaddr.set(daddr, kept);
    }
  }

  /** Forgets all (ip route flush cache). */
  clear(): void {
    this.byDaddr.clear();
    this.redirects = 0;
  }

  /** Destinations with what is known of each, for `ip route show cache`. */
  entries(): IterableIterator<[number, RouteException[]]> {
    return this.byDaddr.entries();
  }
}

/** The exception that holds now for `daddr`; null when none or aged. */
export function routeExceptionOf(ns: NetNs, dst: Dst, daddr: number): RouteException | null {
  const e = ipv4Of(ns).exceptions.find(dst, daddr);
  return e !== null && ns.kernel.sim.now < e.expiresNs ? e : null;
}

/** Path MTU of packets to `daddr` by that route, bytes: learnt, of the route, or of the device (ipv4_mtu). */
export function dstMtu(ns: NetNs, dst: Dst, daddr: number): number {
  const exceptions = ipv4Of(ns).exceptions;
  if (exceptions.size !== 0) {
    const e = exceptions.find(dst, daddr);
    if (e !== null && e.pmtu !== 0 && ns.kernel.sim.now < e.expiresNs) return e.pmtu;
  }
  return mtuOfRoute(dst);
}

/** Whether the path MTU to `daddr` is fixed (ip_mtu_locked). */
export function dstMtuLocked(ns: NetNs, dst: Dst, daddr: number): boolean {
  if (dst.mtuLocked) return true;
  if (ipv4Of(ns).exceptions.size === 0) return false;
  const e = routeExceptionOf(ns, dst, daddr);
  return e !== null && e.pmtu !== 0 && e.locked;
}

/** MTU for packets that are forwarded: what was learnt does not count, unless it is fixed (ip_dst_mtu_maybe_forward). */
export function dstMtuForward(ns: NetNs, dst: Dst, daddr: number): number {
  const counts = ipv4Of(ns).sysctls.ipForwardUsePmtu !== 0 || dstMtuLocked(ns, dst, daddr);
  return counts ? dstMtu(ns, dst, daddr) : mtuOfRoute(dst);
}

function mtuOfRoute(dst: Dst): number {
  const mtu = dst.mtu !== 0 ? dst.mtu : dst.dev.mtu;
  return mtu < IP_MAX_MTU ? mtu : IP_MAX_MTU;
}

/** MTU that a packet with a route leaves under (ip_skb_dst_mtu). `daddr`: its destination. */
export function skbDstMtu(ns: NetNs, skb: Skb, daddr: number): number {
  const dst = skb.dst!;
  const forwarded = (skb.ipcb & IPSKB_FORWARDED) !== 0;
  return forwarded ? dstMtuForward(ns, dst, daddr) : dstMtu(ns, dst, daddr);
}

/** Notes a path MTU that an ICMP error, or a tunnel, told (__ip_rt_update_pmtu). */
export function updatePmtu(ns: NetNs, dst: Dst, daddr: number, mtu: number): void {
  const net = ipv4Of(ns);
  if (dst.mtuLocked) return;
  const old = dstMtu(ns, dst, daddr);
  const known = net.exceptions.find(dst, daddr);
  if (old < mtu || (known !== null && known.locked && ns.kernel.sim.now < known.expiresNs)) return;
  const locked = mtu < net.sysctls.routeMinPmtu;
  const pmtu = locked ? Math.min(old, net.sysctls.routeMinPmtu) : mtu;
  const lifeNs = net.sysctls.routeMtuExpires * SEC;
  const now = ns.kernel.sim.now;
  if (known !== null && known.pmtu === pmtu && !locked && now < known.expiresNs - lifeNs / 2) return;
  // Of several next hops any may be taken next: the path behind each is no better known.
  for (const hop of dst.siblings ?? [dst]) {
    const e = net.exceptions.findOrMake(hop, daddr);
    e.pmtu = pmtu;
    e.locked = locked;
    e.expiresNs = now + lifeNs;
  }
  net.flushRoutes();
}

/** Notes the gateway that a redirect told for `daddr` (__ip_do_redirect, after its checks). */
export function updateRedirect(ns: NetNs, dst: Dst, daddr: number, gateway: number): void {
  const net = ipv4Of(ns);
  const e = net.exceptions.findOrMake(dst, daddr);
  if (e.redirect === null) net.exceptions.redirects++;
  e.expiresNs = ns.kernel.sim.now + REDIRECT_LIFE_NS;
  e.redirect = new Dst(dst.type, dst.dev, gateway, dst.prefSrc, dst.mtu, dst.mtuLocked);
  net.flushRoutes();
}
