import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { inetChecksum, pseudoHeaderSum } from "../../src/wire/checksum.ts";
import {
  IPPROTO_TCP,
  IPPROTO_UDP,
  ipChecksumOk,
  ipChecksumSet,
  ipDaddr,
  ipSaddr,
  l4ChecksumSet,
  setIpDaddr,
  setIpProtocol,
  setIpSaddr,
  setIpTotLen,
  setIpVersionIhl,
} from "../../src/wire/ipv4.ts";
import { rewriteAddress, rewriteTransport } from "../../src/wire/rewrite.ts";

const L4 = 20;

/** A packet with right checksums and `payload` behind a header of 20 bytes for either protocol. */
function packet(protocol: number, saddr: number, daddr: number, payload: Uint8Array): DataView {
  const bytes = new Uint8Array(L4 + 20 + payload.length);
  bytes.set(payload, L4 + 20);
  const view = new DataView(bytes.buffer);
  setIpVersionIhl(view, 0, L4);
  setIpTotLen(view, 0, bytes.length);
  setIpProtocol(view, 0, protocol);
  setIpSaddr(view, 0, saddr);
  setIpDaddr(view, 0, daddr);
  view.setUint32(L4, 0x1234_1f90);
  if (protocol === IPPROTO_UDP) view.setUint16(L4 + 4, bytes.length - L4);
  else view.setUint8(L4 + 12, 0x50);
  ipChecksumSet(view, 0);
  l4ChecksumSet(bytes, view, 0);
  return view;
}

function checksumHolds(view: DataView, protocol: number): boolean {
  const length = view.byteLength - L4;
  return (
    inetChecksum(view, L4, length, pseudoHeaderSum(ipSaddr(view, 0), ipDaddr(view, 0), protocol, length)) ===
    0
  );
}

describe("rewriting one end of a packet", () => {
  it("leaves every checksum right, for TCP and UDP, source and destination", () => {
    const protocol = fc.constantFrom(IPPROTO_TCP, IPPROTO_UDP);
    const word = fc.integer();
    fc.assert(
      fc.property(
        protocol,
        word,
        word,
        word,
        fc.nat(65535),
        fc.boolean(),
        fc.uint8Array(),
        (proto, s, d, to, port, source, data) => {
          const view = packet(proto, s, d, data);
          expect(rewriteAddress(view, 0, source, to)).toBe(source ? s : d);
          rewriteTransport(view, view.byteLength, proto, L4, source, source ? s : d, to, port);
          expect(ipChecksumOk(view, 0)).toBe(true);
          expect(checksumHolds(view, proto)).toBe(true);
          expect(view.getUint16(source ? L4 : L4 + 2)).toBe(port);
        },
      ),
    );
  });

  it("keeps a UDP packet without a checksum so, and never writes a checksum of 0", () => {
    const view = packet(IPPROTO_UDP, 1, 2, new Uint8Array(4));
    view.setUint16(L4 + 6, 0);
    rewriteTransport(view, view.byteLength, IPPROTO_UDP, L4, true, 1, 99, 7);
    expect(view.getUint16(L4 + 6)).toBe(0);
    for (let port = 0; port < 65536; port++) {
      const other = packet(IPPROTO_UDP, 1, 2, new Uint8Array(4));
      rewriteTransport(other, other.byteLength, IPPROTO_UDP, L4, true, 1, 1, port);
      if (other.getUint16(L4 + 6) === 0) throw new Error(`checksum 0 for port ${port}`);
    }
  });

  it("sets the port of a TCP header that a quote cuts short, which has no checksum", () => {
    const view = packet(IPPROTO_TCP, 1, 2, new Uint8Array(0));
    const before = view.getUint16(L4 + 16);
    rewriteTransport(view, L4 + 8, IPPROTO_TCP, L4, false, 2, 3, 81);
    expect([view.getUint16(L4 + 2), view.getUint16(L4 + 16)]).toEqual([81, before]);
  });
});
