/**
 * Users' firewalls on a swarm node: every packet that leaves the node, every rule's counters and the table of connections
 * as the real kernel had them (`firewalls/record.ts`).
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { firstDifference } from "../oracle/compare.ts";
import { MeshSide } from "../oracle/mesh-side.ts";
import { FIREWALLS } from "./firewalls/cases.ts";
import { fromGolden, type Golden, observe } from "./firewalls/observe.ts";

test.each(
  FIREWALLS.map((fire) => [fire.one.name, fire] as const),
)("%s: packets and counters of the real kernel", (name, fire) => {
  const file = new URL(`./firewalls/golden/${name}.json`, import.meta.url);
  const golden = fromGolden(JSON.parse(readFileSync(file, "utf8")) as Golden);
  expect(golden.frames.flat().length).toBeGreaterThan(5);
  const side = new MeshSide(fire.one, 1);
  const difference = firstDifference(fire.one, golden, observe(fire, side));
  side.close();
  expect(difference === null ? "" : `${difference.where}\n${difference.text}`).toBe("");
});
