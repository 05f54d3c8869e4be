/** The TCP tracker (nf_conntrack_proto_tcp.c of Linux 6.1): state table, pick-up, resets, reopening, timeouts. */

import { SEC } from "../../../sim/sim.ts";
import { IPPROTO_TCP } from "../../../wire/ipv4.ts";
import { TCP_ACK, TCP_CWR, TCP_ECE, TCP_FIN, TCP_PSH, TCP_RST, TCP_SYN, TCP_URG } from "../../../wire/tcp.ts";
import { type Hook, NF_INET_PRE_ROUTING } from "../../core/hooks.ts";
import type { Skb } from "../../core/skb.ts";
import { skbChecksumOk } from "../../core/skb-checksum.ts";
import {
  type Conn,
  type CtDir,
  IP_CT_DIR_ORIGINAL,
  IP_CT_DIR_REPLY,
  IPS_ASSURED,
  IPS_FIXED_TIMEOUT,
  IPS_SEEN_REPLY,
  TCP_CONNTRACK_CLOSE,
  TCP_CONNTRACK_CLOSE_WAIT,
  TCP_CONNTRACK_ESTABLISHED,
  TCP_CONNTRACK_FIN_WAIT,
  TCP_CONNTRACK_IGNORE,
  TCP_CONNTRACK_INVALID,
  TCP_CONNTRACK_LAST_ACK,
  TCP_CONNTRACK_NAMES,
  TCP_CONNTRACK_NONE,
  TCP_CONNTRACK_SYN_RECV,
  TCP_CONNTRACK_SYN_SENT,
  TCP_CONNTRACK_SYN_SENT2,
  TCP_CONNTRACK_TIME_WAIT,
  TcpPeer,
  TcpTrack,
} from "./conn.ts";
import { type Conntrack, TCP_TIMEOUT_RETRANS, TCP_TIMEOUT_UNACK } from "./conntrack-net.ts";
import { nfL4protoLogInvalid } from "./log-invalid.ts";
import { CT_ACCEPT, CT_DROP, CT_IGNORE, CT_INVALID, CT_REPEAT, type CtVerdict } from "./proto.ts";
import {
  IP_CT_EXP_CHALLENGE_ACK,
  IP_CT_TCP_FLAG_BE_LIBERAL,
  IP_CT_TCP_FLAG_CLOSE_INIT,
  IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED,
  IP_CT_TCP_FLAG_MAXACK_SET,
  IP_CT_TCP_FLAG_SACK_PERM,
  IP_CT_TCP_FLAG_WINDOW_SCALE,
  IP_CT_TCP_SIMULTANEOUS_OPEN,
  NFCT_TCP_ACCEPT,
  NFCT_TCP_IGNORE,
  TCP_ACK_SET,
  TCP_FIN_SET,
  TCP_NONE_SET,
  TCP_RST_SET,
  TCP_SYN_SET,
  TCP_SYNACK_SET,
  TcpSegment,
  tcpInWindow,
  tcpSenderOptions,
} from "./tcp-window.ts";

const SS = TCP_CONNTRACK_SYN_SENT;
const SR = TCP_CONNTRACK_SYN_RECV;
const ES = TCP_CONNTRACK_ESTABLISHED;
const FW = TCP_CONNTRACK_FIN_WAIT;
const CW = TCP_CONNTRACK_CLOSE_WAIT;
const LA = TCP_CONNTRACK_LAST_ACK;
const TW = TCP_CONNTRACK_TIME_WAIT;
const CL = TCP_CONNTRACK_CLOSE;
const S2 = TCP_CONNTRACK_SYN_SENT2;
const IV = TCP_CONNTRACK_INVALID;
const IG = TCP_CONNTRACK_IGNORE;

