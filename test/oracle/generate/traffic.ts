/** Frames from a seed: what stations send into a network, from well-behaved conversations to nonsense. */
import type { Prng } from "../../../src/util/prng.ts";
import type { Answer, Step } from "../case.ts";
import {
  arp,
  type Bytes,
  ETH_P_ARP,
  ETH_P_IP,
  ethernet,
  get32,
  hexOf,
  ipBytes,
  type Tag,
  tagged,
} from "../packet.ts";
import { dialogue } from "./dialogue.ts";
import type { Leg, Network } from "./network.ts";
import {
  damagedPacket,
  echoPacket,
  fragments,
  icmpOddity,
  optionsPacket,
  type PacketContext,
  portlessPacket,
  tcpPacket,
  udpPacket,
} from "./packets.ts";
import { association, sctpPacket, udplitePacket } from "./sctp.ts";
import { segments } from "./segments.ts";

/** Every kind of error, known codes and others. */
const ICMP_ERRORS: readonly (readonly [type: number, code: number])[] = [
  ...[0, 1, 2, 3, 4, 4, 4, 5, 6, 9, 10, 11, 13, 15, 16, 99].map((code) => [3, code] as const),
  [4, 0],
  ...[0, 1, 2, 3, 7].map((code) => [5, code] as const),
  ...[0, 1, 2].map((code) => [11, code] as const),
  [12, 0],
  [12, 1],
];

const BROADCAST_MAC = "ff:ff:ff:ff:ff:ff";
const ZERO_MAC = "00:00:00:00:00:00";
const MTU = 1500;
const MULTICAST_MAC = "01:00:5e:00:00:05";

/** One frame of so many is tagged. */
const TAGGED = 12;
/** Priority tags, VLANs, tags of providers, several. */
const TAGS: readonly (readonly Tag[])[] = [
  [[0x8100, 0]],
  [[0x8100, 0]],
  [[0x8100, 0x6000]],
  [[0x8100, 5]],
  [[0x8100, 5]],
  [[0x8100, 0xa007]],
  [[0x88a8, 9]],
  [[0x88a8, 0]],
  [
    [0x8100, 0],
    [0x8100, 0],
  ],
  [
    [0x8100, 0],
    [0x8100, 5],
  ],
  [
    [0x8100, 5],
    [0x8100, 0],
  ],
  [
    [0x88a8, 9],
    [0x8100, 5],
  ],
];

type Source = (traffic: Traffic) => void;

/** Kinds of traffic with their weights. */
const KINDS: readonly (readonly [weight: number, source: Source])[] = [
  [3, (t) => t.arpFrame()],
  [3, (t) => t.packet(echoPacket)],
  [3, (t) => t.packet(udpPacket)],
  [2, (t) => t.udpExchange()],
  [4, (t) => t.conversation()],
  [4, (t) => t.talk()],
  [2, (t) => t.packet(tcpPacket)],
  [3, (t) => t.packet(optionsPacket)],
  [2, (t) => t.fragmented()],
  [2, (t) => t.packet(damagedPacket)],
  [1, (t) => t.portless()],
  [1, (t) => t.packet(icmpOddity)],
  [2, (t) => t.icmpError()],
  [1, (t) => t.broadcast()],
  [1, (t) => t.martian()],
  [1, (t) => t.foreignFrame()],
  [1, (t) => t.collision()],
  [1, (t) => t.association()],
];

const TOTAL = KINDS.reduce((sum, [weight]) => sum + weight, 0);

export class Traffic {
  readonly steps: Step[] = [];
  private readonly prng: Prng;
  private readonly network: Network;
  private nextId = 0x1000;

  constructor(prng: Prng, network: Network) {
    this.prng = prng;
    this.network = network;
  }

  /** Adds frames of a random kind. */
  more(): void {
    if (this.network.tracked === true) {
      this.tracked();
      return;
    }
    let at = this.prng.below(TOTAL);
    for (const [weight, source] of KINDS) {
      at -= weight;
      if (at < 0) {
        source(this);
        return;
      }
    }
  }

