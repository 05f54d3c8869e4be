/** The Internet checksum: sums, patches, and the headers that carry it. */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  csumPatch16,
  csumPatch32,
  csumReplace2,
  csumReplace4,
  inetChecksum,
} from "../../src/wire/checksum.ts";
import {
  IPPROTO_ICMP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  ipChecksumOk,
  ipChecksumSet,
  ipDecreaseTtl,
  l4ChecksumOk,
  l4ChecksumSet,
  setIpProtocol,
  setIpSaddr,
  setIpTotLen,
  setIpTtl,
  setIpVersionIhl,
} from "../../src/wire/ipv4.ts";

/** The plain definition: ones' complement of the ones' complement sum of 16-bit words. */
function slowChecksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes[i] * 256 + (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum % 65536) + Math.floor(sum / 65536);
  return 0xffff - sum;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

test("equals the definition for any bytes of any length", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(inetChecksum(viewOf(bytes), 0, bytes.length)).toBe(slowChecksum(bytes));
    }),
  );
});

test("does not wrap on the largest packet of the largest bytes", () => {
  const bytes = new Uint8Array(65535).fill(0xff);
  expect(inetChecksum(viewOf(bytes), 0, bytes.length)).toBe(slowChecksum(bytes));
});

test("the example of RFC 1071", () => {
  expect(inetChecksum(viewOf(Uint8Array.of(0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7)), 0, 8)).toBe(0x220d);
});

test("a patched checksum verifies as a recomputed one does", () => {
  const data = fc
    .uint8Array({ minLength: 12, maxLength: 40 })
    .map((bytes) => bytes.subarray(0, bytes.length & ~3));
  fc.assert(
    fc.property(data, fc.nat(0xffff), fc.integer(), (bytes, to16, to32) => {
      const view = viewOf(bytes);
      view.setUint16(0, 0);
      view.setUint16(2, 1); // never all zero: RFC 1624 section 5
      view.setUint16(0, inetChecksum(view, 0, bytes.length));
      const from16 = view.getUint16(4);
      view.setUint16(4, to16);
      csumReplace2(view, 0, from16, to16);
      expect(inetChecksum(view, 0, bytes.length)).toBe(0);
      const from32 = view.getInt32(8);
      view.setInt32(8, to32);
      csumReplace4(view, 0, from32, to32);
      expect(inetChecksum(view, 0, bytes.length)).toBe(0);
      const patched = view.getUint16(0);
      view.setUint16(0, 0);
      expect(patched).toBe(inetChecksum(view, 0, bytes.length));
    }),
  );
});

test("a patch there and back changes nothing", () => {
  fc.assert(
    fc.property(fc.nat(0xfffe), fc.integer(), fc.integer(), (check, a, b) => {
      expect(csumPatch32(csumPatch32(check, a, b), b, a)).toBe(check);
      expect(csumPatch16(csumPatch16(check, a & 0xffff, b & 0xffff), b & 0xffff, a & 0xffff)).toBe(check);
    }),
  );
});

/** An IPv4 packet of that protocol; the view does not begin at the packet. */
function packet(protocol: number, payload: Uint8Array): { bytes: Uint8Array; view: DataView; total: number } {
  const bytes = new Uint8Array(64 + payload.length);
  const view = viewOf(bytes);
  setIpVersionIhl(view, 4, 24);
  setIpTotLen(view, 4, 24 + payload.length);
  setIpTtl(view, 4, 64);
  setIpProtocol(view, 4, protocol);
  setIpSaddr(view, 4, 0x0a000007);
  bytes.set(payload, 28);
  return { bytes, view, total: 24 + payload.length };
}

test("header and transport checksums are right after they are set, and wrong after a change", () => {
  const payload = fc.uint8Array({ minLength: 20, maxLength: 33 });
  const protocol = fc.constantFrom(IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP);
  fc.assert(
    fc.property(protocol, payload, fc.nat(19), (proto, body, at) => {
      const { bytes, view, total } = packet(proto, body);
      ipChecksumSet(view, 4);
      l4ChecksumSet(bytes, view, 4);
      expect(ipChecksumOk(view, 4)).toBe(true);
      expect(l4ChecksumOk(bytes, view, 4, 28, total - 24)).toBe(true);
      if (proto === IPPROTO_UDP) expect(view.getUint16(34)).not.toBe(0);
      if (proto === IPPROTO_UDP && (at === 6 || at === 7)) return;
      bytes[28 + at] ^= 0x10;
      expect(l4ChecksumOk(bytes, view, 4, 28, total - 24)).toBe(false);
    }),
  );
});

test("every TTL decrement leaves the checksum as a recomputation would", () => {
  const { view } = packet(IPPROTO_TCP, new Uint8Array(20));
  for (let id = 0; id < 65536; id += 37) {
    view.setUint16(8, id);
    setIpTtl(view, 4, 64);
    ipChecksumSet(view, 4);
    expect(ipDecreaseTtl(view, 4)).toBe(63);
    const patched = view.getUint16(14);
    ipChecksumSet(view, 4);
    expect(patched).toBe(view.getUint16(14));
  }
});
