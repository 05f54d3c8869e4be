/** The captures that ship with the pages of `captures/`: one file a window, `PAGE-WINDOW.pcapng`. */
import { readdirSync, readFileSync } from "node:fs";
import { loadPage, PageRun } from "../../src/scenario/run-page.ts";

export const FOLDER = new URL("../../captures/", import.meta.url);

/** Names of the pages, without `.md`. */
export const PAGES = readdirSync(FOLDER)
  .filter((name) => name.endsWith(".md"))
  .map((name) => name.slice(0, -3))
  .sort();

/** Names of the capture files that are there. */
export function shippedFiles(): string[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith(".pcapng"))
    .sort();
}

export function runShipped(page: string, seed: number | null = null): PageRun {
  const file = `captures/${page}.md`;
  const text = readFileSync(new URL(`${page}.md`, FOLDER), "utf8");
  const run = new PageRun(loadPage(file, text, seed), { traces: true, recordRun: false });
  run.run();
  return run;
}

/** File names and bytes of a run's windows. */
export function capturesOf(page: string, run: PageRun): Map<string, Uint8Array> {
  return new Map(run.live.windows.map((window) => [`${page}-${window.name}.pcapng`, window.pcapng()]));
}
