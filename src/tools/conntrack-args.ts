/** The command line of conntrack(8) 1.4.7. */
import type { ConntrackFilter, Masked, NewFlow } from "../net/ctl/conntrack.ts";
import type { ConntrackEventType } from "../net/netfilter/conntrack/ecache.ts";
import { protoHasPorts } from "../net/netfilter/conntrack/tuple.ts";
import { inetAton } from "../net/netfilter/words/extension.ts";
import { NotModelledError, UsageError } from "../util/errors.ts";
import { IPPROTO_GRE, IPPROTO_ICMP } from "../wire/ipv4.ts";
import { COMMANDS, type ConntrackCommand, checkOptions, OPTION_NAMES } from "./conntrack-options.ts";
import {
  CREATE_ONLY,
  EVENT_TYPES,
  looseNumber,
  loosePort,
  type NatAddress,
  parseAddress,
  parseMasked,
  parseNat,
  parseProtocol,
  refuse,
  STATES,
  STATUS_BITS,
} from "./conntrack-values.ts";

export interface ConntrackArgs {
  readonly command: ConntrackCommand;
  /** `expect`: no helper ever expects a connection. `none`: those that are dying or not confirmed, which nobody meets. */
  readonly table: "conntrack" | "expect" | "none";
  readonly filter: ConntrackFilter;
  /** `-o extended`: the network protocol in front. */
  readonly extended: boolean;
  /** -L -z: the counters begin anew. */
  readonly zero: boolean;
  /** Of which kinds -E tells. */
  readonly events: readonly ConntrackEventType[];
  /** What -U sets. */
  readonly setMark?: Masked;
  readonly setTimeoutS?: number;
  readonly setStatus?: number;
  readonly setState?: number;
  /** -U knows of which family the entries are: an address says it, or -f. */
  readonly hasFamily: boolean;
  /** What -I makes. */
  readonly create?: NewFlow;
  /** Lines for stderr that refuse nothing. */
  readonly warnings: string;
}

type Filter = { -readonly [K in keyof ConntrackFilter]: ConntrackFilter[K] };

