/**
 * The walk of a packet through a base chain (net/netfilter/nf_tables_core.c nft_do_chain), and how such chains come into
 * its path (nft_chain_filter.c, nft_chain_nat.c).
 */
import { type Hook, NF_ACCEPT, NF_DROP, type Verdict } from "../../core/hooks.ts";
import type { NetDevice } from "../../core/net-device.ts";
import type { NetNs } from "../../core/net-ns.ts";
import type { Skb } from "../../core/skb.ts";
import { ctOf } from "../conntrack/conntrack.ts";
import { natOf } from "../nat/nat.ts";
import { runTarget, XT_CONTINUE } from "../xt-target.ts";
import {
  compileChain,
  type NftExpr,
  X_ACCEPT,
  X_BITS,
  X_COUNTER,
  X_DROP,
  X_IIFNAME,
  X_JUMP,
  X_LOOKUP,
  X_OBJECTS,
  X_OIFNAME,
  X_PAIR,
  X_RANGES,
  X_RETURN,
  X_SET_CT_MARK,
  X_SET_FIELD,
  X_SET_MARK,
  X_TARGET,
  X_VMAP,
} from "./nft-compile.ts";
import { nftPayloadSet } from "./nft-payload-set.ts";
import { L_IIFNAME, L_OIFNAME, LOAD_BREAK, nftLoad } from "./nft-selector.ts";
import { lookupKey } from "./nft-set.ts";
import { type NftChain, NftTables } from "./nft-table.ts";

/** Chains that a jump left, and the rule to go on with; a walk within a walk (an answer of `reject`) stacks on top. */
const chainStack: NftChain[] = [];
const ruleStack: number[] = [];
let stackTop = 0;

/** What a record came to: the next one; not this rule; or a kind of verdict. */
const NEXT = 0;
const BREAK = -1;

/** Where a jump of a verdict map leads. */
let mappedChain: NftChain | null = null;

/** `data` of the packet stands at its IP header. */
function nftDoChain(
  ns: NetNs,
  skb: Skb,
  hook: Hook,
  inDev: NetDevice | null,
  outDev: NetDevice | null,
  priv: unknown,
): Verdict {
  const base = priv as NftChain;
  const bottom = stackTop;
  let chain = base;
  let r = 0;
  for (;;) {
    const program = chain.program ?? compileChain(chain);
    if (r >= program.length) {
      if (stackTop === bottom) return base.drops ? NF_DROP : NF_ACCEPT;
      chain = chainStack[--stackTop];
      r = ruleStack[stackTop];
      continue;
    }
    const rule = program[r++];
    for (let i = 0; i < rule.length; i++) {
      const expr = rule[i];
      const { kind } = expr;
      if (kind === X_TARGET) {
        const n = expr.index === null ? -1 : lookup(expr, skb, inDev, outDev);
        if (expr.index !== null && n < 0) break;
        const target = expr.index === null ? expr.target! : expr.index.targets[n];
        const verdict = runTarget(target, ns, skb, hook, inDev, outDev);
        if (verdict === XT_CONTINUE) continue;
        stackTop = bottom;
        return verdict;
      }
      const result = kind < X_ACCEPT ? nftEval(expr, skb, inDev, outDev) : kind;
      if (result === NEXT) continue;
      if (result === BREAK) break;
      if (result === X_ACCEPT || result === X_DROP) {
        stackTop = bottom;
        return result === X_ACCEPT ? NF_ACCEPT : NF_DROP;
      }
      if (result === X_JUMP) {
        chainStack[stackTop] = chain;
        ruleStack[stackTop++] = r;
      }
      r = result === X_RETURN ? program.length : 0;
      if (result !== X_RETURN) chain = kind === X_VMAP ? mappedChain! : expr.chain!;
      break;
    }
  }
}

function nftEval(expr: NftExpr, skb: Skb, inDev: NetDevice | null, outDev: NetDevice | null): number {
  switch (expr.kind) {
    case X_IIFNAME:
      return expr.names!.fits(inDev) !== expr.negate ? NEXT : BREAK;
    case X_OIFNAME:
      return expr.names!.fits(outDev) !== expr.negate ? NEXT : BREAK;
    case X_COUNTER:
      expr.counter!.packets++;
      expr.counter!.bytes += skb.tail - skb.data;
      return NEXT;
    case X_SET_MARK:
    case X_SET_CT_MARK:
    case X_SET_FIELD:
      return setValue(expr, skb, inDev, outDev);
    case X_LOOKUP:
      // A packet without such a field fits neither.
      return lookupFits(lookup(expr, skb, inDev, outDev), expr.negate);
    case X_VMAP:
    case X_OBJECTS:
      return mapped(expr, skb, inDev, outDev);
    default:
      return compare(expr, skb, inDev, outDev);
  }
}

