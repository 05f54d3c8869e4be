/** The TCPMSS target (net/netfilter/xt_TCPMSS.c): lowers the MSS option of a SYN, or adds one. */
import { csumFold, csumReplace2 } from "../../wire/checksum.ts";
import { IP_OFFSET } from "../../wire/ipv4.ts";
import type { NetNs } from "../core/net-ns.ts";
import { nfBridgeOf } from "../core/nf-bridge.ts";
import type { Skb } from "../core/skb.ts";
import { ipRouteOutput } from "../ipv4/route.ts";
import { dstMtu } from "../ipv4/route-exception.ts";

const TCPOPT_MSS = 2;
const TCPOLEN_MSS = 4;
/** Both headers without options. */
const MIN_HEADERS = 40;
/** What a host must take that announced nothing (RFC 1122 4.2.2.6). */
const TCP_MSS_DEFAULT = 536;
/** `--clamp-mss-to-pmtu` */
const CLAMP = 0xffff;

/** False when the packet is broken, or the path too narrow: it is dropped. */
export function tcpmssMangle(ns: NetNs, skb: Skb, mss: number): boolean {
  const { view, data } = skb;
  if ((view.getUint16(data + 6) & IP_OFFSET) !== 0) return true;
  const tcp = data + ((view.getUint8(data) & 0x0f) << 2);
  const length = skb.tail - tcp;
  skb.ensureWritable(tcp, skb.tail);
  if (length < 20) return false;
  const headerLen = (view.getUint8(tcp + 12) >>> 4) << 2;
  if (headerLen < 20 || length < headerLen) return false;
  const newMss = mss === CLAMP ? pathMss(ns, skb) : mss;
  if (newMss <= 0) return false;
  for (let i = 20; i <= headerLen - TCPOLEN_MSS; i += optionLen(view, tcp + i)) {
    if (view.getUint8(tcp + i) !== TCPOPT_MSS || view.getUint8(tcp + i + 1) !== TCPOLEN_MSS) continue;
    const old = view.getUint16(tcp + i + 2);
    if (old > newMss) replaceWord(view, tcp, i + 2, old, newMss);
    return true;
  }
  // With data behind the header there is no place for an option.
  if (length === headerLen && headerLen < 60) addMss(skb, tcp, headerLen, Math.min(newMss, TCP_MSS_DEFAULT));
  return true;
}

/** The narrower of the way there and the way back, less the headers; 0 or less when there is no such way. */
function pathMss(ns: NetNs, skb: Skb): number {
  const { view, data, dst } = skb;
  const saddr = view.getInt32(data + 12);
  const back = ipRouteOutput(ns, saddr, 0, 0, 0);
  const there = dst === null ? bridgeMtu(skb) : dstMtu(ns, dst, view.getInt32(data + 16));
  const mtu = back === null ? there : Math.min(there, dstMtu(ns, back, saddr));
  return mtu - MIN_HEADERS;
}

/** What the route of a bridge stands for, which a bridged packet carries (fake_mtu in net/bridge/br_nf_core.c); 0: no bridge. */
function bridgeMtu(skb: Skb): number {
  return nfBridgeOf(skb)?.physIn.master?.mtu ?? 0;
}

/** A filler, or an option with its length; a length of 0 moves on by one. */
function optionLen(view: DataView, off: number): number {
  return view.getUint8(off) <= 1 ? 1 : view.getUint8(off + 1) || 1;
}

/** Writes a word of the header and patches the checksum; a word at an odd offset covers two sums. */
function replaceWord(view: DataView, tcp: number, at: number, old: number, value: number): void {
  view.setUint16(tcp + at, value);
  const swap = (word: number): number => ((word << 8) | (word >>> 8)) & 0xffff;
  if (at % 2 === 0) csumReplace2(view, tcp + 16, old, value);
  else csumReplace2(view, tcp + 16, swap(old), swap(value));
}

/** Puts the option in front of the others. */
function addMss(skb: Skb, tcp: number, headerLen: number, mss: number): void {
  skb.put(TCPOLEN_MSS);
  const { view, bytes, data } = skb;
  bytes.copyWithin(tcp + 20 + TCPOLEN_MSS, tcp + 20, tcp + headerLen);
  view.setUint16(tcp + 20, (TCPOPT_MSS << 8) | TCPOLEN_MSS);
  view.setUint16(tcp + 22, mss);
  const newLen = headerLen + TCPOLEN_MSS;
  const oldWord = view.getUint16(tcp + 12);
  const newWord = (oldWord & 0x0fff) | ((newLen >>> 2) << 12);
  view.setUint16(tcp + 12, newWord);
  const sum = (~view.getUint16(tcp + 16) & 0xffff) + (~oldWord & 0xffff) + newWord;
  const added = ((TCPOPT_MSS << 8) | TCPOLEN_MSS) + mss + (~headerLen & 0xffff) + newLen;
  view.setUint16(tcp + 16, csumFold(sum + added));
  const oldTotal = view.getUint16(data + 2);
  view.setUint16(data + 2, oldTotal + TCPOLEN_MSS);
  csumReplace2(view, data + 10, oldTotal, oldTotal + TCPOLEN_MSS);
}
