/** The hash of flows and the tunnel's source port made of it. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { skbGetHash, udpFlowSrcPort } from "../../src/net/core/flow-dissector.ts";
import { SkbPool } from "../../src/net/core/skb.ts";

interface Flow {
  readonly saddr: number;
  readonly daddr: number;
  readonly sport: number;
  readonly dport: number;
  readonly protocol: number;
  readonly frag: number;
}

function hashOf(pool: SkbPool, flow: Flow, key: number): number {
  const frame = new Uint8Array(14 + 28);
  const view = new DataView(frame.buffer);
  view.setUint16(12, 0x0800);
  view.setUint8(14, 0x45);
  view.setUint16(20, flow.frag);
  view.setUint8(23, flow.protocol);
  view.setInt32(26, flow.saddr);
  view.setInt32(30, flow.daddr);
  view.setUint16(34, flow.sport);
  view.setUint16(36, flow.dport);
  const skb = pool.from(frame);
  skb.netOff = skb.data + 14;
  const hash = skbGetHash(skb, 0x0800, key);
  skb.consume();
  return hash;
}

const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const port = fc.integer({ min: 0, max: 65535 });
const flow = fc.record({
  saddr: word,
  daddr: word,
  sport: port,
  dport: port,
  protocol: fc.constantFrom(1, 6, 17),
  frag: fc.constantFrom(0, 0x4000),
});

test("both directions of a flow hash alike, and never to 0", () => {
  const pool = new SkbPool();
  fc.assert(
    fc.property(flow, word, (there, key) => {
      const back = {
        ...there,
        saddr: there.daddr,
        daddr: there.saddr,
        sport: there.dport,
        dport: there.sport,
      };
      const hash = hashOf(pool, there, key);
      expect(hashOf(pool, back, key)).toBe(hash);
      expect(hash).not.toBe(0);
    }),
  );
  expect(pool.outstanding).toBe(0);
});

test("ports count for whole TCP and UDP packets only", () => {
  const pool = new SkbPool();
  const base: Flow = { saddr: 1, daddr: 2, sport: 3, dport: 4, protocol: 17, frag: 0 };
  const other = { ...base, sport: 5 };
  expect(hashOf(pool, base, 9)).not.toBe(hashOf(pool, other, 9));
  for (const change of [{ frag: 0x2000 }, { frag: 185 }, { protocol: 1 }])
    expect(hashOf(pool, { ...base, ...change }, 9)).toBe(hashOf(pool, { ...other, ...change }, 9));
  expect(hashOf(pool, base, 9)).not.toBe(hashOf(pool, base, 10));
});

test("the port is in the range whatever the hash, and a socket's own hash wins", () => {
  const pool = new SkbPool();
  fc.assert(
    fc.property(word, (hash) => {
      const skb = pool.from(new Uint8Array(64));
      skb.netOff = skb.data;
      skb.hash = hash;
      const srcPort = udpFlowSrcPort(skb, 0x0800, 1, 32768, 60999);
      skb.consume();
      expect(srcPort).toBeGreaterThanOrEqual(32768);
      expect(srcPort).toBeLessThan(60999);
    }),
  );
  const skb = pool.from(new Uint8Array(64));
  skb.sk = { txHash: 0x12345678 };
  expect(skbGetHash(skb, 0x0800, 1)).toBe(0x12345678);
  skb.consume();
  expect(pool.outstanding).toBe(0);
});
