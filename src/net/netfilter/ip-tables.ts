/**
 * The walk of a packet through a table (net/ipv4/netfilter/ip_tables.c ipt_do_table), and how the tables of a namespace
 * come into its path (iptable_raw.c, iptable_mangle.c, iptable_nat.c, iptable_filter.c).
 */
import { IP_OFFSET } from "../../wire/ipv4.ts";
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
import { TRACE_POLICY, TRACE_RULE } from "../core/trace.ts";
import { ipRouteMeHarder } from "../ipv4/ip-output.ts";
import { conntrackEnable } from "./conntrack/conntrack.ts";
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
  R_DST,
  R_DST_MASK,
  R_FLAGS,
  R_IN,
  R_KIND,
  R_MATCH,
  R_MATCH_END,
  R_OPERAND,
  R_OUT,
  R_PROTO,
  R_SLOT,
  R_SRC,
  R_SRC_MASK,
  R_STRIDE,
  RF_ANY,
  RF_FRAGMENT,
  T_ACCEPT,
  T_CONTINUE,
  T_DROP,
  T_GOTO,
  T_JUMP,
  T_MARK,
  T_OTHER,
  T_RETURN,
} from "./xt-compile.ts";
import { runMatches } from "./xt-match.ts";
import { MATCH_HOTDROP, MATCH_NO, MATCH_YES, type MatchResult } from "./xt-match-result.ts";
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
  table: Table,
): Verdict {
  const program = table.compiled ?? compileTable(table);
  const { rules, stack } = program;
  let depth = 0;
  let r = program.hookEntry[hook];
  for (;;) {
    const fits = recordFits(program, r, ns, skb, inDev, outDev);
    if (fits === MATCH_NO) {
      r += R_STRIDE;
      continue;
    }
    if (fits === MATCH_HOTDROP) return NF_DROP;
    const slot = rules[r + R_SLOT];
    if (slot >= 0) {
      table.packets[slot]++;
      table.bytes[slot] += skb.tail - skb.data;
    }
    if (skb.nfTrace || skb.trace !== null) noteRecord(program, r, ns, skb, hook, inDev, outDev);
    switch (rules[r + R_KIND]) {
      case T_ACCEPT:
        return NF_ACCEPT;
      case T_DROP:
        return NF_DROP;
      case T_JUMP:
        stack[depth++] = r;
        r = rules[r + R_OPERAND];
        continue;
      case T_GOTO:
        r = rules[r + R_OPERAND];
        continue;
      case T_RETURN:
        r = depth === 0 ? program.underflow[hook] : stack[--depth] + R_STRIDE;
        continue;
      case T_MARK: {
        const at = rules[r + R_OPERAND];
        skb.mark = (skb.mark & ~program.ops[at + 1]) ^ program.ops[at];
        break;
      }
      case T_OTHER: {
        const verdict = runTarget(program.targets[rules[r + R_OPERAND]], ns, skb, hook, inDev, outDev);
        if (verdict !== XT_CONTINUE) return verdict as Verdict;
        break;
      }
    }
    r += R_STRIDE;
  }
}

/** Compares the addresses, interfaces, protocol and fragment of a record, then runs its matches. */
function recordFits(
  program: CompiledTable,
  r: number,
  ns: NetNs,
  skb: Skb,
  inDev: NetDevice | null,
  outDev: NetDevice | null,
): MatchResult {
  const { rules } = program;
  const flags = rules[r + R_FLAGS];
  if ((flags & RF_ANY) === 0 && !ipPacketMatch(program, r, flags, skb, inDev, outDev)) return MATCH_NO;
  const from = rules[r + R_MATCH];
  const end = rules[r + R_MATCH_END];
  return from === end ? MATCH_YES : runMatches(program, from, end, ns, skb, inDev, outDev);
}

