/**
 * Network address translation of one namespace (nf_nat_core.c, nf_nat_proto.c, nf_nat_masquerade.c, nf_nat_redirect.c of
 * Linux 6.1): who decides about the first packet of a flow, and the four hooks that rewrite packets.
 */
import type { Prng } from "../../../util/prng.ts";
import { IPPROTO_ICMP, ipDaddr, ipProtocol, ipSaddr } from "../../../wire/ipv4.ts";
import {
  HOOK_NEEDS_CT,
  type Hook,
  type HookFn,
  HookTable,
  NF_ACCEPT,
  NF_DROP,
  NF_INET_LOCAL_IN,
  NF_INET_LOCAL_OUT,
  NF_INET_POST_ROUTING,
  NF_INET_PRE_ROUTING,
  NF_IP_PRI_NAT_DST,
  NF_IP_PRI_NAT_SRC,
  type Verdict,
} from "../../core/hooks.ts";
import type { NetDevice } from "../../core/net-device.ts";
import type { NetNs } from "../../core/net-ns.ts";
import { IP_CT_NEW, IP_CT_RELATED, IP_CT_RELATED_REPLY, type Skb } from "../../core/skb.ts";
import { RT_SCOPE_UNIVERSE } from "../../ipv4/fib.ts";
import { inDevOf } from "../../ipv4/in-device.ts";
import { inetSelectAddr } from "../../ipv4/inet-select-addr.ts";
import { ipRouteMeHarder } from "../../ipv4/ip-output.ts";
import {
  type Conn,
  IP_CT_DIR_ORIGINAL,
  IPS_DST_NAT,
  IPS_DST_NAT_DONE,
  IPS_SRC_NAT,
  IPS_SRC_NAT_DONE,
} from "../conntrack/conn.ts";
import { conntrackOf, ctOf } from "../conntrack/conntrack.ts";
import { ctDirOf } from "../conntrack/conntrack-core.ts";
import { Tuple } from "../conntrack/tuple.ts";
import { nfNatIcmpReplyTranslation, nfNatPacket } from "./nat-packet.ts";
import {
  type NatManip,
  type NatRange,
  NF_NAT_MANIP_DST,
  NF_NAT_MANIP_SRC,
  NF_NAT_RANGE_MAP_IPS,
} from "./nat-range.ts";
import { getUniqueTuple } from "./unique-tuple.ts";

const INADDR_LOOPBACK = 0x7f000001;

const current = new Tuple();
const wanted = new Tuple();

/** Where iptables' nat table stands (nf_nat_ipv4_ops of iptable_nat.c). */
function tablePriority(hook: Hook): number {
  return manipOf(hook) === NF_NAT_MANIP_DST ? NF_IP_PRI_NAT_DST : NF_IP_PRI_NAT_SRC;
}

export class Nat {
  readonly ns: NetNs;
  readonly prng: Prng;
  private readonly tables = new HookTable();
  private hooked = false;

  constructor(ns: NetNs) {
    this.ns = ns;
    this.prng = ns.kernel.prng.stream(`nat/${ns.id}`);
  }

  /**
   * The walk of a nat table or nat chain on `hook`: called for the first packet of a flow, decides by `nfNatSetupInfo` or not
   * at all. Several are asked by their priorities.
   */
  registerTable(hook: Hook, fn: HookFn, priority = tablePriority(hook), priv: unknown = null): void {
    this.tables.register({ name: "nat", hook, priority, fn, priv });
    if (this.hooked) return;
    this.hooked = true;
    const { hooks } = this.ns;
    const before = { name: "nf_nat", priority: NF_IP_PRI_NAT_DST, needs: HOOK_NEEDS_CT } as const;
    const behind = { name: "nf_nat", priority: NF_IP_PRI_NAT_SRC, needs: HOOK_NEEDS_CT } as const;
    hooks.register({ ...before, hook: NF_INET_PRE_ROUTING, fn: natPreRouting });
    hooks.register({ ...behind, hook: NF_INET_POST_ROUTING, fn: natFn });
    hooks.register({ ...before, hook: NF_INET_LOCAL_OUT, fn: natLocalOut });
    hooks.register({ ...behind, hook: NF_INET_LOCAL_IN, fn: natFn });
  }

  /** Takes out the one that was registered with `priv`. */
  unregisterTable(hook: Hook, priv: unknown): void {
    const entry = this.tables.list(hook).find((one) => one.priv === priv);
    if (entry !== undefined) this.tables.unregister(entry);
  }

  tablesOf(hook: Hook): ReturnType<HookTable["slots"]> {
    return this.tables.slots(hook);
  }

