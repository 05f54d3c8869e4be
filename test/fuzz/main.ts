/**
 * `npm run fuzz -- [--seed S] [--count N] [--frames N]`: N labs, each with up to so many frames that nobody should have
 * sent. Prints the smallest run that breaks something. Exit status 1 when there was one.
 */
import { parseArgs } from "node:util";
import fc from "fast-check";
import { broken, ordeals } from "./property.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    count: { type: "string", default: "100" },
    frames: { type: "string", default: "60" },
  },
});

const seed = Number(values.seed);
const numRuns = Number(values.count);
const started = performance.now();
const property = fc.property(ordeals(Number(values.frames)), (ordeal) => {
  const wrong = broken(ordeal);
  if (wrong !== "") throw new Error(wrong);
});
const result = fc.check(property, { seed, numRuns, endOnFailure: false, interruptAfterTimeLimit: 3_600_000 });
if (result.failed) {
  console.error(fc.defaultReportMessage(result));
  process.exitCode = 1;
} else {
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`seed ${seed}: ${numRuns} labs, nothing broken (${seconds} s)`);
}