/** ip_packet_match */
function ipPacketMatch(
  program: CompiledTable,
  r: number,
  flags: number,
  skb: Skb,
  inDev: NetDevice | null,
  outDev: NetDevice | null,
): boolean {
  const { rules } = program;
  const { view, data } = skb;
  const otherSrc = (view.getInt32(data + 12) & rules[r + R_SRC_MASK]) !== rules[r + R_SRC];
  if (otherSrc !== ((flags & IPT_INV_SRCIP) !== 0)) return false;
  const otherDst = (view.getInt32(data + 16) & rules[r + R_DST_MASK]) !== rules[r + R_DST];
  if (otherDst !== ((flags & IPT_INV_DSTIP) !== 0)) return false;
  const inPattern = rules[r + R_IN];
  if (inPattern >= 0 && (program.fits(inDev)[inPattern] === 0) !== ((flags & IPT_INV_VIA_IN) !== 0))
    return false;
  const outPattern = rules[r + R_OUT];
  if (outPattern >= 0 && (program.fits(outDev)[outPattern] === 0) !== ((flags & IPT_INV_VIA_OUT) !== 0))
    return false;
  const proto = rules[r + R_PROTO];
  if (proto !== 0 && (view.getUint8(data + 9) !== proto) !== ((flags & IPT_INV_PROTO) !== 0)) return false;
  if ((flags & RF_FRAGMENT) === 0) return true;
  const whole = (view.getUint16(data + 6) & IP_OFFSET) === 0;
  return whole === ((flags & IPT_INV_FRAG) !== 0);
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
  const verdict = kind === T_DROP ? NF_DROP : kind === T_ACCEPT ? NF_ACCEPT : XT_CONTINUE;
  if (skb.trace !== null) {
    if (rule === null && chain.policy !== null && (chain.rules.length > 0 || verdict === NF_DROP))
      skb.trace.add(TRACE_POLICY, verdict, 0, chain);
    else if (rule !== null && kind !== T_CONTINUE && kind !== T_RETURN && kind !== T_JUMP && kind !== T_GOTO)
      skb.trace.add(TRACE_RULE, number, verdict, rule);
  }
  if (!skb.nfTrace) return;
  // Every verdict without a condition reads as the end of its chain (get_chainname_rulenum).
  const any =
    (program.rules[r + R_FLAGS] & RF_ANY) !== 0 &&
    program.rules[r + R_MATCH] === program.rules[r + R_MATCH_END];
  const ends = any && (kind === T_ACCEPT || kind === T_DROP || kind === T_RETURN);
  const comment = !ends ? "rule" : chain.hook === hook ? "policy" : "return";
  nfLogTrace(ns, skb, inDev, outDev, `TRACE: ${chain.table.name}:${chain.name}:${comment}:${number} `);
}

/** The mangle table's entry at OUTPUT: a changed address, mark or TOS asks for another route (ipt_mangle_out). */
function mangleOut(table: Table): HookFn {
  return (ns, skb, hook, inDev, outDev) => {
    const { view, data, mark } = skb;
    const saddr = view.getInt32(data + 12);
    const daddr = view.getInt32(data + 16);
    const tos = view.getUint8(data + 1);
    const verdict = iptDoTable(ns, skb, hook, inDev, outDev, table);
    if (verdict !== NF_ACCEPT) return verdict;
    const ip = skb.data;
    const same =
      skb.view.getInt32(ip + 12) === saddr &&
      skb.view.getInt32(ip + 16) === daddr &&
      skb.mark === mark &&
      skb.view.getUint8(ip + 1) === tos;
    return same || ipRouteMeHarder(ns, skb) ? NF_ACCEPT : NF_DROP;
  };
}

/** Hooks a new table into the packet's path. The nat table is asked by the NAT core, for the first packet of a flow. */
function startTable(table: Table): void {
  const { ns, name } = table;
  const walk: HookFn = (walkNs, skb, hook, inDev, outDev) =>
    iptDoTable(walkNs, skb, hook, inDev, outDev, table);
  if (name === "nat") {
    conntrackEnable(ns);
    for (const hook of TABLE_HOOKS.nat) natOf(ns).registerTable(hook, walk);
    return;
  }
  for (const hook of TABLE_HOOKS[name]) {
    const fn = name === "mangle" && hook === NF_INET_LOCAL_OUT ? mangleOut(table) : walk;
    ns.hooks.register({ name: `iptable_${name}`, hook, priority: TABLE_PRIORITY[name], fn });
  }
}

/** PernetInit: a namespace with the means for tables, and none yet. Runs after those of conntrack and NAT. */
export function netfilterInit(ns: NetNs): void {
  ns.netfilter = new XtTables(ns, startTable);
}