  /** One IP packet from a station to somewhere. */
  packet(make: (context: PacketContext) => Bytes, note = make.name): void {
    const leg = this.prng.pick(this.network.legs);
    this.sendIp(leg, make(this.context(leg)), note);
  }

  /** A UDP packet, and answers to whatever comes out. */
  udpExchange(): void {
    this.packet(udpPacket);
    for (let i = this.prng.below(3); i >= 0; i--) this.answer({ back: 0, flags: "", payload: 20 }, "answer");
  }

  /** A TCP connection played by two stations, or by one and the machine; sometimes not by the book. */
  conversation(): void {
    const leg = this.prng.pick(this.network.legs);
    const context = this.context(leg);
    this.sendIp(leg, tcpPacket(context, "S"), "SYN");
    const script = ["SA", "A", "PA", "A", "PA", "A", "FA", "FA", "A"];
    const length = 1 + this.prng.below(script.length);
    for (let i = 0; i < length; i++) this.turn(script[i]);
  }

  /** An SCTP association of two stations. */
  association(): void {
    this.packet(sctpPacket);
    this.associationBehind();
  }

  private associationBehind(): void {
    for (const answer of association(this.prng)) this.answer(answer, `SCTP ${answer.chunks?.join(",")}`);
  }

  /** What a router tracks of stations on two sides of it: mostly TCP, from its beginning or from somewhere. */
  private tracked(): void {
    const { prng, network } = this;
    const [leg, other] = prng.below(2) === 0 ? network.legs : [...network.legs].reverse();
    const context = { ...this.context(leg), dst: prng.pick(other.hosts.slice(0, 2)) };
    switch (prng.below(9)) {
      case 0:
        this.sendIp(leg, sctpPacket(context), "SCTP");
        this.associationBehind();
        return;
      case 1:
        this.sendIp(leg, udplitePacket(context), "UDP-Lite");
        if (prng.below(2) === 0) this.answer({ back: 0, flags: "", payload: 9 }, "answer");
        return;
      default: {
        const first = prng.pick(["S", "S", "S", "S", "S", "A", "PA", "SA", "FA", "R"]);
        this.sendIp(leg, tcpPacket(context, first), `TCP ${first}`);
        for (const answer of segments(prng)) this.answer(answer, `TCP ${answer.flags || "none"}`);
      }
    }
  }

  private turn(flags: string): void {
    const { prng } = this;
    const odd = prng.below(8) === 0;
    const used = odd ? prng.pick(["R", "RA", "S", "SA", "FA", "A", "", "FPU"]) : flags;
    const shift = prng.below(12) === 0 ? prng.pick([1, -1, 1000, -1000, 100_000]) : 0;
    const payload = used.includes("P") ? 1 + prng.below(40) : 0;
    const back = prng.below(10) === 0 ? 1 : 0;
    this.answer({ back, flags: used, payload, ...(shift === 0 ? {} : { shift }) }, `TCP ${used || "none"}`);
  }

  /** A datagram in pieces: in order, out of order, overlapping, or with one missing. */
  fragmented(): void {
    const leg = this.prng.pick(this.network.legs);
    for (const piece of fragments(this.context(leg))) this.sendIp(leg, piece, "fragment");
  }

  /** An ICMP error about a packet that came out. */
  icmpError(): void {
    const { prng } = this;
    if (prng.below(2) === 0)
      this.packet(prng.pick([udpPacket, echoPacket, (c: PacketContext) => tcpPacket(c, "S")]), "packet");
    const icmp = prng.pick(ICMP_ERRORS);
    const payload = prng.pick([0, 0, 8, 100, 1500]);
    const answer = { back: prng.below(3), flags: "", payload, icmp, ...this.errorDetails(icmp[0], icmp[1]) };
    this.answer(answer, `ICMP error ${icmp.join(".")}`);
  }

