/**
 * Which of several next hops a packet takes (net/ipv4/fib_semantics.c fib_select_multipath, fib_rebalance; net/ipv4/route.c
 * fib_multipath_hash): a hash of the flow falls into the share of one. The kernel's key is random, here it is the machine's.
 */
import { hash4 } from "../../util/hash.ts";
import { ICMP_HLEN, icmpIsError, icmpType } from "../../wire/icmp.ts";
import {
  IP_HLEN,
  IP_MF,
  IP_OFFSET,
  IPPROTO_ICMP,
  IPPROTO_IPIP,
  ipDaddr,
  ipFragOff,
  ipHeaderLen,
  ipProtocol,
  ipSaddr,
} from "../../wire/ipv4.ts";
import { portsOffset } from "../core/flow-dissector.ts";
import type { NetNs } from "../core/net-ns.ts";
import type { Skb } from "../core/skb.ts";
import { skbSockHash } from "../core/skb-scrub.ts";
import { type FibAlias, type FlowKeys, RT_SCOPE_LINK } from "./fib.ts";
import { isOut } from "./fib-table.ts";
import { type Ipv4Net, ipv4Of } from "./ipv4-net.ts";

const POLICY_L4 = 1;
const POLICY_INNER_L3 = 2;
const POLICY_CUSTOM = 3;

const FIELD_SRC_IP = 1;
const FIELD_DST_IP = 2;
const FIELD_IP_PROTO = 4;
const FIELD_SRC_PORT = 16;
const FIELD_DST_PORT = 32;
const OUTER_FIELDS = 0x3f;
/** The same fields of what a tunnelled packet carries stand so much higher. */
const INNER_SHIFT = 6;

/** The hash has 31 bits. */
const HASH_SPAN = 2 ** 31;

const keys: FlowKeys = { proto: 0, sport: 0, dport: 0, uid: 0 };

/** Reads protocol and ports of the packet whose IP header stands at `off`. */
export function dissectFlow(skb: Skb, off: number, out: FlowKeys): void {
  const { view, tail } = skb;
  out.proto = ipProtocol(view, off);
  out.sport = 0;
  out.dport = 0;
  if ((ipFragOff(view, off) & (IP_MF | IP_OFFSET)) !== 0) return;
  const at = portsOffset(out.proto, off + ipHeaderLen(view, off));
  if (at < 0 || tail < at + 4) return;
  out.sport = view.getUint16(at);
  out.dport = view.getUint16(at + 2);
}

/**
 * The hash of a flow, 31 bits. `skb`: the packet that is forwarded, or that is answered with an error, IP header at `netOff`;
 * without one, addresses and `flow` are those of what is to be sent.
 */
export function fibMultipathHash(
  net: Ipv4Net,
  saddr: number,
  daddr: number,
  flow: FlowKeys,
  skb: Skb | null,
): number {
  const policy = net.sysctls.fibMultipathHashPolicy;
  const { hashKey } = net.ns.kernel;
  if (policy === 0 || policy === POLICY_INNER_L3) {
    if (skb === null) return flowHash(saddr, daddr, 0, 0, 0, hashKey);
    const off = policy === 0 ? quotedHeader(skb) : innerHeader(skb);
    return flowHash(ipSaddr(skb.view, off), ipDaddr(skb.view, off), 0, 0, 0, hashKey);
  }
  if (skb !== null && policy === POLICY_L4) {
    const known = skbSockHash(skb);
    if (known !== 0) return known >>> 1;
  }
  if (skb !== null) dissectFlow(skb, skb.netOff, keys);
  const { sport, dport, proto } = skb === null ? flow : keys;
  const src = skb === null ? saddr : ipSaddr(skb.view, skb.netOff);
  const dst = skb === null ? daddr : ipDaddr(skb.view, skb.netOff);
  if (policy !== POLICY_CUSTOM) return flowHash(src, dst, sport, dport, proto, hashKey);
  const fields = net.sysctls.fibMultipathHashFields;
  const outer = fieldsHash(fields & OUTER_FIELDS, src, dst, sport, dport, proto, hashKey);
  if (skb === null || fields >> INNER_SHIFT === 0) return outer;
  return customInnerHash(skb, fields >> INNER_SHIFT, outer, hashKey);
}

/** The hash of the fields that are wanted (fib_multipath_custom_hash_outer). */
function fieldsHash(
  fields: number,
  saddr: number,
  daddr: number,
  sport: number,
  dport: number,
  proto: number,
  key: number,
): number {
  return flowHash(
    (fields & FIELD_SRC_IP) !== 0 ? saddr : 0,
    (fields & FIELD_DST_IP) !== 0 ? daddr : 0,
    (fields & FIELD_SRC_PORT) !== 0 ? sport : 0,
    (fields & FIELD_DST_PORT) !== 0 ? dport : 0,
    (fields & FIELD_IP_PROTO) !== 0 ? proto : 0,
    key,
  );
}

