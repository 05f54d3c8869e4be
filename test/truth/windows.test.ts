/** The lab pages of this folder repeat real scenarios: every capture of every window must equal the real one. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createLab, type LabHandle } from "../../src/index.ts";
import { compareWindow } from "./compare.ts";

const HERE = import.meta.dirname;

function windowFiles(lab: LabHandle, name: string): Map<string, Uint8Array> {
  if (!lab.captures.includes(name)) return new Map();
  const capture = lab.capture(name);
  return new Map(capture.files.map((file) => [file, capture.pcap(file)]));
}

const scenarios = readdirSync(HERE).filter((name) => existsSync(join(HERE, `${name}.md`)));

describe.each(scenarios)("%s equals the real cluster", (scenario) => {
  const file = join(HERE, `${scenario}.md`);
  const lab = createLab({ source: readFileSync(file, "utf8"), file });
  const windows = readdirSync(join(HERE, scenario)).filter((name) => name !== "dump");

  it("answers every command as the page says", () => {
    const failed = lab.results.filter((result) => result.ok === false);
    expect(failed.map((result) => result.command)).toEqual([]);
  });

  it.each(windows)("%s", (window) => {
    expect(compareWindow(join(HERE, scenario, window), windowFiles(lab, window))).toEqual([]);
  });
});
