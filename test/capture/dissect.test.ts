/** The text of frames against the text of the real tcpdump 4.99.3 (golden files made with TZ=UTC). */
import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type DissectOptions,
  Dissector,
  PLAIN,
  pcapText,
  readingFromText,
} from "../../src/capture/dissect.ts";
import { readCapture } from "../../src/capture/read-capture.ts";

const FIXTURES = new URL("./fixtures/", import.meta.url);

/** `evv` -> the options of `tcpdump -nn -e -vv`. */
function optionsOf(flags: string): DissectOptions {
  return {
    link: flags.includes("e"),
    verbose: flags.split("v").length - 1,
    quiet: flags.includes("q"),
    absoluteSeq: flags.includes("S"),
    noTime: false,
  };
}

function fixture(name: string): Uint8Array {
  return readFileSync(new URL(name, FIXTURES));
}

describe("prints what the real tcpdump prints", () => {
  const goldens = readdirSync(FIXTURES).filter((name) => name.endsWith(".txt"));
  test.each(goldens)("%s", (golden) => {
    const [name, flags] = golden.split(".");
    const dissector = new Dissector(optionsOf(flags));
    const mine = readCapture(fixture(`${name}.pcap`), name).frames.map((frame) => dissector.text(frame));
    const real = Buffer.from(fixture(golden)).toString("latin1").trimEnd();
    expect(mine.join("\n").trimEnd().split("\n")).toEqual(real.split("\n"));
  });

  test("there is a golden file of every kind", () => {
    expect(goldens.length).toBeGreaterThanOrEqual(20);
  });
});

test("pcapText is `tcpdump -nn -e -r`", () => {
  const real = Buffer.from(fixture("fragments.e.txt")).toString("latin1").trimEnd().split("\n");
  expect(pcapText(fixture("fragments.pcap"), "fragments.pcap")).toEqual(real);
});

test("names the file, its link type and its snapshot length", () => {
  expect(readingFromText("a.pcap", 262144)).toBe(
    "reading from file a.pcap, link-type EN10MB (Ethernet), snapshot length 262144",
  );
});

/** Bytes that begin like a frame, so that the dissectors get far. */
function frameLike(type: number, head: readonly number[], rest: Uint8Array): Uint8Array {
  return Uint8Array.from([2, 0x42, 0, 0, 0, 1, 2, 0x42, 0, 0, 0, 2, type >> 8, type & 255, ...head, ...rest]);
}

const IP_HEADS = [1, 2, 4, 6, 17, 50].map((proto) => [0x45, 0, 1, 0, 0, 1, 0, 0, 64, proto, 0, 0]);

test("never throws, whatever the bytes are", () => {
  const bytes = fc.uint8Array({ maxLength: 120 });
  const frame = fc.oneof(
    bytes,
    bytes.map((rest) => frameLike(0x806, [], rest)),
    bytes.map((rest) => frameLike(0x86dd, [0x60, 0, 0, 0, 0, 80, 58, 255], rest)),
    fc.tuple(fc.constantFrom(...IP_HEADS), bytes).map(([head, rest]) => frameLike(0x800, head, rest)),
    bytes.map((rest) =>
      frameLike(0x800, [...IP_HEADS[4], 1, 2, 3, 4, 5, 6, 7, 8, 0, 53, 0, 53, 0, 90, 0, 0], rest),
    ),
  );
  for (const flags of ["", "e", "vv", "q"]) {
    const dissector = new Dissector(optionsOf(flags));
    fc.assert(
      fc.property(frame, fc.nat(200), (one, extra) => {
        expect(dissector.frameText(one, one.length + extra)).toBeTypeOf("string");
      }),
      { numRuns: 400 },
    );
  }
});

test("relative sequence numbers begin anew with each SYN", () => {
  const dissector = new Dissector({ ...PLAIN, noTime: true });
  const frames = readCapture(fixture("underlay.pcap"), "underlay").frames;
  const lines = frames.map((frame) => dissector.text(frame));
  expect(lines.some((line) => / seq 1:[0-9]+, ack 1,/.test(line))).toBe(true);
});
