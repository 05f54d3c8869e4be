import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HashIndex } from "../../src/util/hash-index.ts";

function idsOf(index: HashIndex, hash: number): number[] {
  const out: number[] = [];
  for (let slot = index.first(hash); slot >= 0; slot = index.next(slot, hash)) out.push(index.id(slot));
  return out.sort((a, b) => a - b);
}

describe("HashIndex", () => {
  it("holds what a map of sets holds, through growth, collisions and deletions", () => {
    const step = fc.record({ add: fc.boolean(), hash: fc.integer({ min: -4, max: 12 }), id: fc.nat(40) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const index = new HashIndex(1);
        const model = new Map<number, Set<number>>();
        for (const { add, hash, id } of steps) {
          const ids = model.get(hash) ?? new Set<number>();
          model.set(hash, ids);
          if (add && !ids.has(id)) {
            index.add(hash, id);
            ids.add(id);
          } else if (!add) {
            expect(index.remove(hash, id)).toBe(ids.delete(id));
          }
        }
        let size = 0;
        for (const [hash, ids] of model) {
          expect(idsOf(index, hash)).toEqual([...ids].sort((a, b) => a - b));
          size += ids.size;
        }
        expect(index.size).toBe(size);
      }),
    );
  });
});
