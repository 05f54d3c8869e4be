/** tcp, udp, icmp, multiport, tcpmss: matches on transport headers (libxt_tcp.c, libxt_udp.c, libipt_icmp.c and kin). */
import type { IcmpMatch, LengthMatch, MultiportMatch, TcpMatch, UdpMatch } from "../rule-spec.ts";
import { type Extension, type Given, numberRangeOption, portRangeOption, problem } from "./extension.ts";
import { leadingNumber, parseNumber, protocolName } from "./names.ts";
import { type ServiceProto, servicePort } from "./services.ts";

export const TCP_FLAG_NAMES: ReadonlyMap<string, number> = new Map([
  ["FIN", 0x01],
  ["SYN", 0x02],
  ["RST", 0x04],
  ["PSH", 0x08],
  ["ACK", 0x10],
  ["URG", 0x20],
]);

const PORT_OPTIONS = [
  { name: "source-port", arg: true, invert: true },
  { name: "sport", arg: true, invert: true, alias: "source-port" },
  { name: "destination-port", arg: true, invert: true },
  { name: "dport", arg: true, invert: true, alias: "destination-port" },
];

/** A port by number or by a service of the protocol (xtables_parse_port). */
function portWord(text: string, proto: ServiceProto): number {
  const number = parseNumber(text);
  const port = number !== null && number <= 0xffff ? number : servicePort(text, proto);
  if (port === null) problem(`invalid port/service \`${text}' specified`);
  return port;
}

const tcpPort = (text: string): number => portWord(text, "tcp");

function tcpPorts(text: string): [number, number] {
  const colon = text.indexOf(":");
  if (colon < 0) return [tcpPort(text), tcpPort(text)];
  const low = text.slice(0, colon);
  const high = text.slice(colon + 1);
  const range: [number, number] = [low === "" ? 0 : tcpPort(low), high === "" ? 0xffff : tcpPort(high)];
  if (range[0] > range[1]) problem("invalid portrange (min > max)");
  return range;
}

function tcpFlagBits(text: string): number {
  let bits = 0;
  for (const word of text.split(",").filter((part) => part !== "")) {
    const name = word.toUpperCase();
    const bit = name === "ALL" ? 0x3f : name === "NONE" ? 0 : TCP_FLAG_NAMES.get(name);
    if (bit === undefined) problem(`Unknown TCP flag \`${word}'`);
    bits |= bit;
  }
  return bits;
}

class TcpReader {
  private spec: TcpMatch = {
    name: "tcp",
    sports: [0, 0xffff],
    dports: [0, 0xffff],
    option: 0,
    flagMask: 0,
    flagCmp: 0,
    invert: 0,
  };
  private readonly seen = new Set<string>();

  take(given: Given): void {
    const what = given.name === "syn" ? "tcp-flags" : given.name;
    if (this.seen.has(what))
      problem(
        what === "tcp-flags"
          ? "Only one of `--syn' or `--tcp-flags'  allowed"
          : `Only one \`--${what}' allowed`,
      );
    this.seen.add(what);
    const { spec } = this;
    const inverted = (bit: number): number => spec.invert | (given.invert ? bit : 0);
    if (what === "source-port") this.spec = { ...spec, sports: tcpPorts(given.value), invert: inverted(1) };
    else if (what === "destination-port")
      this.spec = { ...spec, dports: tcpPorts(given.value), invert: inverted(2) };
    else if (what === "tcp-option")
      this.spec = { ...spec, option: tcpOption(given.value), invert: inverted(8) };
    else this.spec = { ...spec, ...flagOperands(given), invert: inverted(4) };
  }

  finish(): TcpMatch {
    return this.spec;
  }
}

function tcpOption(text: string): number {
  const value = parseNumber(text);
  if (value === null || value < 1 || value > 255) problem(`Bad TCP option "${text}"`);
  return value;
}

function flagOperands(given: Given): { flagMask: number; flagCmp: number } {
  if (given.name === "syn") return { flagMask: 0x17, flagCmp: 0x02 };
  const compare = given.nextWord();
  if (compare === null) problem("--tcp-flags requires two args.");
  return { flagMask: tcpFlagBits(given.value), flagCmp: tcpFlagBits(compare) };
}

