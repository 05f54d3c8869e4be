/** Congestion window: growth, reduction, idle restart (net/ipv4/tcp_cong.c, parts of tcp_input.c and tcp_output.c). */
import { tcpEcnQueueCwr } from "./tcp-ecn.ts";
import { tcpOf } from "./tcp-net.ts";
import {
  TCP_CA_CWR,
  TCP_CA_OPEN,
  TCP_CA_RECOVERY,
  TCP_INFINITE_SSTHRESH,
  TCP_INIT_CWND,
  type TcpSock,
} from "./tcp-sock.ts";

/** Data leaves: it may be the answer to what came just now, so ACKs can wait for it (tcp_event_data_sent). */
export function tcpEventDataSent(sk: TcpSock): void {
  const { now } = sk.ns.kernel.sim;
  if (sk.packetsInFlight() === 0)
    sk.cubic.txStart(Math.floor((now - sk.lsndTimeNs) / 1_000_000), Math.floor(now / 1_000_000));
  sk.lsndTimeNs = now;
  if (now - sk.lrcvTimeNs < sk.atoNs) sk.pingpong = true;
}

/** After an idle time the window starts small again (tcp_slow_start_after_idle_check, tcp_cwnd_restart). */
export function tcpSlowStartAfterIdle(sk: TcpSock): void {
  if (tcpOf(sk.ns).slowStartAfterIdle === 0 || sk.queue.inFlight > 0) return;
  const { now } = sk.ns.kernel.sim;
  let delta = now - sk.lsndTimeNs;
  if (delta <= sk.rtoNs) return;
  sk.sndSsthresh = currentSsthresh(sk);
  const restart = Math.min(TCP_INIT_CWND, sk.sndCwnd);
  let cwnd = sk.sndCwnd;
  for (delta -= sk.rtoNs; delta > 0 && cwnd > restart; delta -= sk.rtoNs) cwnd >>= 1;
  sk.sndCwnd = Math.max(cwnd, restart);
  sk.sndCwndUsed = 0;
}

export function currentSsthresh(sk: TcpSock): number {
  if (inCwndReduction(sk)) return sk.sndSsthresh;
  return Math.max(sk.sndSsthresh, (sk.sndCwnd >> 1) + (sk.sndCwnd >> 2));
}

export function inCwndReduction(sk: TcpSock): boolean {
  return sk.caState === TCP_CA_CWR || sk.caState === TCP_CA_RECOVERY;
}

export function inSlowStart(sk: TcpSock): boolean {
  return sk.sndCwnd < sk.sndSsthresh;
}

function isCwndLimited(sk: TcpSock): boolean {
  if (sk.isCwndLimited) return true;
  return inSlowStart(sk) && sk.sndCwnd < 2 * sk.maxPacketsOut;
}

/** Notes whether the window was the limit of the last burst (tcp_cwnd_validate). */
export function tcpCwndValidate(sk: TcpSock, limited: boolean): void {
  const out = sk.queue.inFlight;
  if (((sk.sndUna - sk.cwndUsageSeq) | 0) >= 0 || limited || (!sk.isCwndLimited && out > sk.maxPacketsOut)) {
    sk.isCwndLimited = limited;
    sk.maxPacketsOut = out;
    sk.cwndUsageSeq = sk.sndNxt;
  }
  const { now } = sk.ns.kernel.sim;
  if (isCwndLimited(sk)) {
    sk.sndCwndUsed = 0;
    sk.sndCwndStampNs = now;
    return;
  }
  if (out > sk.sndCwndUsed) sk.sndCwndUsed = out;
  if (tcpOf(sk.ns).slowStartAfterIdle !== 0 && now - sk.sndCwndStampNs >= sk.rtoNs)
    applicationLimited(sk, now);
}

