/** Routes: what RTM_NEWROUTE, RTM_DELROUTE and RTM_GETROUTE do (net/ipv4/fib_frontend.c, fib_semantics.c). */
import { SEC } from "../../sim/sim.ts";
import { SysError } from "../../util/errors.ts";
import { prefixToMask } from "../../wire/address.ts";
import { type Dst, RTN_BLACKHOLE, RTN_BROADCAST, RTN_LOCAL, RTN_UNICAST } from "../core/dst.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import {
  type FibAlias,
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RT_SCOPE_NOWHERE,
  RT_SCOPE_UNIVERSE,
  RT_TABLE_LOCAL,
  RT_TABLE_MAIN,
  RTPROT_BOOT,
} from "../ipv4/fib.ts";
import { fibLookup } from "../ipv4/fib-rules.ts";
import { fibCheck, fibFlush, fibInsert } from "../ipv4/fib-semantics.ts";
import type { FibInsertMode } from "../ipv4/fib-table.ts";
import { ipv4Of } from "../ipv4/ipv4-net.ts";
import { ipRouteOutput, routeSource } from "../ipv4/route.ts";
import { type RouteException, routeExceptionOf } from "../ipv4/route-exception.ts";

export interface RouteSpec {
  /** Prefix, int32; 0 with length 0 is the default route. */
  readonly dst: number;
  readonly dstLen: number;
  /** int32, absent or 0: on the link. */
  readonly gateway?: number;
  readonly dev?: NetDevice;
  /** Default: local for local and broadcast ones, else main. */
  readonly table?: number;
  /** RTN_*, default unicast. */
  readonly type?: number;
  /** RT_SCOPE_*, default as iproute2 has it: host for local, link without a gateway, else global. */
  readonly scope?: number;
  /** RTPROT_*, default boot. */
  readonly protocol?: number;
  readonly prefSrc?: number;
  readonly metric?: number;
  readonly tos?: number;
  readonly mtu?: number;
  readonly onlink?: boolean;
}

function defaultScope(spec: RouteSpec, type: number): number {
  if (type === RTN_LOCAL) return RT_SCOPE_HOST;
  if (type === RTN_BROADCAST) return RT_SCOPE_LINK;
  if (type === RTN_UNICAST && (spec.gateway ?? 0) === 0) return RT_SCOPE_LINK;
  return RT_SCOPE_UNIVERSE;
}

/**
 * Adds a route; `mode` says what happens to one that is there. EEXIST, ENOENT (change), ENETUNREACH (the gateway is on no
 * link), ENETDOWN, ENODEV, EINVAL.
 */
export function routeAdd(ns: NetNs, spec: RouteSpec, mode: FibInsertMode = "exclusive"): void {
  const net = ipv4Of(ns);
  const type = spec.type ?? RTN_UNICAST;
  const mask = prefixToMask(spec.dstLen);
  if ((spec.dst & ~mask) !== 0)
    throw new SysError("EINVAL", "Error: Invalid prefix for given prefix length.");
  const local = type === RTN_LOCAL || type === RTN_BROADCAST;
  const config = fibCheck(net, {
    table: spec.table ?? (local ? RT_TABLE_LOCAL : RT_TABLE_MAIN),
    dst: spec.dst,
    prefixLen: spec.dstLen,
    tos: spec.tos ?? 0,
    type,
    metric: spec.metric ?? 0,
    protocol: spec.protocol ?? RTPROT_BOOT,
    scope: spec.scope ?? defaultScope(spec, type),
    prefSrc: spec.prefSrc ?? 0,
    gateway: spec.gateway ?? 0,
    dev: type >= RTN_BLACKHOLE ? null : (spec.dev ?? null),
    mtu: spec.mtu ?? 0,
    onlink: spec.onlink ?? false,
  });
  fibInsert(net, config, mode);
  if (mode === "replace" || mode === "change") retainExceptions(ns);
}

function retainExceptions(ns: NetNs): void {
  const { exceptions } = ipv4Of(ns);
  if (exceptions.size === 0) return;
  const routes = routeDump(ns);
  exceptions.retain((dev, gateway) => routes.some((alias) => alias.dev === dev && alias.gateway === gateway));
}

/** Deletes the first route that agrees in all that `spec` says (fib_table_delete). ESRCH when there is none. */
export function routeDel(ns: NetNs, spec: RouteSpec): void {
  const net = ipv4Of(ns);
  const local = spec.type === RTN_LOCAL || spec.type === RTN_BROADCAST;
  const table = spec.table ?? (local ? RT_TABLE_LOCAL : RT_TABLE_MAIN);
  let done = false;
  fibFlush(net, (alias) => {
    if (done || alias.table !== table || !agrees(alias, spec)) return false;
    done = true;
    return true;
  });
  if (!done) throw new SysError("ESRCH");
  retainExceptions(ns);
}

