/** The IPv4 header (RFC 791, include/uapi/linux/ip.h) and the checksums of what it carries. */
import { csumFold, csumPartial, inetChecksum, pseudoHeaderSum } from "./checksum.ts";

/** Bytes of a header without options. */
export const IP_HLEN = 20;

export const IPPROTO_ICMP = 1;
export const IPPROTO_IGMP = 2;
export const IPPROTO_IPIP = 4;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
export const IPPROTO_DCCP = 33;
export const IPPROTO_GRE = 47;
export const IPPROTO_ESP = 50;
export const IPPROTO_AH = 51;
export const IPPROTO_ICMPV6 = 58;
export const IPPROTO_SCTP = 132;
export const IPPROTO_UDPLITE = 136;
export const IPPROTO_RAW = 255;

/** Bits of the flags and offset field. */
export const IP_CE = 0x8000;
export const IP_DF = 0x4000;
export const IP_MF = 0x2000;
export const IP_OFFSET = 0x1fff;

export function ipVersion(view: DataView, off: number): number {
  return view.getUint8(off) >>> 4;
}

/** Header length in bytes. */
export function ipHeaderLen(view: DataView, off: number): number {
  return (view.getUint8(off) & 0x0f) << 2;
}

/** Writes version 4 and the header length in bytes. */
export function setIpVersionIhl(view: DataView, off: number, headerLenBytes: number): void {
  view.setUint8(off, 0x40 | (headerLenBytes >>> 2));
}

export function ipTos(view: DataView, off: number): number {
  return view.getUint8(off + 1);
}

export function setIpTos(view: DataView, off: number, tos: number): void {
  view.setUint8(off + 1, tos);
}

export function ipTotLen(view: DataView, off: number): number {
  return view.getUint16(off + 2);
}

export function setIpTotLen(view: DataView, off: number, lenBytes: number): void {
  view.setUint16(off + 2, lenBytes);
}

export function ipId(view: DataView, off: number): number {
  return view.getUint16(off + 4);
}

export function setIpId(view: DataView, off: number, id: number): void {
  view.setUint16(off + 4, id);
}

/** The raw field: IP_DF, IP_MF, and the offset in units of 8 bytes. */
export function ipFragOff(view: DataView, off: number): number {
  return view.getUint16(off + 6);
}

export function setIpFragOff(view: DataView, off: number, value: number): void {
  view.setUint16(off + 6, value);
}

/** Part of a fragmented packet (ip_is_fragment). */
export function ipIsFragment(view: DataView, off: number): boolean {
  return (view.getUint16(off + 6) & (IP_MF | IP_OFFSET)) !== 0;
}

export function ipTtl(view: DataView, off: number): number {
  return view.getUint8(off + 8);
}

export function setIpTtl(view: DataView, off: number, ttl: number): void {
  view.setUint8(off + 8, ttl);
}

export function ipProtocol(view: DataView, off: number): number {
  return view.getUint8(off + 9);
}

export function setIpProtocol(view: DataView, off: number, protocol: number): void {
  view.setUint8(off + 9, protocol);
}

export function ipCheck(view: DataView, off: number): number {
  return view.getUint16(off + 10);
}

export function setIpCheck(view: DataView, off: number, check: number): void {
  view.setUint16(off + 10, check);
}

/** Source address, int32. */
export function ipSaddr(view: DataView, off: number): number {
  return view.getInt32(off + 12);
}

export function setIpSaddr(view: DataView, off: number, addr: number): void {
  view.setInt32(off + 12, addr);
}

/** Destination address, int32. */
export function ipDaddr(view: DataView, off: number): number {
  return view.getInt32(off + 16);
}

export function setIpDaddr(view: DataView, off: number, addr: number): void {
  view.setInt32(off + 16, addr);
}

