/** One seed makes one history, in any process; another seed moves only what chance decides. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { runShipped } from "./shipped.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "meshwire-seed-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Transcript, results and every capture file of a run in a process of its own. */
function outputs(name: string, seed: number): Map<string, string> {
  const out = join(folder, name);
  const args = ["src/cli/bin.js", "run", "captures/ingress.md", "--seed", String(seed), "--captures", out];
  const options = { cwd: ROOT, encoding: "utf8" as const, maxBuffer: 1 << 26 };
  const stdout = execFileSync(process.execPath, [...args, "--json", `${out}.json`], options);
  const files = readdirSync(out, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map([
    ["transcript", stdout.replaceAll(out, "OUT")],
    ["results", readFileSync(`${out}.json`, "utf8").replaceAll(out, "OUT")],
    ...files.map((entry): [string, string] => {
      const path = join(entry.parentPath, entry.name);
      return [path.slice(out.length), readFileSync(path, "latin1")];
    }),
  ]);
}

test("two processes with one seed write the same bytes everywhere", () => {
  const [one, two] = [outputs("one", 9), outputs("two", 9)];
  expect([...two.keys()]).toEqual([...one.keys()]);
  for (const [name, bytes] of one) expect(two.get(name) === bytes, name).toBe(true);
});

/** What chance may decide, replaced by a letter: ids, tokens, ephemeral ports, names of veths. */
function withoutChance(text: string): string {
  return text
    .replace(/SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}/g, "TOKEN")
    .replace(/\b[0-9a-z]{25}\b/g, "ID")
    .replace(/\b(?=[0-9a-z]*\d)[0-9a-z]{12}\b/g, "ID")
    .replace(/^[0-9a-z]{12}(?= {2,})/gm, "ID")
    .replace(/\b[0-9a-f]{64}\b/g, "ID")
    .replace(/\bveth[0-9a-f]{7}\b/g, "veth")
    .replace(/(192\.168\.200\.1:|RemoteAddr: 10\.0\.0\.4:|sport=|dport=)(?!8080\b)\d{5}\b/g, "$1PORT")
    .replace(/\b10\.0\.0\.[67]\b/g, "TASK")
    .replace(/[A-Z][a-z]+ \d+ seconds? ago/g, "AGO");
}

describe("two seeds", () => {
  const [one, two] = [runShipped("ingress", 1), runShipped("ingress", 2)];

  test("differ in ids and ports", () => {
    const texts = [one, two].map((run) => run.results.map(({ result }) => result.text).join("\n"));
    expect(texts[0]).not.toBe(texts[1]);
  });

  test("agree in everything else that commands print", () => {
    const texts = [one, two].map((run) =>
      run.results.map(({ command, result }) => [command.line, withoutChance(result.text)]),
    );
    expect(texts[1]).toEqual(texts[0]);
  });

  test("agree in how many IPv4 packets of the client each interface of the first capture saw", () => {
    const counts = [one, two].map((run) => {
      const { recorder } = run.live.windows[0];
      const seen = new Map<string, number>();
      for (let i = 0; i < recorder.frameCount; i++) {
        const { machine, netns, name } = recorder.interfaces[recorder.frameInterface(i)];
        if (machine !== "client") continue;
        const bytes = recorder.frameBytes(i);
        if (bytes[12] !== 8 || bytes[13] !== 0) continue;
        const key = `${machine}/${netns}/${name}`;
        seen.set(key, (seen.get(key) ?? 0) + 1);
      }
      return seen;
    });
    expect(counts[1]).toEqual(counts[0]);
  });
});
