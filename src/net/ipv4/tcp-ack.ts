/** What an ACK does to the sender (tcp_ack, tcp_clean_rtx_queue, tcp_sacktag_write_queue in net/ipv4/tcp_input.c). */
import { TCP_SYN } from "../../wire/tcp.ts";
import type { TcpOptions } from "../../wire/tcp-options.ts";
import { neighConfirm } from "./neighbour.ts";
import { inCwndReduction, tcpCongAvoid, tcpCwndReduction } from "./tcp-cong.ts";
import { tcpEcnAcceptCwr, tcpEcnEchoed } from "./tcp-ecn.ts";
import { hystartAcked } from "./tcp-hystart.ts";
import { TCPCB_EVER_RETRANS, TCPCB_LOST, TCPCB_SACKED_ACKED, TCPCB_SACKED_RETRANS } from "./tcp-queue.ts";
import { tcpFastretransAlert, tcpRackAdvance } from "./tcp-recovery.ts";
import {
  tcpProbe0WhenNs,
  tcpRearmRto,
  tcpResetXmitTimer,
  tcpRttEstimator,
  tcpScheduleLossProbe,
  tcpSetRto,
  tcpUpdatePacing,
} from "./tcp-rto.ts";
import {
  ACK_NOW,
  after,
  before,
  TCP_CA_OPEN,
  TCP_CA_RECOVERY,
  type TcpSock,
  TIME_NONE,
  TIME_PROBE0,
  TIME_REO_TIMEOUT,
} from "./tcp-sock.ts";
import { tcpXmitRetransmitQueue } from "./tcp-xmit.ts";

const MIN_RTT_WINDOW_NS = 300_000_000_000;

/** The ACK is of something that was never in the window of this connection (RFC 5961 section 5). */
export const TCP_ACK_TOO_OLD = -2;

/** What the ACK that is being handled did; overwritten by each. */
const result = {
  rttNs: -1,
  caRttNs: -1,
  acked: 0,
  delivered: 0,
  dsack: false,
  sackedNew: false,
  synAcked: false,
};

/** A segment may move the window if it is not older than the one that set it (tcp_may_update_window). */
function mayUpdateWindow(sk: TcpSock, ack: number, seq: number, window: number): boolean {
  return after(ack, sk.sndUna) || after(seq, sk.sndWl1) || (seq === sk.sndWl1 && window > sk.sndWnd);
}

/** Takes the window over; true when it was taken (tcp_ack_update_window). */
function updateWindow(sk: TcpSock, ack: number, seq: number, window: number): boolean {
  if (!mayUpdateWindow(sk, ack, seq, window)) return false;
  sk.sndWl1 = seq;
  if (sk.sndWnd !== window) {
    sk.sndWnd = window;
    if (window > sk.maxWindow) sk.maxWindow = window;
  }
  return true;
}

/** One SACK block: marks the records that it covers. */
function sackBlock(sk: TcpSock, left: number, right: number): void {
  const { queue } = sk;
  for (let index = queue.head; index < queue.sent; index++) {
    const i = index & queue.mask;
    if (!before(queue.seq[i], right)) break;
    const state = queue.state[i];
    if ((state & TCPCB_SACKED_ACKED) !== 0) continue;
    if (before(queue.seq[i], left) || after(queue.end[i], right)) continue;
    if ((state & TCPCB_LOST) !== 0) sk.lostOut--;
    if ((state & TCPCB_SACKED_RETRANS) !== 0) sk.retransOut--;
    else if ((state & TCPCB_EVER_RETRANS) === 0 && hasSackedAbove(sk, index)) sk.reordSeen = true;
    queue.state[i] = (state | TCPCB_SACKED_ACKED) & ~(TCPCB_LOST | TCPCB_SACKED_RETRANS);
    sk.sackedOut++;
    result.delivered++;
    result.sackedNew = true;
    tcpRackAdvance(sk, state, queue.end[i], queue.sentNs[i]);
    if ((state & TCPCB_EVER_RETRANS) === 0) takeSample(sk, i);
  }
}

/** Round trips of what an ACK tells of: of the oldest segment for the timer, of the newest for the window's growth. */
function takeSample(sk: TcpSock, i: number): void {
  result.caRttNs = sk.ns.kernel.sim.now - sk.queue.sentNs[i];
  if (result.rttNs < 0) result.rttNs = result.caRttNs;
}

function hasSackedAbove(sk: TcpSock, index: number): boolean {
  const { queue } = sk;
  for (let at = index + 1; at < queue.sent; at++)
    if ((queue.state[at & queue.mask] & TCPCB_SACKED_ACKED) !== 0)
      return sk.sackHigh !== 0 && before(queue.seq[at & queue.mask], sk.sackHigh);
  return false;
}

