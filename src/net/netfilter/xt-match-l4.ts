/** Matches on transport headers (net/netfilter/xt_tcpudp.c, xt_multiport.c, xt_tcpmss.c). */
import type { Skb } from "../core/skb.ts";
import { MULTIPORT_DEST, MULTIPORT_SOURCE } from "./xt-compile-match.ts";
import { fragmentOffset, MATCH_HOTDROP, MATCH_NO, MATCH_YES, type MatchResult } from "./xt-match-result.ts";

const TCPOPT_NOP = 1;
const TCPOPT_MSS = 2;

function transportOffset(skb: Skb): number {
  return skb.data + ((skb.view.getUint8(skb.data) & 0x0f) << 2);
}

function portFits(port: number, low: number, high: number, inverted: boolean): boolean {
  return (port >= low && port <= high) !== inverted;
}

export function tcpMt(ops: Int32Array, at: number, skb: Skb): MatchResult {
  const fragment = fragmentOffset(skb);
  // A second fragment that starts inside the header is an attack (RFC 1858).
  if (fragment !== 0) return fragment === 1 ? MATCH_HOTDROP : MATCH_NO;
  const { view } = skb;
  const off = transportOffset(skb);
  if (skb.tail - off < 20) return MATCH_HOTDROP;
  const invert = ops[at + 7];
  if (!portFits(view.getUint16(off), ops[at], ops[at + 1], (invert & 1) !== 0)) return MATCH_NO;
  if (!portFits(view.getUint16(off + 2), ops[at + 2], ops[at + 3], (invert & 2) !== 0)) return MATCH_NO;
  const flagsFit = (view.getUint8(off + 13) & ops[at + 5]) === ops[at + 6];
  if (flagsFit === ((invert & 4) !== 0)) return MATCH_NO;
  return ops[at + 4] === 0 ? MATCH_YES : tcpOptionFits(skb, off, ops[at + 4], (invert & 8) !== 0);
}

function tcpOptionFits(skb: Skb, off: number, option: number, inverted: boolean): MatchResult {
  const headerLen = (skb.view.getUint8(off + 12) >>> 4) << 2;
  if (headerLen < 20 || skb.tail - off < headerLen) return MATCH_HOTDROP;
  return findTcpOption(skb.view, off, headerLen, option) >= 0 !== inverted ? MATCH_YES : MATCH_NO;
}

/** Offset of a TCP option in the buffer, -1 when there is none. */
function findTcpOption(view: DataView, off: number, headerLen: number, option: number): number {
  const end = off + headerLen;
  for (let i = off + 20; i < end; ) {
    const kind = view.getUint8(i);
    if (kind === option) return i;
    if (kind <= TCPOPT_NOP || i + 1 >= end) i++;
    else i += view.getUint8(i + 1) || 1;
  }
  return -1;
}

export function udpMt(ops: Int32Array, at: number, skb: Skb): MatchResult {
  if (fragmentOffset(skb) !== 0) return MATCH_NO;
  const { view } = skb;
  const off = transportOffset(skb);
  if (skb.tail - off < 8) return MATCH_HOTDROP;
  const invert = ops[at + 4];
  return portFits(view.getUint16(off), ops[at], ops[at + 1], (invert & 1) !== 0) &&
    portFits(view.getUint16(off + 2), ops[at + 2], ops[at + 3], (invert & 2) !== 0)
    ? MATCH_YES
    : MATCH_NO;
}

/** icmp_match: type 255 is any. */
export function icmpMatch(ops: Int32Array, at: number, skb: Skb): MatchResult {
  if (fragmentOffset(skb) !== 0) return MATCH_NO;
  const off = transportOffset(skb);
  if (skb.tail - off < 8) return MATCH_HOTDROP;
  const code = skb.view.getUint8(off + 1);
  const fits =
    ops[at] === 255 || (skb.view.getUint8(off) === ops[at] && code >= ops[at + 1] && code <= ops[at + 2]);
  return fits !== (ops[at + 3] !== 0) ? MATCH_YES : MATCH_NO;
}

export function multiportMt(ops: Int32Array, at: number, end: number, skb: Skb): MatchResult {
  if (fragmentOffset(skb) !== 0) return MATCH_NO;
  const off = transportOffset(skb);
  if (skb.tail - off < 4) return MATCH_HOTDROP;
  const which = ops[at];
  const sport = skb.view.getUint16(off);
  const dport = skb.view.getUint16(off + 2);
  let fits = false;
  for (let i = at + 2; i < end; i += 2) {
    const low = ops[i];
    const high = ops[i + 1];
    if ((which & MULTIPORT_SOURCE) !== 0 && sport >= low && sport <= high) fits = true;
    if ((which & MULTIPORT_DEST) !== 0 && dport >= low && dport <= high) fits = true;
  }
  return fits !== (ops[at + 1] !== 0) ? MATCH_YES : MATCH_NO;
}

export function tcpmssMt(ops: Int32Array, at: number, skb: Skb): MatchResult {
  const off = transportOffset(skb);
  const { view } = skb;
  if (skb.tail - off < 20) return MATCH_HOTDROP;
  const headerLen = (view.getUint8(off + 12) >>> 4) << 2;
  if (headerLen < 20 || skb.tail - off < headerLen) return MATCH_HOTDROP;
  const option = findTcpOption(view, off, headerLen, TCPOPT_MSS);
  const inverted = ops[at + 2] !== 0;
  if (option < 0 || option + 4 > off + headerLen || view.getUint8(option + 1) !== 4)
    return inverted ? MATCH_YES : MATCH_NO;
  const mss = view.getUint16(option + 2);
  return (mss >= ops[at] && mss <= ops[at + 1]) !== inverted ? MATCH_YES : MATCH_NO;
}
