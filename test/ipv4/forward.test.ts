import { describe, expect, test } from "vitest";
import { DROP } from "../../src/net/core/drop-reason.ts";
import type { NetNs } from "../../src/net/core/net-ns.ts";
import { routeAdd } from "../../src/net/ctl/route.ts";
import { ipv4Of } from "../../src/net/ipv4/ipv4-net.ts";
import {
  NEIGH_UPDATE_F_ADMIN,
  NUD_REACHABLE,
  neighCreate,
  neighUpdate,
} from "../../src/net/ipv4/neighbour.ts";
import { RawSock } from "../../src/net/ipv4/raw-sock.ts";
import { IPPROTO_ICMP, ipChecksumOk } from "../../src/wire/ipv4.ts";
import { addr, Eye, ip, onEchoReply, onIcmpError, ping, World } from "./topology.ts";

/** a (10.0.1.2) - r (10.0.1.1, 10.0.2.1) - b (10.0.2.2) */
function line(world: World, forward = true) {
  const a = world.ns("a");
  const r = world.ns("r");
  const b = world.ns("b");
  if (forward) r.sysctl.set("net.ipv4.ip_forward", "1");
  const [a0, r0] = world.join(a, "eth0", r, "eth0", 0x10);
  const [b0, r1] = world.join(b, "eth0", r, "eth1", 0x20);
  addr(a0, "10.0.1.2/24");
  addr(r0, "10.0.1.1/24");
  addr(r1, "10.0.2.1/24");
  addr(b0, "10.0.2.2/24");
  routeAdd(a, { dst: 0, dstLen: 0, gateway: ip("10.0.1.1") });
  routeAdd(b, { dst: 0, dstLen: 0, gateway: ip("10.0.2.1") });
  return { a, r, b, a0, r0, r1, b0 };
}

function replies(ns: NetNs): number[] {
  const seen: number[] = [];
  onEchoReply(ns, (skb) => {
    seen.push(skb.view.getUint16(skb.data + 6));
  });
  return seen;
}

/** ICMP errors that arrive, as "type/code info from". */
function errors(ns: NetNs): string[] {
  const seen: string[] = [];
  onIcmpError(ns, (skb, type, code, info) => {
    const src = skb.view.getInt32(skb.netOff + 12) >>> 0;
    seen.push(`${type}/${code} ${info} from ${src.toString(16)}`);
  });
  return seen;
}

