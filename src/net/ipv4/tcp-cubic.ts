/**
 * CUBIC (RFC 9438, net/ipv4/tcp_cubic.c): windows in segments, times in ms steps as the kernel counts them. What ends slow
 * start stands in `tcp-hystart.ts`.
 */
const BETA = 717;
const BETA_SCALE = 1024;
const C = 0.4;
const DELAY_FLOOR_MS = 1;

export class CubicState {
  cnt = 0;
  lastMaxCwnd = 0;
  lastCwnd = 0;
  lastTimeMs = 0;
  originPoint = 0;
  k = 0;
  delayMinUs = 0;
  epochStartMs = 0;
  ackCnt = 0;
  tcpCwnd = 0;
  /** HyStart: whether it ended slow start; the round's begin, its last ACK, end, least round trip and samples. */
  found = false;
  roundStartNs = 0;
  lastAckNs = 0;
  endSeq = 0;
  currRttUs = 0;
  sampleCnt = 0;

  reset(): void {
    this.cnt = 0;
    this.lastMaxCwnd = 0;
    this.lastCwnd = 0;
    this.lastTimeMs = 0;
    this.originPoint = 0;
    this.k = 0;
    this.delayMinUs = 0;
    this.epochStartMs = 0;
    this.ackCnt = 0;
    this.tcpCwnd = 0;
    this.found = false;
  }

  /** Idle time does not count as growth time (cubictcp_cwnd_event, CA_EVENT_TX_START). */
  txStart(idleMs: number, nowMs: number): void {
    if (this.epochStartMs === 0 || idleMs <= 0) return;
    this.epochStartMs = Math.min(nowMs, this.epochStartMs + idleMs);
  }

  /** Slow start threshold after a loss (cubictcp_recalc_ssthresh). */
  ssthresh(cwnd: number): number {
    this.epochStartMs = 0;
    if (cwnd < this.lastMaxCwnd)
      this.lastMaxCwnd = Math.floor((cwnd * (BETA_SCALE + BETA)) / (2 * BETA_SCALE));
    else this.lastMaxCwnd = cwnd;
    return Math.max(Math.floor((cwnd * BETA) / BETA_SCALE), 2);
  }

  /** Segments to be acknowledged for one more in the window (bictcp_update). */
  update(cwnd: number, acked: number, nowMs: number): number {
    this.ackCnt += acked;
    if (this.lastCwnd === cwnd && nowMs - this.lastTimeMs <= 31) return this.cnt;
    if (this.epochStartMs !== 0 && nowMs === this.lastTimeMs) return this.friendly(cwnd);
    this.lastCwnd = cwnd;
    this.lastTimeMs = nowMs;
    if (this.epochStartMs === 0) this.startEpoch(cwnd, acked, nowMs);
    const t = (nowMs - this.epochStartMs + Math.max(this.delayMinUs / 1000, DELAY_FLOOR_MS)) / 1000;
    const distance = Math.abs(t - this.k);
    const delta = Math.floor(C * distance * distance * distance);
    const target = t < this.k ? this.originPoint - delta : this.originPoint + delta;
    this.cnt = target > cwnd ? Math.floor(cwnd / (target - cwnd)) : 100 * cwnd;
    if (this.lastMaxCwnd === 0 && this.cnt > 20) this.cnt = 20;
    return this.friendly(cwnd);
  }

  private startEpoch(cwnd: number, acked: number, nowMs: number): void {
    this.epochStartMs = nowMs;
    this.ackCnt = acked;
    this.tcpCwnd = cwnd;
    if (this.lastMaxCwnd <= cwnd) {
      this.k = 0;
      this.originPoint = cwnd;
    } else {
      this.k = Math.cbrt((this.lastMaxCwnd - cwnd) / C);
      this.originPoint = this.lastMaxCwnd;
    }
  }

  /** Not slower than Reno would be (tcp_friendliness). */
  private friendly(cwnd: number): number {
    const step = Math.max(1, Math.floor((cwnd * 15 * BETA_SCALE) / 8 / (BETA_SCALE + BETA) / 3));
    while (this.ackCnt > step) {
      this.ackCnt -= step;
      this.tcpCwnd++;
    }
    if (this.tcpCwnd > cwnd) {
      const max = Math.floor(cwnd / (this.tcpCwnd - cwnd));
      if (this.cnt > max) this.cnt = max;
    }
    this.cnt = Math.max(this.cnt, 2);
    return this.cnt;
  }
}
