/** What is lost: RACK (RFC 8985, net/ipv4/tcp_recovery.c), and the congestion states (tcp_fastretrans_alert). */
import { JIFFY_NS } from "../../sim/timer-wheel.ts";
import { tcpEndCwndReduction, tcpInitCwndReduction, tcpUndoCwndReduction } from "./tcp-cong.ts";
import { tcpEcnQueueCwr } from "./tcp-ecn.ts";
import { hystartReset } from "./tcp-hystart.ts";
import { TCPCB_EVER_RETRANS, TCPCB_LOST, TCPCB_SACKED_ACKED, TCPCB_SACKED_RETRANS } from "./tcp-queue.ts";
import { TCP_TIMEOUT_MIN_NS, tcpResetXmitTimer } from "./tcp-rto.ts";
import {
  after,
  before,
  TCP_CA_CWR,
  TCP_CA_DISORDER,
  TCP_CA_LOSS,
  TCP_CA_OPEN,
  TCP_CA_RECOVERY,
  type TcpSock,
  TIME_REO_TIMEOUT,
} from "./tcp-sock.ts";

/** Marks record `index` lost; what was sent again counts as lost again. */
export function tcpMarkLost(sk: TcpSock, index: number): void {
  const { queue } = sk;
  const i = index & queue.mask;
  const state = queue.state[i];
  if ((state & TCPCB_SACKED_ACKED) !== 0) return;
  if ((state & TCPCB_LOST) === 0) {
    queue.state[i] |= TCPCB_LOST;
    sk.lostOut++;
  }
  if ((state & TCPCB_SACKED_RETRANS) !== 0) {
    queue.state[i] &= ~TCPCB_SACKED_RETRANS;
    sk.retransOut--;
  }
}

/** A record was delivered: the newest one sets the clock by which others count as late (tcp_rack_advance). */
export function tcpRackAdvance(sk: TcpSock, state: number, end: number, sentNs: number): void {
  const rttUs = Math.floor((sk.ns.kernel.sim.now - sentNs) / 1000);
  if (rttUs < sk.minRttUs && (state & TCPCB_EVER_RETRANS) !== 0) return;
  sk.rackRttUs = rttUs;
  if (sentNs > sk.rackMstampNs || (sentNs === sk.rackMstampNs && before(sk.rackEndSeq, end))) {
    sk.rackMstampNs = sentNs;
    sk.rackEndSeq = end;
  }
}

/** How late a segment may be before it counts as lost, us (tcp_rack_reo_wnd). */
function reoWindowUs(sk: TcpSock): number {
  if (!sk.reordSeen) {
    if (sk.caState >= TCP_CA_RECOVERY) return 0;
    if (sk.sackedOut >= sk.reordering) return 0;
  }
  return Math.min(sk.minRttUs >> 2, sk.srttUs >> 3);
}

/** Marks what RACK finds lost; returns the time to wait for the next that may be, us, 0 none. */
function detectLoss(sk: TcpSock): number {
  const { queue } = sk;
  const { now } = sk.ns.kernel.sim;
  const reo = reoWindowUs(sk);
  let timeout = 0;
  for (let index = queue.head; index < queue.sent; index++) {
    const i = index & queue.mask;
    const state = queue.state[i];
    if ((state & TCPCB_SACKED_ACKED) !== 0) continue;
    if ((state & TCPCB_LOST) !== 0 && (state & TCPCB_SACKED_RETRANS) === 0) continue;
    const sentNs = queue.sentNs[i];
    const earlier =
      sentNs < sk.rackMstampNs || (sentNs === sk.rackMstampNs && before(queue.end[i], sk.rackEndSeq));
    if (!earlier) continue;
    const remaining = sk.rackRttUs + reo - Math.floor((now - sentNs) / 1000);
    if (remaining <= 0) tcpMarkLost(sk, index);
    else if (remaining > timeout) timeout = remaining;
  }
  return timeout;
}

/** After SACKs or ACKs: marks lost segments, arms the timer for those that may still come (tcp_rack_mark_lost). */
export function tcpRackMarkLost(sk: TcpSock): void {
  const timeout = detectLoss(sk);
  if (timeout === 0) return;
  const waitNs = Math.ceil((timeout * 1000) / JIFFY_NS) * JIFFY_NS;
  tcpResetXmitTimer(sk, TIME_REO_TIMEOUT, waitNs + TCP_TIMEOUT_MIN_NS);
}

/** Without SACK: the third duplicate ACK, or an ACK of a part in recovery, tells of the first segment (tcp_newreno_mark_lost). */
export function tcpNewrenoMarkLost(sk: TcpSock, advanced: boolean): void {
  const { queue } = sk;
  if (queue.inFlight === 0) return;
  if (
    (sk.caState < TCP_CA_RECOVERY && sk.sackedOut >= sk.reordering) ||
    (sk.caState === TCP_CA_RECOVERY && advanced)
  )
    if ((queue.state[queue.head & queue.mask] & TCPCB_LOST) === 0) tcpMarkLost(sk, queue.head);
}

function initUndo(sk: TcpSock): void {
  sk.undoMarker = sk.sndUna === 0 ? 1 : sk.sndUna;
  sk.undoRetrans = sk.retransOut > 0 ? sk.retransOut : 0;
}

