/**
 * The embedded DNS server of a sandbox (libnetwork resolver.go): two sockets on 127.0.0.11 in the sandbox's namespace,
 * answers for the names of its networks, everything else forwarded to the host's name servers from that namespace.
 */
import { frameDns, readDnsFrame } from "../../host/dns-stream.ts";
import type { Machine } from "../../host/machine.ts";
import type { Co, Process } from "../../host/process.ts";
import { openQuerySocket } from "../../host/query-socket.ts";
import {
  acceptTcp,
  closeSocket,
  connectTcp,
  listenTcp,
  openUdp,
  recvUdp,
  sendTcp,
} from "../../host/socket.ts";
import type { NetNs } from "../../net/core/net-ns.ts";
import type { TcpSock } from "../../net/ipv4/tcp-sock.ts";
import type { Datagram, UdpSock } from "../../net/ipv4/udp-sock.ts";
import type { Sim } from "../../sim/sim.ts";
import { SysError } from "../../util/errors.ts";
import { parseIp4 } from "../../wire/address.ts";
import {
  DNS_A,
  DNS_AA,
  DNS_AAAA,
  DNS_CD,
  DNS_CLASS_IN,
  DNS_MX,
  DNS_NOERROR,
  DNS_NXDOMAIN,
  DNS_OPT,
  DNS_PTR,
  DNS_QR,
  DNS_RA,
  DNS_RD,
  DNS_TC,
  type DnsMessage,
  type DnsRecord,
  decodeDns,
  dnsRcode,
  encodeDns,
} from "../../wire/dns.ts";
import type { AnswerOrder } from "./answer-order.ts";
import { type ResolverNetwork, resolveName, resolvePointer } from "./service-records.ts";

const LOCALHOST = (127 << 24) | 11;
const TTL = 600;
const BACKLOG = 4096;
/** How long a query may stand back for one that a lab page puts before it. */
const TURN_NS = 100_000_000;
/** Bytes of an answer over UDP that the asker can take unless it says more (EDNS). */
const DNS_HEADER_BYTES = 12;
const UDP_LIMIT = 512;
/** How long a connection may be silent, before its first question and after. */
const FIRST_READ_NS = 2_000_000_000;
const IDLE_READ_NS = 8_000_000_000;
/** 8.8.8.8 and 8.8.4.4. */
const DEFAULT_SERVERS = [0x08080808, 0x08080404];
const MAX_SERVERS = 3;
const IO_TIMEOUT_NS = 4_000_000_000;
const CONNECT_TIMEOUT_NS = 3_000_000_000;

/** What the resolver asks about its sandbox. */
export interface ResolverHost {
  /** Networks of a sandbox in the order in which they are asked. */
  resolverNetworks(sandbox: unknown): readonly ResolverNetwork[];
  readonly answers: AnswerOrder;
}

export class EmbeddedResolver {
  readonly udpPort: number;
  readonly tcpPort: number;
  private readonly machine: Machine;
  private readonly ns: NetNs;
  private readonly host: ResolverHost;
  private readonly sandbox: unknown;
  private readonly process: Process;
  private readonly workers = new Set<Process>();
  private readonly udp: UdpSock;
  private readonly listener: TcpSock;

  constructor(machine: Machine, ns: NetNs, host: ResolverHost, sandbox: unknown) {
    this.machine = machine;
    this.ns = ns;
    this.host = host;
    this.sandbox = sandbox;
    this.process = machine.spawn("dockerd", ns, () => this.serveUdp());
    this.udp = openUdp(this.process, LOCALHOST, 0);
    this.listener = listenTcp(this.process, LOCALHOST, 0, BACKLOG);
    this.udpPort = this.udp.sport;
    this.tcpPort = this.listener.sport;
    this.work((process) => this.serveTcp(process));
  }

  stop(): void {
    for (const worker of [...this.workers]) worker.kill(9);
    this.process.kill(9);
  }

  private work(program: (process: Process) => Co<number>): void {
    const workers = this.workers;
    const worker = this.machine.spawn("dockerd", this.ns, function* (process) {
      try {
        return yield* program(process);
      } finally {
        workers.delete(process);
      }
    });
    workers.add(worker);
  }

