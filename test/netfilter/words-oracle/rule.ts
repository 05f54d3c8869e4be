/** A rule of iptables from a seed: options in any order, inverted, shortened, doubled, with right and wrong words. */
import type { Prng } from "../../../src/util/prng.ts";
import * as v from "./values.ts";

type Values = readonly string[];

/** Option and its values; null: it takes none. */
type Options = Readonly<Record<string, Values | null>>;

const NAT_FLAGS: Options = { random: null, persistent: null };

export const MATCHES: Readonly<Record<string, Options>> = {
  tcp: { sport: v.PORTS, dport: v.PORTS, "source-port": v.PORTS, syn: null, "tcp-option": v.BYTES },
  udp: { sport: v.PORTS, dport: v.PORTS, "destination-port": v.PORTS },
  icmp: { "icmp-type": v.ICMP_TYPES },
  multiport: {
    sports: v.PORT_LISTS,
    dports: v.PORT_LISTS,
    ports: v.PORT_LISTS,
    "source-ports": v.PORT_LISTS,
  },
  conntrack: {
    ctstate: v.STATES,
    ctproto: v.PROTOCOLS,
    ctorigsrc: v.ADDRESSES,
    ctrepldst: v.ADDRESSES,
    ctorigdstport: v.PORTS,
    ctstatus: v.STATUSES,
    ctexpire: v.RANGES,
    ctdir: v.DIRECTIONS,
  },
  state: { state: v.STATES },
  mark: { mark: v.MARKS },
  connmark: { mark: v.MARKS },
  addrtype: {
    "src-type": v.ADDRESS_TYPES,
    "dst-type": v.ADDRESS_TYPES,
    "limit-iface-in": null,
    "limit-iface-out": null,
  },
  comment: { comment: v.COMMENTS },
  iprange: { "src-range": v.IP_RANGES, "dst-range": v.IP_RANGES },
  physdev: {
    "physdev-in": v.INTERFACES,
    "physdev-out": v.INTERFACES,
    "physdev-is-in": null,
    "physdev-is-out": null,
    "physdev-is-bridged": null,
  },
  policy: { dir: ["in", "out", "foo"], pol: ["none", "ipsec", "foo"] },
  u32: { u32: v.U32_TESTS },
  statistic: {
    mode: ["random", "nth", "foo"],
    probability: v.PROBABILITIES,
    every: v.NUMBERS,
    packet: v.NUMBERS,
  },
  limit: { limit: v.RATES, "limit-burst": v.BURSTS },
  mac: { "mac-source": v.MACS },
  length: { length: v.RANGES },
  tcpmss: { mss: v.RANGES },
  ttl: { "ttl-eq": v.BYTES, "ttl-lt": v.BYTES, "ttl-gt": v.BYTES, ttl: v.BYTES },
  pkttype: { "pkt-type": v.PACKET_TYPES },
};

const MARK_OPTIONS: Options = {
  "set-xmark": v.MARKS,
  "set-mark": v.MARKS,
  "and-mark": v.NUMBERS,
  "or-mark": v.NUMBERS,
  "xor-mark": v.NUMBERS,
};

const TARGETS: Readonly<Record<string, Options>> = {
  ACCEPT: {},
  DROP: {},
  RETURN: {},
  REJECT: { "reject-with": v.REJECTS },
  LOG: {
    "log-level": v.LEVELS,
    "log-prefix": [...v.COMMENTS, "x".repeat(29), "x".repeat(30), "pre: "],
    "log-tcp-sequence": null,
    "log-ip-options": null,
    "log-uid": null,
  },
  MARK: MARK_OPTIONS,
  CONNMARK: {
    ...MARK_OPTIONS,
    mask: v.NUMBERS,
    nfmask: v.NUMBERS,
    ctmask: v.NUMBERS,
    "save-mark": null,
    "restore-mark": null,
  },
  CT: { notrack: null },
  NOTRACK: {},
  TRACE: {},
  TCPMSS: { "set-mss": v.SHORTS, "clamp-mss-to-pmtu": null },
  TTL: { "ttl-set": v.BYTES, "ttl-dec": v.BYTES, "ttl-inc": v.BYTES },
  DNAT: { "to-destination": v.NAT_ADDRESSES, ...NAT_FLAGS },
  SNAT: { "to-source": v.NAT_ADDRESSES, "random-fully": null, ...NAT_FLAGS },
  MASQUERADE: { "to-ports": v.NAT_PORTS, random: null, "random-fully": null },
  REDIRECT: { "to-ports": v.NAT_PORTS, random: null },
  NETMAP: { to: v.ADDRESSES },
};

