/** Reading IP options (net/ipv4/ip_options.c): those of a packet, which are filled in on the way, and those of a socket. */
import {
  IP_OPTIONS_MAX,
  IPOPT_CIPSO,
  IPOPT_END,
  IPOPT_LSRR,
  IPOPT_NOOP,
  IPOPT_RA,
  IPOPT_RR,
  IPOPT_SSRR,
  IPOPT_TIMESTAMP,
  IPOPT_TS_PRESPEC,
  IPOPT_TS_TSANDADDR,
  IPOPT_TS_TSONLY,
} from "../../wire/ip-options.ts";
import { IP_HLEN } from "../../wire/ipv4.ts";
import { RTN_UNICAST } from "../core/dst.ts";
import { type IpOptions, IpOptionsData } from "../core/ip-options.ts";
import type { NetNs } from "../core/net-ns.ts";
import type { Skb } from "../core/skb.ts";
import { computeSpecDst } from "./fib-spec-dst.ts";
import { inetCurrentTimestamp } from "./ip-options.ts";
import { inetAddrType } from "./route.ts";

/** An option is right. */
const FINE = -1;
const CIPSO_MIN = 8;

/**
 * Reads `opt.optlen` bytes of options behind the header at `iph` and takes this machine's slots in them
 * (__ip_options_compile). `skb`: the received packet that they stand in, null for those of a socket. The result is 0, or the
 * offset from `iph` of what is wrong.
 */
export function ipOptionsCompile(
  ns: NetNs,
  view: DataView,
  iph: number,
  opt: IpOptions,
  skb: Skb | null,
): number {
  const end = iph + IP_HLEN + opt.optlen;
  for (let at = iph + IP_HLEN; at < end; ) {
    const kind = view.getUint8(at);
    if (kind === IPOPT_END) {
      clearBehindEnd(view, at + 1, end, opt);
      return 0;
    }
    if (kind === IPOPT_NOOP) {
      at++;
      continue;
    }
    if (end - at < 2) return at - iph;
    const length = view.getUint8(at + 1);
    if (length < 2 || length > end - at) return at - iph;
    const wrong = compileOption(ns, view, iph, at, length, opt, skb);
    if (wrong !== FINE) return at - iph + wrong;
    at += length;
  }
  return 0;
}

function clearBehindEnd(view: DataView, from: number, end: number, opt: IpOptions): void {
  for (let at = from; at < end; at++) {
    if (view.getUint8(at) === IPOPT_END) continue;
    view.setUint8(at, IPOPT_END);
    opt.isChanged = true;
  }
}

/** One option: FINE, or the offset of the wrong byte in it. */
function compileOption(
  ns: NetNs,
  view: DataView,
  iph: number,
  at: number,
  length: number,
  opt: IpOptions,
  skb: Skb | null,
): number {
  switch (view.getUint8(at)) {
    case IPOPT_SSRR:
    case IPOPT_LSRR:
      return sourceRoute(view, iph, at, length, opt, skb);
    case IPOPT_RR:
      return recordRoute(ns, view, iph, at, length, opt, skb);
    case IPOPT_TIMESTAMP:
      return timestamp(ns, view, iph, at, length, opt, skb);
    case IPOPT_RA:
      if (length < 4) return 1;
      if (view.getUint16(at + 2) === 0) opt.routerAlert = at - iph;
      return FINE;
    case IPOPT_CIPSO:
      // Nobody can define a domain of interpretation, so that every label is of an unknown one (cipso_v4_validate).
      if (opt.cipso !== 0) return 0;
      opt.cipso = at - iph;
      return length < CIPSO_MIN ? 1 : 2;
    default:
      return FINE;
  }
}

/** A packet has one source route (RFC 1812 5.2.4.1); that of a socket begins with the first station to go to. */
function sourceRoute(
  view: DataView,
  iph: number,
  at: number,
  length: number,
  opt: IpOptions,
  skb: Skb | null,
): number {
  if (length < 3) return 1;
  const pointer = view.getUint8(at + 2);
  if (pointer < 4) return 2;
  if (opt.srr !== 0) return 0;
  if (skb === null) {
    if (pointer !== 4 || length < 7 || ((length - 3) & 3) !== 0) return 1;
    opt.faddr = view.getInt32(at + 3);
    for (let i = 3; i + 4 < length; i++) view.setUint8(at + i, view.getUint8(at + i + 4));
  }
  opt.isStrictroute = view.getUint8(at) === IPOPT_SSRR;
  opt.srr = at - iph;
  return FINE;
}