  private *serveUdp(): Co<number> {
    const waiting: Datagram[] = [];
    for (;;) {
      waiting.push(yield* recvUdp(this.udp));
      do {
        for (let next = this.udp.receive(); next !== null; next = this.udp.receive()) waiting.push(next);
        // Each query has a goroutine of its own, and the youngest of those that wait runs first.
        waiting.unshift(waiting.pop()!);
        for (let i = this.nextTurn(waiting); i >= 0; i = this.nextTurn(waiting))
          this.serveQuery(waiting.splice(i, 1)[0]);
        if (waiting.length > 0) yield* this.another(waiting);
      } while (waiting.length > 0);
    }
  }

  /** Which of the queries is answered next; -1: none is left, or the one that a pin names has not come yet. */
  private nextTurn(waiting: readonly Datagram[]): number {
    if (waiting.length === 0) return -1;
    const { replies } = this.machine.pins;
    const pinned = replies.peek(this.sim.now);
    if (pinned === undefined) return 0;
    const type = pinned === "A" ? DNS_A : DNS_AAAA;
    const i = waiting.findIndex(({ data }) => questionType(data) === type);
    if (i >= 0) replies.take(this.sim.now);
    return i;
  }

  /** Waits for the query that a pin puts first; when it does not come the pin is given up. */
  private *another(waiting: Datagram[]): Co<void> {
    const next = yield* recvUdp(this.udp, TURN_NS);
    if (next === null) this.machine.pins.replies.take(this.sim.now);
    else waiting.push(next);
  }

  private get sim(): Sim {
    return this.machine.kernel.sim;
  }

  private serveQuery({ data, saddr, sport }: Datagram): void {
    const query = decodeDns(data);
    if (query === null || query.questions.length === 0) return;
    const answer = this.answer(query);
    if (answer !== null) this.reply(fitting(answer, udpLimit(query)), saddr, sport);
    else this.work((process) => this.forwardUdp(process, data, saddr, sport));
  }

  private *forwardUdp(process: Process, query: Uint8Array, addr: number, port: number): Co<number> {
    const answer = yield* this.forward(process, query, false);
    if (answer !== null) this.reply(answer, addr, port);
    return 0;
  }

  /** An answer that the kernel refuses is lost. */
  private reply(answer: Uint8Array, addr: number, port: number): void {
    try {
      this.udp.send(answer, addr, port);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
    }
  }

  private *serveTcp(process: Process): Co<number> {
    for (;;) {
      const sk = yield* acceptTcp(process, this.listener);
      this.work((worker) => this.serveConnection(worker, process, sk));
    }
  }

  private *serveConnection(worker: Process, owner: Process, sk: TcpSock): Co<number> {
    try {
      for (let timeoutNs = FIRST_READ_NS; ; timeoutNs = IDLE_READ_NS) {
        const query = yield* readDnsFrame(sk, timeoutNs);
        const parsed = query === null ? null : decodeDns(query);
        if (query === null || parsed === null || parsed.questions.length === 0) return 0;
        const answer = this.answer(parsed);
        const bytes = answer === null ? yield* this.forward(worker, query, true) : encodeDns(answer, false);
        if (bytes !== null) yield* sendTcp(sk, frameDns(bytes));
      }
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      return 1;
    } finally {
      closeSocket(owner, sk);
    }
  }

  /** The answer from the networks' records; null: to be forwarded. */
  private answer(query: DnsMessage): DnsMessage | null {
    const question = query.questions[0];
    const networks = this.host.resolverNetworks(this.sandbox);
    const record = { name: question.name, class: DNS_CLASS_IN, ttl: TTL };
    if (question.type === DNS_PTR) {
      const addr = pointerAddr(question.name);
      const name = addr === null ? null : resolvePointer(addr, networks);
      if (name === null) return null;
      return response(query, [{ ...record, type: DNS_PTR, data: { kind: "name", name: `${name}.` } }]);
    }
    if (question.type !== DNS_A && question.type !== DNS_AAAA && question.type !== DNS_MX) return null;
    const addrs = resolveName(question.name, networks);
    if (addrs.length === 0) return null;
    if (question.type !== DNS_A) return response(query, []);
    this.host.answers.arrange(question.name, addrs);
    return response(
      query,
      addrs.map((addr): DnsRecord => ({ ...record, type: DNS_A, data: { kind: "a", addr } })),
    );
  }

