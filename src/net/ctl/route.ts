/** Routes: what RTM_NEWROUTE, RTM_DELROUTE and RTM_GETROUTE do (net/ipv4/fib_frontend.c, fib_semantics.c). */
import { SysError } from "../../util/errors.ts";
import { prefixToMask } from "../../wire/address.ts";
import { RTN_BLACKHOLE, RTN_BROADCAST, RTN_LOCAL, RTN_UNICAST } from "../core/dst.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import {
  type FibAlias,
  type FibConfig,
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RT_SCOPE_NOWHERE,
  RT_SCOPE_UNIVERSE,
  RT_TABLE_LOCAL,
  RT_TABLE_MAIN,
  RTPROT_BOOT,
} from "../ipv4/fib.ts";
import { type FibPathRequest, fibCheck, fibFlush, fibInsert } from "../ipv4/fib-semantics.ts";
import type { FibInsertMode } from "../ipv4/fib-table.ts";
import { type Ipv4Net, ipv4Of } from "../ipv4/ipv4-net.ts";
import { nexthopConfig } from "../ipv4/nexthop-routes.ts";
import { learntOf } from "./route-get.ts";

const INET_ECN_MASK = 3;

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
  /** Path MTU discovery does not change it, and packets go without DF. */
  readonly mtuLocked?: boolean;
  readonly onlink?: boolean;
  /** The number of a next hop. */
  readonly nhId?: number;
  /** Several next hops. */
  readonly paths?: readonly FibPathRequest[];
}

function defaultScope(spec: RouteSpec, type: number): number {
  if (type === RTN_LOCAL) return RT_SCOPE_HOST;
  if (type === RTN_BROADCAST) return RT_SCOPE_LINK;
  const hasHops = (spec.paths ?? []).length > 0;
  if (type === RTN_UNICAST && (spec.gateway ?? 0) === 0 && !hasHops) return RT_SCOPE_LINK;
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
  checkTos(spec);
  const local = type === RTN_LOCAL || type === RTN_BROADCAST;
  if (spec.nhId !== undefined) {
    fibInsert(net, configWithNexthop(net, spec, spec.nhId), mode);
    return;
  }
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
    mtuLocked: spec.mtuLocked ?? false,
    onlink: spec.onlink ?? false,
    paths: spec.paths ?? [],
  });
  fibInsert(net, config, mode);
  if (mode === "replace" || mode === "change") retainExceptions(ns);
}

function configWithNexthop(net: Ipv4Net, spec: RouteSpec, id: number): FibConfig {
  const named = (spec.gateway ?? 0) !== 0 || spec.dev !== undefined || spec.paths !== undefined;
  if (named)
    throw new SysError("EINVAL", "Error: Nexthop specification and nexthop id are mutually exclusive.");
  const nexthop = net.nexthops.find(id);
  if (nexthop === undefined) throw new SysError("EINVAL", "Error: Nexthop id does not exist.");
  const base: FibConfig = {
    table: spec.table ?? RT_TABLE_MAIN,
    dst: spec.dst,
    prefixLen: spec.dstLen,
    tos: spec.tos ?? 0,
    type: spec.type ?? RTN_UNICAST,
    metric: spec.metric ?? 0,
    protocol: spec.protocol ?? RTPROT_BOOT,
    scope: spec.scope ?? RT_SCOPE_UNIVERSE,
    prefSrc: spec.prefSrc ?? 0,
    gateway: 0,
    dev: null,
    nhScope: RT_SCOPE_NOWHERE,
    mtu: spec.mtu ?? 0,
    mtuLocked: spec.mtuLocked ?? false,
    onlink: false,
  };
  return nexthopConfig(net, base, nexthop);
}

/** rtm_to_fib_config */
function checkTos({ tos = 0 }: RouteSpec): void {
  if ((tos & INET_ECN_MASK) !== 0)
    throw new SysError("EINVAL", "Error: Invalid dsfield (tos): ECN bits must be 0.");
}

function retainExceptions(ns: NetNs): void {
  const { exceptions } = ipv4Of(ns);
  if (exceptions.size === 0) return;
  const routes = routeDump(ns);
  const hops = routes.flatMap((alias) => (alias.paths.length === 0 ? [alias] : alias.paths));
  exceptions.retain((dev, gateway) => hops.some((hop) => hop.dev === dev && hop.gateway === gateway));
}

/** Deletes the first route that agrees in all that `spec` says (fib_table_delete). ESRCH when there is none. */
export function routeDel(ns: NetNs, spec: RouteSpec): void {
  checkTos(spec);
  const net = ipv4Of(ns);
  const local = spec.type === RTN_LOCAL || spec.type === RTN_BROADCAST;
  const table = spec.table ?? (local ? RT_TABLE_LOCAL : RT_TABLE_MAIN);
  const found = net.rules.tables.get(table)?.routes.find((alias) => agrees(alias, spec));
  if (found === undefined) throw new SysError("ESRCH");
  fibFlush(net, (alias) => alias === found);
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
    (spec.gateway === undefined || alias.gateway === spec.gateway) &&
    (spec.nhId === undefined || alias.nhId === spec.nhId) &&
    agreesPaths(alias, spec)
  );
}

/** fib_nh_match: what is said of each next hop, in their order; weights are not looked at, nor a next hop with a number. */
function agreesPaths({ nhId, paths, gateway, dev }: FibAlias, spec: RouteSpec): boolean {
  if (spec.dev !== undefined || spec.gateway !== undefined) return nhId === 0;
  const wanted = spec.paths ?? [];
  if (wanted.length === 0 || nhId !== 0) return true;
  const hops = paths.length === 0 ? [{ gateway, dev }] : paths;
  return hops.every((hop, i) => i < wanted.length && agreesPath(hop, wanted[i]));
}

function agreesPath(hop: Pick<FibAlias, "gateway" | "dev">, { gateway, dev }: FibPathRequest): boolean {
  return (gateway === 0 || hop.gateway === gateway) && (dev === null || hop.dev === dev);
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
