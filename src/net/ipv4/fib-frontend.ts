/** Routes that follow from addresses and devices (net/ipv4/fib_frontend.c). */

import { SysError } from "../../util/errors.ts";
import { RTN_BROADCAST, RTN_LOCAL, RTN_UNICAST } from "../core/dst.ts";
import { IFF_LOOPBACK, type NetDevice } from "../core/net-device.ts";
import {
  type FibConfig,
  RT_SCOPE_HOST,
  RT_SCOPE_LINK,
  RT_SCOPE_NOWHERE,
  RT_TABLE_LOCAL,
  RT_TABLE_MAIN,
  RTPROT_KERNEL,
} from "./fib.ts";
import { fibRebalance } from "./fib-multipath.ts";
import { fibFlush, fibInsert } from "./fib-semantics.ts";
import {
  IFA_F_NOPREFIXROUTE,
  IFA_F_SECONDARY,
  type IfAddr,
  type InDevice,
  inetIfaMatch,
} from "./in-device.ts";
import { type Ipv4Net, ipv4Of } from "./ipv4-net.ts";
import { neighDestroy } from "./neighbour.ts";
import { inetAddrType } from "./route.ts";

/** The route that an address implies (fib_magic). */
function magic(
  type: number,
  dst: number,
  prefixLen: number,
  dev: NetDevice,
  source: number,
  metric: number,
): FibConfig {
  const local = type === RTN_LOCAL;
  return {
    table: type === RTN_UNICAST ? RT_TABLE_MAIN : RT_TABLE_LOCAL,
    dst,
    prefixLen,
    tos: 0,
    type,
    metric,
    protocol: RTPROT_KERNEL,
    scope: local ? RT_SCOPE_HOST : RT_SCOPE_LINK,
    prefSrc: source,
    gateway: 0,
    dev,
    nhScope: local ? RT_SCOPE_NOWHERE : RT_SCOPE_HOST,
    mtu: 0,
    onlink: false,
  };
}

/** Adds such a route; the same one twice is no error. */
function magicAdd(net: Ipv4Net, config: FibConfig): void {
  try {
    fibInsert(net, config, "append");
  } catch (error) {
    if (!(error instanceof SysError) || error.code !== "EEXIST") throw error;
  }
}

function magicDel(net: Ipv4Net, config: FibConfig): void {
  let done = false;
  fibFlush(net, (alias) => {
    const hit =
      !done &&
      alias.table === config.table &&
      alias.dst === config.dst &&
      alias.prefixLen === config.prefixLen &&
      alias.metric === config.metric &&
      alias.type === config.type &&
      alias.scope === config.scope &&
      alias.dev === config.dev &&
      alias.prefSrc === config.prefSrc;
    if (hit) done = true;
    return hit;
  });
}

/** The primary address of the subnet that a secondary one belongs to. */
function primaryOf(inDev: InDevice, ifa: IfAddr): IfAddr | undefined {
  if ((ifa.flags & IFA_F_SECONDARY) === 0) return ifa;
  return inDev.addresses.find(
    (other) =>
      (other.flags & IFA_F_SECONDARY) === 0 && other.mask === ifa.mask && inetIfaMatch(ifa.address, other),
  );
}

function prefixRoute(ifa: IfAddr, dev: NetDevice, source: number): FibConfig {
  const type = (dev.flags & IFF_LOOPBACK) !== 0 ? RTN_LOCAL : RTN_UNICAST;
  return magic(type, ifa.address & ifa.mask, ifa.prefixLen, dev, source, ifa.metric);
}

/** The routes of an address, as far as the device's state allows (fib_add_ifaddr). */
export function fibAddIfaddr(inDev: InDevice, ifa: IfAddr): void {
  const dev = inDev.dev;
  const net = ipv4Of(dev.ns);
  const prim = primaryOf(inDev, ifa);
  if (prim === undefined) return;
  const source = prim.local;
  magicAdd(net, magic(RTN_LOCAL, ifa.local, 32, dev, source, 0));
  if (!dev.isUp) return;
  if (ifa.broadcast !== 0 && ifa.broadcast !== -1) {
    addBroadcast(net, ifa.broadcast, dev, source);
  }
  const prefix = ifa.address & ifa.mask;
  const secondary = (ifa.flags & IFA_F_SECONDARY) !== 0;
  if (prefix === 0 || secondary || (prefix === ifa.local && ifa.prefixLen === 32)) return;
  if ((ifa.flags & IFA_F_NOPREFIXROUTE) === 0) magicAdd(net, prefixRoute(ifa, dev, source));
  if (ifa.prefixLen < 31) addBroadcast(net, prefix | ~ifa.mask, dev, source);
}