/** Collects the options before they make a filter. */
interface Draft {
  command: ConntrackCommand | null;
  table: ConntrackArgs["table"];
  extended: boolean;
  hasFamily: boolean;
  mark?: Masked;
  timeoutS?: number;
  status?: number;
  unreplied: boolean;
  events?: readonly ConntrackEventType[];
  /** The first option that only -I takes. */
  createOnly?: string;
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
    value();
    draft.createOnly ??= option;
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
  "buffer-size": () => {},
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
function takeOption(draft: Draft, option: string, value: () => string, next: () => string | null): boolean {
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

/** Splits `--name=value` and `-xVALUE` words, so that an option and its value stand apart. */
function splitWords(argv: readonly string[]): string[] {
  const words: string[] = [];
  for (const word of argv) {
    const equals = word.indexOf("=");
    if (word.startsWith("--") && equals > 0) words.push(word.slice(0, equals), word.slice(equals + 1));
    else if (/^-[a-zA-Z].+/.test(word)) words.push(word.slice(0, 2), word.slice(2));
    else words.push(word);
  }
  return words;
}

function setTable(draft: Draft, word: string): void {
  if (word === "conntrack") return;
  if (word === "expect") draft.table = "expect";
  else if (word === "dying" || word === "unconfirmed") draft.table = "none";
  else throw refuse(`unknown type \`${word}'`);
}

/** What -G and -I must know of the flow. */
function checkTuple(command: ConntrackCommand, { filter, state }: Draft): void {
  const { proto, origSrc, origDst, replSrc, replDst } = filter;
  const original = origSrc !== undefined && origDst !== undefined;
  if (!original && (replSrc === undefined || replDst === undefined))
    throw refuse("you have to specify `--src' and `--dst'");
  if (command === "create" && proto! in STATES && state === undefined)
    throw refuse("You need to supply the `--state' option for this command");
  if (proto === IPPROTO_ICMP) {
    if (filter.icmpType === undefined)
      throw refuse("You need to supply the `--icmp-type' option for this command");
    if (filter.icmpCode === undefined)
      throw refuse("You need to supply the `--icmp-code' option for this command");
    return;
  }
  const ported = protoHasPorts(proto!);
  if (!ported && proto !== IPPROTO_GRE) return;
  const numbers = filter.origSport !== undefined && filter.origDport !== undefined;
  const replies = filter.replSport !== undefined && filter.replDport !== undefined;
  if (numbers || replies) return;
  throw refuse(
    ported ? "you have to specify `--sport' and `--dport'" : "you have to specify `--srckey' and `--dstkey'",
  );
}

/** The flow that -I makes: its answers come the same way back, but for what is said of them, and of NAT. */
function newFlow({ filter, srcNat, dstNat, mark, status, state, timeoutS }: Draft): NewFlow {
  const { proto, origSrc, origDst, replSrc, replDst } = filter;
  const icmp = proto === IPPROTO_ICMP;
  const sport = (icmp ? filter.icmpId : filter.origSport) ?? 0;
  const dport = icmp ? ((filter.icmpType ?? 0) << 8) | (filter.icmpCode ?? 0) : (filter.origDport ?? 0);
  return {
    proto: proto!,
    src: origSrc?.value ?? 0,
    dst: origDst?.value ?? 0,
    sport,
    dport,
    replSrc: dstNat?.addr.value ?? replSrc?.value,
    replDst: srcNat?.addr.value ?? replDst?.value,
    replSport: dstNat?.port ?? filter.replSport,
    replDport: srcNat?.port ?? filter.replDport,
    nat: srcNat !== undefined || dstNat !== undefined,
    mark: mark?.value ?? 0,
    status: status ?? 0,
    state,
    timeoutS: timeoutS ?? 0,
    zone: filter.zone ?? filter.zoneOrig ?? filter.zoneReply ?? 0,
    zoneDir: filter.zone !== undefined ? "both" : filter.zoneOrig !== undefined ? "orig" : "reply",
  };
}

function finish(draft: Draft): ConntrackArgs {
  const { command, filter, given, mark, status } = draft;
  const wrong = checkOptions(command, given);
  if (wrong !== null) throw refuse(wrong);
  if (command === null) throw new NotModelledError("conntrack --help");
  if (draft.createOnly !== undefined && command !== "create")
    throw refuse(`Illegal option \`${draft.createOnly}' with this command`);
  for (const end of ["src", "dst"])
    if (given.has(`mask-${end}`) && !given.has(end)) throw refuse(`Can't use --mask-${end} without --${end}`);
  if (command === "get" || command === "create") checkTuple(command, draft);
  const zero = given.has("zero");
  if (zero && given.size > 1) throw refuse("Can't use -z with filtering parameters");
  const isUpdate = command === "update";
  if (!isUpdate) {
    if (mark !== undefined) filter.mark = mark;
    if (status !== undefined) filter.status = status;
    if (draft.state !== undefined) filter.state = draft.state;
    if (draft.unreplied) filter.unreplied = true;
  }
  if (draft.srcNat !== undefined) filter.natSrc = draft.srcNat;
  if (draft.dstNat !== undefined) filter.natDst = draft.dstNat;
  return {
    command,
    table: draft.table,
    filter,
    extended: draft.extended,
    zero,
    events: draft.events ?? EVENT_TYPES.ALL,
    hasFamily: draft.hasFamily,
    warnings: draft.warnings,
    ...(isUpdate
      ? { setMark: mark, setTimeoutS: draft.timeoutS, setStatus: status, setState: draft.state }
      : {}),
    ...(command === "create" ? { create: newFlow(draft) } : {}),
  };
}

/** Throws UsageError with the real command's words. */
export function parseConntrackArgs(argv: readonly string[]): ConntrackArgs {
  const draft: Draft = {
    command: null,
    table: "conntrack",
    extended: false,
    hasFamily: false,
    unreplied: false,
    filter: {},
    given: new Set(),
    warnings: "",
  };
  try {
    return readWords(draft, splitWords(argv));
  } catch (error) {
    // What was warned about before stands before the refusal.
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(draft.warnings + error.message, 2);
  }
}

function readWords(draft: Draft, words: readonly string[]): ConntrackArgs {
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    const next = (): string | null => (/^[^-]/.test(words[i + 1] ?? "") ? words[++i] : null);
    if (Object.hasOwn(COMMANDS, word)) {
      if (draft.command !== null) throw refuse("Invalid commands combination");
      draft.command = COMMANDS[word];
      const table = next();
      if (table !== null) setTable(draft, table);
      continue;
    }
    if (["-A", "--add", "-R", "--load-file", "-h", "--help"].includes(word))
      throw new NotModelledError(`conntrack ${word}`);
    const value = (): string => {
      if (i + 1 >= words.length) throw refuse(`option \`${word}' requires an argument`);
      return words[++i];
    };
    if (word.startsWith("-") && !takeOption(draft, word, value, next))
      throw refuse(`unknown option \`${word}'`);
  }
  return finish(draft);
}
