/**
 * IP options of packets that leave, pass through or are answered (net/ipv4/ip_options.c; RFC 791 3.1, RFC 1122 3.2.1.8): what
 * is written into them, and what an answer takes over. Reading them is `ip-options-compile.ts`.
 */
import { MS } from "../../sim/sim.ts";
import { IPOPT_COPY, IPOPT_END, IPOPT_NOOP, IPOPT_TS_PRESPEC } from "../../wire/ip-options.ts";
import { IP_HLEN, ipChecksumSet, ipSaddr, setIpDaddr } from "../../wire/ipv4.ts";
import { RTN_UNICAST } from "../core/dst.ts";
import { clearIpOptions, type IpOptions, type IpOptionsData } from "../core/ip-options.ts";
import type { NetNs } from "../core/net-ns.ts";
import type { Skb } from "../core/skb.ts";
import { ipRtGetSource } from "./fib-spec-dst.ts";
import { inetAddrType } from "./route.ts";

const DAY_MS = 86_400_000;

/** Milliseconds since midnight (inet_current_timestamp). */
export function inetCurrentTimestamp(ns: NetNs): number {
  return Math.floor(ns.kernel.sim.now / MS) % DAY_MS;
}

/** Where a packet with these options is sent first: the head of a source route, else its destination. */
export function ipOptionsHop(opt: IpOptions | null, daddr: number): number {
  return opt !== null && opt.srr !== 0 ? opt.faddr : daddr;
}

/**
 * Writes options into the room behind the 20 bytes of a header that was built for `daddr`, with this machine's address where
 * it is wanted, and finishes the header (ip_options_build).
 */
export function ipOptionsBuild(ns: NetNs, skb: Skb, options: IpOptionsData, daddr: number): void {
  const { view, netOff: iph } = skb;
  const opt = options.copy();
  skb.opt = opt;
  skb.bytes.set(options.data.subarray(0, opt.optlen), iph + IP_HLEN);
  const saddr = ipSaddr(view, iph);
  if (opt.srr !== 0) {
    const srr = iph + opt.srr;
    view.setInt32(srr + view.getUint8(srr + 1) - 4, daddr);
    setIpDaddr(view, iph, opt.faddr);
  }
  if (opt.rrNeedaddr) view.setInt32(filledSlot(view, iph + opt.rr, 5), saddr);
  if (opt.tsNeedaddr) view.setInt32(filledSlot(view, iph + opt.ts, 9), saddr);
  if (opt.tsNeedtime) view.setInt32(filledSlot(view, iph + opt.ts, 5), inetCurrentTimestamp(ns));
  ipChecksumSet(view, iph);
}

/** The slot that ends so far before the one that the pointer of the option at `at` names now. */
function filledSlot(view: DataView, at: number, back: number): number {
  return at + view.getUint8(at + 2) - back;
}

/**
 * Turns the options of a received packet into those of an answer: source routes the other way round, a slot taken in records
 * (__ip_options_echo). `sopt`: what is known of them. False: they cannot be answered.
 */
export function ipOptionsEcho(ns: NetNs, dopt: IpOptionsData, skb: Skb, sopt: IpOptions | null): boolean {
  clearIpOptions(dopt);
  if (sopt === null || sopt.optlen === 0) return true;
  if (sopt.rr !== 0 && !echoRecord(dopt, skb, sopt)) return false;
  if (sopt.ts !== 0 && !echoTimestamp(ns, dopt, skb, sopt)) return false;
  if (sopt.srr !== 0) echoSourceRoute(dopt, skb, sopt);
  if (sopt.cipso !== 0) {
    dopt.cipso = dopt.optlen + IP_HLEN;
    copyOption(dopt, skb, sopt.cipso);
  }
  while ((dopt.optlen & 3) !== 0) dopt.data[dopt.optlen++] = IPOPT_END;
  return true;
}

/** Appends the option at offset `from` of the packet's header; returns its length. */
function copyOption(dopt: IpOptionsData, skb: Skb, from: number): number {
  const at = skb.netOff + from;
  const length = skb.view.getUint8(at + 1);
  dopt.data.set(skb.bytes.subarray(at, at + length), dopt.optlen);
  dopt.optlen += length;
  return length;
}

function echoRecord(dopt: IpOptionsData, skb: Skb, sopt: IpOptions): boolean {
  const start = dopt.optlen;
  const pointer = skb.view.getUint8(skb.netOff + sopt.rr + 2);
  dopt.rr = start + IP_HLEN;
  const length = copyOption(dopt, skb, sopt.rr);
  if (!sopt.rrNeedaddr || pointer > length) return true;
  if (pointer + 3 > length) return false;
  dopt.data[start + 2] = pointer + 4;
  dopt.rrNeedaddr = true;
  return true;
}