/** A neighbour that nobody answered for is forgotten: nobody has that address (arp_invalidate). */
function addBroadcast(net: Ipv4Net, addr: number, dev: NetDevice, source: number): void {
  magicAdd(net, magic(RTN_BROADCAST, addr, 32, dev, source, 0));
  const n = net.neighbours.find(dev, addr);
  if (n === null || n.isValid) return;
  net.neighbours.remove(n);
  neighDestroy(n);
}

/** The prefix route of an address gets another metric (fib_modify_prefix_metric). */
export function fibModifyPrefixMetric(inDev: InDevice, ifa: IfAddr, metric: number): void {
  const { dev } = inDev;
  const prefix = ifa.address & ifa.mask;
  const bare = prefix === 0 || (prefix === ifa.local && ifa.prefixLen === 32);
  if (!dev.isUp || bare || (ifa.flags & (IFA_F_SECONDARY | IFA_F_NOPREFIXROUTE)) !== 0) return;
  const net = ipv4Of(dev.ns);
  const old = prefixRoute(ifa, dev, ifa.local);
  magicAdd(net, { ...old, metric });
  magicDel(net, old);
}

/** Takes the routes of a removed address away, unless another address needs them (fib_del_ifaddr). */
export function fibDelIfaddr(inDev: InDevice, ifa: IfAddr): void {
  const dev = inDev.dev;
  const net = ipv4Of(dev.ns);
  const prim = primaryOf(inDev, ifa);
  const source = prim === undefined ? ifa.local : prim.local;
  const others = inDev.addresses.filter((other) => other !== ifa);
  const prefix = ifa.address & ifa.mask;
  const subnetBroadcast = prefix | ~ifa.mask;
  if ((ifa.flags & IFA_F_SECONDARY) === 0 && (prefix !== ifa.local || ifa.prefixLen < 32)) {
    if ((ifa.flags & IFA_F_NOPREFIXROUTE) === 0) magicDel(net, prefixRoute(ifa, dev, source));
  }
  const keeps = (addr: number) =>
    others.some(
      (o) => o.broadcast === addr || (o.prefixLen < 31 && ((o.address & o.mask) | ~o.mask) === addr),
    );
  if (ifa.broadcast !== 0 && ifa.broadcast !== subnetBroadcast && !keeps(ifa.broadcast)) {
    magicDel(net, magic(RTN_BROADCAST, ifa.broadcast, 32, dev, source, 0));
  }
  if (ifa.prefixLen < 31 && !keeps(subnetBroadcast)) {
    magicDel(net, magic(RTN_BROADCAST, subnetBroadcast, 32, dev, source, 0));
  }
  if (others.some((other) => other.local === ifa.local)) return;
  magicDel(net, magic(RTN_LOCAL, ifa.local, 32, dev, source, 0));
  if (inetAddrType(dev.ns, ifa.local) !== RTN_LOCAL) {
    fibFlush(net, (alias) => alias.prefSrc === ifa.local);
  }
}

/**
 * The device went down: routes over it go, its local addresses stay reachable (fib_sync_down_dev). Of several next hops only
 * those over it are dead, unless no other lives. `force`: local ones too; `gone`: the device does not come back.
 */
export function fibDisableDev(dev: NetDevice, force: boolean, gone: boolean): void {
  const net = ipv4Of(dev.ns);
  fibFlush(net, (alias) => {
    if (alias.nhId !== 0) return false;
    if (alias.paths.length === 0) return alias.dev === dev && (force || alias.nhScope !== RT_SCOPE_NOWHERE);
    for (const path of alias.paths) if (path.dev === dev) path.dead = true;
    fibRebalance(alias);
    return (gone && alias.uses(dev)) || alias.paths.every((path) => path.dead);
  });
  net.flushRoutes();
}

/** The device is up and has an address: next hops over it live again (fib_sync_up). */
export function fibSyncUp(dev: NetDevice): void {
  if (!dev.isUp) return;
  const net = ipv4Of(dev.ns);
  for (const table of net.rules.tables.values())
    for (const route of table.routes) {
      for (const path of route.paths) if (path.dev === dev) path.dead = false;
      fibRebalance(route);
    }
  net.flushRoutes();
}

/** Its link came up or went down (fib_netdev_event NETDEV_CHANGE). */
export function fibCarrierChanged(dev: NetDevice): void {
  for (const table of ipv4Of(dev.ns).rules.tables.values())
    for (const route of table.routes) if (route.uses(dev)) fibRebalance(route);
}