export const TCP: Extension<TcpMatch> = {
  name: "tcp",
  options: [
    ...PORT_OPTIONS.map((def) => ({ ...def, multi: true })),
    { name: "syn", arg: false, invert: true, multi: true },
    { name: "tcp-flags", arg: true, invert: true, multi: true },
    { name: "tcp-option", arg: true, invert: true, multi: true },
  ],
  open: () => new TcpReader(),
};

export const UDP: Extension<UdpMatch> = {
  name: "udp",
  options: PORT_OPTIONS,
  open: () => {
    let spec: UdpMatch = { name: "udp", sports: [0, 0xffff], dports: [0, 0xffff], invert: 0 };
    return {
      take: (given) => {
        const range = portRangeOption("udp", given);
        if (given.name === "source-port")
          spec = { ...spec, sports: range, invert: spec.invert | (given.invert ? 1 : 0) };
        else spec = { ...spec, dports: range, invert: spec.invert | (given.invert ? 2 : 0) };
      },
      finish: () => spec,
    };
  },
};

/** Name, type, lowest and highest code. A type's own name comes before those of its codes. */
export const ICMP_NAMES: readonly (readonly [string, number, number, number])[] = [
  ["any", 255, 0, 255],
  ["echo-reply", 0, 0, 255],
  ["pong", 0, 0, 255],
  ["destination-unreachable", 3, 0, 255],
  ["network-unreachable", 3, 0, 0],
  ["host-unreachable", 3, 1, 1],
  ["protocol-unreachable", 3, 2, 2],
  ["port-unreachable", 3, 3, 3],
  ["fragmentation-needed", 3, 4, 4],
  ["source-route-failed", 3, 5, 5],
  ["network-unknown", 3, 6, 6],
  ["host-unknown", 3, 7, 7],
  ["network-prohibited", 3, 9, 9],
  ["host-prohibited", 3, 10, 10],
  ["TOS-network-unreachable", 3, 11, 11],
  ["TOS-host-unreachable", 3, 12, 12],
  ["communication-prohibited", 3, 13, 13],
  ["host-precedence-violation", 3, 14, 14],
  ["precedence-cutoff", 3, 15, 15],
  ["source-quench", 4, 0, 255],
  ["redirect", 5, 0, 255],
  ["network-redirect", 5, 0, 0],
  ["host-redirect", 5, 1, 1],
  ["TOS-network-redirect", 5, 2, 2],
  ["TOS-host-redirect", 5, 3, 3],
  ["echo-request", 8, 0, 255],
  ["ping", 8, 0, 255],
  ["router-advertisement", 9, 0, 255],
  ["router-solicitation", 10, 0, 255],
  ["time-exceeded", 11, 0, 255],
  ["ttl-exceeded", 11, 0, 255],
  ["ttl-zero-during-transit", 11, 0, 0],
  ["ttl-zero-during-reassembly", 11, 1, 1],
  ["parameter-problem", 12, 0, 255],
  ["ip-header-bad", 12, 0, 0],
  ["required-option-missing", 12, 1, 1],
  ["timestamp-request", 13, 0, 255],
  ["timestamp-reply", 14, 0, 255],
  ["address-mask-request", 17, 0, 255],
  ["address-mask-reply", 18, 0, 255],
];

/** A number to 255, or two with a colon between, at the beginning of a text; null when there is none. */
function byteRange(text: string): { low: number; high: number; rest: string } | null {
  const low = leadingNumber(text);
  if (low === null || low.value > 255) return null;
  if (!low.rest.startsWith(":")) return { low: low.value, high: low.value, rest: low.rest };
  const high = leadingNumber(low.rest.slice(1));
  return high === null || high.value > 255 ? null : { low: low.value, high: high.value, rest: high.rest };
}

