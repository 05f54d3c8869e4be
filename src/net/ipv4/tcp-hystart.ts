/**
 * HyStart: slow start ends before it overruns the path, when the ACKs of one round come in a train longer than half the
 * shortest round trip, or when round trips grow (hystart_update in net/ipv4/tcp_cubic.c; Ha and Rhee, PFLDNet 2008).
 */
import { inSlowStart } from "./tcp-cong.ts";
import { after, type TcpSock } from "./tcp-sock.ts";
import { tcpGsoMaxSize } from "./tcp-window.ts";

/** Windows below it never end slow start (hystart_low_window), segments. */
const LOW_WINDOW = 16;
/** ACKs with more time between them are of two trains (hystart_ack_delta_us). */
const ACK_DELTA_NS = 2_000_000;
const ACK_DELAY_MAX_US = 1000;
const MIN_SAMPLES = 8;
const DELAY_MIN_US = 4_000;
const DELAY_MAX_US = 16_000;

/** Begins a round (bictcp_hystart_reset). */
export function hystartReset(sk: TcpSock): void {
  const { cubic } = sk;
  cubic.roundStartNs = sk.ns.kernel.sim.now;
  cubic.lastAckNs = cubic.roundStartNs;
  cubic.endSeq = sk.sndNxt;
  cubic.currRttUs = 0x7fffffff;
  cubic.sampleCnt = 0;
}

/** An ACK whose newest segment took `rttUs` (cubictcp_acked). */
export function hystartAcked(sk: TcpSock, rttUs: number): void {
  const { cubic } = sk;
  const delay = Math.max(rttUs, 1);
  if (cubic.delayMinUs === 0 || cubic.delayMinUs > delay) cubic.delayMinUs = delay;
  if (!cubic.found && inSlowStart(sk)) hystartUpdate(sk, delay);
}

/** What gathering of ACKs on the way may add to a train: four of the largest super packets, us (hystart_ack_delay). */
function ackDelayUs(sk: TcpSock): number {
  if (sk.pacingRate === 0) return 0;
  return Math.min(ACK_DELAY_MAX_US, (tcpGsoMaxSize() * 4e6) / sk.pacingRate);
}

function hystartUpdate(sk: TcpSock, delayUs: number): void {
  const { cubic } = sk;
  const { now } = sk.ns.kernel.sim;
  if (after(sk.sndUna, cubic.endSeq)) hystartReset(sk);
  if (sk.sndCwnd < LOW_WINDOW) return;
  if (now - cubic.lastAckNs <= ACK_DELTA_NS) {
    cubic.lastAckNs = now;
    // Half of it, as nothing paces the segments.
    const thresholdUs = (cubic.delayMinUs + ackDelayUs(sk)) / 2;
    if (now - cubic.roundStartNs > thresholdUs * 1000) endSlowStart(sk);
  }
  if (cubic.currRttUs > delayUs) cubic.currRttUs = delayUs;
  if (cubic.sampleCnt < MIN_SAMPLES) cubic.sampleCnt++;
  else {
    const tolerance = Math.min(Math.max(cubic.delayMinUs >> 3, DELAY_MIN_US), DELAY_MAX_US);
    if (cubic.currRttUs > cubic.delayMinUs + tolerance) endSlowStart(sk);
  }
}

function endSlowStart(sk: TcpSock): void {
  sk.cubic.found = true;
  sk.sndSsthresh = sk.sndCwnd;
}
