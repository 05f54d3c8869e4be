import { describe, expect, test } from "vitest";
import { DROP } from "../../src/net/core/drop-reason.ts";
import { neighbourReplace } from "../../src/net/ctl/neighbour.ts";
import {
  NUD_DELAY,
  NUD_FAILED,
  NUD_INCOMPLETE,
  NUD_PERMANENT,
  NUD_PROBE,
  NUD_REACHABLE,
  NUD_STALE,
  neighConfirm,
  neighLookup,
} from "../../src/net/ipv4/neighbour.ts";
import { ipRouteOutput } from "../../src/net/ipv4/route.ts";
import { ipIn, ipText } from "./ip-command.ts";
import { addr, Eye, ip, ping, World } from "./topology.ts";

function link(seed = 1) {
  const world = new World(seed);
  const a = world.ns("a");
  const b = world.ns("b");
  const [a0, b0] = world.join(a, "eth0", b, "eth0", 0x10);
  addr(a0, "10.0.0.1/24");
  addr(b0, "10.0.0.2/24");
  const entry = () => neighLookup(a, a0, ip("10.0.0.2"));
  const mirror = () => neighLookup(b, b0, ip("10.0.0.1"));
  return { world, a, b, a0, b0, entry, mirror };
}

describe("the life of a neighbour", () => {
  test("INCOMPLETE until the answer, then REACHABLE; the one who was asked learns the asker as STALE", () => {
    const { world, a, entry, mirror } = link();
    ping(a, ip("10.0.0.2"), 8);
    expect(entry()!.nudState).toBe(NUD_REACHABLE);
    expect(mirror()!.nudState).toBe(NUD_DELAY);
    world.run(1);
    expect(world.pool.outstanding).toBe(0);
  });

  test("who only learnt the other probes it by unicast five seconds after first use", () => {
    const { world, a, b0, mirror } = link();
    const eye = new Eye(world.sim, b0);
    ping(a, ip("10.0.0.2"), 8);
    world.run(4.9);
    expect(mirror()!.nudState).toBe(NUD_DELAY);
    world.run(0.2);
    const probe = eye.arp().filter((f) => f.out)[1];
    // Timers of some seconds run out at multiples of 80 ms.
    expect(probe.atMs).toBe(5040);
    expect(probe.hex).toBe(
      "020000000010020000000011080600010800060400010200000000110a0000020000000000000a000001",
    );
    expect(mirror()!.nudState).toBe(NUD_REACHABLE);
    expect(world.pool.outstanding).toBe(0);
  });

  test("REACHABLE lasts 15 to 45 s, then STALE; use makes DELAY, PROBE, and REACHABLE again", () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const { world, a, entry } = link(seed);
      ping(a, ip("10.0.0.2"), 8);
      let seconds = 0;
      while (entry()!.nudState === NUD_REACHABLE && seconds < 60) {
        world.run(0.5);
        seconds += 0.5;
      }
      expect(seconds).toBeGreaterThanOrEqual(15);
      expect(seconds).toBeLessThanOrEqual(45.5);
      expect(entry()!.nudState).toBe(NUD_STALE);
      ping(a, ip("10.0.0.2"), 8);
      expect(entry()!.nudState).toBe(NUD_DELAY);
      world.run(5.1);
      expect(entry()!.nudState).toBe(NUD_REACHABLE);
      expect(world.pool.outstanding).toBe(0);
    }
  });

  test("a transport's confirmation in DELAY saves the probe", () => {
    const { world, a, a0, entry, mirror } = link();
    ping(a, ip("10.0.0.2"), 8);
    world.run(50);
    expect(mirror()!.nudState).toBe(NUD_STALE);
    const eye = new Eye(world.sim, a0);
    ping(a, ip("10.0.0.2"), 8);
    world.run(2);
    neighConfirm(ipRouteOutput(a, ip("10.0.0.2"), 0, 0, 0)!, ip("10.0.0.2"));
    world.run(4);
    expect(entry()!.nudState).toBe(NUD_REACHABLE);
    expect(eye.arp().filter((f) => f.out && f.hex.slice(40, 44) === "0001")).toEqual([]);
    expect(world.pool.outstanding).toBe(0);
  });

  test("a neighbour that went away: three unicast probes, FAILED, then broadcast again", () => {
    const { world, a, b, b0, a0, entry } = link();
    ping(a, ip("10.0.0.2"), 8);
    world.run(50);
    ipText(b, "addr del 10.0.0.2/24 dev eth0");
    const eye = new Eye(world.sim, a0);
    ping(a, ip("10.0.0.2"), 8);
    world.run(5.5);
    expect(entry()!.nudState).toBe(NUD_PROBE);
    world.run(3);
    expect(entry()!.nudState).toBe(NUD_FAILED);
    expect(eye.arp().map((f) => [f.hex.slice(0, 12), Math.round(f.atMs - 50000)])).toEqual([
      ["020000000011", 5040],
      ["020000000011", 6080],
      ["020000000011", 7120],
    ]);
    ping(a, ip("10.0.0.2"), 8);
    expect(entry()!.nudState).toBe(NUD_INCOMPLETE);
    world.run(4);
    expect(eye.arp().at(-1)!.hex.slice(0, 12)).toBe("ffffffffffff");
    expect(b0.isUp).toBe(true);
    expect(world.pool.outstanding).toBe(0);
  });

  test("keeps 101 packets while it waits", () => {
    const { world, a } = link();
    for (let i = 0; i < 150; i++) ping(a, ip("10.0.0.9"), 8, i);
    expect(world.pool.outstanding).toBe(101);
    expect(world.pool.drops[DROP.NEIGH_QUEUEFULL]).toBe(49);
    world.run(5);
    expect(world.pool.outstanding).toBe(0);
  });

  test("permanent ones are not changed by ARP, and ip neigh shows all", () => {
    const { world, a, b, a0, b0 } = link();
    neighbourReplace(a0, ip("10.0.0.7"), 0x0242, 0x0a000007);
    ping(a, ip("10.0.0.2"), 8);
    addr(b0, "10.0.0.7/24");
    ping(b, ip("10.0.0.1"), 8, 1, ip("10.0.0.7"));
    world.run(1);
    expect(neighLookup(a, a0, ip("10.0.0.7"))!.nudState).toBe(NUD_PERMANENT);
    const lines = ipText(a, "neigh").split("\n").sort();
    expect(lines).toEqual([
      "",
      "10.0.0.2 dev eth0 lladdr 02:00:00:00:00:11 REACHABLE ",
      "10.0.0.7 dev eth0 lladdr 02:42:0a:00:00:07 PERMANENT ",
    ]);
    ipText(a, "neigh add 10.0.0.8 dev eth0 nud failed");
    ipText(a, "neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev eth0 nud stale router");
    expect(ipText(a, "-s neigh show 10.0.0.8")).toBe("10.0.0.8 dev eth0  used 0/60/0probes 0 FAILED \n");
    expect(ipText(a, "-j -s neigh show 10.0.0.9")).toBe(
      '[{"dst":"10.0.0.9","dev":"eth0","lladdr":"02:00:00:00:00:09","router":null,"used":0,"confirmed":60,"updated":0,"probes":0,"state":["STALE"]}]\n',
    );
    expect(ipText(a, "neigh show 10.0.0.9 dev eth0")).toBe(
      "10.0.0.9 lladdr 02:00:00:00:00:09 router STALE \n",
    );
    expect(ipIn(a, "neigh del 10.0.0.77 dev eth0").stderr).toBe(
      "RTNETLINK answers: No such file or directory\n",
    );
    expect(ipIn(a, "neigh add 1.2.3.4").stderr).toBe("Device and destination are required arguments.\n");
    ipText(a, "neigh del 10.0.0.7 dev eth0");
    expect(neighLookup(a, a0, ip("10.0.0.7"))).toBeNull();
    expect(world.pool.outstanding).toBe(0);
  });

  test("go when their device goes down", () => {
    const { world, a, a0, entry } = link();
    ping(a, ip("10.0.0.2"), 8);
    ping(a, ip("10.0.0.5"), 8);
    a.setDown(a0);
    expect(entry()).toBeNull();
    expect(world.pool.outstanding).toBe(0);
  });
});

