/**
 * The tracker of SCTP (nf_conntrack_proto_sctp.c of Linux 6.1): the chunks of a packet one after the other, each with its
 * verification tag (RFC 9260, section 8.5) and its step in the table of states.
 */
import { sctpChecksum } from "../../../wire/crc32c.ts";
import { IPPROTO_SCTP } from "../../../wire/ipv4.ts";
import {
  SCTP_CHUNK_FLAG_T,
  SCTP_CHUNK_HLEN,
  SCTP_CID_ABORT,
  SCTP_CID_COOKIE_ACK,
  SCTP_CID_COOKIE_ECHO,
  SCTP_CID_DATA,
  SCTP_CID_ERROR,
  SCTP_CID_HEARTBEAT,
  SCTP_CID_HEARTBEAT_ACK,
  SCTP_CID_INIT,
  SCTP_CID_INIT_ACK,
  SCTP_CID_SHUTDOWN,
  SCTP_CID_SHUTDOWN_ACK,
  SCTP_CID_SHUTDOWN_COMPLETE,
  SCTP_HLEN,
  SCTP_INIT_BYTES,
  sctpCheck,
  sctpChunkFlags,
  sctpChunkLength,
  sctpChunkType,
  sctpInitTag,
  sctpNextChunk,
  sctpVtag,
} from "../../../wire/sctp.ts";
import { type Hook, NF_INET_PRE_ROUTING } from "../../core/hooks.ts";
import type { Skb } from "../../core/skb.ts";
import { type Conn, type CtDir, IP_CT_DIR_ORIGINAL, IP_CT_DIR_REPLY, IPS_ASSURED } from "./conn.ts";
import type { Conntrack } from "./conntrack-net.ts";
import { nfL4protoLogInvalid } from "./log-invalid.ts";
import { CT_ACCEPT, CT_IGNORE, CT_INVALID, type CtVerdict } from "./proto.ts";
import {
  SCTP_CONNTRACK_CLOSED,
  SCTP_CONNTRACK_COOKIE_ECHOED,
  SCTP_CONNTRACK_COOKIE_WAIT,
  SCTP_CONNTRACK_ESTABLISHED,
  SCTP_CONNTRACK_HEARTBEAT_SENT,
  SCTP_CONNTRACK_MAX,
  SCTP_CONNTRACK_NONE,
  SCTP_CONNTRACK_SHUTDOWN_ACK_SENT,
  SCTP_CONNTRACK_SHUTDOWN_RECD,
  SCTP_CONNTRACK_SHUTDOWN_SENT,
  SctpTrack,
} from "./track.ts";

const CL = SCTP_CONNTRACK_CLOSED;
const CW = SCTP_CONNTRACK_COOKIE_WAIT;
const CE = SCTP_CONNTRACK_COOKIE_ECHOED;
const ES = SCTP_CONNTRACK_ESTABLISHED;
const SS = SCTP_CONNTRACK_SHUTDOWN_SENT;
const SR = SCTP_CONNTRACK_SHUTDOWN_RECD;
const SA = SCTP_CONNTRACK_SHUTDOWN_ACK_SENT;
const HS = SCTP_CONNTRACK_HEARTBEAT_SENT;
const IV = SCTP_CONNTRACK_MAX;

const STATES = 9;
/** Chunks that change the state, in the order of the table's rows. */
const ROWS: readonly number[] = [
  SCTP_CID_INIT,
  SCTP_CID_INIT_ACK,
  SCTP_CID_ABORT,
  SCTP_CID_SHUTDOWN,
  SCTP_CID_SHUTDOWN_ACK,
  SCTP_CID_ERROR,
  SCTP_CID_COOKIE_ECHO,
  SCTP_CID_COOKIE_ACK,
  SCTP_CID_SHUTDOWN_COMPLETE,
  SCTP_CID_HEARTBEAT,
  SCTP_CID_HEARTBEAT_ACK,
];
/** Row of a chunk, -1 for one that changes nothing. */
const ROW_OF = new Int8Array(256).fill(-1);
ROWS.forEach((type, row) => {
  ROW_OF[type] = row;
});

