/** Matches on the connection of a packet (net/netfilter/xt_conntrack.c, xt_state.c, xt_connmark.c). */
import type { NetNs } from "../core/net-ns.ts";
import { IP_CT_ESTABLISHED_REPLY, IP_CT_UNTRACKED, type Skb } from "../core/skb.ts";
import { type Conn, IPS_DST_NAT, IPS_SRC_NAT } from "./conntrack/conn.ts";
import { ctOf } from "./conntrack/conntrack.ts";
import {
  CT_STATE_DNAT,
  CT_STATE_INVALID,
  CT_STATE_SNAT,
  CT_STATE_UNTRACKED,
  XT_CONNTRACK_DIRECTION,
  XT_CONNTRACK_EXPIRES,
  XT_CONNTRACK_ORIGDST,
  XT_CONNTRACK_ORIGDST_PORT,
  XT_CONNTRACK_ORIGSRC,
  XT_CONNTRACK_ORIGSRC_PORT,
  XT_CONNTRACK_PROTO,
  XT_CONNTRACK_REPLDST,
  XT_CONNTRACK_REPLDST_PORT,
  XT_CONNTRACK_REPLSRC,
  XT_CONNTRACK_REPLSRC_PORT,
  XT_CONNTRACK_STATE,
  XT_CONNTRACK_STATUS,
} from "./words/ct-matches.ts";
import type { CompiledTable } from "./xt-compile.ts";

const SEC_NS = 1_000_000_000;

/** XT_CONNTRACK_STATE_BIT of the packet: both directions count the same. */
function stateBit(skb: Skb, ct: Conn | null): number {
  if (ct === null) return skb.ctInfo === IP_CT_UNTRACKED ? CT_STATE_UNTRACKED : CT_STATE_INVALID;
  return 1 << ((skb.ctInfo % IP_CT_ESTABLISHED_REPLY) + 1);
}

export function stateMt(ops: Int32Array, at: number, skb: Skb): boolean {
  return ((ops[at] & stateBit(skb, ctOf(skb))) !== 0) !== (ops[at + 1] !== 0);
}

export function connmarkMt(ops: Int32Array, at: number, skb: Skb): boolean {
  const ct = ctOf(skb);
  if (ct === null) return false;
  return ((ct.mark & ops[at + 1]) === ops[at]) !== (ops[at + 2] !== 0);
}

/** Operands: flags, invert, states, status, proto, four (address, mask), four (low port, high port), index of expires. */
export function conntrackMt(program: CompiledTable, at: number, ns: NetNs, skb: Skb): boolean {
  const { ops } = program;
  const flags = ops[at];
  const invert = ops[at + 1];
  const ct = ctOf(skb);
  if ((flags & XT_CONNTRACK_STATE) !== 0) {
    let state = stateBit(skb, ct);
    if (ct !== null && (ct.status & IPS_SRC_NAT) !== 0) state |= CT_STATE_SNAT;
    if (ct !== null && (ct.status & IPS_DST_NAT) !== 0) state |= CT_STATE_DNAT;
    if (((ops[at + 2] & state) !== 0) === ((invert & XT_CONNTRACK_STATE) !== 0)) return false;
  }
  if (ct === null) return (flags & XT_CONNTRACK_STATE) !== 0;
  if (flags === XT_CONNTRACK_STATE) return true;
  if ((flags & XT_CONNTRACK_DIRECTION) !== 0) {
    const original = skb.ctInfo < IP_CT_ESTABLISHED_REPLY;
    if (original === ((invert & XT_CONNTRACK_DIRECTION) !== 0)) return false;
  }
  return tupleFits(ops, at, ct) && statusFits(program, at, ns, ct);
}

function tupleFits(ops: Int32Array, at: number, ct: Conn): boolean {
  const flags = ops[at];
  const invert = ops[at + 1];
  if (!addrFits(ops, at + 5, flags, invert, XT_CONNTRACK_ORIGSRC, ct.origSrc)) return false;
  if (!addrFits(ops, at + 7, flags, invert, XT_CONNTRACK_ORIGDST, ct.origDst)) return false;
  if (!addrFits(ops, at + 9, flags, invert, XT_CONNTRACK_REPLSRC, ct.replSrc)) return false;
  if (!addrFits(ops, at + 11, flags, invert, XT_CONNTRACK_REPLDST, ct.replDst)) return false;
  if (
    (flags & XT_CONNTRACK_PROTO) !== 0 &&
    (ct.proto === ops[at + 4]) === ((invert & XT_CONNTRACK_PROTO) !== 0)
  )
    return false;
  if (!portFits(ops, at + 13, flags, invert, XT_CONNTRACK_ORIGSRC_PORT, ct.origSport)) return false;
  if (!portFits(ops, at + 15, flags, invert, XT_CONNTRACK_ORIGDST_PORT, ct.origDport)) return false;
  if (!portFits(ops, at + 17, flags, invert, XT_CONNTRACK_REPLSRC_PORT, ct.replSport)) return false;
  return portFits(ops, at + 19, flags, invert, XT_CONNTRACK_REPLDST_PORT, ct.replDport);
}

function addrFits(
  ops: Int32Array,
  i: number,
  flags: number,
  invert: number,
  bit: number,
  addr: number,
): boolean {
  return (flags & bit) === 0 || ((addr & ops[i + 1]) === ops[i]) !== ((invert & bit) !== 0);
}

function portFits(
  ops: Int32Array,
  i: number,
  flags: number,
  invert: number,
  bit: number,
  port: number,
): boolean {
  return (flags & bit) === 0 || (port >= ops[i] && port <= ops[i + 1]) !== ((invert & bit) !== 0);
}

function statusFits(program: CompiledTable, at: number, ns: NetNs, ct: Conn): boolean {
  const { ops, state } = program;
  const flags = ops[at];
  const invert = ops[at + 1];
  if (
    (flags & XT_CONNTRACK_STATUS) !== 0 &&
    ((ops[at + 3] & ct.status) !== 0) === ((invert & XT_CONNTRACK_STATUS) !== 0)
  )
    return false;
  if ((flags & XT_CONNTRACK_EXPIRES) === 0) return true;
  // One that is not confirmed has no end yet, which reads as one that is long over.
  const left = ct.isConfirmed ? Math.floor((ct.timeoutNs - ns.kernel.sim.now) / SEC_NS) : 0;
  const range = ops[at + 21];
  return (left >= state[range] && left <= state[range + 1]) !== ((invert & XT_CONNTRACK_EXPIRES) !== 0);
}