/** Computes and writes the header checksum (ip_send_check). */
export function ipChecksumSet(view: DataView, off: number): void {
  view.setUint16(off + 10, 0);
  view.setUint16(off + 10, inetChecksum(view, off, ipHeaderLen(view, off)));
}

/** Whether the header checksum is right (ip_fast_csum); nearly all headers have no options. */
export function ipChecksumOk(view: DataView, off: number): boolean {
  if ((view.getUint8(off) & 0x0f) !== 5) return inetChecksum(view, off, ipHeaderLen(view, off)) === 0;
  const a = view.getInt32(off, true);
  const b = view.getInt32(off + 4, true);
  const c = view.getInt32(off + 8, true);
  const d = view.getInt32(off + 12, true);
  const e = view.getInt32(off + 16, true);
  const low = (a & 0xffff) + (b & 0xffff) + (c & 0xffff) + (d & 0xffff) + (e & 0xffff);
  return csumFold(low + (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16) + (e >>> 16)) === 0;
}

/** Takes 1 off the TTL and patches the checksum (ip_decrease_ttl); returns the new TTL. */
export function ipDecreaseTtl(view: DataView, off: number): number {
  const sum = view.getUint16(off + 10) + 0x0100;
  view.setUint16(off + 10, sum + (sum >= 0xffff ? 1 : 0));
  const ttl = view.getUint8(off + 8) - 1;
  view.setUint8(off + 8, ttl);
  return ttl;
}

/** Byte offset of the checksum inside a TCP, UDP or ICMP header; -1 for other protocols. */
export function l4CheckOff(protocol: number): number {
  if (protocol === IPPROTO_TCP) return 16;
  if (protocol === IPPROTO_UDP) return 6;
  return protocol === IPPROTO_ICMP ? 2 : -1;
}

/** Unfolded sum that stands before the bytes of a transport packet: the pseudo header, or 0 for ICMP. */
function l4StartSum(view: DataView, ipOff: number, protocol: number, lenBytes: number): number {
  if (protocol !== IPPROTO_TCP && protocol !== IPPROTO_UDP) return 0;
  return pseudoHeaderSum(view.getInt32(ipOff + 12), view.getInt32(ipOff + 16), protocol, lenBytes);
}

/**
 * Computes and writes the checksum of the TCP, UDP or ICMP packet of the whole, unfragmented IP packet at `ipOff`. A UDP
 * checksum that comes out 0 is written as 0xffff. Other protocols have none: nothing happens.
 */
export function l4ChecksumSet(_bytes: Uint8Array, view: DataView, ipOff: number): void {
  const protocol = ipProtocol(view, ipOff);
  const checkOff = l4CheckOff(protocol);
  if (checkOff < 0) return;
  const headerLen = ipHeaderLen(view, ipOff);
  const l4Off = ipOff + headerLen;
  const l4Len = ipTotLen(view, ipOff) - headerLen;
  view.setUint16(l4Off + checkOff, 0);
  const check = csumFold(csumPartial(view, l4Off, l4Len, l4StartSum(view, ipOff, protocol, l4Len)));
  view.setUint16(l4Off + checkOff, check === 0 && protocol === IPPROTO_UDP ? 0xffff : check);
}

/**
 * Whether the checksum of the TCP, UDP or ICMP packet of `l4Len` bytes at `l4Off` is right. A UDP checksum of 0 (none)
 * is right, and so is every packet of another protocol.
 */
export function l4ChecksumOk(
  _bytes: Uint8Array,
  view: DataView,
  ipOff: number,
  l4Off: number,
  l4Len: number,
): boolean {
  const protocol = ipProtocol(view, ipOff);
  if (l4CheckOff(protocol) < 0) return true;
  if (protocol === IPPROTO_UDP && l4Len >= 8 && view.getUint16(l4Off + 6) === 0) return true;
  return csumFold(csumPartial(view, l4Off, l4Len, l4StartSum(view, ipOff, protocol, l4Len))) === 0;
}