function recordRoute(
  ns: NetNs,
  view: DataView,
  iph: number,
  at: number,
  length: number,
  opt: IpOptions,
  skb: Skb | null,
): number {
  if (opt.rr !== 0) return 0;
  if (length < 3) return 1;
  const pointer = view.getUint8(at + 2);
  if (pointer < 4) return 2;
  if (pointer <= length) {
    if (pointer + 3 > length) return 2;
    if (skb !== null && skb.dst !== null) {
      view.setInt32(at + pointer - 1, computeSpecDst(ns, skb, skb.dev!));
      opt.isChanged = true;
    }
    view.setUint8(at + 2, pointer + 4);
    opt.rrNeedaddr = true;
  }
  opt.rr = at - iph;
  return FINE;
}

function timestamp(
  ns: NetNs,
  view: DataView,
  iph: number,
  at: number,
  length: number,
  opt: IpOptions,
  skb: Skb | null,
): number {
  if (opt.ts !== 0) return 0;
  if (length < 4) return 1;
  const pointer = view.getUint8(at + 2);
  if (pointer < 5) return 2;
  const flags = view.getUint8(at + 3);
  if (pointer <= length) {
    if (!takeTimeSlot(ns, view, at, length, opt, skb)) return 2;
  } else if ((flags & 0xf) !== IPOPT_TS_PRESPEC) {
    if (flags >>> 4 === 15) return 3;
    if (skb !== null) {
      view.setUint8(at + 3, flags + 0x10);
      opt.isChanged = true;
    }
  }
  opt.ts = at - iph;
  return FINE;
}

/** Takes the slot that the pointer names, if it is ours, and writes the time; false when there is no room for a whole one. */
function takeTimeSlot(
  ns: NetNs,
  view: DataView,
  at: number,
  length: number,
  opt: IpOptions,
  skb: Skb | null,
): boolean {
  const pointer = view.getUint8(at + 2);
  const kind = view.getUint8(at + 3) & 0xf;
  const withAddress = kind === IPOPT_TS_TSANDADDR || kind === IPOPT_TS_PRESPEC;
  if (pointer + (withAddress ? 7 : 3) > length) return false;
  const slot = at + pointer - 1;
  if (kind === IPOPT_TS_PRESPEC && inetAddrType(ns, view.getInt32(slot)) === RTN_UNICAST) return true;
  if (kind !== IPOPT_TS_TSONLY && !withAddress) return true;
  const routed = skb !== null && skb.dst !== null;
  if (kind === IPOPT_TS_TSANDADDR) {
    if (routed) view.setInt32(slot, computeSpecDst(ns, skb, skb.dev!));
    opt.tsNeedaddr = true;
  }
  if (kind === IPOPT_TS_TSANDADDR ? routed : skb !== null) {
    view.setInt32(withAddress ? slot + 4 : slot, inetCurrentTimestamp(ns));
    opt.isChanged = true;
  }
  opt.tsNeedtime = true;
  view.setUint8(at + 2, pointer + (withAddress ? 8 : 4));
  return true;
}

/** Options that a socket gives to its packets (ip_options_get); null when they are wrong (EINVAL). */
export function ipOptionsGet(ns: NetNs, bytes: Uint8Array): IpOptionsData | null {
  if (bytes.length > IP_OPTIONS_MAX) return null;
  const opt = new IpOptionsData();
  const header = new Uint8Array(IP_HLEN + IP_OPTIONS_MAX);
  header.set(bytes, IP_HLEN);
  opt.optlen = (bytes.length + 3) & ~3;
  if (ipOptionsCompile(ns, new DataView(header.buffer), 0, opt, null) !== 0) return null;
  opt.data.set(header.subarray(IP_HLEN));
  return opt;
}
