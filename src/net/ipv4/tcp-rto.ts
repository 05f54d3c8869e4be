/** Round trip estimation and the retransmit timer (tcp_rtt_estimator, tcp_rearm_rto; RFC 6298). */
import { JIFFY_NS } from "../../sim/timer-wheel.ts";
import {
  type TcpSock,
  TIME_LOSS_PROBE,
  TIME_NONE,
  TIME_PROBE0,
  TIME_REO_TIMEOUT,
  TIME_RETRANS,
} from "./tcp-sock.ts";

/** The shortest of the timers that are not retransmissions. */
export const TCP_TIMEOUT_MIN_NS = 2 * JIFFY_NS;
export const TCP_RTO_MIN_NS = 200_000_000;
export const TCP_RTO_MAX_NS = 120_000_000_000;
export const TCP_TIMEOUT_INIT_NS = 1_000_000_000;
const RTO_MIN_US = 200_000;

/** A round trip sample of `us` microseconds: smoothed values and the timeout. */
export function tcpRttEstimator(sk: TcpSock, us: number): void {
  let m = us;
  let srtt = sk.srttUs;
  if (srtt === 0) {
    srtt = m << 3;
    sk.mdevUs = m << 1;
    sk.rttvarUs = Math.max(sk.mdevUs, RTO_MIN_US);
    sk.mdevMaxUs = sk.rttvarUs;
    sk.rttSeq = sk.sndNxt;
  } else {
    m -= srtt >> 3;
    srtt += m;
    if (m < 0) {
      m = -m - (sk.mdevUs >> 2);
      if (m > 0) m >>= 3;
    } else m -= sk.mdevUs >> 2;
    sk.mdevUs += m;
    if (sk.mdevUs > sk.mdevMaxUs) {
      sk.mdevMaxUs = sk.mdevUs;
      if (sk.mdevMaxUs > sk.rttvarUs) sk.rttvarUs = sk.mdevMaxUs;
    }
    if (((sk.sndUna - sk.rttSeq) | 0) > 0) {
      if (sk.mdevMaxUs < sk.rttvarUs) sk.rttvarUs -= (sk.rttvarUs - sk.mdevMaxUs) >> 2;
      sk.rttSeq = sk.sndNxt;
      sk.mdevMaxUs = RTO_MIN_US;
    }
  }
  sk.srttUs = Math.max(1, srtt);
  tcpSetRto(sk);
  tcpUpdatePacing(sk);
}

export function tcpSetRto(sk: TcpSock): void {
  sk.rtoNs = Math.min(((sk.srttUs >> 3) + sk.rttvarUs) * 1000, TCP_RTO_MAX_NS);
}

/** Bytes a second that the window allows, twice in slow start (tcp_update_pacing_rate); sizes super packets. */
export function tcpUpdatePacing(sk: TcpSock): void {
  const ratio = sk.sndCwnd < sk.sndSsthresh / 2 ? 2 : 1.2;
  const segments = Math.max(sk.sndCwnd, sk.queue.inFlight);
  sk.pacingRate = (sk.mssCache * segments * ratio * 8_000_000) / Math.max(sk.srttUs, 1);
}

export function tcpResetXmitTimer(sk: TcpSock, what: number, delayNs: number): void {
  sk.timePending = what;
  sk.writeTimer.armAt(sk.ns.kernel.timerNs(Math.min(delayNs, TCP_RTO_MAX_NS)));
}

export function tcpClearXmitTimer(sk: TcpSock): void {
  sk.timePending = TIME_NONE;
  sk.writeTimer.cancel();
}

/** Restarts the timer for what is in flight, or stops it (tcp_rearm_rto). */
export function tcpRearmRto(sk: TcpSock): void {
  const { queue } = sk;
  if (queue.inFlight === 0) {
    tcpClearXmitTimer(sk);
    return;
  }
  let rto = sk.rtoNs;
  if (sk.timePending === TIME_REO_TIMEOUT || sk.timePending === TIME_LOSS_PROBE) {
    const due = queue.sentNs[queue.head & queue.mask] + sk.rtoNs - sk.ns.kernel.sim.now;
    rto = Math.max(due, 1_000_000);
  }
  tcpResetXmitTimer(sk, TIME_RETRANS, rto);
}

/** Time to the next window probe (tcp_probe0_when). */
export function tcpProbe0WhenNs(sk: TcpSock): number {
  const base = Math.max(sk.rtoNs, TCP_RTO_MIN_NS);
  return Math.min(base * 2 ** Math.min(sk.backoff, 30), TCP_RTO_MAX_NS);
}

/** Starts probing when something waits, nothing is in flight and no timer runs (tcp_check_probe_timer). */
export function tcpCheckProbeTimer(sk: TcpSock): void {
  if (sk.queue.inFlight === 0 && sk.timePending === TIME_NONE)
    tcpResetXmitTimer(sk, TIME_PROBE0, tcpProbe0WhenNs(sk));
}

/** Plans a probe of the tail for when the last ACK does not come (tcp_schedule_loss_probe); false when none is due. */
export function tcpScheduleLossProbe(sk: TcpSock, advancing: boolean): boolean {
  const { queue } = sk;
  if (!sk.sackOk || queue.inFlight === 0) return false;
  if (sk.caState !== 0 && sk.caState !== 2) return false;
  let timeout: number;
  if (sk.srttUs !== 0) {
    timeout = Math.ceil(((sk.srttUs >> 2) * 1000) / JIFFY_NS) * JIFFY_NS;
    timeout += queue.inFlight === 1 ? TCP_RTO_MIN_NS : TCP_TIMEOUT_MIN_NS;
  } else timeout = TCP_TIMEOUT_INIT_NS;
  const { now } = sk.ns.kernel.sim;
  const rtoDelta = advancing ? sk.rtoNs : queue.sentNs[queue.head & queue.mask] + sk.rtoNs - now;
  if (rtoDelta > 0) timeout = Math.min(timeout, rtoDelta);
  tcpResetXmitTimer(sk, TIME_LOSS_PROBE, timeout);
  return true;
}