const STATES = 10;
const INDICES = 6;
/** New state by direction, kind of segment and old state (columns NONE SS SR ES FW CW LA TW CL S2). */
// biome-ignore format: a table
const TCP_CONNTRACKS = Uint8Array.of(
  SS, SS, IG, IG, IG, IG, IG, SS, SS, S2, // SYN of the client
  IV, IV, SR, IV, IV, IV, IV, IV, IV, SR, // SYN-ACK
  IV, IV, FW, FW, LA, LA, LA, TW, CL, IV, // FIN
  ES, IV, ES, ES, CW, CW, TW, TW, CL, IV, // ACK
  IV, CL, CL, CL, CL, CL, CL, CL, CL, CL, // RST
  IV, IV, IV, IV, IV, IV, IV, IV, IV, IV, // none of these
  IV, S2, IV, IV, IV, IV, IV, SS, IV, S2, // SYN of the server
  IV, SR, IG, IG, IG, IG, IG, IG, IG, SR, // SYN-ACK
  IV, IV, FW, FW, LA, LA, LA, TW, CL, IV, // FIN
  IV, IG, SR, ES, CW, CW, TW, TW, CL, IG, // ACK
  IV, CL, CL, CL, CL, CL, CL, CL, CL, CL, // RST
  IV, IV, IV, IV, IV, IV, IV, IV, IV, IV, // none of these
);

/** Sets of flags that make sense, PSH, ECE and CWR apart (tcp_valid_flags). */
const VALID_FLAGS = new Uint8Array(64);
for (const flags of [
  TCP_SYN,
  TCP_SYN | TCP_URG,
  TCP_SYN | TCP_ACK,
  TCP_RST,
  TCP_RST | TCP_ACK,
  TCP_FIN | TCP_ACK,
  TCP_FIN | TCP_ACK | TCP_URG,
  TCP_ACK,
  TCP_ACK | TCP_URG,
]) {
  VALID_FLAGS[flags] = 1;
}

const FIN_RESPONSE_NS = 120 * SEC;

/** What `examine` says beyond CtVerdict: go on with the window check, or skip it. */
const CHECK_WINDOW = 2;
const IN_WINDOW = 3;
type Step = CtVerdict | typeof CHECK_WINDOW | typeof IN_WINDOW;

const segment = new TcpSegment();
const synOptions = new TcpPeer();
/** Old and new state of the packet in work; `examine` may change them. */
let oldState = TCP_CONNTRACK_NONE;
let newState = TCP_CONNTRACK_NONE;

/** The state that a segment of `index` (TCP_*_SET) leads to from `state`. */
export function tcpNextState(dir: CtDir, index: number, state: number): number {
  return TCP_CONNTRACKS[(dir * INDICES + index) * STATES + state];
}

/** A segment that is damaged or makes no sense: why, null when it is good (tcp_error). */
function tcpError(ct: Conntrack, skb: Skb, off: number, hook: Hook): string | null {
  const { view, tail } = skb;
  if (off + 20 > tail) return "";
  const headerLen = (view.getUint8(off + 12) >> 4) << 2;
  if (headerLen < 20 || off + headerLen > tail) return "truncated packet";
  if (hook === NF_INET_PRE_ROUTING && ct.checksum !== 0) {
    if (!skbChecksumOk(skb, skb.netOff, off, tail - off)) return "bad checksum";
  }
  const flags = view.getUint8(off + 13) & ~(TCP_ECE | TCP_CWR | TCP_PSH);
  return VALID_FLAGS[flags] === 0 ? "invalid tcp flag combination" : null;
}

/** A line about the segment in work; who builds a long text asks first whether anybody wants it. */
function log(ct: Conntrack, skb: Skb, text: string): void {
  nfL4protoLogInvalid(ct, skb, IPPROTO_TCP, text);
}

