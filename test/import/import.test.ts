/** Nodes that were dumped stand again: the same state, and the same frames for the same requests as on the real ones. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createLab, type LabHandle } from "../../src/index.ts";
import { compareWindow } from "../truth/compare.ts";
import { convertDumps } from "./convert.ts";

const HERE = import.meta.dirname;
const FIXTURES = join(HERE, "fixtures/S01");
const TRUTH = join(HERE, "../truth/S01-ingress");
const MACHINES = ["swarm-manager", "swarm-worker1", "swarm-worker2"];
const DUMPS = Object.fromEntries(MACHINES.map((name) => [`${name}.dump`, convertDumps(FIXTURES, name)]));

/** `[machine, namespace, path]` of every namespace. */
const NAMESPACES = MACHINES.flatMap((machine) =>
  readFileSync(join(FIXTURES, `${machine}.nsmap.txt`), "utf8")
    .trim()
    .split("\n")
    .map((row) => [machine, row.split("\t")[0]] as const)
    .filter(([, name]) => readdirSync(FIXTURES).includes(`${machine}.${name}.txt`)),
);

function windowFiles(lab: LabHandle, name: string): Map<string, Uint8Array> {
  const capture = lab.capture(name);
  return new Map(capture.files.map((file) => [file, capture.pcap(file)]));
}

function block(machine: string, netns: string, command: string): string {
  const text = readFileSync(join(FIXTURES, `${machine}.${netns}.txt`), "utf8");
  const parts = text.split(/^=== (.*)\n/m);
  return parts[parts.indexOf(command) + 1].trim();
}

describe("the nodes of a real cluster, imported", () => {
  const file = join(HERE, "S01-imported.md");
  const lab = createLab({ source: readFileSync(file, "utf8"), file, files: DUMPS });

  it("answer every request as the real ones did", () => {
    const wrong = lab.results.filter(({ ok }) => ok === false);
    expect(wrong.map(({ command, diff }) => [command.text, diff])).toEqual([]);
  });

  it.each(
    lab.captures.filter((name) => readdirSync(TRUTH).includes(name)),
  )("send the same frames in %s", (name) => {
    expect(compareWindow(join(TRUTH, name), windowFiles(lab, name))).toEqual([]);
  });
});

describe("the state of an imported node is that of its dump", () => {
  const source = readFileSync(join(HERE, "S01-imported.md"), "utf8");
  const lab = createLab({ source, files: DUMPS, run: false });
  lab.wait(5e9);
  const ask = (machine: string, netns: string, command: string) =>
    lab.shell(machine, command, { netns }).stdout.trim();
  const json = (text: string) => JSON.parse(text) as Record<string, unknown>[];
  const rules = (text: string) =>
    text
      .split("\n")
      .filter((line) => !line.startsWith("#"))
      .map((line) => line.replace(/\[\d+:\d+\]/, "[]"));

  it.each(NAMESPACES)("%s %s", (machine, netns) => {
    expect(rules(ask(machine, netns, "iptables-save -c"))).toEqual(
      rules(block(machine, netns, "iptables-save -c")),
    );
    expect(ask(machine, netns, "ipvsadm -Sn")).toBe(block(machine, netns, "ipvsadm -Sn"));
    const routes = "ip -j route show table all";
    expect(json(ask(machine, netns, routes))).toEqual(
      json(block(machine, netns, routes)).filter(({ dst }) => !String(dst).includes(":")),
    );
    const neighbours = (text: string) => json(text).filter(({ state }) => String(state) === "PERMANENT");
    const byAddress = (list: Record<string, unknown>[]) => list.map((one) => JSON.stringify(one)).sort();
    expect(byAddress(neighbours(ask(machine, netns, "ip -j neigh")))).toEqual(
      byAddress(neighbours(block(machine, netns, "ip -j neigh"))),
    );
    const fdb = (text: string) => byAddress(json(text).filter(({ mac }) => !/^33:33/.test(String(mac))));
    expect(fdb(ask(machine, netns, "bridge -j fdb"))).toEqual(fdb(block(machine, netns, "bridge -j fdb")));
    expect(links(ask(machine, netns, "ip -j -d addr"))).toEqual(
      links(block(machine, netns, "ip -j -d addr")),
    );
  });
});

/** Devices as the dump has them, without timers, IPv6 and what a driver says of itself. */
function links(text: string): unknown {
  const walk = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(walk);
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value).filter(
      ([key]) => !/timer|^parent|gso|tso|gro|max_mtu|promiscuity/.test(key),
    );
    return Object.fromEntries(
      entries.map(([key, inner]) => [
        key,
        key === "addr_info"
          ? (inner as { family: string }[]).filter(({ family }) => family === "inet").map(walk)
          : walk(inner),
      ]),
    );
  };
  return walk(JSON.parse(text));
}
