/** The pages of `captures/` still give every byte of output and capture that ships with them (`npm run captures`). */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { capturesOf, FOLDER, PAGES, runShipped, shippedFiles } from "./shipped.ts";

const MAX_BYTES = 150_000;
const COLUMNS = 130;

test("every capture belongs to a page", () => {
  expect(shippedFiles().filter((name) => !PAGES.some((page) => name.startsWith(`${page}-`)))).toEqual([]);
});

describe.each(PAGES)("captures/%s.md", (page) => {
  const run = runShipped(page);
  const captures = capturesOf(page, run);

  test("every command has its output, and it is the one that comes", () => {
    const unlike = run.results
      .filter(({ ok }) => ok === false)
      .map(({ command, diff }) => [command.line, command.text, diff]);
    expect(unlike).toEqual([]);
    const silent = run.results
      .filter(({ ok, lines }) => ok === null && lines.length > 0)
      .map(({ command }) => [command.line, command.text]);
    expect(silent).toEqual([]);
  });

  test("its captures come out as they are shipped, to the byte", () => {
    expect([...captures.keys()].sort()).toEqual(shippedFiles().filter((name) => name.startsWith(`${page}-`)));
    for (const [name, bytes] of captures) {
      expect(Buffer.compare(readFileSync(new URL(name, FOLDER)), bytes), name).toBe(0);
      expect(bytes.length, name).toBeLessThan(MAX_BYTES);
    }
  });

  test("the prose is readable: no long lines outside the blocks", () => {
    const prose = run.page.source.text.replace(/^---\n[\s\S]*?\n---\n/, "").replace(/^```[\s\S]*?^```/gm, "");
    expect(prose.split("\n").filter((line) => line.length > COLUMNS)).toEqual([]);
  });

  test("afterwards no packet buffer is lost", () => {
    const { lab } = run.live;
    lab.wait(300e9);
    expect(lab.pool.outstanding).toBe(0);
  });
});