  /** Asks the name servers in turn until one knows; the answer of the last otherwise, null when it gave none. */
  private *forward(process: Process, query: Uint8Array, tcp: boolean): Co<Uint8Array | null> {
    let last: Uint8Array | null = null;
    for (const server of externalServers(this.machine).slice(0, MAX_SERVERS)) {
      last = yield* (tcp ? askTcp : askUdp)(process, server, query);
      const parsed = last === null ? null : decodeDns(last);
      if (parsed === null) {
        last = headerOf(last);
        continue;
      }
      const rcode = dnsRcode(parsed.flags);
      if (rcode === DNS_NOERROR || (rcode === DNS_NXDOMAIN && (parsed.flags & DNS_AA) !== 0)) return last;
    }
    return last;
  }
}

/** What is left of an answer that cannot be read: its first four bytes and no records (Msg.Unpack of miekg/dns). */
function headerOf(message: Uint8Array | null): Uint8Array | null {
  if (message === null || message.length < DNS_HEADER_BYTES) return null;
  const header = new Uint8Array(DNS_HEADER_BYTES);
  header.set(message.subarray(0, 4));
  return header;
}

function questionType(query: Uint8Array): number | undefined {
  return decodeDns(query)?.questions[0]?.type;
}

function* askUdp(process: Process, server: number, query: Uint8Array): Co<Uint8Array | null> {
  const sk = openQuerySocket(process);
  try {
    sk.connect(server, 53);
    sk.send(query);
    return (yield* recvUdp(sk, IO_TIMEOUT_NS))?.data ?? null;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return null;
  } finally {
    closeSocket(process, sk);
  }
}

function* askTcp(process: Process, server: number, query: Uint8Array): Co<Uint8Array | null> {
  let sk: TcpSock | null = null;
  try {
    sk = yield* connectTcp(process, server, 53, { timeoutNs: CONNECT_TIMEOUT_NS });
    yield* sendTcp(sk, frameDns(query));
    return yield* readDnsFrame(sk, IO_TIMEOUT_NS);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return null;
  } finally {
    if (sk !== null) closeSocket(process, sk);
  }
}

/** Name servers outside: those of the host that are not the host itself, else Google's (resolvconf.FilterResolvDNS). */
export function externalServers(machine: Machine): readonly number[] {
  const outside = machine.nameservers.filter((addr) => addr >>> 24 !== 127);
  return outside.length > 0 ? outside : DEFAULT_SERVERS;
}

function udpLimit(query: DnsMessage): number {
  const opt = query.additionals.find(({ type }) => type === DNS_OPT);
  return Math.max(opt?.class ?? 0, UDP_LIMIT);
}

/** The bytes of an answer, without its last records when they are too many (truncateResp). */
function fitting(answer: DnsMessage, limitBytes: number): Uint8Array {
  let bytes = encodeDns(answer, false);
  for (let count = answer.answers.length - 1; bytes.length > limitBytes && count >= 0; count--)
    bytes = encodeDns(
      { ...answer, flags: answer.flags | DNS_TC, answers: answer.answers.slice(0, count) },
      false,
    );
  return bytes;
}

function response(query: DnsMessage, answers: DnsRecord[]): DnsMessage {
  return {
    id: query.id,
    flags: DNS_QR | (query.flags & (DNS_RD | DNS_CD)) | DNS_RA,
    questions: [query.questions[0]],
    answers,
    authorities: [],
    additionals: [],
  };
}

/** `3.1.0.10.in-addr.arpa.` -> the address; null for other names. */
function pointerAddr(name: string): number | null {
  const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\.in-addr\.arpa\.?$/i.exec(name);
  return match === null ? null : parseIp4(`${match[4]}.${match[3]}.${match[2]}.${match[1]}`);
}
