/**
 * Receive and transmit of devices (net/core/dev.c). The only two places where a capture tap is looked at.
 */
import { DROP } from "./drop-reason.ts";
import { IFF_UP, type NetDevice, type Tap } from "./net-device.ts";
import {
  PACKET_BROADCAST,
  PACKET_HOST,
  PACKET_LOOPBACK,
  PACKET_MULTICAST,
  PACKET_OTHERHOST,
  type Skb,
} from "./skb.ts";
import {
  isVlanProtocol,
  skbVlanUntag,
  tapTagged,
  VLAN_VID_MASK,
  vlanDoReceive,
  vlanPushInside,
} from "./vlan.ts";

export const ETH_HLEN = 14;
export const ETH_P_IP = 0x0800;
export const ETH_P_ARP = 0x0806;
export const ETH_P_IPV6 = 0x86dd;
/** Devices on top of each other, as a bridge on a tunnel, that a packet may be sent through in one go. */
const XMIT_RECURSION_LIMIT = 8;
/** Below it the field is a length (IEEE 802.3). */
const ETH_P_802_3_MIN = 0x0600;

/**
 * Reads the Ethernet header at `data`: sets device, type and packet type, and steps behind it (eth_type_trans). The
 * frame must have at least 14 bytes.
 */
export function ethTypeTrans(skb: Skb, dev: NetDevice): void {
  const off = skb.data;
  const view = skb.view;
  skb.dev = dev;
  skb.macOff = off;
  skb.protocol = view.getUint16(off + 12);
  const hi = view.getUint16(off);
  const lo = view.getInt32(off + 2);
  if (hi === dev.addrHi && lo === dev.addrLo) skb.pktType = PACKET_HOST;
  else if ((hi & 0x100) !== 0) skb.pktType = hi === 0xffff && lo === -1 ? PACKET_BROADCAST : PACKET_MULTICAST;
  else skb.pktType = PACKET_OTHERHOST;
  skb.data = off + ETH_HLEN;
}

/**
 * A packet that arrived at `skb.dev` (__netif_receive_skb_core): counted, shown to the tap, given to the bridge when the
 * device is a port, else to the protocol. `data` stands behind the Ethernet header. Takes the packet.
 */
export function netifReceiveSkb(skb: Skb): void {
  const dev = skb.dev!;
  if ((dev.flags & IFF_UP) === 0) {
    dev.rxDropped++;
    skb.drop(DROP.DEV_DOWN);
    return;
  }
  skb.iif = dev.ifindex;
  skb.netOff = skb.data;
  if (isVlanProtocol(skb.protocol) && !skbVlanUntag(skb)) return;
  if (dev.tap !== null && skb.pktType !== PACKET_LOOPBACK) tapFrame(dev.tap, dev, skb, skb.macOff, false);
  if (skb.vlanProto !== 0) {
    const vlan = vlanDoReceive(skb);
    if (vlan > 0) netifReceiveSkb(skb);
    if (vlan !== 0) return;
  }
  const handler = dev.rxHandler;
  if (handler !== null && skb.pktType !== PACKET_LOOPBACK) {
    handler(skb, dev);
    return;
  }
  deliverSkb(skb, dev);
}

function tapFrame(tap: Tap, dev: NetDevice, skb: Skb, frameOff: number, outgoing: boolean): void {
  if (skb.vlanProto === 0) tap.frame(dev, skb, frameOff, outgoing);
  else tapTagged(tap, dev, skb, frameOff, outgoing);
}

/**
 * A tag that no device claimed: with a VLAN the packet is another station's, a priority tag (VLAN 0) means nothing and may
 * hide another tag. True: the packet goes on, without a tag.
 */
function dropVlanTag(skb: Skb): boolean {
  while ((skb.vlanTci & VLAN_VID_MASK) === 0 && isVlanProtocol(skb.protocol)) {
    skb.vlanProto = 0;
    if (!skbVlanUntag(skb)) return false;
    const vlan = vlanDoReceive(skb);
    if (vlan > 0) netifReceiveSkb(skb);
    if (vlan !== 0) return false;
  }
  if ((skb.vlanTci & VLAN_VID_MASK) !== 0) skb.pktType = PACKET_OTHERHOST;
  skb.vlanProto = 0;
  return true;
}

/**
 * Hands a received packet to the protocol of its EtherType. A capture counts as a taker, so that nothing is dropped; not
 * so on a bridge port or for a tagged packet, where it had its turn before. Frames with a length for a type have a taker
 * too: LLC, which comes with the bridge.
 */
export function deliverSkb(skb: Skb, dev: NetDevice): void {
  const ns = dev.ns;
  const tagged = skb.vlanProto !== 0;
  if (tagged && !dropVlanTag(skb)) return;
  if (skb.protocol === ETH_P_IP && ns.ipPacket !== null) ns.ipPacket(skb, dev);
  else if (skb.protocol === ETH_P_ARP && ns.arpPacket !== null) ns.arpPacket(skb, dev);
  else {
    const unwanted = dev.tap === null || dev.rxHandler !== null || tagged;
    if (unwanted && skb.protocol >= ETH_P_802_3_MIN) dev.rxDropped++;
    skb.drop(DROP.UNHANDLED_PROTO);
  }
}

/**
 * Sends a frame out of `skb.dev`: `data` stands at its Ethernet header (dev_queue_xmit, dev_hard_start_xmit). Takes the
 * packet.
 */
export function devQueueXmit(skb: Skb): void {
  const dev = skb.dev!;
  const kernel = dev.ns.kernel;
  if ((dev.flags & IFF_UP) === 0) {
    dev.txDropped++;
    skb.drop(DROP.DEV_DOWN);
    return;
  }
  if (!dev.carrier && dev.qdisc !== "noqueue") {
    // Without a carrier the queue is the one that drops everything (noop_qdisc); devices without a queue do not ask.
    skb.drop(DROP.DEV_NO_CARRIER);
    return;
  }
  if (kernel.xmitRecursion > XMIT_RECURSION_LIMIT) {
    kernel.printk(`Dead loop on virtual device ${dev.name}, fix it urgently!`);
    dev.txDropped++;
    skb.drop(DROP.LOOP);
    return;
  }
  if (skb.vlanProto !== 0 && dev.ops.vlanTx !== true) vlanPushInside(skb);
  skb.macOff = skb.data;
  if (dev.tap !== null) tapFrame(dev.tap, dev, skb, skb.data, true);
  kernel.enter();
  kernel.xmitRecursion++;
  dev.ops.xmit(skb, dev);
  kernel.xmitRecursion--;
  kernel.leave();
}

/** Counts a received frame of `lenBytes` (with its Ethernet header). */
export function countRx(dev: NetDevice, lenBytes: number): void {
  dev.rxPackets++;
  dev.rxBytes += lenBytes;
}

export function countTx(dev: NetDevice, lenBytes: number): void {
  dev.txPackets++;
  dev.txBytes += lenBytes;
}
