/** The command line from outside: what it prints, and its exit statuses. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";

const BIN = fileURLToPath(new URL("../../src/cli/bin.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "meshwire-cli-"));
afterAll(() => rmSync(folder, { recursive: true }));

function meshwire(args: readonly string[], input = "") {
  const env = { ...process.env, NO_COLOR: "1" };
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...args], {
    cwd: folder,
    encoding: "utf8",
    input,
    env,
  });
  return { status, stdout, stderr };
}

function page(
  name: string,
  body: string,
  machines = "  a: { lan: 192.168.200.1 }\n  b: { lan: 192.168.200.10 }",
): string {
  writeFileSync(
    join(folder, name),
    `---\nseed: 4\nsegments:\n  lan: { subnet: 192.168.200.0/24 }\nmachines:\n${machines}\n---\n# T\n\`\`\`console\n${body}\`\`\`\n`,
  );
  return name;
}

describe("run", () => {
  test("0 when all is as expected, with the transcript", () => {
    const { status, stdout, stderr } = meshwire([
      "run",
      page("good.md", "a$ echo hello | tr a-z A-Z\nHELLO\na$ false\n[1]\n"),
    ]);
    expect(stdout).toBe(
      "a$ echo hello | tr a-z A-Z\nHELLO\na$ false\n[1]\n\ngood.md: 2 commands, 2 checked, all as expected (seed 4, 0.000 s)\n",
    );
    expect(stderr).toBe("");
    expect(status).toBe(0);
  });

  test("1 with a diff when something is not, and only that with --quiet", () => {
    const name = page("bad.md", "a$ echo one; echo two\none\nthree\na$ echo ok\nok\n");
    const { status, stdout } = meshwire(["run", name, "--quiet"]);
    expect(stdout).toBe("bad.md:11:1: not as expected: a$ echo one; echo two\n  one\n- three\n+ two\n");
    expect(status).toBe(1);
  });

  test("--update writes what came into the page, and then it holds", () => {
    const name = page("old.md", "a$ date +%s; echo 2\n<now>\n1\n\na$ false\n[9]\na$ echo x\n");
    expect(meshwire(["run", name, "--update", "--quiet"]).status).toBe(0);
    const text = readFileSync(join(folder, name), "utf8");
    expect(text).toContain("a$ date +%s; echo 2\n<now>\n2\n\na$ false\n[1]\na$ echo x\n```\n");
    expect(meshwire(["run", name]).status).toBe(0);
  });

  test("2 with one line for bad input", () => {
    const cases: [string, string][] = [
      [page("m.md", "c$ true\n"), "m.md:11:1: unknown machine `c`; there is: a, b, lab\n"],
      [page("s.md", "a$ echo 'x\n"), "s.md:11:9: bash: unexpected EOF while looking for matching `''\n"],
      [page("c.md", "a$ true && grpe x\n"), "c.md:11:12: unknown command `grpe`; did you mean `grep`?\n"],
      [
        page("l.md", "lab$ wiat 3s\n"),
        "l.md:11:6: unknown command of the lab `wiat`; did you mean `wait`?\n",
      ],
      [page("n.md", "a$ tc qdisc\n"), "n.md:11:4: meshwire: not modelled: the command tc\n"],
      [
        page("e.md", "a$ true\n", "  a: { lna: 192.168.200.1 }"),
        "e.md:6:8: `lna` is no segment and no key of a machine; did you mean `lan`?\n",
      ],
      [
        page("y.md", "a$ true\n", "  a: { lan: 192.168.200.1, sysctl: { net.ipv4.ip_forwrad: 1 } }"),
        "y.md:6:38: no kernel parameter `net.ipv4.ip_forwrad`\n",
      ],
      ["nosuch.md", "meshwire: nosuch.md: No such file or directory\n"],
    ];
    for (const [name, message] of cases) {
      const { status, stderr } = meshwire(["run", name]);
      expect(stderr).toBe(message);
      expect(status).toBe(2);
    }
  });

  test("--captures into a folder that cannot be made ends in one line", () => {
    const name = page("nowhere.md", "a$ ping -c 1 192.168.200.10\n");
    const found = meshwire(["run", name, "--captures", "/proc/nowhere", "--quiet"]);
    expect(found).toMatchObject({
      status: 2,
      stderr: "meshwire: /proc/nowhere/run: No such file or directory\n",
    });
  });

  test("--captures and --json write what happened; the same seed gives the same bytes", () => {
    const name = page("cap.md", "lab$ capture start w\na$ ping -c 1 192.168.200.10\nlab$ capture stop\n");
    const runs = ["one", "two"].map((out) => {
      expect(meshwire(["run", name, "--captures", out, "--json", `${out}.json`, "--quiet"]).status).toBe(0);
      const files = readdirSync(join(folder, out, "w")).sort();
      expect(files).toEqual(["a__host__eth0.pcap", "all.pcapng", "b__host__eth0.pcap"]);
      return [
        ...files.map((file) => readFileSync(join(folder, out, "w", file), "hex")),
        readFileSync(join(folder, `${out}.json`), "utf8"),
      ];
    });
    expect(runs[0]).toEqual(runs[1]);
    const document = JSON.parse(runs[0].at(-1)!);
    expect(document).toMatchObject({ lab: "cap.md", seed: 4, ok: true });
    expect(document.commands[1]).toMatchObject({
      machine: "a",
      command: "ping -c 1 192.168.200.10",
      status: 0,
      ok: null,
    });
    expect(document.captures[0]).toMatchObject({
      name: "w",
      files: ["a__host__eth0.pcap", "b__host__eth0.pcap"],
    });
  });

  test("without windows the whole run is one", () => {
    meshwire(["run", page("all.md", "a$ ping -c 1 192.168.200.10\n"), "--captures", "whole"]);
    expect(readdirSync(join(folder, "whole"))).toEqual(["run"]);
  });
});

describe("the other commands", () => {
  test("pcap prints what a capture holds", () => {
    meshwire(["run", page("p.md", "a$ ping -c 1 192.168.200.10\n"), "--captures", "p"]);
    const { status, stdout } = meshwire(["pcap", "p/run/a__host__eth0.pcap"]);
    expect(stdout).toMatch(
      /52:54:00:c8:00:01 > ff:ff:ff:ff:ff:ff, ethertype ARP .* Request who-has 192\.168\.200\.10 tell 192\.168\.200\.1/,
    );
    expect(stdout).toContain("ICMP echo reply");
    expect(status).toBe(0);
  });

  test("pcap of a damaged file is bad input", () => {
    writeFileSync(join(folder, "x.pcap"), "not a capture");
    expect(meshwire(["pcap", "x.pcap"]).status).toBe(2);
  });

  test("trace prints every hop", () => {
    const { status, stdout } = meshwire([
      "trace",
      page("t.md", "a$ true\n"),
      "--from",
      "a",
      "ping -c 1 192.168.200.10",
    ]);
    expect(stdout).toMatch(/out a\/host\/eth0 .*ICMP echo request/);
    expect(stdout).toMatch(/in {2}b\/host\/eth0 .*ICMP echo request/);
    expect(status).toBe(0);
  });

  test("a piped shell runs line by line and changes machines", () => {
    const { status, stdout, stderr } = meshwire(
      ["shell", page("h.md", "a$ X=1\n")],
      "hostname; echo $X\n@b\nhostname\n@a hostname\n@c\n@lab wait 5s\ndate +%T\n",
    );
    expect(stdout).toBe("a\n1\nb\na\n04:00:05\n");
    expect(stderr).toBe("unknown machine c; there is: a, b, lab\n");
    expect(status).toBe(0);
  });

  test("help, version and wrong words", () => {
    expect(meshwire(["--help"])).toMatchObject({ status: 0 });
    expect(meshwire(["run", "--help"]).stdout).toContain("--captures");
    expect(meshwire(["--version"]).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(meshwire(["rnu"]).status).toBe(2);
    expect(meshwire(["run"]).status).toBe(2);
    expect(meshwire(["run", "x.md", "--seed", "y"]).status).toBe(2);
  });
});
