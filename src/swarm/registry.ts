/**
 * The way to the registry (docker/registry, docker/distribution) as far as it gets: dockerd looks up `docker.io`, to see
 * whether it is an insecure one, then the registry's host. Names are resolved as Go does (net/dnsclient_unix.go): AAAA and A
 * beside each other, each asked twice, a new socket a question, five seconds for an answer.
 */
import type { Co } from "../host/process.ts";
import { openQuerySocket } from "../host/query-socket.ts";
import { closeSocket, recvUdp } from "../host/socket.ts";
import { WaitQueue } from "../sim/wait-queue.ts";
import { SysError } from "../util/errors.ts";
import type { Pinned } from "../util/pinned.ts";
import type { Prng } from "../util/prng.ts";
import {
  DNS_A,
  DNS_AAAA,
  DNS_CLASS_IN,
  DNS_OPT,
  DNS_RD,
  type DnsRecord,
  decodeDns,
  encodeDns,
} from "../wire/dns.ts";
import type { Daemon } from "./daemon.ts";

const NAMES = ["docker.io.", "registry-1.docker.io."];
const DNS_PORT = 53;
const ATTEMPTS = 2;
const TIMEOUT_NS = 5_000_000_000;
const UDP_PAYLOAD = 1232;
const LOOPBACK = 0x7f000001;
/** The goroutine that was made last, that for AAAA, runs first; the other gets its turn within this time. */
const TURN_NS = 1_000_000;

type QuestionType = "A" | "AAAA";

const TYPES = { A: DNS_A, AAAA: DNS_AAAA } as const;

export class RegistryClient {
  private readonly daemon: Daemon;
  private readonly prng: Prng;
  /** Types of the next questions, first to last, where a lab page fixes which goroutine comes first. */
  private readonly order: Pinned<string>;
  private readonly turn = new WaitQueue();

  constructor(daemon: Daemon, prng: Prng) {
    this.daemon = daemon;
    this.prng = prng;
    this.order = daemon.machine.pins.questions;
  }

  /** Looks for the registry. Whatever comes of it, an image of the machine is used. */
  *reach(): Co<void> {
    for (const name of NAMES) yield* this.lookUp(name);
  }

  private *lookUp(name: string): Co<void> {
    const threads = (["AAAA", "A"] as const).map((type) => this.daemon.go(() => this.ask(name, type)));
    for (const thread of threads) while (thread.exitStatus === null) yield { queues: [thread.exited] };
  }

  private *ask(name: string, type: QuestionType): Co<void> {
    const configured = this.daemon.machine.nameservers;
    const servers = configured.length > 0 ? configured : [LOOPBACK];
    for (let attempt = 0; attempt < ATTEMPTS; attempt++)
      for (const server of servers) {
        yield* this.myTurn(type, attempt === 0 && type === "A" ? TURN_NS : 0);
        if (yield* this.exchange(server, name, type)) return;
      }
  }

  private *myTurn(type: QuestionType, withinNs: number): Co<void> {
    const { sim } = this.daemon.machine.kernel;
    yield { timeoutNs: this.prng.below(withinNs) };
    while ((this.order.peek(sim.now) ?? type) !== type)
      if ((yield { queues: [this.turn], timeoutNs: 2 * TIMEOUT_NS }) === "timeout") break;
    if (this.order.peek(sim.now) === type) this.order.take(sim.now);
    this.turn.wake();
  }

  /** One question to one server. False: no answer. */
  private *exchange(server: number, name: string, type: QuestionType): Co<boolean> {
    const { process } = this.daemon;
    const { sim } = process.machine.kernel;
    const sk = openQuerySocket(process);
    try {
      sk.connect(server, DNS_PORT);
      const id = process.machine.queryId(this.prng);
      sk.send(question(id, name, TYPES[type]));
      const deadline = sim.now + TIMEOUT_NS;
      for (;;) {
        const datagram = yield* recvUdp(sk, Math.max(1, deadline - sim.now));
        if (datagram === null) return false;
        if (decodeDns(datagram.data)?.id === id) return true;
      }
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      return false;
    } finally {
      closeSocket(process, sk);
    }
  }
}

function question(id: number, name: string, type: number): Uint8Array {
  const data = { kind: "raw", bytes: new Uint8Array(0) } as const;
  const opt: DnsRecord = { name: ".", type: DNS_OPT, class: UDP_PAYLOAD, ttl: 0, data };
  return encodeDns(
    {
      id,
      flags: DNS_RD,
      questions: [{ name, type, class: DNS_CLASS_IN }],
      answers: [],
      authorities: [],
      additionals: [opt],
    },
    false,
  );
}
