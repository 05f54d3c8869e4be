/**
 * Command lines of conntrack(8) against what the real one (1.4.7 of Debian 12) said: every command with every option on an
 * empty table (`fixtures/empty-table.jsonl`), and a row of commands that makes connections by hand, looks at them
 * and deletes them (`fixtures/by-hand.jsonl`).
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { CONNTRACK_VERSION } from "../../src/tools/conntrack-values.ts";
import { type Lab, makeLab } from "./packets.ts";
import { run } from "./typed.ts";

interface Said {
  readonly argv: string;
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

const HELP = "Try `conntrack -h' or 'conntrack --help' for more information.\n";

function fixture(name: string): Said[] {
  const text = readFileSync(join(import.meta.dirname, "fixtures", name), "utf8");
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Said);
}

/** The lines in an order that no hash decides, without how long something lasts and who holds it at the moment. */
function lines(text: string): string[] {
  return text
    .split("\n")
    .filter((line) => !line.startsWith("cpu=1"))
    .map((line) => line.replace(/^((ipv4 +2 )?\w+ +\d+) \d+ /, "$1 T ").replace(/ use=\d+$/, " use=N"))
    .sort();
}

function compare(lab: Lab, { argv, status, out, err }: Said): void {
  const result = run(lab, `conntrack ${argv}`);
  const stderr = err.replaceAll("%V", `${CONNTRACK_VERSION}: `).replaceAll("%T", HELP);
  expect({ argv, status: result.status, stdout: lines(result.stdout), stderr: result.stderr }).toEqual({
    argv,
    status,
    stdout: lines(out),
    stderr,
  });
}

describe("conntrack says what the real one says", () => {
  it.each(fixture("empty-table.jsonl"))("about nothing: $argv", (said) => compare(makeLab(), said));

  it("about connections made by hand", () => {
    const lab = makeLab();
    for (const said of fixture("by-hand.jsonl")) compare(lab, said);
  });
});
