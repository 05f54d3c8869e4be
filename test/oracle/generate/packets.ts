/** IP packets from a seed. */
import type { Prng } from "../../../src/util/prng.ts";
import {
  type Bytes,
  IPPROTO_ICMP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  type IpFields,
  icmp,
  ipv4,
  pattern,
  tcp,
  udp,
} from "../packet.ts";
import { randomOptions } from "./ip-options.ts";

export interface PacketContext {
  readonly prng: Prng;
  readonly src: string;
  readonly dst: string;
  /** Addresses that a source route may lead over. */
  readonly hops: readonly string[];
  /** Ports of services. */
  readonly ports: readonly number[];
  readonly id: number;
}

const IP_DF = 0x4000;
const IP_MF = 0x2000;
const SOURCE_PORTS = [40000, 40001, 1000, 61000];
const UNUSED_PORT = 7777;

/** TTL, TOS, DF and now and then options as packets have them. */
function usual({ prng, src, dst, hops, id }: PacketContext, protocol: number): IpFields {
  const ttl = prng.below(6) === 0 ? prng.pick([0, 1, 2, 255]) : 64;
  const tos = prng.below(8) === 0 ? prng.pick([0x10, 0xb8, 0x03, 0x01]) : 0;
  const options = prng.below(40) === 0 ? randomOptions(prng, { src, dst, hops }) : [];
  return { src, dst, protocol, id, ttl, tos, frag: prng.below(3) === 0 ? IP_DF : 0, options };
}

function payloadLength(prng: Prng): number {
  return prng.pick([0, 1, 20, 20, 33, 600, 1200, 1472]);
}

function destinationPort({ prng, ports }: PacketContext): number {
  return prng.below(6) === 0 ? UNUSED_PORT : prng.pick(ports);
}

export function udpPacket(context: PacketContext): Bytes {
  const { prng, src, dst } = context;
  const sport = prng.pick(SOURCE_PORTS);
  const sum = prng.below(10) === 0 ? prng.pick(["none", "wrong"] as const) : "right";
  const data = pattern(payloadLength(prng), 0x30);
  return ipv4(
    usual(context, IPPROTO_UDP),
    udp({ src, dst, sport, dport: destinationPort(context), sum }, data),
  );
}

export function echoPacket(context: PacketContext): Bytes {
  const { prng } = context;
  const rest = [0x30, prng.below(3), 0, prng.below(4)];
  const type = prng.below(8) === 0 ? prng.pick([0, 13, 17]) : 8;
  const data = pattern(prng.pick([0, 12, 56, 1000, 1472]), 0);
  return ipv4(usual(context, IPPROTO_ICMP), icmp(type, 0, rest, data, prng.below(20) === 0));
}

const TCP_OPTIONS: readonly (readonly number[])[] = [
  [2, 4, 5, 180],
  [2, 4, 5, 180, 1, 3, 3, 7, 4, 2, 1, 1],
  [2, 4, 0, 100],
  [],
  [1, 1, 0, 0],
  [2, 0, 1, 1],
];

const TCPOPT_NOP = 1;

/** A segment of its own; `flags` random when not given. */
export function tcpPacket(context: PacketContext, flags?: string): Bytes {
  const { prng, src, dst } = context;
  const letters =
    flags ?? prng.pick(["S", "S", "A", "PA", "R", "RA", "FA", "SA", "", "FPU", "SF", "SR", "SEC"]);
  const syn = letters.includes("S");
  const ack = letters.includes("A") ? prng.pick([1, 0x20000001, 0x70000000]) : 0;
  const doff = prng.below(30) === 0 ? prng.pick([3, 15]) : undefined;
  // Options that are wrong make later kernels than 6.1 silent: what a long header takes for options says nothing.
  const length = prng.pick([0, 0, 5, 500]);
  const payload = doff === undefined ? pattern(length, 0x41) : new Uint8Array(length).fill(TCPOPT_NOP);
  const segment = tcp(
    {
      src,
      dst,
      sport: prng.pick(SOURCE_PORTS),
      dport: destinationPort(context),
      seq: prng.pick([0x10000000, 0x10000001, 0x7fffffff, 0xfffffff0]),
      ack,
      flags: letters,
      options: syn ? prng.pick(TCP_OPTIONS) : [],
      badSum: prng.below(25) === 0,
      ...(doff === undefined ? {} : { doff }),
    },
    syn ? new Uint8Array() : payload,
  );
  return ipv4(usual(context, IPPROTO_TCP), segment);
}

/** What is cut into pieces: UDP, an echo request, a TCP segment. */
function datagramToCut(context: PacketContext): { protocol: number; bytes: Bytes } {
  const { prng, src, dst } = context;
  const length = prng.pick([16, 100, 800, 1500, 2500]);
  const ports = { sport: prng.pick(SOURCE_PORTS), dport: destinationPort(context) };
  switch (prng.below(6)) {
    case 0:
    case 1:
      return { protocol: IPPROTO_ICMP, bytes: icmp(8, 0, [0x30, 1, 0, 1], pattern(length, 0)) };
    case 2: {
      const numbers = { seq: 0x10000000, ack: 0, flags: "S" };
      return { protocol: IPPROTO_TCP, bytes: tcp({ src, dst, ...ports, ...numbers }, pattern(length, 0x41)) };
    }
    default:
      return { protocol: IPPROTO_UDP, bytes: udp({ src, dst, ...ports }, pattern(length, 0x30)) };
  }
}

/**
 * A datagram cut into pieces, possibly shuffled, one lost, doubled, or overlapping; sizes even or not, with DF in all, in
 * some or in none.
 */