  /** An MTU or a gateway; now and then a sender between. */
  private errorDetails(type: number, code: number): Pick<Answer, "info" | "from"> {
    const { prng } = this;
    const routers = prng.pick(this.network.legs).hosts;
    const from = prng.below(2) === 0 ? { from: prng.pick(routers) } : {};
    if (type === 3 && code === 4)
      return { ...from, info: prng.pick([0, 68, 552, 600, 1000, 1400, 1500, 9000]) };
    if (type !== 5) return from;
    return { ...from, info: get32(Uint8Array.from(ipBytes(prng.pick(routers))), 0) };
  }

  /** A packet of a protocol without ports, and often one back. */
  portless(): void {
    this.packet(portlessPacket);
    if (this.prng.below(2) === 0) this.answer({ back: 0, flags: "", payload: 0 }, "answer");
  }

  /** A TCP connection with a server of the machine. */
  talk(): void {
    const { prng, network } = this;
    const ports = network.listeners.filter(({ protocol }) => protocol === "tcp").map(({ port }) => port);
    const leg = prng.pick(network.legs);
    if (ports.length === 0 || leg.address === "") {
      this.conversation();
      return;
    }
    const context = {
      ...this.context(leg),
      dst: leg.address,
      ports: network.bridged ? ports : [...ports, ...network.ports],
    };
    const ecn = prng.below(4) === 0;
    this.sendIp(leg, tcpPacket(context, ecn ? "SEC" : "S"), "SYN");
    for (const answer of dialogue(prng, ecn)) this.answer(answer, `TCP ${answer.flags || "none"}`);
  }

  /** Two stations with the same port to the same service: NAT has to choose. */
  collision(): void {
    const { prng } = this;
    const leg = prng.pick(this.network.legs);
    const context = this.context(leg);
    const make = prng.pick([udpPacket, echoPacket]);
    for (const src of leg.hosts.slice(0, 2)) {
      this.sendIp(leg, make({ ...context, src, id: this.id() }), "collision");
      if (prng.below(2) === 0) this.answer({ back: 0, flags: "", payload: 4 }, "answer");
    }
  }

  broadcast(): void {
    const { prng } = this;
    const leg = prng.pick(this.network.legs);
    const dst = prng.pick([
      "255.255.255.255",
      leg.broadcast,
      "224.0.0.1",
      "224.0.0.5",
      "239.1.2.3",
      "0.0.0.0",
    ]);
    const make = prng.pick([udpPacket, echoPacket, tcpPacket]);
    const src = prng.below(4) === 0 ? "0.0.0.0" : prng.pick(leg.hosts);
    const packet = make({ ...this.context(leg), src, dst });
    const mac = prng.pick([BROADCAST_MAC, MULTICAST_MAC, leg.gatewayMac]);
    this.send(leg, ethernet(mac, leg.stationMac, ETH_P_IP, packet), `to ${dst} by ${mac}`);
  }

  /** Source addresses that cannot be. */
  martian(): void {
    const { prng } = this;
    const leg = prng.pick(this.network.legs);
    const others = this.network.legs
      .filter((one) => one !== leg)
      .flatMap(({ hosts, address }) => [hosts[0], address]);
    const odd = [
      "127.0.0.1",
      "0.0.0.0",
      "255.255.255.255",
      "224.0.0.1",
      "240.1.2.3",
      leg.address,
      leg.broadcast,
    ];
    const src = prng.pick([...odd, ...others].filter((address) => address !== ""));
    const context = this.context(leg);
    const dst = prng.below(5) === 0 ? prng.pick(["127.0.0.1", "240.0.0.1", "0.1.2.3"]) : context.dst;
    this.sendIp(leg, prng.pick([udpPacket, echoPacket])({ ...context, src, dst }), `from ${src}`);
  }

