/** Pins: one wrong thing gives one error at its place; lists may begin at a moment; pins that are of no use are told of. */
import { describe, expect, test } from "vitest";
import { parseFrontMatter } from "../../src/scenario/front-matter.ts";
import { labSpec } from "../../src/scenario/front-matter-check.ts";
import { parsePage } from "../../src/scenario/page.ts";
import { loadPage, PageRun } from "../../src/scenario/run-page.ts";
import { SourceText } from "../../src/scenario/source-text.ts";
import { ScenarioError } from "../../src/util/errors.ts";
import { Pinned } from "../../src/util/pinned.ts";

const HEAD = `seed: 1
segments: { lan: { subnet: 192.168.200.0/24 } }
machines:
  client: { lan: 192.168.200.1 }
  n1: { lan: 192.168.200.10, docker: true }
images: { whoami: { http: 80 } }
`;

function specOf(pins: string) {
  const source = new SourceText("p.md", `---\n${HEAD}pins:\n${pins}\n---\n`);
  const page = parsePage(source);
  const { data, places } = parseFrontMatter(source, page.frontMatter[0], page.frontMatter[1]);
  return labSpec(data, places, null);
}

/** The error of a page with these pins after these commands on `n1`; "" when there is none. */
function complaint(pins: string, ...commands: string[]): string {
  const body = commands.map((command) => `n1$ ${command}\n`).join("");
  const text = `---\n${HEAD}pins:\n${pins}\n---\n# P\n\`\`\`console\n${body}lab$ wait 5s\n\`\`\`\n`;
  try {
    const run = new PageRun(loadPage("p.md", text), { traces: false, recordRun: false });
    run.run();
    run.checkPins();
  } catch (error) {
    if (error instanceof ScenarioError) return error.message;
    throw error;
  }
  return "";
}

test("lists are taken from the start, or each from its moment", () => {
  const { pins } = specOf(
    "  queryIds: { client: { 90s: [3], 2m: [0x10] } }\n  clock: { n1: [12.5] }\n  nodes: { client: { uptime: -1.5s }, n1: { uptime: 90, gossip: 20ms } }",
  );
  expect(pins.queryIds).toEqual({
    client: [
      { fromNs: 90e9, values: [3] },
      { fromNs: 120e9, values: [16] },
    ],
  });
  expect(pins.clock).toEqual({ n1: [{ fromNs: 0, values: [12.5e9] }] });
  expect(pins.nodes).toEqual({ client: { uptimeNs: -1.5e9 }, n1: { uptimeNs: 90e9, gossipNs: 20e6 } });
});

test("a later part of a list ends the one before", () => {
  const list = new Pinned([
    { fromNs: 0, values: ["a", "b", "c"] },
    { fromNs: 10, values: ["x"] },
  ]);
  expect([list.take(0), list.peek(5), list.take(9), list.take(10), list.take(10)]).toEqual([
    "a",
    "b",
    "b",
    "x",
    undefined,
  ]);
});

describe("one wrong thing gives one error at its place", () => {
  test.each([
    ["unknown key", "  task: {}", "p.md:9:3: unknown key `task`; did you mean `tasks`?"],
    [
      "unknown key of a node",
      "  nodes: { n1: { upttime: 3s } }",
      "p.md:9:18: unknown key `upttime`; did you mean `uptime`?",
    ],
    [
      "a name that is no task",
      "  tasks: { web1: { starts: 1 } }",
      "p.md:9:12: `web1` is no task: expected one such as `web.1`, or `web.1/2` for the second of its slot",
    ],
    ["unknown machine", "  queryIds: { n2: [1] }", "p.md:9:15: unknown machine `n2`; did you mean `n1`?"],
    ["no engine", "  questions: { client: [A] }", "p.md:9:16: `client` runs no Docker engine"],
    [
      "a task on a machine without engine",
      "  tasks: { web.1: { node: client } }",
      "p.md:9:27: `client` runs no Docker engine",
    ],
    ["a type that is none", "  replies: { n1: [A, AAA] }", "p.md:9:22: `AAA`: expected `A` or `AAAA`"],
    ["a port that is none", "  ports: { n1: [0] }", "p.md:9:17: `0`: expected a port, 1 to 65535"],
    [
      "no list",
      "  ports: { n1: 40000 }",
      "p.md:9:16: `n1`: expected a list, or lists by time: { 90s: [...] }",
    ],
    [
      "a moment that is none",
      "  ports: { n1: { soon: [1] } }",
      "p.md:9:18: `soon`: expected a time such as `90s`",
    ],
    ["no list at a moment", "  ports: { n1: { 9s: 1 } }", "p.md:9:22: `9s`: expected a list"],
    [
      "a bad time",
      "  nodes: { n1: { uptime: long } }",
      "p.md:9:26: `long`: expected a time such as `90s`, or `-90s` for a later start",
    ],
    [
      "a bad address",
      "  answers: { web: [10.0.0.300] }",
      "p.md:9:20: `10.0.0.300`: expected an address such as 10.0.0.5",
    ],
    [
      "an address for two networks",
      "  services: { web: { vips: { a: 10.0.0.5, b: 10.0.0.5 } } }",
      "p.md:9:46: 10.0.0.5 is that of `a` already",
    ],
  ])("%s", (_, pins, message) => {
    expect(complaint(pins)).toBe(message);
  });
});

describe("a pin that is of no use is told of after the run", () => {
  const init = "docker swarm init --advertise-addr 192.168.200.10";
  const web = "docker service create -d --name web --replicas 1 -p 8080:80 whoami";

  test("what never came to be", () => {
    expect(complaint("  tasks: { web.1: { starts: 1 }, web.1/2: { starts: 1 } }", init, web)).toBe(
      "p.md:9:34: no task `web.1/2` came to be: the pin is of no use",
    );
    expect(complaint("  services: { wbe: { vips: { ingress: 10.0.0.5 } } }", init, web)).toBe(
      "p.md:9:15: no service `wbe` came to be: the pin is of no use",
    );
    expect(complaint("  networks: { mynet: { vni: 5000 } }", init)).toBe(
      "p.md:9:15: no network `mynet` came to be: the pin is of no use",
    );
  });

  test("what could not be kept", () => {
    expect(complaint("  services: { web: { vips: { ingress: 10.0.0.1 } } }", init, web)).toBe(
      "p.md:9:39: 10.0.0.1 is taken",
    );
    expect(complaint("  tasks: { web.1: { addresses: { ingress: 10.9.0.1 } } }", init, web)).toBe(
      "p.md:9:43: 10.9.0.1 is outside network `ingress`",
    );
    expect(
      complaint("  networks: { one: { subnet: 10.0.0.0/16 } }", init, "docker network create -d overlay one"),
    ).toBe("p.md:9:30: another network has addresses of it");
  });

  test("what was kept is not", () => {
    const pins =
      "  tasks: { web.1: { node: n1, addresses: { ingress: 10.0.0.9 } } }\n  services: { web: { vips: { ingress: 10.0.0.5 } } }";
    expect(complaint(pins, init, web)).toBe("");
  });
});

test("a list of ports that nobody takes from is of no use", () => {
  expect(complaint("  ports: { client: [40000] }")).toBe(
    "p.md:9:12: `client` opened no port of its own: the pin is of no use",
  );
  expect(complaint("  ports: { n1: [40000] }", "curl -s -m 1 192.168.200.1")).toBe("");
});
