/**
 * Which of several default routes of one table a packet from here takes (net/ipv4/fib_semantics.c fib_select_default,
 * fib_detect_death): one whose gateway is known to be silent is passed over, and those that only may be there take turns.
 */
import { RTN_UNICAST } from "../core/dst.ts";
import { type FibAlias, RT_SCOPE_LINK } from "./fib.ts";
import type { Ipv4Net } from "./ipv4-net.ts";

/** The best of those that are passed over so far, and its number. */
let lastResort: FibAlias | null = null;
let lastIndex = -1;

/** Whether the table of a default route has others. */
export function hasOtherDefaults(net: Ipv4Net, found: FibAlias): boolean {
  if (found.prefixLen !== 0 || found.type !== RTN_UNICAST) return false;
  const { routes } = net.rules.tables.get(found.table)!;
  return routes.length > 1 && routes[1].prefixLen === 0 && routes[1].dst === 0;
}

/** `found`: the default route that a lookup gave. */
export function fibSelectDefault(net: Ipv4Net, found: FibAlias, tos: number): FibAlias {
  const { routes } = net.rules.tables.get(found.table)!;
  let candidate: FibAlias | null = null;
  let order = -1;
  let lastMetric = found.metric;
  let lastTos = 0;
  lastResort = null;
  lastIndex = -1;
  for (let i = 0; i < routes.length && routes[i].prefixLen === 0; i++) {
    const route = routes[i];
    if (route.tos !== 0 && route.tos !== tos) continue;
    if (route.metric > lastMetric && route.tos === lastTos) {
      if (lastTos !== 0) continue;
      break;
    }
    lastTos = route.tos;
    lastMetric = route.metric;
    if (!comparable(route, found)) continue;
    if (candidate === null && route !== found) break;
    if (candidate !== null && !isDead(net, candidate, order, found.lastDefault)) {
      found.lastDefault = order;
      return candidate;
    }
    candidate = route;
    order++;
  }
  if (order <= 0) {
    found.lastDefault = -1;
    return found;
  }
  if (!isDead(net, candidate!, order, found.lastDefault)) {
    found.lastDefault = order;
    return candidate!;
  }
  found.lastDefault = lastIndex;
  return lastIndex >= 0 ? lastResort! : found;
}

/** Behind a gateway on a link, and like the one that was found. */
function comparable({ scope, type, gateway, nhScope }: FibAlias, found: FibAlias): boolean {
  return scope === found.scope && type === RTN_UNICAST && gateway !== 0 && nhScope === RT_SCOPE_LINK;
}

/** Whether to go on looking; what is only doubtful is kept as the last resort. */
function isDead(net: Ipv4Net, route: FibAlias, order: number, taken: number): boolean {
  const n = net.neighbours.find(route.dev!, route.gateway);
  if (n === null || n.isReachable || (n.isValid && order !== taken)) return false;
  if (n.isValid || (lastIndex < 0 && order > taken && !n.isIncomplete)) {
    lastResort = route;
    lastIndex = order;
  }
  return true;
}
