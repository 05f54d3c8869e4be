/** Cutting a packet into fragments (net/ipv4/ip_output.c ip_do_fragment; RFC 791 3.2). */
import {
  IP_DF,
  IP_MF,
  IP_OFFSET,
  ipChecksumSet,
  ipFragOff,
  ipHeaderLen,
  setIpFragOff,
  setIpTotLen,
} from "../../wire/ipv4.ts";
import type { NetNs } from "../core/net-ns.ts";
import { HEADROOM, type Skb } from "../core/skb.ts";
import { neighOutput } from "./neighbour.ts";

/** Options that only the first fragment carries have this bit clear (IPOPT_COPY). */
const IPOPT_COPY = 0x80;
const IPOPT_END = 0;
const IPOPT_NOOP = 1;

/**
 * Sends `skb` as fragments of at most `mtu` bytes, each but the last a multiple of 8 bytes of data; `data` at the IP
 * header. `df`: the fragments keep DF (they came so). Takes the packet.
 */
export function ipDoFragment(ns: NetNs, skb: Skb, mtu: number, df: boolean): void {
  const view = skb.view;
  const off = skb.data;
  const headerLen = ipHeaderLen(view, off);
  const room = mtu - headerLen;
  const original = ipFragOff(view, off);
  const moreBehind = (original & IP_MF) !== 0;
  const first = original & IP_OFFSET;
  const total = skb.tail - off - headerLen;
  for (let at = 0; at < total; ) {
    const left = total - at;
    const count = left <= room ? left : room & ~7;
    const frag = fragmentOf(ns, skb, headerLen, at, count);
    const more = at + count < total || moreBehind;
    setIpFragOff(frag.view, frag.data, (first + (at >> 3)) | (more ? IP_MF : 0) | (df ? IP_DF : 0));
    setIpTotLen(frag.view, frag.data, headerLen + count);
    ipChecksumSet(frag.view, frag.data);
    if (at === 0 && headerLen > 20) dropUncopiedOptions(skb, headerLen);
    at += count;
    neighOutput(frag);
  }
  skb.consume();
}

/** A packet with the header of `skb` and `count` bytes of its data from `at` on, and its marks (ip_copy_metadata). */
function fragmentOf(ns: NetNs, skb: Skb, headerLen: number, at: number, count: number): Skb {
  const frag = ns.kernel.pool.alloc(headerLen + count);
  const start = frag.put(headerLen + count);
  const from = skb.data;
  frag.bytes.set(skb.bytes.subarray(from, from + headerLen), start);
  const source = from + headerLen + at;
  frag.bytes.set(skb.bytes.subarray(source, source + count), start + headerLen);
  frag.data = HEADROOM;
  frag.netOff = start;
  frag.transOff = start + headerLen;
  frag.protocol = skb.protocol;
  frag.pktType = skb.pktType;
  frag.dev = skb.dev;
  frag.iif = skb.iif;
  frag.mark = skb.mark;
  frag.priority = skb.priority;
  frag.dst = skb.dst;
  frag.nextHop = skb.nextHop;
  frag.ct = skb.ct;
  frag.ctInfo = skb.ctInfo;
  frag.ipvsProperty = skb.ipvsProperty;
  frag.ipcb = skb.ipcb;
  frag.sk = skb.sk;
  if (skb.trace !== null) frag.trace = skb.trace.fork();
  return frag;
}

/** Fragments behind the first carry padding in place of options that are not to be copied (ip_options_fragment). */
function dropUncopiedOptions(skb: Skb, headerLen: number): void {
  const view = skb.view;
  const end = skb.data + headerLen;
  let at = skb.data + 20;
  while (at < end) {
    const kind = view.getUint8(at);
    if (kind === IPOPT_END) return;
    const length = kind === IPOPT_NOOP ? 1 : view.getUint8(at + 1);
    if (kind !== IPOPT_NOOP && (length < 2 || at + length > end)) return;
    if (kind !== IPOPT_NOOP && (kind & IPOPT_COPY) === 0) {
      for (let i = 0; i < length; i++) view.setUint8(at + i, IPOPT_NOOP);
    }
    at += length;
  }
}
