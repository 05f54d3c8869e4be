/** Encrypted overlays: what the engines program, which keys they use, and that the wire shows nothing. */
import { createDecipheriv } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { readCapture } from "../../src/capture/read-capture.ts";
import { createLab, type LabHandle } from "../../src/index.ts";
import { Sim } from "../../src/sim/sim.ts";
import { KeyManager, SUBSYSTEM_IPSEC } from "../../src/swarm/manager/key-manager.ts";
import { OverlayEncryption } from "../../src/swarm/network/encryption.ts";
import { KeyRing } from "../../src/swarm/network/key-ring.ts";
import { Prng } from "../../src/util/prng.ts";
import { ipText } from "../ipv4/ip-command.ts";
import { addr, ip, World } from "../ipv4/topology.ts";
import { masked, readStates } from "./xfrm-text.ts";

const PAGE = join(import.meta.dirname, "../truth/S08-encrypted.md");
const HOURS = 3600 * 1e9;

describe("the real cluster's encrypted network", () => {
  let lab: LabHandle;
  beforeAll(() => {
    lab = createLab({ source: readFileSync(PAGE, "utf8"), file: PAGE });
  });

  it.each([
    "swarm-worker1",
    "swarm-worker2",
  ])("leaves the real states, policies and counters on %s", (node) => {
    const real = readFileSync(join(import.meta.dirname, `fixtures/${node}.xfrm.txt`), "utf8");
    const [, states, policies] = real.split(/^=== .*\n/m);
    expect(masked(`${lab.shell(node, "ip -s xfrm state").stdout}\n`)).toBe(masked(states));
    expect(masked(`${lab.shell(node, "ip xfrm policy").stdout}\n`)).toBe(masked(policies));
  });

  it("programs nothing on a node without a task of the network", () => {
    expect(lab.shell("swarm-manager", "ip xfrm state; ip xfrm policy").stdout).toBe("");
    expect(lab.shell("swarm-manager", "iptables-save").stdout).not.toContain("u32");
  });

  it("counts the VXLAN packets by the rules for what comes out of IPsec", () => {
    const rules = lab.shell("swarm-worker1", 'iptables-save -c | grep -E "u32|policy"').stdout;
    expect(rules.split("\n").map((line) => line.slice(0, 40))).toEqual([
      "[31:27707] -A OUTPUT -p udp -m udp --dpo",
      "[0:0] -A INPUT -p udp -m policy --dir in",
      "[31:7501] -A INPUT -p udp -m policy --di",
      "",
    ]);
  });

  it("tracks ESP as one connection without ports, and the datagrams inside each by itself", () => {
    const { stdout } = lab.shell("swarm-worker1", "conntrack -L -o extended");
    expect(stdout).toMatch(
      /^ipv4 {5}2 unknown {2}50 \d+ src=192.168.200.12 dst=192.168.200.11 src=192.168.200.11 dst=192.168.200.12 mark=0 use=1$/m,
    );
    expect(stdout).toMatch(/^ipv4 {5}2 udp {6}17 \d+ src=192.168.200.12 .* dport=4789 \[UNREPLIED\]/m);
  });

  it("sends what the platform's cipher opens with the keys that `ip xfrm state` shows", () => {
    const states = readStates(lab.shell("swarm-worker1", "ip xfrm state").stdout);
    const bytes = lab.capture("11-ping-curl-sizes").pcap("swarm-worker1__host__eth0.pcap");
    const frames = readCapture(bytes, "eth0").frames.map((frame) => Buffer.from(frame.bytes));
    const esp = frames.filter((frame) => frame.readUInt16BE(12) === 0x0800 && frame[23] === 50);
    expect(esp.length).toBe(62);
    expect(frames.some((frame) => frame.includes("Hostname"))).toBe(false);
    const inside = esp.map((frame) => {
      const body = frame.subarray(34, 14 + frame.readUInt16BE(16));
      const sa = states.find(({ spi }) => spi === body.readUInt32BE(0))!;
      const nonce = Buffer.concat([sa.key.subarray(16), body.subarray(8, 16)]);
      const cipher = createDecipheriv("aes-128-gcm", sa.key.subarray(0, 16), nonce, { authTagLength: 8 });
      cipher.setAAD(body.subarray(0, 8));
      cipher.setAuthTag(body.subarray(-8));
      return Buffer.concat([cipher.update(body.subarray(16, -8)), cipher.final()]);
    });
    // UDP to 4789, VNI 4099.
    expect(new Set(inside.map((text) => `${text.readUInt16BE(2)}/${text.readUInt32BE(12) >>> 8}`))).toEqual(
      new Set(["4789/4099"]),
    );
    expect(inside.some((text) => text.includes("Hostname"))).toBe(true);
  });

  it("refuses what comes in the clear for that network", () => {
    lab.shell("swarm-worker2", "iptables -t mangle -D OUTPUT 1");
    const task = 'nsenter -t $(docker inspect -f "{{.State.Pid}}" $(docker ps -qf name=^eb)) -n';
    const { stdout } = lab.shell("swarm-worker2", `${task} ping -c 1 -W 1 10.0.3.3`);
    expect(stdout).toContain("100% packet loss");
    expect(lab.shell("swarm-worker1", "iptables-save -c | grep DROP").stdout).toContain("[1:134] -A INPUT");
  });
});

