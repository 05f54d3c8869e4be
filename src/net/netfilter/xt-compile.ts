/**
 * A table as it runs: its chains one behind the other as fixed records of integers, the operands of matches and targets
 * in one array (the blob of ip_tables.c). The plain ports of a tcp or udp match stand in the record itself. Made when the next packet finds the table changed, so that what a rule remembers
 * (limit, statistic) starts anew with each change, as when the kernel replaces a table.
 *
 *     record: flags | src mask | dst mask | interfaces | end | proto | matches from, to | target kind, operand | slot | from | ports
 *     match in `ops`: kind | index behind it | operands
 */
import type { Prng } from "../../util/prng.ts";
import { type Hook, NF_INET_NUMHOOKS } from "../core/hooks.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { MatchSpec, RuleSpec, TargetSpec, TcpMatch, UdpMatch } from "./rule-spec.ts";
import type { Chain, Rule, Table } from "./x-tables.ts";
import { compileMatch } from "./xt-compile-match.ts";

export const R_FLAGS = 0;
export const R_SRC = 1;
export const R_SRC_MASK = 2;
export const R_DST = 3;
export const R_DST_MASK = 4;
/** Patterns of the interfaces, (in + 1) << 16 | out + 1; 0 for none. */
export const R_INTERFACES = 5;
/** End of the matches when the ports of the record were not compared. */
export const R_MATCH_ALL_END = 6;
export const R_PROTO = 7;
export const R_MATCH = 8;
export const R_MATCH_END = 9;
export const R_KIND = 10;
export const R_OPERAND = 11;
export const R_SLOT = 12;
/** First match when the ports of the record were not compared. */
export const R_MATCH_ALL = 13;
/** Source and destination ports, low << 16 | high. */
export const R_SPORTS = 14;
export const R_DPORTS = 15;
export const R_STRIDE = 16;

/** Bits of R_FLAGS above those of IPT_INV_*. */
export const RF_FRAGMENT = 0x100;
/** Nothing of struct ipt_ip is compared. */
export const RF_ANY = 0x200;
/** Interfaces or the fragment flag are compared. */
export const RF_RARE = 0x400;

const ALL_PORTS = 0x0000ffff;

/** Kinds of target. */
export const T_CONTINUE = 0;
export const T_ACCEPT = 1;
export const T_DROP = 2;
export const T_RETURN = 3;
export const T_JUMP = 4;
export const T_GOTO = 5;
export const T_MARK = 6;
/** All others: the operand is an index of `targets`. */
export const T_OTHER = 7;

/** Collects the operands while a table is compiled. */
export class OperandWriter {
  readonly ops: number[] = [];
  /** Names that physdev compares with. */
  readonly names: string[] = [];
  /** Initial values of what matches remember. */
  readonly state: number[] = [];
  readonly nowNs: number;

  constructor(nowNs: number) {
    this.nowNs = nowNs;
  }
}

/** Which interface patterns a device's name fits; made once a device. */
class InterfaceRow {
  readonly name: string;
  readonly fits: Uint8Array;

  constructor(name: string, patterns: readonly string[]) {
    this.name = name;
    this.fits = Uint8Array.from(patterns, (pattern) => (patternFits(pattern, name) ? 1 : 0));
  }
}

