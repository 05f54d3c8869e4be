/** Words in and out: what iptables 1.8.9 (legacy) answered to each command line, recorded from the real program. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parseRuleWords } from "../../src/net/netfilter/words/parse-rule.ts";
import { saveRule } from "../../src/net/netfilter/words/save.ts";
import { iptables, makeBox, ok, save } from "./lab.ts";

interface Vector {
  readonly args: readonly string[];
  readonly rc: number;
  readonly stdout?: string;
  readonly stderr?: string;
  /** Lines of iptables-save that begin with -A. */
  readonly save?: readonly string[];
  /** Rules of `-nvL` and `-L` of the table. */
  readonly nvl?: readonly string[];
  readonly list?: readonly string[];
}

const VECTORS = JSON.parse(
  readFileSync(new URL("./fixtures/vectors.json", import.meta.url), "utf8"),
) as Vector[];

function ruleLines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "" && !/^(Chain |target | pkts)/.test(line));
}

describe("iptables answers like the real program", () => {
  test.each(VECTORS.map((vector) => [vector.args.join(" "), vector] as const))("%s", (_, vector) => {
    const { ns, pool } = makeBox();
    ok(ns, "-N UC");
    const { stdout, stderr, status } = iptables(ns, vector.args);
    expect({ stdout, stderr, status }).toEqual({
      stdout: vector.stdout ?? "",
      stderr: vector.stderr ?? "",
      status: vector.rc,
    });
    const saved = save(ns).stdout.split("\n");
    expect(saved.filter((line) => line.startsWith("-A"))).toEqual(vector.save ?? []);
    const at = vector.args.indexOf("-t");
    const table = at < 0 ? "filter" : vector.args[at + 1];
    if (table !== "foo") {
      expect(ruleLines(ok(ns, ["-t", table, "-nvL"]))).toEqual(vector.nvl ?? []);
      expect(ruleLines(ok(ns, ["-t", table, "-L"]))).toEqual(vector.list ?? []);
    }
    expect(pool.outstanding).toBe(0);
  });
});

test("what iptables-save writes reads back as the same rule", () => {
  for (const { save: lines = [] } of VECTORS)
    for (const line of lines) {
      const words = line.split(" ").slice(2);
      if (line.includes('"')) continue;
      expect(saveRule(parseRuleWords(words))).toBe(words.join(" "));
    }
});
