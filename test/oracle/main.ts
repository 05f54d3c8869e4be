/**
 * Compares meshwire with the kernel of this machine: `npm run oracle -- [--count N] [--seed S] [--topology X]` sends N
 * frames into both, in cases of some dozen, one case a seed. Prints the smallest case of a difference and the command
 * that repeats it. Exit status 1 when there was one.
 *
 *     --jobs N        processes that work at the same time; as many as there are cores
 *     --go-on         does not stop at the first difference
 *     --whole         shows the whole case instead of the smallest
 *     --brief         leaves links, addresses and routes out of the report
 *     --keep FILE     writes the case, to become one of cases/
 */
import { type ChildProcess, fork } from "node:child_process";
import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { TOPOLOGY_NAMES } from "./generate/generate.ts";
import { Progress } from "./progress.ts";
import { whyNotReal } from "./real-side.ts";
import type { Outcome, Wish } from "./worker.ts";

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "5000" },
    seed: { type: "string", default: "1" },
    jobs: { type: "string", default: String(availableParallelism()) },
    topology: { type: "string" },
    keep: { type: "string" },
    "go-on": { type: "boolean", default: false },
    brief: { type: "boolean", default: false },
    whole: { type: "boolean", default: false },
  },
});

const wish: Wish = {
  ...(values.topology === undefined ? {} : { topology: values.topology }),
  brief: values.brief,
  whole: values.whole,
};

/** A worker closes what it used only now and then; one that has run so many cases is replaced. */
const CASES_OF_A_WORKER = 2000;
/** Namespaces are made and ended by threads of the worker, which wait most of the time. */
const ENV = { ...process.env, UV_THREADPOOL_SIZE: "32" };

/** Hands out seeds until enough frames were sent. */
class Run {
  private readonly progress: Progress;
  private readonly wanted: number;
  private nextSeed: number;
  private stopped = false;

  constructor(seed: number, wanted: number) {
    this.nextSeed = seed;
    this.wanted = wanted;
    this.progress = new Progress(wanted);
  }

  /** One worker after the other, until there is nothing left to do. */
  async work(): Promise<void> {
    while (this.goesOn()) {
      const child = fork(join(import.meta.dirname, "worker.ts"), { env: ENV });
      for (let i = 0; i < CASES_OF_A_WORKER && this.goesOn(); i++)
        this.took(await outcomeOf(child, this.nextSeed++));
      child.disconnect();
    }
  }

  /** The exit status. */
  end(): number {
    this.progress.end(this.nextSeed - 1);
    return this.progress.differing === 0 ? 0 : 1;
  }

  private goesOn(): boolean {
    return !this.stopped && this.progress.frames < this.wanted;
  }

  private took({ frames, leftOut, difference }: Outcome): void {
    this.progress.add(frames, difference !== undefined);
    if (leftOut !== undefined) this.progress.say(leftOut);
    if (difference === undefined) return;
    this.progress.say(difference.text);
    if (values.keep !== undefined)
      writeFileSync(values.keep, `${JSON.stringify(difference.smallest, null, 2)}\n`);
    if (!values["go-on"]) this.stopped = true;
  }
}

function outcomeOf(child: ChildProcess, seed: number): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const gone = (code: number | null) => reject(new Error(`the process of seed ${seed} ended: ${code}`));
    child.once("exit", gone);
    child.once("message", (outcome: Outcome) => {
      child.off("exit", gone);
      resolve(outcome);
    });
    child.send({ seed, wish });
  });
}

async function main(): Promise<number> {
  const why = whyNotReal();
  if (why !== null) throw new Error(`the oracle cannot run here: ${why}`);
  if (values.topology !== undefined && !TOPOLOGY_NAMES.includes(values.topology))
    throw new Error(`unknown topology; there is: ${TOPOLOGY_NAMES.join(", ")}`);
  const run = new Run(Number(values.seed), Number(values.count));
  await Promise.all(Array.from({ length: Number(values.jobs) }, () => run.work()));
  return run.end();
}

process.exitCode = await main();
