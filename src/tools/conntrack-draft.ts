/** What the options of conntrack(8) 1.4.7 say, collected one after the other before they are checked together. */
import type { ConntrackFilter, Masked } from "../net/ctl/conntrack.ts";
import type { ConntrackEventType } from "../net/netfilter/conntrack/ecache.ts";
import { protoHasPorts } from "../net/netfilter/conntrack/tuple.ts";
import { inetAton } from "../net/netfilter/words/extension.ts";
import { NotModelledError, UsageError } from "../util/errors.ts";
import { IPPROTO_GRE, IPPROTO_ICMP } from "../wire/ipv4.ts";
import { type ConntrackCommand, OPTION_NAMES } from "./conntrack-options.ts";
import {
  CREATE_ONLY,
  EVENT_TYPES,
  looseNumber,
  loosePort,
  type NatAddress,
  parseAddress,
  parseCreateOnly,
  parseMasked,
  parseNat,
  parseProtocol,
  refuse,
  STATES,
  STATUS_BITS,
} from "./conntrack-values.ts";

type Filter = { -readonly [K in keyof ConntrackFilter]: ConntrackFilter[K] };

/** Collects the options before they make a filter. */
export interface Draft {
  command: ConntrackCommand | null;
  /** `expect`: no helper ever expects a connection. `none`: those that are dying or not confirmed, which nobody meets. */
  table: "conntrack" | "expect" | "none";
  extended: boolean;
  hasFamily: boolean;
  mark?: Masked;
  timeoutS?: number;
  status?: number;
  unreplied: boolean;
  events?: readonly ConntrackEventType[];
  /** Options that only -I takes. */
  readonly createOnly: Map<string, number>;
  bufferBytes: number;
  state?: number;
  srcNat?: NatAddress;
  dstNat?: NatAddress;
  readonly filter: Filter;
  readonly given: Set<string>;
  warnings: string;
}

type NumberKey = "origSport" | "origDport" | "replSport" | "replDport" | "icmpType" | "icmpCode" | "icmpId";

/** Options that a protocol brings along: they must come behind its `-p`. */
const PORTS: Readonly<Record<string, NumberKey>> = {
  "--sport": "origSport",
  "--orig-port-src": "origSport",
  "--dport": "origDport",
  "--orig-port-dst": "origDport",
  "--reply-port-src": "replSport",
  "--reply-port-dst": "replDport",
};
const ICMP_NUMBERS: Readonly<Record<string, NumberKey>> = {
  "--icmp-type": "icmpType",
  "--icmp-code": "icmpCode",
  "--icmp-id": "icmpId",
};
const GRE_KEYS: Readonly<Record<string, NumberKey>> = {
  "--srckey": "origSport",
  "--dstkey": "origDport",
  "--reply-key-src": "replSport",
  "--reply-key-dst": "replDport",
};

const ADDRESSES = {
  src: "origSrc",
  dst: "origDst",
  "reply-src": "replSrc",
  "reply-dst": "replDst",
} as const;

function addStatus(draft: Draft, text: string): void {
  for (const word of text.split(",")) {
    const name = word.toUpperCase();
    if (name === "UNREPLIED") draft.unreplied = true;
    else if (name === "SRC_NAT" || name === "DST_NAT")
      draft.warnings += `WARNING: ignoring ${name}, use --${name.slice(0, 3).toLowerCase()}-nat instead\n`;
    else if (Object.hasOwn(STATUS_BITS, name)) draft.status = (draft.status ?? 0) | STATUS_BITS[name];
    else throw refuse(`Bad parameter \`${word}'`);
  }
}

function setOutput(draft: Draft, text: string): void {
  for (const word of text.split(",")) {
    // The kernel keeps no time stamps of connections: there is nothing to add.
    if (word === "extended") draft.extended = true;
    else if (["xml", "timestamp", "id", "labels", "save", "userspace"].includes(word))
      throw new NotModelledError(`conntrack -o ${word}`);
    else if (word !== "ktimestamp") throw refuse(`Bad parameter \`${word}'`);
  }
}

function setState(draft: Draft, proto: number, text: string): void {
  const [names, complaint] = STATES[proto];
  draft.state = names.indexOf(text);
  if (draft.state < 0) throw refuse(`${complaint} \`${text}'`);
}