export function fragments(context: PacketContext): Bytes[] {
  const { prng } = context;
  const { protocol, bytes } = datagramToCut(context);
  const fields = { ...usual(context, protocol), frag: 0 };
  const size = 8 * prng.pick([1, 2, 10, 60, 150]);
  const df = prng.pick([0, 0, 0, 0, 1, 2]);
  const uneven = prng.below(4) === 0;
  const pieces: Bytes[] = [];
  for (let off = 0; off < bytes.length && pieces.length < 8; ) {
    const end = Math.min(off + (uneven ? 8 * (1 + prng.below(size / 4)) : size), bytes.length);
    const stretched = prng.below(25) === 0 ? Math.min(end + 8, bytes.length) : end;
    const flags =
      (end < bytes.length ? IP_MF : 0) | (df === 1 || (df === 2 && prng.below(2) === 0) ? IP_DF : 0);
    const tos = prng.below(20) === 0 ? prng.pick([1, 2, 3]) : (fields.tos ?? 0);
    pieces.push(ipv4({ ...fields, tos, frag: flags | (off >> 3) }, bytes.subarray(off, stretched)));
    off = end;
  }
  const fate = prng.below(10);
  if (fate < 3) prng.shuffle(pieces);
  if (fate === 4) pieces.splice(prng.below(pieces.length), 1);
  if (fate === 5) pieces.push(prng.pick(pieces));
  if (fate === 6)
    pieces.push(
      ipv4(
        { ...fields, frag: prng.pick([IP_MF, IP_MF | 1, 1, 8000, IP_MF | 2]) },
        pattern(prng.pick([0, 5, 8, 1400]), 7),
      ),
    );
  return pieces;
}

const GRE_BODIES: readonly (readonly number[])[] = [
  [0, 0, 8, 0, 0x45, 0, 0, 20],
  [0x20, 0, 8, 0, 0, 0, 0, 5, 0x45, 0, 0, 20],
  [0x20, 1, 0x88, 0x0b, 0, 4, 0, 7, 1, 2, 3, 4],
  [0x20, 1, 0x88, 0x0b, 0, 4, 0, 8],
  [0x20, 1, 8, 0, 0, 4, 0, 8],
  [0x20, 1, 0x88, 0x0b],
  [0, 0],
];

/** Protocols without ports, or with keys: GRE, ESP, AH, IP in IP, OSPF. */
export function portlessPacket(context: PacketContext): Bytes {
  const { prng } = context;
  const protocol = prng.pick([47, 47, 47, 50, 51, 4, 89]);
  const body = protocol === 47 ? Uint8Array.from(prng.pick(GRE_BODIES)) : pattern(prng.pick([8, 40]), 3);
  return ipv4(usual(context, protocol), body);
}

/** A packet that is broken in one way, or of an unknown protocol: not DCCP, which later kernels than 6.1 do not track. */
export function damagedPacket(context: PacketContext): Bytes {
  const { prng, src, dst } = context;
  const base = usual(context, IPPROTO_UDP);
  const body = udp({ src, dst, sport: 40000, dport: destinationPort(context) }, pattern(30, 0x30));
  switch (prng.below(11)) {
    case 0:
      return ipv4({ ...base, badSum: 1 }, body);
    case 1:
      return ipv4({ ...base, version: 5 }, body);
    case 2:
      return ipv4({ ...base, ihl: 4 }, body);
    case 3:
      return ipv4({ ...base, ihl: 15 }, body);
    case 4:
      return ipv4({ ...base, totalLength: 1000 }, body);
    case 5:
      return ipv4({ ...base, totalLength: 19 }, body);
    case 6:
      return ipv4({ ...base, totalLength: 40 }, body);
    case 7:
      return ipv4(base, body.subarray(0, prng.pick([0, 4, 7])));
    case 8:
      return ipv4(
        base,
        udp({ src, dst, sport: 40000, dport: 53, length: prng.pick([4, 500, 8]) }, pattern(30, 0)),
      );
    case 9:
      return ipv4({ ...base, protocol: prng.pick([0, 2, 50, 253, 255]) }, body);
    default:
      return ipv4({ ...base, protocol: IPPROTO_TCP }, body.subarray(0, prng.pick([4, 10, 19])));
  }
}

/** A packet with IP options. */
export function optionsPacket(context: PacketContext): Bytes {
  const { prng, src, dst } = context;
  const options = randomOptions(prng, { src, dst, hops: context.hops });
  const fields = { ...usual(context, IPPROTO_ICMP), options };
  if (prng.below(2) === 0) return ipv4(fields, icmp(8, 0, [0x30, 1, 0, 1], pattern(20, 0)));
  const body = udp({ src, dst, sport: 40000, dport: destinationPort(context) }, pattern(20, 0x30));
  return ipv4({ ...fields, protocol: IPPROTO_UDP }, body);
}

/** ICMP messages that nobody asked for. */
export function icmpOddity(context: PacketContext): Bytes {
  const { prng, src, dst } = context;
  const quoted = ipv4(
    { src: dst, dst: src, protocol: IPPROTO_UDP, id: 77 },
    udp({ src: dst, dst: src, sport: 53, dport: 40000 }, pattern(20, 0)),
  );
  const cut = quoted.subarray(0, prng.pick([48, 48, 28, 24, 10]));
  const [type, code] = prng.pick([
    [3, 1],
    [3, 3],
    [3, 4],
    [3, 200],
    [5, 1],
    [11, 0],
    [12, 0],
    [9, 0],
    [10, 0],
    [13, 0],
    [15, 0],
    [17, 0],
    [40, 0],
    [42, 0],
    [200, 3],
  ]);
  return ipv4(usual(context, IPPROTO_ICMP), icmp(type, code, [0, 0, 2, 88], cut));
}