/** First segment of a flow (tcp_new). false: a flow cannot begin like that. */
function tcpNew(ct: Conntrack, conn: Conn, skb: Skb): boolean {
  const state = tcpNextState(IP_CT_DIR_ORIGINAL, segment.index, TCP_CONNTRACK_NONE);
  if (state === IV) {
    log(ct, skb, "invalid new");
    return false;
  }
  if (state !== SS && ct.tcpLoose === 0) return false;
  if (conn.tcp === null) conn.tcp = new TcpTrack();
  else conn.tcp.reset();
  const { orig, repl } = conn.tcp;
  orig.end = segment.end;
  orig.maxWin = segment.win === 0 ? 1 : segment.win;
  orig.maxEnd = segment.end;
  if (state === SS) {
    tcpSenderOptions(segment, orig);
  } else {
    orig.maxEnd = (segment.end + orig.maxWin) | 0;
    orig.flags = IP_CT_TCP_FLAG_SACK_PERM | IP_CT_TCP_FLAG_BE_LIBERAL;
    repl.flags = orig.flags;
  }
  conn.tcp.lastIndex = TCP_NONE_SET;
  return true;
}

/** A SYN-ACK for a SYN that was ignored: both ends are in sync, so get in sync with them. */
function resync(tcp: TcpTrack, dir: CtDir): void {
  const client = tcp.lastDir === IP_CT_DIR_ORIGINAL ? tcp.orig : tcp.repl;
  oldState = SS;
  newState = SR;
  client.end = tcp.lastEnd;
  client.maxEnd = tcp.lastEnd;
  client.maxWin = tcp.lastWin === 0 ? 1 : tcp.lastWin;
  client.scale = tcp.lastWscale;
  tcp.lastFlags &= ~IP_CT_EXP_CHALLENGE_ACK;
  client.flags = tcp.lastFlags;
  const server = dir === IP_CT_DIR_ORIGINAL ? tcp.orig : tcp.repl;
  const liberal = server.flags & IP_CT_TCP_FLAG_BE_LIBERAL;
  server.reset();
  server.flags = liberal;
}

function stateText(): string {
  return `state ${TCP_CONNTRACK_NAMES[oldState]}`;
}

/** A segment that passes without being believed; remembered, because the answer to it may prove it right. */
function ignore(ct: Conntrack, skb: Skb, tcp: TcpTrack, dir: CtDir): Step {
  const { index } = segment;
  if (
    index === TCP_SYNACK_SET &&
    tcp.lastIndex === TCP_SYN_SET &&
    tcp.lastDir !== dir &&
    segment.ack === tcp.lastEnd
  ) {
    resync(tcp, dir);
    return CHECK_WINDOW;
  }
  tcp.lastIndex = index;
  tcp.lastDir = dir;
  tcp.lastSeq = segment.seq;
  tcp.lastEnd = segment.end;
  tcp.lastWin = segment.win;
  if (index === TCP_SYN_SET && dir === IP_CT_DIR_ORIGINAL) {
    synOptions.reset();
    tcpSenderOptions(segment, synOptions);
    tcp.lastWscale = synOptions.scale;
    tcp.lastFlags = synOptions.flags & (IP_CT_TCP_FLAG_WINDOW_SCALE | IP_CT_TCP_FLAG_SACK_PERM);
    if (oldState === LA) tcp.lastFlags |= IP_CT_EXP_CHALLENGE_ACK;
  }
  if (oldState === SS && index === TCP_ACK_SET && dir === IP_CT_DIR_REPLY) tcp.lastAck = segment.ack;
  if (ct.logInvalid !== 0) log(ct, skb, `packet (index ${index}) in dir ${dir} ignored, ${stateText()}`);
  return CT_IGNORE;
}

/** A SYN that opens a closed or aborted connection anew: the old entry goes. */
function reopen(ct: Conntrack, conn: Conn, skb: Skb, tcp: TcpTrack, dir: CtDir): Step {
  if (oldState < TW) return CHECK_WINDOW;
  const closed = ((tcp.orig.flags | tcp.repl.flags) & IP_CT_TCP_FLAG_CLOSE_INIT) !== 0;
  if (closed || (tcp.lastDir === dir && tcp.lastIndex === TCP_RST_SET)) {
    return ct.kill(conn) ? CT_REPEAT : CT_DROP;
  }
  return ignore(ct, skb, tcp, dir);
}