  /** Ends what was masqueraded behind a device that went down, or behind one address of it that was removed. */
  flushMasquerade(dev: NetDevice, addr: number | null): void {
    conntrackOf(this.ns).cleanup(
      (conn) => conn.masqIndex === dev.ifindex && (addr === null || conn.replDst === addr),
    );
  }
}

export function natOf(ns: NetNs): Nat {
  return ns.nat as Nat;
}

/** PernetInit of NAT; runs after those of IPv4 and connection tracking. */
export function natInit(ns: NetNs): void {
  const nat = new Nat(ns);
  ns.nat = nat;
  ns.listeners.push({
    down: (dev) => nat.flushMasquerade(dev, null),
    inetAddrRemoved: (dev, addr) => nat.flushMasquerade(dev, addr),
  });
}

function manipOf(hook: Hook): NatManip {
  return hook === NF_INET_POST_ROUTING || hook === NF_INET_LOCAL_IN ? NF_NAT_MANIP_SRC : NF_NAT_MANIP_DST;
}

function isInitialized(conn: Conn, manip: NatManip): boolean {
  return (conn.status & (manip === NF_NAT_MANIP_SRC ? IPS_SRC_NAT_DONE : IPS_DST_NAT_DONE)) !== 0;
}

/** Chooses the translation of a new flow (nf_nat_setup_info). NF_ACCEPT, unless one half is translated twice. */
export function nfNatSetupInfo(ns: NetNs, _skb: Skb, conn: Conn, range: NatRange, manip: NatManip): Verdict {
  if (conn.isConfirmed) return NF_ACCEPT;
  if (isInitialized(conn, manip)) return NF_DROP;
  current.set(conn.proto, conn.replSrc, conn.replDst, conn.replSport, conn.replDport);
  current.invert();
  getUniqueTuple(conntrackOf(ns), wanted, current, range, conn, manip, natOf(ns).prng);
  const source = manip === NF_NAT_MANIP_SRC;
  if (!wanted.equals(current)) {
    wanted.invert();
    conn.replSrc = wanted.src;
    conn.replDst = wanted.dst;
    conn.replSport = wanted.sport;
    conn.replDport = wanted.dport;
    conn.status |= source ? IPS_SRC_NAT : IPS_DST_NAT;
  }
  conn.status |= source ? IPS_SRC_NAT_DONE : IPS_DST_NAT_DONE;
  return NF_ACCEPT;
}

/** The range that asks for one address and whatever port is free. */
class FixedRange implements NatRange {
  flags = 0;
  minAddr = 0;
  maxAddr = 0;
  minPort = 0;
  maxPort = 0;
  basePort = 0;

  /** The ports of `range` with the address `addr`. */
  set(range: NatRange, addr: number): this {
    this.flags = range.flags | NF_NAT_RANGE_MAP_IPS;
    this.minAddr = addr;
    this.maxAddr = addr;
    this.minPort = range.minPort;
    this.maxPort = range.maxPort;
    this.basePort = range.basePort ?? 0;
    return this;
  }
}

const fixed = new FixedRange();
const anyPort: NatRange = { flags: 0, minAddr: 0, maxAddr: 0, minPort: 0, maxPort: 0 };

/** No rule decided: the flow stays as it is, its port yields when another flow has it (nf_nat_alloc_null_binding). */
function nullBinding(ns: NetNs, skb: Skb, conn: Conn, manip: NatManip): Verdict {
  const addr = manip === NF_NAT_MANIP_SRC ? conn.replDst : conn.replSrc;
  return nfNatSetupInfo(ns, skb, conn, fixed.set(anyPort, addr), manip);
}

/** Walks the rules for a flow that this half is not settled of. */
function decide(
  ns: NetNs,
  skb: Skb,
  conn: Conn,
  hook: Hook,
  inDev: NetDevice | null,
  outDev: NetDevice | null,
): Verdict {
  const manip = manipOf(hook);
  const tables = natOf(ns).tablesOf(hook);
  for (let i = 0; i < tables.length; i++) {
    const { fn, priv } = tables[i];
    const verdict = fn(ns, skb, hook, inDev, outDev, priv);
    if (verdict !== NF_ACCEPT) return verdict;
    if (isInitialized(conn, manip)) return NF_ACCEPT;
  }
  return nullBinding(ns, skb, conn, manip);
}

/** A masqueraded flow that leaves by another device than it was bound to (nf_nat_oif_changed). */
function outDevChanged(conn: Conn, skb: Skb, hook: Hook, outDev: NetDevice | null): boolean {
  return (
    conn.masqIndex !== 0 &&
    hook === NF_INET_POST_ROUTING &&
    ctDirOf(skb.ctInfo) === IP_CT_DIR_ORIGINAL &&
    outDev !== null &&
    conn.masqIndex !== outDev.ifindex
  );
}

