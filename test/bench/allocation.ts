/**
 * Sends packets of known flows through the ingress path and prints what that left behind, as JSON. A program of its own
 * (`node --expose-gc`), because a test runner allocates too and calls every import through an accessor.
 */
import { getHeapStatistics } from "node:v8";
import { IngressLab } from "../../bench/ingress-lab.ts";

const WARM_UP = 150_000;
const ROUND = 20_000;
const ROUNDS = 5;

const lab = new IngressLab();
const frames = lab.frames(64, 60);
const collect = (globalThis as unknown as { gc(): void }).gc;

/** Bytes of the heap that a round used up: few enough that no collection comes in between. */
function usedByRound(): number {
  collect();
  const before = getHeapStatistics().used_heap_size;
  lab.send(frames, ROUND);
  return getHeapStatistics().used_heap_size - before;
}

lab.send(frames, WARM_UP);
const used = Array.from({ length: ROUNDS }, usedByRound).sort((a, b) => a - b);
process.stdout.write(
  JSON.stringify({
    bytesPerPacket: used[ROUNDS >> 1] / ROUND,
    sent: WARM_UP + ROUND * ROUNDS,
    // Without the one round trip that made the bridges learn.
    delivered: lab.delivered - 1,
    outstanding: lab.settle(),
  }),
);
