/** Capture files: written and read back, foreign byte orders, damage. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CaptureError } from "../../src/capture/capture-error.ts";
import { PcapWriter, readPcap } from "../../src/capture/pcap.ts";
import { PcapngWriter, readPcapng } from "../../src/capture/pcapng.ts";
import { readCapture } from "../../src/capture/read-capture.ts";
import { utf8Decode, utf8Encode } from "../../src/capture/utf8.ts";

const frames = fc.array(
  fc.record({
    sec: fc.nat(0xffffffff),
    nsec: fc.nat(999_999_999),
    bytes: fc.uint8Array({ maxLength: 100 }),
  }),
  { maxLength: 8 },
);

function classic(
  list: readonly { sec: number; nsec: number; bytes: Uint8Array }[],
  micro = false,
): Uint8Array {
  const writer = new PcapWriter(micro);
  for (const { sec, nsec, bytes } of list) writer.add(sec, nsec, bytes, 0, bytes.length);
  return writer.finish();
}

test("a pcap reads back as it was written", () => {
  fc.assert(
    fc.property(frames, (list) => {
      const file = readPcap(classic(list), "x");
      expect(file.interfaces[0]).toMatchObject({ linkType: 1, snapLen: 262144 });
      expect(file.frames.map(({ sec, nsec, bytes }) => ({ sec, nsec, bytes: [...bytes] }))).toEqual(
        list.map(({ sec, nsec, bytes }) => ({ sec, nsec, bytes: [...bytes] })),
      );
    }),
  );
});

test("microseconds lose what is below them", () => {
  const file = readPcap(classic([{ sec: 7, nsec: 123_456_789, bytes: Uint8Array.of(1) }], true), "x");
  expect(file.frames[0].nsec).toBe(123_456_000);
});

test("the header is the one of pcap-savefile(5)", () => {
  const header = [0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
  expect([...classic([])]).toEqual(header);
});

test("a pcapng reads back with interfaces, times and comments", () => {
  const comment = fc.string({ unit: "grapheme", maxLength: 20 });
  fc.assert(
    fc.property(frames, comment, (list, text) => {
      const writer = new PcapngWriter();
      expect(writer.addInterface("n1/host/eth0", "first")).toBe(0);
      expect(writer.addInterface("n2/host/eth0", "")).toBe(1);
      list.forEach(({ sec, nsec, bytes }, i) => {
        writer.addFrame(i & 1, sec, nsec, bytes, 0, bytes.length, i % 3 === 0, text);
      });
      const file = readPcapng(writer.finish(), "x");
      expect(file.interfaces.map(({ name, description }) => [name, description])).toEqual([
        ["n1/host/eth0", "first"],
        ["n2/host/eth0", ""],
      ]);
      expect(
        file.frames.map((one) => [one.sec, one.nsec, [...one.bytes], one.interfaceId, one.comment]),
      ).toEqual(list.map(({ sec, nsec, bytes }, i) => [sec, nsec, [...bytes], i & 1, text]));
    }),
  );
});

/** The same file in the other byte order: every 32-bit word but the frame bytes and text is turned. */
function swapPcap(bytes: Uint8Array): Uint8Array {
  const out = bytes.slice();
  const turn = (at: number, count: number): void => {
    out.set([...out.subarray(at, at + count)].reverse(), at);
  };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (const [at, count] of [
    [0, 4],
    [4, 2],
    [6, 2],
    [8, 4],
    [12, 4],
    [16, 4],
    [20, 4],
  ])
    turn(at, count);
  for (let at = 24; at < bytes.length; at += 16 + view.getUint32(at + 8, true)) {
    for (let k = 0; k < 16; k += 4) turn(at + k, 4);
  }
  return out;
}

test("big-endian pcap files read the same", () => {
  const list = [
    { sec: 1, nsec: 2, bytes: Uint8Array.of(1, 2, 3) },
    { sec: 3, nsec: 4, bytes: Uint8Array.of(9) },
  ];
  for (const micro of [false, true]) {
    const little = classic(list, micro);
    expect(readPcap(swapPcap(little), "x")).toEqual(readPcap(little, "x"));
  }
});

test("a big-endian pcapng with a simple packet block reads", () => {
  const words = [
    0x0a0d0d0a, 28, 0x1a2b3c4d, 0x00010000, 0xffffffff, 0xffffffff, 28, 1, 20, 0x00010000, 64, 20, 3, 20, 3,
    0x01020300, 20,
  ];
  const bytes = new Uint8Array(words.length * 4);
  words.forEach((word, i) => {
    new DataView(bytes.buffer).setUint32(i * 4, word);
  });
  const file = readCapture(bytes, "x");
  expect(file.format).toBe("pcapng");
  expect(file.frames.map((one) => [...one.bytes])).toEqual([[1, 2, 3]]);
});

describe("damage is one clear error that says where", () => {
  const whole = classic([{ sec: 1, nsec: 2, bytes: Uint8Array.of(1, 2, 3, 4) }]);
  const cut = (bytes: Uint8Array, at: number): unknown => {
    try {
      readCapture(bytes.subarray(0, at), "f.pcap");
    } catch (error) {
      return error;
    }
    return null;
  };

  test.each([
    [0, 0, "f.pcap: byte 0: the file is empty"],
    [3, 0, "f.pcap: byte 0: neither a pcap nor a pcapng file"],
    [10, 10, "f.pcap: byte 10: truncated: the file ends inside its header"],
    [30, 24, "f.pcap: byte 24: truncated: the file ends inside the header of frame 1"],
    [42, 40, "f.pcap: byte 40: truncated: 2 bytes of frame 1 are missing"],
  ])("cut at %i", (at, byteOffset, message) => {
    const error = cut(whole, at) as CaptureError;
    expect(error).toBeInstanceOf(CaptureError);
    expect(error.byteOffset).toBe(byteOffset);
    expect(error.message).toBe(message);
  });

  test("every cut and every changed byte gives a CaptureError or a capture", () => {
    const writer = new PcapngWriter();
    writer.addInterface("a", "b");
    writer.addFrame(0, 1, 2, Uint8Array.of(1, 2, 3), 0, 3, true, "c");
    for (const good of [whole, writer.finish()]) {
      fc.assert(
        fc.property(fc.nat(good.length), fc.nat(good.length - 1), fc.nat(255), (end, at, value) => {
          const bad = good.slice(0, end);
          if (at < end) bad[at] = value;
          try {
            expect(readCapture(bad, "x").frames.length).toBeLessThanOrEqual(3);
          } catch (error) {
            expect(error).toBeInstanceOf(CaptureError);
          }
        }),
        { numRuns: 2000 },
      );
    }
  });
});

test("UTF-8 by hand is UTF-8", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect([...utf8Encode(text)]).toEqual([...new TextEncoder().encode(text)]);
      expect(utf8Decode(utf8Encode(text))).toBe(text);
    }),
  );
});
