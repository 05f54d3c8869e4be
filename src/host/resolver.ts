/**
 * The stub resolver of glibc (resolv/res_send.c, getaddrinfo): /etc/hosts, search list and ndots, UDP with TCP after a
 * truncated answer, two attempts of five seconds a server.
 */

import { sockOf } from "../net/ipv4/sock.ts";
import type { UdpSock } from "../net/ipv4/udp-sock.ts";
import { SysError } from "../util/errors.ts";
import { parseIp4 } from "../wire/address.ts";
import {
  DNS_A,
  DNS_AAAA,
  DNS_CLASS_IN,
  DNS_NOERROR,
  DNS_QR,
  DNS_RD,
  DNS_TC,
  type DnsMessage,
  decodeDns,
  dnsRcode,
  encodeDns,
} from "../wire/dns.ts";
import { frameDns, readDnsFrame } from "./dns-stream.ts";
import { type Co, giveWay, type Process } from "./process.ts";
import { closeSocket, connectTcp, openUdp, recvUdp, sendTcp } from "./socket.ts";

const DNS_PORT = 53;
const SEC = 1_000_000_000;

/** /etc/resolv.conf and /etc/hosts of a namespace. */
export interface ResolverConfig {
  /** int32 addresses. */
  readonly nameservers: readonly number[];
  readonly search?: readonly string[];
  readonly ndots?: number;
  readonly timeoutSec?: number;
  readonly attempts?: number;
  /** Host names in lower case to an int32 address. */
  readonly hosts?: ReadonlyMap<string, number>;
}

const configs = new WeakMap<Process, ResolverConfig>();

/** Gives a process files of its own, as a container has them; without, the machine's name servers count. */
export function setResolverConfig(process: Process, config: ResolverConfig): void {
  configs.set(process, config);
}

export function resolverConfigOf(process: Process): ResolverConfig {
  return configs.get(process) ?? { nameservers: process.machine.nameservers };
}

/** Why a name has no address: EAI_NONAME (it does not exist), EAI_AGAIN (no answer), EAI_NODATA. */
export class ResolveError extends Error {
  readonly code: "EAI_NONAME" | "EAI_AGAIN" | "EAI_NODATA";
  constructor(code: ResolveError["code"], name: string) {
    super(`${name}: ${code}`);
    this.name = "ResolveError";
    this.code = code;
  }
}

/** IPv4 addresses of a host name or address text. `family` 4 asks for A only, else AAAA too, as getaddrinfo does. */
export function* resolveHost(process: Process, name: string, family: 0 | 4 = 0): Co<number[]> {
  const literal = parseIp4(name);
  if (literal !== null) return [literal];
  const config = resolverConfigOf(process);
  const lower = name.toLowerCase();
  const listed = config.hosts?.get(lower) ?? (lower === "localhost" ? 0x7f000001 : undefined);
  if (listed !== undefined) return [listed];
  const types = family === 4 ? [DNS_A] : [DNS_A, DNS_AAAA];
  let answered = false;
  for (const candidate of candidates(config, name)) {
    const messages = yield* dnsQuery(process, candidate, types, config);
    if (messages === null) throw new ResolveError("EAI_AGAIN", name);
    const addrs = messages.flatMap((message) => addressesIn(message));
    if (addrs.length > 0) return addrs;
    answered ||= messages.some((message) => dnsRcode(message.flags) === DNS_NOERROR);
  }
  throw new ResolveError(answered ? "EAI_NODATA" : "EAI_NONAME", name);
}

function addressesIn(message: DnsMessage): number[] {
  return message.answers.flatMap(({ data }) => (data.kind === "a" ? [data.addr] : []));
}

/** Names to ask for, in order: as written first when it has enough dots (res_search). */
function candidates(config: ResolverConfig, name: string): string[] {
  if (name.endsWith(".")) return [name];
  const dots = name.split(".").length - 1;
  const searched = (config.search ?? []).map((domain) => `${name}.${domain}.`);
  return dots >= (config.ndots ?? 1) ? [`${name}.`, ...searched] : [...searched, `${name}.`];
}

/** Asks the servers for `name` (with its last dot); one message a type, or null when none answered (res_nsend). */
export function* dnsQuery(
  process: Process,
  name: string,
  types: readonly number[],
  config: ResolverConfig = resolverConfigOf(process),
): Co<DnsMessage[] | null> {
  const servers = config.nameservers.length > 0 ? config.nameservers : [0x7f000001];
  const prng = sockOf(process.ns).prng;
  const queries = types.map((type) => ({
    id: process.machine.queryId(prng),
    flags: DNS_RD,
    questions: [{ name, type, class: DNS_CLASS_IN }],
    answers: [],
    authorities: [],
    additionals: [],
  }));
  for (let attempt = 0; attempt < (config.attempts ?? 2); attempt++)
    for (const server of servers) {
      const messages = yield* askServer(process, server, queries, (config.timeoutSec ?? 5) * SEC);
      if (messages !== null) return messages;
    }
  return null;
}

/** One try at one server; null: no (whole) answer. */
function* askServer(
  process: Process,
  server: number,
  queries: DnsMessage[],
  timeoutNs: number,
): Co<DnsMessage[] | null> {
  const sk = openUdp(process);
  try {
    sk.connect(server, DNS_PORT);
    for (const [i, query] of queries.entries()) {
      // sendmmsg(2) gives the processor away between two messages.
      if (i > 0) yield* giveWay();
      sk.send(encodeDns(query, false));
    }
    const messages = yield* collect(sk, queries, timeoutNs);
    if (messages === null) return null;
    for (let i = 0; i < messages.length; i++)
      if ((messages[i].flags & DNS_TC) !== 0)
        messages[i] = (yield* askTcp(process, server, queries[i], timeoutNs)) ?? messages[i];
    return messages;
  } catch (error) {
    if (error instanceof SysError) return null;
    throw error;
  } finally {
    closeSocket(process, sk);
  }
}

function* collect(sk: UdpSock, queries: readonly DnsMessage[], timeoutNs: number): Co<DnsMessage[] | null> {
  const { sim } = sk.ns.kernel;
  const deadline = sim.now + timeoutNs;
  const found = new Map<number, DnsMessage>();
  while (found.size < queries.length) {
    const datagram = yield* recvUdp(sk, deadline - sim.now);
    if (datagram === null) return null;
    const message = decodeDns(datagram.data);
    if (message === null || (message.flags & DNS_QR) === 0) continue;
    if (queries.some((query) => query.id === message.id)) found.set(message.id, message);
  }
  return queries.map((query) => found.get(query.id)!);
}

function* askTcp(
  process: Process,
  server: number,
  query: DnsMessage,
  timeoutNs: number,
): Co<DnsMessage | null> {
  const sk = yield* connectTcp(process, server, DNS_PORT, { timeoutNs });
  try {
    yield* sendTcp(sk, frameDns(encodeDns(query, false)));
    const bytes = yield* readDnsFrame(sk, timeoutNs);
    return bytes === null ? null : decodeDns(bytes);
  } finally {
    closeSocket(process, sk);
  }
}
