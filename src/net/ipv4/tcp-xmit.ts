/** What may be sent now, and sending it again (tcp_write_xmit, tcp_retransmit_skb in net/ipv4/tcp_output.c). */
import { TCP_ACK, TCP_FIN, TCP_PSH, TCP_SYN } from "../../wire/tcp.ts";
import { TCP_CLOSE, TCP_LISTEN } from "./sock.ts";
import { inCwndReduction, tcpCwndValidate } from "./tcp-cong.ts";
import { tcpEcnSendSynAgain } from "./tcp-ecn.ts";
import { tcpOf } from "./tcp-net.ts";
import { tcpEventNewDataSent, tcpTransmit } from "./tcp-output.ts";
import {
  SKB_OVERHEAD,
  TCPCB_EVER_RETRANS,
  TCPCB_LOST,
  TCPCB_SACKED_ACKED,
  TCPCB_SACKED_RETRANS,
  TCPCB_SKB_END,
} from "./tcp-queue.ts";
import { tcpCheckProbeTimer, tcpResetXmitTimer, tcpScheduleLossProbe } from "./tcp-rto.ts";
import {
  after,
  before,
  TCP_CA_RECOVERY,
  TCP_NAGLE_CORK,
  TCP_NAGLE_OFF,
  TCP_NAGLE_PUSH,
  type TcpSock,
  TIME_REO_TIMEOUT,
  TIME_RETRANS,
} from "./tcp-sock.ts";
import { GSO_MAX_SIZE, tcpCurrentMss } from "./tcp-window.ts";

/** net.ipv4.tcp_limit_output_bytes. */
const LIMIT_OUTPUT_BYTES = 1_048_576;
const PUSH_NORMAL = 0;
const PUSH_ONE = 1;
/** Sends one segment whatever the window says: the probe of the tail. */
export const PUSH_PROBE = 2;

/** How many segments one super packet may have: what leaves in a millisecond, more when the path is short. */
function tcpTsoSegs(sk: TcpSock, mss: number): number {
  let bytes = sk.pacingRate / 1024;
  const r = sk.minRttUs >>> 9;
  if (r < 32) bytes += GSO_MAX_SIZE >>> r;
  return Math.max(Math.floor(Math.min(bytes, GSO_MAX_SIZE) / mss), 2);
}

/** Whether a short segment must wait for the ACK of the last short one (tcp_nagle_check; Minshall's rule). */
function nagleWaits(sk: TcpSock, partial: boolean, nonagle: number): boolean {
  if (!partial) return false;
  if ((nonagle & TCP_NAGLE_CORK) !== 0) return true;
  if (nonagle !== 0 || sk.queue.inFlight === 0) return false;
  return after(sk.sndSml, sk.sndUna) && !after(sk.sndSml, sk.sndNxt);
}

/** Segments of a record of `len` bytes. */
function pcount(len: number, mss: number): number {
  return len <= mss ? 1 : Math.ceil(len / mss);
}

/** How many segments the congestion window lets go (tcp_cwnd_test). */
function cwndQuota(sk: TcpSock, flags: number, segs: number): number {
  if ((flags & TCP_FIN) !== 0 && segs === 1) return 1;
  const inFlight = sk.packetsInFlight();
  if (inFlight >= sk.sndCwnd) return 0;
  return Math.min(Math.max(sk.sndCwnd >> 1, 1), sk.sndCwnd - inFlight);
}

/** Whether a wait for more of the window is one for the congestion window; overwritten by {@link shouldDefer}. */
let deferIsCwndLimited = false;

