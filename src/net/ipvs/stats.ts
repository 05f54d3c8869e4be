/**
 * Counters and rates of services and destinations (net/netfilter/ipvs/ip_vs_est.c). What `ipvsadm --stats` and `--rate`
 * read are copies that the estimator renews about every 2 s, so they lag behind the packets; the copies are made here when
 * a tick has passed and somebody counts or reads.
 */
import type { Sim } from "../../sim/sim.ts";
import { HZ, wheelExpiryNs } from "./timer-wheel.ts";

const PERIOD_JIFFIES = 2 * HZ;

/** The estimator's clock of a namespace. */
export class Estimator {
  private readonly sim: Sim;
  private nextNs: number;
  private tick = 0;
  private runs = 1;

  constructor(sim: Sim) {
    this.sim = sim;
    this.nextNs = wheelExpiryNs(sim.now, PERIOD_JIFFIES);
  }

  /** Number of estimation runs so far. */
  now(): number {
    while (this.sim.now >= this.nextNs) {
      if (this.runs !== 0) this.tick++;
      this.nextNs = wheelExpiryNs(this.nextNs, PERIOD_JIFFIES);
    }
    return this.tick;
  }

  /** net.ipv4.vs.run_estimation */
  get runEstimation(): number {
    return this.runs;
  }

  set runEstimation(value: number) {
    this.now();
    this.runs = value;
  }
}

/** conns, inpkts, outpkts, inbytes, outbytes: numbers since the last reset, or a second. */
export interface StatsSnapshot {
  conns: number;
  inPackets: number;
  outPackets: number;
  inBytes: number;
  outBytes: number;
}

const FIELDS = 5;
/** The first field that counts bytes. */
const BYTES = 3;
/** Fixed point: rates of packets have 10 bits behind the point, of bytes 5; the period of two seconds takes one off. */
const PACKET_SCALE = 1024;
const BYTE_SCALE = 32;

function scaleOf(field: number): number {
  return field < BYTES ? PACKET_SCALE : BYTE_SCALE;
}

export class IpvsStats {
  private readonly estimator: Estimator;
  private readonly live = new Float64Array(FIELDS);
  private readonly shown = new Float64Array(FIELDS);
  private readonly zero = new Float64Array(FIELDS);
  private readonly rates = new Float64Array(FIELDS);
  private tick: number;
  /** Not estimated: that of a deleted destination. */
  private isStopped = false;

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
    return snapshot((field) => this.shown[field] - this.zero[field]);
  }

  /** A second, as of the last estimation run (ip_vs_read_estimator). */
  readRates(): StatsSnapshot {
    this.settle();
    return snapshot((field) => {
      const scale = scaleOf(field);
      return Math.floor((this.rates[field] + scale / 2 - 1) / scale);
    });
  }

  /** At this moment and since ever (the counters of the CPU). */
  readLive(): StatsSnapshot {
    return snapshot((field) => this.live[field]);
  }

  /** `ipvsadm -Z`: what is shown now counts as nothing (ip_vs_zero_stats). */
  reset(): void {
    this.settle();
    this.zero.set(this.shown);
    this.rates.fill(0);
  }

  /** ip_vs_stop_estimator, ip_vs_start_estimator */
  setStopped(isStopped: boolean): void {
    this.settle();
    this.isStopped = isStopped;
  }

  private settle(): void {
    const now = this.estimator.now();
    if (now === this.tick) return;
    const passed = now - this.tick;
    this.tick = now;
    if (!this.isStopped) this.estimate(passed);
  }

  /** A run with what was counted, then runs without anything new. */
  private estimate(runs: number): void {
    const { live, shown, rates } = this;
    for (let field = 0; field < FIELDS; field++) {
      let rate = rates[field];
      const counted = ((live[field] - shown[field]) * scaleOf(field)) / 2;
      rate += Math.floor((counted - rate) / 4);
      for (let i = 1; i < runs && rate > 0; i++) rate += Math.floor(-rate / 4);
      rates[field] = rate;
    }
    shown.set(live);
  }
}

function snapshot(of: (field: number) => number): StatsSnapshot {
  return { conns: of(0), inPackets: of(1), outPackets: of(2), inBytes: of(3), outBytes: of(4) };
}
