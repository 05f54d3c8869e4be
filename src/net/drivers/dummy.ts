/** The dummy device (drivers/net/dummy.c): it takes every packet and loses it. */
import { countTx } from "../core/dev.ts";
import { type DeviceOps, IFF_BROADCAST, IFF_NOARP, type NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import type { Skb } from "../core/skb.ts";

const dummyOps: DeviceOps = { kind: "dummy", xmit: dummyXmit };

/** Makes a dummy device, down; EEXIST when the name is taken. The caller gives it its address. */
export function dummyNewlink(ns: NetNs, name: string, ifindex = 0): NetDevice {
  const dev = ns.addDevice(name, dummyOps, IFF_BROADCAST | IFF_NOARP, 1500, ifindex);
  dev.minMtu = 0;
  dev.maxMtu = 0;
  dev.operState = "UNKNOWN";
  return dev;
}

function dummyXmit(skb: Skb, dev: NetDevice): void {
  countTx(dev, skb.length);
  skb.consume();
}
