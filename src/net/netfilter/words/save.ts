/** A rule as the words that make it, as iptables-save writes them (iptables.c print_rule4, the `save` of extensions). */
import { formatIp4, formatMac } from "../../../wire/address.ts";
import {
  IPT_INV_DSTIP,
  IPT_INV_FRAG,
  IPT_INV_PROTO,
  IPT_INV_SRCIP,
  IPT_INV_VIA_IN,
  IPT_INV_VIA_OUT,
  type IpSpec,
  type MatchSpec,
  type RuleSpec,
} from "../rule-spec.ts";
import { STATE_NAMES } from "./ct-matches.ts";
import { bitNames, hex, maskSuffix, quoteWord } from "./extension.ts";
import { TCP_FLAG_NAMES } from "./l4-matches.ts";
import { ADDRTYPE_NAMES, PHYSDEV_OPTIONS, PKTTYPE_NAMES } from "./meta-matches.ts";
import { protocolName } from "./names.ts";
import { PROBABILITY_ONE, rateText } from "./rate-matches.ts";
import { saveConntrack } from "./save-conntrack.ts";
import { saveTarget } from "./save-target.ts";
import { u32Text } from "./u32-words.ts";

/** The words without `-A CHAIN`; `counters` go before the target, as `iptables -S -v` has them. */
export function saveRule(spec: RuleSpec, counters = ""): string {
  const parts = [saveIp(spec.ip)];
  for (const match of spec.matches) parts.push(` -m ${match.name}${saveMatch(match)}`);
  parts.push(counters);
  if (spec.target !== null) parts.push(saveTarget(spec.target));
  return parts.join("").slice(1);
}

function saveIp(ip: IpSpec): string {
  const not = (bit: number): string => ((ip.invert & bit) !== 0 ? " !" : "");
  const host = (letter: string, addr: number, mask: number, bit: number): string =>
    addr === 0 && mask === 0 && not(bit) === ""
      ? ""
      : `${not(bit)} -${letter} ${formatIp4(addr)}${maskSuffix(mask, false)}`;
  const iface = (letter: string, name: string, bit: number): string =>
    name === "" || name === "+" ? "" : `${not(bit)} -${letter} ${name}`;
  const proto = ip.proto === 0 ? "" : `${not(IPT_INV_PROTO)} -p ${protocolName(ip.proto)}`;
  return (
    host("s", ip.src, ip.srcMask, IPT_INV_SRCIP) +
    host("d", ip.dst, ip.dstMask, IPT_INV_DSTIP) +
    iface("i", ip.inIface, IPT_INV_VIA_IN) +
    iface("o", ip.outIface, IPT_INV_VIA_OUT) +
    proto +
    (ip.fragment ? `${not(IPT_INV_FRAG)} -f` : "")
  );
}

const bang = (invert: boolean): string => (invert ? " !" : "");

/** `80`, `80:90`. */
export function rangeText(range: readonly [number, number]): string {
  return range[0] === range[1] ? String(range[0]) : `${range[0]}:${range[1]}`;
}

function savePorts(option: string, range: readonly [number, number], invert: boolean): string {
  if (range[0] === 0 && range[1] === 0xffff && !invert) return "";
  return `${bang(invert)} --${option} ${rangeText(range)}`;
}

/** `SYN,ACK`; NONE for no bit. */
export function tcpFlagText(bits: number): string {
  return bits === 0 ? "NONE" : bitNames(bits, TCP_FLAG_NAMES);
}

/** Names of route types, by comma. */
export function addrTypeText(bits: number): string {
  return ADDRTYPE_NAMES.filter((_, type) => (bits & (1 << type)) !== 0).join(",");
}

/** `0x5`, `0x5/0xff`. */
export function markText(mark: number, mask: number): string {
  return mask === -1 ? hex(mark) : `${hex(mark)}/${hex(mask)}`;
}

function saveMatch(match: MatchSpec): string {
  switch (match.name) {
    case "tcp":
      return saveTcp(match);
    case "udp":
      return (
        savePorts("sport", match.sports, (match.invert & 1) !== 0) +
        savePorts("dport", match.dports, (match.invert & 2) !== 0)
      );
    case "icmp":
      return `${bang(match.invert)} --icmp-type ${icmpText(match.type, match.codes)}`;
    case "conntrack":
      return saveConntrack(match, "--", (addr, mask) => formatIp4(addr) + maskSuffix(mask, true));
    case "state":
      return `${bang(match.invert)} --state ${bitNames(match.states, STATE_NAMES)}`;
    case "mark":
    case "connmark":
      return `${bang(match.invert)} --mark ${markText(match.mark, match.mask)}`;
    case "multiport":
      return `${bang(match.invert)} --${match.which} ${match.ranges.map(rangeText).join(",")}`;
    case "length":
      return `${bang(match.invert)} --length ${rangeText(match.range)}`;
    case "tcpmss":
      return `${bang(match.invert)} --mss ${rangeText(match.range)}`;
    default:
      return saveMeta(match);
  }
}

