import { expect, test } from "vitest";
import { type Process, waitFor, work } from "../../src/host/process.ts";
import { WaitQueue } from "../../src/sim/wait-queue.ts";
import { Lab } from "../transport/lab.ts";

const MS = 1_000_000;

/** Two programs of one machine: one computes and then wakes the other, which computes too; when each did its parts, ms. */
function wakeAfter(computeMs: number): string[] {
  const lab = new Lab();
  const { sim } = lab;
  const queue = new WaitQueue();
  const log: string[] = [];
  const note = (what: string): void => {
    log.push(`${what} ${(sim.now / MS).toFixed(2)}`);
  };
  lab.server.spawn("sleeper", lab.server.hostNs, function* () {
    yield* waitFor(queue);
    note("woken");
    yield* work(2 * MS);
    note("sleeper done");
    return 0;
  });
  lab.server.spawn("worker", lab.server.hostNs, function* () {
    yield* work(computeMs * MS);
    queue.wake();
    yield* work(0.5 * MS);
    note("worker done");
    return 0;
  });
  lab.run(1);
  return log;
}

test("a program that has had less than another by more than a millisecond comes first when it is woken", () => {
  expect(wakeAfter(4)).toEqual(["woken 4.15", "sleeper done 6.15", "worker done 6.65"]);
  expect(wakeAfter(0.5)).toEqual(["worker done 1.00", "woken 1.15", "sleeper done 3.15"]);
});

test("what computes keeps the processor from others of its machine only", () => {
  const lab = new Lab();
  const { sim } = lab;
  const done: number[] = [];
  const program = function* (_: Process) {
    yield* work(3 * MS);
    done.push(sim.now / MS);
    return 0;
  };
  lab.server.spawn("a", lab.server.hostNs, program);
  lab.server.spawn("b", lab.server.hostNs, program);
  lab.client.spawn("c", lab.client.hostNs, program);
  lab.run(1);
  expect(done).toEqual([3, 3, 6]);
});

test("who is killed while it waits for the processor, or has it, leaves it to the others", () => {
  const lab = new Lab();
  const { sim } = lab;
  const done: string[] = [];
  const [a, b] = ["a", "b", "c"].map((name) =>
    lab.server.spawn(name, lab.server.hostNs, function* () {
      yield* work(3 * MS);
      done.push(`${name} ${sim.now / MS}`);
      return 0;
    }),
  );
  sim.runUntil(MS);
  b.kill(9);
  a.kill(9);
  lab.run(1);
  expect(done).toEqual(["c 4"]);
});

test("a program that is killed before it has run hands the processor on", () => {
  const lab = new Lab();
  const { sim } = lab;
  const queue = new WaitQueue();
  const done: string[] = [];
  const late = lab.server.spawn("late", lab.server.hostNs, function* () {
    yield* waitFor(queue);
    return 0;
  });
  lab.server.spawn("worker", lab.server.hostNs, function* () {
    yield* work(4 * MS);
    queue.wake();
    yield* work(MS);
    done.push(`worker ${sim.now / MS}`);
    return 0;
  });
  sim.runUntil(4.1 * MS);
  late.kill(9);
  lab.run(1);
  expect(done).toEqual(["worker 5.1"]);
});