/** New state by direction, kind of chunk and old state (columns NONE CL CW CE ES SS SR SA HS). */
// biome-ignore format: a table
const SCTP_CONNTRACKS = Uint8Array.of(
  CL, CL, CW, CE, ES, CL, CL, SA, CW, // INIT of the client
  CL, CL, CW, CE, ES, SS, SR, SA, CL, // INIT ACK
  CL, CL, CL, CL, CL, CL, CL, CL, CL, // ABORT
  CL, CL, CW, CE, SS, SS, SR, SA, CL, // SHUTDOWN
  SA, CL, CW, CE, ES, SA, SA, SA, SA, // SHUTDOWN ACK
  CL, CL, CW, CE, ES, SS, SR, SA, CL, // ERROR
  CL, CL, CE, CE, ES, SS, SR, SA, CL, // COOKIE ECHO
  CL, CL, CW, ES, ES, SS, SR, SA, CL, // COOKIE ACK
  CL, CL, CW, CE, ES, SS, SR, CL, CL, // SHUTDOWN COMPLETE
  HS, CL, CW, CE, ES, SS, SR, SA, HS, // HEARTBEAT
  CL, CL, CW, CE, ES, SS, SR, SA, HS, // HEARTBEAT ACK
  IV, CL, CW, CE, ES, SS, SR, SA, IV, // INIT of the server
  IV, CW, CW, CE, ES, SS, SR, SA, IV, // INIT ACK
  IV, CL, CL, CL, CL, CL, CL, CL, IV, // ABORT
  IV, CL, CW, CE, SR, SS, SR, SA, IV, // SHUTDOWN
  IV, CL, CW, CE, ES, SA, SA, SA, IV, // SHUTDOWN ACK
  IV, CL, CW, CL, ES, SS, SR, SA, IV, // ERROR
  IV, CL, CE, CE, ES, SS, SR, SA, IV, // COOKIE ECHO
  IV, CL, CW, ES, ES, SS, SR, SA, IV, // COOKIE ACK
  IV, CL, CW, CE, ES, SS, SR, CL, IV, // SHUTDOWN COMPLETE
  IV, CL, CW, CE, ES, SS, SR, SA, HS, // HEARTBEAT
  IV, CL, CW, CE, ES, SS, SR, SA, ES, // HEARTBEAT ACK
);

/** Kinds of chunks in the packet in work: one bit a type below 32. */
let chunks = 0;
/** The packet passes, but does not prolong its connection. */
let ignored = false;

/** The state that a chunk leads to from `state` (sctp_new_state). */
export function sctpNewState(dir: CtDir, type: number, state: number): number {
  const row = ROW_OF[type];
  return row < 0 ? state : SCTP_CONNTRACKS[(dir * ROWS.length + row) * STATES + state];
}

function has(type: number): boolean {
  return (chunks & (1 << type)) !== 0;
}

/** A packet that is too short or whose checksum is wrong (sctp_error). */
function sctpError(ct: Conntrack, skb: Skb, off: number, hook: Hook): string | null {
  const { view, tail } = skb;
  if (off + SCTP_HLEN > tail) return "nf_ct_sctp: short packet ";
  if (hook !== NF_INET_PRE_ROUTING || ct.checksum === 0 || skb.csumLevel > 0 || skb.csumComplete) return null;
  if (sctpCheck(view, off) !== sctpChecksum(view, off, tail)) return "nf_ct_sctp: bad CRC ";
  skb.csumLevel = 1;
  return null;
}

/**
 * Which chunks there are; false when some may not stand together, one says that it has no length, or there is none
 * (do_basic_checks).
 */
function basicChecks(view: DataView, off: number, tail: number): boolean {
  chunks = 0;
  let alone = false;
  let count = 0;
  for (let at = off + SCTP_HLEN; at + SCTP_CHUNK_HLEN <= tail; at = sctpNextChunk(view, at)) {
    const type = sctpChunkType(view, at);
    if (type === SCTP_CID_INIT || type === SCTP_CID_INIT_ACK || type === SCTP_CID_SHUTDOWN_COMPLETE)
      alone = true;
    const first = alone || type === SCTP_CID_COOKIE_ACK || type === SCTP_CID_COOKIE_ECHO;
    if ((first && count !== 0) || sctpChunkLength(view, at) === 0) return false;
    if (type < 32) chunks |= 1 << type;
    count++;
  }
  return count !== 0;
}

