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
import { ipOptionsFragment } from "./ip-options.ts";
import { neighOutput } from "./neighbour.ts";

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
  const sizes = original === 0 || original === IP_DF ? usableSizes(skb.fragList, room) : null;
  const keepDf = df && sizes === null ? IP_DF : 0;
  for (let at = 0, index = 0; at < total; index++) {
    const left = total - at;
    const count = sizes !== null ? sizes[index] : left <= room ? left : room & ~7;
    const frag = fragmentOf(ns, skb, headerLen, at, count);
    const more = at + count < total || moreBehind;
    setIpFragOff(frag.view, frag.data, (first + (at >> 3)) | (more ? IP_MF : 0) | keepDf);
    setIpTotLen(frag.view, frag.data, headerLen + count);
    ipChecksumSet(frag.view, frag.data);
    if (at === 0 && first === 0) ipOptionsFragment(skb);
    at += count;
    neighOutput(frag);
  }
  skb.consume();
}

/**
 * A packet that was put together from fragments leaves in the same pieces, where they fit: their own buffers are sent,
 * without DF. Null: it is cut anew.
 */
export function usableSizes(sizes: readonly number[] | null, room: number): readonly number[] | null {
  if (sizes === null) return null;
  for (let i = 0; i < sizes.length; i++)
    if (sizes[i] > room || ((sizes[i] & 7) !== 0 && i < sizes.length - 1)) return null;
  return sizes;
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
