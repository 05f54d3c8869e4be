/**
 * Pairs of virtual Ethernet devices (drivers/net/veth.c): what one end sends the other receives, after whatever must not
 * cross a namespace was taken off.
 */
import { countRx, countTx, ETH_HLEN, ethTypeTrans } from "../core/dev.ts";
import { DROP } from "../core/drop-reason.ts";
import { linkwatchInitDev, netifCarrierOff, netifCarrierOn } from "../core/link-watch.ts";
import { type DeviceOps, IFF_BROADCAST, IFF_MULTICAST, IFF_UP, type NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import type { Skb } from "../core/skb.ts";
import { skbScrubPacket } from "../core/skb-scrub.ts";
import { VLAN_HLEN } from "../core/vlan.ts";

const vethOps: DeviceOps = {
  kind: "veth",
  vlanTx: true,
  xmit: vethXmit,
  open: vethOpen,
  stop: vethStop,
  uninit: vethUninit,
};

/**
 * Makes a pair, both down: `name` in `ns` and `peerName` in `peerNs`. The peer is registered first and so has the lower
 * ifindex when both are in one namespace, unless they are given. EEXIST when a name is taken. The caller gives them
 * their addresses.
 */
export function vethNewlink(
  ns: NetNs,
  name: string,
  peerNs: NetNs,
  peerName: string,
  ifindex = 0,
  peerIfindex = 0,
): NetDevice {
  const flags = IFF_BROADCAST | IFF_MULTICAST;
  const peer = peerNs.addDevice(peerName, vethOps, flags, 1500, peerIfindex);
  const dev = ns.addDevice(name, vethOps, flags, 1500, ifindex);
  dev.link = peer;
  peer.link = dev;
  linkwatchInitDev(dev);
  linkwatchInitDev(peer);
  return dev;
}

/** The other end; null while the pair is being deleted. */
export function vethPeer(dev: NetDevice): NetDevice | null {
  return dev.ops === vethOps ? dev.link : null;
}

function vethOpen(dev: NetDevice): void {
  const peer = dev.link;
  if (peer === null || !peer.isUp) return;
  netifCarrierOn(dev);
  netifCarrierOn(peer);
}

function vethStop(dev: NetDevice): void {
  netifCarrierOff(dev);
  if (dev.link !== null) netifCarrierOff(dev.link);
}

function vethUninit(dev: NetDevice): void {
  const peer = dev.link;
  if (peer === null) return;
  dev.link = null;
  peer.link = null;
  peer.ns.removeDevice(peer);
}

function vethXmit(skb: Skb, dev: NetDevice): void {
  const peer = dev.link;
  if (peer === null) {
    dev.txDropped++;
    skb.drop(DROP.DEV_DOWN);
    return;
  }
  const length = skb.length;
  if ((peer.flags & IFF_UP) === 0 || length > peer.mtu + ETH_HLEN + VLAN_HLEN) {
    peer.rxDropped++;
    dev.txDropped++;
    skb.drop((peer.flags & IFF_UP) === 0 ? DROP.DEV_DOWN : DROP.MTU);
    return;
  }
  countTx(dev, length);
  countRx(peer, length);
  skbScrubPacket(skb, dev.ns !== peer.ns);
  ethTypeTrans(skb, peer);
  peer.ns.kernel.netifRx(skb);
}