/** A window that was not used for long shrinks towards what was (tcp_cwnd_application_limited). */
function applicationLimited(sk: TcpSock, now: number): void {
  if (sk.caState === TCP_CA_OPEN) {
    const used = Math.max(sk.sndCwndUsed, TCP_INIT_CWND);
    if (used < sk.sndCwnd) {
      sk.sndSsthresh = currentSsthresh(sk);
      sk.sndCwnd = (sk.sndCwnd + used) >> 1;
    }
    sk.sndCwndUsed = 0;
  }
  sk.sndCwndStampNs = now;
}

/** `acked` segments were acknowledged in order (cubictcp_cong_avoid, tcp_slow_start, tcp_cong_avoid_ai). */
export function tcpCongAvoid(sk: TcpSock, acked: number): void {
  if (!isCwndLimited(sk)) return;
  let rest = acked;
  if (inSlowStart(sk)) {
    const cwnd = Math.min(sk.sndCwnd + rest, sk.sndSsthresh);
    rest -= cwnd - sk.sndCwnd;
    sk.sndCwnd = Math.min(cwnd, sk.sndCwndClamp);
    if (rest === 0) return;
  }
  const step = sk.cubic.update(sk.sndCwnd, rest, Math.floor(sk.ns.kernel.sim.now / 1_000_000));
  if (sk.sndCwndCnt >= step) {
    sk.sndCwndCnt = 0;
    sk.sndCwnd++;
  }
  sk.sndCwndCnt += rest;
  if (sk.sndCwndCnt >= step) {
    const delta = Math.floor(sk.sndCwndCnt / step);
    sk.sndCwndCnt -= delta * step;
    sk.sndCwnd += delta;
  }
  sk.sndCwnd = Math.min(sk.sndCwnd, sk.sndCwndClamp);
}

/** Starts a proportional rate reduction (tcp_init_cwnd_reduction; RFC 6937). */
export function tcpInitCwndReduction(sk: TcpSock): void {
  sk.highSeq = sk.sndNxt;
  sk.tlpHighSeq = 0;
  sk.sndCwndCnt = 0;
  sk.priorCwnd = sk.sndCwnd;
  sk.prrDelivered = 0;
  sk.prrOut = 0;
  sk.sndSsthresh = sk.cubic.ssthresh(sk.sndCwnd);
  tcpEcnQueueCwr(sk);
}

/** One ACK of a reduction: `delivered` segments, `lost` newly marked (tcp_cwnd_reduction). */
export function tcpCwndReduction(sk: TcpSock, delivered: number, lost: number, advanced: boolean): void {
  if (delivered <= 0 || sk.priorCwnd === 0) return;
  const inFlight = sk.packetsInFlight();
  const delta = sk.sndSsthresh - inFlight;
  sk.prrDelivered += delivered;
  let send: number;
  if (delta < 0) {
    const dividend = sk.sndSsthresh * sk.prrDelivered + sk.priorCwnd - 1;
    send = Math.floor(dividend / sk.priorCwnd) - sk.prrOut;
  } else {
    send = Math.max(sk.prrDelivered - sk.prrOut, delivered);
    if (advanced && lost === 0) send++;
    send = Math.min(delta, send);
  }
  send = Math.max(send, sk.prrOut !== 0 ? 0 : 1);
  sk.sndCwnd = inFlight + send;
}

export function tcpEndCwndReduction(sk: TcpSock): void {
  if (sk.sndSsthresh < TCP_INFINITE_SSTHRESH && (sk.undoMarker !== 0 || sk.caState === TCP_CA_CWR)) {
    sk.sndCwnd = sk.sndSsthresh;
    sk.sndCwndStampNs = sk.ns.kernel.sim.now;
  }
}

/** Takes a needless reduction back (tcp_undo_cwnd_reduction). */
export function tcpUndoCwndReduction(sk: TcpSock): void {
  if (sk.priorSsthresh !== 0) {
    sk.sndCwnd = Math.max(sk.sndCwnd, sk.priorCwnd);
    if (sk.priorSsthresh > sk.sndSsthresh) sk.sndSsthresh = sk.priorSsthresh;
  }
  sk.sndCwndStampNs = sk.ns.kernel.sim.now;
  sk.undoMarker = 0;
}
