/** The wheel of timers: when timers of a kernel run out, and that a real one kept to it. */
import { expect, test } from "vitest";
import { TimerWheel } from "../../src/sim/timer-wheel.ts";

const MS = 1_000_000;

/** When timers of 1, 2, 4, … s set one after the other run out, ms, the first set at `fromMs`. */
function backoff(wheel: TimerWheel, fromMs: number, count: number): number[] {
  const out: number[] = [];
  let at = fromMs * MS;
  for (let i = 0; i < count; i++) {
    at = wheel.expiryNs(at, 1_000 * MS * 2 ** i);
    out.push(at / MS);
  }
  return out;
}

test("a second is a multiple of 80 ms of the machine's own clock, eight seconds are one of 640 ms", () => {
  expect(backoff(new TimerWheel(0), 0, 4)).toEqual([1040, 3120, 7200, 15840]);
});

test("SYN-ACKs leave when they did on a real machine", () => {
  // When the timer was set, for how long, and when the SYN-ACK was seen: test/truth's S09, a lost handshake on one node.
  const seen: [number, number, number][] = [
    [6_345_793_240, 1_000, 7_346_430_936],
    [8_426_386_392, 2_000, 10_466_411_736],
    [10_466_411_736, 4_000, 14_546_432_984],
    [14_546_432_984, 8_000, 23_106_426_328],
  ];
  const wheel = new TimerWheel(-2_973_600_000);
  for (const [setNs, delayMs, sentNs] of seen) {
    const late = sentNs - wheel.expiryNs(setNs, delayMs * MS);
    expect(late).toBeGreaterThanOrEqual(0);
    expect(late).toBeLessThan(100_000);
  }
});

test("short timers wait for one tick more than they ask for", () => {
  const wheel = new TimerWheel(0);
  expect(wheel.expiryNs(0, 0)).toBe(10 * MS);
  expect(wheel.expiryNs(12 * MS, 40 * MS)).toBe(60 * MS);
  expect(wheel.expiryNs(19 * MS, 200 * MS)).toBe(220 * MS);
});

test("never early, and at most an eighth and a tick late", () => {
  const wheel = new TimerWheel(-123_456_789);
  for (let delay = MS; delay < 8_000_000 * MS; delay = Math.ceil(delay * 1.37))
    for (const now of [0, 7_654_321, 987_654_321_987]) {
      const late = wheel.expiryNs(now, delay) - now - delay;
      expect(late).toBeGreaterThanOrEqual(0);
      expect(late).toBeLessThanOrEqual(delay / 7 + 20 * MS);
    }
});
