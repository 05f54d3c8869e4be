/**
 * The stations of the world, alike on both sides: they answer ARP requests at once, and packets when a step says so.
 */
import { type Answer, type Case, WORLD } from "./case.ts";
import {
  arp,
  type Bytes,
  ETH_HLEN,
  ETH_P_ARP,
  ETH_P_IP,
  ethernet,
  get16,
  get32,
  IPPROTO_ICMP,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPPROTO_UDPLITE,
  icmp,
  ipText,
  ipv4,
  macText,
  pattern,
  sctp,
  sctpChunk,
  set32,
  tcp,
  udp,
  udplite,
} from "./packet.ts";
import type { Seen } from "./side.ts";

const ARP_REQUEST = 1;
const ARP_REPLY = 2;
/** Where a station's sequence numbers begin when nothing was acknowledged yet. */
const FIRST_SEQ = 0x20000000;
/** IP ids of answers count up from here. */
export const ANSWER_ID = 0x7000;
/** MSS 1460, window scale 7, selective acknowledgements. */
const SYN_OPTIONS = [2, 4, 5, 180, 1, 3, 3, 7, 1, 1, 4, 2];
const SCALE_AT = 7;

/** A frame and the interface of the world. */
export interface Sending {
  readonly dev: string;
  readonly frame: Bytes;
}

export class Peers {
  /** Frames that were sent, answers included. */
  sent = 0;
  private readonly one: Case;
  /** IP packets that arrived, and where. */
  private readonly arrived: Sending[] = [];
  private answers = 0;

  constructor(one: Case) {
    this.one = one;
  }

  /** Notes what arrived; returns the ARP answers that are due. */
  hear(seen: readonly Seen[]): Sending[] {
    const due: Sending[] = [];
    for (const { ns, dev, outgoing, bytes } of seen) {
      if (ns !== WORLD || outgoing || bytes.length < ETH_HLEN) continue;
      const type = get16(bytes, 12);
      if (type === ETH_P_IP) this.arrived.push({ dev, frame: bytes });
      else if (type === ETH_P_ARP) {
        const frame = this.arpAnswer(dev, bytes);
        if (frame !== null) due.push({ dev, frame });
      }
    }
    return due;
  }

  /** The answer to a packet that arrived; null when there is none or it cannot be answered. */
  answer(answer: Answer): Sending | null {
    const packet = this.arrived.at(-1 - answer.back);
    if (packet === undefined || packet.frame.length < ETH_HLEN + 20) return null;
    const { dev, frame } = packet;
    const station = this.one.stations.find(({ at }) => at === dev);
    const source = station === undefined ? macText(frame, 0) : station.mac;
    const reply = this.answerPacket(frame.subarray(ETH_HLEN), answer);
    return reply === null ? null : { dev, frame: ethernet(macText(frame, 6), source, ETH_P_IP, reply) };
  }

  private arpAnswer(dev: string, bytes: Bytes): Bytes | null {
    if (bytes.length < ETH_HLEN + 28 || get16(bytes, ETH_HLEN + 6) !== ARP_REQUEST) return null;
    const wanted = ipText(bytes, ETH_HLEN + 24);
    const station = this.one.stations.find(({ at, addresses }) => at === dev && addresses.includes(wanted));
    if (station === undefined) return null;
    const tha = macText(bytes, ETH_HLEN + 8);
    const tpa = ipText(bytes, ETH_HLEN + 14);
    const reply = arp({ op: ARP_REPLY, sha: station.mac, spa: wanted, tha, tpa });
    return ethernet(tha, station.mac, ETH_P_ARP, reply);
  }

  private answerPacket(ip: Bytes, answer: Answer): Bytes | null {
    const length = get16(ip, 2);
    const l4 = (ip[0] & 15) * 4;
    if (ip.length < length || length < l4 + 8) return null;
    const fields = { src: ipText(ip, 16), dst: ipText(ip, 12), id: ANSWER_ID + ++this.answers };
    const body = ip.subarray(l4, length);
    if (answer.icmp !== undefined) {
      const quoted = ip.subarray(0, Math.min(length, l4 + 8 + answer.payload));
      const [type, code] = answer.icmp;
      const info = answer.info ?? (type === 3 && code === 4 ? 600 : 0);
      const message = icmp(
        type,
        code,
        [info >>> 24, (info >> 16) & 0xff, (info >> 8) & 0xff, info & 0xff],
        quoted,
      );
      return ipv4({ ...fields, src: answer.from ?? fields.src, protocol: IPPROTO_ICMP }, message);
    }
    const transport = answerTransport(ip[9], body, { ...fields, answer });
    const tos = answer.tos ?? 0;
    return transport === null ? null : ipv4({ ...fields, tos, protocol: ip[9] }, transport);
  }
}

