/**
 * Counters of services and destinations (net/netfilter/ipvs/ip_vs_est.c). What `ipvsadm --stats` reads is a copy that
 * the estimator renews every 2 s, so it lags behind the packets; the copy is made here when a tick has passed and
 * somebody counts or reads.
 */
import type { Sim } from "../../sim/sim.ts";

const TICK_NS = 2_000_000_000;

/** The estimator's clock of a namespace. */
export class Estimator {
  private readonly sim: Sim;
  private nextNs: number;
  private tick = 0;

  constructor(sim: Sim) {
    this.sim = sim;
    this.nextNs = sim.now + TICK_NS;
  }

  /** Number of estimation runs so far. */
  now(): number {
    if (this.sim.now >= this.nextNs) {
      const passed = Math.floor((this.sim.now - this.nextNs) / TICK_NS) + 1;
      this.tick += passed;
      this.nextNs += passed * TICK_NS;
    }
    return this.tick;
  }
}

/** conns, inpkts, outpkts, inbytes, outbytes. */
export interface StatsSnapshot {
  conns: number;
  inPackets: number;
  outPackets: number;
  inBytes: number;
  outBytes: number;
}

const FIELDS = 5;

export class IpvsStats {
  private readonly estimator: Estimator;
  private readonly live = new Float64Array(FIELDS);
  private readonly shown = new Float64Array(FIELDS);
  private readonly zero = new Float64Array(FIELDS);
  private tick: number;

  constructor(estimator: Estimator) {
    this.estimator = estimator;
    this.tick = estimator.now();
  }

  countConn(): void {
    this.settle();
    this.live[0]++;
  }

  countIn(lenBytes: number): void {
    this.settle();
    this.live[1]++;
    this.live[3] += lenBytes;
  }

  countOut(lenBytes: number): void {
    this.settle();
    this.live[2]++;
    this.live[4] += lenBytes;
  }

  /** As of the last estimation run, since the last {@link reset}. */
  read(): StatsSnapshot {
    this.settle();
    const { shown, zero } = this;
    return {
      conns: shown[0] - zero[0],
      inPackets: shown[1] - zero[1],
      outPackets: shown[2] - zero[2],
      inBytes: shown[3] - zero[3],
      outBytes: shown[4] - zero[4],
    };
  }

  /** Begins anew (ip_vs_zero_stats of a destination that another service takes over). */
  clear(): void {
    this.live.fill(0);
    this.shown.fill(0);
    this.zero.fill(0);
  }

  /** `ipvsadm -Z`: what is shown now counts as nothing (ip_vs_zero_stats). */
  reset(): void {
    this.settle();
    this.zero.set(this.shown);
  }

  private settle(): void {
    const now = this.estimator.now();
    if (now === this.tick) return;
    this.tick = now;
    this.shown.set(this.live);
  }
}
