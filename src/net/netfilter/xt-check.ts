/**
 * What the kernel refuses when a table is handed to it: rules in the wrong table or reached from the wrong hook, matches
 * without their protocol (the `checkentry` of the extensions, xt_check_match, xt_check_target), and chains that lead back
 * to themselves (mark_source_chains).
 */
import { SysError } from "../../util/errors.ts";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../../wire/ipv4.ts";
import {
  NF_INET_FORWARD,
  NF_INET_LOCAL_IN,
  NF_INET_LOCAL_OUT,
  NF_INET_POST_ROUTING,
  NF_INET_PRE_ROUTING,
} from "../core/hooks.ts";
import { conntrackEnable } from "./conntrack/conntrack.ts";
import { IPT_INV_PROTO, type MatchSpec, type RuleSpec, type TargetSpec } from "./rule-spec.ts";
import { XT_PHYSDEV_OP_BRIDGED, XT_PHYSDEV_OP_ISOUT, XT_PHYSDEV_OP_OUT } from "./words/meta-matches.ts";
import type { Chain, Rule, Table, TableName } from "./x-tables.ts";
import { limitFits } from "./xt-limit.ts";

const PRE = 1 << NF_INET_PRE_ROUTING;
const IN = 1 << NF_INET_LOCAL_IN;
const FWD = 1 << NF_INET_FORWARD;
const OUT = 1 << NF_INET_LOCAL_OUT;
const POST = 1 << NF_INET_POST_ROUTING;

/** Where a target may stand. */
const TARGET_PLACES: Readonly<Partial<Record<TargetSpec["name"], { table?: TableName; hooks?: number }>>> = {
  DNAT: { table: "nat", hooks: PRE | OUT },
  SNAT: { table: "nat", hooks: POST | IN },
  MASQUERADE: { table: "nat", hooks: POST },
  REDIRECT: { table: "nat", hooks: PRE | OUT },
  NETMAP: { table: "nat", hooks: PRE | POST | OUT | IN },
  REJECT: { table: "filter", hooks: IN | FWD | OUT },
  CT: { table: "raw" },
  NOTRACK: { table: "raw" },
  TRACE: { table: "raw" },
  TTL: { table: "mangle" },
};

/** Checks one rule in its place. EINVAL. */
export function checkRule(rule: Rule): void {
  const hooks =
    rule.chain.hook === -1 ? (hookMasks(rule.chain.table).get(rule.chain.name) ?? 0) : 1 << rule.chain.hook;
  checkSpec(rule.spec, rule.chain.table, hooks);
}

/** Checks all rules and the ways between chains. EINVAL, ELOOP. */
export function checkTable(table: Table): void {
  const masks = hookMasks(table);
  for (const chain of table.chains)
    for (const rule of chain.rules) checkSpec(rule.spec, table, masks.get(chain.name) ?? 0);
}

/** The hooks that each chain is reached from, as bits; ELOOP when a way leads back. */
function hookMasks(table: Table): Map<string, number> {
  const masks = new Map<string, number>();
  for (const chain of table.chains)
    if (chain.hook !== -1) markChain(table, chain, 1 << chain.hook, masks, new Set());
  return masks;
}

function markChain(
  table: Table,
  chain: Chain,
  hook: number,
  masks: Map<string, number>,
  path: Set<string>,
): void {
  if (path.has(chain.name)) throw new SysError("ELOOP", chain.name);
  const known = masks.get(chain.name) ?? 0;
  if ((known & hook) !== 0) return;
  path.add(chain.name);
  for (const { spec } of chain.rules) {
    if (spec.target?.name !== "chain") continue;
    const next = table.chain(spec.target.chain);
    if (next === undefined) continue;
    // A jump back to a built-in chain has no place to return to.
    if (next.hook !== -1) throw new SysError("EINVAL", next.name);
    markChain(table, next, hook, masks, path);
  }
  path.delete(chain.name);
  masks.set(chain.name, known | hook);
}

function refuse(detail: string): never {
  throw new SysError("EINVAL", detail);
}

