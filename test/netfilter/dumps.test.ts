/** Dumps of real Docker hosts, sandboxes and containers: restored, they print the same again. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { makeBox, ok, restore, save } from "./lab.ts";

const DIR = new URL("./fixtures/", import.meta.url);

function sections(text: string): [string, string][] {
  return text
    .split(/^=== /m)
    .slice(1)
    .map((part) => {
      const end = part.indexOf("\n");
      return [part.slice(0, end), part.slice(end + 1).trimEnd()];
    });
}

const withoutDates = (text: string): string => text.replace(/^(# .* on) .*$/gm, "$1").trimEnd();
const lines = (text: string): string[] => text.split("\n").map((line) => line.trimEnd());

describe("dumps", () => {
  for (const file of readdirSync(DIR).filter((name) => name.endsWith(".txt")))
    test(`${file} comes out of iptables-save and -nvL as it went in`, () => {
      const { ns, pool } = makeBox();
      const parts = sections(readFileSync(new URL(file, DIR), "utf8"));
      const dump = parts.find(([name]) => name === "iptables-save -c")![1];
      // Tables are listed newest first, so the last one must come into being first.
      for (const [, table] of [...dump.matchAll(/^\*(.*)$/gm)].reverse()) ok(ns, ["-t", table, "-S"]);
      expect(restore(ns, "-c", `${dump}\n`)).toEqual({ stdout: "", stderr: "", status: 0 });
      expect(withoutDates(save(ns, "-c").stdout)).toBe(withoutDates(dump));
      for (const [name, body] of parts) {
        const listed = /^iptables -t (\w+) -nvL$/.exec(name);
        if (listed !== null) expect(lines(ok(ns, ["-t", listed[1], "-nvL"]).trimEnd())).toEqual(lines(body));
      }
      expect(pool.outstanding).toBe(0);
    });
});
