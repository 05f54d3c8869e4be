/** Matches and targets as `iptables -L` describes them (the `print` of the extensions). Each text begins with a space. */

import type { MatchSpec, TargetSpec } from "../../net/netfilter/rule-spec.ts";
import { STATE_NAMES } from "../../net/netfilter/words/ct-matches.ts";
import { zoneWords } from "../../net/netfilter/words/ct-target.ts";
import { bitNames, hex, hostName } from "../../net/netfilter/words/extension.ts";
import { ICMP_NAMES } from "../../net/netfilter/words/l4-matches.ts";
import { PHYSDEV_OPTIONS, PKTTYPE_NAMES } from "../../net/netfilter/words/meta-matches.ts";
import { protocolName } from "../../net/netfilter/words/names.ts";
import { rateText } from "../../net/netfilter/words/rate-matches.ts";
import {
  addrTypeText,
  markText,
  probabilityText,
  rangeText,
  tcpFlagText,
} from "../../net/netfilter/words/save.ts";
import { saveConntrack } from "../../net/netfilter/words/save-conntrack.ts";
import { natAddress, natFlags, natPorts } from "../../net/netfilter/words/save-target.ts";
import { type ServiceProto, serviceName } from "../../net/netfilter/words/services.ts";
import { LOG_FLAGS, LOG_LEVELS } from "../../net/netfilter/words/targets.ts";
import { u32Text } from "../../net/netfilter/words/u32-words.ts";
import { formatIp4, formatMac } from "../../wire/address.ts";

type Range = readonly [number, number];

const bang = (invert: boolean): string => (invert ? "!" : "");
const bangSpace = (invert: boolean): string => (invert ? "! " : "");

function port(value: number, proto: ServiceProto, numeric: boolean): string {
  return numeric ? String(value) : serviceName(value, proto);
}

function ports(name: string, range: Range, invert: boolean, proto: ServiceProto, numeric: boolean): string {
  if (range[0] === 0 && range[1] === 0xffff && !invert) return "";
  const low = `${bang(invert)}${port(range[0], proto, numeric)}`;
  return range[0] === range[1] ? ` ${name}:${low}` : ` ${name}s:${low}:${port(range[1], proto, numeric)}`;
}

function tcp(match: Extract<MatchSpec, { name: "tcp" }>, numeric: boolean): string {
  const option = match.option === 0 ? "" : ` option=${bang((match.invert & 8) !== 0)}${match.option}`;
  const flag = (bits: number): string =>
    numeric ? `0x${bits.toString(16).toUpperCase().padStart(2, "0")}` : tcpFlagText(bits);
  const flags =
    match.flagMask === 0 && (match.invert & 4) === 0
      ? ""
      : ` flags:${bang((match.invert & 4) !== 0)}${flag(match.flagMask)}/${flag(match.flagCmp)}`;
  return (
    " tcp" +
    ports("spt", match.sports, (match.invert & 1) !== 0, "tcp", numeric) +
    ports("dpt", match.dports, (match.invert & 2) !== 0, "tcp", numeric) +
    option +
    flags
  );
}

function icmp(match: Extract<MatchSpec, { name: "icmp" }>, numeric: boolean): string {
  const [low, high] = match.codes;
  if (!numeric) {
    const found = ICMP_NAMES.find(
      (entry) => entry[1] === match.type && entry[2] === low && entry[3] === high,
    );
    if (found !== undefined) return ` icmp ${bang(match.invert)}${found[0]}`;
  }
  const type = ` icmp${match.invert ? " !" : ""}type ${match.type}`;
  if (low === high) return `${type} code ${low}`;
  return low === 0 && high === 255 ? type : `${type} codes ${low}-${high}`;
}

function addressRange(name: string, range: Range | null, invert: boolean): string {
  return range === null
    ? ""
    : ` ${name} IP range ${bangSpace(invert)}${formatIp4(range[0])}-${formatIp4(range[1])}`;
}

/** A match; `proto` is that of the rule. */
export function matchText(match: MatchSpec, proto: number, numeric: boolean): string {
  switch (match.name) {
    case "tcp":
      return tcp(match, numeric);
    case "udp":
      return (
        " udp" +
        ports("spt", match.sports, (match.invert & 1) !== 0, "udp", numeric) +
        ports("dpt", match.dports, (match.invert & 2) !== 0, "udp", numeric)
      );
    case "icmp":
      return icmp(match, numeric);
    case "multiport": {
      const name = protocolName(proto) as ServiceProto;
      const list = match.ranges
        .map(([low, high]) =>
          low === high
            ? port(low, name, numeric)
            : `${port(low, name, numeric)}:${port(high, name, numeric)}`,
        )
        .join(",");
      return ` multiport ${match.which} ${match.invert ? " !" : ""}${list}`;
    }
    case "conntrack":
      return saveConntrack(match, "", (addr, mask) =>
        !numeric && addr === 0 ? "anywhere" : hostName(addr, mask, numeric),
      );
    case "state":
      return ` ${bangSpace(match.invert)}state ${bitNames(match.states, STATE_NAMES)}`;
    case "mark":
      return ` mark match ${bangSpace(match.invert)}${markText(match.mark, match.mask)}`;
    case "connmark":
      return ` connmark match ${bang(match.invert)} ${markText(match.mark, match.mask)}`;
    case "length":
      return ` length ${bang(match.invert)}${rangeText(match.range)}`;
    case "tcpmss":
      return ` tcpmss match ${bang(match.invert)}${rangeText(match.range)}`;
    default:
      return metaText(match);
  }
}

type L4Name =
  | "tcp"
  | "udp"
  | "icmp"
  | "multiport"
  | "conntrack"
  | "state"
  | "mark"
  | "connmark"
  | "length"
  | "tcpmss";
