/** addrtype, comment, ipvs, iprange, physdev, mac, ttl, policy, pkttype (the libxt_*.c and libipt_*.c of those names). */

import { NotModelledError } from "../../../util/errors.ts";
import { parseMac } from "../../../wire/address.ts";
import type {
  AddrtypeMatch,
  CommentMatch,
  IprangeMatch,
  IpvsMatch,
  MacMatch,
  PhysdevMatch,
  PkttypeMatch,
  PolicyMatch,
  TtlMatch,
} from "../rule-spec.ts";
import {
  badValue,
  bitList,
  type Extension,
  type Given,
  interfaceName,
  looseIp4,
  numberOption,
  problem,
} from "./extension.ts";

/** Names of the route types, by RTN_*. */
export const ADDRTYPE_NAMES: readonly string[] = [
  "UNSPEC",
  "UNICAST",
  "LOCAL",
  "BROADCAST",
  "ANYCAST",
  "MULTICAST",
  "BLACKHOLE",
  "UNREACHABLE",
  "PROHIBIT",
  "THROW",
  "NAT",
  "XRESOLVE",
];

const ADDRTYPE_BITS: ReadonlyMap<string, number> = new Map(
  ADDRTYPE_NAMES.map((name, type) => [name, 1 << type]),
);

function addrTypes(text: string): number {
  return bitList(text, ADDRTYPE_BITS, (rest, last) =>
    problem(last ? `addrtype: bad type "${rest}"` : `addrtype: bad type \`${rest}'`),
  );
}

export const ADDRTYPE: Extension<AddrtypeMatch> = {
  name: "addrtype",
  options: [
    { name: "src-type", arg: true, invert: true },
    { name: "dst-type", arg: true, invert: true },
    { name: "limit-iface-in", arg: false, excludes: ["limit-iface-out"] },
    { name: "limit-iface-out", arg: false, excludes: ["limit-iface-in"] },
  ],
  open: () => {
    let spec: AddrtypeMatch = {
      name: "addrtype",
      source: 0,
      dest: 0,
      invertSource: false,
      invertDest: false,
      limitIfaceIn: false,
      limitIfaceOut: false,
    };
    return {
      take: ({ name, value, invert }) => {
        if (name === "src-type") spec = { ...spec, source: addrTypes(value), invertSource: invert };
        else if (name === "dst-type") spec = { ...spec, dest: addrTypes(value), invertDest: invert };
        else if (name === "limit-iface-in") spec = { ...spec, limitIfaceIn: true };
        else spec = { ...spec, limitIfaceOut: true };
      },
      finish: () =>
        (spec.source | spec.dest) === 0
          ? problem("addrtype: you must specify --src-type or --dst-type")
          : spec,
    };
  },
};

export const COMMENT: Extension<CommentMatch> = {
  name: "comment",
  options: [{ name: "comment", arg: true, mandatory: true }],
  open: () => {
    let text = "";
    return {
      take: (given) => {
        text = given.value.slice(0, 255);
      },
      finish: () => ({ name: "comment", text }),
    };
  },
};

export const IPVS: Extension<IpvsMatch> = {
  name: "ipvs",
  options: [
    { name: "ipvs", arg: false, invert: true },
    ...["vproto", "vaddr", "vport", "vdir", "vmethod", "vportctl"].map((name) => ({
      name,
      arg: true,
      invert: true,
    })),
  ],
  open: () => {
    let spec: IpvsMatch | null = null;
    return {
      take: ({ name, invert }) => {
        if (name !== "ipvs") throw new NotModelledError(`-m ipvs --${name}`);
        spec = { name: "ipvs", invert };
      },
      finish: () => spec ?? problem("IPVS: At least one option is required"),
    };
  },
};

function addressRange({ name, value, warn }: Given): [number, number] {
  const dash = value.indexOf("-");
  const [lowText, highText] = dash < 0 ? [value, value] : [value.slice(0, dash), value.slice(dash + 1)];
  const low = looseIp4(lowText) ?? badValue("iprange", name, lowText);
  const high = looseIp4(highText) ?? badValue("iprange", name, highText);
  if (low >>> 0 > high >>> 0)
    warn(`xt_iprange: range ${lowText}-${highText} is reversed and will never match`);
  return [low, high];
}

export const IPRANGE: Extension<IprangeMatch> = {
  name: "iprange",
  options: [
    { name: "src-range", arg: true, invert: true },
    { name: "dst-range", arg: true, invert: true },
  ],
  open: () => {
    let spec: IprangeMatch = { name: "iprange", src: null, dst: null, invertSrc: false, invertDst: false };
    return {
      take: (given) => {
        const range = addressRange(given);
        if (given.name === "src-range") spec = { ...spec, src: range, invertSrc: given.invert };
        else spec = { ...spec, dst: range, invertDst: given.invert };
      },
      finish: () =>
        spec.src === null && spec.dst === null
          ? problem("iprange match: You must specify `--src-range' or `--dst-range'")
          : spec,
    };
  },
};

export const XT_PHYSDEV_OP_IN = 1;
export const XT_PHYSDEV_OP_OUT = 2;
export const XT_PHYSDEV_OP_BRIDGED = 4;
export const XT_PHYSDEV_OP_ISIN = 8;
export const XT_PHYSDEV_OP_ISOUT = 16;

