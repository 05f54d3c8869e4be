/** Measuring: CPU time per packet as the median of several rounds, and a fixed loop that tells how fast the machine is. */
import Benchmark from "benchmark";

/** One line of the result. */
export interface Row {
  readonly group: string;
  readonly name: string;
  /** Nanoseconds of CPU time per packet or per call. */
  readonly ns: number;
  /** What else is worth saying: sizes, memory. */
  readonly note: string;
}

/** CPU time of this process, user and system, ns. */
export function cpuNs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Median CPU ns per unit of `round`, which does its work and returns the number of units. One more round warms up. */
export function perUnit(rounds: number, round: () => number): number {
  round();
  const results: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const start = cpuNs();
    const units = round();
    results.push((cpuNs() - start) / units);
  }
  return median(results);
}

/** Wall ns of a call of `fn` in the best sample of benchmark.js; for small functions only. */
export function perCall(fn: () => void): number {
  const bench = new Benchmark("call", fn, { minTime: 0.02, maxTime: 0.5, minSamples: 20 });
  bench.run();
  if (bench.error !== undefined) throw bench.error;
  return Math.min(...bench.stats.sample) * 1e9;
}

const CALIBRATION_STEPS = 20_000_000;

/** CPU ns of a step of a fixed integer loop (xorshift and a table of 4 KiB): divides results of different machines. */
export function calibrate(): number {
  const table = new Int32Array(1024);
  let state = 1;
  const step = perUnit(3, () => {
    for (let i = 0; i < CALIBRATION_STEPS; i++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      table[state & 1023] += state;
    }
    return CALIBRATION_STEPS;
  });
  if (table[0] === 1 && state === 0) throw new Error("calibration went wrong");
  return step;
}