function synOptions(scale = 7): readonly number[] {
  return scale < 0 ? [] : SYN_OPTIONS.map((byte, i) => (i === SCALE_AT ? scale : byte));
}

function sackOptions(ack: number, edges: readonly number[] = []): readonly number[] {
  if (edges.length === 0) return [];
  const words = new Uint8Array(4 * edges.length);
  edges.forEach((edge, i) => {
    set32(words, 4 * i, (ack + edge) >>> 0);
  });
  return [1, 1, 5, 2 + words.length, ...words];
}

/** The tag of whoever opened the connection, and of the other side. */
export const CLIENT_TAG = 0x11111111;
export const SERVER_TAG = 0x22222222;

/** The chunks that a side sends whose packets have this tag: INIT and INIT ACK ask for the other one. */
export function sctpChunks(chunks: readonly number[], tag: number): Bytes {
  const own = tag === CLIENT_TAG ? SERVER_TAG : CLIENT_TAG;
  const bytes = chunks.map((chunk) => {
    const type = chunk & 0xff;
    const init = new Uint8Array(16);
    set32(init, 0, own);
    const value = type === 1 || type === 2 ? init : pattern(type === 0 ? 17 : 8, type);
    return sctpChunk(type, chunk >> 8, value);
  });
  return Uint8Array.from(bytes.flatMap((chunk) => [...chunk]));
}

/** What goes to a client has its tag, also behind its INIT, which has none. */
function sctpAnswer(body: Bytes, { chunks = [], tag }: Answer): Bytes | null {
  if (body.length < 12) return null;
  const right = get32(body, 4) === CLIENT_TAG ? SERVER_TAG : CLIENT_TAG;
  const ports = { sport: get16(body, 2), dport: get16(body, 0) };
  return sctp({ ...ports, tag: tag ?? right }, sctpChunks(chunks, right));
}

/** The answering transport header with its payload; null for a protocol that has none. */
function answerTransport(
  protocol: number,
  body: Bytes,
  { src, dst, answer }: { src: string; dst: string; answer: Answer },
): Bytes | null {
  const payload = pattern(answer.payload, 0x61);
  if (protocol === IPPROTO_UDP)
    return udp({ src, dst, sport: get16(body, 2), dport: get16(body, 0) }, payload);
  if (protocol === IPPROTO_ICMP) {
    if (body[0] !== 8) return null;
    return icmp(0, 0, [...body.subarray(4, 8)], body.subarray(8));
  }
  if (protocol === IPPROTO_UDPLITE)
    return udplite({ src, dst, sport: get16(body, 2), dport: get16(body, 0), coverage: 0 }, payload);
  if (protocol === IPPROTO_SCTP) return sctpAnswer(body, answer);
  if (protocol !== IPPROTO_TCP) return body;
  if (body.length < 20) return null;
  const flags = body[13];
  const length = body.length - (body[12] >> 4) * 4 + (flags & 1) + ((flags >> 1) & 1);
  const seq = ((flags & 16) !== 0 ? get32(body, 8) : FIRST_SEQ) + (answer.shift ?? 0);
  const ports = { sport: get16(body, 2), dport: get16(body, 0) };
  const ack = answer.flags.includes("A") ? get32(body, 4) + length + (answer.ackShift ?? 0) : 0;
  const options = answer.flags.includes("S") ? synOptions(answer.scale) : sackOptions(ack, answer.sack);
  const window = answer.window === undefined ? {} : { window: answer.window };
  const numbers = { seq: seq >>> 0, ack: ack >>> 0 };
  return tcp({ src, dst, ...ports, ...numbers, flags: answer.flags, options, ...window }, payload);
}
