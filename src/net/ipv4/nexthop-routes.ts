/** Routes that name a next hop by its number: made from it, and made anew when it changes (nexthop_update_fib, fi->nh). */
import { RTN_BLACKHOLE, RTN_UNICAST } from "../core/dst.ts";
import type { NetDevice } from "../core/net-device.ts";
import { FibAlias, type FibConfig, RT_SCOPE_NOWHERE } from "./fib.ts";
import { fibRebalance } from "./fib-multipath.ts";
import { fibFlush } from "./fib-semantics.ts";
import type { Ipv4Net } from "./ipv4-net.ts";
import { type Nexthop, Nexthops } from "./nexthop.ts";

/** The route with the next hops that `nexthop` has now. */
export function nexthopConfig(net: Ipv4Net, request: FibConfig, nexthop: Nexthop): FibConfig {
  const paths = net.nexthops.pathsOf(nexthop);
  const base = { ...request, nhId: nexthop.id };
  if (paths.length === 0) return { ...base, type: RTN_BLACKHOLE, dev: null, nhScope: RT_SCOPE_NOWHERE };
  const { gateway, dev, nhScope, onlink } = paths[0];
  // It may have lost its packets until now.
  const type = request.type === RTN_BLACKHOLE ? RTN_UNICAST : request.type;
  return { ...base, type, gateway, dev, nhScope, onlink, paths: paths.length === 1 ? [] : paths };
}

/** Routes follow what their next hops are now. */
export function nexthopUpdateRoutes(net: Ipv4Net): void {
  for (const table of net.rules.tables.values())
    table.routes.forEach((route, i) => {
      const nexthop = route.nhId === 0 ? undefined : net.nexthops.find(route.nhId);
      if (nexthop === undefined) return;
      const {
        table: id,
        dst,
        prefixLen,
        tos,
        type,
        metric,
        protocol,
        scope,
        prefSrc,
        mtu,
        mtuLocked,
      } = route;
      const none = { gateway: 0, dev: null, nhScope: 0, onlink: false };
      const same = { table: id, dst, prefixLen, tos, type, metric, protocol, scope, prefSrc, mtu, mtuLocked };
      const made = new FibAlias(nexthopConfig(net, { ...same, ...none }, nexthop), null);
      fibRebalance(made);
      table.routes[i] = made;
    });
  net.rules.invalidate();
  net.flushRoutes();
}

/** Deletes next hops, with the routes that have no other. */
export function nexthopRemove(net: Ipv4Net, doomed: (nexthop: Nexthop) => boolean): void {
  const gone = net.nexthops.remove(doomed);
  if (gone.length === 0) return;
  fibFlush(net, (route) => gone.includes(route.nhId));
  nexthopUpdateRoutes(net);
}

/** The device, or its link, is down (nexthop_flush_dev). */
export function nexthopFlushDev(net: Ipv4Net, dev: NetDevice): void {
  if (net.nexthops.list.length > 0) nexthopRemove(net, (nexthop) => Nexthops.uses(nexthop, dev));
}