/** The SACK option of an ACK; the first block may tell of a duplicate (D-SACK, RFC 2883). */
function sackTag(sk: TcpSock, options: TcpOptions, ack: number): void {
  const { sackLeft, sackRight, sackCount } = options;
  let first = 0;
  const duplicate =
    before(sackLeft[0], ack) ||
    (sackCount > 1 && !before(sackLeft[0], sackLeft[1]) && !after(sackRight[0], sackRight[1]));
  if (duplicate) {
    first = 1;
    result.dsack = true;
    if (sk.undoMarker !== 0 && sk.undoRetrans > 0 && after(sackRight[0], sk.undoMarker)) sk.undoRetrans--;
  }
  let high = sk.sackHigh;
  for (let b = first; b < sackCount; b++) {
    if (
      !after(sackRight[b], sk.sndUna) ||
      after(sackRight[b], sk.sndNxt) ||
      !before(sackLeft[b], sackRight[b])
    )
      continue;
    sackBlock(sk, sackLeft[b], sackRight[b]);
    if (high === 0 || after(sackRight[b], high)) high = sackRight[b];
  }
  sk.sackHigh = high;
}

/** A record is wholly acknowledged: takes it out of the counts. */
function recordAcked(sk: TcpSock, i: number): void {
  const { queue } = sk;
  const state = queue.state[i];
  if ((state & TCPCB_SACKED_RETRANS) !== 0) sk.retransOut--;
  if ((state & TCPCB_SACKED_ACKED) !== 0) sk.sackedOut--;
  else {
    result.delivered++;
    tcpRackAdvance(sk, state, queue.end[i], queue.sentNs[i]);
    if ((state & TCPCB_EVER_RETRANS) === 0) takeSample(sk, i);
  }
  if ((state & TCPCB_LOST) !== 0) sk.lostOut--;
  if ((queue.flags[i] & TCP_SYN) !== 0) {
    result.synAcked = true;
    sk.retransStampMs = 0;
  } else result.acked++;
}

/** Drops what is acknowledged from the retransmit queue. */
function cleanRtxQueue(sk: TcpSock, ack: number): void {
  const { queue } = sk;
  while (queue.head < queue.sent) {
    const i = queue.head & queue.mask;
    if (after(queue.end[i], ack)) {
      if (before(queue.seq[i], ack)) queue.seq[i] = ack;
      break;
    }
    recordAcked(sk, i);
    queue.shift();
  }
  if (sk.sackHigh !== 0 && !after(sk.sackHigh, ack)) sk.sackHigh = 0;
}

/** Without SACK duplicate ACKs stand for segments that arrived (tcp_add_reno_sack, tcp_remove_reno_sacks). */
function renoSacks(sk: TcpSock, acked: number, duplicate: boolean): void {
  if (duplicate) {
    sk.sackedOut = Math.min(sk.sackedOut + 1, Math.max(sk.queue.inFlight - 1, 0));
    result.delivered++;
  } else if (acked > 0) sk.sackedOut = acked - 1 >= sk.sackedOut ? 0 : sk.sackedOut - (acked - 1);
  if (sk.sackedOut + sk.lostOut > sk.queue.inFlight)
    sk.sackedOut = Math.max(sk.queue.inFlight - sk.lostOut, 0);
}

/** Takes a round trip sample from a first transmission, or from the echoed timestamp (tcp_ack_update_rtt). */
function updateRtt(sk: TcpSock, advanced: boolean): void {
  let us = result.rttNs >= 0 ? Math.floor(result.rttNs / 1000) : -1;
  let caUs = Math.floor(result.caRttNs / 1000);
  if (us < 0 && advanced && sk.sawTstamp && sk.rcvTsEcr !== 0) {
    const ms = (sk.timestamp() - sk.rcvTsEcr) | 0;
    if (ms >= 0 && ms < 2_000_000) us = Math.max(ms, 1) * 1000;
    caUs = us;
  }
  if (us < 0) return;
  const { now } = sk.ns.kernel.sim;
  if (caUs <= sk.minRttUs || now - sk.minRttStampNs > MIN_RTT_WINDOW_NS) {
    sk.minRttUs = caUs;
    sk.minRttStampNs = now;
  }
  hystartAcked(sk, caUs);
  tcpRttEstimator(sk, us);
  tcpSetRto(sk);
  sk.backoff = 0;
}

/** An ACK for the probe of the tail: either it filled a hole, so the window shrinks, or it was needless (tcp_process_tlp_ack). */
function processTlpAck(sk: TcpSock, ack: number): void {
  if (before(ack, sk.tlpHighSeq)) return;
  if (!sk.tlpRetrans || result.dsack) sk.tlpHighSeq = 0;
  else if (after(ack, sk.tlpHighSeq)) {
    sk.tlpHighSeq = 0;
    sk.sndSsthresh = sk.cubic.ssthresh(sk.sndCwnd);
    sk.sndCwnd = sk.sndSsthresh;
  } else if (!result.sackedNew && result.delivered === 0) sk.tlpHighSeq = 0;
}