function agrees(alias: FibAlias, spec: RouteSpec): boolean {
  const scope = spec.scope ?? RT_SCOPE_NOWHERE;
  return (
    alias.dst === spec.dst &&
    alias.prefixLen === spec.dstLen &&
    alias.tos === (spec.tos ?? 0) &&
    (spec.type === undefined || alias.type === spec.type) &&
    (scope === RT_SCOPE_NOWHERE || alias.scope === scope) &&
    (spec.prefSrc === undefined || alias.prefSrc === spec.prefSrc) &&
    (spec.protocol === undefined || alias.protocol === spec.protocol) &&
    (spec.metric === undefined || alias.metric === spec.metric) &&
    (spec.dev === undefined || alias.dev === spec.dev) &&
    (spec.gateway === undefined || alias.gateway === spec.gateway)
  );
}

/** Deletes the routes of a table that `doomed` names; the answer is how many. */
export function routeFlush(ns: NetNs, doomed: (alias: FibAlias) => boolean): number {
  let count = 0;
  fibFlush(ipv4Of(ns), (alias) => {
    const gone = doomed(alias);
    if (gone) count++;
    return gone;
  });
  if (count > 0) retainExceptions(ns);
  return count;
}

/** Every route in the order of a dump (inet_dump_fib): table after table. */
export function routeDump(ns: NetNs): FibAlias[] {
  return ipv4Of(ns)
    .rules.tablesInOrder()
    .flatMap((table) => table.routes);
}

/** The answer to `ip route get`. */
export interface RouteAnswer {
  readonly dst: Dst;
  readonly source: number;
  /** The table that it stands in; main while nobody changed the rules, as the kernel says then. */
  readonly table: number;
  /** What was learnt about the destination, with what is left of its life in seconds; null when nothing was. */
  readonly learnt: LearntRoute | null;
}

export interface LearntRoute {
  /** Path MTU, 0 none. */
  readonly mtu: number;
  /** Below route.min_pmtu. */
  readonly locked: boolean;
  /** By the gateway of a redirect. */
  readonly redirected: boolean;
  readonly expiresSec: number;
}

function learntOf(ns: NetNs, e: RouteException): LearntRoute {
  return { mtu: e.pmtu, locked: e.locked, redirected: e.redirect !== null, expiresSec: secondsLeft(ns, e) };
}

/** The route of a local packet. Throws the errno when there is none. */
export function routeGet(ns: NetNs, daddr: number, saddr: number, oif: number, mark: number): RouteAnswer {
  const net = ipv4Of(ns);
  const dst = ipRouteOutput(ns, daddr, saddr, oif, mark);
  if (dst === null) throw new SysError(net.routeError);
  const { custom } = net.rules;
  const found = custom ? fibLookup(ns, net.rules, daddr, saddr, 0, 1, oif, mark) : null;
  const e = routeExceptionOf(ns, dst, daddr);
  return {
    dst,
    source: saddr !== 0 ? saddr : routeSource(dst, daddr),
    table: found === null ? RT_TABLE_MAIN : found.table,
    learnt: e === null ? null : learntOf(ns, e),
  };
}

function secondsLeft(ns: NetNs, e: RouteException): number {
  return Math.floor((e.expiresNs - ns.kernel.sim.now) / SEC);
}

/** One destination that something was learnt about, for `ip route show cache`. */
export interface CachedRoute {
  readonly daddr: number;
  readonly dev: NetDevice;
  readonly gateway: number;
  readonly mtu: number;
  readonly locked: boolean;
  readonly redirected: boolean;
  readonly expiresSec: number;
}

/** Learnt path MTUs and redirects that still hold. */
export function routeCacheDump(ns: NetNs): CachedRoute[] {
  const now = ns.kernel.sim.now;
  const out: CachedRoute[] = [];
  for (const [daddr, list] of ipv4Of(ns).exceptions.entries()) {
    for (const e of list) {
      if (now >= e.expiresNs) continue;
      const gateway = e.redirect === null ? e.gateway : e.redirect.gateway;
      out.push({
        daddr,
        dev: e.dev,
        gateway,
        ...learntOf(ns, e),
      });
    }
  }
  return out;
}

/** Forgets learnt path MTUs and redirects (ip route flush cache). */
export function routeFlushCache(ns: NetNs): void {
  const net = ipv4Of(ns);
  net.exceptions.clear();
  net.flushRoutes();
}
