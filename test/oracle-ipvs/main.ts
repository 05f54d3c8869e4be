/**
 * `npm run oracle:ipvs -- [--count N] [--seed S] [--topology X]`: random virtual services, changes and flows in a real
 * kernel and in meshwire. MESHWIRE_TRUTHLAB names the folder of the real one. Prints the first difference of every case;
 * `--seed S --count 1` repeats one. Exit status 1 when there was one.
 *
 *     --batch N       cases of one boot
 *     --small         shows the smallest case of the first difference
 *     --keep FILE     writes it with what the real kernel did, to become one of cases/
 *     --record DIR    writes every case that does not differ so
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Case, KeptCase, Seen } from "./case.ts";
import { generateCase, TOPOLOGY_NAMES } from "./generate.ts";
import { differenceIn, headText, realAnswers } from "./run-case.ts";
import { shrink } from "./shrink.ts";

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "200" },
    seed: { type: "string", default: "1" },
    topology: { type: "string" },
    batch: { type: "string", default: "100" },
    small: { type: "boolean", default: false },
    keep: { type: "string" },
    record: { type: "string" },
  },
});

function framesOf(one: Case): number {
  return one.steps.filter(({ kind }) => kind !== "run" && kind !== "ask" && kind !== "wait").length;
}

/** Runs and reports cases; those that differ. */
function runBatch(seeds: readonly number[]): Case[] {
  const cases = seeds.map((seed) => generateCase(seed, values.topology));
  const start = performance.now();
  const real = realAnswers(cases);
  const took = performance.now() - start;
  const differing = cases.filter((one, i) => report(one, real[i]));
  const frames = cases.reduce((sum, one) => sum + framesOf(one), 0);
  const meshTook = performance.now() - start - took;
  console.log(
    `real: ${(took / 1000).toFixed(1)} s, ${Math.round((frames * 1000) / took)} frames/s; meshwire: ${(meshTook / 1000).toFixed(1)} s`,
  );
  return differing;
}

function report(one: Case, real: readonly Seen[] | undefined): boolean {
  if (real === undefined) throw new Error(`the real kernel did not come to seed ${one.seed}`);
  const found = differenceIn(one, real);
  if (found === null && values.record !== undefined)
    keep(join(values.record, `${one.name.replace(" ", "-")}.json`), one, real);
  if (found !== null) console.log(`\n${headText(one)}\n${found}`);
  return found !== null;
}

function showSmall(one: Case): void {
  const small = shrink(one);
  const [real] = realAnswers([small]);
  console.log(`\nthe smallest case\n${headText(small)}\n${differenceIn(small, real)}`);
  if (values.keep !== undefined) keep(values.keep, small, real);
}

function keep(file: string, one: Case, real: readonly Seen[]): void {
  writeFileSync(file, `${JSON.stringify({ case: one, real } satisfies KeptCase, null, 2)}\n`);
}

function main(): number {
  if (values.topology !== undefined && !TOPOLOGY_NAMES.includes(values.topology))
    throw new Error(`unknown topology; there is: ${TOPOLOGY_NAMES.join(", ")}`);
  const [first, count, batch] = [Number(values.seed), Number(values.count), Number(values.batch)];
  const differing: Case[] = [];
  for (let done = 0; done < count; done += batch) {
    const size = Math.min(batch, count - done);
    differing.push(...runBatch(Array.from({ length: size }, (_, i) => first + done + i)));
    console.log(`${done + size} cases from seed ${first}: ${differing.length} differ`);
  }
  if (differing.length > 0 && (values.small || values.keep !== undefined)) showSmall(differing[0]);
  return differing.length === 0 ? 0 : 1;
}

process.exitCode = main();
