/**
 * VLAN tags of packets (include/linux/if_vlan.h, skb_vlan_untag in net/core/skbuff.c, net/8021q/vlan_core.c). A received
 * tag is taken out of the frame and kept beside it; it goes back in when a device sends that cannot do so itself. Captures
 * show frames with the tag in its place.
 */
import { ETH_P_8021AD, ETH_P_8021Q } from "../../wire/ethernet.ts";
import { DROP } from "./drop-reason.ts";
import { IFF_UP, type NetDevice, type Tap } from "./net-device.ts";
import { PACKET_HOST, PACKET_MULTICAST, type Skb } from "./skb.ts";

export const VLAN_HLEN = 4;
export const VLAN_VID_MASK = 0x0fff;
/** Both MAC addresses, behind which a tag stands. */
const MAC_BYTES = 12;

export function isVlanProtocol(protocol: number): boolean {
  return protocol === ETH_P_8021Q || protocol === ETH_P_8021AD;
}

/** What a VLAN device is, in its `priv` (struct vlan_dev_priv). */
export interface VlanDev {
  readonly realDev: NetDevice;
  /** 0x8100 or 0x88a8. */
  readonly protocol: number;
  readonly id: number;
}

/** Key of a VLAN among those of a device (vlan_group_get_device). */
export function vlanKey(protocol: number, id: number): number {
  return (protocol << 16) | id;
}

/** The device of a VLAN on top of `dev`, up or not (vlan_find_dev). */
export function vlanFindDev(dev: NetDevice, protocol: number, id: number): NetDevice | null {
  return dev.vlans?.get(vlanKey(protocol, id)) ?? null;
}

/**
 * Takes the tag behind the Ethernet header off (skb_vlan_untag); `data` behind that header. One that the packet has beside
 * it already stays. False: too short, it is gone.
 */
export function skbVlanUntag(skb: Skb): boolean {
  if (skb.vlanProto !== 0) return true;
  if (skb.length < VLAN_HLEN + 2) {
    skb.drop(DROP.PKT_TOO_SMALL);
    return false;
  }
  const { view, data, macOff } = skb;
  skb.vlanProto = skb.protocol;
  skb.vlanTci = view.getUint16(data);
  skb.bytes.copyWithin(macOff + VLAN_HLEN, macOff, macOff + MAC_BYTES);
  skb.macOff = macOff + VLAN_HLEN;
  skb.data = data + VLAN_HLEN;
  skb.netOff = skb.data;
  skb.protocol = view.getUint16(data + 2);
  return true;
}

/** Puts the tag into the frame; `data` at the Ethernet header (__vlan_hwaccel_push_inside). */
export function vlanPushInside(skb: Skb): void {
  skb.protocol = skb.vlanProto;
  insertTag(skb, skb.data);
  skb.push(VLAN_HLEN);
  skb.vlanProto = 0;
}

function insertTag(skb: Skb, frameOff: number): void {
  const start = frameOff - VLAN_HLEN;
  skb.bytes.copyWithin(start, frameOff, frameOff + MAC_BYTES);
  skb.view.setUint16(start + MAC_BYTES, skb.vlanProto);
  skb.view.setUint16(start + MAC_BYTES + 2, skb.vlanTci);
}

/** Shows a capture a frame that has its tag beside it. */
export function tapTagged(tap: Tap, dev: NetDevice, skb: Skb, frameOff: number, outgoing: boolean): void {
  insertTag(skb, frameOff);
  tap.frame(dev, skb, frameOff - VLAN_HLEN, outgoing);
  skb.bytes.copyWithin(frameOff, frameOff - VLAN_HLEN, frameOff - VLAN_HLEN + MAC_BYTES);
}

/**
 * Gives a tagged packet to the VLAN's device on top of the one that it came by (vlan_do_receive). 1: it has that device now
 * and no tag; 0: there is none; -1: that device is down, the packet is gone.
 */
export function vlanDoReceive(skb: Skb): -1 | 0 | 1 {
  const dev = vlanFindDev(skb.dev!, skb.vlanProto, skb.vlanTci & VLAN_VID_MASK);
  if (dev === null) return 0;
  if ((dev.flags & IFF_UP) === 0) {
    skb.drop(DROP.DEV_DOWN);
    return -1;
  }
  skb.dev = dev;
  // The card below took it for another station's: the VLAN may have an address of its own.
  const { view, macOff } = skb;
  if (view.getUint16(macOff) === dev.addrHi && view.getInt32(macOff + 2) === dev.addrLo)
    skb.pktType = PACKET_HOST;
  skb.priority = 0;
  skb.vlanProto = 0;
  dev.rxPackets++;
  dev.rxBytes += skb.length;
  if (skb.pktType === PACKET_MULTICAST) dev.rxMulticast++;
  return 1;
}