/** Whether to wait for more of the window before cutting a super packet (tcp_tso_should_defer). */
function shouldDefer(sk: TcpSock, len: number, isTail: boolean, flags: number, maxSegs: number): boolean {
  deferIsCwndLimited = false;
  if (sk.caState >= TCP_CA_RECOVERY) return false;
  const { now } = sk.ns.kernel.sim;
  if (now - sk.wstampNs > 1_000_000) return false;
  const { queue } = sk;
  const sendWin = (sk.wndEnd() - queue.seq[queue.sent & queue.mask]) | 0;
  const congWin = (sk.sndCwnd - sk.packetsInFlight()) * sk.mssCache;
  const limit = Math.min(sendWin, congWin);
  if (limit >= maxSegs * sk.mssCache) return false;
  if (!isTail && limit >= len) return false;
  if (limit >= Math.floor(Math.min(sk.sndWnd, sk.sndCwnd * sk.mssCache) / 3)) return false;
  if (queue.inFlight === 0) return false;
  const headAge = now - queue.sentNs[queue.head & queue.mask];
  if (headAge < (sk.srttUs >> 4) * 1000) return false;
  if (limit <= len) {
    deferIsCwndLimited = congWin < sendWin;
    return true;
  }
  return (flags & TCP_FIN) === 0;
}

/** How many bytes of a record of several segments may go as one super packet (tcp_mss_split_point). */
function splitPoint(
  sk: TcpSock,
  seq: number,
  len: number,
  isTail: boolean,
  mss: number,
  maxSegs: number,
  nonagle: number,
): number {
  const window = (sk.wndEnd() - seq) | 0;
  const maxLen = mss * maxSegs;
  if (maxLen <= window && !isTail) return maxLen;
  const needed = Math.min(len, window);
  if (maxLen <= needed) return maxLen;
  const partial = needed % mss;
  return nagleWaits(sk, partial !== 0, nonagle) ? needed - partial : needed;
}

/**
 * Whether too much of this connection still waits in the machine's own queues (tcp_small_queue_check): then what is left goes
 * when these are empty. What a system call sends is gone before it sends more.
 */
function smallQueueCheck(sk: TcpSock, len: number): boolean {
  if (sk.owned || sk.wmemDrain !== sk.ns.kernel.drains) return false;
  const limit = Math.min(Math.max(2 * (len + SKB_OVERHEAD), sk.pacingRate / 1024), LIMIT_OUTPUT_BYTES);
  if (sk.wmemAlloc <= limit || sk.queue.skbsInFlight <= 1) return false;
  if (!sk.tsqThrottled) {
    sk.tsqThrottled = true;
    sk.ns.kernel.taskletSchedule(sk);
  }
  return true;
}

/** Charges the socket with what the segments of a super packet hold until they have left, unless they went at once. */
function chargeWmem(sk: TcpSock, len: number, segs: number): void {
  const { kernel } = sk.ns;
  if (!kernel.hasBacklog) return;
  if (sk.wmemDrain !== kernel.drains) {
    sk.wmemDrain = kernel.drains;
    sk.wmemAlloc = 0;
  }
  sk.wmemAlloc += len + segs * SKB_OVERHEAD;
}

/**
 * Cuts the first waiting record, of `len` bytes, into segments of `mss` and sends them. The last of several carries PSH, as
 * a super packet does.
 */
function sendBurst(sk: TcpSock, len: number, mss: number): number {
  const { queue } = sk;
  const index = queue.sent;
  let segs = 1;
  for (let left = len; left > mss; left -= mss, segs++)
    queue.splitSegment(index + segs - 1, mss, TCP_PSH | TCP_FIN);
  for (let n = 1; n <= segs; n++) {
    const i = queue.sent & queue.mask;
    const count = queue.lengthOf(queue.sent);
    const seq = queue.seq[i];
    const end = queue.end[i];
    const flags = queue.flags[i] | TCP_ACK | (segs > 1 && n === segs ? TCP_PSH : 0);
    tcpEventNewDataSent(sk);
    if (count < mss && count > 0) sk.sndSml = end;
    tcpTransmit(sk, seq, count, flags, true);
  }
  chargeWmem(sk, len, segs);
  return segs;
}

/**
 * Sends what the windows allow (tcp_write_xmit). True when something waits and nothing is in flight, so that the window
 * must be probed.
 */
