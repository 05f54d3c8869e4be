/** ARP for IPv4 over Ethernet (RFC 826, include/uapi/linux/if_arp.h): 28 bytes. */
import { ETH_P_IP } from "./ethernet.ts";

export const ARP_LEN = 28;
export const ARPHRD_ETHER = 1;
/** IEEE 802 networks: taken for Ethernet. */
const ARPHRD_IEEE802 = 6;
export const ARPOP_REQUEST = 1;
export const ARPOP_REPLY = 2;

/** True for the only kind that is modelled: Ethernet hardware addresses, IPv4 protocol addresses. */
export function arpIsEthIp4(view: DataView, off: number): boolean {
  const hardware = view.getUint16(off);
  return (
    (hardware === ARPHRD_ETHER || hardware === ARPHRD_IEEE802) &&
    view.getUint16(off + 2) === ETH_P_IP &&
    view.getUint16(off + 4) === 0x0604
  );
}

export function arpOp(view: DataView, off: number): number {
  return view.getUint16(off + 6);
}

/** Sender hardware address, upper 16 bits. */
export function arpShaHi(view: DataView, off: number): number {
  return view.getUint16(off + 8);
}

export function arpShaLo(view: DataView, off: number): number {
  return view.getInt32(off + 10);
}

/** Sender protocol address, int32. */
export function arpSpa(view: DataView, off: number): number {
  return view.getInt32(off + 14);
}

/** Target hardware address, upper 16 bits. */
export function arpThaHi(view: DataView, off: number): number {
  return view.getUint16(off + 18);
}

export function arpThaLo(view: DataView, off: number): number {
  return view.getInt32(off + 20);
}

/** Target protocol address, int32. */
export function arpTpa(view: DataView, off: number): number {
  return view.getInt32(off + 24);
}

/** Writes a whole ARP packet. */
export function arpWrite(
  view: DataView,
  off: number,
  op: number,
  shaHi: number,
  shaLo: number,
  spa: number,
  thaHi: number,
  thaLo: number,
  tpa: number,
): void {
  view.setUint16(off, ARPHRD_ETHER);
  view.setUint16(off + 2, ETH_P_IP);
  view.setUint16(off + 4, 0x0604);
  view.setUint16(off + 6, op);
  view.setUint16(off + 8, shaHi);
  view.setInt32(off + 10, shaLo);
  view.setInt32(off + 14, spa);
  view.setUint16(off + 18, thaHi);
  view.setInt32(off + 20, thaLo);
  view.setInt32(off + 24, tpa);
}