describe("a packet through a router", () => {
  test("the ARP exchange is byte for byte the kernel's", () => {
    const world = new World();
    const { a, a0 } = line(world);
    const eye = new Eye(world.sim, a0);
    ping(a, ip("10.0.2.2"));
    world.run(1);
    expect(eye.arp().map((f) => f.hex)).toEqual([
      "ffffffffffff020000000010080600010800060400010200000000100a0001020000000000000a000101",
      "020000000010020000000011080600010800060400020200000000110a0001010200000000100a000102",
    ]);
    expect(world.pool.outstanding).toBe(0);
  });

  test("is forwarded with its TTL one lower and answered with a fresh one", () => {
    const world = new World();
    const { a, a0, b0 } = line(world);
    const got = replies(a);
    const atA = new Eye(world.sim, a0);
    const atB = new Eye(world.sim, b0);
    expect(ping(a, ip("10.0.2.2"), 56, 7)).toBe(true);
    world.run(1);
    expect(got).toEqual([7]);
    expect(atA.ip(1).map((f) => f[22])).toEqual([64, 63]);
    expect(atB.ip(1).map((f) => f[22])).toEqual([63, 64]);
    const [request, reply] = atB.ip(1);
    expect(reply.length).toBe(request.length);
    expect(reply[20]).toBe(0);
    expect([...reply.slice(38)]).toEqual([...request.slice(38)]);
    for (const frame of [...atA.ip(1), ...atB.ip(1)]) {
      expect(ipChecksumOk(new DataView(frame.buffer), 14)).toBe(true);
    }
    expect(world.pool.outstanding).toBe(0);
  });

  test("with a TTL that ends there is answered by time exceeded that quotes it", () => {
    const world = new World();
    const { a, a0 } = line(world);
    const bad = errors(a);
    ipv4Of(a).defaultTtl = 1;
    const eye = new Eye(world.sim, a0);
    ping(a, ip("10.0.2.2"), 12);
    world.run(1);
    expect(bad).toEqual(["11/0 0 from a000101"]);
    const [request, error] = eye.ip(1);
    expect(error.length).toBe(14 + 28 + request.length - 14);
    expect([error[15], error[22], error[20], error[34], error[35]]).toEqual([0xc0, 64, 0, 11, 0]);
    expect(Buffer.from(error.slice(42)).toString("hex")).toBe(Buffer.from(request.slice(14)).toString("hex"));
    expect(world.pool.outstanding).toBe(0);
  });

  test("without a route gets net unreachable, with forwarding off silence", () => {
    const world = new World();
    const { a } = line(world);
    const bad = errors(a);
    ping(a, ip("192.0.2.1"));
    world.run(1);
    expect(bad).toEqual(["3/0 0 from a000101"]);
    const other = new World();
    const silent = line(other, false);
    const none = errors(silent.a);
    ping(silent.a, ip("10.0.2.2"));
    other.run(1);
    expect(none).toEqual([]);
    expect(other.pool.drops[DROP.IP_NOT_FORWARDING]).toBe(1);
    expect(other.pool.outstanding + world.pool.outstanding).toBe(0);
  });

  test("to a host that does not answer ARP fails after three questions, one a second by the timer wheel", () => {
    const world = new World();
    const { a, r1 } = line(world);
    const bad = errors(a);
    const eye = new Eye(world.sim, r1);
    ping(a, ip("10.0.2.9"));
    world.run(10);
    expect(eye.arp().map((f) => Math.round(f.atMs))).toEqual([0, 1040, 2080]);
    expect(bad).toEqual(["3/1 0 from a000101"]);
    expect(world.pool.outstanding).toBe(0);
  });

  test("from a local socket to a silent neighbour comes back as host unreachable over lo", () => {
    const world = new World();
    const { a } = line(world);
    const bad = errors(a);
    ping(a, ip("10.0.1.77"));
    world.run(2.5);
    expect(bad).toEqual([]);
    world.run(1);
    expect(bad).toEqual(["3/1 0 from a000102"]);
    expect(world.pool.outstanding).toBe(0);
  });

  test("to a local address never leaves, by lo", () => {
    const world = new World();
    const { a, a0 } = line(world);
    const got = replies(a);
    const eye = new Eye(world.sim, a0);
    ping(a, ip("10.0.1.2"), 56, 3);
    ping(a, ip("127.0.0.1"), 56, 4);
    world.run(1);
    expect(got).toEqual([3, 4]);
    expect(eye.frames).toEqual([]);
    expect(a.device("lo")!.txPackets).toBe(4);
    expect(world.pool.outstanding).toBe(0);
  });

  test("with a source of our own is a martian, and so is loopback from outside", () => {
    const world = new World();
    const { a, r } = line(world);
    a.sysctl.set("net.ipv4.conf.all.route_localnet", "1");
    ping(a, ip("10.0.2.2"), 8, 1, 0);
    world.run(1);
    addr(r.device("eth1")!, "10.0.1.2/32");
    ping(a, ip("10.0.2.2"), 8, 1, 0);
    world.run(1);
    expect(world.pool.drops[DROP.IP_MARTIAN]).toBe(1);
    expect(world.pool.outstanding).toBe(0);
  });

  test("strict rp_filter drops what came by the wrong way", () => {
    const world = new World();
    const { a, r, a0 } = line(world);
    addr(a0, "10.9.9.9/32");
    ping(a, ip("10.0.2.2"), 8, 1, ip("10.9.9.9"));
    world.run(1);
    expect(world.pool.drops[DROP.IP_RPFILTER]).toBe(0);
    r.sysctl.set("net.ipv4.conf.all.rp_filter", "1");
    ping(a, ip("10.0.2.2"), 8, 1, ip("10.9.9.9"));
    world.run(1);
    expect(world.pool.drops[DROP.IP_RPFILTER]).toBe(1);
    expect(world.pool.outstanding).toBe(0);
  });
});

test("errors to one host: a burst of six, then one a second", () => {
  const world = new World();
  const { a } = line(world);
  const bad = errors(a);
  ipv4Of(a).defaultTtl = 1;
  world.run(100);
  for (let i = 0; i < 20; i++) ping(a, ip("10.0.2.2"), 8, i);
  world.run(0.5);
  expect(bad.length).toBe(6);
  for (let i = 0; i < 8; i++) {
    ping(a, ip("10.0.2.2"), 8, i);
    world.run(0.5);
  }
  expect(bad.length).toBe(10);
  expect(world.pool.outstanding).toBe(0);
});

test("a router on one link redirects, and the host follows", () => {
  const world = new World();
  const { a, r, r0 } = line(world);
  addr(r0, "10.0.1.254/24");
  routeAdd(r, { dst: ip("10.5.0.0"), dstLen: 16, gateway: ip("10.0.1.2") });
  routeAdd(r, { dst: ip("10.6.0.0"), dstLen: 16, gateway: ip("10.0.1.9") });
  const eye = new Eye(world.sim, a.device("eth0")!);
  const program = new RawSock(a, IPPROTO_ICMP);
  neighUpdate(
    neighCreate(a, a.device("eth0")!, ip("10.0.1.9"))!,
    0x0200,
    9,
    NUD_REACHABLE,
    NEIGH_UPDATE_F_ADMIN,
  );
  ping(a, ip("10.6.0.1"));
  world.run(0.5);
  const redirect = eye.ip(1).find((f) => f[34] === 5)!;
  expect(Buffer.from(redirect.slice(34, 36)).toString("hex")).toBe("0501");
  expect(Buffer.from(redirect.slice(38, 42)).toString("hex")).toBe("0a000109");
  ping(a, ip("10.6.0.1"));
  world.run(5);
  const echoes = eye.frames.filter(({ out, bytes }) => out && bytes[23] === 1 && bytes[34] === 8);
  expect(echoes.map(({ hex }) => hex.slice(0, 12))).toEqual(["020000000011", "020000000009"]);
  program.close();
  expect(world.pool.outstanding).toBe(0);
});