export function tcpWriteXmit(sk: TcpSock, mss: number, nonagle: number, pushOne: number): boolean {
  const { queue } = sk;
  const maxSegs = tcpTsoSegs(sk, mss);
  let sentPackets = 0;
  let limited = false;
  while (queue.hasUnsent) {
    const i = queue.sent & queue.mask;
    const len = queue.lengthOf(queue.sent);
    const flags = queue.flags[i];
    const seq = queue.seq[i];
    const isTail = queue.sent === queue.tail - 1;
    const segs = pcount(len, mss);
    let quota = cwndQuota(sk, flags, segs);
    if (quota === 0) {
      if (pushOne !== PUSH_PROBE) break;
      quota = 1;
    }
    const firstEnd = len > mss ? (seq + mss) | 0 : queue.end[i];
    if (after(firstEnd, sk.wndEnd())) break;
    const effective = isTail ? nonagle : TCP_NAGLE_PUSH;
    let limit = len;
    if (segs === 1) {
      const forced = (effective & TCP_NAGLE_PUSH) !== 0 || (flags & TCP_FIN) !== 0;
      if (!forced && nagleWaits(sk, len < mss, effective)) break;
    } else {
      if (pushOne === PUSH_NORMAL && shouldDefer(sk, len, isTail, flags, maxSegs)) {
        limited = deferIsCwndLimited;
        break;
      }
      limit = Math.min(len, splitPoint(sk, seq, len, isTail, mss, Math.min(quota, maxSegs), nonagle));
      if (limit < len) queue.split(queue.sent, limit, TCP_PSH | TCP_FIN);
    }
    if (smallQueueCheck(sk, limit)) break;
    sentPackets += sendBurst(sk, limit, mss);
    if (pushOne !== PUSH_NORMAL) break;
  }
  limited ||= sk.packetsInFlight() >= sk.sndCwnd;
  if (sentPackets > 0 || limited) tcpCwndValidate(sk, limited);
  if (sentPackets > 0) {
    if (inCwndReduction(sk)) sk.prrOut += sentPackets;
    if (pushOne !== PUSH_PROBE) tcpScheduleLossProbe(sk, false);
    return false;
  }
  return queue.inFlight === 0 && queue.hasUnsent;
}

/**
 * Asks whether the peer's window opened: with what the window still takes, or with an old number (tcp_write_wakeup).
 */
export function tcpWriteWakeup(sk: TcpSock): void {
  const { queue } = sk;
  const i = queue.sent & queue.mask;
  const room = queue.hasUnsent ? (sk.wndEnd() - queue.seq[i]) | 0 : 0;
  if (room <= 0) {
    tcpTransmit(sk, (sk.sndUna - 1) | 0, 0, TCP_ACK);
    return;
  }
  const mss = tcpCurrentMss(sk);
  if (before(sk.pushedSeq, queue.end[i])) sk.pushedSeq = queue.end[i];
  queue.flags[i] |= TCP_PSH;
  const count = Math.min(room, mss, queue.lengthOf(queue.sent));
  if (count < queue.lengthOf(queue.sent)) queue.split(queue.sent, count, TCP_FIN);
  const at = queue.sent & queue.mask;
  const seq = queue.seq[at];
  const flags = queue.flags[at] | TCP_ACK;
  tcpEventNewDataSent(sk);
  tcpTransmit(sk, seq, count, flags, true);
}

/** The Nagle setting of the socket. */
export function nonagleOf(sk: TcpSock): number {
  return sk.noDelay ? TCP_NAGLE_OFF : 0;
}

/** Sends what waits, or starts to probe the window (__tcp_push_pending_frames). */
export function tcpPushPendingFrames(sk: TcpSock, mss: number, nonagle: number): void {
  if (tcpWriteXmit(sk, mss, nonagle, PUSH_NORMAL)) tcpCheckProbeTimer(sk);
}

/** Sends one super packet while more is being written (tcp_push_one). */
export function tcpPushOne(sk: TcpSock, mss: number): void {
  tcpWriteXmit(sk, mss, TCP_NAGLE_PUSH, PUSH_ONE);
}

/** The machine's own queues are empty again: what waited for that goes (tcp_tsq_write). */
export function tcpTsqWrite(sk: TcpSock): void {
  sk.tsqThrottled = false;
  if (sk.state === TCP_CLOSE || sk.state === TCP_LISTEN) return;
  if (sk.lostOut > sk.retransOut && sk.sndCwnd > sk.packetsInFlight()) tcpXmitRetransmitQueue(sk);
  tcpWriteXmit(sk, tcpCurrentMss(sk), nonagleOf(sk), PUSH_NORMAL);
}

