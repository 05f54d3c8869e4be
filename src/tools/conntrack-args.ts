/** The command line of conntrack(8) 1.4.7. */
import type { ConntrackFilter, Masked } from "../net/ctl/conntrack.ts";
import { IPS_ASSURED, IPS_SEEN_REPLY, TCP_CONNTRACK_NAMES } from "../net/netfilter/conntrack/conn.ts";
import { NotModelledError, UsageError } from "../util/errors.ts";
import { parseCidr, prefixToMask } from "../wire/address.ts";
import { IPPROTO_ICMP, IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP } from "../wire/ipv4.ts";

export const CONNTRACK_VERSION = "conntrack v1.4.7 (conntrack-tools)";

export type ConntrackCommand = "list" | "delete" | "update" | "get" | "flush" | "count" | "stats" | "version";

export interface ConntrackArgs {
  readonly command: ConntrackCommand;
  readonly filter: ConntrackFilter;
  /** `-o extended`: the network protocol in front. */
  readonly extended: boolean;
  /** What -U sets. */
  readonly setMark?: Masked;
  readonly setTimeoutS?: number;
}

/** Collects the options before they make a filter. */
interface Draft {
  command: ConntrackCommand | null;
  extended: boolean;
  mark?: Masked;
  timeoutS?: number;
  filter: { -readonly [K in keyof ConntrackFilter]: ConntrackFilter[K] };
}

const COMMANDS: Readonly<Record<string, ConntrackCommand>> = {
  "-L": "list",
  "--dump": "list",
  "-D": "delete",
  "--delete": "delete",
  "-U": "update",
  "--update": "update",
  "-G": "get",
  "--get": "get",
  "-F": "flush",
  "--flush": "flush",
  "-C": "count",
  "--count": "count",
  "-S": "stats",
  "--stats": "stats",
  "-V": "version",
  "--version": "version",
};

const PROTOCOLS: Readonly<Record<string, number>> = {
  tcp: IPPROTO_TCP,
  udp: IPPROTO_UDP,
  icmp: IPPROTO_ICMP,
  sctp: IPPROTO_SCTP,
};

type AddressKey = "origSrc" | "origDst" | "replSrc" | "replDst";
type NumberKey = "origSport" | "origDport" | "replSport" | "replDport" | "icmpType" | "icmpCode" | "icmpId";

const ADDRESSES: Readonly<Record<string, AddressKey>> = {
  "-s": "origSrc",
  "--src": "origSrc",
  "--orig-src": "origSrc",
  "-d": "origDst",
  "--dst": "origDst",
  "--orig-dst": "origDst",
  "-r": "replSrc",
  "--reply-src": "replSrc",
  "-q": "replDst",
  "--reply-dst": "replDst",
};

/** Options that a protocol brings along: they must come behind its `-p`. */
const NUMBERS: Readonly<Record<string, NumberKey>> = {
  "--sport": "origSport",
  "--orig-port-src": "origSport",
  "--dport": "origDport",
  "--orig-port-dst": "origDport",
  "--reply-port-src": "replSport",
  "--reply-port-dst": "replDport",
  "--icmp-type": "icmpType",
  "--icmp-code": "icmpCode",
  "--icmp-id": "icmpId",
};

const NAT_OPTIONS: Readonly<Record<string, "src" | "dst" | "any">> = {
  "-n": "src",
  "--src-nat": "src",
  "-g": "dst",
  "--dst-nat": "dst",
  "-j": "any",
  "--any-nat": "any",
};

function refuse(text: string): UsageError {
  return new UsageError(
    `${CONNTRACK_VERSION}: ${text}\nTry \`conntrack -h' or 'conntrack --help' for more information.\n`,
    2,
  );
}

function parseNumber(text: string): number {
  const value = Number(text);
  if (text === "" || !Number.isInteger(value) || value < 0) throw refuse(`Invalid number \`${text}'`);
  return value;
}

function parseMasked(text: string): Masked {
  const [value, mask] = text.split("/");
  return { value: parseNumber(value) | 0, mask: mask === undefined ? -1 : parseNumber(mask) | 0 };
}

function parseAddress(text: string): Masked {
  const cidr = parseCidr(text);
  if (cidr === null) throw refuse(`Invalid IP address \`${text}'`);
  return { value: cidr.addr, mask: prefixToMask(cidr.prefixLen) };
}

