/**
 * The tick of a kernel and its wheel of timers (kernel/time/timer.c): time is counted in jiffies from boot on, and a timer
 * far ahead waits in a wheel that turns eight times slower at each level. So it runs out late, at a moment that a whole
 * machine shares: a second from now at the next multiple of 80 ms.
 */

/** Ticks a second of the kernels that the truth was recorded on (CONFIG_HZ). */
export const HZ = 100;
export const JIFFY_NS = 1_000_000_000 / HZ;
/** Jiffies of a kernel that has just started: they are to wrap after five minutes, to bring bugs to light. */
const INITIAL_JIFFIES = -300 * HZ;
/** Buckets of a level. */
const LEVEL_SIZE = 64;
/** How much coarser each level is than the one before. */
const LEVEL_STEP = 8;
const LEVELS = 9;

export class TimerWheel {
  /** When the machine started, ns of virtual time; negative: before the lab did. */
  readonly bootedNs: number;

  constructor(bootedNs: number) {
    this.bootedNs = bootedNs;
  }

  /** When a timer that is set at `nowNs` to run out after `delayNs` does so (calc_wheel_index). */
  expiryNs(nowNs: number, delayNs: number): number {
    const jiffies = Math.floor((nowNs - this.bootedNs) / JIFFY_NS) + INITIAL_JIFFIES;
    const delta = Math.ceil(delayNs / JIFFY_NS);
    let granularity = 1;
    for (let level = 1; level < LEVELS && delta >= (LEVEL_SIZE - 1) * granularity; level++)
      granularity *= LEVEL_STEP;
    const bucket = (Math.floor((jiffies + delta) / granularity) + 1) * granularity;
    return this.bootedNs + (bucket - INITIAL_JIFFIES) * JIFFY_NS;
  }
}
