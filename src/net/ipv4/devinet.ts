/**
 * Addresses of devices (net/ipv4/devinet.c): how they are ordered, which one is chosen as source, and what happens to
 * them when a device comes, goes up or down, or leaves.
 */
import { SEC } from "../../sim/sim.ts";
import { Timer } from "../../sim/timer.ts";
import { SysError } from "../../util/errors.ts";
import { prefixToMask } from "../../wire/address.ts";
import { IFF_LOOPBACK, type NetDevice } from "../core/net-device.ts";
import type { DeviceListener } from "../core/net-ns.ts";
import { arpSend } from "./arp.ts";
import { RT_SCOPE_HOST } from "./fib.ts";
import { fibAddIfaddr, fibCarrierChanged, fibDelIfaddr, fibDisableDev, fibSyncUp } from "./fib-frontend.ts";
import {
  IFA_F_PERMANENT,
  IFA_F_SECONDARY,
  type IfAddr,
  InDevice,
  inDevOf,
  inetIfaMatch,
} from "./in-device.ts";
import { ipv4Of } from "./ipv4-net.ts";
import { nexthopFlushDev } from "./nexthop-routes.ts";

/** Smallest MTU that IPv4 works with (inetdev_valid_mtu). */
const IPV4_MIN_MTU = 68;
const ARPOP_REQUEST = 1;

/** Adds an address with its routes (__inet_insert_ifa). EEXIST, EINVAL (other scope in one subnet), ENODEV. */
export function inetInsertIfa(dev: NetDevice, ifa: IfAddr): void {
  const inDev = inDevOf(dev);
  if (inDev === null) throw new SysError("ENODEV", dev.name);
  ifa.flags &= ~IFA_F_SECONDARY;
  let position = 0;
  for (let i = 0; i < inDev.addresses.length; i++) {
    const other = inDev.addresses[i];
    if ((other.flags & IFA_F_SECONDARY) === 0 && ifa.scope <= other.scope) position = i + 1;
    if (other.mask !== ifa.mask || !inetIfaMatch(ifa.address, other)) continue;
    if (other.local === ifa.local) throw new SysError("EEXIST");
    if (other.scope !== ifa.scope) throw new SysError("EINVAL");
    ifa.flags |= IFA_F_SECONDARY;
  }
  if ((ifa.flags & IFA_F_SECONDARY) !== 0) position = inDev.addresses.length;
  inDev.addresses.splice(position, 0, ifa);
  const net = ipv4Of(dev.ns);
  net.localAddrs.set(ifa.local, (net.localAddrs.get(ifa.local) ?? 0) + 1);
  net.flushRoutes();
  fibAddIfaddr(inDev, ifa);
  fibSyncUp(dev);
}

/** Removes an address; the secondaries of its subnet go with it, or one is promoted (__inet_del_ifa). */
export function inetDelIfa(inDev: InDevice, ifa: IfAddr): void {
  const net = ipv4Of(inDev.dev.ns);
  const promote = (net.confAll.promoteSecondaries | inDev.conf.promoteSecondaries) !== 0;
  const isPrimary = (ifa.flags & IFA_F_SECONDARY) === 0;
  const kin = isPrimary
    ? inDev.addresses.filter(
        (other) =>
          (other.flags & IFA_F_SECONDARY) !== 0 &&
          other.mask === ifa.mask &&
          inetIfaMatch(other.address, ifa),
      )
    : [];
  if (!promote) for (const other of kin) unlink(inDev, other);
  unlink(inDev, ifa);
  if (!promote || kin.length === 0) return;
  kin[0].flags &= ~IFA_F_SECONDARY;
  for (const other of kin) fibAddIfaddr(inDev, other);
}

function unlink(inDev: InDevice, ifa: IfAddr): void {
  const net = ipv4Of(inDev.dev.ns);
  ifa.life?.timer.cancel();
  fibDelIfaddr(inDev, ifa);
  inDev.addresses.splice(inDev.addresses.indexOf(ifa), 1);
  const left = (net.localAddrs.get(ifa.local) ?? 1) - 1;
  if (left === 0) net.localAddrs.delete(ifa.local);
  else net.localAddrs.set(ifa.local, left);
  net.flushRoutes();
  if (inDev.addresses.length === 0) {
    fibDisableDev(inDev.dev, true, false);
    arpIfdown(inDev.dev);
  }
  for (const listener of inDev.dev.ns.listeners) listener.inetAddrRemoved?.(inDev.dev, ifa.local);
}

/** Forgets the neighbours of a device, and whom it answers for (arp_ifdown). */
function arpIfdown(dev: NetDevice): void {
  const net = ipv4Of(dev.ns);
  net.neighbours.flushDev(dev, false);
  net.proxies.remove((entry) => entry.dev === dev);
}

