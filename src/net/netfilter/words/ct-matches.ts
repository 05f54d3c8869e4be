/** conntrack, state, mark, connmark (libxt_conntrack.c, libxt_mark.c, libxt_connmark.c). */
import type { ConntrackMatch, MarkMatch, StateMatch } from "../rule-spec.ts";
import {
  badValue,
  bitList,
  type Extension,
  type Given,
  hostMaskOption,
  markOption,
  numberRangeOption,
  portRangeOption,
  problem,
} from "./extension.ts";
import { protocolNumber } from "./names.ts";

/** Bits of states: XT_CONNTRACK_STATE_*. */
export const CT_STATE_INVALID = 1;
export const CT_STATE_ESTABLISHED = 2;
export const CT_STATE_RELATED = 4;
export const CT_STATE_NEW = 8;
export const CT_STATE_UNTRACKED = 64;
export const CT_STATE_SNAT = 128;
export const CT_STATE_DNAT = 256;

/** In the order of printing. */
export const CT_STATE_NAMES: ReadonlyMap<string, number> = new Map([
  ["INVALID", CT_STATE_INVALID],
  ["NEW", CT_STATE_NEW],
  ["RELATED", CT_STATE_RELATED],
  ["ESTABLISHED", CT_STATE_ESTABLISHED],
  ["UNTRACKED", CT_STATE_UNTRACKED],
  ["SNAT", CT_STATE_SNAT],
  ["DNAT", CT_STATE_DNAT],
]);

export const STATE_NAMES: ReadonlyMap<string, number> = new Map(
  [...CT_STATE_NAMES].filter(([, bit]) => bit < CT_STATE_SNAT),
);

/** IPS_* bits. */
export const CT_STATUS_NAMES: ReadonlyMap<string, number> = new Map([
  ["EXPECTED", 1],
  ["SEEN_REPLY", 2],
  ["ASSURED", 4],
  ["CONFIRMED", 8],
]);

/** In the order in which a beginning of a name is looked up. */
const STATE_WORDS = reordered(STATE_NAMES, ["INVALID", "NEW", "ESTABLISHED"]);
const CT_STATE_WORDS = reordered(CT_STATE_NAMES, ["INVALID", "NEW", "ESTABLISHED"]);
const CT_STATUS_WORDS: ReadonlyMap<string, number> = new Map([["NONE", 0], ...CT_STATUS_NAMES]);

/** The map with some names first. */
function reordered(
  names: ReadonlyMap<string, number>,
  first: readonly string[],
): ReadonlyMap<string, number> {
  return new Map([...first.map((name) => [name, names.get(name)!] as const), ...names]);
}

function badState(rest: string, last: boolean): never {
  if (last && rest === "")
    problem('"--state" requires a list of states with no spaces, e.g. ESTABLISHED,RELATED');
  return problem(`Bad state "${rest}"`);
}

/** Bits of `ConntrackMatch.flags` and `invert` (XT_CONNTRACK_*). */
export const XT_CONNTRACK_STATE = 0x01;
export const XT_CONNTRACK_PROTO = 0x02;
export const XT_CONNTRACK_ORIGSRC = 0x04;
export const XT_CONNTRACK_ORIGDST = 0x08;
export const XT_CONNTRACK_REPLSRC = 0x10;
export const XT_CONNTRACK_REPLDST = 0x20;
export const XT_CONNTRACK_STATUS = 0x40;
export const XT_CONNTRACK_EXPIRES = 0x80;
export const XT_CONNTRACK_ORIGSRC_PORT = 0x100;
export const XT_CONNTRACK_ORIGDST_PORT = 0x200;
export const XT_CONNTRACK_REPLSRC_PORT = 0x400;
export const XT_CONNTRACK_REPLDST_PORT = 0x800;
export const XT_CONNTRACK_DIRECTION = 0x1000;

/** Option name by bit, for reading and writing: addresses and ports by tuple side. */
export const CT_ADDR_OPTIONS: readonly (readonly [string, number])[] = [
  ["ctorigsrc", XT_CONNTRACK_ORIGSRC],
  ["ctorigdst", XT_CONNTRACK_ORIGDST],
  ["ctreplsrc", XT_CONNTRACK_REPLSRC],
  ["ctrepldst", XT_CONNTRACK_REPLDST],
];
export const CT_PORT_OPTIONS: readonly (readonly [string, number])[] = [
  ["ctorigsrcport", XT_CONNTRACK_ORIGSRC_PORT],
  ["ctorigdstport", XT_CONNTRACK_ORIGDST_PORT],
  ["ctreplsrcport", XT_CONNTRACK_REPLSRC_PORT],
  ["ctrepldstport", XT_CONNTRACK_REPLDST_PORT],
];