function echoTimestamp(ns: NetNs, dopt: IpOptionsData, skb: Skb, sopt: IpOptions): boolean {
  const start = dopt.optlen;
  const from = skb.netOff + sopt.ts;
  let pointer = skb.view.getUint8(from + 2);
  dopt.ts = start + IP_HLEN;
  const length = copyOption(dopt, skb, sopt.ts);
  if (pointer > length) return true;
  if (sopt.tsNeedaddr) {
    if (pointer + 3 > length) return false;
    dopt.tsNeedaddr = true;
    pointer += 4;
  }
  if (sopt.tsNeedtime) {
    if (pointer + 3 > length) return false;
    if ((dopt.data[start + 3] & 0xf) !== IPOPT_TS_PRESPEC) {
      dopt.tsNeedtime = true;
      pointer += 4;
    } else if (pointer + 7 <= length) {
      const addr = skb.view.getInt32(from + pointer - 1);
      if (inetAddrType(ns, addr) !== RTN_UNICAST) {
        dopt.tsNeedtime = true;
        pointer += 8;
      }
    }
  }
  dopt.data[start + 2] = pointer;
  return true;
}

/** The stations that the packet came by, last one first; the sender among them is left out (RFC 1812 5.2.4.1). */
function echoSourceRoute(dopt: IpOptionsData, skb: Skb, sopt: IpOptions): void {
  const { view } = skb;
  const from = skb.netOff + sopt.srr;
  const length = view.getUint8(from + 1);
  let pointer = Math.min(view.getUint8(from + 2), length + 1) - 4;
  if (pointer <= 3) return;
  const start = dopt.optlen;
  const faddr = view.getInt32(from + pointer - 1);
  let used = 4;
  for (pointer -= 4; pointer > 3; pointer -= 4, used += 4) {
    const hop = from + pointer - 1;
    dopt.data.set(skb.bytes.subarray(hop, hop + 4), start + used - 1);
  }
  if (view.getInt32(from + pointer + 3) === ipSaddr(view, skb.netOff)) used -= 4;
  if (used <= 3) return;
  dopt.faddr = faddr;
  dopt.data[start] = view.getUint8(from);
  dopt.data[start + 1] = used + 3;
  dopt.data[start + 2] = 4;
  dopt.srr = start + IP_HLEN;
  dopt.optlen += used + 3;
  dopt.isStrictroute = sopt.isStrictroute;
}

/** Options that only the first fragment carries become padding, for the fragments behind it (ip_options_fragment). */
export function ipOptionsFragment(skb: Skb): void {
  const { view, opt } = skb;
  if (opt === null) return;
  let at = skb.netOff + IP_HLEN;
  const end = at + opt.optlen;
  while (at < end) {
    const kind = view.getUint8(at);
    if (kind === IPOPT_END) return;
    if (kind === IPOPT_NOOP) {
      at++;
      continue;
    }
    const length = view.getUint8(at + 1);
    if (length < 2 || at + length > end) return;
    if ((kind & IPOPT_COPY) === 0) skb.bytes.fill(IPOPT_NOOP, at, at + length);
    at += length;
  }
  opt.ts = 0;
  opt.rr = 0;
  opt.rrNeedaddr = false;
  opt.tsNeedaddr = false;
  opt.tsNeedtime = false;
}

/** Writes this machine into the options of a packet that it forwards (ip_forward_options). */
export function ipForwardOptions(ns: NetNs, skb: Skb, opt: IpOptions): void {
  const { view, netOff: iph } = skb;
  if (opt.rrNeedaddr) {
    view.setInt32(filledSlot(view, iph + opt.rr, 5), ipRtGetSource(ns, skb));
    opt.isChanged = true;
  }
  if (opt.srrIsHit) {
    passSourceRoute(ns, skb, opt);
    if (opt.tsNeedaddr) view.setInt32(filledSlot(view, iph + opt.ts, 9), ipRtGetSource(ns, skb));
  }
  if (!opt.isChanged) return;
  opt.isChanged = false;
  ipChecksumSet(view, iph);
}

/** The next station becomes the destination, and our address takes its place in the list. */
function passSourceRoute(ns: NetNs, skb: Skb, opt: IpOptions): void {
  const { view, netOff: iph } = skb;
  const srr = iph + opt.srr;
  const length = view.getUint8(srr + 1);
  let pointer = view.getUint8(srr + 2);
  while (pointer + 3 <= length && view.getInt32(srr + pointer - 1) !== opt.nexthop) pointer += 4;
  if (pointer + 3 > length) return;
  setIpDaddr(view, iph, opt.nexthop);
  view.setInt32(srr + pointer - 1, ipRtGetSource(ns, skb));
  view.setUint8(srr + 2, pointer + 4);
  opt.isChanged = true;
}