/** Option name and bit, in the order of printing. */
export const PHYSDEV_OPTIONS: readonly (readonly [string, number])[] = [
  ["physdev-is-in", XT_PHYSDEV_OP_ISIN],
  ["physdev-in", XT_PHYSDEV_OP_IN],
  ["physdev-is-out", XT_PHYSDEV_OP_ISOUT],
  ["physdev-out", XT_PHYSDEV_OP_OUT],
  ["physdev-is-bridged", XT_PHYSDEV_OP_BRIDGED],
];

export const PHYSDEV: Extension<PhysdevMatch> = {
  name: "physdev",
  options: PHYSDEV_OPTIONS.map(([name, bit]) => ({
    name,
    arg: (bit & (XT_PHYSDEV_OP_IN | XT_PHYSDEV_OP_OUT)) !== 0,
    invert: true,
  })),
  open: () => {
    let spec: PhysdevMatch = { name: "physdev", inDev: "", outDev: "", flags: 0, invert: 0 };
    return {
      take: ({ name, value, invert, warn }) => {
        if (value !== "") interfaceName(value, warn);
        const bit = PHYSDEV_OPTIONS.find((entry) => entry[0] === name)![1];
        spec = {
          ...spec,
          flags: spec.flags | bit,
          invert: spec.invert | (invert ? bit : 0),
          inDev: name === "physdev-in" ? value : spec.inDev,
          outDev: name === "physdev-out" ? value : spec.outDev,
        };
      },
      finish: () => (spec.flags === 0 ? problem("PHYSDEV: no physdev option specified") : spec),
    };
  },
};

export const MAC: Extension<MacMatch> = {
  name: "mac",
  options: [{ name: "mac-source", arg: true, invert: true, mandatory: true }],
  open: () => {
    let spec: MacMatch = { name: "mac", hi: 0, lo: 0, invert: false };
    return {
      take: ({ value, invert }) => {
        const mac = parseMac(value);
        if (mac === null) problem("Invalid MAC address specified.");
        spec = { name: "mac", hi: mac.hi, lo: mac.lo, invert };
      },
      finish: () => spec,
    };
  },
};

export const TTL_MATCH: Extension<TtlMatch> = {
  name: "ttl",
  options: [
    { name: "ttl-lt", arg: true, excludes: ["ttl-gt", "ttl-eq"] },
    { name: "ttl-gt", arg: true, excludes: ["ttl-lt", "ttl-eq"] },
    { name: "ttl-eq", arg: true, invert: true, excludes: ["ttl-lt", "ttl-gt"] },
    { name: "ttl", arg: true, alias: "ttl-eq", excludes: ["ttl-lt", "ttl-gt"] },
  ],
  order: ["ttl-eq", "ttl-lt", "ttl-gt"],
  open: () => {
    let spec: TtlMatch | null = null;
    return {
      take: (given: Given) => {
        const ttl = numberOption("ttl", given, 0, 255);
        const op =
          given.name === "ttl-lt" ? "lt" : given.name === "ttl-gt" ? "gt" : given.invert ? "ne" : "eq";
        spec = { name: "ttl", op, ttl };
      },
      finish: () => spec ?? problem("TTL match: You must specify one of `--ttl-eq', `--ttl-lt', `--ttl-gt"),
    };
  },
};

export const POLICY: Extension<PolicyMatch> = {
  name: "policy",
  options: [
    { name: "dir", arg: true },
    { name: "pol", arg: true },
    { name: "strict", arg: false },
    ...["reqid", "spi", "tunnel-src", "tunnel-dst", "proto", "mode"].map((name) => ({
      name,
      arg: true,
      invert: true,
      multi: true,
    })),
    { name: "next", arg: false, multi: true },
  ],
  open: () => {
    let dir: "in" | "out" | "" = "";
    let pol: "none" | "ipsec" = "ipsec";
    return {
      take: ({ name, value }) => {
        if (name === "dir") {
          if (value !== "in" && value !== "out") problem(`policy_match: invalid dir "${value}"`);
          dir = value;
        } else if (name === "pol") {
          if (value !== "none" && value !== "ipsec") problem(`policy match: invalid policy "${value}"`);
          pol = value;
        } else throw new NotModelledError(`-m policy --${name}`);
      },
      finish: () =>
        dir === ""
          ? problem("policy match: neither --dir in nor --dir out specified")
          : { name: "policy", dir, pol },
    };
  },
};

/** Names by PACKET_*. */
export const PKTTYPE_NAMES: readonly string[] = ["unicast", "broadcast", "multicast", "otherhost"];

export const PKTTYPE: Extension<PkttypeMatch> = {
  name: "pkttype",
  options: [{ name: "pkt-type", arg: true, invert: true, mandatory: true }],
  open: () => {
    let spec: PkttypeMatch = { name: "pkttype", type: 0, invert: false };
    return {
      take: ({ value, invert }) => {
        const word = value.toLowerCase();
        const type = PKTTYPE_NAMES.indexOf(
          { bcast: "broadcast", mcast: "multicast", host: "unicast" }[word] ?? word,
        );
        if (type < 0) problem(`Bad packet type '${value}'`);
        spec = { name: "pkttype", type, invert };
      },
      finish: () => spec,
    };
  },
};
