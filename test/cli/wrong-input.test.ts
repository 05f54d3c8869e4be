/** Wrong input of every kind: one line that says where, what, and what would do; exit status 2; never a stack trace. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { loadPage, PageRun } from "../../src/scenario/run-page.ts";
import { ScenarioError } from "../../src/util/errors.ts";

const FRONT = `seed: 1
segments:
  lan: { subnet: 192.168.200.0/24 }
machines:
  a: { lan: 192.168.200.1 }
  m: { lan: 192.168.200.10, docker: true }
`;

/** The message that a page with this front matter and these commands ends with. */
function complaint(front: string, commands = "a$ true"): string {
  const source = `---\n${front}---\n# T\n\`\`\`console\n${commands}\n\`\`\`\n`;
  try {
    new PageRun(loadPage("x.md", source), { traces: false, recordRun: false }).run();
  } catch (error) {
    if (error instanceof ScenarioError) return error.message;
    throw error;
  }
  return "";
}

describe("front matter", () => {
  const with_ = (from: string, to: string) => FRONT.replace(from, to);
  test.each<[string, string, string]>([
    [
      "an unknown key",
      `${FRONT}mashines: {}\n`,
      "x.md:8:1: unknown key `mashines`; did you mean `machines`?",
    ],
    [
      "an unknown key of a segment",
      with_("/24 }", "/24, latancy: 1ms }"),
      "x.md:4:36: unknown key `latancy`; did you mean `latency`?",
    ],
    [
      "a number that is none",
      with_("seed: 1", "seed: one"),
      "x.md:2:7: `seed`: expected a number, found `one`",
    ],
    [
      "a bad address",
      with_("200.1 }", "200.300 }"),
      "x.md:6:13: bad address `192.168.200.300`: expected one such as 192.168.200.10",
    ],
    [
      "an address outside",
      with_("200.1 }", "201.1 }"),
      "x.md:6:13: 192.168.201.1 is outside segment `lan` (192.168.200.0/24)",
    ],
    [
      "an address twice",
      with_("200.1 }", "200.10 }"),
      "x.md:7:13: 192.168.200.10 is already that of `a`: give each card its own",
    ],
    [
      "overlapping subnets",
      with_("machines:", "  two: { subnet: 192.168.200.128/25 }\nmachines:"),
      "x.md:5:18: overlaps with segment `lan` (192.168.200.0/24): give each its own addresses",
    ],
    [
      "host bits in a subnet",
      with_("200.0/24", "200.5/24"),
      "x.md:4:18: `192.168.200.5/24` is no network address; 192.168.200.0/24 is",
    ],
    [
      "a port out of range",
      `${FRONT}images:\n  whoami: { http: 99999 }\n`,
      "x.md:9:19: `http`: must be at most 65535, found `99999`",
    ],
    [
      "a pin on an unknown node",
      `${FRONT}pins: { tasks: { web.1: { node: nosuch } } }\n`,
      "x.md:8:33: unknown machine `nosuch`; there is: a, m",
    ],
    [
      "a YAML alias",
      with_("/24 }", "/24, bandwidth: *fast }"),
      "x.md:4:47: `*fast` is a YAML alias: write the value out, or put it in quotes",
    ],
    [
      "a cable that carries nothing",
      with_("/24 }", "/24, bandwidth: 0bit }"),
      "x.md:4:47: `bandwidth`: expected a rate such as `1Gbit`, found `0bit`",
    ],
    [
      "a map as a key",
      `${FRONT}pins: { { tasks: {} } }\n`,
      "x.md:8:9: a list or map as a key: expected a word",
    ],
    [
      "bad YAML",
      "seed: [1\nmachines: {\n",
      "x.md:3:1: the front matter is not YAML: Flow sequence in block collection must be sufficiently indented and end with a ]",
    ],
  ])("%s", (_, front, message) => {
    expect(complaint(front)).toBe(message);
  });
});

