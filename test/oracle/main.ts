/**
 * Compares meshwire with the kernel of this machine, case by case: `npm run oracle -- [--count N] [--seed S] [--topology X]`.
 * Prints the seed and the smallest case of a difference. Exit status 1 when there was one.
 *
 *     --go-on         does not stop at the first difference
 *     --whole         shows the whole case instead of the smallest
 *     --brief         leaves links, addresses and routes out of the report
 *     --keep FILE     writes the case, to become one of cases/
 *     --ip-options    also packets with IP options
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import type { Case } from "./case.ts";
import type { Difference } from "./compare.ts";
import { generateCase, TOPOLOGY_NAMES } from "./generate/generate.ts";
import { whyNotReal } from "./real-side.ts";
import { runCase, runOnce, TooSlowError } from "./run-case.ts";
import { shrink } from "./shrink.ts";

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "200" },
    seed: { type: "string", default: "1" },
    topology: { type: "string" },
    keep: { type: "string" },
    "go-on": { type: "boolean", default: false },
    brief: { type: "boolean", default: false },
    "ip-options": { type: "boolean", default: false },
    whole: { type: "boolean", default: false },
  },
});

/** The difference of a smaller case; a case that the kernel refuses shows none. */
function differenceOf(one: Case): Difference | null {
  try {
    return runOnce(one, 1);
  } catch {
    return null;
  }
}

/** As runCase; a case that a busy machine could not finish in time is left out. */
function differenceIn(one: Case): Difference | null {
  try {
    return runCase(one);
  } catch (error) {
    if (!(error instanceof TooSlowError)) throw error;
    console.log(`${one.name} left out: ${error.message}`);
    return null;
  }
}

function report(seed: number, one: Case, difference: Difference): void {
  const setup = values.brief ? one.setup.filter(({ run }) => run.startsWith("sysctl")) : one.setup;
  const lines = [
    `seed ${seed}, case ${one.name}: ${difference.where}`,
    difference.text,
    ...setup.map(({ ns, run }) => `  ${ns}# ${run}`),
    ...one.rules.map(({ ns, run }) => `  ${ns}# ${run}`),
    ...one.listeners.map(({ ns, protocol, port }) => `  ${ns}: listens on ${protocol} ${port}`),
    ...one.steps.map(
      ({ at, frame, answer, note }, i) =>
        `  ${i + 1}. ${at ?? "answer"} ${note} ${frame ?? JSON.stringify(answer)}`,
    ),
  ];
  console.log(lines.join("\n"));
}

function main(): number {
  const why = whyNotReal();
  if (why !== null) throw new Error(`the oracle cannot run here: ${why}`);
  if (values.topology !== undefined && !TOPOLOGY_NAMES.includes(values.topology))
    throw new Error(`unknown topology; there is: ${TOPOLOGY_NAMES.join(", ")}`);
  const [first, count] = [Number(values.seed), Number(values.count)];
  let differing = 0;
  for (let seed = first; seed < first + count; seed++) {
    const one = generateCase(seed, values.topology, values["ip-options"]);
    const difference = differenceIn(one);
    if (process.stdout.isTTY || (seed - first + 1) % 100 === 0)
      process.stdout.write(`${seed - first + 1}/${count} cases, ${differing} differ\n`);
    if (difference === null) continue;
    differing++;
    const small = values.whole ? one : shrink(one, (candidate) => differenceOf(candidate) !== null);
    report(seed, small, differenceOf(small) ?? difference);
    if (values.keep !== undefined) writeFileSync(values.keep, `${JSON.stringify(small, null, 2)}\n`);
    if (!values["go-on"]) break;
  }
  return differing === 0 ? 0 : 1;
}

process.exitCode = main();
