/** Whole lab pages, from the text to the last command. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadPage, PageRun } from "../src/scenario/run-page.ts";
import { perUnit, type Row } from "./measure.ts";

const PAGE = join(fileURLToPath(new URL("..", import.meta.url)), "captures", "ingress.md");

function pageRow(traces: boolean): Row {
  const source = readFileSync(PAGE, "utf8");
  const ns = perUnit(3, () => {
    const run = new PageRun(loadPage("ingress.md", source), { traces, recordRun: false });
    run.run();
    if (run.failures > 0) throw new Error(`${run.failures} commands of captures/ingress.md failed`);
    return 1;
  });
  return { group: "labs", name: `captures/ingress.md${traces ? ", with comments" : ""}`, ns, note: "a run" };
}

export function labRows(): Row[] {
  return [pageRow(false), pageRow(true)];
}
