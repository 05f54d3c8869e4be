/**
 * What a filter expression asks of a frame (pcap-filter(7)): protocols, addresses, ports, and bytes by offset. A frame
 * is `bytes[off, off+lenBytes)`; every answer about something that is not there is no.
 */
import {
  ETH_HLEN,
  ETH_P_ARP,
  ETH_P_IP,
  ETH_P_IPV6,
  ethDstHi,
  ethDstLo,
  ethSrcHi,
  ethSrcLo,
} from "../wire/ethernet.ts";
import { IP_OFFSET } from "../wire/ipv4.ts";

/** The frame that a filter looks at; one object per filter, reused. */
export interface FilterFrame {
  view: DataView;
  off: number;
  lenBytes: number;
}

/** `src`, `dst`, `src or dst` (no qualifier), `src and dst`. */
export type Direction = "src" | "dst" | "either" | "both";

const ETH_P_RARP = 0x8035;

export function etherType(f: FilterFrame): number {
  return f.lenBytes >= ETH_HLEN ? f.view.getUint16(f.off + 12) : -1;
}

/** Transport protocol of an IPv4 or IPv6 packet, -1 for anything else. */
function transport(f: FilterFrame): number {
  const type = etherType(f);
  if (type === ETH_P_IP && f.lenBytes >= ETH_HLEN + 20) return f.view.getUint8(f.off + ETH_HLEN + 9);
  if (type === ETH_P_IPV6 && f.lenBytes >= ETH_HLEN + 40) return f.view.getUint8(f.off + ETH_HLEN + 6);
  return -1;
}

/** Whether the packet carries `protocol`; `etherTypeWanted` restricts it to IPv4 or IPv6, 0 takes both. */
export function hasTransport(f: FilterFrame, protocol: number, etherTypeWanted: number): boolean {
  if (etherTypeWanted !== 0 && etherType(f) !== etherTypeWanted) return false;
  return transport(f) === protocol;
}

/** Offset of the transport header from the start of the frame, -1 when there is none (later fragments). */
export function transportOff(f: FilterFrame): number {
  const type = etherType(f);
  if (type === ETH_P_IPV6) return f.lenBytes >= ETH_HLEN + 40 ? ETH_HLEN + 40 : -1;
  if (type !== ETH_P_IP || f.lenBytes < ETH_HLEN + 20) return -1;
  const ip = f.off + ETH_HLEN;
  if ((f.view.getUint16(ip + 6) & IP_OFFSET) !== 0) return -1;
  return ETH_HLEN + (f.view.getUint8(ip) & 0x0f) * 4;
}

function combine(direction: Direction, src: boolean, dst: boolean): boolean {
  if (direction === "src") return src;
  if (direction === "dst") return dst;
  return direction === "either" ? src || dst : src && dst;
}

/** Source or destination IPv4 address under `mask`; of ARP the sender's and the target's. */
export function matchAddress(
  f: FilterFrame,
  type: number,
  addr: number,
  mask: number,
  direction: Direction,
): boolean {
  const actual = etherType(f);
  if (type !== 0 && actual !== type) return false;
  const isArp = actual === ETH_P_ARP || actual === ETH_P_RARP;
  if (!isArp && actual !== ETH_P_IP) return false;
  const src = ETH_HLEN + (isArp ? 14 : 12);
  const dst = ETH_HLEN + (isArp ? 24 : 16);
  if (f.lenBytes < dst + 4) return false;
  const srcHit = (f.view.getInt32(f.off + src) & mask) === addr;
  return combine(direction, srcHit, (f.view.getInt32(f.off + dst) & mask) === addr);
}

/** TCP, UDP or SCTP port from `low` to `high`; `protocol` is -1 for any of the three. */
export function matchPort(
  f: FilterFrame,
  etherTypeWanted: number,
  protocol: number,
  low: number,
  high: number,
  direction: Direction,
): boolean {
  if (etherTypeWanted !== 0 && etherType(f) !== etherTypeWanted) return false;
  const actual = transport(f);
  if (protocol >= 0 ? actual !== protocol : actual !== 6 && actual !== 17 && actual !== 132) return false;
  const at = transportOff(f);
  if (at < 0 || at + 4 > f.lenBytes) return false;
  const sport = f.view.getUint16(f.off + at);
  const dport = f.view.getUint16(f.off + at + 2);
  return combine(direction, sport >= low && sport <= high, dport >= low && dport <= high);
}

export function matchMac(f: FilterFrame, hi: number, lo: number, direction: Direction): boolean {
  if (f.lenBytes < ETH_HLEN) return false;
  const src = ethSrcHi(f.view, f.off) === hi && ethSrcLo(f.view, f.off) === lo;
  return combine(direction, src, ethDstHi(f.view, f.off) === hi && ethDstLo(f.view, f.off) === lo);
}

/** `size` bytes at `at` from the start of the frame as an unsigned number; NaN beyond the end. */
export function load(f: FilterFrame, at: number, size: number): number {
  if (!(at >= 0 && at + size <= f.lenBytes)) return Number.NaN;
  if (size === 1) return f.view.getUint8(f.off + at);
  return size === 2 ? f.view.getUint16(f.off + at) : f.view.getUint32(f.off + at);
}