/** First packet of a flow (sctp_new). false: a flow cannot begin like that. */
function sctpNew(conn: Conn, view: DataView, off: number, tail: number): boolean {
  if (conn.sctp === null) conn.sctp = new SctpTrack();
  else conn.sctp.reset();
  const { vtag } = conn.sctp;
  const tag = sctpVtag(view, off);
  for (let at = off + SCTP_HLEN; at + SCTP_CHUNK_HLEN <= tail; at = sctpNextChunk(view, at)) {
    const type = sctpChunkType(view, at);
    const state = sctpNewState(IP_CT_DIR_ORIGINAL, type, SCTP_CONNTRACK_NONE);
    if (state === SCTP_CONNTRACK_NONE) return false;
    if (type === SCTP_CID_INIT) {
      if (tag !== 0 || at + SCTP_CHUNK_HLEN + SCTP_INIT_BYTES > tail) return false;
      vtag[IP_CT_DIR_REPLY] = sctpInitTag(view, at);
    } else if (type === SCTP_CID_HEARTBEAT) {
      vtag[IP_CT_DIR_ORIGINAL] = tag;
    } else if (type === SCTP_CID_SHUTDOWN_ACK) {
      vtag[IP_CT_DIR_REPLY] = tag;
    }
  }
  return true;
}

/** These look after their tags themselves. */
const OWN_TAG =
  (1 << SCTP_CID_INIT) |
  (1 << SCTP_CID_SHUTDOWN_COMPLETE) |
  (1 << SCTP_CID_COOKIE_ECHO) |
  (1 << SCTP_CID_ABORT) |
  (1 << SCTP_CID_SHUTDOWN_ACK) |
  (1 << SCTP_CID_HEARTBEAT) |
  (1 << SCTP_CID_HEARTBEAT_ACK);

/** What the tag of a HEARTBEAT or its answer says: go on, skip the chunk, or the packet is wrong. */
const TAG_GOOD = 0;
const TAG_SKIP = 1;
const TAG_BAD = 2;
type TagVerdict = 0 | 1 | 2;

/** Heartbeats bring a path back whose tags have changed: a request with another tag, and an answer to it. */
function heartbeatTag(sctp: SctpTrack, type: number, dir: CtDir, tag: number): TagVerdict {
  const { vtag } = sctp;
  if (vtag[dir] === 0) {
    vtag[dir] = tag;
    return TAG_GOOD;
  }
  if (tag === vtag[dir]) {
    sctp.heartbeatFailed = false;
    return TAG_GOOD;
  }
  if (has(SCTP_CID_DATA) || ignored) return TAG_BAD;
  if (type === SCTP_CID_HEARTBEAT) {
    sctp.heartbeatFailed = true;
    sctp.lastDir = dir;
    ignored = true;
    return TAG_SKIP;
  }
  if (!sctp.heartbeatFailed || sctp.lastDir === dir) return TAG_BAD;
  sctp.heartbeatFailed = false;
  vtag[dir] = tag;
  vtag[1 - dir] = 0;
  return TAG_GOOD;
}

/** The tag that a chunk wants (RFC 9260, section 8.5.1). */
function checkTag(sctp: SctpTrack, type: number, flags: number, dir: CtDir, tag: number): TagVerdict {
  switch (type) {
    case SCTP_CID_INIT:
      return tag === 0 ? TAG_GOOD : TAG_BAD;
    case SCTP_CID_ABORT:
    case SCTP_CID_SHUTDOWN_COMPLETE: {
      const reflected = (flags & SCTP_CHUNK_FLAG_T) !== 0;
      return tag === sctp.vtag[reflected ? 1 - dir : dir] ? TAG_GOOD : TAG_BAD;
    }
    case SCTP_CID_COOKIE_ECHO:
      return tag === sctp.vtag[dir] ? TAG_GOOD : TAG_BAD;
    case SCTP_CID_COOKIE_ACK:
      sctp.init.fill(0);
      return TAG_GOOD;
    case SCTP_CID_HEARTBEAT:
    case SCTP_CID_HEARTBEAT_ACK:
      return heartbeatTag(sctp, type, dir, tag);
    default:
      return TAG_GOOD;
  }
}