/** An option of the protocol; false when it has none of that name. */
function takeProtocolOption(draft: Draft, option: string, value: () => string): boolean {
  const { proto } = draft.filter;
  if (proto === undefined) return false;
  if (option === "--state" && proto in STATES) {
    setState(draft, proto, value());
    return true;
  }
  if (CREATE_ONLY[proto]?.includes(option) === true) {
    draft.createOnly.set(option, parseCreateOnly(option, value()));
    return true;
  }
  const numbers = protoHasPorts(proto) ? PORTS : proto === IPPROTO_ICMP ? ICMP_NUMBERS : GRE_KEYS;
  if (!(option in numbers) || (numbers === GRE_KEYS && proto !== IPPROTO_GRE)) return false;
  const text = value();
  draft.filter[numbers[option]] = numbers === GRE_KEYS ? looseNumber(text) & 0xffff : loosePort(text);
  return true;
}

type Taker = (draft: Draft, text: string) => void;

const zone =
  (key: "zone" | "zoneOrig" | "zoneReply"): Taker =>
  (draft, text) => {
    draft.filter[key] = looseNumber(text) & 0xffff;
  };

function label(_draft: Draft, text: string): never {
  throw new UsageError(
    `nfct_labelmap_new: No such file or directory\n${refuse(`unknown label '${text}'`).message}`,
    2,
  );
}

/** What the options with a value do, by the name that complaints use. */
const TAKERS: Readonly<Record<string, Taker>> = {
  protonum: (draft, text) => {
    draft.filter.proto = parseProtocol(text);
  },
  timeout: (draft, text) => {
    draft.timeoutS = looseNumber(text);
  },
  status: addStatus,
  "event-mask": (draft, text) => {
    for (const word of text.split(",")) {
      const types = EVENT_TYPES[word.toUpperCase()];
      if (types === undefined) throw refuse(`Bad parameter \`${word}'`);
      draft.events = [...(draft.events ?? []), ...types];
    }
  },
  "tuple-src": () => {},
  "tuple-dst": () => {},
  "mask-src": (draft, text) => setMask(draft, "origSrc", text),
  "mask-dst": (draft, text) => setMask(draft, "origDst", text),
  mark: (draft, text) => {
    draft.mark = parseMasked(text);
  },
  id: () => {},
  family: (draft, text) => {
    if (text === "ipv6") throw new NotModelledError("conntrack of IPv6");
    if (text !== "ipv4") throw refuse(`\`${text}' unsupported protocol`);
    draft.hasFamily = true;
  },
  output: setOutput,
  secmark: () => {},
  "buffer-size": (draft, text) => {
    draft.bufferBytes = looseNumber(text);
  },
  zone: zone("zone"),
  "orig-zone": zone("zoneOrig"),
  "reply-zone": zone("zoneReply"),
  label,
  "label-add": label,
  "label-del": label,
};

function setMask(draft: Draft, key: "origSrc" | "origDst", text: string): void {
  const value = inetAton(text);
  if (value === null) throw refuse(`Invalid IP address \`${text}'`);
  draft.filter[key] = { value: draft.filter[key]?.value ?? 0, mask: value };
}

function takeAddress(draft: Draft, name: keyof typeof ADDRESSES, text: string): void {
  const address = parseAddress(text);
  draft.filter[ADDRESSES[name]] = address;
  draft.hasFamily = true;
  if (address.mask !== -1 && (name === "src" || name === "dst")) draft.given.add(`mask-${name}`);
}

/** -n, -g, -j with the address behind them, if there is one. */
function takeNat(draft: Draft, name: string, text: string | null): void {
  const { filter } = draft;
  const kind = name === "src-nat" ? "src" : name === "dst-nat" ? "dst" : "any";
  filter.nat = filter.nat === undefined || filter.nat === kind ? kind : "both";
  if (text === null) return;
  const nat = parseNat(text);
  draft.hasFamily = true;
  if (kind !== "dst") draft.srcNat = nat;
  if (kind !== "src") draft.dstNat = nat;
}

/** An option; false when there is none of that name. `next`: the word behind it when that is no option. */
export function takeOption(
  draft: Draft,
  option: string,
  value: () => string,
  next: () => string | null,
): boolean {
  if (option === "-a") {
    value();
    draft.warnings += "WARNING: ignoring -a, deprecated option.\n";
    return true;
  }
  const name = Object.hasOwn(OPTION_NAMES, option) ? OPTION_NAMES[option] : null;
  if (name === null) return takeProtocolOption(draft, option, value);
  draft.given.add(name);
  if (name in ADDRESSES) takeAddress(draft, name as keyof typeof ADDRESSES, value());
  else if (name.endsWith("-nat")) takeNat(draft, name, next());
  else if (name !== "zero") TAKERS[name](draft, value());
  return true;
}

/** The word behind the command. */
export function setTable(draft: Draft, word: string): void {
  if (word === "conntrack") return;
  if (word === "expect") draft.table = "expect";
  else if (word === "dying" || word === "unconfirmed") draft.table = "none";
  else throw refuse(`unknown type \`${word}'`);
}
