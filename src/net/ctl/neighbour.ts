/** Neighbour entries: what RTM_NEWNEIGH, RTM_DELNEIGH and RTM_GETNEIGH do (net/core/neighbour.c). */
import { SysError } from "../../util/errors.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import { ipv4Of } from "../ipv4/ipv4-net.ts";
import {
  NEIGH_UPDATE_F_ADMIN,
  NEIGH_UPDATE_F_OVERRIDE,
  type Neighbour,
  NUD_FAILED,
  NUD_PERMANENT,
  NUD_VALID,
  neighCreate,
  neighDestroy,
  neighLookup,
  neighUpdate,
} from "../ipv4/neighbour.ts";
import type { ProxyEntry } from "../ipv4/pneigh.ts";

const ADMIN = NEIGH_UPDATE_F_ADMIN | NEIGH_UPDATE_F_OVERRIDE;

/** Adds an entry or overwrites it; `state` NUD_*, `flags` NTF_*. EINVAL for a device without IPv4, ENOBUFS when the table is full. */
export function neighbourReplace(
  dev: NetDevice,
  ip: number,
  macHi: number,
  macLo: number,
  state = NUD_PERMANENT,
  flags = 0,
): void {
  if (dev.in4 === null) throw new SysError("EINVAL", dev.name);
  const n = neighCreate(dev.ns, dev, ip);
  if (n === null) throw new SysError("ENOBUFS");
  n.flags = flags;
  neighUpdate(n, macHi, macLo, state, ADMIN);
}

/** Addresses that this machine answers for; without a device on every one. Adding one that is there is no error. */
export function proxyAdd(ns: NetNs, ip: number, dev: NetDevice | null): void {
  ipv4Of(ns).proxies.add({ ip, dev });
}

/** ENOENT when it is not there. */
export function proxyDel(ns: NetNs, ip: number, dev: NetDevice | null): void {
  const { proxies } = ipv4Of(ns);
  const found = proxies.find(ip, dev);
  if (found === undefined) throw new SysError("ENOENT");
  proxies.remove((entry) => entry === found);
}

export function proxyDump(ns: NetNs): readonly ProxyEntry[] {
  return ipv4Of(ns).proxies.entries;
}

/** Adds an entry. EEXIST when there is one. */
export function neighbourAdd(
  dev: NetDevice,
  ip: number,
  macHi: number,
  macLo: number,
  state = NUD_PERMANENT,
  flags = 0,
): void {
  if (neighLookup(dev.ns, dev, ip) !== null) throw new SysError("EEXIST");
  neighbourReplace(dev, ip, macHi, macLo, state, flags);
}

/** Overwrites an entry. ENOENT when there is none. */
export function neighbourChange(
  dev: NetDevice,
  ip: number,
  macHi: number,
  macLo: number,
  state = NUD_PERMANENT,
  flags = 0,
): void {
  if (neighLookup(dev.ns, dev, ip) === null) throw new SysError("ENOENT");
  neighbourReplace(dev, ip, macHi, macLo, state, flags);
}

/** Deletes an entry: waiting packets fail (neigh_delete). ENOENT when there is none. */
export function neighbourDel(dev: NetDevice, ip: number): void {
  const n = neighLookup(dev.ns, dev, ip);
  if (n === null) throw new SysError("ENOENT");
  remove(n);
}

function remove(n: Neighbour): void {
  const kernel = n.dev.ns.kernel;
  kernel.enter();
  neighUpdate(n, 0, 0, NUD_FAILED, ADMIN);
  ipv4Of(n.dev.ns).neighbours.remove(n);
  neighDestroy(n);
  kernel.leave();
}

/** Deletes the entries of a namespace that `doomed` names; permanent ones and those without ARP stay unless named. */
export function neighbourFlush(ns: NetNs, doomed: (n: Neighbour) => boolean): number {
  const list = neighbourDump(ns).filter(doomed);
  for (const n of list) remove(n);
  return list.length;
}

/** All entries in the order of a dump. */
export function neighbourDump(ns: NetNs): Neighbour[] {
  return ipv4Of(ns).neighbours.entries();
}

/** Whether the entry has a MAC address. */
export function neighbourHasAddress(n: Neighbour): boolean {
  return (n.nudState & NUD_VALID) !== 0;
}
