/** `npm run captures`: runs the pages of `captures/` and writes the output into them, and the capture files beside them. */
import { rmSync, writeFileSync } from "node:fs";
import { updatePage } from "../../src/scenario/update-page.ts";
import { capturesOf, FOLDER, PAGES, runShipped, shippedFiles } from "./shipped.ts";

const written = new Set<string>();
for (const page of PAGES) {
  const run = runShipped(page);
  if (run.failures > 0) {
    writeFileSync(new URL(`${page}.md`, FOLDER), updatePage(run.page.source, run.results));
    console.log(`captures/${page}.md: ${run.failures} expectations rewritten`);
  }
  for (const [name, bytes] of capturesOf(page, run)) {
    writeFileSync(new URL(name, FOLDER), bytes);
    written.add(name);
    console.log(`captures/${name}: ${bytes.length} bytes`);
  }
}
for (const name of shippedFiles()) if (!written.has(name)) rmSync(new URL(name, FOLDER));