/** Something was acknowledged while the window was closed, or nothing is in flight: stop or restart probing (tcp_ack_probe). */
function ackProbe(sk: TcpSock): void {
  const { queue } = sk;
  if (!queue.hasUnsent) return;
  const i = queue.sent & queue.mask;
  if (!after(queue.end[i], sk.wndEnd())) {
    sk.backoff = 0;
    if (sk.timePending === TIME_PROBE0) {
      sk.timePending = TIME_NONE;
      sk.writeTimer.cancel();
    }
  } else if (queue.inFlight === 0) tcpResetXmitTimer(sk, TIME_PROBE0, tcpProbe0WhenNs(sk));
}

/** Growth or reduction of the window after the ACK (tcp_cong_control). */
function congControl(sk: TcpSock, advanced: boolean, lost: number): void {
  if (inCwndReduction(sk)) tcpCwndReduction(sk, result.delivered, lost, advanced);
  else if (sk.caState === TCP_CA_OPEN ? advanced : result.delivered > 0) tcpCongAvoid(sk, result.delivered);
  tcpUpdatePacing(sk);
}

/** Growth of the timer: restarted by progress, or the tail's probe planned (tcp_set_xmit_timer). */
function setXmitTimer(sk: TcpSock): void {
  if (sk.timePending === TIME_REO_TIMEOUT && sk.queue.inFlight > 0) return;
  if (!tcpScheduleLossProbe(sk, true)) tcpRearmRto(sk);
}

/**
 * Handles the ACK of a segment: number `ack`, sequence `seq`, scaled `window`; `dataLen` says whether it carries data. `sacks`
 * holds its SACK blocks or is null, `flags` those of the segment. Returns 1, 0 for an old one, -1 for one that acknowledges what was never sent.
 */
export function tcpAck(
  sk: TcpSock,
  ack: number,
  seq: number,
  window: number,
  hasData: boolean,
  sacks: TcpOptions | null,
  flags = 0,
): number {
  const priorUna = sk.sndUna;
  result.rttNs = -1;
  result.caRttNs = -1;
  result.acked = 0;
  result.delivered = 0;
  result.dsack = false;
  result.sackedNew = false;
  result.synAcked = false;
  if (before(ack, priorUna)) {
    if (before(ack, (priorUna - Math.min(sk.maxWindow, sk.bytesAcked)) | 0)) return TCP_ACK_TOO_OLD;
    if (sacks !== null && sacks.sackCount > 0 && sk.queue.inFlight > 0) {
      sackTag(sk, sacks, ack);
      finishAck(sk, false, false);
    }
    return 0;
  }
  if (after(ack, sk.sndNxt)) return -1;
  const advanced = after(ack, priorUna);
  const priorInFlight = sk.queue.inFlight;
  const windowUpdate = updateWindow(sk, ack, seq, window);
  if (advanced) {
    sk.retransmits = 0;
    sk.bytesAcked += (ack - priorUna) >>> 0;
    sk.sndUna = ack;
  }
  if (tcpEcnAcceptCwr(sk, flags) && hasData) sk.ackPending |= ACK_NOW;
  sk.probesOut = 0;
  sk.rcvTstampNs = sk.ns.kernel.sim.now;
  if (priorInFlight === 0) {
    ackProbe(sk);
    return 1;
  }
  if (sacks !== null && sacks.sackCount > 0 && sk.sackOk) sackTag(sk, sacks, ack);
  if (advanced) cleanRtxQueue(sk, ack);
  if (!sk.sackOk) renoSacks(sk, result.acked, !advanced && !hasData && !windowUpdate);
  updateRtt(sk, advanced);
  if (sk.tlpHighSeq !== 0) processTlpAck(sk, ack);
  if (advanced && sk.dst !== null) neighConfirm(sk.dst, sk.daddr);
  if (advanced) setXmitTimer(sk);
  finishAck(sk, advanced, tcpEcnEchoed(sk, flags));
  return 1;
}

/** Congestion state, window, and what is sent again. */
function finishAck(sk: TcpSock, advanced: boolean, ece: boolean): void {
  const priorLost = sk.lostOut;
  const dubious = !advanced || ece || result.sackedNew || sk.caState !== TCP_CA_OPEN || sk.sackedOut > 0;
  if (dubious) tcpFastretransAlert(sk, advanced, ece);
  congControl(sk, advanced, Math.max(sk.lostOut - priorLost, 0));
  if (sk.lostOut > sk.retransOut && sk.caState >= TCP_CA_RECOVERY) tcpXmitRetransmitQueue(sk);
}