/** nft_cmp.c, nft_range.c, nft_bitwise.c, nft_lookup.c */
function compare(expr: NftExpr, skb: Skb, inDev: NetDevice | null, outDev: NetDevice | null): number {
  const value = nftLoad(expr.selector!, skb, inDev, outDev);
  if (value === LOAD_BREAK) return BREAK;
  let fits = false;
  if (expr.kind === X_BITS) fits = (value & expr.value) !== 0;
  else if (expr.kind === X_RANGES) fits = inRanges(expr.ranges, value);
  else if (expr.kind === X_PAIR) {
    const second = nftLoad(expr.second!, skb, inDev, outDev);
    if (second === LOAD_BREAK) return BREAK;
    fits = value === expr.value && second === expr.secondValue;
  }
  return fits !== expr.negate ? NEXT : BREAK;
}

function inRanges(ranges: Uint32Array, value: number): boolean {
  let from = 0;
  let to = (ranges.length >> 1) - 1;
  while (from <= to) {
    const middle = (from + to) >>> 1;
    if (value < ranges[middle * 2]) to = middle - 1;
    else if (value > ranges[middle * 2 + 1]) from = middle + 1;
    else return true;
  }
  return false;
}

const ABSENT = -2;

/** The number of the element (nft_lookup_eval), -1 when there is none, {@link ABSENT} when the packet lacks a field. */
function lookup(
  { keys, index, nameIds }: NftExpr,
  skb: Skb,
  inDev: NetDevice | null,
  outDev: NetDevice | null,
) {
  for (let i = 0; i < keys.length; i++) {
    const { load } = keys[i];
    if (load === L_IIFNAME || load === L_OIFNAME) {
      lookupKey[i] = nameIds!.ofDevice(load === L_IIFNAME ? inDev : outDev);
      continue;
    }
    const value = nftLoad(keys[i], skb, inDev, outDev);
    if (value === LOAD_BREAK) return ABSENT;
    lookupKey[i] = value;
  }
  return index!.find();
}

function lookupFits(n: number, negate: boolean): number {
  if (n === ABSENT) return BREAK;
  return n >= 0 !== negate ? NEXT : BREAK;
}

/** The verdict or the counter that the map has (nft_objref_map_eval). */
function mapped(expr: NftExpr, skb: Skb, inDev: NetDevice | null, outDev: NetDevice | null): number {
  const n = lookup(expr, skb, inDev, outDev);
  if (n < 0) return BREAK;
  const index = expr.index!;
  if (expr.kind === X_VMAP) {
    mappedChain = index.chains[n];
    return index.kinds[n];
  }
  const counter = index.counters[n]!;
  counter.packets++;
  counter.bytes += skb.tail - skb.data;
  return NEXT;
}

/** nft_meta_set_eval, nft_ct_set_eval, nft_payload_set_eval */
function setValue(expr: NftExpr, skb: Skb, inDev: NetDevice | null, outDev: NetDevice | null): number {
  let { value } = expr;
  if (expr.index !== null) {
    const n = lookup(expr, skb, inDev, outDev);
    if (n < 0) return BREAK;
    value = expr.index.values[n];
  } else if (expr.selector !== null) value = nftLoad(expr.selector, skb, inDev, outDev);
  if (value === LOAD_BREAK) return BREAK;
  if (expr.kind === X_SET_FIELD) return nftPayloadSet(expr.second!, skb, value) ? NEXT : BREAK;
  if (expr.kind === X_SET_MARK) {
    skb.mark = value | 0;
    return NEXT;
  }
  const ct = ctOf(skb);
  if (ct !== null) ct.mark = value | 0;
  return NEXT;
}

/** A chain of type nat is asked by the NAT core, for the first packet of a flow. */
function startChain(ns: NetNs, chain: NftChain): () => void {
  const { type, hook, priority } = chain.base!;
  if (type === "nat") {
    natOf(ns).registerTable(hook, nftDoChain, priority, chain);
    return () => natOf(ns).unregisterTable(hook, chain);
  }
  const entry = {
    name: `nft_${chain.table.name}_${chain.name}`,
    hook,
    priority,
    fn: nftDoChain,
    priv: chain,
  };
  ns.hooks.register(entry);
  return () => ns.hooks.unregister(entry);
}

/** PernetInit: a namespace without tables. Runs after those of conntrack and NAT. */
export function nftInit(ns: NetNs): void {
  ns.nft = new NftTables(ns, startChain);
}
