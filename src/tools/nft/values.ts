/** Values of nft(8) by their types (src/datatype.c, src/ct.c, src/meta.c, src/proto.c): read, and written. */
import type { NetNs } from "../../net/core/net-ns.ts";
import type { NftRange } from "../../net/netfilter/nft/nft-rule.ts";
import type { NftType } from "../../net/netfilter/nft/nft-selector.ts";
import { protocolName, protocolNumber } from "../../net/netfilter/words/names.ts";
import { servicePort } from "../../net/netfilter/words/services.ts";
import { NotModelledError } from "../../util/errors.ts";
import { formatIp4, parseIp4 } from "../../wire/address.ts";
import { NftTextError, type Token } from "./tokens.ts";

type Symbols = readonly (readonly [string, number])[];

const CT_STATES: Symbols = [
  ["invalid", 1],
  ["established", 2],
  ["related", 4],
  ["new", 8],
  ["untracked", 64],
];

const CT_STATUS: Symbols = [
  ["expected", 1],
  ["seen-reply", 2],
  ["assured", 4],
  ["confirmed", 8],
  ["snat", 16],
  ["dnat", 32],
  ["dying", 512],
];

const TCP_FLAGS: Symbols = [
  ["fin", 1],
  ["syn", 2],
  ["rst", 4],
  ["psh", 8],
  ["ack", 16],
  ["urg", 32],
  ["ecn", 64],
  ["cwr", 128],
];

const ICMP_TYPES: Symbols = [
  ["echo-reply", 0],
  ["destination-unreachable", 3],
  ["source-quench", 4],
  ["redirect", 5],
  ["echo-request", 8],
  ["router-advertisement", 9],
  ["router-solicitation", 10],
  ["time-exceeded", 11],
  ["parameter-problem", 12],
  ["timestamp-request", 13],
  ["timestamp-reply", 14],
  ["info-request", 15],
  ["info-reply", 16],
  ["address-mask-request", 17],
  ["address-mask-reply", 18],
];

/** Codes of "destination unreachable", by the names that `reject` and `icmp code` have for them. */
export const ICMP_CODES: Symbols = [
  ["net-unreachable", 0],
  ["host-unreachable", 1],
  ["prot-unreachable", 2],
  ["port-unreachable", 3],
  ["frag-needed", 4],
  ["net-prohibited", 9],
  ["host-prohibited", 10],
  ["admin-prohibited", 13],
];

const SYMBOLS: Readonly<Partial<Record<NftType, Symbols>>> = {
  ct_state: CT_STATES,
  ct_status: CT_STATUS,
  tcp_flag: TCP_FLAGS,
  icmp_type: ICMP_TYPES,
  icmp_code: ICMP_CODES,
};

const MAX: Readonly<Partial<Record<NftType, number>>> = {
  inet_service: 0xffff,
  inet_proto: 0xff,
  icmp_type: 0xff,
  icmp_code: 0xff,
  tcp_flag: 0xff,
  integer: 0xff,
};

/** What nft calls a type. */
const TYPE_NAMES: Readonly<Record<NftType, string>> = {
  ipv4_addr: "IPv4 address",
  inet_service: "internet network service",
  inet_proto: "Internet protocol",
  mark: "packet mark",
  ifname: "network interface name",
  iface_index: "network interface index",
  ct_state: "conntrack state",
  ct_status: "conntrack status",
  icmp_type: "ICMP type",
  icmp_code: "icmp code",
  tcp_flag: "TCP flag",
  integer: "integer",
};

export function typesText(types: readonly NftType[]): string {
  return types.map((type) => TYPE_NAMES[type]).join(", ");
}

/** With the word for several. */
export function typeText(types: readonly NftType[]): string {
  return types.length === 1 ? typesText(types) : `concatenation of (${typesText(types)})`;
}

export function readValue(ns: NetNs, type: NftType, token: Token): number {
  const { text } = token;
  const value = token.kind === "number" && type !== "ipv4_addr" ? Number(text) : named(ns, type, token);
  const max = MAX[type] ?? 0xffffffff;
  if (value > max)
    throw new NftTextError(
      type === "inet_service" ? "Service out of range" : `Value ${value} exceeds valid range 0-${max}`,
      token,
    );
  return value;
}

function named(ns: NetNs, type: NftType, token: Token): number {
  const { text } = token;
  if (type === "ipv4_addr") {
    const addr = parseIp4(text);
    if (addr === null) throw new NotModelledError(`nft: the host ${text}`);
    return addr >>> 0;
  }
  if (type === "inet_service") {
    const port = servicePort(text, "");
    if (port === null)
      throw new NftTextError("Could not resolve service: Servname not supported for ai_socktype", token);
    return port;
  }
  if (type === "inet_proto") {
    const proto = protocolNumber(text);
    if (proto === null) throw new NftTextError("Could not resolve protocol name", token);
    return proto;
  }
  if (type === "iface_index") {
    const dev = ns.device(text);
    if (dev === undefined) throw new NftTextError("Interface does not exist", token);
    return dev.ifindex;
  }
  const found = SYMBOLS[type]?.find(([name]) => name === text);
  if (found === undefined) throw new NftTextError(`Could not parse ${TYPE_NAMES[type]}`, token);
  return found[1];
}

export function hex32(value: number): string {
  return `0x${(value >>> 0).toString(16).padStart(8, "0")}`;
}

/** `numeric`: as nft -n, without names. */
export function writeValue(ns: NetNs, type: NftType, value: number, numeric: boolean): string {
  if (type === "ipv4_addr") return formatIp4(value | 0);
  if (type === "mark") return hex32(value);
  if (type === "iface_index") {
    const dev = ns.deviceByIndex(value);
    return dev === undefined ? String(value) : `"${dev.name}"`;
  }
  if (type === "inet_proto") return numeric ? String(value) : value === 0 ? "ip" : protocolName(value);
  const symbols = SYMBOLS[type];
  if (symbols === undefined) return String(value);
  if (type === "icmp_type" || type === "icmp_code") {
    const found = numeric ? undefined : symbols.find(([, number]) => number === value);
    return found === undefined ? String(value) : found[0];
  }
  return flags(symbols, value, numeric).join(",");
}

/** The bits of a value from the lowest, those without a name as numbers. */
export function flagWords(type: NftType, value: number, numeric: boolean): string[] {
  return flags(SYMBOLS[type] ?? [], value, numeric);
}

function flags(symbols: Symbols, value: number, numeric: boolean): string[] {
  const words: string[] = [];
  for (let bit = 1; bit <= value && bit < 2 ** 31; bit *= 2) {
    if ((value & bit) === 0) continue;
    const name = numeric ? undefined : symbols.find(([, number]) => number === bit)?.[0];
    words.push(name ?? `0x${bit.toString(16)}`);
  }
  return words.length === 0 ? ["0x0"] : words;
}

/** `10.0.0.0/8`, null when the range is no network. */
export function networkText([low, high]: NftRange): string | null {
  const size = high - low + 1;
  const bits = Math.log2(size);
  if (!Number.isInteger(bits) || low % size !== 0) return null;
  return `${formatIp4(low | 0)}/${32 - bits}`;
}