function icmpOperands(text: string): { type: number; codes: [number, number] } {
  const named = ICMP_NAMES.filter(([name]) => name.toLowerCase().startsWith(text.toLowerCase()));
  if (named.length > 1) problem(`Ambiguous ICMP type \`${text}': \`${named[0][0]}' or \`${named[1][0]}'?`);
  if (named.length === 1) return { type: named[0][1], codes: [named[0][2], named[0][3]] };
  const types = byteRange(text);
  if (types === null) problem(`Unknown ICMP type \`${text}'`);
  let codes: [number, number] = [0, 255];
  let { rest } = types;
  if (rest.startsWith("/")) {
    const found = byteRange(rest.slice(1));
    if (found === null) problem(`Unknown ICMP code \`${text}'`);
    codes = [found.low, found.high];
    ({ rest } = found);
  }
  if (rest !== "") problem(`unknown character ${rest[0]}`);
  if (types.low !== types.high) problem("ICMP type range not supported");
  return { type: types.low, codes };
}

export const ICMP: Extension<IcmpMatch> = {
  name: "icmp",
  options: [{ name: "icmp-type", arg: true, invert: true, mandatory: true }],
  open: () => {
    let spec: IcmpMatch = { name: "icmp", type: 255, codes: [0, 255], invert: false };
    return {
      take: (given) => {
        spec = { name: "icmp", ...icmpOperands(given.value), invert: given.invert };
      },
      finish: () => spec,
    };
  },
};

const MULTIPORT_PROTOS: ReadonlySet<number> = new Set([6, 17, 33, 132, 136]);

const MULTIPORT_SLOTS = 15;

function multiportRanges(text: string, proto: number): [number, number][] {
  const name = protocolName(proto) as ServiceProto;
  const words = text.split(",");
  const ranges: [number, number][] = [];
  let slots = 0;
  for (const word of words) {
    if (slots >= MULTIPORT_SLOTS) problem("too many ports specified");
    const colon = word.indexOf(":");
    if (colon >= 0 && slots === MULTIPORT_SLOTS - 1) problem("too many ports specified");
    const low = portWord(colon < 0 ? word : word.slice(0, colon), name);
    const high = colon < 0 ? low : portWord(word.slice(colon + 1), name);
    if (colon >= 0 && low >= high) problem("invalid portrange specified");
    ranges.push([low, high]);
    slots += colon < 0 ? 1 : 2;
  }
  return ranges;
}

export const MULTIPORT: Extension<MultiportMatch> = {
  name: "multiport",
  options: [
    { name: "source-ports", arg: true, invert: true, excludes: ["destination-ports", "ports"] },
    {
      name: "sports",
      arg: true,
      invert: true,
      alias: "source-ports",
      excludes: ["destination-ports", "ports"],
    },
    { name: "destination-ports", arg: true, invert: true, excludes: ["source-ports", "ports"] },
    {
      name: "dports",
      arg: true,
      invert: true,
      alias: "destination-ports",
      excludes: ["source-ports", "ports"],
    },
    { name: "ports", arg: true, invert: true, excludes: ["source-ports", "destination-ports"] },
  ],
  open: () => {
    let spec: MultiportMatch | null = null;
    return {
      take: (given) => {
        if (given.protoInverted || (given.proto !== 0 && !MULTIPORT_PROTOS.has(given.proto)))
          problem("multiport only works with TCP, UDP, UDPLITE, SCTP and DCCP");
        if (given.proto === 0)
          problem("multiport needs `-p tcp', `-p udp', `-p udplite', `-p sctp' or `-p dccp'");
        const which = given.name === "ports" ? "ports" : given.name === "source-ports" ? "sports" : "dports";
        const ranges = multiportRanges(given.value, given.proto);
        spec = { name: "multiport", which, ranges, invert: given.invert };
      },
      finish: () => spec ?? problem("multiport expection an option"),
    };
  },
};

/** `--length` of length, `--mss` of tcpmss. */
export function rangeExtension(name: "length" | "tcpmss", option: string): Extension<LengthMatch> {
  return {
    name,
    options: [{ name: option, arg: true, invert: true, mandatory: true }],
    open: () => {
      let spec: LengthMatch = { name, range: [0, 0xffff], invert: false };
      return {
        take: (given) => {
          const range = numberRangeOption(name, given, 0xffff);
          if (name === "tcpmss" && range[1] < range[0]) problem("tcpmss: invalid range given");
          spec = { name, range, invert: given.invert };
        },
        finish: () => spec,
      };
    },
  };
}