type L4Name = "tcp" | "udp" | "icmp" | "conntrack" | "state" | "mark" | "connmark" | "multiport";
type MetaMatch = Exclude<MatchSpec, { name: L4Name | "length" | "tcpmss" }>;

function saveMeta(match: MetaMatch): string {
  switch (match.name) {
    case "comment":
      return ` --comment ${quoteWord(match.text)}`;
    case "ipvs":
      return `${bang(match.invert)} --ipvs`;
    case "mac":
      return `${bang(match.invert)} --mac-source ${formatMac(match.hi, match.lo)}`;
    case "ttl":
      return `${match.op === "ne" ? " ! --ttl-eq" : ` --ttl-${match.op}`} ${match.ttl}`;
    case "u32":
      return `${bang(match.invert)} --u32 "${u32Text(match)}"`;
    case "policy":
      return ` --dir ${match.dir} --pol ${match.pol}`;
    case "pkttype":
      return `${bang(match.invert)} --pkt-type ${PKTTYPE_NAMES[match.type]}`;
    case "limit":
      return ` --limit ${rateText(match.avg)}${match.burst === 5 ? "" : ` --limit-burst ${match.burst}`}`;
    default:
      return saveRanges(match);
  }
}

function saveRanges(
  match: Extract<MetaMatch, { name: "addrtype" | "iprange" | "physdev" | "statistic" }>,
): string {
  switch (match.name) {
    case "addrtype":
      return (
        (match.source === 0 ? "" : `${bang(match.invertSource)} --src-type ${addrTypeText(match.source)}`) +
        (match.dest === 0 ? "" : `${bang(match.invertDest)} --dst-type ${addrTypeText(match.dest)}`) +
        (match.limitIfaceIn ? " --limit-iface-in" : "") +
        (match.limitIfaceOut ? " --limit-iface-out" : "")
      );
    case "iprange":
      return (
        saveAddressRange("src-range", match.src, match.invertSrc) +
        saveAddressRange("dst-range", match.dst, match.invertDst)
      );
    case "physdev":
      return PHYSDEV_OPTIONS.filter(([, bit]) => (match.flags & bit) !== 0)
        .map(([name, bit]) => {
          const dev =
            name === "physdev-in" ? ` ${match.inDev}` : name === "physdev-out" ? ` ${match.outDev}` : "";
          return `${bang((match.invert & bit) !== 0)} --${name}${dev}`;
        })
        .join("");
    case "statistic":
      return match.mode === "random"
        ? ` --mode random${bang(match.invert)} --probability ${probabilityText(match.probability)}`
        : ` --mode nth${bang(match.invert)} --every ${match.every + 1} --packet ${match.packet}`;
  }
}

/** Probability with eleven decimals. */
export function probabilityText(probability: number): string {
  return (probability / PROBABILITY_ONE).toFixed(11);
}

function saveAddressRange(option: string, range: readonly [number, number] | null, invert: boolean): string {
  return range === null ? "" : `${bang(invert)} --${option} ${formatIp4(range[0])}-${formatIp4(range[1])}`;
}

function saveTcp(match: Extract<MatchSpec, { name: "tcp" }>): string {
  const flags =
    match.flagMask === 0 && (match.invert & 4) === 0
      ? ""
      : `${bang((match.invert & 4) !== 0)} --tcp-flags ${tcpFlagText(match.flagMask)} ${tcpFlagText(match.flagCmp)}`;
  const option =
    match.option === 0 && (match.invert & 8) === 0
      ? ""
      : `${bang((match.invert & 8) !== 0)} --tcp-option ${match.option}`;
  return (
    savePorts("sport", match.sports, (match.invert & 1) !== 0) +
    savePorts("dport", match.dports, (match.invert & 2) !== 0) +
    option +
    flags
  );
}

function icmpText(type: number, codes: readonly [number, number]): string {
  if (type === 255) return "any";
  return codes[0] === 0 && codes[1] === 255 ? String(type) : `${type}/${codes[0]}`;
}
