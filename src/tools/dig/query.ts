/** Questions of BIND's tools (bin/dig/dighost.c): one name and type, over UDP or TCP, from server to server. */
import { frameDns, readDnsFrame } from "../../host/dns-stream.ts";
import { type Co, sleep } from "../../host/process.ts";
import { resolverConfigOf } from "../../host/resolver.ts";
import { closeSocket, connectTcp, openUdp, recvUdp, sendTcp } from "../../host/socket.ts";
import { IP_PMTUDISC_DONT, sockOf } from "../../net/ipv4/sock.ts";
import type { UdpSock } from "../../net/ipv4/udp-sock.ts";
import { MS, SEC } from "../../sim/sim.ts";
import { NotModelledError, SysError } from "../../util/errors.ts";
import { formatIp4, parseIp4 } from "../../wire/address.ts";
import {
  DNS_AD,
  DNS_CLASS_IN,
  DNS_OPT,
  DNS_QR,
  DNS_RD,
  DNS_TC,
  type DnsMessage,
  type DnsRecord,
  decodeDns,
  encodeDns,
} from "../../wire/dns.ts";
import type { ToolContext } from "../tool.ts";
import type { DigArgs } from "./dig-args.ts";

/** Segment size that BIND asks for on its TCP sockets (TCP_MAXSEG). */
const MAX_SEGMENT = 1220;
const OPTION_COOKIE = 10;
/** Time from the answer to the end of the program. */
const SHUTDOWN_NS = 10 * MS;

export interface Answer {
  readonly message: DnsMessage;
  readonly length: number;
  readonly tcp: boolean;
  readonly server: number;
  readonly tookNs: number;
}

function optRecord(args: DigArgs, context: ToolContext): DnsRecord {
  const bytes: number[] = [];
  if (args.cookie !== null) {
    const prng = sockOf(context.ns).prng;
    const cookie =
      args.cookie === ""
        ? Array.from({ length: 8 }, () => prng.below(256))
        : (args.cookie.match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16));
    bytes.push(0, OPTION_COOKIE, 0, cookie.length, ...cookie);
  }
  const data = { kind: "raw", bytes: Uint8Array.from(bytes) } as const;
  return { name: ".", type: DNS_OPT, class: args.bufferSize, ttl: 0, data };
}

function queryOf(args: DigArgs, context: ToolContext): DnsMessage {
  return {
    id: args.queryId >= 0 ? args.queryId : context.machine.queryId(sockOf(context.ns).prng),
    flags: (args.recurse ? DNS_RD : 0) | (args.adFlag ? DNS_AD : 0),
    questions: [{ name: args.name, type: args.type, class: DNS_CLASS_IN }],
    answers: [],
    authorities: [],
    additionals: args.edns ? [optRecord(args, context)] : [],
  };
}

/** libuv keeps what a rule drops to itself: what is heard next decides. */
function sendQuietly(sk: UdpSock, data: Uint8Array): void {
  try {
    sk.send(data);
  } catch (error) {
    if (!(error instanceof SysError) || error.code !== "EPERM") throw error;
  }
}

/** The answer over UDP; null when the time is over. */
function* askUdp(query: DnsMessage, server: number, args: DigArgs, context: ToolContext): Co<Answer | null> {
  const { sim } = context.machine.kernel;
  const sk = openUdp(context.process);
  try {
    // BIND asks for IP_PMTUDISC_OMIT: no DF.
    sk.pmtuDisc = IP_PMTUDISC_DONT;
    sk.connect(server, args.port);
    const startNs = sim.now;
    sendQuietly(sk, encodeDns(query, false));
    const deadline = startNs + args.timeoutSec * SEC;
    for (;;) {
      const datagram = yield* recvUdp(sk, deadline - sim.now);
      if (datagram === null) return null;
      const message = decodeDns(datagram.data);
      if (message === null || message.id !== query.id || (message.flags & DNS_QR) === 0) continue;
      const tookNs = sim.now - startNs;
      return { message, length: datagram.data.length, tcp: false, server, tookNs };
    }
  } finally {
    closeSocket(context.process, sk);
  }
}

function* askTcp(query: DnsMessage, server: number, args: DigArgs, context: ToolContext): Co<Answer | null> {
  const { sim } = context.machine.kernel;
  const timeoutNs = args.timeoutSec * SEC;
  const startNs = sim.now;
  const options = { timeoutNs, maxSegment: MAX_SEGMENT, noDelay: true };
  const sk = yield* connectTcp(context.process, server, args.port, options);
  try {
    yield* sendTcp(sk, frameDns(encodeDns(query, false)));
    const bytes = yield* readDnsFrame(sk, timeoutNs);
    const message = bytes === null ? null : decodeDns(bytes);
    const tookNs = sim.now - startNs;
    yield* sleep(SHUTDOWN_NS);
    return message === null ? null : { message, length: bytes!.length, tcp: true, server, tookNs };
  } finally {
    closeSocket(context.process, sk);
  }
}

function* ask(query: DnsMessage, server: number, args: DigArgs, context: ToolContext): Co<Answer | string> {
  const where = `${formatIp4(server)}#${args.port}`;
  try {
    let answer = yield* (args.tcp ? askTcp : askUdp)(query, server, args, context);
    const cut = answer !== null && !answer.tcp && (answer.message.flags & DNS_TC) !== 0;
    if (cut && !args.ignoreTruncation) answer = yield* askTcp(query, server, args, context);
    return answer ?? `;; communications error to ${where}: timed out\n`;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const reasons: Record<string, string> = {
      ECONNREFUSED: "connection refused",
      ETIMEDOUT: "timed out",
      ENETUNREACH: "network unreachable",
      EHOSTUNREACH: "host unreachable",
      ECONNRESET: "connection reset",
    };
    return `;; communications error to ${where}: ${reasons[error.code] ?? error.code}\n`;
  }
}

function serversOf(args: DigArgs, context: ToolContext): readonly number[] {
  if (args.server === "") {
    const { nameservers } = resolverConfigOf(context.process);
    return nameservers.length > 0 ? nameservers : [0x7f000001];
  }
  const addr = parseIp4(args.server);
  if (addr === null) throw new NotModelledError(`dig @${args.server}: a server by name`);
  return [addr];
}

/** What came of a question: the answer, null when no server gave one, and the complaints before it. */
export interface Lookup {
  readonly answer: Answer | null;
  readonly errors: string;
}

/** Asks every server in turn, as often as the options say. */
export function* lookup(args: DigArgs, context: ToolContext): Co<Lookup> {
  const servers = serversOf(args, context);
  const query = queryOf(args, context);
  let errors = "";
  for (let i = 0; i < args.tries; i++)
    for (const server of servers) {
      const got = yield* ask(query, server, args, context);
      if (typeof got !== "string") return { answer: got, errors };
      errors += got;
    }
  return { answer: null, errors };
}