/** Both hashes, where the packet is tunnelled (fib_multipath_custom_hash_inner). */
function customInnerHash(skb: Skb, fields: number, outer: number, key: number): number {
  const off = innerHeader(skb);
  if (off === skb.netOff) return outer;
  dissectFlow(skb, off, keys);
  const { sport, dport, proto } = keys;
  const saddr = ipSaddr(skb.view, off);
  const inner = fieldsHash(fields, saddr, ipDaddr(skb.view, off), sport, dport, proto, key);
  return hash4(outer, inner, 0, 0, key) >>> 1;
}

/** Both directions of a flow have the same (__flow_hash_consistentify). */
function flowHash(
  saddr: number,
  daddr: number,
  sport: number,
  dport: number,
  proto: number,
  key: number,
): number {
  const turned = daddr >>> 0 < saddr >>> 0;
  const ports = dport < sport ? (dport << 16) | sport : (sport << 16) | dport;
  return hash4(turned ? daddr : saddr, turned ? saddr : daddr, ports, proto, key) >>> 1;
}

/** The IP header that counts: an ICMP error goes the way of the packet that it is about (ip_multipath_l3_keys). */
function quotedHeader({ view, netOff, tail }: Skb): number {
  if (ipProtocol(view, netOff) !== IPPROTO_ICMP || (ipFragOff(view, netOff) & IP_OFFSET) !== 0) return netOff;
  const icmp = netOff + ipHeaderLen(view, netOff);
  const inner = icmp + ICMP_HLEN;
  if (inner + IP_HLEN > tail || !icmpIsError(icmpType(view, icmp))) return netOff;
  return inner;
}

/** Of a tunnelled packet the inner one's. */
function innerHeader({ view, netOff, tail }: Skb): number {
  const inner = netOff + ipHeaderLen(view, netOff);
  const isTunnel = ipProtocol(view, netOff) === IPPROTO_IPIP && (ipFragOff(view, netOff) & IP_OFFSET) === 0;
  return isTunnel && inner + IP_HLEN <= tail ? inner : netOff;
}

/**
 * Divides the hashes among the next hops of a route by their weights; those that are out get none (fib_rebalance). Done when
 * a device changes, not when a parameter does.
 */
export function fibRebalance({ paths }: FibAlias): void {
  let total = 0;
  for (const path of paths) if (!isOut(path)) total += path.weight;
  let weight = 0;
  for (const path of paths) {
    if (!isOut(path)) weight += path.weight;
    path.upperBound = isOut(path) ? -1 : Math.round((weight * HASH_SPAN) / total) - 1;
  }
}

/** The next hop whose share the hash falls into; `found`: what the lookup gave. */
export function fibSelectMultipath(net: Ipv4Net, found: FibAlias, hash: number): FibAlias {
  const { paths, nhId } = found.owner!;
  if (nhId !== 0) return nexthopSelectPath(net, paths, hash) ?? found;
  const useNeigh = net.sysctls.fibMultipathUseNeigh !== 0;
  let selected: FibAlias | null = null;
  for (let i = 0; i < paths.length; i++) {
    const path = paths[i];
    if (useNeigh) {
      if (!isReachable(net, path)) continue;
      selected ??= path;
    }
    if (hash <= path.upperBound) return path;
  }
  return selected ?? found;
}

/** Next hops with numbers: silent ones leave their share to those behind them, the last one keeps it (nexthop_select_path_hthr). */
function nexthopSelectPath(net: Ipv4Net, paths: readonly FibAlias[], hash: number): FibAlias | null {
  let selected: FibAlias | null = null;
  for (let i = 0; i < paths.length; i++) {
    const path = paths[i];
    if (hash > path.upperBound) continue;
    if (isReachable(net, path)) return path;
    selected ??= path;
  }
  return selected;
}

/** The gateway is not known to be silent (fib_good_nh). */
function isReachable(net: Ipv4Net, { dev, gateway, nhScope }: FibAlias): boolean {
  if (nhScope !== RT_SCOPE_LINK) return true;
  const n = net.neighbours.find(dev!, gateway);
  return n === null || n.isValid;
}

/** The transport of what is about to be routed, where somebody looks at it: for the next lookup, and for no other. */
export function setFlow(ns: NetNs, proto: number, sport: number, dport: number): void {
  const { rules, sysctls } = ipv4Of(ns);
  if (!rules.usesPorts && sysctls.fibMultipathHashPolicy === 0) return;
  rules.flow.proto = proto;
  rules.flow.sport = sport;
  rules.flow.dport = dport;
}
