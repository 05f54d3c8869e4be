/**
 * The command nft against what nft 1.0.6 on Linux 6.1 answered: how rules are listed or refused, whole tables, and what
 * rules do with packets.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { loadPage, PageRun } from "../../src/scenario/run-page.ts";

const PAGE = `---
seed: 1
segments:
  lan: { subnet: 10.249.0.0/24 }
machines:
  m: { lan: 10.249.0.1 }
---
`;

function shell() {
  const { live } = new PageRun(loadPage("x.md", PAGE), { traces: false, recordRun: false });
  return (text: string) => live.shell("m", text);
}

const read = (name: string) => readFileSync(new URL(`fixtures/nft/${name}`, import.meta.url), "utf8");
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

test("rules are listed, or refused, in the words of nft", () => {
  const run = shell();
  run("ip link add veth0 type veth peer name veth1");
  const lines = read("nft-rules.jsonl").trim().split("\n");
  const wrong: unknown[] = [];
  for (const line of lines) {
    const [base, rule, listed, error] = JSON.parse(line) as string[];
    const [family, type, hook, priority] = base.split(" ");
    const chain = `chain c { type ${type} hook ${hook} priority ${priority}; }`;
    run(
      `nft flush ruleset; nft ${quoted(`table ${family} t { counter cnt { }; chain other { }; ${chain}; }`)}`,
    );
    const { stderr } = run(`nft ${quoted(`add rule ${family} t c ${rule}`)}`);
    const got = run(`nft list chain ${family} t c`).stdout.split("\n").slice(3, -3).join("\n").trim();
    if (got !== listed || stderr.trim() !== error.trim())
      wrong.push({ base, rule, listed, error, got, stderr });
  }
  expect(wrong).toEqual([]);
  expect(lines.length).toBeGreaterThan(200);
});

test.each(["", "-a ", "-n "])("a ruleset as nft %slist ruleset shows it", (option) => {
  const run = shell();
  expect(run(`nft -f - <<'E'\n${read("nft-ruleset.nft")}E`)).toMatchObject({ stderr: "", status: 0 });
  const name = `nft-ruleset${option.trim()}.txt`;
  expect(run(`nft ${option}list ruleset`).stdout).toBe(read(name));
});

test("sets and maps, their elements and the rules that look into them, in the words of nft", () => {
  const run = shell();
  const parts = read("nft-sets.txt").slice(2).split("\n$ ");
  for (const part of parts) {
    const [command, ...answer] = part.split("\n");
    expect(`${command}\n${run(`{ ${command}; } 2>&1`).stdout.trimEnd()}`).toBe(
      `${command}\n${answer.join("\n").trimEnd()}`,
    );
  }
  expect(parts.length).toBeGreaterThan(100);
});

describe("a file is one transaction", () => {
  const run = shell();
  test.each([
    [
      "table ip q {\n chain c {\n  masquerade\n }\n chain d { type filter hook input priority 0; masquerade; }\n}\n",
      "/dev/stdin:5:47-56: Error: Could not process rule: Operation not supported\n chain d { type filter hook input priority 0; masquerade; }\n                                              ^^^^^^^^^^\n",
    ],
    [
      "table ip x {\n\tchain c {\n\t\ttcp dport 22 acept\n\t}\n}\n",
      "/dev/stdin:3:21-21: Error: syntax error, unexpected newline\n\t\ttcp dport 22 acept\n\t\t                  ^\n",
    ],
  ])("%s", (text, error) => {
    expect(run(`nft -f - <<'E'\n${text}E`)).toMatchObject({ stderr: error, status: 1 });
    expect(run("nft list tables").stdout).toBe("");
  });
});

test.each([
  "add table ip6 t",
  "'add set ip t s { type ipv6_addr; }'",
  "'add set ip t s { type ipv4_addr; flags timeout; }'",
  "-j list ruleset",
  "monitor",
])("not modelled: nft %s", (words) => {
  expect(() => shell()(`nft ${words}`)).toThrow("not modelled: nft");
});

test("jumps return, gotos do not, and a policy drops", () => {
  const run = shell();
  run(`nft -f - <<'E'
table ip t {
	counter back { }
	counter end { }
	chain a { ip daddr 127.0.0.1 return; }
	chain b { ip daddr 127.0.0.2 counter name "end"; }
	chain out { type filter hook output priority 0; policy drop;
		jump a
		counter name "back"
		ip daddr 127.0.0.2 goto b
		ip daddr { 127.0.0.1, 127.0.0.3-127.0.0.9 } accept
	}
}
E`);
  expect(run("ping -c1 -W1 127.0.0.1 > /dev/null").status).toBe(0);
  expect(run("ping -c1 -W1 127.0.0.2 > /dev/null").status).not.toBe(0);
  const counters = run("nft list counters").stdout.match(/packets \d+ bytes \d+/g);
  expect(counters).toEqual(["packets 3 bytes 252", "packets 1 bytes 84"]);
});
