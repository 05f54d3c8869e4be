/**
 * Who is in the cluster and alive (hashicorp/memberlist with the settings of a LAN): SWIM probes over UDP 7946 with
 * indirect probes and a TCP ping, suspicion and refutation, gossip every 200 ms, and full exchanges of state over TCP.
 * Sizes of messages are those of the real ones, encrypted.
 */
import type { Co } from "../../host/process.ts";
import { acceptTcp, closeSocket, listenTcp, openUdp, recvUdp } from "../../host/socket.ts";
import type { TcpSock } from "../../net/ipv4/tcp-sock.ts";
import type { UdpSock } from "../../net/ipv4/udp-sock.ts";
import { Timer } from "../../sim/timer.ts";
import { SysError } from "../../util/errors.ts";
import type { Prng } from "../../util/prng.ts";
import { after } from "../clock.ts";
import type { Daemon } from "../daemon.ts";
import type { Meanings } from "../wire/meanings.ts";
import { dialStream, type StreamEnd, serveStream } from "../wire/secure-stream.ts";
import { BroadcastQueue } from "./broadcast-queue.ts";
import { type Member, type MemberNews, newMember, suspicionTimeout } from "./members.ts";
import { GOSSIP_PORT, type ProbePacket, Prober } from "./prober.ts";

export const GOSSIP_INTERVAL_NS = 200_000_000;
const GOSSIP_NODES = 3;
const PUSH_PULL_INTERVAL_NS = 30_000_000_000;
const TCP_TIMEOUT_NS = 10_000_000_000;
/** Room for messages in a packet of 1400 bytes. */
export const PACKET_ROOM = 1371;
/** Version, nonce and tag of the encryption. */
export const SEAL_BYTES = 29;
const NEWS_BYTES = { alive: 171, suspect: 55, dead: 55, left: 55 } as const;
const STATE_BYTES = 166;
const MEMBER_BYTES = 51;

/** A datagram of 7946. */
type Packet =
  | ProbePacket
  | { readonly kind: "gossip"; readonly messages: readonly Message[] }
  | { readonly kind: "user"; readonly body: unknown };

type Message = { readonly news: MemberNews } | { readonly body: unknown };

/** What the layer above hears and gives. */
export interface MemberDelegate {
  joined(member: Member): void;
  gone(member: Member): void;
  /** A message of the layer above, by gossip or alone in a packet. */
  message(body: unknown): void;
  /** Its part of a full exchange, and its size. */
  localState(): { readonly body: unknown; readonly bytes: number };
  mergeState(body: unknown): void;
}

interface FullState {
  readonly members: readonly MemberNews[];
  readonly body: unknown;
  readonly bytes: number;
}

export class Memberlist {
  readonly name: string;
  readonly ip: number;
  readonly members = new Map<string, Member>();
  readonly daemon: Daemon;
  readonly meanings: Meanings;
  private readonly prng: Prng;
  readonly delegate: MemberDelegate;
  private readonly self: Member;
  private readonly queue = new BroadcastQueue<Message>();
  private readonly gossipTimer: Timer;
  private readonly pushPullTimer: Timer;
  private readonly gossipPhase: number;
  private udp: UdpSock | null = null;
  private listener: TcpSock | null = null;
  private readonly prober: Prober;

  constructor(
    daemon: Daemon,
    meanings: Meanings,
    prng: Prng,
    name: string,
    ip: number,
    delegate: MemberDelegate,
    gossipNs: number | undefined,
  ) {
    this.daemon = daemon;
    this.meanings = meanings;
    this.prng = prng;
    this.name = name;
    this.ip = ip;
    this.delegate = delegate;
    this.self = newMember(name, ip, 1);
    this.members.set(name, this.self);
    const { sim } = daemon.machine.kernel;
    const drawn = prng.below(GOSSIP_INTERVAL_NS);
    this.gossipPhase = (gossipNs ?? drawn) % GOSSIP_INTERVAL_NS;
    this.gossipTimer = new Timer(sim, () => this.gossip());
    this.prober = new Prober(this, prng.stream("probes"));
    this.pushPullTimer = new Timer(sim, () => this.pushPullRandom());
  }

