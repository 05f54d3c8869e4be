import fc from "fast-check";
import { expect, test } from "vitest";
import { routeAdd, routeDel, routeDump } from "../../src/net/ctl/route.ts";
import { FLOWI_FLAG_ANYSRC, ipRouteOutput, ipRouteOutputKey } from "../../src/net/ipv4/route.ts";
import { prefixToMask } from "../../src/wire/address.ts";
import { addr, ip, World } from "./topology.ts";

interface Plain {
  readonly dst: number;
  readonly len: number;
  readonly metric: number;
}

/** Routes below 20.0.0.0/8, so that many nest. */
const plain = fc.record({
  bits: fc.integer({ min: 0, max: 0xffffff }),
  len: fc.constantFrom(0, 8, 10, 12, 16, 20, 24, 30, 32),
  metric: fc.integer({ min: 0, max: 3 }),
});

function best(routes: Plain[], daddr: number): Plain | undefined {
  return routes
    .filter((r) => ((daddr ^ r.dst) & prefixToMask(r.len)) === 0)
    .sort((a, b) => b.len - a.len || a.metric - b.metric)[0];
}

test("the longest prefix wins, then the lowest metric, whatever was added and deleted", () => {
  fc.assert(
    fc.property(
      fc.array(plain, { maxLength: 40 }),
      fc.array(fc.integer({ min: 0, max: 0xffffff }), { minLength: 1, maxLength: 30 }),
      fc.array(fc.nat(), { maxLength: 10 }),
      (raw, probes, deletions) => {
        const world = new World();
        const ns = world.ns("a");
        const [dev] = world.join(ns, "eth0", world.ns("b"), "eth0", 0x10);
        addr(dev, "10.0.0.1/8");
        const routes: Plain[] = [];
        for (const { bits, len, metric } of raw) {
          const dst = (0x14000000 | bits) & prefixToMask(len);
          if (routes.some((r) => r.dst === dst && r.len === len && r.metric === metric)) continue;
          routes.push({ dst, len, metric });
          const gateway = ip("10.1.0.0") + routes.length;
          routeAdd(ns, { dst, dstLen: len, metric, gateway });
        }
        const gateways = new Map(routes.map((r, i) => [r, ip("10.1.0.0") + i + 1]));
        const live = [...routes];
        for (const n of deletions) {
          if (live.length === 0) break;
          const [gone] = live.splice(n % live.length, 1);
          routeDel(ns, { dst: gone.dst, dstLen: gone.len, metric: gone.metric });
          for (const bits of probes) {
            const daddr = 0x14000000 | bits;
            const want = best(live, daddr);
            const got = ipRouteOutput(ns, daddr, 0, 0, 0);
            expect(got === null ? undefined : got.gateway).toBe(want && gateways.get(want));
          }
        }
        const dumped = routeDump(ns).filter((r) => r.gateway !== 0);
        expect(dumped.length).toBe(live.length);
        for (let i = 1; i < dumped.length; i++) {
          const [a, b] = [dumped[i - 1], dumped[i]];
          const ordered =
            a.dst >>> 0 < b.dst >>> 0 ||
            (a.dst === b.dst &&
              (a.prefixLen > b.prefixLen || (a.prefixLen === b.prefixLen && a.metric < b.metric)));
          expect(ordered).toBe(true);
        }
      },
    ),
    { numRuns: 60 },
  );
});

test("a route that any source may take is remembered apart from those of own sources", () => {
  const world = new World();
  const ns = world.ns("a");
  const [dev] = world.join(ns, "eth0", world.ns("b"), "eth0", 0x10);
  addr(dev, "10.0.0.1/8");
  const [daddr, foreign, nobody] = [ip("10.0.0.2"), ip("20.0.0.9"), ip("255.255.255.255")];
  for (let i = 0; i < 2; i++) {
    const any = ipRouteOutputKey(ns, daddr, foreign, 0, 0, 0, FLOWI_FLAG_ANYSRC);
    expect(any?.dev).toBe(dev);
    // An address of no station counts as none given, but only with the flag.
    expect(ipRouteOutputKey(ns, daddr, nobody, 0, 0, 0, FLOWI_FLAG_ANYSRC)).toBe(any);
    expect(ipRouteOutput(ns, daddr, foreign, 0, 0)).toBe(null);
    expect(ipRouteOutput(ns, daddr, nobody, 0, 0)).toBe(null);
  }
  // It is forgotten with the routes.
  dev.ns.setDown(dev);
  expect(ipRouteOutputKey(ns, daddr, foreign, 0, 0, 0, FLOWI_FLAG_ANYSRC)).toBe(null);
});
