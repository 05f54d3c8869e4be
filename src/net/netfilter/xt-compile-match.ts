/** The operands of each kind of match, in the order in which `xt-match.ts` and its sisters read them. */
import type { ConntrackMatch, MatchSpec, StatisticMatch, U32Match } from "./rule-spec.ts";
import type { OperandWriter } from "./xt-compile.ts";
import { limitState } from "./xt-limit.ts";

export const M_TCP = 1;
export const M_UDP = 2;
export const M_ICMP = 3;
export const M_ADDRTYPE = 4;
export const M_CONNTRACK = 5;
export const M_STATE = 6;
export const M_MARK = 7;
export const M_CONNMARK = 8;
export const M_MULTIPORT = 9;
export const M_IPVS = 10;
export const M_IPRANGE = 11;
export const M_PHYSDEV = 12;
export const M_RANDOM = 13;
export const M_NTH = 14;
export const M_LIMIT = 15;
export const M_MAC = 16;
export const M_LENGTH = 17;
export const M_TTL = 18;
export const M_TCPMSS = 19;
export const M_U32 = 20;
export const M_POLICY = 21;
export const M_PKTTYPE = 22;

export const MULTIPORT_SOURCE = 1;
export const MULTIPORT_DEST = 2;

export const U32_OPS: readonly string[] = ["", "&", "<<", ">>", "@"];

const TTL_OPS: readonly string[] = ["eq", "ne", "lt", "gt"];

/**
 * Appends two places for kind and end, then the operands, at `at`; returns the kind, null when the match is always true
 * and takes no place.
 */
export function compileMatch(writer: OperandWriter, match: MatchSpec, at: number): number | null {
  if (match.name === "comment") return null;
  const { ops } = writer;
  while (ops.length < at) ops.push(0);
  switch (match.name) {
    case "tcp":
      ops.push(...match.sports, ...match.dports, match.option, match.flagMask, match.flagCmp, match.invert);
      return M_TCP;
    case "udp":
      ops.push(...match.sports, ...match.dports, match.invert);
      return M_UDP;
    case "icmp":
      ops.push(match.type, ...match.codes, bit(match.invert));
      return M_ICMP;
    case "conntrack":
      return compileConntrack(writer, match);
    case "state":
      ops.push(match.states, bit(match.invert));
      return M_STATE;
    case "mark":
    case "connmark":
      ops.push(match.mark, match.mask, bit(match.invert));
      return match.name === "mark" ? M_MARK : M_CONNMARK;
    case "multiport": {
      const which = {
        sports: MULTIPORT_SOURCE,
        dports: MULTIPORT_DEST,
        ports: MULTIPORT_SOURCE | MULTIPORT_DEST,
      };
      ops.push(which[match.which], bit(match.invert), ...match.ranges.flat());
      return M_MULTIPORT;
    }
    case "length":
    case "tcpmss":
      ops.push(...match.range, bit(match.invert));
      return match.name === "length" ? M_LENGTH : M_TCPMSS;
    default:
      return compileMeta(writer, match);
  }
}

type L4Name = "comment" | "tcp" | "udp" | "icmp" | "conntrack" | "state" | "mark" | "connmark" | "multiport";
type MetaMatch = Exclude<MatchSpec, { name: L4Name | "length" | "tcpmss" }>;

function bit(flag: boolean): number {
  return flag ? 1 : 0;
}

function compileMeta(writer: OperandWriter, match: MetaMatch): number {
  const { ops } = writer;
  switch (match.name) {
    case "addrtype":
      ops.push(match.source, match.dest, bit(match.invertSource), bit(match.invertDest));
      ops.push(bit(match.limitIfaceIn), bit(match.limitIfaceOut));
      return M_ADDRTYPE;
    case "ipvs":
      ops.push(bit(match.invert));
      return M_IPVS;
    case "iprange":
      ops.push(bit(match.src !== null), ...(match.src ?? [0, 0]), bit(match.invertSrc));
      ops.push(bit(match.dst !== null), ...(match.dst ?? [0, 0]), bit(match.invertDst));
      return M_IPRANGE;
    case "physdev":
      ops.push(match.flags, match.invert, nameIndex(writer, match.inDev), nameIndex(writer, match.outDev));
      return M_PHYSDEV;
    case "mac":
      ops.push(match.hi, match.lo, bit(match.invert));
      return M_MAC;
    case "ttl":
      ops.push(TTL_OPS.indexOf(match.op), match.ttl);
      return M_TTL;
    case "u32":
      return compileU32(writer, match);
    case "policy":
      ops.push(bit(match.dir === "in"), bit(match.pol === "none"));
      return M_POLICY;
    case "pkttype":
      ops.push(match.type, bit(match.invert));
      return M_PKTTYPE;
    case "statistic":
      return compileStatistic(writer, match);
    case "limit":
      ops.push(writer.state.push(...limitState(match, writer.nowNs)) - 4);
      return M_LIMIT;
  }
}

function nameIndex(writer: OperandWriter, name: string): number {
  return writer.names.push(name) - 1;
}

function compileConntrack(writer: OperandWriter, match: ConntrackMatch): number {
  const { ops } = writer;
  ops.push(match.flags, match.invert, match.states, match.status, match.proto);
  ops.push(...match.addrs.flat(), ...match.ports.flat());
  ops.push(writer.state.push(...match.expires) - 2);
  return M_CONNTRACK;
}

function compileStatistic(writer: OperandWriter, match: StatisticMatch): number {
  if (match.mode === "random") {
    writer.ops.push(writer.state.push(match.probability) - 1, bit(match.invert));
    return M_RANDOM;
  }
  // The counter starts so that packet number --packet is the first to match.
  const index = writer.state.push(match.every - match.packet, match.every) - 2;
  writer.ops.push(index, bit(match.invert));
  return M_NTH;
}

function compileU32(writer: OperandWriter, match: U32Match): number {
  const { ops } = writer;
  ops.push(bit(match.invert), match.tests.length);
  for (const test of match.tests) {
    ops.push(test.location.length);
    for (const step of test.location) ops.push(U32_OPS.indexOf(step.op), step.value | 0);
    ops.push(test.values.length);
    for (const [low, high] of test.values) ops.push(low | 0, high | 0);
  }
  return M_U32;
}