function parseProtocol(text: string): number {
  const proto = PROTOCOLS[text.toLowerCase()] ?? (/^[0-9]+$/.test(text) ? Number(text) : -1);
  if (proto < 0) throw refuse(`\`${text}' unsupported protocol`);
  return proto;
}

function addStatus(draft: Draft, text: string): void {
  for (const word of text.toUpperCase().split(",")) {
    if (word === "ASSURED") draft.filter.status = (draft.filter.status ?? 0) | IPS_ASSURED;
    else if (word === "SEEN_REPLY") draft.filter.status = (draft.filter.status ?? 0) | IPS_SEEN_REPLY;
    else if (word === "UNREPLIED") draft.filter.unreplied = true;
    else throw refuse(`Invalid status \`${text}'`);
  }
}

function setOutput(draft: Draft, text: string): void {
  for (const word of text.split(",")) {
    if (word === "extended") draft.extended = true;
    else throw new NotModelledError(`conntrack -o ${word}`);
  }
}

function setState(draft: Draft, text: string): void {
  const state = TCP_CONNTRACK_NAMES.indexOf(text.toUpperCase());
  if (state < 0) throw refuse(`Invalid state \`${text}'`);
  draft.filter.tcpState = state;
}

function setNat(draft: Draft, nat: "src" | "dst" | "any"): void {
  const before = draft.filter.nat;
  draft.filter.nat = before === undefined || before === nat ? nat : "both";
}

/** The address that a flow is translated to: the answers come from it, or go to it. */
function setNatAddress(draft: Draft, option: string, text: string): void {
  const nat = NAT_OPTIONS[option];
  if (nat === "any") throw new NotModelledError(`conntrack ${option} ADDRESS`);
  draft.filter[nat === "src" ? "replDst" : "replSrc"] = parseAddress(text);
}

/** An option that takes `value`; false when there is none of that name. */
function takeOption(draft: Draft, option: string, value: () => string): boolean {
  const isChange = draft.command === "update";
  if (option in ADDRESSES) draft.filter[ADDRESSES[option]] = parseAddress(value());
  else if (option in NUMBERS && draft.filter.proto !== undefined)
    draft.filter[NUMBERS[option]] = parseNumber(value());
  else if (option === "-p" || option === "--proto") draft.filter.proto = parseProtocol(value());
  else if (option === "--state" && draft.filter.proto === IPPROTO_TCP) setState(draft, value());
  else if (option === "-o" || option === "--output") setOutput(draft, value());
  else if (option === "-u" || option === "--status") addStatus(draft, value());
  else if (option === "-m" || option === "--mark") {
    const mark = parseMasked(value());
    if (isChange) draft.mark = mark;
    else draft.filter.mark = mark;
  } else if (option === "-t" || option === "--timeout") draft.timeoutS = parseNumber(value());
  else if (option === "-f" || option === "--family") {
    if (value() !== "ipv4") throw new NotModelledError("conntrack of IPv6");
  } else return false;
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

/** Throws UsageError with the real command's words. */
export function parseConntrackArgs(argv: readonly string[]): ConntrackArgs {
  const draft: Draft = { command: null, extended: false, filter: {} };
  const words = splitWords(argv);
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    if (word in COMMANDS) {
      if (draft.command !== null) throw refuse("Can't use multiple commands");
      draft.command = COMMANDS[word];
      if (words[i + 1] === "conntrack") i++;
      else if (words[i + 1] === "expect") throw new NotModelledError("conntrack expectations");
      continue;
    }
    if (word in NAT_OPTIONS) {
      setNat(draft, NAT_OPTIONS[word]);
      if (i + 1 < words.length && /^[0-9.]+$/.test(words[i + 1])) setNatAddress(draft, word, words[++i]);
      continue;
    }
    if (["-E", "--event", "-I", "--create", "-A", "--add", "-R", "--load-file"].includes(word))
      throw new NotModelledError(`conntrack ${word}`);
    const value = (): string => {
      if (i + 1 >= words.length) throw refuse(`option \`${word}' requires an argument`);
      return words[++i];
    };
    if (!takeOption(draft, word, value)) throw refuse(`unknown option \`${word}'`);
  }
  if (draft.command === null) throw refuse("No command specified");
  return {
    command: draft.command,
    filter: draft.filter,
    extended: draft.extended,
    setMark: draft.mark,
    setTimeoutS: draft.timeoutS,
  };
}