/** Whether an interface name fits a pattern, `+` at its end standing for any rest. */
export function patternFits(pattern: string, name: string): boolean {
  return pattern.endsWith("+") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

export class CompiledTable {
  readonly rules: Int32Array;
  readonly ops: Int32Array;
  readonly names: readonly string[];
  /** What limit and statistic remember. */
  readonly state: Float64Array;
  readonly targets: readonly TargetSpec[];
  /** Offset of the first record of each hook's chain, and of its policy. */
  readonly hookEntry: Int32Array;
  readonly underflow: Int32Array;
  /** Offsets of the records to return to; deep enough for every chain once. */
  readonly stack: Int32Array;
  /** By record: where it comes from. `rule` is null for the end of a chain; numbers count from 1. */
  readonly origins: readonly { readonly chain: Chain; readonly rule: Rule | null; readonly number: number }[];
  readonly patterns: readonly string[];
  /** Chance of `-m statistic --mode random`, made when it is first asked. */
  prng: Prng | null = null;
  private readonly rows: InterfaceRow[] = [];
  private readonly noDevice: InterfaceRow;

  constructor(parts: CompiledParts) {
    this.rules = Int32Array.from(parts.records);
    this.ops = Int32Array.from(parts.writer.ops);
    this.names = parts.writer.names;
    this.state = Float64Array.from(parts.writer.state);
    this.targets = parts.targets;
    this.hookEntry = parts.hookEntry;
    this.underflow = parts.underflow;
    this.stack = new Int32Array(parts.chainCount + 1);
    this.origins = parts.origins;
    this.patterns = parts.patterns;
    this.noDevice = new InterfaceRow("", parts.patterns);
  }

  /** By pattern: 1 when the device's name fits it. */
  fits(dev: NetDevice | null): Uint8Array {
    if (dev === null) return this.noDevice.fits;
    const row = this.rows[dev.ifindex];
    if (row !== undefined && row.name === dev.name) return row.fits;
    const made = new InterfaceRow(dev.name, this.patterns);
    this.rows[dev.ifindex] = made;
    return made.fits;
  }
}

interface CompiledParts {
  readonly records: number[];
  readonly writer: OperandWriter;
  readonly targets: TargetSpec[];
  readonly hookEntry: Int32Array;
  readonly underflow: Int32Array;
  readonly chainCount: number;
  readonly origins: { chain: Chain; rule: Rule | null; number: number }[];
  readonly patterns: string[];
}

/** Compiles the table and keeps the result in it. */
export function compileTable(table: Table): CompiledTable {
  const parts: CompiledParts = {
    records: [],
    writer: new OperandWriter(table.ns.kernel.sim.now),
    targets: [],
    hookEntry: new Int32Array(NF_INET_NUMHOOKS).fill(-1),
    underflow: new Int32Array(NF_INET_NUMHOOKS).fill(-1),
    chainCount: table.chains.length,
    origins: [],
    patterns: [],
  };
  const starts = chainStarts(table);
  for (const chain of table.chains) emitChain(parts, chain, starts);
  const compiled = new CompiledTable(parts);
  table.compiled = compiled;
  return compiled;
}

/** Offset of the first record of each chain, by name. */
function chainStarts(table: Table): Map<string, number> {
  const starts = new Map<string, number>();
  let offset = 0;
  for (const chain of table.chains) {
    starts.set(chain.name, offset);
    offset += (chain.rules.length + 1) * R_STRIDE;
  }
  return starts;
}

function emitChain(parts: CompiledParts, chain: Chain, starts: ReadonlyMap<string, number>): void {
  if (chain.hook !== -1) parts.hookEntry[chain.hook] = parts.records.length;
  let number = 1;
  for (const rule of chain.rules) {
    emitRule(parts, rule, starts);
    parts.origins.push({ chain, rule, number: number++ });
  }
  if (chain.hook !== -1) parts.underflow[chain.hook] = parts.records.length;
  const kind = chain.hook === -1 ? T_RETURN : chain.policy === "DROP" ? T_DROP : T_ACCEPT;
  const noMatch = parts.writer.ops.length;
  const base = [RF_ANY, 0, 0, 0, 0, 0, noMatch, 0];
  parts.records.push(...base, noMatch, noMatch, kind, 0, chain.slot, noMatch, ALL_PORTS, ALL_PORTS);
  parts.origins.push({ chain, rule: null, number });
}

function emitRule(parts: CompiledParts, rule: Rule, starts: ReadonlyMap<string, number>): void {
  const { ip, matches } = rule.spec;
  const { writer } = parts;
  const allFrom = writer.ops.length;
  for (const match of matches) emitMatch(writer, match);
  const allEnd = writer.ops.length;
  const ported = portMatch(matches);
  let [from, end] = [allFrom, allEnd];
  if (ported !== null) {
    from = writer.ops.length;
    for (const match of matches) if (match !== ported) emitMatch(writer, match);
    end = writer.ops.length;
  }
  const interfaces = ((patternIndex(parts, ip.inIface) + 1) << 16) | (patternIndex(parts, ip.outIface) + 1);
  const rare = interfaces !== 0 || ip.fragment;
  const any = ip.srcMask === 0 && ip.dstMask === 0 && ip.proto === 0 && ip.invert === 0 && !rare;
  const flags = ip.invert | (ip.fragment ? RF_FRAGMENT : 0) | (any ? RF_ANY : 0) | (rare ? RF_RARE : 0);
  const [kind, operand] = emitTarget(parts, rule.spec, starts);
  const base = [flags, ip.src, ip.srcMask, ip.dst, ip.dstMask, interfaces, allEnd, ip.proto];
  const sports = ported === null ? ALL_PORTS : packPorts(ported.sports);
  const dports = ported === null ? ALL_PORTS : packPorts(ported.dports);
  parts.records.push(...base, from, end, kind, operand, rule.slot, allFrom, sports, dports);
}

function packPorts(range: readonly [number, number]): number {
  return (range[0] << 16) | range[1];
}

/** Matches that look at the packet and remember nothing, and that never drop it: they may be asked in any order. */
const PURE: ReadonlySet<MatchSpec["name"]> = new Set([
  "addrtype",
  "comment",
  "connmark",
  "conntrack",
  "ipvs",
  "iprange",
  "length",
  "mac",
  "mark",
  "physdev",
  "pkttype",
  "policy",
  "state",
  "ttl",
  "u32",
] as const);

/**
 * The match whose plain ports can be compared before all others; null when there is none. The other matches are written
 * down twice then, so none may remember anything.
 */
function portMatch(matches: readonly MatchSpec[]): TcpMatch | UdpMatch | null {
  if (matches.some((match) => match.name === "limit" || match.name === "statistic")) return null;
  for (const match of matches) {
    if (match.name === "udp") return match.invert === 0 ? match : null;
    if (match.name === "tcp") return (match.invert | match.option | match.flagMask) === 0 ? match : null;
    if (!PURE.has(match.name)) return null;
  }
  return null;
}

function patternIndex(parts: CompiledParts, pattern: string): number {
  if (pattern === "") return -1;
  const known = parts.patterns.indexOf(pattern);
  return known >= 0 ? known : parts.patterns.push(pattern) - 1;
}

function emitMatch(writer: OperandWriter, match: MatchSpec): void {
  const at = writer.ops.length;
  const kind = compileMatch(writer, match, at + 2);
  if (kind === null) return;
  writer.ops[at] = kind;
  writer.ops[at + 1] = writer.ops.length;
}

function emitTarget(
  parts: CompiledParts,
  spec: RuleSpec,
  starts: ReadonlyMap<string, number>,
): [number, number] {
  const { target } = spec;
  if (target === null) return [T_CONTINUE, 0];
  if (target.name === "ACCEPT") return [T_ACCEPT, 0];
  if (target.name === "DROP") return [T_DROP, 0];
  if (target.name === "RETURN") return [T_RETURN, 0];
  if (target.name === "chain") return [target.goto ? T_GOTO : T_JUMP, starts.get(target.chain)!];
  const { ops } = parts.writer;
  if (target.name === "MARK") return [T_MARK, ops.push(target.mark, target.mask) - 2];
  return [T_OTHER, parts.targets.push(target) - 1];
}

/** The hooks of a table, for those who walk it. */
export function tableHooks(table: Table): Hook[] {
  return table.chains.flatMap((chain) => (chain.hook === -1 ? [] : [chain.hook]));
}
