/**
 * The walk of a packet through a table (net/ipv4/netfilter/ip_tables.c ipt_do_table), and how the tables of a namespace
 * come into its path (iptable_raw.c, iptable_mangle.c, iptable_nat.c, iptable_filter.c).
 */
import { IP_OFFSET, IPPROTO_TCP, IPPROTO_UDP } from "../../wire/ipv4.ts";
import {
  type Hook,
  type HookFn,
  NF_ACCEPT,
  NF_DROP,
  NF_INET_LOCAL_OUT,
  type Verdict,
} from "../core/hooks.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import type { Skb } from "../core/skb.ts";
import { TRACE_JUMP, TRACE_POLICY, TRACE_RULE } from "../core/trace.ts";
import { ipRouteMeHarder } from "../ipv4/ip-output.ts";
import { natOf } from "./nat/nat.ts";
import { nfLogTrace } from "./nf-log.ts";
import {
  IPT_INV_DSTIP,
  IPT_INV_FRAG,
  IPT_INV_PROTO,
  IPT_INV_SRCIP,
  IPT_INV_VIA_IN,
  IPT_INV_VIA_OUT,
} from "./rule-spec.ts";
import { TABLE_HOOKS, TABLE_PRIORITY, type Table, XtTables } from "./x-tables.ts";
import {
  type CompiledTable,
  compileTable,
  R_DPORTS,
  R_DST,
  R_DST_MASK,
  R_FLAGS,
  R_INTERFACES,
  R_KIND,
  R_MATCH,
  R_MATCH_ALL,
  R_MATCH_ALL_END,
  R_MATCH_END,
  R_OPERAND,
  R_PROTO,
  R_SLOT,
  R_SPORTS,
  R_SRC,
  R_SRC_MASK,
  R_STRIDE,
  RF_ANY,
  RF_FRAGMENT,
  RF_RARE,
  T_ACCEPT,
  T_CONTINUE,
  T_DROP,
  T_GOTO,
  T_JUMP,
  T_OTHER,
  T_RETURN,
} from "./xt-compile.ts";
import { runMatches } from "./xt-match.ts";
import { MATCH_HOTDROP, MATCH_NO } from "./xt-match-result.ts";
import { runTarget, XT_CONTINUE } from "./xt-target.ts";

/**
 * Walks the chain of `hook`. `data` of the packet stands at its IP header. NF_ACCEPT, NF_DROP (the caller frees it) or
 * NF_STOLEN. A rule's counters count when all of it matched, before its target runs.
 */
export function iptDoTable(
  ns: NetNs,
  skb: Skb,
  hook: Hook,
  inDev: NetDevice | null,
  outDev: NetDevice | null,
  priv: unknown,
): Verdict {
  const table = priv as Table;
  const program = table.compiled ?? compileTable(table);
  const { rules, stack } = program;
  let r = program.hookEntry[hook];
  if (r === program.underflow[hook] && skb.trace === null && !skb.nfTrace) {
    countHit(table, rules[r + R_SLOT], skb.tail - skb.data);
    return rules[r + R_KIND] === T_ACCEPT ? NF_ACCEPT : NF_DROP;
  }
  const { view, data } = skb;
  const src = view.getInt32(data + 12);
  const dst = view.getInt32(data + 16);
  const proto = view.getUint8(data + 9);
  const sport = sourcePort(skb, proto);
  const dport = sport < 0 ? 0 : view.getUint16(transportOffset(skb) + 2);
  const inFits = program.fits(inDev);
  const outFits = program.fits(outDev);
  const matchField = sport < 0 ? R_MATCH_ALL : R_MATCH;
  const endField = sport < 0 ? R_MATCH_ALL_END : R_MATCH_END;
  for (let depth = 0; ; r += R_STRIDE) {
    const flags = rules[r + R_FLAGS];
    if ((flags & RF_ANY) === 0) {
      if (!addressesFit(rules, r, flags, src, dst, proto)) continue;
      if (sport >= 0 && !portsFit(rules, r, sport, dport)) continue;
      if ((flags & RF_RARE) !== 0 && !rareFits(rules, r, flags, skb, inFits, outFits)) continue;
    }
    const from = rules[r + matchField];
    const end = rules[r + endField];
    if (from !== end) {
      const result = runMatches(program, from, end, ns, skb, inDev, outDev);
      if (result === MATCH_NO) continue;
      if (result === MATCH_HOTDROP) return NF_DROP;
    }
    const slot = rules[r + R_SLOT];
    if (slot >= 0) countHit(table, slot, skb.tail - skb.data);
    if (skb.nfTrace || skb.trace !== null) noteRecord(program, r, ns, skb, hook, inDev, outDev);
    const kind = rules[r + R_KIND];
    if (kind === T_ACCEPT) return NF_ACCEPT;
    if (kind === T_DROP) return NF_DROP;
    if (kind === T_JUMP || kind === T_GOTO) {
      if (kind === T_JUMP) stack[depth++] = r;
      r = rules[r + R_OPERAND] - R_STRIDE;
    } else if (kind === T_RETURN) {
      r = depth === 0 ? program.underflow[hook] - R_STRIDE : stack[--depth];
    } else if (kind !== T_CONTINUE) {
      const verdict = runRecordTarget(program, r, kind, ns, skb, hook, inDev, outDev);
      if (verdict !== XT_CONTINUE) return verdict;
    }
  }
}