  /** Opens 7946 and begins to probe. */
  start(): void {
    const { daemon, prng } = this;
    const udp = openUdp(daemon.process, 0, GOSSIP_PORT);
    const listener = listenTcp(daemon.process, 0, GOSSIP_PORT);
    udp.dualStack = true;
    listener.dualStack = true;
    this.udp = udp;
    this.listener = listener;
    daemon.go(() => this.receive(udp));
    daemon.go(() => this.accept(listener));
    this.prober.start();
    this.pushPullTimer.armIn(prng.below(PUSH_PULL_INTERVAL_NS));
    this.tell({ kind: "alive", name: this.name, ip: this.ip, incarnation: 1, from: this.name });
  }

  /** Exchanges the state with the node at `addr`. False when it does not answer. */
  *join(addr: number): Co<boolean> {
    try {
      const stream: StreamEnd<Memberlist> = yield* dialStream(
        this.daemon,
        this.meanings,
        addr,
        GOSSIP_PORT,
        TCP_TIMEOUT_NS,
      );
      const mine = this.fullState();
      const theirs = yield* stream.call(
        mine.bytes,
        STATE_BYTES + MEMBER_BYTES * this.members.size,
        (other) => {
          const state = other.fullState();
          other.merge(mine);
          return state;
        },
        TCP_TIMEOUT_NS,
      );
      stream.close();
      this.merge(theirs);
      return true;
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      return false;
    }
  }

  /** Says good-bye and ends. */
  leave(): void {
    const news: MemberNews = { ...this.newsOf(this.self), kind: "left" };
    for (const member of this.others()) {
      this.flushTo(member);
      this.send(member.ip, { kind: "gossip", messages: [{ news }] }, SEAL_BYTES + NEWS_BYTES.left);
    }
    this.halt();
  }

  /** Ends without a word: closes the sockets and asks nobody any more. */
  halt(): void {
    for (const timer of [this.gossipTimer, this.pushPullTimer]) timer.cancel();
    this.prober.stop();
    this.queue.clear();
    if (this.udp !== null) closeSocket(this.daemon.process, this.udp);
    if (this.listener !== null) closeSocket(this.daemon.process, this.listener);
    this.udp = null;
    this.listener = null;
  }

  get isOpen(): boolean {
    return this.udp !== null;
  }

  /** Members that are believed to live, this node apart. */
  others(): Member[] {
    return [...this.members.values()].filter(
      (member) => member !== this.self && (member.state === "alive" || member.state === "suspect"),
    );
  }

  /** Spreads a message of the layer above by gossip. */
  broadcast(body: unknown, bytes: number): void {
    this.queue.add({ body }, bytes, "");
    this.armGossip();
  }

  /** Sends a message of the layer above to one node. */
  sendTo(addr: number, body: unknown, bytes: number): void {
    this.send(addr, { kind: "user", body }, SEAL_BYTES + bytes);
  }

  private *receive(udp: UdpSock): Co<void> {
    while (!udp.closed) {
      const { data } = yield* recvUdp(udp);
      const packet = this.meanings.open(data) as Packet | null;
      if (packet !== null && this.isOpen) this.handle(packet);
    }
  }

  private *accept(listener: TcpSock): Co<void> {
    while (!listener.closed) {
      const sk = yield* acceptTcp(this.daemon.process, listener);
      serveStream<Memberlist>(this.daemon, this.meanings, sk, this);
    }
  }

  private handle(packet: Packet): void {
    switch (packet.kind) {
      case "gossip":
        for (const message of packet.messages)
          if ("news" in message) this.hear(message.news);
          else this.delegate.message(message.body);
        break;
      case "user":
        this.delegate.message(packet.body);
        break;
      default:
        this.prober.handle(packet);
    }
  }

  /** Sends a datagram; one that the kernel refuses is lost. */
  send(addr: number, packet: Packet, bytes: number): void {
    if (this.udp === null) return;
    try {
      this.udp.send(this.meanings.seal(packet, bytes), addr, GOSSIP_PORT);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
    }
  }

  /** Next tick of the gossip that lies ahead. */
  private armGossip(): void {
    if (this.gossipTimer.armed || this.queue.isEmpty || this.udp === null) return;
    const { now } = this.daemon.machine.kernel.sim;
    const ticks = Math.floor((now - this.gossipPhase) / GOSSIP_INTERVAL_NS) + 1;
    this.gossipTimer.armAt(this.gossipPhase + ticks * GOSSIP_INTERVAL_NS);
  }