const TABLE_TARGETS: Readonly<Record<string, Values>> = {
  filter: ["REJECT", "LOG", "ACCEPT", "DROP", "RETURN", "MARK"],
  nat: ["DNAT", "SNAT", "MASQUERADE", "REDIRECT", "NETMAP", "ACCEPT"],
  mangle: ["MARK", "CONNMARK", "TCPMSS", "TTL", "ACCEPT"],
  raw: ["CT", "NOTRACK", "TRACE", "DROP"],
};
const WRONG_TARGETS: Values = ["NOPE", "UC", "", "OUTPUT", "a b", "X".repeat(29), "accept"];
const TRANSPORTS: ReadonlySet<string> = new Set(["tcp", "udp", "icmp", "multiport", "tcpmss"]);

const chance = (prng: Prng, one: number): boolean => prng.below(one) === 0;

function option(prng: Prng, name: string, values: Values | null): string[] {
  const short = chance(prng, 16) && name.length > 4 ? name.slice(0, 3 + prng.below(name.length - 3)) : name;
  const words = values === null ? [`--${short}`] : [`--${short}`, prng.pick(values)];
  const joined = words.length === 2 && chance(prng, 16) ? [words.join("=")] : words;
  return chance(prng, 5) ? ["!", ...joined] : joined;
}

function someOptions(prng: Prng, options: Options): string[] {
  const names = Object.keys(options);
  if (names.length === 0) return [];
  const words: string[] = [];
  for (let left = prng.pick([1, 1, 1, 1, 2, 2, 3, 0]); left > 0; left--) {
    const name = prng.pick(names);
    words.push(...option(prng, name, options[name]));
  }
  return words;
}

function addressParts(prng: Prng): string[][] {
  const not = (words: string[]): string[] => (chance(prng, 5) ? ["!", ...words] : words);
  const parts: string[][] = [];
  if (chance(prng, 4)) parts.push(not([prng.pick(["-s", "--source", "--src"]), prng.pick(v.ADDRESSES)]));
  if (chance(prng, 4)) parts.push(not([prng.pick(["-d", "--dst", "--dest"]), prng.pick(v.ADDRESSES)]));
  if (chance(prng, 7)) parts.push(not([prng.pick(["-i", "--in-interface"]), prng.pick(v.INTERFACES)]));
  if (chance(prng, 7)) parts.push(not([prng.pick(["-o", "--out-interface"]), prng.pick(v.INTERFACES)]));
  if (chance(prng, 20)) parts.push(not([prng.pick(["-f", "--fragments"])]));
  if (chance(prng, 30))
    parts.push(
      prng.pick([
        ["-c", "1", "2"],
        ["-c", "1,2"],
        ["-c", "x", "1"],
        ["-c", "1"],
      ]),
    );
  if (chance(prng, 40))
    parts.push(prng.pick([["-4"], ["-n"], ["--bogus"], ["bogus"], ["!"], ["-6"], ["-q"], ["-v"]]));
  return parts;
}

function matchParts(prng: Prng, names: Values, proto: string): string[][] {
  return names.map((name) => {
    const options = someOptions(prng, MATCHES[name]);
    if (name === "tcp" && chance(prng, 4))
      options.push("--tcp-flags", prng.pick(v.TCP_FLAGS), prng.pick(v.TCP_FLAGS));
    return name === proto && chance(prng, 3) ? options : ["-m", name, ...options];
  });
}

function targetPart(prng: Prng, table: string): string[] {
  const name = chance(prng, 20) ? prng.pick(WRONG_TARGETS) : prng.pick(TABLE_TARGETS[table]);
  if (chance(prng, 30)) return ["-g", prng.pick(["UC", "NOPE", "ACCEPT"])];
  return ["-j", name, ...someOptions(prng, TARGETS[name] ?? {})];
}

/** The words of a rule for a table. */
export function randomRule(prng: Prng, table: string): string[] {
  const names = Array.from({ length: prng.pick([0, 1, 1, 1, 1, 2, 2, 3]) }, () =>
    prng.pick(Object.keys(MATCHES)),
  );
  const need = names.find((name) => TRANSPORTS.has(name));
  const target = chance(prng, 6) ? [] : targetPart(prng, table);
  let proto = "";
  if (need !== undefined) proto = need === "udp" || need === "icmp" ? need : "tcp";
  else if (target[1] === "TCPMSS") proto = "tcp";
  else if (chance(prng, 3)) proto = prng.pick(["tcp", "udp", ...v.PROTOCOLS]);
  if (chance(prng, 18)) proto = prng.pick(v.PROTOCOLS);
  const parts = [...addressParts(prng), ...matchParts(prng, names, proto), target];
  if (target[1] === "TCPMSS") parts.push(["--tcp-flags", "SYN,RST", "SYN"]);
  if (chance(prng, 3)) prng.shuffle(parts);
  const head = proto === "" && !chance(prng, 40) ? [] : [[prng.pick(["-p", "--protocol"]), proto]];
  return [...head, ...parts].flat();
}
