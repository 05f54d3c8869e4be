/**
 * The matches as they run (net/netfilter/xt_*.c): `at` is the first operand in the table's array. A match answers no, yes,
 * or that the packet is broken and must be dropped (hotdrop).
 */
import type { NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import { nfBridgeOf } from "../core/nf-bridge.ts";
import { PACKET_BROADCAST, PACKET_LOOPBACK, PACKET_MULTICAST, type Skb } from "../core/skb.ts";
import { inetAddrType, inetDevAddrType } from "../ipv4/route.ts";
import { xfrmTransforms } from "../xfrm/xfrm-output.ts";
import {
  XT_PHYSDEV_OP_BRIDGED,
  XT_PHYSDEV_OP_IN,
  XT_PHYSDEV_OP_ISIN,
  XT_PHYSDEV_OP_ISOUT,
  XT_PHYSDEV_OP_OUT,
} from "./words/meta-matches.ts";
import { type CompiledTable, patternFits } from "./xt-compile.ts";
import {
  M_ADDRTYPE,
  M_CONNMARK,
  M_CONNTRACK,
  M_ICMP,
  M_IPRANGE,
  M_IPVS,
  M_LENGTH,
  M_LIMIT,
  M_MAC,
  M_MARK,
  M_MULTIPORT,
  M_NTH,
  M_PHYSDEV,
  M_PKTTYPE,
  M_POLICY,
  M_RANDOM,
  M_STATE,
  M_TCP,
  M_TCPMSS,
  M_TTL,
  M_U32,
  M_UDP,
} from "./xt-compile-match.ts";
import { limitMt } from "./xt-limit.ts";
import { connmarkMt, conntrackMt, stateMt } from "./xt-match-ct.ts";
import { icmpMatch, multiportMt, tcpMt, tcpmssMt, udpMt } from "./xt-match-l4.ts";
import { MATCH_NO, MATCH_YES, type MatchResult } from "./xt-match-result.ts";
import { u32Mt } from "./xt-match-u32.ts";

/** Runs the matches of a record, one after the other. */
export function runMatches(
  program: CompiledTable,
  from: number,
  end: number,
  ns: NetNs,
  skb: Skb,
  inDev: NetDevice | null,
  outDev: NetDevice | null,
): MatchResult {
  const { ops } = program;
  for (let at = from; at < end; at = ops[at + 1]) {
    const result = runMatch(program, ops[at], at + 2, ops[at + 1], ns, skb, inDev, outDev);
    if (result !== MATCH_YES) return result;
  }
  return MATCH_YES;
}

function runMatch(
  program: CompiledTable,
  kind: number,
  at: number,
  end: number,
  ns: NetNs,
  skb: Skb,
  inDev: NetDevice | null,
  outDev: NetDevice | null,
): MatchResult {
  const { ops } = program;
  switch (kind) {
    case M_TCP:
      return tcpMt(ops, at, skb);
    case M_UDP:
      return udpMt(ops, at, skb);
    case M_ICMP:
      return icmpMatch(ops, at, skb);
    case M_MULTIPORT:
      return multiportMt(ops, at, end, skb);
    case M_TCPMSS:
      return tcpmssMt(ops, at, skb);
    case M_ADDRTYPE:
      return yes(addrtypeMt(ops, at, ns, skb, inDev, outDev));
    case M_CONNTRACK:
      return yes(conntrackMt(program, at, ns, skb));
    case M_STATE:
      return yes(stateMt(ops, at, skb));
    case M_MARK:
      return yes(((skb.mark & ops[at + 1]) === ops[at]) !== (ops[at + 2] !== 0));
    case M_CONNMARK:
      return yes(connmarkMt(ops, at, skb));
    case M_IPVS:
      return yes(skb.ipvsProperty !== (ops[at] !== 0));
    case M_IPRANGE:
      return yes(iprangeMt(ops, at, skb));
    case M_PHYSDEV:
      return yes(physdevMt(program, at, skb));
    case M_U32:
      return yes(u32Mt(ops, at, skb));
    default:
      return yes(runOther(program, kind, at, ns, skb));
  }
}

function runOther(program: CompiledTable, kind: number, at: number, ns: NetNs, skb: Skb): boolean {
  const { ops } = program;
  switch (kind) {
    case M_RANDOM:
      return randomMt(program, at, ns);
    case M_NTH:
      return nthMt(program, at);
    case M_LIMIT:
      return limitMt(program.state, ops[at], ns.kernel.sim.now);
    case M_MAC:
      return macMt(ops, at, skb);
    case M_LENGTH: {
      const length = skb.view.getUint16(skb.data + 2);
      return (length >= ops[at] && length <= ops[at + 1]) !== (ops[at + 2] !== 0);
    }
    case M_TTL:
      return ttlMt(ops[at], ops[at + 1], skb.view.getUint8(skb.data + 8));
    case M_POLICY:
      return (ops[at] !== 0 ? skb.secPath !== null : xfrmTransforms(ns, skb)) !== (ops[at + 1] !== 0);
    case M_PKTTYPE:
      return (packetType(skb) === ops[at]) !== (ops[at + 1] !== 0);
    default:
      return false;
  }
}

function yes(matched: boolean): MatchResult {
  return matched ? MATCH_YES : MATCH_NO;
}

function addrtypeMt(
  ops: Int32Array,
  at: number,
  ns: NetNs,
  skb: Skb,
  inDev: NetDevice | null,
  outDev: NetDevice | null,
): boolean {
  const dev = ops[at + 4] !== 0 ? inDev : ops[at + 5] !== 0 ? outDev : null;
  const source = ops[at];
  if (source !== 0) {
    const type = addressType(ns, dev, skb.view.getInt32(skb.data + 12));
    if (((source & (1 << type)) !== 0) === (ops[at + 2] !== 0)) return false;
  }
  const dest = ops[at + 1];
  if (dest === 0) return true;
  const type = addressType(ns, dev, skb.view.getInt32(skb.data + 16));
  return ((dest & (1 << type)) !== 0) !== (ops[at + 3] !== 0);
}

function addressType(ns: NetNs, dev: NetDevice | null, addr: number): number {
  return dev === null ? inetAddrType(ns, addr) : inetDevAddrType(ns, dev, addr);
}

function iprangeMt(ops: Int32Array, at: number, skb: Skb): boolean {
  if (ops[at] !== 0) {
    const addr = skb.view.getUint32(skb.data + 12);
    if ((addr >= ops[at + 1] >>> 0 && addr <= ops[at + 2] >>> 0) === (ops[at + 3] !== 0)) return false;
  }
  if (ops[at + 4] === 0) return true;
  const addr = skb.view.getUint32(skb.data + 16);
  return (addr >= ops[at + 5] >>> 0 && addr <= ops[at + 6] >>> 0) !== (ops[at + 7] !== 0);
}

/** xt_physdev.c: without bridge state only inverted options can hold. */
function physdevMt(program: CompiledTable, at: number, skb: Skb): boolean {
  const { ops, names } = program;
  const flags = ops[at];
  const invert = ops[at + 1];
  const info = nfBridgeOf(skb);
  if (info === null) return (flags & ~invert) === 0;
  const { physIn, physOut } = info;
  if (((flags & XT_PHYSDEV_OP_BRIDGED) !== 0 || (flags & XT_PHYSDEV_OP_ISOUT) !== 0) && physOut === null) {
    if ((flags & ~invert & (XT_PHYSDEV_OP_BRIDGED | XT_PHYSDEV_OP_ISOUT)) !== 0) return false;
  }
  if (physOut !== null && (flags & invert & (XT_PHYSDEV_OP_BRIDGED | XT_PHYSDEV_OP_ISOUT)) !== 0)
    return false;
  if ((flags & invert & XT_PHYSDEV_OP_ISIN) !== 0) return false;
  if ((flags & XT_PHYSDEV_OP_IN) !== 0) {
    const inverted = (invert & XT_PHYSDEV_OP_IN) !== 0;
    if (patternFits(names[ops[at + 2]], physIn.name) === inverted) return false;
  }
  if ((flags & XT_PHYSDEV_OP_OUT) === 0) return true;
  const inverted = (invert & XT_PHYSDEV_OP_OUT) !== 0;
  return patternFits(names[ops[at + 3]], physOut === null ? "" : physOut.name) !== inverted;
}

function randomMt(program: CompiledTable, at: number, ns: NetNs): boolean {
  const { ops, state } = program;
  if (program.prng === null) program.prng = ns.kernel.prng.stream("xt-statistic");
  return (program.prng.i32() & 0x7fffffff) < state[ops[at]] !== (ops[at + 1] !== 0);
}

function nthMt(program: CompiledTable, at: number): boolean {
  const { ops, state } = program;
  const index = ops[at];
  const next = state[index] === state[index + 1] ? 0 : state[index] + 1;
  state[index] = next;
  return (next === 0) !== (ops[at + 1] !== 0);
}

function macMt(ops: Int32Array, at: number, skb: Skb): boolean {
  if (skb.macOff < 0 || skb.macOff + 14 > skb.data) return false;
  const { view, macOff } = skb;
  const equal = view.getUint16(macOff + 6) === ops[at] && view.getInt32(macOff + 8) === ops[at + 1];
  return equal !== (ops[at + 2] !== 0);
}

function ttlMt(op: number, wanted: number, ttl: number): boolean {
  if (op === 0) return ttl === wanted;
  if (op === 1) return ttl !== wanted;
  return op === 2 ? ttl < wanted : ttl > wanted;
}

/** A looped-back packet counts by its destination. */
function packetType(skb: Skb): number {
  if (skb.pktType !== PACKET_LOOPBACK) return skb.pktType;
  return skb.view.getUint8(skb.data + 16) >>> 4 === 0xe ? PACKET_MULTICAST : PACKET_BROADCAST;
}