/** A reset: which are believed, and which only pass (RFC 5961 section 3). */
function reset(ct: Conntrack, conn: Conn, skb: Skb, tcp: TcpTrack, dir: CtDir): Step {
  if (segment.index !== TCP_RST_SET) return CHECK_WINDOW;
  if (oldState >= FW && oldState <= CL) return IN_WINDOW;
  const other = dir === IP_CT_DIR_ORIGINAL ? tcp.repl : tcp.orig;
  const established = tcp.state === ES && (conn.status & IPS_ASSURED) !== 0;
  const { seq } = segment;
  if ((other.flags & IP_CT_TCP_FLAG_MAXACK_SET) !== 0 && tcp.lastIndex !== TCP_SYN_SET) {
    if (seq === 0 && !established) return CHECK_WINDOW;
    if (((seq - other.maxAck) | 0) < 0 && ct.tcpIgnoreInvalidRst === 0) {
      log(ct, skb, "invalid rst");
      return CT_INVALID;
    }
    if (!established || seq === other.maxAck) return CHECK_WINDOW;
    if (tcp.lastIndex === TCP_ACK_SET && tcp.lastDir === dir && seq === tcp.lastEnd) return CHECK_WINDOW;
    newState = oldState;
  }
  const letThrough =
    ((conn.status & IPS_SEEN_REPLY) !== 0 && tcp.lastIndex === TCP_SYN_SET && tcp.lastDir !== dir) ||
    ((conn.status & IPS_ASSURED) === 0 && tcp.lastIndex === TCP_ACK_SET);
  if (letThrough && segment.ack === tcp.lastEnd) return IN_WINDOW;
  const challenged =
    oldState === SS &&
    tcp.lastIndex === TCP_ACK_SET &&
    tcp.lastDir === IP_CT_DIR_REPLY &&
    seq === tcp.lastAck;
  return challenged ? IN_WINDOW : CHECK_WINDOW;
}

/** What the table's new state means for this segment, before its numbers are checked. */
function examine(ct: Conntrack, conn: Conn, skb: Skb, tcp: TcpTrack, dir: CtDir): Step {
  switch (newState) {
    case SS:
      return reopen(ct, conn, skb, tcp, dir);
    case IG:
      return ignore(ct, skb, tcp, dir);
    case IV:
      if (ct.logInvalid !== 0)
        log(ct, skb, `packet (index ${segment.index}) in dir ${dir} invalid, ${stateText()}`);
      return CT_INVALID;
    case TW:
      if (
        oldState === LA &&
        segment.index === TCP_ACK_SET &&
        tcp.lastDir !== dir &&
        tcp.lastIndex === TCP_SYN_SET &&
        (tcp.lastFlags & IP_CT_EXP_CHALLENGE_ACK) !== 0
      ) {
        tcp.lastFlags &= ~IP_CT_EXP_CHALLENGE_ACK;
        log(ct, skb, "challenge-ack ignored");
        return CT_IGNORE;
      }
      return CHECK_WINDOW;
    case S2:
      tcp.lastFlags |= IP_CT_TCP_SIMULTANEOUS_OPEN;
      return CHECK_WINDOW;
    case SR:
      if (
        dir === IP_CT_DIR_REPLY &&
        segment.index === TCP_ACK_SET &&
        (tcp.lastFlags & IP_CT_TCP_SIMULTANEOUS_OPEN) !== 0
      )
        newState = ES;
      return CHECK_WINDOW;
    case CL:
      return reset(ct, conn, skb, tcp, dir);
    default:
      return CHECK_WINDOW;
  }
}

/** The kernel prints 4 ms as one: a second has 250 of them (CONFIG_HZ). */
const HZ = 250;

function lowerText(tcp: TcpTrack, dir: CtDir, seconds: number): string {
  const response = `packet (index ${segment.index}, dir ${dir}) response for index ${tcp.lastIndex}`;
  return `${response} lower timeout to ${seconds * HZ}`;
}