  /** Frames of other protocols and to other MACs. */
  foreignFrame(): void {
    const { prng } = this;
    const leg = prng.pick(this.network.legs);
    const packet = udpPacket(this.context(leg));
    const mac = prng.pick([
      "02:00:00:00:00:99",
      "01:80:c2:00:00:00",
      "01:80:c2:00:00:02",
      "01:80:c2:00:00:0e",
      leg.stationMac,
    ]);
    const type = prng.pick([ETH_P_IP, ETH_P_IP, 0x88cc, 0x0101, 0x9000]);
    this.send(leg, ethernet(mac, leg.stationMac, type, packet), `type ${type.toString(16)} to ${mac}`);
  }

  arpFrame(): void {
    const { prng } = this;
    const leg = prng.pick(this.network.legs);
    const spa = prng.pick([...leg.hosts, leg.hosts[0], "0.0.0.0", "10.7.7.7", leg.address || leg.hosts[1]]);
    const tpa = prng.pick([
      ...this.addresses(),
      leg.address || leg.hosts[1],
      leg.address || leg.hosts[1],
      spa,
    ]);
    const op = prng.pick([1, 1, 1, 2, 2, 3, 0]);
    const sha = prng.below(8) === 0 ? "02:57:00:00:01:01" : leg.stationMac;
    const tha = op === 1 ? ZERO_MAC : leg.gatewayMac;
    const odd = prng.below(12) === 0 ? prng.pick([{ hrd: 6 }, { pro: 0x86dd }, { hln: 8 }, { pln: 6 }]) : {};
    const bytes = arp({ op, sha, spa, tha, tpa, ...odd });
    const cut = prng.below(30) === 0 ? bytes.subarray(0, 20) : bytes;
    const mac = op === 1 && prng.below(4) > 0 ? BROADCAST_MAC : leg.gatewayMac;
    this.send(leg, ethernet(mac, leg.stationMac, ETH_P_ARP, cut), `ARP ${op} ${spa} ${tpa}`);
  }

  /** Every address that a packet may go to. */
  private addresses(): string[] {
    const { legs, targets } = this.network;
    const own = legs.map(({ address }) => address).filter((address) => address !== "");
    return [...own, ...legs.flatMap(({ hosts }) => hosts), ...targets];
  }

  private context(leg: Leg): PacketContext {
    const { prng, network } = this;
    const src = leg.hosts[prng.below(2)];
    const others = network.legs.filter((one) => one !== leg).flatMap(({ hosts }) => hosts);
    const usual = prng.below(3) > 0 && others.length > 0 ? others : this.addresses();
    const dst = prng.pick(usual);
    return { prng, src, dst, hops: this.addresses(), ports: network.ports, id: this.id() };
  }

  private id(): number {
    return this.nextId++;
  }

  private sendIp(leg: Leg, packet: Bytes, note: string): void {
    // Options may make a full packet too long for the cable.
    if (packet.length > MTU) return;
    const mac = this.network.bridged ? this.bridgedMac(leg, packet) : leg.gatewayMac;
    this.send(leg, ethernet(mac, leg.stationMac, ETH_P_IP, packet), note);
  }

  /** The MAC of the station that has the destination; sometimes that of the bridge. */
  private bridgedMac(leg: Leg, packet: Bytes): string {
    const dst = packet.subarray(16, 20).join(".");
    const owner = this.network.legs.find(({ hosts }) => hosts.includes(dst));
    return owner === undefined || this.prng.below(10) === 0 ? leg.gatewayMac : owner.stationMac;
  }

  private send(leg: Leg, frame: Bytes, note: string): void {
    const { prng } = this;
    if (prng.below(TAGGED) !== 0) {
      this.steps.push({ at: leg.at, frame: hexOf(frame), note });
      return;
    }
    const tags = prng.pick(TAGS);
    const whole = tagged(frame, tags);
    const cut = prng.below(20) === 0 ? whole.subarray(0, 14 + prng.below(8)) : whole;
    const said = tags.map(([type, tci]) => `${type.toString(16)}:${tci.toString(16)}`).join(" ");
    this.steps.push({ at: leg.at, frame: hexOf(cut), note: `${note}, tag ${said}` });
  }

  private answer(answer: Answer, note: string): void {
    this.steps.push({ answer, note });
  }
}
