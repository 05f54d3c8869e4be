/**
 * Carrier and operational state of devices (net/core/link_watch.c, RFC 2863 policy). A device whose carrier never
 * changed keeps the state UNKNOWN, as lo and vxlan do.
 */
import {
  IFF_ALLMULTI,
  IFF_LOWER_UP,
  IFF_PROMISC,
  IFF_UP,
  type NetDevice,
  type OperState,
} from "./net-device.ts";

/** IFF_RUNNING: up and operational; `ip link` shows NO-CARRIER when an up device lacks it. */
export const IFF_RUNNING = 1 << 6;

export function netifCarrierOn(dev: NetDevice): void {
  if (!dev.carrier) setCarrier(dev, true);
}

export function netifCarrierOff(dev: NetDevice): void {
  if (dev.carrier) setCarrier(dev, false);
}

/** State of a new device that starts without carrier (linkwatch_init_dev). */
export function linkwatchInitDev(dev: NetDevice): void {
  dev.carrier = false;
  dev.operState = defaultOperState(dev);
}

/** The state as netlink shows it: a device that is not up is DOWN. */
export function operStateOf(dev: NetDevice): OperState {
  return dev.isUp ? dev.operState : "DOWN";
}

/** Flags as userland sees them (dev_get_flags). */
export function devGetFlags(dev: NetDevice): number {
  let flags = dev.flags & ~(IFF_PROMISC | IFF_ALLMULTI | IFF_LOWER_UP | IFF_RUNNING);
  flags |= dev.flags & (IFF_PROMISC | IFF_ALLMULTI);
  if ((dev.flags & IFF_UP) === 0) return flags;
  if (dev.operState === "UP" || dev.operState === "UNKNOWN") flags |= IFF_RUNNING;
  if (dev.carrier) flags |= IFF_LOWER_UP;
  return flags;
}

/**
 * The notice about a changed link: composing it gives the namespace of the other end its number in this one, which is why
 * the numbers follow the order of events.
 */
export function rtmsgIfinfo(dev: NetDevice): void {
  const other = dev.link?.ns ?? dev.linkNs;
  if (other !== null && other !== dev.ns) dev.ns.netnsId(other);
}

function setCarrier(dev: NetDevice, on: boolean): void {
  dev.carrier = on;
  dev.operState = defaultOperState(dev);
  if ((dev.flags & IFF_UP) === 0) return;
  rtmsgIfinfo(dev);
  for (const listener of dev.ns.listeners) listener.carrierChanged?.(dev);
}

function defaultOperState(dev: NetDevice): OperState {
  if (dev.carrier) return "UP";
  return dev.link !== null && dev.link.ifindex !== dev.ifindex ? "LOWERLAYERDOWN" : "DOWN";
}
