/** The choice of a source address among those of a device (net/ipv4/devinet.c inet_select_addr; RFC 1122 3.3.4.3). */
import type { NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import { RT_SCOPE_HOST, RT_SCOPE_LINK } from "./fib.ts";
import { IFA_F_SECONDARY, type InDevice, inDevOf, inetIfaMatch } from "./in-device.ts";
import { ipv4Of } from "./ipv4-net.ts";

/**
 * The source address for a packet out of `dev` towards `dst` (0 when no matter): the primary of the subnet, else the
 * first of the device, else of any device; 0 when there is none (inet_select_addr).
 */
export function inetSelectAddr(dev: NetDevice, dst: number, scope: number): number {
  const inDev = inDevOf(dev);
  let addr = 0;
  if (inDev !== null) {
    const routesLocalnet = (ipv4Of(dev.ns).confAll.routeLocalnet | inDev.conf.routeLocalnet) !== 0;
    const widest = routesLocalnet ? RT_SCOPE_LINK : RT_SCOPE_HOST;
    for (let i = 0; i < inDev.addresses.length; i++) {
      const ifa = inDev.addresses[i];
      if ((ifa.flags & IFA_F_SECONDARY) !== 0 || Math.min(ifa.scope, widest) > scope) continue;
      if (dst === 0 || inetIfaMatch(dst, ifa)) return ifa.local;
      if (addr === 0) addr = ifa.local;
    }
  }
  return addr !== 0 ? addr : addressOfAny(dev, scope);
}

function addressOfAny(dev: NetDevice, scope: number): number {
  for (const other of dev.ns.devices()) {
    const inDev = inDevOf(other);
    if (inDev === null) continue;
    for (const ifa of inDev.addresses) {
      const usable = (ifa.flags & IFA_F_SECONDARY) === 0 && ifa.scope !== RT_SCOPE_LINK && ifa.scope <= scope;
      if (usable) return ifa.local;
    }
  }
  return 0;
}

/** `local` when it is an address here that `dst` may know, by scope and subnet; `inDev` null: of any device; else 0. */
export function inetConfirmAddr(
  ns: NetNs,
  inDev: InDevice | null,
  dst: number,
  local: number,
  scope: number,
): number {
  if (inDev !== null) return confirmAddrIndev(ns, inDev, dst, local, scope);
  for (const dev of ns.devices()) {
    const other = inDevOf(dev);
    const addr = other === null ? 0 : confirmAddrIndev(ns, other, dst, local, scope);
    if (addr !== 0) return addr;
  }
  return 0;
}

/** confirm_addr_indev: the address and the subnet of both may be those of two entries. */
function confirmAddrIndev(ns: NetNs, inDev: InDevice, dst: number, local: number, scope: number): number {
  const routesLocalnet = (ipv4Of(ns).confAll.routeLocalnet | inDev.conf.routeLocalnet) !== 0;
  const widest = routesLocalnet ? RT_SCOPE_LINK : RT_SCOPE_HOST;
  let addr = 0;
  let same = false;
  for (const ifa of inDev.addresses) {
    const near = Math.min(ifa.scope, widest) <= scope;
    if (addr === 0 && near && (local === ifa.local || local === 0)) addr = ifa.local;
    if (!same) same = (local === 0 || inetIfaMatch(local, ifa)) && (dst === 0 || inetIfaMatch(dst, ifa));
    if (same && addr !== 0) break;
  }
  return same ? addr : 0;
}
