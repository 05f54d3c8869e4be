import fc from "fast-check";
import { expect, test } from "vitest";
import { SEC } from "../../src/sim/sim.ts";
import { EPOCH_SECONDS, formatCtime, wallTimeAt } from "../../src/sim/wall-clock.ts";

test("the lab begins on 21 November 2026 at 04:00 UTC", () => {
  expect(formatCtime(wallTimeAt(0))).toBe("Sat Nov 21 04:00:00 2026");
  expect(formatCtime(wallTimeAt(10 * 86400 * SEC))).toBe("Tue Dec  1 04:00:00 2026");
});

test("the broken down time is that of the calendar", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 9_000_000 }), (seconds) => {
      const date = new Date((EPOCH_SECONDS + seconds) * 1000);
      const time = wallTimeAt(seconds * SEC + 5);
      expect(time).toEqual({
        year: date.getUTCFullYear(),
        month: date.getUTCMonth() + 1,
        day: date.getUTCDate(),
        hour: date.getUTCHours(),
        minute: date.getUTCMinutes(),
        second: date.getUTCSeconds(),
        nanosecond: 5,
        weekday: date.getUTCDay(),
      });
    }),
  );
});
