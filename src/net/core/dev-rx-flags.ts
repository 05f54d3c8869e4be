/**
 * What a device listens for beyond its own address (net/core/dev.c dev_set_promiscuity, dev_set_allmulti, dev_uc_add): users
 * of each are counted. No driver here filters by a list of addresses, so a second one makes it listen to everything.
 */
import type { NetDevice } from "./net-device.ts";

export function devSetPromiscuity(dev: NetDevice, change: 1 | -1): void {
  const before = dev.promiscuity > 0;
  dev.promiscuity += change;
  const after = dev.promiscuity > 0;
  if (before === after) return;
  dev.ns.kernel.printk(`device ${dev.name} ${after ? "entered" : "left"} promiscuous mode`);
  dev.ops.promiscuityChanged?.(dev, change);
}

export function devSetAllmulti(dev: NetDevice, change: 1 | -1): void {
  const before = dev.allmulti > 0;
  dev.allmulti += change;
  if (before !== dev.allmulti > 0) dev.ops.allmultiChanged?.(dev, change);
}

/** Another address that the device must hear (dev_uc_add), or no more. */
export function devUcAdd(dev: NetDevice, change: 1 | -1): void {
  const before = dev.secondAddrs > 0;
  dev.secondAddrs += change;
  if (before !== dev.secondAddrs > 0) devSetPromiscuity(dev, change);
}
