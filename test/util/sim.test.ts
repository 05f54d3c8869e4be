import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Lane, Sim } from "../../src/sim/sim.ts";
import { Timer } from "../../src/sim/timer.ts";
import { Prng } from "../../src/util/prng.ts";
import { Ring } from "../../src/util/ring.ts";

describe("Sim", () => {
  it("runs events by time, equal times in the order of scheduling", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20), { maxLength: 400 }), (times) => {
        const sim = new Sim();
        const ran: [number, number][] = [];
        const sink = { onEvent: (arg: unknown) => ran.push([sim.now, arg as number]) };
        times.forEach((time, i) => {
          sim.schedule(time, sink, i);
        });
        while (sim.step());
        const expected = times
          .map((time, i): [number, number] => [time, i])
          .sort((a, b) => a[0] - b[0] || a[1] - b[1]);
        expect(ran).toEqual(expected);
      }),
    );
  });

  it("runs a lane's events as if each were scheduled by itself", () => {
    const steps = fc.array(fc.tuple(fc.nat(3), fc.nat(2), fc.boolean()), { maxLength: 300 });
    const run = (script: readonly (readonly [number, number, boolean])[], lanes: boolean): string[] => {
      const sim = new Sim();
      const ran: string[] = [];
      const sinks = ["a", "b", "c"].map((name) => ({
        onEvent: (arg: unknown) => ran.push(`${name}${arg} at ${sim.now}`),
      }));
      const lane = sinks.map((sink) => new Lane(sim, sink));
      const last = [0, 0, 0];
      script.forEach(([delay, which, pause], i) => {
        last[which] = Math.max(last[which], sim.now + delay);
        if (lanes) lane[which].push(last[which], i);
        else sim.schedule(last[which], sinks[which], i);
        if (pause) sim.step();
      });
      while (sim.step());
      return ran;
    };
    fc.assert(
      fc.property(steps, (script) => {
        expect(run(script, true)).toEqual(run(script, false));
      }),
    );
  });

  it("stops the clock at the end of a bounded run, before later events", () => {
    const sim = new Sim();
    let ran = 0;
    sim.schedule(10, { onEvent: () => ran++ });
    sim.schedule(11, { onEvent: () => ran++ });
    sim.runUntil(10);
    expect([sim.now, ran, sim.nextNs()]).toEqual([10, 1, 11]);
  });

  it("refuses an event in the past", () => {
    const sim = new Sim();
    sim.runUntil(5);
    expect(() => sim.schedule(4, { onEvent() {} })).toThrow("event in the past");
  });
});

describe("Timer", () => {
  it("fires once, at the time it was last moved to, for any sequence of moves and cancels", () => {
    const move = fc.record({ at: fc.nat(30), to: fc.option(fc.nat(30), { nil: null }) });
    fc.assert(
      fc.property(fc.array(move, { maxLength: 12 }), (moves) => {
        const sim = new Sim();
        const fired: number[] = [];
        const timer = new Timer(sim, () => fired.push(sim.now));
        let expected: number[] = [];
        let armed: number | null = null;
        for (const { at, to } of [...moves].sort((a, b) => a.at - b.at)) {
          sim.runUntil(at);
          if (armed !== null && armed <= at) {
            expected = [...expected, armed];
            armed = null;
          }
          if (to === null) {
            timer.cancel();
            armed = null;
          } else {
            armed = at + to + 1;
            timer.armAt(armed);
          }
        }
        sim.runUntil(100);
        if (armed !== null) expected = [...expected, armed];
        expect(fired).toEqual(expected);
        expect(timer.armed).toBe(false);
      }),
    );
  });
});

describe("Prng", () => {
  it("gives the same stream for the same seed and name, another for another", () => {
    const draw = (seed: number, name: string) => {
      const prng = new Prng(seed, name);
      return Array.from({ length: 8 }, () => prng.u32());
    };
    expect(draw(1, "isn")).toEqual(draw(1, "isn"));
    expect(draw(1, "isn")).not.toEqual(draw(2, "isn"));
    expect(draw(1, "isn")).not.toEqual(draw(1, "port"));
  });

  it("does not move a stream when a sub-stream is drawn from", () => {
    const a = new Prng(7, "x");
    const b = new Prng(7, "x");
    b.stream("y").u32();
    expect(a.u32()).toBe(b.u32());
  });

  it("spreads `below` evenly", () => {
    const prng = new Prng(3, "even");
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < 10000; i++) counts[prng.below(10)]++;
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});

describe("Ring", () => {
  it("is a queue", () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.nat(), { nil: null })), (steps) => {
        const ring = new Ring<number>(1);
        const model: number[] = [];
        for (const step of steps) {
          if (step === null) expect(ring.shift()).toBe(model.shift());
          else {
            ring.push(step);
            model.push(step);
          }
          expect(ring.length).toBe(model.length);
          expect(ring.at(0)).toBe(model[0]);
        }
      }),
    );
  });
});
