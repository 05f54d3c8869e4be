/**
 * Compares the captures of a window with real ones, file by file. Host ends of veth pairs have random names: such files
 * are paired by content within their machine and namespace.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Conversation, conversations } from "./normalise.ts";

/** The lines of a file: conversations grouped by key, those of one key in the order of their start. */
function fileLines(list: readonly Conversation[]): string[] {
  const byKey = new Map<string, string[]>();
  for (const { key, lines } of list) byKey.set(key, [...(byKey.get(key) ?? []), `# ${key}`, ...lines]);
  return [...byKey.keys()].sort().flatMap((key) => byKey.get(key)!);
}

const RANDOM = /__host__veth[0-9a-f]{5,}\.pcap$/;

function readWindow(dir: string): Map<string, string[]> {
  const files = readdirSync(dir).filter((name) => name.endsWith(".pcap"));
  return new Map(files.map((name) => [name, fileLines(conversations(readFileSync(join(dir, name)), name))]));
}

/** Machines that nobody listened to, by the file `not-captured.txt` of the window. */
function notCaptured(dir: string): Set<string> {
  const file = join(dir, "not-captured.txt");
  return new Set(existsSync(file) ? readFileSync(file, "utf8").trim().split(/\s+/) : []);
}

/** Differences of two windows as text, one entry a file; empty when they are equal. */
export function compareWindow(truthDir: string, ours: ReadonlyMap<string, Uint8Array>): string[] {
  const truth = readWindow(truthDir);
  const mine = new Map([...ours].map(([name, bytes]) => [name, fileLines(conversations(bytes, name))]));
  const out: string[] = [];
  for (const [name, lines] of truth) {
    // A silent interface with a random name must not take the partner of one that was heard.
    if (lines.length === 0 && RANDOM.test(name)) continue;
    const partner = RANDOM.test(name) ? partnerOf(name, lines, mine) : name;
    const got = mine.get(partner) ?? [];
    mine.delete(partner);
    const difference = firstDifference(lines, got);
    if (difference !== null) out.push(`${name}: ${difference}`);
  }
  const silent = notCaptured(truthDir);
  for (const [name, lines] of mine)
    if (lines.length > 0 && !silent.has(name.split("__")[0]))
      out.push(`${name}: not in the real capture\n  ${lines[0]}`);
  return out;
}

/** The random interface of the same machine with the same lines, else any that is left. */
function partnerOf(name: string, lines: string[], mine: Map<string, string[]>): string {
  const machine = name.split("__")[0];
  const candidates = [...mine.keys()].filter(
    (other) => other.startsWith(`${machine}__`) && RANDOM.test(other),
  );
  const text = lines.join("\n");
  return candidates.find((other) => mine.get(other)!.join("\n") === text) ?? candidates[0] ?? name;
}

function firstDifference(expected: readonly string[], actual: readonly string[]): string | null {
  for (let i = 0; i < Math.max(expected.length, actual.length); i++) {
    if (expected[i] === actual[i]) continue;
    return `line ${i + 1} of ${expected.length}\n  real ${expected[i] ?? "(end)"}\n  ours ${actual[i] ?? "(end)"}`;
  }
  return null;
}
