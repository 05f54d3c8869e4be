/** Runs cases in a real kernel, and in meshwire, and says where they differ. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Answer, Case, Seen, Step } from "./case.ts";
import { difference } from "./compare.ts";
import { MeshSide } from "./mesh-side.ts";

/** Seconds that a case may take in the real kernel. */
const CASE_SEC = 20;

/** The real kernel is the bare one of a truthlab (`lab kernel`), whose folder the environment names. */
export function realAnswers(cases: readonly Case[]): Seen[][] {
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
    const lines = readFileSync(join(folder, "results.json"), "utf8").trim().split("\n");
    return lines.map((line) => JSON.parse(line) as Seen[]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export function stepText(step: Step): string {
  switch (step.kind) {
    case "run":
    case "ask":
      return `# ${step.run}`;
    case "wait":
      return `${step.seconds} s pass`;
    case "tick":
      return "the estimator runs";
    case "send":
      return `${step.flow} ${step.note}`;
    case "local":
      return `${step.flow} udp :${step.sport} > ${step.dst}:${step.dport} of this machine`;
    case "reply":
      return `${step.flow} ${step.at} answers ${step.note} ${JSON.stringify({ size: step.size, cut: step.cut, ttl: step.ttl })}`;
    case "icmp":
      return `${step.flow} ${step.at} ICMP ${step.type} ${step.code}${step.damaged === true ? " damaged" : ""} quotes ${step.quote}`;
  }
}

/** Where a frame went, in few words. */
function answerText(answer: Answer): string {
  if (answer === null || "out" in answer) return "";
  return answer.map(([card, hex]) => ` -> eth${card} (${hex.length / 2})`).join("");
}

/** The first difference of a case as text, null when there is none. */
export function differenceIn(one: Case, real: readonly Seen[]): string | null {
  const mesh = new MeshSide(one);
  const lines: string[] = [];
  for (const [i, step] of one.steps.entries()) {
    const { ms, answer } = real[i];
    const got = mesh.step(step, ms);
    lines.push(`${i}. ${stepText(step)}${answerText(answer)}`);
    const found = difference(answer, got);
    if (found !== null) return [...lines, found].join("\n");
  }
  const left = mesh.close();
  return left === 0 ? null : `${left} buffers are not freed`;
}

/** A case as text: what stands before its steps. */
export function headText(one: Case): string {
  const settings = one.sysctl
    .filter(([name]) => name.includes(".vs."))
    .map(([name, value]) => `${name.slice(12)}=${value}`);
  return [`seed ${one.seed}, ${one.name}: ${settings.join(" ")}`, one.restore, ...one.services].join("\n");
}
