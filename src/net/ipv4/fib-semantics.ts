/** Checks of a new route's next hop and source (net/ipv4/fib_semantics.c fib_create_info, fib_check_nh). */
import { SysError } from "../../util/errors.ts";
import { RTN_BLACKHOLE, RTN_BROADCAST, RTN_LOCAL, RTN_UNICAST } from "../core/dst.ts";
import type { NetDevice } from "../core/net-device.ts";
import {
  FibAlias,
  type FibConfig,
  type FibPath,
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RT_SCOPE_NOWHERE,
  RT_SCOPE_UNIVERSE,
} from "./fib.ts";
import { fibRebalance } from "./fib-multipath.ts";
import type { FibInsertMode } from "./fib-table.ts";
import { inDevOf } from "./in-device.ts";
import type { Ipv4Net } from "./ipv4-net.ts";
import { inetAddrType } from "./route.ts";

/** One of several next hops as it is asked for. */
export interface FibPathRequest {
  readonly gateway: number;
  readonly dev: NetDevice | null;
  readonly onlink: boolean;
  readonly weight: number;
}

/** A route as it is asked for: `dev` null when only the gateway is known. */
export type FibRequest = Omit<FibConfig, "nhScope" | "paths"> & {
  readonly paths?: readonly FibPathRequest[];
};

/** Widest scope that a type may have (fib_props). */
function typeScope(type: number): number {
  if (type === RTN_LOCAL) return RT_SCOPE_HOST;
  return type === RTN_BROADCAST ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
}

/**
 * Settles device and scope of the next hop. EINVAL (scope, gateway or source that cannot be), ENETUNREACH (gateway not on
 * a link), ENODEV, ENETDOWN; the detail is what the kernel says besides (extack), as `ip` prints it.
 */
export function fibCheck(net: Ipv4Net, request: FibRequest): FibConfig {
  const { paths = [], ...rest } = request;
  if (paths.length === 0) return checkHop(net, rest);
  checkPaths(request, paths);
  const checked = paths.map((path) => ({ ...checkHop(net, { ...rest, ...path }), weight: path.weight }));
  if (checked.length === 1) return checked[0];
  // A next hop without a device was refused.
  return { ...checked[0], paths: checked as unknown as readonly FibPath[] };
}

/** fib_get_nhs, and what fib_create_info asks of several. */
function checkPaths({ type, scope, gateway, dev }: FibRequest, paths: readonly FibPathRequest[]): void {
  if (type >= RTN_BLACKHOLE) return;
  if (dev !== null && paths[0].dev !== dev)
    throw new SysError("EINVAL", "Error: Nexthop device index does not match RTA_OIF.");
  if (gateway !== 0 && paths[0].gateway !== gateway)
    throw new SysError("EINVAL", "Error: Nexthop gateway does not match RTA_GATEWAY or RTA_VIA.");
  if (scope === RT_SCOPE_HOST && paths.length > 1)
    throw new SysError("EINVAL", "Error: Route with host scope can not have multiple nexthops.");
}

function checkHop(net: Ipv4Net, request: Omit<FibRequest, "paths">): FibConfig {
  if (typeScope(request.type) > request.scope) throw new SysError("EINVAL", "Error: Invalid scope.");
  if (request.type >= RTN_BLACKHOLE) {
    if (request.gateway !== 0 || request.dev !== null)
      throw new SysError(
        "EINVAL",
        "Error: Gateway, device and multipath can not be specified for this route type.",
      );
    return { ...request, nhScope: RT_SCOPE_NOWHERE };
  }
  checkPrefSrc(net, request);
  if (request.scope === RT_SCOPE_HOST) {
    if (request.gateway !== 0)
      throw new SysError("EINVAL", "Error: Route with host scope can not have a gateway.");
    if (request.dev === null) throw new SysError("ENODEV");
    return { ...request, nhScope: RT_SCOPE_NOWHERE };
  }
  if (request.scope > RT_SCOPE_HOST) throw new SysError("EINVAL", "Error: Invalid scope.");
  if (request.gateway !== 0) return checkGateway(net, request);
  if (request.dev === null || inDevOf(request.dev) === null) throw new SysError("ENODEV");
  if (!request.dev.isUp) throw new SysError("ENETDOWN", "Error: Device for nexthop is not up.");
  return { ...request, nhScope: RT_SCOPE_HOST };
}

/** fib_valid_prefsrc: the source must be an address of this machine. */
function checkPrefSrc(net: Ipv4Net, request: Omit<FibRequest, "paths">): void {
  const source = request.prefSrc;
  if (source === 0 || (request.type === RTN_LOCAL && request.dst === source)) return;
  if (inetAddrType(net.ns, source) !== RTN_LOCAL)
    throw new SysError("EINVAL", "Error: Invalid prefsrc address.");
}

/** fib_check_nh_v4_gw. */
function checkGateway(net: Ipv4Net, request: Omit<FibRequest, "paths">): FibConfig {
  const { gateway } = request;
  if (request.onlink) {
    if (request.scope >= RT_SCOPE_LINK) throw new SysError("EINVAL", "Error: Nexthop has invalid scope.");
    if (inetAddrType(net.ns, gateway) !== RTN_UNICAST)
      throw new SysError("EINVAL", "Error: Nexthop has invalid gateway.");
    if (request.dev === null) throw new SysError("ENODEV", "Error: Nexthop device required for onlink.");
    if (!request.dev.isUp) throw new SysError("ENETDOWN", "Error: Nexthop device is not up.");
    return { ...request, nhScope: RT_SCOPE_LINK };
  }
  const found = gatewayRoute(net, request);
  if (found === null) throw new SysError("ENETUNREACH", "Error: Nexthop has invalid gateway.");
  if (found.type !== RTN_UNICAST && found.type !== RTN_LOCAL)
    throw new SysError("EINVAL", "Error: Nexthop has invalid gateway.");
  if (found.dev === null) throw new SysError("ENODEV");
  if (!found.dev.isUp) throw new SysError("ENETDOWN", "Error: Nexthop device is not up.");
  return { ...request, dev: found.dev, nhScope: found.scope };
}

/** The on-link route towards a gateway: in the route's own table, else in all. */
function gatewayRoute(net: Ipv4Net, request: Omit<FibRequest, "paths">): FibAlias | null {
  const scope = Math.max(request.scope + 1, RT_SCOPE_LINK);
  const oif = request.dev === null ? 0 : request.dev.ifindex;
  const own = net.rules.index(request.table).lookup(request.gateway, 0, oif, scope);
  if (own !== null) return own;
  if (net.rules.custom) return net.rules.lookupRules(net.ns, request.gateway, 0, 0, 1, oif, 0, scope);
  return net.rules.lookupDefault(request.gateway, 0, oif, scope);
}

/** Adds a checked route to its table. See {@link FibInsertMode} for EEXIST and ENOENT. */
export function fibInsert(net: Ipv4Net, config: FibConfig, mode: FibInsertMode): void {
  const dev = config.dev;
  const alias = new FibAlias(config, dev === null ? null : net.loopback(dev));
  fibRebalance(alias);
  net.rules.table(config.table).insert(alias, config, mode);
  if (config.tos !== 0) net.rules.usesTos = true;
  net.rules.invalidate();
  net.flushRoutes();
}

/** Takes out the routes of all tables that `doomed` names (fib_flush). */
export function fibFlush(net: Ipv4Net, doomed: (alias: FibAlias) => boolean): void {
  let count = 0;
  for (const table of net.rules.tables.values()) count += table.flush(doomed).length;
  if (count === 0) return;
  net.rules.invalidate();
  net.flushRoutes();
}
