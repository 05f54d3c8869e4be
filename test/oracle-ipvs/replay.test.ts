/**
 * meshwire against what a real kernel did: cases that once differed, and some of each topology, kept with the frames and
 * the text of Linux 6.1 (cases/, written by `npm run oracle:ipvs -- --keep FILE` and `--record`).
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { KeptCase } from "./case.ts";
import { differenceIn } from "./run-case.ts";

const CASES = join(import.meta.dirname, "cases");

it.each(readdirSync(CASES).sort())("what the real kernel did: %s", (file) => {
  const kept = JSON.parse(readFileSync(join(CASES, file), "utf8")) as KeptCase;
  expect(differenceIn(kept.case, kept.real)).toBeNull();
});