/** Translates a packet, after the rules when it is the first of its flow (nf_nat_ipv4_fn, nf_nat_inet_fn). */
function natFn(ns: NetNs, skb: Skb, hook: Hook, inDev: NetDevice | null, outDev: NetDevice | null): Verdict {
  const conn = ctOf(skb);
  if (conn === null) return NF_ACCEPT;
  const { ctInfo } = skb;
  const manip = manipOf(hook);
  const related = ctInfo === IP_CT_RELATED || ctInfo === IP_CT_RELATED_REPLY;
  if (related && ipProtocol(skb.view, skb.netOff) === IPPROTO_ICMP) {
    return nfNatIcmpReplyTranslation(skb, conn, manip) ? NF_ACCEPT : NF_DROP;
  }
  if ((related || ctInfo === IP_CT_NEW) && !isInitialized(conn, manip)) {
    const verdict = decide(ns, skb, conn, hook, inDev, outDev);
    if (verdict !== NF_ACCEPT) return verdict;
  } else if (outDevChanged(conn, skb, hook, outDev)) {
    conntrackOf(ns).kill(conn);
    return NF_DROP;
  }
  return nfNatPacket(skb, conn, manip) ? NF_ACCEPT : NF_DROP;
}

/** A packet with a new destination is routed anew. */
function natPreRouting(
  ns: NetNs,
  skb: Skb,
  hook: Hook,
  inDev: NetDevice | null,
  outDev: NetDevice | null,
): Verdict {
  const daddr = ipDaddr(skb.view, skb.netOff);
  const verdict = natFn(ns, skb, hook, inDev, outDev);
  if (verdict === NF_ACCEPT && ipDaddr(skb.view, skb.netOff) !== daddr) skb.dst = null;
  return verdict;
}

/** A local packet whose flow has another destination than it was sent to is routed again (nf_nat_ipv4_local_fn). */
function natLocalOut(
  ns: NetNs,
  skb: Skb,
  hook: Hook,
  inDev: NetDevice | null,
  outDev: NetDevice | null,
): Verdict {
  const verdict = natFn(ns, skb, hook, inDev, outDev);
  const conn = ctOf(skb);
  if (verdict !== NF_ACCEPT || conn === null) return verdict;
  const original = ctDirOf(skb.ctInfo) === IP_CT_DIR_ORIGINAL;
  const changed = original ? conn.origDst !== conn.replSrc : conn.replDst !== conn.origSrc;
  if (changed && !ipRouteMeHarder(ns, skb)) return NF_DROP;
  return NF_ACCEPT;
}

/** MASQUERADE: the source becomes the address of the device that the packet leaves by. POST_ROUTING only. */
export function natMasquerade(ns: NetNs, skb: Skb, outDev: NetDevice, range: NatRange): Verdict {
  const conn = ctOf(skb);
  if (conn === null || conn.origSrc === 0) return NF_ACCEPT;
  const source = inetSelectAddr(outDev, skb.nextHop, RT_SCOPE_UNIVERSE);
  if (source === 0) {
    ns.kernel.printk(`${outDev.name} ate my IP address`);
    return NF_DROP;
  }
  conn.masqIndex = outDev.ifindex;
  return nfNatSetupInfo(ns, skb, conn, fixed.set(range, source), NF_NAT_MANIP_SRC);
}

/** REDIRECT: the destination becomes loopback (LOCAL_OUT) or the first address of the device it came in by. */
export function natRedirect(
  ns: NetNs,
  skb: Skb,
  hook: Hook,
  inDev: NetDevice | null,
  range: NatRange,
): Verdict {
  const conn = ctOf(skb);
  if (conn === null) return NF_ACCEPT;
  let addr = INADDR_LOOPBACK;
  if (hook !== NF_INET_LOCAL_OUT) {
    const in4 = inDev === null ? null : inDevOf(inDev);
    if (in4 === null || in4.addresses.length === 0) return NF_DROP;
    addr = in4.addresses[0].local;
  }
  return nfNatSetupInfo(ns, skb, conn, fixed.set(range, addr), NF_NAT_MANIP_DST);
}

/** NETMAP: the network part of an address is exchanged. `minAddr` and `maxAddr` are the first and last of the network. */
export function natNetmap(ns: NetNs, skb: Skb, hook: Hook, range: NatRange): Verdict {
  const conn = ctOf(skb);
  if (conn === null) return NF_ACCEPT;
  const manip = manipOf(hook);
  const { view, netOff } = skb;
  const old = manip === NF_NAT_MANIP_SRC ? ipSaddr(view, netOff) : ipDaddr(view, netOff);
  const hostBits = range.minAddr ^ range.maxAddr;
  const addr = (old & hostBits) | (range.minAddr & ~hostBits);
  return nfNatSetupInfo(ns, skb, conn, fixed.set(range, addr), manip);
}
