/**
 * What a filter expression asks of a frame (pcap-filter(7)): protocols, addresses, ports, and bytes by offset. A frame
 * is `bytes[off, off+lenBytes)`; every answer about something that is not there is no.
 */
import { ETH_HLEN, ETH_P_ARP, ETH_P_IP, ETH_P_IPV6 } from "../wire/ethernet.ts";
import { IP_OFFSET } from "../wire/ipv4.ts";

/** The frame that a filter looks at; one object per filter, reused. */
export interface FilterFrame {
  view: DataView;
  off: number;
  lenBytes: number;
  /** Where what it has begins: behind an Ethernet header that a bare IP packet lacks (the offsets count it all the same). */
  first: number;
  /** Something beyond the end was asked for: as in BPF, the whole filter then says no. */
  outside: boolean;
}

/** `src`, `dst`, `src or dst` (no qualifier), `src and dst`. */
export type Direction = "src" | "dst" | "either" | "both";

const ETH_P_RARP = 0x8035;

/** `size` bytes at `at` from the start of the frame as an unsigned number; NaN beyond the end. */
export function load(f: FilterFrame, at: number, size: number): number {
  if (!(at >= f.first && at + size <= f.lenBytes)) {
    f.outside = true;
    return Number.NaN;
  }
  if (size === 1) return f.view.getUint8(f.off + at);
  return size === 2 ? f.view.getUint16(f.off + at) : f.view.getUint32(f.off + at);
}

export function etherType(f: FilterFrame): number {
  return f.first === 0 ? load(f, 12, 2) : ETH_P_IP;
}

/** Transport protocol of an IPv4 or IPv6 packet, -1 for anything else. */
function transport(f: FilterFrame): number {
  const type = etherType(f);
  if (type === ETH_P_IP) return load(f, ETH_HLEN + 9, 1);
  return type === ETH_P_IPV6 ? load(f, ETH_HLEN + 6, 1) : -1;
}

/** Whether the packet carries `protocol`; `etherTypeWanted` restricts it to IPv4 or IPv6, 0 takes both. */
export function hasTransport(f: FilterFrame, protocol: number, etherTypeWanted: number): boolean {
  if (etherTypeWanted !== 0 && etherType(f) !== etherTypeWanted) return false;
  return transport(f) === protocol;
}

/** Offset of the transport header from the start of the frame, -1 when there is none (later fragments). */
export function transportOff(f: FilterFrame): number {
  if (etherType(f) === ETH_P_IPV6) return ETH_HLEN + 40;
  if ((load(f, ETH_HLEN + 6, 2) & IP_OFFSET) !== 0) return -1;
  return ETH_HLEN + (load(f, ETH_HLEN, 1) & 0x0f) * 4;
}

function combine(direction: Direction, src: () => boolean, dst: () => boolean): boolean {
  if (direction === "src") return src();
  if (direction === "dst") return dst();
  return direction === "either" ? src() || dst() : src() && dst();
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
  const hit = (at: number): boolean => {
    const value = load(f, ETH_HLEN + at, 4);
    return value >= 0 && (value & mask) === addr;
  };
  return combine(
    direction,
    () => hit(isArp ? 14 : 12),
    () => hit(isArp ? 24 : 16),
  );
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
  if (at < 0) return false;
  const hit = (from: number): boolean => {
    const port = load(f, from, 2);
    return port >= low && port <= high;
  };
  return combine(
    direction,
    () => hit(at),
    () => hit(at + 2),
  );
}

export function matchMac(f: FilterFrame, hi: number, lo: number, direction: Direction): boolean {
  const hit = (at: number): boolean => load(f, at, 2) === hi && load(f, at + 2, 4) === lo >>> 0;
  return combine(
    direction,
    () => hit(6),
    () => hit(0),
  );
}
