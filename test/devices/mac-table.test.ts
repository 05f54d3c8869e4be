/** The hash table of MAC addresses and the bridge's database against plain models. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { BridgeFdb } from "../../src/net/bridge/br-fdb.ts";
import { MacTable } from "../../src/net/core/mac-table.ts";

/** Few keys, so that deletions hit long probe runs. */
const key = fc.record({ hi: fc.integer({ min: 0, max: 3 }), lo: fc.integer({ min: -8, max: 8 }) });
const step = fc.record({ op: fc.constantFrom("set", "delete", "get"), key, value: fc.integer() });

test("the table behaves as a Map under any sequence of steps", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const table = new MacTable<number>();
      const model = new Map<string, number>();
      for (const { op, key: k, value } of steps) {
        const name = `${k.hi}/${k.lo}`;
        if (op === "set") {
          table.set(k.hi, k.lo, value);
          model.set(name, value);
        } else if (op === "delete") expect(table.delete(k.hi, k.lo)).toBe(model.delete(name));
        expect(table.get(k.hi, k.lo)).toBe(model.get(name) ?? null);
        expect(table.size).toBe(model.size);
      }
      for (const [name, value] of model) {
        const [hi, lo] = name.split("/").map(Number);
        expect(table.get(hi, lo)).toBe(value);
      }
    }),
  );
});

const AGEING = 100;

test("learnt entries are gone when their time is over, others stay, the list is newest first", () => {
  const event = fc.record({ key, dt: fc.integer({ min: 0, max: 60 }), permanent: fc.boolean() });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 120 }), (events) => {
      const fdb = new BridgeFdb<number>();
      const model = new Map<string, { updated: number; permanent: boolean }>();
      let now = 0;
      for (const { key: k, dt, permanent } of events) {
        now += dt;
        const name = `${k.hi}/${k.lo}`;
        for (const [other, entry] of [...model])
          if (!entry.permanent && entry.updated + AGEING <= now) model.delete(other);
        const found = fdb.find(k.hi, k.lo, 0, now, AGEING);
        expect(found !== null).toBe(model.has(name));
        if (found === null) {
          const entry = fdb.create(k.hi, k.lo, 0, 1, now);
          entry.local = permanent;
          model.set(name, { updated: now, permanent });
        } else {
          found.updatedNs = now;
          model.get(name)!.updated = now;
        }
        const names = fdb.list(now, AGEING).map((entry) => `${entry.addrHi}/${entry.addrLo}`);
        expect(names).toEqual([...model.keys()].reverse());
      }
    }),
  );
});