/** After an ACK or new room: sends what waits (tcp_push_pending_frames). */
export function tcpDataSndCheck(sk: TcpSock): void {
  if (sk.queue.hasUnsent) tcpPushPendingFrames(sk, tcpCurrentMss(sk), nonagleOf(sk));
}

/** Sends record `index` again, cut to one segment, with `psh` or without. False when it cannot be sent. */
export function tcpRetransmit(sk: TcpSock, index: number, psh = 0): boolean {
  const { queue } = sk;
  const mss = tcpCurrentMss(sk);
  if (queue.lengthOf(index) > mss) {
    queue.split(index, mss, TCP_PSH | TCP_FIN);
    const b = (index + 1) & queue.mask;
    if ((queue.state[b] & TCPCB_LOST) !== 0) sk.lostOut++;
    if ((queue.state[b] & TCPCB_SACKED_ACKED) !== 0) sk.sackedOut++;
    if ((queue.state[b] & TCPCB_SACKED_RETRANS) !== 0) sk.retransOut++;
  }
  const i = index & queue.mask;
  const flags = queue.flags[i];
  if (sk.queue.inFlight > 0 && after((queue.seq[i] + 1) | 0, sk.wndEnd()) && queue.seq[i] !== sk.sndUna)
    return false;
  queue.sentNs[i] = sk.ns.kernel.sim.now;
  const ok = tcpTransmit(
    sk,
    queue.seq[i],
    queue.lengthOf(index),
    (flags & TCP_SYN) !== 0 ? flags | tcpEcnSendSynAgain(sk) : flags | psh | TCP_ACK,
  );
  tcpOf(sk.ns).retransSegs++;
  sk.totalRetrans++;
  if ((queue.state[i] & TCPCB_SACKED_RETRANS) === 0) {
    queue.state[i] |= TCPCB_SACKED_RETRANS;
    sk.retransOut++;
  }
  queue.state[i] |= TCPCB_EVER_RETRANS;
  if (sk.retransStampMs === 0) sk.retransStampMs = sk.timestamp() || 1;
  sk.undoRetrans++;
  return ok;
}

/** Whether a record is lost and was not sent again since. */
function waitsForRetransmit(state: number): boolean {
  return (state & TCPCB_LOST) !== 0 && (state & (TCPCB_SACKED_ACKED | TCPCB_SACKED_RETRANS)) === 0;
}

/** How many records from `index` on leave together: those of its buffer, `most` at a time. */
function retransmitSegs(sk: TcpSock, index: number, mss: number, most: number): number {
  const { queue } = sk;
  if (queue.lengthOf(index) > mss) return 1;
  let segs = 1;
  while (segs < most && (queue.state[(index + segs - 1) & queue.mask] & TCPCB_SKB_END) === 0) {
    if (!waitsForRetransmit(queue.state[(index + segs) & queue.mask])) break;
    segs++;
  }
  return segs;
}

/** Sends lost segments again as far as the congestion window goes (tcp_xmit_retransmit_queue). */
export function tcpXmitRetransmitQueue(sk: TcpSock): void {
  const { queue } = sk;
  const mss = tcpCurrentMss(sk);
  const maxSegs = tcpTsoSegs(sk, mss);
  for (let index = queue.head; index < queue.sent && sk.lostOut > sk.retransOut; index++) {
    if (!waitsForRetransmit(queue.state[index & queue.mask])) continue;
    const room = sk.sndCwnd - sk.packetsInFlight();
    if (room <= 0) return;
    const first = index;
    const segs = retransmitSegs(sk, first, mss, Math.min(room, maxSegs));
    queue.endBuffer(first + segs - 1);
    for (; index < first + segs; index++) {
      const psh = segs > 1 && index === first + segs - 1 ? TCP_PSH : 0;
      if (!tcpRetransmit(sk, index, psh)) return;
      if (inCwndReduction(sk)) sk.prrOut++;
    }
    index--;
    if (first === queue.head && sk.timePending !== TIME_REO_TIMEOUT)
      tcpResetXmitTimer(sk, TIME_RETRANS, sk.rtoNs);
  }
}
