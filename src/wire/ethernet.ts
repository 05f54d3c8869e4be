/** The Ethernet II header (IEEE 802.3, include/uapi/linux/if_ether.h): destination, source, EtherType. */

export const ETH_HLEN = 14;
export const ETH_P_IP = 0x0800;
export const ETH_P_ARP = 0x0806;
export const ETH_P_8021Q = 0x8100;
export const ETH_P_8021AD = 0x88a8;
export const ETH_P_IPV6 = 0x86dd;

/** Upper 16 bits of the destination MAC. */
export function ethDstHi(view: DataView, off: number): number {
  return view.getUint16(off);
}

/** Lower 32 bits of the destination MAC, int32. */
export function ethDstLo(view: DataView, off: number): number {
  return view.getInt32(off + 2);
}

export function ethSrcHi(view: DataView, off: number): number {
  return view.getUint16(off + 6);
}

export function ethSrcLo(view: DataView, off: number): number {
  return view.getInt32(off + 8);
}

export function setEthDst(view: DataView, off: number, hi: number, lo: number): void {
  view.setUint16(off, hi);
  view.setInt32(off + 2, lo);
}

export function setEthSrc(view: DataView, off: number, hi: number, lo: number): void {
  view.setUint16(off + 6, hi);
  view.setInt32(off + 8, lo);
}

export function ethType(view: DataView, off: number): number {
  return view.getUint16(off + 12);
}

export function setEthType(view: DataView, off: number, type: number): void {
  view.setUint16(off + 12, type);
}

/** Group bit of a MAC's upper 16 bits: multicast or broadcast. */
export function isMulticastMac(hi: number): boolean {
  return (hi & 0x0100) !== 0;
}

export function isBroadcastMac(hi: number, lo: number): boolean {
  return hi === 0xffff && lo === -1;
}
