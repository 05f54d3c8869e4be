/**
 * `npm run oracle:ipvs -- [--count N] [--seed S]`: random virtual services, changes and flows in a real kernel and
 * in meshwire. The real kernel is the bare one of a truthlab (`lab kernel`), whose folder the environment names:
 * MESHWIRE_TRUTHLAB. Prints the first difference of every case. Exit status 1 when there was one.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Case, generateCase, type Step } from "./case.ts";
import { difference } from "./compare.ts";
import { type Answer, MeshSide } from "./mesh-side.ts";

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "50" },
    seed: { type: "string", default: "1" },
  },
});

/** Cases of one boot of the real kernel. */
const BATCH = 20;
/** Seconds that a case may take in the real kernel. */
const CASE_SEC = 10;

function realAnswers(cases: readonly Case[]): Answer[][] {
  const truthlab = process.env.MESHWIRE_TRUTHLAB;
  if (truthlab === undefined || !existsSync(join(truthlab, "lab")))
    throw new Error(
      "the IPVS oracle needs a real kernel: set MESHWIRE_TRUTHLAB to the folder of a truthlab on which `lab build --light` has run",
    );
  const folder = mkdtempSync(join(tmpdir(), "oracle-ipvs-"));
  try {
    writeFileSync(join(folder, "cases.json"), JSON.stringify(cases));
    const script = join(import.meta.dirname, "real-side.py");
    const limit = String(30 + CASE_SEC * cases.length);
    execFileSync(join(truthlab, "lab"), ["kernel", "-f", script, "-o", folder, "-t", limit], {
      stdio: "inherit",
    });
    return JSON.parse(readFileSync(join(folder, "results.json"), "utf8")) as Answer[][];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function stepText(step: Step): string {
  if (step.kind === "run" || step.kind === "ask") return `# ${step.run}`;
  if (step.kind === "wait") return `${step.seconds} s pass`;
  if (step.kind === "send") return `${step.flow} ${step.note}`;
  return step.kind === "reply"
    ? `${step.flow} ${step.at} answers ${step.note}`
    : `${step.flow} ${step.at} ICMP ${step.type} ${step.code}`;
}

/** Where a frame went, in few words. */
function answerText(answer: Answer): string {
  if (answer === null || "out" in answer) return "";
  return answer.map(([card, hex]) => ` -> eth${card} (${hex.length / 2})`).join("");
}

/** The first difference of a case as text, null when there is none. */
function check(one: Case, real: readonly Answer[]): string | null {
  const mesh = new MeshSide(one);
  const lines: string[] = [];
  for (const [i, step] of one.steps.entries()) {
    const answer = mesh.step(step);
    lines.push(`${i}. ${stepText(step)}${answerText(real[i])}`);
    const found = difference(real[i], answer);
    if (found !== null) return [...lines, found].join("\n");
  }
  const left = mesh.close();
  return left === 0 ? null : `${left} buffers are not freed`;
}

/** Runs and reports cases; the answer is how many differ. */
function runBatch(seeds: readonly number[]): number {
  const cases = seeds.map(generateCase);
  const real = realAnswers(cases);
  let differing = 0;
  cases.forEach((one, i) => {
    const found = check(one, real[i]);
    if (found === null) return;
    differing++;
    const settings = one.sysctl
      .filter(([name]) => name.includes(".vs."))
      .map(([name, value]) => `${name}=${value}`);
    const nat = one.restore.includes("*nat") ? " SNAT" : "";
    console.log(`\nseed ${one.seed}: ${settings.join(" ")}${nat}\n${found}`);
  });
  return differing;
}

function main(): number {
  const [first, count] = [Number(values.seed), Number(values.count)];
  let differing = 0;
  for (let done = 0; done < count; done += BATCH) {
    const size = Math.min(BATCH, count - done);
    differing += runBatch(Array.from({ length: size }, (_, i) => first + done + i));
    console.log(`${done + size} cases from seed ${first}: ${differing} differ`);
  }
  return differing === 0 ? 0 : 1;
}

process.exitCode = main();
