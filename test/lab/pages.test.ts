/** The lab pages of the project run as they stand, twice with the same bytes. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { requestLine, tcpRequests } from "../../src/scenario/requests.ts";
import { loadPage, PageRun } from "../../src/scenario/run-page.ts";

function run(path: string): PageRun {
  const text = readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
  const page = new PageRun(loadPage(path, text), { traces: true, recordRun: false });
  page.run();
  return page;
}

const differences = (page: PageRun) =>
  page.results
    .filter(({ ok }) => ok === false)
    .map(({ command, diff }) => [command.line, command.text, diff]);

describe("captures/ingress.md", () => {
  const page = run("captures/ingress.md");

  test("everything is as the page says", () => {
    expect(differences(page)).toEqual([]);
  });

  test("each node sends its two connections to two tasks, and only routers lower the TTL", () => {
    for (const { name, recorder } of page.live.windows) {
      const lines = tcpRequests(recorder).map((request) => requestLine(request, page.live.lab.spec));
      expect(lines, name).toHaveLength(2);
      const tasks = lines.map((line) => /-> (web\.\d) on/.exec(line)?.[1]).sort();
      expect(tasks).toEqual(["web.1", "web.2"]);
      for (const line of lines) expect(line).toMatch(/2 hops, \d+ interfaces, TTL 64 -> 62, back 64 -> 62$/);
    }
  });

  test("a second run has the same bytes", () => {
    const again = run("captures/ingress.md");
    for (const window of page.live.windows)
      expect(again.live.window(window.name).pcapng()).toEqual(window.pcapng());
    expect(again.results.map(({ result }) => result)).toEqual(page.results.map(({ result }) => result));
  });

  test("no packet buffer is lost", () => {
    const { lab } = page.live;
    lab.wait(120e9);
    expect(lab.pool.outstanding).toBe(0);
  });
});

test.each(["test/truth/S01-ingress.md", "test/truth/S02-udp.md"])("%s is as on real machines", (path) => {
  expect(differences(run(path))).toEqual([]);
});
