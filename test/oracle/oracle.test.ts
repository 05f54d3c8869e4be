/**
 * meshwire against the kernel of this machine: the cases that once differed, and some seconds of random ones. Needs root
 * and network namespaces; says so where it cannot run.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import type { Case } from "./case.ts";
import { generateCase, TOPOLOGY_NAMES } from "./generate/generate.ts";
import { namespaceStore, whyNotReal } from "./real-side.ts";
import { runCase } from "./run-case.ts";
import { TooSlowError } from "./side.ts";

const CASES = join(import.meta.dirname, "cases");
const RANDOM_CASES = 3;
const FIRST_SEED = 9000;

const why = whyNotReal();
if (why !== null) console.warn(`THE KERNEL IS NOT ASKED: no comparison with real namespaces here, as ${why}`);

/** The difference as text; "" when both sides agree, or when the machine is too busy for a fair comparison. */
function differenceText(one: Case): string {
  try {
    const { difference } = runCase(one);
    return difference === null ? "" : `${difference.where}\n${difference.text}`;
  } catch (error) {
    if (!(error instanceof TooSlowError)) throw error;
    console.warn(`${one.name} not compared: ${error.message}`);
    return "";
  }
}

describe.skipIf(why !== null)("the real kernel and meshwire agree", () => {
  beforeEach(() => namespaceStore.refill());
  afterAll(() => namespaceStore.bury());

  it.each(readdirSync(CASES).sort())("where they once did not: %s", (file) => {
    const one = JSON.parse(readFileSync(join(CASES, file), "utf8")) as Case;
    expect(differenceText(one)).toBe("");
  });

  it.each(TOPOLOGY_NAMES)("on random frames and rules: %s", (topology) => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + RANDOM_CASES; seed++)
      expect(differenceText(generateCase(seed, topology))).toBe("");
  });
});
