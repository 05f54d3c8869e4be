import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FrameStore } from "../../src/capture/frame-store.ts";

describe("FrameStore", () => {
  it("gives back every frame as it was added, whatever came behind it", () => {
    const frame = fc.tuple(fc.nat(6), fc.integer({ min: 0, max: 70_000 }));
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 40 }), (frames) => {
        const store = new FrameStore();
        const kept = frames.map(([off, lenBytes], i) => {
          const words = new Int32Array(Math.ceil((off + lenBytes) / 4));
          const bytes = new Uint8Array(words.buffer).map((_, at) => (at * 7 + i) & 255);
          words.set(new Int32Array(bytes.buffer));
          return { place: store.add(words, off, lenBytes), wanted: bytes.slice(off, off + lenBytes) };
        });
        for (const { place, wanted } of kept)
          expect(Buffer.compare(store.at(place, wanted.length), wanted)).toBe(0);
      }),
      { numRuns: 30 },
    );
  });
});