type MetaMatch = Exclude<MatchSpec, { name: L4Name }>;

const TTL_SIGNS = { eq: "==", ne: "!=", lt: "<", gt: ">" } as const;

function metaText(match: MetaMatch): string {
  switch (match.name) {
    case "addrtype": {
      const source =
        match.source === 0 ? "" : ` src-type ${bang(match.invertSource)}${addrTypeText(match.source)}`;
      const dest = match.dest === 0 ? "" : ` dst-type ${bang(match.invertDest)}${addrTypeText(match.dest)}`;
      const limit = (match.limitIfaceIn ? " limit-in" : "") + (match.limitIfaceOut ? " limit-out" : "");
      return ` ADDRTYPE match${source}${dest}${limit}`;
    }
    case "comment":
      return ` /* ${match.text} */`;
    case "ipvs":
      return ` ${bangSpace(match.invert)}ipvs`;
    case "iprange":
      return (
        addressRange("source", match.src, match.invertSrc) +
        addressRange("destination", match.dst, match.invertDst)
      );
    case "physdev":
      return ` PHYSDEV match${physdev(match)}`;
    case "mac":
      return ` MAC ${bangSpace(match.invert)}${formatMac(match.hi, match.lo)}`;
    case "ttl":
      return ` TTL match TTL ${TTL_SIGNS[match.op]} ${match.ttl}`;
    case "u32":
      return ` u32 ${bangSpace(match.invert)}"${u32Text(match)}"`;
    case "policy":
      return ` policy match dir ${match.dir} pol ${match.pol}`;
    case "pkttype":
      return ` PKTTYPE ${match.invert ? "!=" : "="} ${PKTTYPE_NAMES[match.type]}`;
    case "limit":
      return ` limit: avg ${rateText(match.avg)} burst ${match.burst}`;
    case "statistic":
      return match.mode === "random"
        ? ` statistic mode random${match.invert ? " !" : ""} probability ${probabilityText(match.probability)}`
        : ` statistic mode nth${match.invert ? " !" : ""} every ${match.every + 1}${match.packet === 0 ? "" : ` packet ${match.packet}`}`;
  }
}

function physdev(match: Extract<MatchSpec, { name: "physdev" }>): string {
  return PHYSDEV_OPTIONS.filter(([, bit]) => (match.flags & bit) !== 0)
    .map(([name, bit]) => {
      const dev =
        name === "physdev-in" ? ` ${match.inDev}` : name === "physdev-out" ? ` ${match.outDev}` : "";
      return `${(match.invert & bit) !== 0 ? " !" : ""} --${name}${dev}`;
    })
    .join("");
}

/** What `mark = (mark & ~mask) ^ value` is called. */
function markChange(mark: number, mask: number): string {
  if (mark === 0) return `and ${hex(~mask)}`;
  if (mark === mask) return `or ${hex(mark)}`;
  if (mask === 0) return `xor ${hex(mark)}`;
  return mask === -1 ? `set ${hex(mark)}` : `xset ${hex(mark)}/${hex(mask)}`;
}

/** A target; "" for verdicts and chains. */
export function targetText(target: TargetSpec, numeric: boolean): string {
  switch (target.name) {
    case "REJECT":
      return ` reject-with ${target.with}`;
    case "LOG":
      return logText(target, numeric);
    case "MARK":
      return ` MARK ${markChange(target.mark, target.mask)}`;
    case "CONNMARK":
      return ` CONNMARK ${target.mode === "set" ? markChange(target.mark, target.ctMask) : connmarkCopy(target)}`;
    case "CT": {
      const zone = zoneWords(target);
      return ` CT${target.notrack ? " notrack" : ""}${zone === "" ? "" : ` ${zone}`}`;
    }
    case "NOTRACK":
      return " NOTRACK";
    case "TCPMSS":
      return target.mss === 0xffff ? " TCPMSS clamp to PMTU" : ` TCPMSS set ${target.mss}`;
    case "TTL":
      return ` TTL ${{ set: "set to", dec: "decrement by", inc: "increment by" }[target.mode]} ${target.ttl}`;
    case "DNAT":
    case "SNAT":
    case "NETMAP":
      return ` to:${natAddress(target)}${natFlags(target, " ")}`;
    case "MASQUERADE":
    case "REDIRECT": {
      const name = target.name === "MASQUERADE" ? "masq ports:" : "redir ports";
      const text = natPorts(target);
      return `${text === "" ? "" : ` ${name} ${text}`}${natFlags(target, " ")}`;
    }
    default:
      return "";
  }
}

function connmarkCopy(target: Extract<TargetSpec, { name: "CONNMARK" }>): string {
  const { mode, ctMask, nfMask } = target;
  if (ctMask === -1 && nfMask === -1) return mode;
  if (ctMask === nfMask) return `${mode} mask ${hex(nfMask)}`;
  return mode === "save"
    ? `save nfmask ${hex(nfMask)} ctmask ~${hex(ctMask)}`
    : `restore ctmask ${hex(ctMask)} nfmask ~${hex(nfMask)}`;
}

function logText(target: Extract<TargetSpec, { name: "LOG" }>, numeric: boolean): string {
  const prefix = target.prefix === "" ? "" : ` prefix "${target.prefix}"`;
  if (numeric) return ` LOG flags ${target.flags} level ${target.level}${prefix}`;
  const flags = LOG_FLAGS.filter(([, bit]) => (target.flags & bit) !== 0).map(
    ([name]) => ` ${name.slice(4)}`,
  );
  return ` LOG level ${LOG_LEVELS[target.level]}${flags.join("")}${prefix}`;
}