/** A FIN or RST out of the window still shortens the life of an entry that lives long (nf_tcp_handle_invalid). */
function handleInvalid(ct: Conntrack, conn: Conn, skb: Skb, tcp: TcpTrack, dir: CtDir): void {
  if ((conn.status & IPS_ASSURED) === 0 || (conn.status & IPS_FIXED_TIMEOUT) !== 0) return;
  if (segment.index !== TCP_RST_SET && segment.index !== TCP_FIN_SET) return;
  if (tcp.lastDir !== dir && (tcp.lastIndex === TCP_FIN_SET || tcp.lastIndex === TCP_RST_SET)) {
    const leftNs = conn.timeoutNs - ct.now;
    const seconds = ct.tcpTimeouts[TCP_TIMEOUT_UNACK];
    if (leftNs < FIN_RESPONSE_NS || leftNs <= seconds * SEC) return;
    if (ct.logInvalid !== 0) log(ct, skb, lowerText(tcp, dir, seconds));
    ct.setTimeout(conn, ct.now + seconds * SEC);
    return;
  }
  tcp.lastIndex = segment.index;
  tcp.lastDir = dir;
}

/** Lifetime after a good segment, seconds. */
function lifetime(ct: Conntrack, tcp: TcpTrack): number {
  const timeouts = ct.tcpTimeouts;
  const normal = timeouts[newState];
  const retrans = timeouts[TCP_TIMEOUT_RETRANS];
  const unack = timeouts[TCP_TIMEOUT_UNACK];
  if (tcp.retrans >= ct.tcpMaxRetrans && normal > retrans) return retrans;
  if (segment.index === TCP_RST_SET) return timeouts[CL];
  const pending = ((tcp.orig.flags | tcp.repl.flags) & IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED) !== 0;
  if (pending && normal > unack) return unack;
  if (tcp.lastWin === 0 && normal > retrans) return retrans;
  return normal;
}

/** A good segment changes the state and restarts the lifetime. */
function accept(ct: Conntrack, conn: Conn, tcp: TcpTrack, dir: CtDir): CtVerdict {
  tcp.lastIndex = segment.index;
  tcp.lastDir = dir;
  tcp.state = newState;
  if (oldState !== newState && newState === FW) {
    (dir === IP_CT_DIR_ORIGINAL ? tcp.orig : tcp.repl).flags |= IP_CT_TCP_FLAG_CLOSE_INIT;
  }
  let seconds = lifetime(ct, tcp);
  if ((conn.status & IPS_SEEN_REPLY) === 0) {
    if ((segment.flags & TCP_RST) !== 0) {
      ct.kill(conn);
      return CT_ACCEPT;
    }
    if (segment.index === TCP_SYN_SET && oldState === SS) return CT_IGNORE;
    const unack = ct.tcpTimeouts[TCP_TIMEOUT_UNACK];
    if (newState === ES && seconds > unack) seconds = unack;
  } else if ((conn.status & IPS_ASSURED) === 0 && newState === ES && (oldState === SR || oldState === ES)) {
    conn.status |= IPS_ASSURED;
  }
  ct.refresh(conn, seconds);
  return CT_ACCEPT;
}

/** Tracks a TCP segment; `off` is its header. */
export function tcpPacket(
  ct: Conntrack,
  conn: Conn,
  skb: Skb,
  off: number,
  dir: CtDir,
  hook: Hook,
): CtVerdict {
  const error = tcpError(ct, skb, off, hook);
  if (error !== null) {
    if (error !== "") log(ct, skb, error);
    return CT_INVALID;
  }
  segment.read(skb.view, off, skb.tail);
  if (!conn.isConfirmed && !tcpNew(ct, conn, skb)) return CT_INVALID;
  const tcp = conn.tcp!;
  oldState = tcp.state;
  newState = tcpNextState(dir, segment.index, oldState);
  const step = examine(ct, conn, skb, tcp, dir);
  if (step !== CHECK_WINDOW && step !== IN_WINDOW) return step;
  if (step === CHECK_WINDOW) {
    const action = tcpInWindow(ct, conn, skb, dir, segment);
    if (action === NFCT_TCP_IGNORE) return CT_IGNORE;
    if (action !== NFCT_TCP_ACCEPT) {
      handleInvalid(ct, conn, skb, tcp, dir);
      return CT_INVALID;
    }
  }
  return accept(ct, conn, tcp, dir);
}
