/** What a policy or state is for (struct xfrm_selector, xfrm_selector_match in net/xfrm/xfrm_policy.c). */
import { IPPROTO_ICMP, IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP, ipIsFragment } from "../../wire/ipv4.ts";
import type { Skb } from "../core/skb.ts";

/** Addresses are int32; a mask of 0 means any port. For ICMP the type stands in `sport` and the code in `dport`. */
export interface XfrmSelector {
  readonly saddr: number;
  readonly prefixLenS: number;
  readonly daddr: number;
  readonly prefixLenD: number;
  /** 0: any. */
  readonly proto: number;
  readonly sport: number;
  readonly sportMask: number;
  readonly dport: number;
  readonly dportMask: number;
  /** ifindex, 0: any. */
  readonly ifindex: number;
}

export const ANY_SELECTOR: XfrmSelector = {
  saddr: 0,
  prefixLenS: 0,
  daddr: 0,
  prefixLenD: 0,
  proto: 0,
  sport: 0,
  sportMask: 0,
  dport: 0,
  dportMask: 0,
  ifindex: 0,
};

/** `(mark & mask) === value`, both int32; a mask of 0 takes every packet. */
export interface XfrmMark {
  readonly value: number;
  readonly mask: number;
}

export const ANY_MARK: XfrmMark = { value: 0, mask: 0 };

/** What a packet shows to a selector (struct flowi4). */
export class XfrmFlow {
  saddr = 0;
  daddr = 0;
  proto = 0;
  sport = 0;
  dport = 0;
  mark = 0;
  /** ifindex it leaves by, 0 when it does not leave. */
  oif = 0;
}

/** Reads a packet whose IP header stands at `netOff` (xfrm_decode_session). */
export function decodeSession(flow: XfrmFlow, skb: Skb, mark: number, oif: number): void {
  const { view, netOff } = skb;
  const transOff = netOff + ((view.getUint8(netOff) & 0x0f) << 2);
  const proto = view.getUint8(netOff + 9);
  flow.saddr = view.getInt32(netOff + 12);
  flow.daddr = view.getInt32(netOff + 16);
  flow.proto = proto;
  flow.mark = mark;
  flow.oif = oif;
  flow.sport = 0;
  flow.dport = 0;
  if (ipIsFragment(view, netOff)) return;
  if (proto === IPPROTO_UDP || proto === IPPROTO_TCP || proto === IPPROTO_SCTP) {
    if (skb.tail < transOff + 4) return;
    flow.sport = view.getUint16(transOff);
    flow.dport = view.getUint16(transOff + 2);
  } else if (proto === IPPROTO_ICMP && skb.tail >= transOff + 2) {
    flow.sport = view.getUint8(transOff);
    flow.dport = view.getUint8(transOff + 1);
  }
}

function prefixMatch(addr: number, prefix: number, len: number): boolean {
  return len === 0 || ((addr ^ prefix) & (-1 << (32 - len))) === 0;
}

export function selectorMatch(sel: XfrmSelector, flow: XfrmFlow): boolean {
  return (
    prefixMatch(flow.daddr, sel.daddr, sel.prefixLenD) &&
    prefixMatch(flow.saddr, sel.saddr, sel.prefixLenS) &&
    ((flow.dport ^ sel.dport) & sel.dportMask) === 0 &&
    ((flow.sport ^ sel.sport) & sel.sportMask) === 0 &&
    (sel.proto === 0 || sel.proto === flow.proto) &&
    (sel.ifindex === 0 || sel.ifindex === flow.oif)
  );
}

export function sameSelector(a: XfrmSelector, b: XfrmSelector): boolean {
  return (Object.keys(ANY_SELECTOR) as (keyof XfrmSelector)[]).every((key) => a[key] === b[key]);
}
