/** SCTP and UDP-Lite packets from a seed, and associations played by two stations. */
import type { Prng } from "../../../src/util/prng.ts";
import type { Answer } from "../case.ts";
import {
  type Bytes,
  IPPROTO_SCTP,
  IPPROTO_UDPLITE,
  type IpFields,
  ipv4,
  pattern,
  sctp,
  sctpChunk,
  udplite,
} from "../packet.ts";
import { CLIENT_TAG, SERVER_TAG, sctpChunks } from "../peers.ts";
import type { PacketContext } from "./packets.ts";

const DATA = 0;
const INIT = 1;
const INIT_ACK = 2;
const SACK = 3;
const HEARTBEAT = 4;
const HEARTBEAT_ACK = 5;
const ABORT = 6;
const SHUTDOWN = 7;
const SHUTDOWN_ACK = 8;
const ERROR = 9;
const COOKIE_ECHO = 10;
const COOKIE_ACK = 11;
const SHUTDOWN_COMPLETE = 14;
/** In the flags: the tag is that of the other side. */
const REFLECTED = 0x100;

/** Packets of an association by the book, the first from the side that opens it; then each the other way. */
const BOOK: readonly (readonly number[])[] = [
  [INIT_ACK],
  [COOKIE_ECHO],
  [COOKIE_ACK],
  [DATA],
  [SACK],
  [HEARTBEAT],
  [HEARTBEAT_ACK],
  [SHUTDOWN],
  [SHUTDOWN_ACK],
  [SHUTDOWN_COMPLETE],
];

const ODD: readonly (readonly number[])[] = [
  ...BOOK,
  [INIT],
  [ABORT],
  [ABORT | REFLECTED],
  [SHUTDOWN_COMPLETE | REFLECTED],
  [ERROR],
  [COOKIE_ECHO, DATA],
  [COOKIE_ACK, DATA, DATA],
  [DATA, HEARTBEAT],
  [HEARTBEAT, HEARTBEAT],
  [HEARTBEAT_ACK, DATA],
  [DATA, COOKIE_ACK],
  [INIT, DATA],
  [DATA, SHUTDOWN],
  [SACK, SHUTDOWN_ACK],
  [63],
  [],
];

const SOURCE_PORTS = [40000, 40001, 1000];

function usual({ prng, src, dst, id }: PacketContext, protocol: number): IpFields {
  return { src, dst, protocol, id, ttl: prng.below(12) === 0 ? 1 : 64 };
}

/** The first packet of an association, now and then another, a damaged one. */
export function sctpPacket(context: PacketContext): Bytes {
  const { prng } = context;
  const chunks = prng.below(5) === 0 ? prng.pick(ODD) : [INIT];
  const tag = chunks[0] === INIT && prng.below(12) > 0 ? 0 : prng.pick([0, SERVER_TAG, CLIENT_TAG]);
  const bytes = sctpChunks(chunks, SERVER_TAG);
  const ports = { sport: prng.pick(SOURCE_PORTS), dport: prng.pick(context.ports) };
  const whole = sctp({ ...ports, tag, badSum: prng.below(25) === 0 }, damaged(prng, bytes));
  return ipv4(usual(context, IPPROTO_SCTP), prng.below(40) === 0 ? whole.subarray(0, prng.below(15)) : whole);
}

/** Chunks that say too much or nothing about their length, or are cut. */
function damaged(prng: Prng, chunks: Bytes): Bytes {
  switch (prng.below(30)) {
    case 0:
      return chunks.subarray(0, 4 + prng.below(12));
    case 1:
      return Uint8Array.from([...chunks, ...sctpChunk(DATA, 0, pattern(4, 0), 0)]);
    case 2:
      return Uint8Array.from([...sctpChunk(DATA, 0, pattern(4, 0), 900), ...chunks]);
    default:
      return chunks;
  }
}

/** The packets that follow, mostly by the book from some place on. */
export function association(prng: Prng): Answer[] {
  const answers: Answer[] = [];
  for (let i = prng.below(BOOK.length + 1), at = 0; i > 0; i--, at++) {
    const odd = prng.below(6) === 0;
    const tag = prng.below(12) === 0 ? { tag: prng.pick([0, CLIENT_TAG, SERVER_TAG, 0x33333333]) } : {};
    const back = prng.below(8) === 0 ? 1 : 0;
    answers.push({ back, flags: "", payload: 0, chunks: odd ? prng.pick(ODD) : BOOK[at], ...tag });
  }
  return answers;
}

export function udplitePacket(context: PacketContext): Bytes {
  const { prng, src, dst } = context;
  const ports = { sport: prng.pick(SOURCE_PORTS), dport: prng.pick(context.ports) };
  const coverage = prng.pick([0, 0, 8, 20, 7, 2000]);
  const sum = prng.below(8) === 0 ? prng.pick(["none", "proper"] as const) : "right";
  return ipv4(
    usual(context, IPPROTO_UDPLITE),
    udplite({ src, dst, ...ports, coverage, sum }, pattern(20, 0x30)),
  );
}
