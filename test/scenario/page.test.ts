import { describe, expect, test } from "vitest";
import { parseFrontMatter } from "../../src/scenario/front-matter.ts";
import { labSpec } from "../../src/scenario/front-matter-check.ts";
import { parsePage } from "../../src/scenario/page.ts";
import { SourceText } from "../../src/scenario/source-text.ts";
import { parseIp4 } from "../../src/wire/address.ts";

function spec(frontMatter: string) {
  const source = new SourceText("lab.md", `---\n${frontMatter}\n---\n`);
  const page = parsePage(source);
  const { data, places } = parseFrontMatter(source, page.frontMatter[0], page.frontMatter[1]);
  return labSpec(data, places, null);
}

const GOOD = `seed: 7
segments:
  lan: { subnet: 192.168.200.0/24, latency: 200us, bandwidth: 1Gbit, loss: 1%, mtu: 1500 }
  wan: { subnet: 203.0.113.0/24, gateway: 203.0.113.254 }
machines:
  client: { lan: { address: 192.168.200.1, mac: "52:54:00:c8:00:01" } }
  swarm-manager: { lan: 192.168.200.10, docker: true, sysctl: { net.ipv4.tcp_rmem: 4096 131072 4194304 } }
  router: { wan: 203.0.113.7, lan: 192.168.200.20, forward: true, gateway: none, dns: 192.168.200.1 }
images:
  whoami: { http: 80, udp-echo: 5353 }
pins:
  tasks: { web.1: { node: swarm-manager, starts: 2, addresses: { ingress: 10.0.0.6 } } }
  services: { web: { vips: { mynet: 10.0.1.2 } } }
  ports: { client: [36768, 57488] }`;

test("a front matter becomes the description of a lab", () => {
  const lab = spec(GOOD);
  expect(lab.seed).toBe(7);
  expect(lab.segments[0]).toEqual({
    name: "lan",
    network: parseIp4("192.168.200.0"),
    prefixLen: 24,
    gateway: parseIp4("192.168.200.1"),
    options: { mtu: 1500, latencyNs: 200_000, bitsPerSecond: 1e9, loss: 0.01 },
  });
  expect(lab.segments[1].gateway).toBe(parseIp4("203.0.113.254"));
  expect(lab.machines.map(({ name, docker, forward }) => [name, docker, forward])).toEqual([
    ["client", false, false],
    ["swarm-manager", true, false],
    ["router", false, true],
  ]);
  expect(lab.machines[0].nics[0].mac).toEqual({ hi: 0x5254, lo: 0x00c80001 });
  expect(lab.machines[0].ports).toEqual([{ fromNs: 0, values: [36768, 57488] }]);
  expect(lab.machines[1].sysctl).toEqual([["net.ipv4.tcp_rmem", "4096 131072 4194304"]]);
  expect(lab.machines[2].gateway).toBeNull();
  expect(lab.pins.tasks?.["web.1"]?.node).toBe("swarm-manager");
  expect(lab.pins).not.toHaveProperty("ports");
});