/** An address as the control layer makes it: never secondary yet, valid for ever. */
export function makeIfAddr(
  dev: NetDevice,
  local: number,
  prefixLen: number,
  broadcast: number,
  scope: number,
): IfAddr {
  return {
    local,
    address: local,
    mask: prefixToMask(prefixLen),
    prefixLen,
    broadcast,
    scope,
    label: dev.name,
    flags: IFA_F_PERMANENT,
    metric: 0,
    life: null,
  };
}

/** Gives an address its lifetimes in seconds, Infinity for ever (set_ifa_lifetime, check_lifetime). */
export function inetSetLifetime(inDev: InDevice, ifa: IfAddr, validSec: number, preferredSec: number): void {
  ifa.life?.timer.cancel();
  ifa.life = null;
  if (validSec === Number.POSITIVE_INFINITY) {
    ifa.flags |= IFA_F_PERMANENT;
    return;
  }
  ifa.flags &= ~IFA_F_PERMANENT;
  const { kernel } = inDev.dev.ns;
  const timer = new Timer(kernel.sim, () => {
    kernel.enter();
    inetDelIfa(inDev, ifa);
    kernel.leave();
  });
  timer.armIn(validSec * SEC);
  ifa.life = { validSec, preferredSec, stampNs: kernel.sim.now, timer };
}

/** Tells the link about the device's addresses (inetdev_send_gratuitous_arp). */
export function inetdevSendGratuitousArp(dev: NetDevice): void {
  const inDev = inDevOf(dev);
  if (inDev === null) return;
  for (const ifa of inDev.addresses) {
    arpSend(dev, ARPOP_REQUEST, ifa.local, ifa.local, 0xffff, -1, 0, 0);
  }
}

function register(dev: NetDevice): void {
  if (dev.in4 !== null || dev.mtu < IPV4_MIN_MTU) return;
  const net = ipv4Of(dev.ns);
  const inDev = new InDevice(dev, net.confDefault.copy(), net.neighDefault.copy());
  if ((dev.flags & IFF_LOOPBACK) !== 0) {
    inDev.conf.disableXfrm = 1;
    inDev.conf.disablePolicy = 1;
  }
  dev.in4 = inDev;
  net.ensureErrorDsts(dev);
}

function up(dev: NetDevice): void {
  const inDev = inDevOf(dev);
  if (inDev === null) return;
  if ((dev.flags & IFF_LOOPBACK) !== 0 && inDev.addresses.length === 0) {
    inetInsertIfa(dev, makeIfAddr(dev, 0x7f000001, 8, 0, RT_SCOPE_HOST));
  }
  for (const ifa of inDev.addresses) fibAddIfaddr(inDev, ifa);
  fibSyncUp(dev);
  const net = ipv4Of(dev.ns);
  net.flushRoutes();
  if (Math.max(net.confAll.arpNotify, inDev.conf.arpNotify) !== 0) inetdevSendGratuitousArp(dev);
}

function unregister(dev: NetDevice): void {
  const inDev = inDevOf(dev);
  if (inDev === null) return;
  while (inDev.addresses.length > 0) inetDelIfa(inDev, inDev.addresses[0]);
  fibDisableDev(dev, true, true);
  const net = ipv4Of(dev.ns);
  arpIfdown(dev);
  net.fragments.flushDev(dev);
  dev.in4 = null;
}

/** What IPv4 does when a device changes (inetdev_event, fib_netdev_event, arp_netdev_event). */
export const deviceListener: DeviceListener = {
  registered: register,
  unregistering: unregister,
  up,
  down(dev) {
    if (inDevOf(dev) === null) return;
    nexthopFlushDev(ipv4Of(dev.ns), dev);
    fibDisableDev(dev, false, false);
    arpIfdown(dev);
  },
  addressChanged(dev) {
    const inDev = inDevOf(dev);
    if (inDev === null) return;
    const net = ipv4Of(dev.ns);
    net.neighbours.flushDev(dev, false);
    net.flushRoutes();
    if (Math.max(net.confAll.arpNotify, inDev.conf.arpNotify) !== 0) inetdevSendGratuitousArp(dev);
  },
  mtuChanged(dev, oldMtu) {
    const net = ipv4Of(dev.ns);
    net.exceptions.deviceMtuChanged(dev, oldMtu);
    if (dev.mtu < IPV4_MIN_MTU) unregister(dev);
    else register(dev);
    net.flushRoutes();
  },
  carrierChanged(dev) {
    const inDev = inDevOf(dev);
    if (inDev === null) return;
    if (!dev.carrier) nexthopFlushDev(ipv4Of(dev.ns), dev);
    fibCarrierChanged(dev);
    const net = ipv4Of(dev.ns);
    if (!dev.carrier && (net.confAll.arpEvictNocarrier & inDev.conf.arpEvictNocarrier) !== 0) {
      net.neighbours.flushDev(dev, true);
    }
    net.flushRoutes();
  },
};