function checkSpec(spec: RuleSpec, table: Table, hooks: number): void {
  const proto = (spec.ip.invert & IPT_INV_PROTO) !== 0 ? 0 : spec.ip.proto;
  for (const match of spec.matches) checkMatch(match, proto, hooks);
  const { target } = spec;
  if (target === null) return;
  if (target.name === "chain" && table.chain(target.chain)?.hook !== -1) refuse(target.chain);
  const place = TARGET_PLACES[target.name];
  if (place?.table !== undefined && place.table !== table.name) refuse(target.name);
  if (place?.hooks !== undefined && (hooks & ~place.hooks) !== 0) refuse(target.name);
  if (target.name === "REJECT" && target.with === "tcp-reset" && proto !== IPPROTO_TCP) refuse(target.name);
  if (target.name === "TCPMSS") checkTcpmss(spec, proto, target.mss === 0xffff, hooks);
}

/** CT is among them unless it only marks the packet, as NOTRACK does (xt_ct_tg_check). */
const TRACKING: ReadonlySet<string> = new Set([
  "state",
  "conntrack",
  "connmark",
  "CONNMARK",
  "DNAT",
  "SNAT",
  "MASQUERADE",
  "REDIRECT",
  "NETMAP",
]);

/** Starts what a rule works with: connection tracking (nf_ct_netns_get), the module that logs. */
export function startNeeds(rule: Rule): void {
  const { matches, target } = rule.spec;
  const { ns } = rule.chain.table;
  const zoned = target?.name === "CT" && !target.notrack;
  if (
    (target !== null && TRACKING.has(target.name)) ||
    matches.some((match) => TRACKING.has(match.name)) ||
    zoned
  )
    conntrackEnable(ns);
  if (target?.name === "LOG" || target?.name === "TRACE") ns.kernel.nfLogSyslog = true;
}

function checkTcpmss(spec: RuleSpec, proto: number, clamp: boolean, hooks: number): void {
  if (proto !== IPPROTO_TCP || (clamp && (hooks & ~(FWD | OUT | POST)) !== 0)) refuse("TCPMSS");
  const onSyn = spec.matches.some(
    (match) => match.name === "tcp" && (match.flagCmp & 0x02) !== 0 && (match.invert & 4) === 0,
  );
  if (!onSyn) refuse("TCPMSS");
}

const NEEDED_PROTO: Readonly<Partial<Record<MatchSpec["name"], number>>> = {
  tcp: IPPROTO_TCP,
  udp: IPPROTO_UDP,
  icmp: IPPROTO_ICMP,
  tcpmss: IPPROTO_TCP,
};

function checkMatch(match: MatchSpec, proto: number, hooks: number): void {
  if (match.name === "limit" && !limitFits(match)) throw new SysError("ERANGE", match.name);
  const needed = NEEDED_PROTO[match.name];
  if (needed !== undefined && needed !== proto) refuse(match.name);
  if (match.name === "mac" && (hooks & ~(PRE | IN | FWD)) !== 0) refuse(match.name);
  if (match.name === "addrtype") {
    if (match.limitIfaceOut && (hooks & (PRE | IN)) !== 0) refuse(match.name);
    if (match.limitIfaceIn && (hooks & (POST | OUT)) !== 0) refuse(match.name);
  }
  // --physdev-out and --physdev-is-out: a packet of this machine has no bridge port yet, unless only bridged ones are meant.
  if (match.name === "physdev") {
    const { flags, invert } = match;
    const bridged = (flags & XT_PHYSDEV_OP_BRIDGED) !== 0 && (invert & XT_PHYSDEV_OP_BRIDGED) === 0;
    const asksOut = (flags & (XT_PHYSDEV_OP_OUT | XT_PHYSDEV_OP_ISOUT)) !== 0;
    if (asksOut && !bridged && (hooks & OUT) !== 0) refuse(match.name);
  }
  if (match.name === "policy" && (hooks & (match.dir === "out" ? PRE | IN : POST | OUT)) !== 0)
    refuse(match.name);
}