function transportOffset(skb: Skb): number {
  return skb.data + ((skb.view.getUint8(skb.data) & 0x0f) << 2);
}

/** Source port of a TCP or UDP packet with a whole header, -1 for all others: their rules take the long way. */
function sourcePort(skb: Skb, proto: number): number {
  if (proto !== IPPROTO_TCP && proto !== IPPROTO_UDP) return -1;
  if ((skb.view.getUint16(skb.data + 6) & IP_OFFSET) !== 0) return -1;
  const off = transportOffset(skb);
  return skb.tail - off < (proto === IPPROTO_TCP ? 20 : 8) ? -1 : skb.view.getUint16(off);
}

function addressesFit(
  rules: Int32Array,
  r: number,
  flags: number,
  src: number,
  dst: number,
  proto: number,
): boolean {
  if (((src & rules[r + R_SRC_MASK]) !== rules[r + R_SRC]) !== ((flags & IPT_INV_SRCIP) !== 0)) return false;
  if (((dst & rules[r + R_DST_MASK]) !== rules[r + R_DST]) !== ((flags & IPT_INV_DSTIP) !== 0)) return false;
  const wanted = rules[r + R_PROTO];
  return wanted === 0 || (proto !== wanted) === ((flags & IPT_INV_PROTO) !== 0);
}

function portsFit(rules: Int32Array, r: number, sport: number, dport: number): boolean {
  const dports = rules[r + R_DPORTS];
  if (dport < dports >>> 16 || dport > (dports & 0xffff)) return false;
  const sports = rules[r + R_SPORTS];
  return sport >= sports >>> 16 && sport <= (sports & 0xffff);
}

/** Interfaces and fragments (the rest of ip_packet_match). */
function rareFits(
  rules: Int32Array,
  r: number,
  flags: number,
  skb: Skb,
  inFits: Uint8Array,
  outFits: Uint8Array,
): boolean {
  const interfaces = rules[r + R_INTERFACES];
  const inPattern = (interfaces >>> 16) - 1;
  if (inPattern >= 0 && (inFits[inPattern] === 0) !== ((flags & IPT_INV_VIA_IN) !== 0)) return false;
  const outPattern = (interfaces & 0xffff) - 1;
  if (outPattern >= 0 && (outFits[outPattern] === 0) !== ((flags & IPT_INV_VIA_OUT) !== 0)) return false;
  if ((flags & RF_FRAGMENT) === 0) return true;
  const whole = (skb.view.getUint16(skb.data + 6) & IP_OFFSET) === 0;
  return whole === ((flags & IPT_INV_FRAG) !== 0);
}

function countHit(table: Table, slot: number, lenBytes: number): void {
  table.packets[slot]++;
  table.bytes[slot] += lenBytes;
}

