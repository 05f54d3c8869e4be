/**
 * The failure detector (memberlist state.go, probe): once a second one member, in shuffled round robin, gets a ping over
 * UDP. When no answer comes in half a second three others are asked to try, and TCP is tried too; without any answer
 * within the second the member is suspected.
 */
import type { Co } from "../../host/process.ts";
import { Timer } from "../../sim/timer.ts";
import type { Prng } from "../../util/prng.ts";
import { after } from "../clock.ts";
import type { Daemon } from "../daemon.ts";
import type { Meanings } from "../wire/meanings.ts";
import { dialStream, type StreamEnd } from "../wire/secure-stream.ts";
import type { Member } from "./members.ts";

export const GOSSIP_PORT = 7946;
const PROBE_INTERVAL_NS = 1_000_000_000;
const PROBE_TIMEOUT_NS = 500_000_000;
const INDIRECT_CHECKS = 3;
const PING_BYTES = 110;
const ACK_BYTES = 47;

/** Datagrams of the detector. `source` is the address that the sender told the others: there the answer goes. */
export type ProbePacket =
  | { readonly kind: "ping"; readonly seq: number; readonly target: string; readonly source: number }
  | {
      readonly kind: "indirect";
      readonly seq: number;
      readonly target: string;
      readonly ip: number;
      readonly source: number;
    }
  | { readonly kind: "ack"; readonly seq: number };

/** Whom it works for. */
export interface ProbeHost {
  readonly name: string;
  /** int32 */
  readonly ip: number;
  readonly daemon: Daemon;
  readonly meanings: Meanings;
  others(): Member[];
  send(addr: number, packet: ProbePacket, bytes: number): void;
  suspectNow(member: Member): void;
}

interface Probe {
  readonly seq: number;
  readonly target: Member;
  acked: boolean;
}

export class Prober {
  private readonly host: ProbeHost;
  private readonly prng: Prng;
  private readonly timer: Timer;
  private readonly timeout: Timer;
  private probing: Probe | null = null;
  private order: Member[] = [];
  private seq = 0;
  /** Probes for others: our number -> what to answer. */
  private readonly relayed = new Map<number, () => void>();

  constructor(host: ProbeHost, prng: Prng) {
    this.host = host;
    this.prng = prng;
    const { sim } = host.daemon.machine.kernel;
    this.timer = new Timer(sim, () => this.probe());
    this.timeout = new Timer(sim, () => this.askOthers());
  }

  start(): void {
    this.timer.armIn(this.prng.below(PROBE_INTERVAL_NS));
  }

  stop(): void {
    this.timer.cancel();
    this.timeout.cancel();
  }

  handle(packet: ProbePacket): void {
    const { seq } = packet;
    if (packet.kind === "ack") this.acknowledged(seq);
    else if (packet.kind === "indirect")
      this.relay(packet.ip, packet.target, () => this.reply(packet.source, seq));
    else if (packet.target === this.host.name) this.reply(packet.source, seq);
  }

  private relay(addr: number, target: string, answer: () => void): void {
    const seq = ++this.seq;
    this.relayed.set(seq, answer);
    after(this.host.daemon.machine.kernel.sim, PROBE_INTERVAL_NS, () => this.relayed.delete(seq));
    this.ping(addr, target, seq);
  }

  private ping(addr: number, target: string, seq: number): void {
    const source = this.host.ip;
    this.host.send(addr, { kind: "ping", seq, target, source }, sizeWithSeq(PING_BYTES, seq));
  }

  private acknowledged(seq: number): void {
    const relay = this.relayed.get(seq);
    this.relayed.delete(seq);
    relay?.();
    if (this.probing?.seq === seq) this.probing.acked = true;
  }

  private reply(addr: number, seq: number): void {
    this.host.send(addr, { kind: "ack", seq }, sizeWithSeq(ACK_BYTES, seq));
  }

  private probe(): void {
    this.timer.armIn(PROBE_INTERVAL_NS);
    if (this.probing !== null && !this.probing.acked) this.host.suspectNow(this.probing.target);
    this.probing = null;
    const target = this.nextTarget();
    if (target === null) return;
    const seq = ++this.seq;
    this.probing = { seq, target, acked: false };
    this.ping(target.ip, target.name, seq);
    this.timeout.armIn(PROBE_TIMEOUT_NS);
  }

  private nextTarget(): Member | null {
    for (let round = 0; round < 2; round++) {
      for (let member = this.order.pop(); member !== undefined; member = this.order.pop())
        if (member.state === "alive" || member.state === "suspect") return member;
      this.order = this.prng.shuffle(this.host.others());
    }
    return null;
  }

  private askOthers(): void {
    const { probing, host } = this;
    if (probing === null || probing.acked) return;
    const { seq, target } = probing;
    const helpers = host.others().filter((member) => member !== target && member.state === "alive");
    for (const helper of this.prng.shuffle(helpers).slice(0, INDIRECT_CHECKS))
      host.send(
        helper.ip,
        { kind: "indirect", seq, target: target.name, ip: target.ip, source: host.ip },
        sizeWithSeq(PING_BYTES, seq),
      );
    host.daemon.go(() => this.tcpPing(probing));
  }

  private *tcpPing(probing: Probe): Co<void> {
    const left = PROBE_INTERVAL_NS - PROBE_TIMEOUT_NS;
    const { daemon, meanings } = this.host;
    const stream: StreamEnd<ProbeHost> = yield* dialStream(
      daemon,
      meanings,
      probing.target.ip,
      GOSSIP_PORT,
      left,
    );
    try {
      const name = yield* stream.call(PING_BYTES, ACK_BYTES, (other) => other.name, left);
      if (name === probing.target.name) probing.acked = true;
    } finally {
      stream.close();
    }
  }
}

/** A message with a number in MessagePack: the number takes one, two or three bytes. */
function sizeWithSeq(bytes: number, seq: number): number {
  return bytes + (seq < 128 ? 0 : seq < 256 ? 1 : 2);
}
