/** A process that runs cases, one for each message that it gets: see main.ts. */
import type { Case } from "./case.ts";
import type { Difference } from "./compare.ts";
import { generateCase } from "./generate/generate.ts";
import { namespaceStore } from "./real-side.ts";
import { reportText } from "./report.ts";
import { runCase, runOnce } from "./run-case.ts";
import { shrink } from "./shrink.ts";
import { TooSlowError } from "./side.ts";

/** What the cases are made of, and how a difference is told. */
export interface Wish {
  readonly topology?: string;
  readonly brief: boolean;
  readonly whole: boolean;
}

export interface Job {
  readonly seed: number;
  readonly wish: Wish;
}

export interface Outcome {
  readonly seed: number;
  /** Frames that the case sent. */
  readonly frames: number;
  /** Set when the machine was too busy for the case. */
  readonly leftOut?: string;
  readonly difference?: { readonly text: string; readonly smallest: Case };
}

/** The difference of a smaller case; a case that the kernel refuses shows none. */
function differenceOf(one: Case): Difference | null {
  try {
    return runOnce(one, 1).difference;
  } catch {
    return null;
  }
}

function work({ seed, wish }: Job): Outcome {
  const one = generateCase(seed, wish.topology);
  try {
    const { frames, difference } = runCase(one);
    if (difference === null) return { seed, frames };
    const smallest = wish.whole ? one : shrink(one, (candidate) => differenceOf(candidate) !== null);
    const text = reportText(seed, wish, smallest, differenceOf(smallest) ?? difference);
    return { seed, frames, difference: { text, smallest } };
  } catch (error) {
    if (error instanceof TooSlowError)
      return { seed, frames: 0, leftOut: `${one.name} left out: ${error.message}` };
    const text = `seed ${seed}, case ${one.name} cannot be run: ${(error as Error).stack}`;
    return { seed, frames: 0, difference: { text, smallest: one } };
  }
}

process.on("message", async (job: Job) => {
  await namespaceStore.refill();
  process.send!(work(job));
});
process.on("disconnect", () => process.exit());