function runRecordTarget(
  program: CompiledTable,
  r: number,
  kind: number,
  ns: NetNs,
  skb: Skb,
  hook: Hook,
  inDev: NetDevice | null,
  outDev: NetDevice | null,
): Verdict | typeof XT_CONTINUE {
  const operand = program.rules[r + R_OPERAND];
  if (kind === T_OTHER) return runTarget(program.targets[operand], ns, skb, hook, inDev, outDev);
  skb.mark = (skb.mark & ~program.ops[operand + 1]) ^ program.ops[operand];
  return XT_CONTINUE;
}

/** Tells the watchers of a packet about a record that it matched. */
function noteRecord(
  program: CompiledTable,
  r: number,
  ns: NetNs,
  skb: Skb,
  hook: Hook,
  inDev: NetDevice | null,
  outDev: NetDevice | null,
): void {
  const { chain, rule, number } = program.origins[r / R_STRIDE];
  const kind = program.rules[r + R_KIND];
  const jump = kind === T_JUMP || kind === T_GOTO;
  const verdict = kind === T_DROP ? NF_DROP : kind === T_ACCEPT ? NF_ACCEPT : jump ? TRACE_JUMP : XT_CONTINUE;
  if (skb.trace !== null) {
    if (rule === null && chain.policy !== null && (chain.rules.length > 0 || verdict === NF_DROP))
      skb.trace.add(TRACE_POLICY, verdict, 0, chain);
    else if (rule !== null && kind !== T_CONTINUE && kind !== T_RETURN)
      skb.trace.add(TRACE_RULE, number, verdict, rule);
  }
  if (!skb.nfTrace) return;
  // Every verdict without a condition reads as the end of its chain (get_chainname_rulenum).
  const any =
    (program.rules[r + R_FLAGS] & RF_ANY) !== 0 &&
    program.rules[r + R_MATCH_ALL] === program.rules[r + R_MATCH_ALL_END];
  const ends = any && (kind === T_ACCEPT || kind === T_DROP || kind === T_RETURN);
  const comment = !ends ? "rule" : chain.hook === hook ? "policy" : "return";
  nfLogTrace(ns, skb, inDev, outDev, `TRACE: ${chain.table.name}:${chain.name}:${comment}:${number} `);
}

/** The mangle table's entry at OUTPUT: a changed address, mark or TOS asks for another route (ipt_mangle_out). */
function mangleOut(
  ns: NetNs,
  skb: Skb,
  hook: Hook,
  inDev: NetDevice | null,
  outDev: NetDevice | null,
  priv: unknown,
): Verdict {
  const { view, data, mark } = skb;
  const saddr = view.getInt32(data + 12);
  const daddr = view.getInt32(data + 16);
  const tos = view.getUint8(data + 1);
  const verdict = iptDoTable(ns, skb, hook, inDev, outDev, priv);
  if (verdict !== NF_ACCEPT) return verdict;
  const ip = skb.data;
  const same =
    skb.view.getInt32(ip + 12) === saddr &&
    skb.view.getInt32(ip + 16) === daddr &&
    skb.mark === mark &&
    skb.view.getUint8(ip + 1) === tos;
  return same || ipRouteMeHarder(ns, skb) ? NF_ACCEPT : NF_DROP;
}

/** Hooks a new table into the packet's path. The nat table is asked by the NAT core, for the first packet of a flow. */
function startTable(table: Table): void {
  const { ns, name } = table;
  if (name === "nat") {
    const walk: HookFn = (walkNs, skb, hook, inDev, outDev) =>
      iptDoTable(walkNs, skb, hook, inDev, outDev, table);
    for (const hook of TABLE_HOOKS.nat) natOf(ns).registerTable(hook, walk);
    return;
  }
  const entry = { name: `iptable_${name}`, priority: TABLE_PRIORITY[name], priv: table };
  for (const hook of TABLE_HOOKS[name]) {
    const fn = name === "mangle" && hook === NF_INET_LOCAL_OUT ? mangleOut : iptDoTable;
    ns.hooks.register({ ...entry, hook, fn });
  }
}

/** PernetInit: a namespace with the means for tables, and none yet. Runs after those of conntrack and NAT. */
export function netfilterInit(ns: NetNs): void {
  ns.netfilter = new XtTables(ns, startTable);
}
