/** Addresses, ports and pools: serial, never reused at once, and unique whatever happens in between. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { globalPools, localPools, OrdinalSet, Subnet } from "../../src/swarm/manager/allocator/ipam.ts";
import { PortAllocator } from "../../src/swarm/manager/allocator/port.ts";
import type { PortConfig } from "../../src/swarm/manager/objects.ts";
import { formatIp4, parseIp4 } from "../../src/wire/address.ts";

describe("an ordinal set", () => {
  it("goes on behind the last one and wraps at the end", () => {
    const set = new OrdinalSet(1, 4);
    expect([set.take(true), set.take(true)]).toEqual([1, 2]);
    set.release(1);
    expect([set.take(true), set.take(true), set.take(true), set.take(true)]).toEqual([3, 4, 1, -1]);
  });

  it("never gives one ordinal twice", () => {
    const step = fc.record({ serial: fc.boolean(), release: fc.boolean(), pick: fc.nat(30) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const set = new OrdinalSet(1, 20);
        const held = new Set<number>();
        for (const { serial, release, pick } of steps) {
          if (release) {
            set.release(pick);
            held.delete(pick);
            continue;
          }
          const taken = set.take(serial);
          expect(held.has(taken)).toBe(false);
          if (taken < 0) expect(held.size).toBe(20);
          else held.add(taken);
        }
      }),
    );
  });
});

describe("a subnet", () => {
  it("gives all but the network and the broadcast address", () => {
    const subnet = new Subnet(parseIp4("10.0.1.0")!, 29);
    const all = Array.from({ length: 7 }, () => subnet.take(true)).map((addr) =>
      addr === null ? null : formatIp4(addr),
    );
    expect(all).toEqual([...[1, 2, 3, 4, 5, 6].map((n) => `10.0.1.${n}`), null]);
  });
});

describe("pools", () => {
  it("of a swarm are 10.0.N.0/24 in turn, a freed one not at once again", () => {
    const pools = globalPools([], 24);
    const first = pools.take([])!;
    expect(formatIp4(first.addr)).toBe("10.0.0.0");
    expect(formatIp4(pools.take([])!.addr)).toBe("10.0.1.0");
  });

  it("of a machine begin with 172.17.0.0/16 and skip what overlaps", () => {
    const pools = localPools();
    const taken = [{ addr: parseIp4("172.17.0.0")!, prefixLen: 16 }];
    expect(formatIp4(pools.take(taken)!.addr)).toBe("172.18.0.0");
  });
});

describe("published ports", () => {
  const port = (publishedPort: number, targetPort = 80): PortConfig => ({
    protocol: "tcp",
    targetPort,
    publishedPort,
    mode: "ingress",
  });

  it("left open come from 30000 on, and stay with their service", () => {
    const ports = new PortAllocator();
    const first = ports.allocate([], [port(0)])!;
    expect(first[0].publishedPort).toBe(30000);
    expect(ports.allocate([], [port(0)])![0].publishedPort).toBe(30001);
    expect(ports.allocate(first, [port(0), port(8443)])!.map((p) => p.publishedPort)).toEqual([30000, 8443]);
  });

  it("that are taken refuse the whole list and change nothing", () => {
    const ports = new PortAllocator();
    ports.allocate([], [port(8080)]);
    expect(ports.allocate([], [port(9090), port(8080)])).toBeNull();
    expect(ports.allocate([], [port(9090)])).not.toBeNull();
  });
});