describe("keys", () => {
  it("are three a subsystem; every 12 hours the oldest goes and a new one comes", () => {
    const sim = new Sim();
    const seen: string[][] = [];
    const times = (manager: KeyManager): string[] =>
      manager.keys.filter(({ subsystem }) => subsystem === SUBSYSTEM_IPSEC).map(({ key }) => key.join());
    const manager: KeyManager = new KeyManager(
      sim,
      new Prng(1, "keys"),
      () => void seen.push(times(manager)),
    );
    const first = times(manager);
    expect(first.length).toBe(3);
    sim.runUntil(25 * HOURS);
    expect(seen.length).toBe(2);
    expect(seen[0].slice(0, 2)).toEqual(first.slice(1));
    expect(seen[1].slice(0, 2)).toEqual(seen[0].slice(1));
    expect(new Set([...first, ...seen.flat()]).size).toBe(5);
  });

  it("rotate without a moment in which one side does not know what the other sends", () => {
    const world = new World();
    const [one, two] = ["10.0.0.1", "10.0.0.2"];
    const [a, b] = [world.ns("a"), world.ns("b")];
    const [a0, b0] = world.join(a, "eth0", b, "eth0", 0x10);
    addr(a0, `${one}/24`);
    addr(b0, `${two}/24`);
    const nodes = [
      { ns: a, driver: new OverlayEncryption(a, ip(one)), ring: new KeyRing(), self: one, peer: two },
      { ns: b, driver: new OverlayEncryption(b, ip(two)), ring: new KeyRing(), self: two, peer: one },
    ];
    const check = (): void => {
      for (const [from, to] of [nodes, [...nodes].reverse()]) {
        const sent = /spi (0x\w+)/.exec(ipText(from.ns, "xfrm policy"))![1];
        const known = readStates(ipText(to.ns, "xfrm state"));
        expect(known.some(({ spi, dst }) => spi === Number(sent) && dst === to.self)).toBe(true);
        expect(known.filter(({ dst }) => dst === to.self).length).toBe(3);
        expect(known.filter(({ dst }) => dst !== to.self).length).toBe(1);
      }
    };
    const primaries = new Set<string>();
    const manager: KeyManager = new KeyManager(world.sim, new Prng(2, "keys"), () => {
      for (const { ring, driver } of nodes) {
        ring.update(ipsec(manager), driver);
        primaries.add(ipText(a, "xfrm policy"));
        if (driver === nodes[1].driver) check();
      }
    });
    for (const { ring, driver, peer } of nodes) {
      ring.update(ipsec(manager), driver);
      driver.setup(ip(peer));
    }
    check();
    for (let day = 1; day <= 2; day++) {
      world.sim.runUntil(day * 24 * HOURS);
      check();
    }
    expect(primaries.size).toBe(4);
  });

  it("of an earlier membership are forgotten with all that was made of them", () => {
    const world = new World();
    const [a, b] = [world.ns("a"), world.ns("b")];
    addr(world.join(a, "eth0", b, "eth0", 0x10)[0], "10.0.0.1/24");
    ipText(a, "xfrm policy add dst 10.0.0.9 dir out tmpl proto esp");
    const driver = new OverlayEncryption(a, ip("10.0.0.1"));
    const manager = new KeyManager(world.sim, new Prng(3, "keys"), () => {});
    new KeyRing().update(ipsec(manager), driver);
    driver.setup(ip("10.0.0.2"));
    expect(readStates(ipText(a, "xfrm state")).length).toBe(4);
    new KeyRing().update(ipsec(manager), driver);
    expect(ipText(a, "xfrm state")).toBe("");
    expect(ipText(a, "xfrm policy")).toContain("10.0.0.9");
  });
});

function ipsec(manager: KeyManager) {
  return manager.keys.filter(({ subsystem }) => subsystem === SUBSYSTEM_IPSEC);
}
