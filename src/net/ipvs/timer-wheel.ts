/**
 * When a kernel timer fires (kernel/time/timer.c, HZ 100): far ones late, as the wheel's outer levels are coarse. Eight
 * times coarser a level, 64 slots each; a time is always rounded up to the next slot.
 */
export const HZ = 100;
export const JIFFY_NS = 1_000_000_000 / HZ;
const SLOTS = 64;
const LEVEL_SHIFT = 3;

/** The count begins five minutes before it turns over (INITIAL_JIFFIES). */
const INITIAL_JIFFIES = 2 ** 32 - 300 * HZ;

/** The tick count. */
export function jiffiesOf(nowNs: number): number {
  return Math.floor(nowNs / JIFFY_NS) + INITIAL_JIFFIES;
}

/** When that tick comes. */
export function jiffiesToNs(jiffies: number): number {
  return (jiffies - INITIAL_JIFFIES) * JIFFY_NS;
}

/** When a timer set at `nowNs` to `delayJiffies` fires, ns. */
export function wheelExpiryNs(nowNs: number, delayJiffies: number): number {
  let granularity = 1;
  while (delayJiffies >= (SLOTS - 1) * granularity) granularity <<= LEVEL_SHIFT;
  const expires = jiffiesOf(nowNs) + delayJiffies;
  return jiffiesToNs((Math.floor(expires / granularity) + 1) * granularity);
}
