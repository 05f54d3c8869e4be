import { expect, it } from "vitest";
import { SkbPool } from "../../src/net/core/skb.ts";
import { skbChecksumDecap, skbChecksumEncap, skbChecksumOk } from "../../src/net/core/skb-checksum.ts";
import { IPPROTO_UDP, l4ChecksumSet } from "../../src/wire/ipv4.ts";

/** A UDP packet of 8 bytes of data with a right checksum, IP header first. */
function packet(pool: SkbPool) {
  const skb = pool.alloc(36);
  const off = skb.put(36);
  skb.view.setUint16(off, 0x4500);
  skb.view.setUint16(off + 2, 36);
  skb.view.setUint8(off + 9, IPPROTO_UDP);
  skb.view.setUint16(off + 24, 16);
  skb.bytes.fill(0x5a, off + 28, off + 36);
  l4ChecksumSet(skb.bytes, skb.view, off);
  return skb;
}

it("looks at the bytes until the checksum was found right, then no more", () => {
  const pool = new SkbPool();
  const skb = packet(pool);
  const { data } = skb;
  skb.bytes[data + 30] ^= 1;
  expect(skbChecksumOk(skb, data, data + 20, 16)).toBe(false);
  expect(skbChecksumOk(skb, data, data + 20, 16)).toBe(false);
  skb.bytes[data + 30] ^= 1;
  expect(skbChecksumOk(skb, data, data + 20, 16)).toBe(true);
  skb.bytes[data + 30] ^= 1;
  expect(skbChecksumOk(skb, data, data + 20, 16)).toBe(true);
  skb.consume();
  expect(pool.outstanding).toBe(0);
});

it("knows no more about what is inside a tunnel than was known before it went in", () => {
  const pool = new SkbPool();
  const known = packet(pool);
  skbChecksumOk(known, known.data, known.data + 20, 16);
  skbChecksumEncap(known);
  skbChecksumDecap(known, true);
  expect(known.csumLevel).toBe(1);
  const unknown = packet(pool);
  skbChecksumEncap(unknown);
  unknown.csumLevel = 1;
  skbChecksumDecap(unknown, true);
  expect(unknown.csumLevel).toBe(0);
  const copy = known.clone();
  expect(copy.csumLevel).toBe(1);
  for (const skb of [known, unknown, copy]) skb.consume();
  expect(pool.alloc(10).csumLevel).toBe(0);
});
