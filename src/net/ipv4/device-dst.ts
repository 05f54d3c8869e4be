/** Routes that a device has of itself (net/ipv4/route.c rt_dst_alloc without a route of a table): made once, kept there. */
import { Dst, RTN_BROADCAST, RTN_MULTICAST, RTN_UNICAST } from "../core/dst.ts";
import type { NetDevice } from "../core/net-device.ts";
import { type InDevice, inDevOf } from "./in-device.ts";
import type { Ipv4Net } from "./ipv4-net.ts";

/** Of a broadcast that came in. */
export function broadcastDst(net: Ipv4Net, inDev: InDevice): Dst {
  if (inDev.broadcastDst === null) {
    inDev.broadcastDst = new Dst(RTN_BROADCAST, net.loopback(inDev.dev), 0, 0, 0);
  }
  return inDev.broadcastDst;
}

/** Of a packet to a group that came in. */
export function multicastDst(net: Ipv4Net, inDev: InDevice): Dst {
  if (inDev.multicastDst === null) {
    inDev.multicastDst = new Dst(RTN_MULTICAST, net.loopback(inDev.dev), 0, 0, 0);
  }
  return inDev.multicastDst;
}

/** The route out of a device to whatever address, without a gateway: made once a device and kind. */
export function linkDst(dev: NetDevice, daddr: number): Dst | null {
  const inDev = inDevOf(dev);
  if (inDev === null) return null;
  if (daddr === -1) {
    inDev.broadcastOutDst ??= new Dst(RTN_BROADCAST, dev, 0, 0, 0);
    return inDev.broadcastOutDst;
  }
  if (daddr >>> 28 === 0xe) {
    inDev.multicastOutDst ??= new Dst(RTN_MULTICAST, dev, 0, 0, 0);
    return inDev.multicastOutDst;
  }
  inDev.onlinkDst ??= new Dst(RTN_UNICAST, dev, 0, 0, 0);
  return inDev.onlinkDst;
}