const NO_PAIRS: readonly [number, number][] = [
  [0, 0],
  [0, 0],
  [0, 0],
  [0, 0],
];

function replaceAt<T>(list: readonly T[], index: number, value: T): T[] {
  return list.map((old, i) => (i === index ? value : old));
}

/** What one option adds to the match, and its bit. */
function conntrackOption(spec: ConntrackMatch, given: Given): [number, Partial<ConntrackMatch>] {
  const { name, value } = given;
  const addr = CT_ADDR_OPTIONS.findIndex((entry) => entry[0] === name);
  if (addr >= 0)
    return [
      CT_ADDR_OPTIONS[addr][1],
      { addrs: replaceAt(spec.addrs, addr, hostMaskOption("conntrack", given)) },
    ];
  const port = CT_PORT_OPTIONS.findIndex((entry) => entry[0] === name);
  if (port >= 0)
    return [
      CT_PORT_OPTIONS[port][1],
      { ports: replaceAt(spec.ports, port, portRangeOption("conntrack", given)) },
    ];
  if (name === "ctstate") {
    const states = bitList(value, CT_STATE_WORDS, (rest) => problem(`Bad ctstate "${rest}"`));
    return [XT_CONNTRACK_STATE, { states }];
  }
  if (name === "ctproto") {
    const proto = protocolNumber(value);
    if (proto === null) problem(`unknown protocol "${value}" specified`);
    if (proto === 0 && given.invert) problem("conntrack: rule would never match protocol");
    return [XT_CONNTRACK_PROTO, { proto }];
  }
  if (name === "ctstatus") return [XT_CONNTRACK_STATUS, { status: statusBits(value) }];
  if (name === "ctexpire")
    return [XT_CONNTRACK_EXPIRES, { expires: numberRangeOption("conntrack", given, 0xffffffff) }];
  return ctDirection(value);
}

function statusBits(value: string): number {
  return bitList(value, CT_STATUS_WORDS, (rest) => problem(`Bad ctstatus "${rest}"`));
}

function ctDirection(value: string): [number, Partial<ConntrackMatch>] {
  const word = value.toUpperCase();
  if (word !== "ORIGINAL" && word !== "REPLY") badValue("conntrack", "ctdir", value);
  return [XT_CONNTRACK_DIRECTION, {}];
}

export const CONNTRACK: Extension<ConntrackMatch> = {
  name: "conntrack",
  options: [
    "ctstate",
    "ctproto",
    ...CT_ADDR_OPTIONS.map((entry) => entry[0]),
    "ctstatus",
    "ctexpire",
    ...CT_PORT_OPTIONS.map((entry) => entry[0]),
    "ctdir",
  ].map((name) => ({ name, arg: true, invert: name !== "ctdir" })),
  open: () => {
    let spec: ConntrackMatch = {
      name: "conntrack",
      flags: 0,
      invert: 0,
      states: 0,
      status: 0,
      proto: 0,
      addrs: NO_PAIRS,
      ports: NO_PAIRS,
      expires: [0, 0],
    };
    return {
      take: (given) => {
        const [bit, change] = conntrackOption(spec, given);
        // The direction is kept as the kernel does: REPLY is the inverted ORIGINAL.
        const inverted =
          given.invert || (bit === XT_CONNTRACK_DIRECTION && given.value.toUpperCase() === "REPLY");
        spec = { ...spec, ...change, flags: spec.flags | bit, invert: spec.invert | (inverted ? bit : 0) };
      },
      finish: () => (spec.flags === 0 ? problem("conntrack: At least one option is required") : spec),
    };
  },
};

export const STATE: Extension<StateMatch> = {
  name: "state",
  options: [{ name: "state", arg: true, invert: true, mandatory: true }],
  open: () => {
    let spec: StateMatch = { name: "state", states: 0, invert: false };
    return {
      take: (given) => {
        const states = bitList(given.value, STATE_WORDS, badState);
        spec = { name: "state", states, invert: given.invert };
      },
      finish: () => spec,
    };
  },
};

export function markExtension(name: "mark" | "connmark"): Extension<MarkMatch> {
  return {
    name,
    options: [{ name: "mark", arg: true, invert: true, mandatory: true }],
    open: () => {
      let spec: MarkMatch = { name, mark: 0, mask: -1, invert: false };
      return {
        take: (given) => {
          const [mark, mask] = markOption(name, given);
          spec = { name, mark, mask, invert: given.invert };
        },
        finish: () => spec,
      };
    },
  };
}
