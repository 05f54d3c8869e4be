/**
 * Hundreds of scripts from a seed (`words-oracle/`), with what iptables 1.8.9 (legacy), iptables-save and iptables-restore
 * answered to each command. `words-oracle/main.ts` asks the real programs about more.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { Script } from "./words-oracle/scripts.ts";
import { type Answer, firstDifference, runMesh } from "./words-oracle/sides.ts";

const LINES = readFileSync(new URL("./fixtures/scripts.jsonl", import.meta.url), "utf8")
  .trim()
  .split("\n");

test(`${LINES.length} scripts: the words of the real programs`, () => {
  const differences = LINES.map((line) => {
    const { script, answers } = JSON.parse(line) as { script: Script; answers: Answer[] };
    const mesh = runMesh(script);
    return mesh === null ? `not modelled: ${line}` : firstDifference(script, answers, mesh);
  });
  expect(LINES.length).toBeGreaterThan(200);
  expect(differences.filter((difference) => difference !== null)).toEqual([]);
});