export function tcpEnterRecovery(sk: TcpSock): void {
  sk.priorSsthresh = 0;
  initUndo(sk);
  if (sk.caState < TCP_CA_CWR) {
    sk.priorSsthresh = Math.max(
      sk.sndSsthresh === 0x7fffffff ? sk.sndCwnd : sk.sndSsthresh,
      (sk.sndCwnd * 3) >> 2,
    );
    tcpInitCwndReduction(sk);
  }
  sk.caState = TCP_CA_RECOVERY;
}

/** The retransmission timer ran out: everything in flight is lost (tcp_enter_loss). */
export function tcpEnterLoss(sk: TcpSock): void {
  const { queue } = sk;
  for (let index = queue.head; index < queue.sent; index++) {
    const i = index & queue.mask;
    if (!sk.sackOk) queue.state[i] &= ~TCPCB_SACKED_ACKED;
    tcpMarkLost(sk, index);
  }
  if (!sk.sackOk) sk.sackedOut = 0;
  if (
    sk.caState <= TCP_CA_DISORDER ||
    !before(sk.sndUna, sk.highSeq) ||
    (sk.caState === TCP_CA_LOSS && sk.retransmits === 0)
  ) {
    sk.priorSsthresh = Math.max(
      sk.sndSsthresh === 0x7fffffff ? sk.sndCwnd : sk.sndSsthresh,
      (sk.sndCwnd * 3) >> 2,
    );
    sk.priorCwnd = sk.sndCwnd;
    sk.sndSsthresh = sk.cubic.ssthresh(sk.sndCwnd);
    initUndo(sk);
  }
  sk.sndCwnd = sk.packetsInFlight() + 1;
  sk.sndCwndCnt = 0;
  sk.sndCwndStampNs = sk.ns.kernel.sim.now;
  sk.caState = TCP_CA_LOSS;
  sk.cubic.reset();
  hystartReset(sk);
  sk.highSeq = sk.sndNxt;
  sk.tlpHighSeq = 0;
  tcpEcnQueueCwr(sk);
}

/** The ACK answers the first transmission, so the retransmission was needless (tcp_packet_delayed, tcp_may_undo). */
function mayUndo(sk: TcpSock): boolean {
  if (sk.undoMarker === 0) return false;
  if (sk.undoRetrans <= 0) return true;
  return (
    sk.retransStampMs !== 0 && sk.sawTstamp && sk.rcvTsEcr !== 0 && before(sk.rcvTsEcr, sk.retransStampMs)
  );
}

function undo(sk: TcpSock): void {
  const { queue } = sk;
  for (let index = queue.head; index < queue.sent; index++) queue.state[index & queue.mask] &= ~TCPCB_LOST;
  sk.lostOut = 0;
  tcpUndoCwndReduction(sk);
}

/** Back to the normal state when everything of the episode is acknowledged. */
function leaveEpisode(sk: TcpSock): void {
  if (mayUndo(sk)) {
    tcpUndoCwndReduction(sk);
  } else if (sk.caState === TCP_CA_RECOVERY) tcpEndCwndReduction(sk);
  sk.caState = TCP_CA_OPEN;
  sk.undoMarker = 0;
  sk.retransStampMs = 0;
}

/** The network marked a packet: the window shrinks as for a loss, but nothing is sent again (tcp_enter_cwr). */
function enterCwr(sk: TcpSock): void {
  sk.priorSsthresh = 0;
  if (sk.caState >= TCP_CA_CWR) return;
  sk.undoMarker = 0;
  tcpInitCwndReduction(sk);
  sk.caState = TCP_CA_CWR;
}

/**
 * The congestion state after an ACK that is not plain progress (tcp_fastretrans_alert). `advanced`: it moved SND.UNA; `ece`:
 * it tells of a mark.
 */
export function tcpFastretransAlert(sk: TcpSock, advanced: boolean, ece: boolean): void {
  if (ece) sk.priorSsthresh = 0;
  if (sk.caState === TCP_CA_CWR) {
    // Held until something above is acknowledged, so that CWR has reached the peer.
    if (after(sk.sndUna, sk.highSeq)) {
      tcpEndCwndReduction(sk);
      sk.caState = TCP_CA_OPEN;
    }
  } else if (sk.caState === TCP_CA_OPEN) {
    sk.retransStampMs = 0;
  } else if (!before(sk.sndUna, sk.highSeq) && sk.caState !== TCP_CA_DISORDER) {
    const keep = !sk.sackOk && sk.sndUna === sk.highSeq;
    if (!keep) {
      if (!sk.sackOk) sk.sackedOut = 0;
      leaveEpisode(sk);
    }
  }
  if (sk.caState === TCP_CA_LOSS) {
    if (advanced && mayUndo(sk)) {
      undo(sk);
      sk.caState = TCP_CA_OPEN;
      sk.retransmits = 0;
      sk.undoMarker = 0;
      return;
    }
    identifyLoss(sk, advanced);
    return;
  }
  identifyLoss(sk, advanced);
  if (sk.caState === TCP_CA_RECOVERY) {
    if (advanced && mayUndo(sk) && sk.retransOut === 0) {
      undo(sk);
      sk.caState = TCP_CA_DISORDER;
    }
    return;
  }
  if (sk.lostOut > 0) {
    tcpEnterRecovery(sk);
    return;
  }
  if (ece) enterCwr(sk);
  if (sk.caState <= TCP_CA_DISORDER) sk.caState = sk.sackedOut > 0 ? TCP_CA_DISORDER : TCP_CA_OPEN;
}

function identifyLoss(sk: TcpSock, advanced: boolean): void {
  if (sk.sackOk) tcpRackMarkLost(sk);
  else tcpNewrenoMarkLost(sk, advanced);
}
