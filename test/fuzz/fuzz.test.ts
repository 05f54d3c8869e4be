/** Frames that nobody should have sent, at every device of an ingress lab. More of them: `npm run fuzz`. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { change } from "./frame.ts";
import { broken, ordeals } from "./property.ts";
import { World } from "./world.ts";

test("any frames at any devices: nothing throws, no buffer is lost, every connection ends", () => {
  fc.assert(
    fc.property(ordeals(40), (ordeal) => {
      expect(broken(ordeal)).toBe("");
    }),
    { seed: 20, numRuns: 12 },
  );
});

describe("a valid frame", () => {
  const world = new World();
  const { words } = world;

  test("repeated at the device that saw it harms nobody: the lab still serves", () => {
    words.frames.forEach((_, frame) => {
      world.inject({ frame, device: frame, own: false, send: frame % 3 === 0, changes: [], waitMs: 1 });
    });
    expect(world.violations()).toEqual([]);
    world.live.lab.wait(600e9);
    expect(world.serves()).toBe(true);
    expect(world.settle()).toEqual([]);
  });

  test("is changed by every kind of change, and never in place", () => {
    const kinds = new Set<number>();
    for (const frame of words.frames)
      for (let kind = 0; kind < 17; kind++) {
        const before = frame.slice();
        const after = change(frame, { kind, a: 23 + kind, b: 77 + 3 * kind }, words);
        expect(frame).toEqual(before);
        expect(after.length).toBeGreaterThanOrEqual(14);
        if (Buffer.compare(before, after) !== 0) kinds.add(kind);
      }
    expect([...kinds].sort((a, b) => a - b)).toEqual([...Array(17).keys()]);
  });
});