describe("ARP answers", () => {
  test("for an address of another device unless arp_ignore forbids", () => {
    const { world, a, b } = link();
    const [far] = world.join(b, "eth1", world.ns("c"), "eth0", 0x20);
    addr(far, "10.0.0.99/32");
    ping(a, ip("10.0.0.99"), 8);
    expect(ipText(a, "neigh show 10.0.0.99")).toContain("REACHABLE");
    b.sysctl.set("net.ipv4.conf.all.arp_ignore", "1");
    ipText(a, "neigh del 10.0.0.99 dev eth0");
    ping(a, ip("10.0.0.99"), 8);
    expect(ipText(a, "neigh show 10.0.0.99")).toBe("10.0.0.99 dev eth0 INCOMPLETE \n");
    world.run(5);
    expect(world.pool.outstanding).toBe(0);
  });

  test("a proxy answers for hosts behind it", () => {
    const { world, a, b, b0 } = link();
    const c = world.ns("c");
    const [b1, c0] = world.join(b, "eth1", c, "eth0", 0x20);
    addr(b1, "10.0.0.129/25");
    addr(c0, "10.0.0.130/25");
    b.sysctl.set("net.ipv4.ip_forward", "1");
    b.sysctl.set("net.ipv4.conf.eth0.proxy_arp", "1");
    expect(b0.isUp).toBe(true);
    ping(a, ip("10.0.0.130"), 8);
    world.run(1);
    expect(ipText(a, "neigh show 10.0.0.130")).toBe(
      "10.0.0.130 dev eth0 lladdr 02:00:00:00:00:11 REACHABLE \n",
    );
    world.run(5);
    expect(world.pool.outstanding).toBe(0);
  });

  test("an unknown sender's reply teaches nothing", () => {
    const { world, b, a0 } = link();
    ping(b, ip("10.0.0.1"), 8);
    ipText(b, "neigh flush dev eth0");
    expect(neighLookup(a0.ns, a0, ip("10.0.0.2"))).not.toBeNull();
    expect(ipText(b, "neigh")).toBe("");
    world.run(1);
    expect(world.pool.outstanding).toBe(0);
  });
});
