import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Kernel } from "../../src/net/core/kernel.ts";
import { SkbPool } from "../../src/net/core/skb.ts";
import { ipv4Init } from "../../src/net/ipv4/ipv4-init.ts";
import { type IpvsNet, ipvsOf } from "../../src/net/ipvs/ip-vs.ts";
import { addDest, addService, deleteDest, editDest, ipvsInit } from "../../src/net/ipvs/ip-vs-ctl.ts";
import type { SchedulerName } from "../../src/net/ipvs/schedulers.ts";
import { IP_VS_CONN_F_MASQ, type IpvsDest, type IpvsService } from "../../src/net/ipvs/service.ts";
import { Sim } from "../../src/sim/sim.ts";
import type { Prng as PrngType } from "../../src/util/prng.ts";
import { Prng } from "../../src/util/prng.ts";

const KEY = { fwmark: 256, protocol: 0, addr: 0, port: 0 };

function build(scheduler: SchedulerName): { net: IpvsNet; service: IpvsService } {
  const prng: PrngType = new Prng(1, "test");
  const kernel = new Kernel("m", new Sim(), new SkbPool(), prng, [ipv4Init, ipvsInit]);
  const net = ipvsOf(kernel.initNs);
  const options = {
    scheduler,
    persistentSec: 0,
    netmask: -1,
    onePacket: false,
    shPort: false,
    shFallback: false,
  };
  return { net, service: addService(net, KEY, options) };
}

function add(net: IpvsNet, addr: number, weight = 1): IpvsDest {
  return addDest(net, KEY, addr, 0, {
    weight,
    method: IP_VS_CONN_F_MASQ,
    upperThreshold: 0,
    lowerThreshold: 0,
  });
}

function setWeight(net: IpvsNet, addr: number, weight: number): void {
  editDest(net, KEY, addr, 0, { weight, method: IP_VS_CONN_F_MASQ, upperThreshold: 0, lowerThreshold: 0 });
}

function picks(service: IpvsService, count: number, saddr = 1): (number | null)[] {
  return Array.from({ length: count }, () => service.sched.schedule(service, saddr, 2, 3)?.addr ?? null);
}

describe("round robin", () => {
  it("takes the newest destination first and walks towards the oldest", () => {
    const { net, service } = build("rr");
    for (const addr of [1, 2, 3]) add(net, addr);
    expect(picks(service, 7)).toEqual([3, 2, 1, 3, 2, 1, 3]);
  });

  it("takes a destination that came later only when it wraps to the head", () => {
    const { net, service } = build("rr");
    add(net, 1);
    add(net, 2);
    expect(picks(service, 1)).toEqual([2]);
    add(net, 3);
    expect(picks(service, 4)).toEqual([1, 3, 2, 1]);
  });

  it("skips weight 0 and goes on with the successor of a deleted destination", () => {
    const { net, service } = build("rr");
    for (const addr of [1, 2, 3, 4]) add(net, addr);
    setWeight(net, 3, 0);
    expect(picks(service, 2)).toEqual([4, 2]);
    deleteDest(net, KEY, 2, 0);
    expect(picks(service, 3)).toEqual([1, 4, 1]);
    setWeight(net, 1, 0);
    setWeight(net, 4, 0);
    expect(picks(service, 1)).toEqual([null]);
  });

  it("gives each usable destination its turn, whatever was added, deleted and weighted", () => {
    const step = fc.record({
      kind: fc.constantFrom("add", "del", "zero", "one"),
      addr: fc.integer({ min: 1, max: 8 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { net, service } = build("rr");
        for (const { kind, addr } of steps) {
          const known = service.dests.some((dest) => dest.addr === addr);
          if (kind === "add" && !known) add(net, addr);
          else if (kind === "del" && known) deleteDest(net, KEY, addr, 0);
          else if (known) setWeight(net, addr, kind === "zero" ? 0 : 1);
          picks(service, 1);
        }
        const usable = service.dests.filter((dest) => dest.weight > 0).map((dest) => dest.addr);
        const round = picks(service, usable.length);
        expect([...round].sort()).toEqual([...usable].sort());
      }),
    );
  });
});

describe("weighted round robin", () => {
  it("gives a share by weight in each round, from the level that the first destination left", () => {
    const { net, service } = build("wrr");
    add(net, 1, 1);
    add(net, 2, 2);
    add(net, 3, 3);
    const round = picks(service, 6);
    expect(round).toEqual([3, 2, 1, 3, 3, 2]);
    expect(picks(service, 6)).toEqual(round);
  });

  it("has nobody when all weights are 0", () => {
    const { net, service } = build("wrr");
    add(net, 1, 0);
    expect(picks(service, 1)).toEqual([null]);
  });
});

describe("least connection schedulers", () => {
  it("lc counts an active connection as 256 inactive ones", () => {
    const { net, service } = build("lc");
    const a = add(net, 1);
    const b = add(net, 2);
    a.activeConns = 1;
    b.inactConns = 255;
    expect(picks(service, 1)).toEqual([2]);
    b.inactConns = 257;
    expect(picks(service, 1)).toEqual([1]);
  });

  it("wlc weighs the count, sed the count to come, nq takes an idle one first", () => {
    const wlc = build("wlc");
    add(wlc.net, 1, 4).activeConns = 3;
    add(wlc.net, 2, 1).activeConns = 1;
    expect(picks(wlc.service, 1)).toEqual([1]);
    const sed = build("sed");
    add(sed.net, 1, 4).activeConns = 2;
    add(sed.net, 2, 1).activeConns = 0;
    expect(picks(sed.service, 1)).toEqual([1]);
    const nq = build("nq");
    add(nq.net, 1, 4).activeConns = 2;
    add(nq.net, 2, 1).activeConns = 0;
    expect(picks(nq.service, 1)).toEqual([2]);
  });
});

describe("source hashing", () => {
  it("keeps a client with its server and spreads clients over all", () => {
    const { net, service } = build("sh");
    for (const addr of [1, 2, 3]) add(net, addr);
    const seen = new Set<number | null>();
    for (let client = 0; client < 200; client++) {
      const [first, second] = picks(service, 2, client * 7919);
      expect(second).toBe(first);
      seen.add(first);
    }
    expect(seen).toEqual(new Set([1, 2, 3]));
  });
});
