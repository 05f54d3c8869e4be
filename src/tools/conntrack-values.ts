/** The values in the command line of conntrack(8) 1.4.7: numbers, addresses, names. */
import type { Masked } from "../net/ctl/conntrack.ts";
import {
  IPS_ASSURED,
  IPS_EXPECTED,
  IPS_FIXED_TIMEOUT,
  IPS_SEEN_REPLY,
  TCP_CONNTRACK_NAMES,
} from "../net/netfilter/conntrack/conn.ts";
import type { ConntrackEventType } from "../net/netfilter/conntrack/ecache.ts";
import { CT_DCCP_NAMES, SCTP_CONNTRACK_NAMES } from "../net/netfilter/conntrack/track.ts";
import { inetAton } from "../net/netfilter/words/extension.ts";
import { leadingNumber } from "../net/netfilter/words/names.ts";
import { UsageError } from "../util/errors.ts";
import { prefixToMask } from "../wire/address.ts";
import {
  IPPROTO_DCCP,
  IPPROTO_GRE,
  IPPROTO_ICMP,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPPROTO_UDPLITE,
} from "../wire/ipv4.ts";

export const CONNTRACK_VERSION = "conntrack v1.4.7 (conntrack-tools)";

/** `ADDRESS[:PORT]` behind -n, -g, -j. */
export interface NatAddress {
  readonly addr: Masked;
  readonly port?: number;
}

export const PROTOCOLS: Readonly<Record<string, number>> = {
  tcp: IPPROTO_TCP,
  udp: IPPROTO_UDP,
  udplite: IPPROTO_UDPLITE,
  icmp: IPPROTO_ICMP,
  sctp: IPPROTO_SCTP,
  dccp: IPPROTO_DCCP,
  gre: IPPROTO_GRE,
};

/** States by protocol, and what is said of others. */
export const STATES: Readonly<Record<number, readonly [names: readonly string[], complaint: string]>> = {
  [IPPROTO_TCP]: [[...TCP_CONNTRACK_NAMES.slice(0, 9), "LISTEN"], "unknown TCP state"],
  [IPPROTO_SCTP]: [SCTP_CONNTRACK_NAMES, "unknown SCTP state"],
  [IPPROTO_DCCP]: [CT_DCCP_NAMES, "Unknown DCCP state"],
};

export const STATUS_BITS: Readonly<Record<string, number>> = {
  ASSURED: IPS_ASSURED,
  SEEN_REPLY: IPS_SEEN_REPLY,
  UNSET: 0,
  FIXED_TIMEOUT: IPS_FIXED_TIMEOUT,
  EXPECTED: IPS_EXPECTED,
  OFFLOAD: 1 << 14,
};

/** What a connection that is made by hand must also have: the tags of SCTP, the side that the client of DCCP is on. */
export const CREATE_ONLY: Readonly<Record<number, readonly string[]>> = {
  [IPPROTO_SCTP]: ["--orig-vtag", "--reply-vtag"],
  [IPPROTO_DCCP]: ["--role"],
};

/** 0: the original source is the client. */
const DCCP_ROLES: readonly string[] = ["client", "server"];

export function parseCreateOnly(option: string, text: string): number {
  if (option !== "--role") return looseNumber(text);
  const role = DCCP_ROLES.indexOf(text.toLowerCase());
  if (role < 0) throw refuse(`Unknown DCCP role \`${text}'`);
  return role;
}

/** Words of -e. */
export const EVENT_TYPES: Readonly<Record<string, readonly ConntrackEventType[]>> = {
  ALL: ["NEW", "UPDATE", "DESTROY"],
  NEW: ["NEW"],
  UPDATES: ["UPDATE"],
  DESTROY: ["DESTROY"],
};

/** Bad words: exit status 2. */
export function refuse(text: string): UsageError {
  return new UsageError(
    `${CONNTRACK_VERSION}: ${text}\nTry \`conntrack -h' or 'conntrack --help' for more information.\n`,
    2,
  );
}

/** The number that a text begins with, 0 when there is none (strtoul). */
export function looseNumber(text: string): number {
  return leadingNumber(text)?.value ?? 0;
}

/** The decimal number that a text begins with, of 16 bits (atoi). */
export function loosePort(text: string): number {
  return Number(/^\s*(\d+)/.exec(text)?.[1] ?? 0) & 0xffff;
}

export function parseMasked(text: string): Masked {
  const [value, mask] = text.split("/");
  return { value: looseNumber(value) | 0, mask: mask === undefined ? -1 : looseNumber(mask) | 0 };
}

/** `ADDRESS`, or with the length of a prefix behind a slash. */
export function parseAddress(text: string): Masked {
  const [address, prefix] = text.split("/");
  const value = inetAton(address);
  if (value === null) throw refuse(`Invalid IP address \`${address}'`);
  if (prefix === undefined) return { value, mask: -1 };
  if (!/^\d*$/.test(prefix) || Number(prefix) > 32) throw refuse("Invalid netmask");
  return { value, mask: prefixToMask(Number(prefix)) };
}

export function parseProtocol(text: string): number {
  const proto = PROTOCOLS[text.toLowerCase()] ?? (/^[0-9]+$/.test(text) ? Number(text) : -1);
  if (proto < 0 || proto > 255) throw refuse(`\`${text}' unsupported protocol`);
  return proto;
}

export function parseNat(text: string): NatAddress {
  const [address, port] = text.split(":");
  if (port === undefined) return { addr: parseAddress(address) };
  if (!/^\d+$/.test(port) || Number(port) > 0xffff) throw refuse(`Invalid port \`${port}'`);
  return { addr: parseAddress(address), port: Number(port) };
}
