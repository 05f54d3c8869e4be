/** The frames of the stations around the director. real-side.py makes the same answers. */
import {
  ethernet,
  hexOf,
  IPPROTO_UDP,
  icmp,
  ipBytes,
  ipv4,
  pattern,
  set16,
  sum16,
  tcp,
  udp,
} from "../oracle/packet.ts";
import type { IcmpError, Reply } from "./case.ts";

const MF = 0x2000;
const DF = 0x4000;
const ANSWER_ID = 77;

/** MAC address of a station; below 16 a backend, else a client. */
export const stationMac = (last: number) => `02:00:00:00:02:${last.toString(16).padStart(2, "0")}`;
/** MAC address of the director's card. */
export const directorMac = (card: number) => `02:00:00:00:01:${card.toString(16).padStart(2, "0")}`;

export interface StationPacket {
  readonly card: number;
  /** Last byte of the sender's MAC. */
  readonly station: number;
  readonly protocol: number;
  readonly src: string;
  readonly dst: string;
  readonly sport: number;
  readonly dport: number;
  /** Letters of TCP flags. */
  readonly flags: string;
  readonly id: number;
  readonly ttl?: number;
  readonly tos?: number;
  /** Bytes of data; 4 of UDP and none of TCP when absent. */
  readonly size?: number;
  readonly df?: boolean;
  /** Bytes of the first of two fragments. */
  readonly cut?: number;
  readonly badSum?: boolean;
}

/** The frames (hex) of a packet. */
export function stationFrames(packet: StationPacket): string[] {
  const {
    card,
    station,
    protocol,
    src,
    dst,
    sport,
    dport,
    flags,
    id,
    ttl = 64,
    tos = 0,
    df = false,
  } = packet;
  const isUdp = protocol === IPPROTO_UDP;
  const ends = { src, dst, sport, dport };
  const first = flags.includes("S");
  const payload = pattern(packet.size ?? (isUdp ? 4 : 0), 1);
  const badSum = packet.badSum === true;
  const l4 = isUdp
    ? udp({ ...ends, sum: badSum ? "wrong" : "right" }, payload)
    : tcp({ ...ends, seq: first ? 1000 : 1001, ack: first ? 0 : 5001, flags, badSum }, payload);
  const fields = { src, dst, protocol, id, ttl, tos };
  return pieces(l4, packet.cut ?? 0, df ? DF : 0).map(([bytes, frag]) =>
    hexOf(ethernet(directorMac(card), stationMac(station), 0x0800, ipv4({ ...fields, frag }, bytes))),
  );
}

function pieces(l4: Uint8Array, cut: number, df: number): (readonly [Uint8Array, number])[] {
  if (cut === 0 || cut >= l4.length) return [[l4, df]];
  return [
    [l4.subarray(0, cut), MF],
    [l4.subarray(cut), cut / 8],
  ];
}

/** The answer of the station that got `frame`: ends swapped, other flags; in one piece or two. */
export function replyFrames(frame: Uint8Array, reply: Reply): Uint8Array[] {
  const ip = frame.subarray(14);
  const [saddr, daddr] = [ip.subarray(12, 16), ip.subarray(16, 20)];
  const isTcp = ip[9] === 6;
  const old = ip.subarray((ip[0] & 15) * 4);
  const headerLength = isTcp ? 20 : 8;
  const payload = reply.size === undefined ? old.subarray(headerLength) : pattern(reply.size, 1);
  const l4 = new Uint8Array(headerLength + payload.length);
  l4.set(old.subarray(0, headerLength));
  l4.set(old.subarray(2, 4), 0);
  l4.set(old.subarray(0, 2), 2);
  l4.set(payload, headerLength);
  if (isTcp) {
    l4.set(old.subarray(8, 12), 4);
    l4.set(old.subarray(4, 8), 8);
    l4[12] = 0x50;
    l4[13] = reply.flags;
    set16(l4, 18, 0);
  } else set16(l4, 4, l4.length);
  const sumAt = isTcp ? 16 : 6;
  set16(l4, sumAt, 0);
  const pseudo = Uint8Array.from([...daddr, ...saddr, 0, ip[9], l4.length >> 8, l4.length & 255]);
  const sum = ~sum16(l4, 0, l4.length, sum16(pseudo, 0, 12)) & 0xffff;
  set16(l4, sumAt, isTcp ? sum : sum || 0xffff);
  return pieces(l4, reply.cut ?? 0, reply.df === true ? DF : 0).map(([bytes, frag]) =>
    back(frame, ip[9], bytes, reply.ttl ?? 64, frag),
  );
}

/** An ICMP error of the station that got `frame`. */
export function icmpFrame(
  frame: Uint8Array,
  { type, code, quote = 28, damaged = false }: IcmpError,
): Uint8Array {
  const message = icmp(type, code, [0, 0, 5, 0], frame.subarray(14, 14 + quote));
  if (damaged) message[message.length - 1] ^= 1;
  return back(frame, 1, message, 64, 0);
}

function back(
  frame: Uint8Array,
  protocol: number,
  payload: Uint8Array,
  ttl: number,
  frag: number,
): Uint8Array {
  const [src, dst] = [frame.subarray(30, 34).join("."), frame.subarray(26, 30).join(".")];
  const packet = ipv4({ src, dst, protocol, id: ANSWER_ID, ttl, frag }, payload);
  return Uint8Array.from([...frame.subarray(6, 12), ...frame.subarray(0, 6), 8, 0, ...packet]);
}

/** Whom a frame that came out reaches: a backend, a client, nobody who answers (errors, later fragments). */
export function receiverOf(frame: Uint8Array): "b" | "c" | null {
  if (frame[23] === 1 || (frame[20] & 0xbf) !== 0 || frame[21] !== 0) return null;
  return frame[5] >= 16 ? "c" : "b";
}

export function addressNumber(address: string): number {
  const [a, b, c, d] = ipBytes(address);
  return (a << 24) | (b << 16) | (c << 8) | d;
}
