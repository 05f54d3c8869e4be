/**
 * The loopback device (drivers/net/loopback.c): what is sent comes back as received, with its route, mark and
 * connection still on it.
 */
import { countRx, countTx, ethTypeTrans } from "../core/dev.ts";
import { type DeviceOps, IFF_LOOPBACK, type NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import type { Skb } from "../core/skb.ts";

const LOOPBACK_MTU = 65536;

const loopbackOps: DeviceOps = { kind: "loopback", xmit: loopbackXmit };

/** Gives a new namespace its `lo` (ifindex 1), down. */
export function loopbackInit(ns: NetNs): void {
  const dev = ns.addDevice("lo", loopbackOps, IFF_LOOPBACK, LOOPBACK_MTU);
  dev.operState = "UNKNOWN";
  dev.minMtu = 0;
  dev.maxMtu = 0;
}

function loopbackXmit(skb: Skb, dev: NetDevice): void {
  skb.sk = null;
  ethTypeTrans(skb, dev);
  countTx(dev, skb.length);
  countRx(dev, skb.length);
  dev.ns.kernel.netifRx(skb);
}
