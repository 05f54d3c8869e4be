/** The property: whatever frames come, nothing throws, nothing is lost, and counts stay true. */
import fc from "fast-check";
import { CHANGE_KINDS } from "./frame.ts";
import { type Step, World } from "./world.ts";

const changes = fc.array(
  fc.record({ kind: fc.nat(CHANGE_KINDS - 1), a: fc.nat(0xffff), b: fc.nat(0xffffff) }),
  { maxLength: 4 },
);

const step: fc.Arbitrary<Step> = fc.record({
  frame: fc.nat(0xffff),
  device: fc.nat(0xffff),
  own: fc.boolean(),
  send: fc.boolean(),
  changes,
  waitMs: fc.oneof(
    { weight: 8, arbitrary: fc.nat(3) },
    { weight: 2, arbitrary: fc.nat(3000) },
    { weight: 1, arbitrary: fc.nat(100_000) },
  ),
});

/** What happens to one lab: its kind, and the frames that come. */
export interface Ordeal {
  readonly encrypted: boolean;
  readonly steps: readonly Step[];
}

/** Up to `length` frames into one lab. */
export function ordeals(length: number): fc.Arbitrary<Ordeal> {
  return fc.record({
    encrypted: fc.boolean(),
    steps: fc.array(step, { minLength: 1, maxLength: length, size: "max" }),
  });
}

/** Text of what an ordeal breaks, "" when nothing. */
export function broken({ encrypted, steps }: Ordeal): string {
  const world = new World(encrypted);
  world.live.startCapture("fuzz", false);
  for (const one of steps) {
    world.inject(one);
    const wrong = world.violations();
    if (wrong.length > 0) return wrong.join("\n");
  }
  world.live.window("fuzz").stop();
  world.print("fuzz");
  return world.settle().join("\n");
}