describe("commands", () => {
  const AGAIN = " (if that is what it should say, write its output below the command)";
  test.each<[string, string]>([
    ["z$ true", "x.md:11:1: unknown machine `z`; there is: a, m, lab"],
    ["a$ grpe x", "x.md:11:4: unknown command `grpe`; did you mean `grep`?"],
    ["a$ echo 'x", "x.md:11:9: bash: unexpected EOF while looking for matching `''"],
    ["lab$ wiat 3s", "x.md:11:6: unknown command of the lab `wiat`; did you mean `wait`?"],
    ["lab$ capture stop", "x.md:11:6: no capture runs"],
    [
      "m$ iptables -A INPUT -m nosuch -j DROP",
      "x.md:11:4: Couldn't load match `nosuch':No such file or directory",
    ],
    [
      "m$ iptables -A INPUT -p tcp --dport 99999 -j DROP",
      "x.md:11:4: invalid port/service `99999' specified",
    ],
    [
      "m$ iptables -A INPUT -m string --algo bm --string x",
      "x.md:11:4: meshwire: not modelled: iptables -m string",
    ],
    ["m$ docker service create --nmae x whoami", "x.md:11:4: unknown flag: --nmae"],
    [
      "m$ docker service create -p 99999:80 whoami",
      'x.md:11:4: invalid argument "99999:80" for "-p, --publish" flag: Invalid hostPort: 99999',
    ],
    [
      "m$ docker service create --replicas two whoami",
      'x.md:11:4: invalid argument "two" for "--replicas" flag: strconv.ParseUint: parsing "two": invalid syntax',
    ],
    [
      "m$ docker service create --update-delay 5 whoami",
      'x.md:11:4: invalid argument "5" for "--update-delay" flag: time: missing unit in duration "5"',
    ],
    ["m$ docker serivce ls", "x.md:11:4: docker: 'serivce' is not a docker command."],
    ["a$ ip adr", 'x.md:11:4: Object "adr" is unknown, try "ip help".'],
    [
      "a$ ip addr add 10.0.0.999/24 dev eth0",
      'x.md:11:4: Error: any valid prefix is expected rather than "10.0.0.999/24".',
    ],
    ["a$ curl --nosuch x", "x.md:11:4: curl: option --nosuch: is unknown"],
    [
      "a$ sleep infinity",
      "x.md:11:4: the command does not end: put `timeout 10` before it, or `&` behind it",
    ],
  ])("%s", (command, message) => {
    const text = complaint(FRONT, command);
    expect(text.endsWith(AGAIN) ? text.slice(0, -AGAIN.length) : text).toBe(message);
  });

  test("wrong words are no error where the page expects what comes of them, or the command line copes with them", () => {
    expect(complaint(FRONT, "a$ ip adr\nanything\n...")).toBe("");
    expect(complaint(FRONT, "a$ ip adr\n[1]")).toBe("");
    expect(complaint(FRONT, "a$ ip adr || true")).toBe("");
    expect(complaint(FRONT, "a$ if ip adr; then echo x; fi")).toBe("");
  });

  test("a request that is refused is no wrong input: it is what happens", () => {
    expect(complaint(FRONT, "a$ ip route add 10.0.0.0/8 via 1.1.1.1")).toBe("");
    expect(complaint(FRONT, "m$ docker service ls")).toBe("");
    expect(complaint(FRONT, "a$ curl -sS 192.168.200.10")).toBe("");
  });
});

describe("the command line", () => {
  const bin = fileURLToPath(new URL("../../src/cli/bin.js", import.meta.url));
  const cwd = mkdtempSync(join(tmpdir(), "meshwire-wrong-"));
  afterAll(() => rmSync(cwd, { recursive: true }));
  writeFileSync(join(cwd, "ok.md"), `---\n${FRONT}---\n# T\n\`\`\`console\na$ true\n\`\`\`\n`);
  const header = [0xa1b23c4d, 0x00040002, 0, 0, 262144, 1].flatMap((n) => [
    n & 255,
    (n >> 8) & 255,
    (n >> 16) & 255,
    n >>> 24,
  ]);
  writeFileSync(join(cwd, "cut.pcap"), Uint8Array.from([...header, 1, 2, 3]));
  writeFileSync(join(cwd, "empty.pcap"), "");

  test.each<[string, string]>([
    ["run", "meshwire: missing required argument 'lab' (see meshwire run --help)"],
    ["run nosuch.md", "meshwire: nosuch.md: No such file or directory"],
    ["run .", "meshwire: .: Is a directory"],
    ["run ok.md --nosuch", "meshwire: unknown option '--nosuch' (see meshwire run --help)"],
    ["run ok.md --json nosuch/x.json", "meshwire: nosuch/x.json: No such file or directory"],
    ["rnu ok.md", "meshwire: unknown command 'rnu' (Did you mean run?) (see meshwire --help)"],
    [
      "trace ok.md true",
      "meshwire: required option '--from <machine[/netns]>' not specified (see meshwire trace --help)",
    ],
    ["trace ok.md --from z true", "meshwire: unknown machine z; there is: a, m"],
    ["trace ok.md --from a/box true", "meshwire: a has no namespace box; it has: host"],
    ["pcap nosuch.pcap", "meshwire: nosuch.pcap: No such file or directory"],
    ["pcap cut.pcap", "cut.pcap: byte 24: truncated: the file ends inside the header of frame 1"],
    ["pcap empty.pcap", "empty.pcap: byte 0: the file is empty"],
  ])("meshwire %s", (line, message) => {
    const { status, stderr } = spawnSync(process.execPath, [bin, ...line.split(" ")], {
      cwd,
      encoding: "utf8",
    });
    expect(stderr).toBe(`${message}\n`);
    expect(status).toBe(2);
  });
});