describe("one wrong thing gives one error at its place, with what would do", () => {
  const broken = (from: string | RegExp, to: string) => GOOD.replace(from, to);
  test.each([
    ["unknown key", broken("seed:", "sed:"), "2:1: unknown key `sed`; did you mean `seed`?"],
    [
      "unknown key of a segment",
      broken("latency", "latncy"),
      "4:36: unknown key `latncy`; did you mean `latency`?",
    ],
    [
      "unknown key of an image",
      broken("http:", "https:"),
      "11:13: unknown key `https`; did you mean `http`?",
    ],
    ["unknown key of a pin", broken("starts", "start"), "13:42: unknown key `start`; did you mean `starts`?"],
    [
      "unknown segment",
      broken("docker: true", "dokcer: true"),
      "8:41: `dokcer` is no segment and no key of a machine; did you mean `docker`?",
    ],
    [
      "bad address",
      broken("192.168.200.10,", "192.168.200.300,"),
      "8:25: bad address `192.168.200.300`: expected one such as 192.168.200.10",
    ],
    [
      "address outside",
      broken("192.168.200.10,", "192.168.201.10,"),
      "8:25: 192.168.201.10 is outside segment `lan` (192.168.200.0/24)",
    ],
    [
      "network address",
      broken("192.168.200.10,", "192.168.200.0,"),
      "8:25: 192.168.200.0 is the network address of 192.168.200.0/24",
    ],
    [
      "duplicate address",
      broken("192.168.200.10,", "192.168.200.1,"),
      "8:25: 192.168.200.1 is already that of `client`: give each card its own",
    ],
    [
      "bad subnet",
      broken("192.168.200.0/24", "192.168.200.0"),
      "4:18: bad subnet `192.168.200.0`: expected one such as 192.168.200.0/24",
    ],
    [
      "subnet with host bits",
      broken("192.168.200.0/24", "192.168.200.9/24"),
      "4:18: `192.168.200.9/24` is no network address; 192.168.200.0/24 is",
    ],
    [
      "overlap",
      broken("203.0.113.0/24, gateway: 203.0.113.254", "192.168.0.0/16"),
      "5:18: overlaps with segment `lan` (192.168.200.0/24): give each its own addresses",
    ],
    ["bad time", broken("200us", "200x"), "4:45: `latency`: expected a time such as `200us`, found `200x`"],
    ["bad share", broken("1%", "150%"), "4:76: `loss`: expected a share such as `1%`, found `150%`"],
    ["port out of range", broken("5353", "70000"), "11:33: `udp-echo`: must be at most 65535, found `70000`"],
    ["seed of the wrong kind", broken("seed: 7", "seed: x"), "2:7: `seed`: expected a number, found `x`"],
    [
      "unknown profile",
      `profile: docker-1\n${GOOD}`,
      "2:10: `profile`: expected `docker-20.10`, found `docker-1`",
    ],
    [
      "bad MAC",
      broken("52:54:00:c8:00:01", "52:54:00:c8"),
      '7:49: bad MAC address `52:54:00:c8`: expected one such as "52:54:00:c8:00:0a"',
    ],
    [
      "unknown machine in a pin",
      broken("node: swarm-manager", "node: swarm-manger"),
      "13:27: unknown machine `swarm-manger`; did you mean `swarm-manager`?",
    ],
    [
      "machines missing",
      "segments: {}",
      "2:1: `machines` is missing: the machines by name, e.g. `client: { lan: 192.168.200.1 }`",
    ],
    [
      "a flag of the wrong kind",
      broken("docker: true", "docker: 3"),
      "8:49: `docker`: expected true or false, found `3`",
    ],
    [
      "a gateway that no card reaches",
      broken("docker: true", "gateway: 1.2.3.4"),
      "8:50: 1.2.3.4 is on no segment of the machine (192.168.200.0/24)",
    ],
  ])("%s", (_name, text, message) => {
    expect(() => spec(text)).toThrow(`lab.md:${message}`);
    try {
      spec(text);
    } catch (error) {
      expect((error as Error).message).toBe(`lab.md:${message}`);
    }
  });

  test("bad YAML", () => {
    expect(() => spec("seed: [1\nsegments: {}")).toThrow(/^lab\.md:\d+:\d+: the front matter is not YAML: /);
  });
});

describe("the page", () => {
  const page = (body: string) => parsePage(new SourceText("lab.md", `---\nseed: 1\n---\n${body}`));

  test("commands with expected lines, status and place", () => {
    const { commands, files } = page(
      "# T\n```console\na$ one\nout 1\n\nout 2\n[7]\nb$ two \\\n  more\n\nlab$ wait 3s\n```\ntext\n~~~yaml compose.yml\nx: 1\n~~~\n```console\na$\n```\n",
    );
    expect(commands.map(({ machine, text, line, col }) => [machine, text, line, col])).toEqual([
      ["a", "one", 6, 4],
      ["b", "two \\\n  more", 11, 4],
      ["lab", "wait 3s", 14, 6],
      ["a", "", 21, 4],
    ]);
    expect(commands[0]).toMatchObject({ expected: ["out 1", "", "out 2"], status: 7 });
    expect(commands[1]).toMatchObject({ expected: [], status: null });
    expect(files.get("compose.yml")).toBe("x: 1\n");
  });

  test.each([
    ["no front matter", "# x\n", "1:1: no front matter"],
    ["no end", "---\nseed: 1\n", "1:1: the front matter does not end"],
    ["an open block", "---\n---\n```console\na$ x\n", "3:1: this block does not end"],
    [
      "output without command",
      "---\n---\n```console\nx\n```\n",
      "4:1: a console block begins with a command",
    ],
  ])("%s", (_name, text, message) => {
    expect(() => parsePage(new SourceText("lab.md", text))).toThrow(`lab.md:${message}`);
  });
});