/** Notes the tag that INIT and INIT ACK ask for; false when the chunk is cut short, or not the one of this handshake. */
function noteInit(
  sctp: SctpTrack,
  type: number,
  dir: CtDir,
  view: DataView,
  at: number,
  tail: number,
): boolean {
  if (at + SCTP_CHUNK_HLEN + SCTP_INIT_BYTES > tail) return false;
  const { init, vtag } = sctp;
  const other = 1 - dir;
  const tag = sctpInitTag(view, at);
  if (type === SCTP_CID_INIT) {
    if (init[dir] !== 0 && init[other] !== 0) init[other] = 0;
    init[dir] = 1;
  } else {
    const known = vtag[other];
    if (init[other] === 0 && known !== 0 && known !== tag) return false;
    // Both sides have sent an INIT.
    if (init[dir] !== 0 && init[other] !== 0 && known !== tag) return false;
  }
  vtag[other] = tag;
  return true;
}

/** One chunk changes the state; the new one, -1 when the packet is wrong. */
function step(conn: Conn, skb: Skb, at: number, dir: CtDir): number {
  const sctp = conn.sctp!;
  const { view, tail } = skb;
  const type = sctpChunkType(view, at);
  const old = sctp.state;
  const state = sctpNewState(dir, type, old);
  if (state === IV) return -1;
  if (type === SCTP_CID_INIT || type === SCTP_CID_INIT_ACK) {
    if (!noteInit(sctp, type, dir, view, at, tail)) return -1;
    // An INIT sent again does not keep a closed entry alive.
    if (type === SCTP_CID_INIT && state === CL && old === CL && conn.isConfirmed) ignored = true;
  }
  sctp.state = state;
  if (old !== state && state === ES) conn.status |= IPS_ASSURED;
  return state;
}

/** Walks the chunks; the last state, -1 when one is wrong: what those before it changed stays. */
function walk(conn: Conn, skb: Skb, off: number, dir: CtDir): number {
  const { view, tail } = skb;
  const tag = sctpVtag(view, off);
  let state = SCTP_CONNTRACK_NONE;
  for (let at = off + SCTP_HLEN; at + SCTP_CHUNK_HLEN <= tail; at = sctpNextChunk(view, at)) {
    const verdict = checkTag(conn.sctp!, sctpChunkType(view, at), sctpChunkFlags(view, at), dir, tag);
    if (verdict === TAG_BAD) return -1;
    if (verdict === TAG_SKIP) continue;
    state = step(conn, skb, at, dir);
    if (state < 0) return -1;
  }
  return state;
}

/** Tracks an SCTP packet; `off` is its header. */
export function sctpPacket(
  ct: Conntrack,
  conn: Conn,
  skb: Skb,
  off: number,
  dir: CtDir,
  hook: Hook,
): CtVerdict {
  const { view, tail } = skb;
  const error = sctpError(ct, skb, off, hook);
  if (error !== null) {
    nfL4protoLogInvalid(ct, skb, IPPROTO_SCTP, error);
    return CT_INVALID;
  }
  if (!basicChecks(view, off, tail)) return CT_INVALID;
  if (!conn.isConfirmed) {
    if (has(SCTP_CID_ABORT) || has(SCTP_CID_SHUTDOWN_COMPLETE) || has(SCTP_CID_COOKIE_ACK)) return CT_INVALID;
    if (!sctpNew(conn, view, off, tail)) return CT_INVALID;
  }
  if ((chunks & OWN_TAG) === 0 && sctpVtag(view, off) !== conn.sctp!.vtag[dir]) return CT_INVALID;
  ignored = false;
  const state = walk(conn, skb, off, dir);
  if (state < 0) return CT_INVALID;
  if (ignored) return CT_IGNORE;
  ct.refresh(conn, ct.sctpTimeouts[state]);
  return CT_ACCEPT;
}
