/** Filter expressions against what the real tcpdump takes of the same captures. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileFilter, FilterError } from "../../src/capture/filter.ts";
import { readCapture } from "../../src/capture/read-capture.ts";

interface Golden {
  readonly filter: string;
  readonly crafted: string;
  readonly underlay: string;
}

const FIXTURES = new URL("./fixtures/", import.meta.url);
const GOLDENS: readonly Golden[] = JSON.parse(readFileSync(new URL("filters.json", FIXTURES), "utf8"));

/** Numbers of the frames that the filter takes, runs as `from-to`. */
function taken(filter: string, name: string): string {
  const predicate = compileFilter(filter);
  const runs: [number, number][] = [];
  const { frames } = readCapture(readFileSync(new URL(`${name}.pcap`, FIXTURES)), name);
  frames.forEach(({ bytes }, i) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    if (!predicate(bytes, view, 0, bytes.length)) return;
    const last = runs.at(-1);
    if (last !== undefined && last[1] === i - 1) last[1] = i;
    else runs.push([i, i]);
  });
  return runs.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(" ");
}

describe("takes the frames that the real tcpdump takes", () => {
  test.each(GOLDENS)("$filter", ({ filter, crafted, underlay }) => {
    expect(taken(filter, "crafted")).toBe(crafted);
    expect(taken(filter, "underlay")).toBe(underlay);
  });
});

describe("refuses with tcpdump's words", () => {
  test.each([
    ["foo bar", "tcpdump: can't parse filter expression: syntax error", 5],
    ["host foo", "tcpdump: unknown host 'foo'", 6],
    ["port foo", "tcpdump: unknown port 'foo'", 6],
    ["port", "tcpdump: can't parse filter expression: syntax error", 5],
    ["net 10.0.0.1/24", 'tcpdump: non-network bits set in "10.0.0.1/24"', 5],
    ["net 300.1.1.1", "tcpdump: invalid IPv4 address '300.1.1.1'", 5],
    ["port 99999", "tcpdump: illegal port number 99999 > 65535", 6],
    ["(port 80", "tcpdump: can't parse filter expression: syntax error", 9],
    ["tcp[13] &", "tcpdump: can't parse filter expression: syntax error", 4],
    ["len", "tcpdump: can't parse filter expression: syntax error", 4],
    ["ip[0:3]=1", "tcpdump: data size must be 1, 2, or 4", 1],
    ["tcp port 80 udp", "tcpdump: can't parse filter expression: syntax error", 13],
  ])("%s", (filter, message, column) => {
    let error: unknown = null;
    try {
      compileFilter(filter);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(FilterError);
    expect((error as FilterError).message).toBe(message);
    expect((error as FilterError).column).toBe(column);
  });
});

test("an empty expression takes everything", () => {
  expect(compileFilter("  ")(new Uint8Array(0), new DataView(new ArrayBuffer(0)), 0, 0)).toBe(true);
});

test("throws nothing but FilterError, and a predicate answers about any bytes", () => {
  const words = [
    "tcp",
    "udp",
    "host",
    "10.0.0.1",
    "port",
    "80",
    "(",
    ")",
    "and",
    "or",
    "not",
    "[",
    "]",
    "=",
    "&",
    "src",
  ];
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...words), { maxLength: 8 }),
      fc.uint8Array({ maxLength: 80 }),
      (list, bytes) => {
        try {
          const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
          expect(compileFilter(list.join(" "))(bytes, view, 0, bytes.length)).toBeTypeOf("boolean");
        } catch (error) {
          expect(error).toBeInstanceOf(FilterError);
        }
      },
    ),
    { numRuns: 2000 },
  );
});
