/**
 * The embedded DNS server of a sandbox (libnetwork resolver.go): two sockets on 127.0.0.11 in the sandbox's namespace,
 * answers for the names of its networks, everything else forwarded to the host's name servers from that namespace.
 */
import type { Machine } from "../../host/machine.ts";
import type { Co, Process } from "../../host/process.ts";
import {
  acceptTcp,
  closeSocket,
  connectTcp,
  listenTcp,
  openUdp,
  recvTcp,
  recvUdp,
  sendTcp,
} from "../../host/socket.ts";
import type { NetNs } from "../../net/core/net-ns.ts";
import type { TcpSock } from "../../net/ipv4/tcp-sock.ts";
import type { UdpSock } from "../../net/ipv4/udp-sock.ts";
import { SysError } from "../../util/errors.ts";
import type { Prng } from "../../util/prng.ts";
import { parseIp4 } from "../../wire/address.ts";
import {
  DNS_A,
  DNS_AA,
  DNS_AAAA,
  DNS_CLASS_IN,
  DNS_MX,
  DNS_NOERROR,
  DNS_NXDOMAIN,
  DNS_PTR,
  DNS_QR,
  DNS_RA,
  DNS_RD,
  type DnsMessage,
  type DnsRecord,
  decodeDns,
  dnsRcode,
  encodeDns,
} from "../../wire/dns.ts";
import { type ResolverNetwork, resolveName, resolvePointer } from "./service-records.ts";

const LOCALHOST = (127 << 24) | 11;
const TTL = 600;
const BACKLOG = 4096;
const UDP_LIMIT = 512;
const MAX_SERVERS = 3;
const IO_TIMEOUT_NS = 4_000_000_000;
const CONNECT_TIMEOUT_NS = 3_000_000_000;

/** What the resolver asks about its sandbox. */
export interface ResolverHost {
  /** Networks of a sandbox in the order in which they are asked. */
  resolverNetworks(sandbox: unknown): readonly ResolverNetwork[];
  readonly prng: Prng;
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
    for (;;) {
      const { data, saddr, sport } = yield* recvUdp(this.udp);
      const query = decodeDns(data);
      if (query === null || query.questions.length === 0) continue;
      const answer = this.answer(query);
      if (answer !== null) {
        this.reply(answer, saddr, sport);
        continue;
      }
      this.work((process) => this.forwardUdp(process, data, saddr, sport));
    }
  }

  private *forwardUdp(process: Process, query: Uint8Array, addr: number, port: number): Co<number> {
    const answer = yield* this.forward(process, query, false);
    if (answer !== null) this.udp.send(answer, addr, port);
    return 0;
  }

  private reply(answer: DnsMessage, addr: number, port: number): void {
    let bytes = encodeDns(answer, false);
    if (bytes.length > UDP_LIMIT)
      bytes = encodeDns({ ...answer, flags: answer.flags | 0x0200, answers: [] }, false);
    this.udp.send(bytes, addr, port);
  }

  private *serveTcp(process: Process): Co<number> {
    for (;;) {
      const sk = yield* acceptTcp(process, this.listener);
      this.work((worker) => this.serveConnection(worker, process, sk));
    }
  }

  private *serveConnection(worker: Process, owner: Process, sk: TcpSock): Co<number> {
    try {
      const query = yield* readMessage(sk);
      const parsed = query === null ? null : decodeDns(query);
      if (query === null || parsed === null || parsed.questions.length === 0) return 1;
      const answer = this.answer(parsed);
      const bytes = answer === null ? yield* this.forward(worker, query, true) : encodeDns(answer, false);
      if (bytes !== null) yield* sendTcp(sk, framed(bytes));
      yield* recvTcp(sk);
      return 0;
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
    if (addrs.length > 1) this.host.prng.shuffle(addrs);
    return response(
      query,
      addrs.map((addr): DnsRecord => ({ ...record, type: DNS_A, data: { kind: "a", addr } })),
    );
  }

  /** Asks the host's name servers in turn; null when none answered. */
  private *forward(process: Process, query: Uint8Array, tcp: boolean): Co<Uint8Array | null> {
    let last: Uint8Array | null = null;
    for (const server of this.machine.nameservers.slice(0, MAX_SERVERS)) {
      const answer = tcp ? yield* askTcp(process, server, query) : yield* askUdp(process, server, query);
      const parsed = answer === null ? null : decodeDns(answer);
      if (parsed === null) continue;
      last = answer;
      const rcode = dnsRcode(parsed.flags);
      if (rcode === DNS_NOERROR || (rcode === DNS_NXDOMAIN && (parsed.flags & DNS_AA) !== 0)) return answer;
    }
    return last;
  }
}

function* askUdp(process: Process, server: number, query: Uint8Array): Co<Uint8Array | null> {
  const sk = openUdp(process);
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
    yield* sendTcp(sk, framed(query));
    return yield* readMessage(sk);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return null;
  } finally {
    if (sk !== null) closeSocket(process, sk);
  }
}

/** One message with its length in front; null at the end of the stream. */
function* readMessage(sk: TcpSock): Co<Uint8Array | null> {
  let bytes = new Uint8Array(0);
  for (;;) {
    if (bytes.length >= 2) {
      const length = (bytes[0] << 8) | bytes[1];
      if (bytes.length >= 2 + length) return bytes.slice(2, 2 + length);
    }
    const more = yield* recvTcp(sk, 65537, IO_TIMEOUT_NS);
    if (more === null || more.length === 0) return null;
    const joined = new Uint8Array(bytes.length + more.length);
    joined.set(bytes);
    joined.set(more, bytes.length);
    bytes = joined;
  }
}

function framed(message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(message.length + 2);
  bytes[0] = message.length >>> 8;
  bytes[1] = message.length & 0xff;
  bytes.set(message, 2);
  return bytes;
}

function response(query: DnsMessage, answers: DnsRecord[]): DnsMessage {
  return {
    id: query.id,
    flags: DNS_QR | (query.flags & DNS_RD) | DNS_RA,
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