  private gossip(): void {
    const targets = this.prng.shuffle(this.others()).slice(0, GOSSIP_NODES);
    for (const target of targets) this.flushTo(target);
    if (targets.length > 0) this.armGossip();
  }

  private flushTo(target: Member): void {
    const { messages, bytes } = this.queue.take(PACKET_ROOM, this.others().length + 1);
    if (messages.length > 0) this.send(target.ip, { kind: "gossip", messages }, SEAL_BYTES + bytes);
  }

  private pushPullRandom(): void {
    this.pushPullTimer.armIn(PUSH_PULL_INTERVAL_NS);
    const others = this.others().filter((member) => member.state === "alive");
    if (others.length === 0) return;
    const { ip } = this.prng.pick(others);
    this.daemon.go(
      function* (this: Memberlist) {
        yield* this.join(ip);
      }.bind(this),
    );
  }

  private fullState(): FullState {
    const { body, bytes } = this.delegate.localState();
    const members = [...this.members.values()].map((member) => this.newsOf(member));
    return { members, body, bytes: STATE_BYTES + MEMBER_BYTES * (members.length - 1) + bytes };
  }

  /** What another node believes; whom it holds for dead is a suspect here first. */
  private merge(state: FullState): void {
    for (const news of state.members) this.hear(news.kind === "dead" ? { ...news, kind: "suspect" } : news);
    this.delegate.mergeState(state.body);
  }

  private newsOf({ name, ip, incarnation, state }: Member): MemberNews {
    return { kind: state, name, ip, incarnation, from: this.name };
  }

  private tell(news: MemberNews): void {
    this.queue.add({ news }, NEWS_BYTES[news.kind], news.name);
    this.armGossip();
  }

  private hear(news: MemberNews): void {
    const member = this.members.get(news.name);
    if (news.kind === "alive") this.hearAlive(news, member);
    else if (member === undefined || news.incarnation < member.incarnation) return;
    else if (member === this.self) this.refute(news);
    else if (news.kind === "suspect") this.suspect(member, news);
    else this.bury(member, news);
  }

  private hearAlive(news: MemberNews, known: Member | undefined): void {
    if (known === this.self) {
      if (news.ip !== this.ip || news.incarnation > this.self.incarnation) this.refute(news);
      return;
    }
    if (known !== undefined && news.incarnation <= known.incarnation && known.state !== "left") return;
    const wasThere = known !== undefined && (known.state === "alive" || known.state === "suspect");
    const member = known ?? newMember(news.name, news.ip, news.incarnation);
    member.incarnation = news.incarnation;
    member.state = "alive";
    member.accusers.clear();
    member.suspicion++;
    this.members.set(member.name, member);
    this.tell(news);
    if (!wasThere) this.delegate.joined(member);
  }

  /** This node lives, whatever others say. */
  private refute(news: MemberNews): void {
    this.self.incarnation = Math.max(this.self.incarnation, news.incarnation) + 1;
    this.tell(this.newsOf(this.self));
  }

  /** A member did not answer. */
  suspectNow(member: Member): void {
    if (member.state === "alive") this.suspect(member, { ...this.newsOf(member), kind: "suspect" });
  }

  private suspect(member: Member, news: MemberNews): void {
    if (member.state === "dead" || member.state === "left") return;
    const isNew = member.state === "alive";
    if (!isNew && member.accusers.has(news.from)) return;
    const { sim } = this.daemon.machine.kernel;
    member.accusers.add(news.from);
    member.incarnation = news.incarnation;
    if (isNew) {
      member.state = "suspect";
      member.suspectedNs = sim.now;
    }
    this.tell({ ...news, kind: "suspect" });
    const timeout = suspicionTimeout(this.others().length + 1, member.accusers.size - 1);
    const suspicion = ++member.suspicion;
    after(sim, Math.max(0, member.suspectedNs + timeout - sim.now), () => {
      if (member.state === "suspect" && member.suspicion === suspicion && this.isOpen)
        this.bury(member, { ...this.newsOf(member), kind: "dead" });
    });
  }

  private bury(member: Member, news: MemberNews): void {
    if (member.state === "dead" || member.state === "left") return;
    member.state = news.kind === "left" ? "left" : "dead";
    member.incarnation = news.incarnation;
    this.tell(news);
    this.delegate.gone(member);
  }
}
