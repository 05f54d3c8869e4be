import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  align,
  diffLines,
  matchLine,
  matchLines,
  NO_BINDINGS,
  updatedLines,
} from "../../src/scenario/expectation.ts";

const bound = (entries: Record<string, string>) => new Map(Object.entries(entries));

describe("one line", () => {
  test("a wildcard takes one word, and the same name the same text", () => {
    expect(matchLine("node (<id>) is", "node (nr19) is", NO_BINDINGS)).toEqual(bound({ id: "nr19" }));
    expect(matchLine("<a> <b>", "x y z", NO_BINDINGS)).toBeNull();
    expect(matchLine("<a> <a>", "x x", NO_BINDINGS)).toEqual(bound({ a: "x" }));
    expect(matchLine("<a> <a>", "x y", NO_BINDINGS)).toBeNull();
    expect(matchLine("<a>", "y", bound({ a: "x" }))).toBeNull();
    expect(matchLine("10.0.0.2:<port>", "10.0.0.2:36768", NO_BINDINGS)).toEqual(bound({ port: "36768" }));
  });

  test("signs of regular expressions and interface flags are plain text", () => {
    expect(matchLine("a.b (*) [x] <A,B>", "a.b (*) [x] <A,B>", NO_BINDINGS)).toBe(NO_BINDINGS);
    expect(matchLine("a.b", "axb", NO_BINDINGS)).toBeNull();
    expect(matchLine("<LOOPBACK,UP> mtu <n>", "<LOOPBACK,UP> mtu 65536", NO_BINDINGS)).toEqual(
      bound({ n: "65536" }),
    );
  });

  test("white space at line ends does not count, inside it does", () => {
    expect(matchLine("a b", "a b   ", NO_BINDINGS)).toBe(NO_BINDINGS);
    expect(matchLine("a b", "a  b", NO_BINDINGS)).toBeNull();
  });
});

describe("many lines", () => {
  test("... stands for any lines, also none", () => {
    for (const actual of [
      ["a", "z"],
      ["a", "b", "z"],
      ["a", "b", "c", "z"],
    ])
      expect(matchLines(["a", "...", "z"], actual, NO_BINDINGS)).toBe(NO_BINDINGS);
    expect(matchLines(["a", "...", "z"], ["a", "b"], NO_BINDINGS)).toBeNull();
    expect(matchLines(["...", "x", "..."], ["1", "x", "2", "3"], NO_BINDINGS)).toBe(NO_BINDINGS);
    expect(matchLines(["a"], ["a", "b"], NO_BINDINGS)).toBeNull();
  });

  test("what stands behind ... may be found further down when the wildcards ask for it", () => {
    const found = matchLines(["...", "k <v>", "v <v>"], ["k 1", "k 2", "v 2"], NO_BINDINGS);
    expect(found).toEqual(bound({ v: "2" }));
  });

  test("a diff shows the shortest way from the expected lines to the real ones", () => {
    expect(diffLines(["a", "b", "c"], ["a", "x", "c"], NO_BINDINGS)).toEqual(["  a", "- b", "+ x", "  c"]);
    expect(diffLines(["a", "...", "z"], ["a", "m", "y"], NO_BINDINGS)).toEqual([
      "  a",
      "  ...",
      "- z",
      "+ y",
    ]);
  });

  test("an update keeps wildcards and ... where they fit", () => {
    expect(updatedLines(["ID <id>", "x 1", "..."], ["ID q9", "x 2", "y"], NO_BINDINGS)).toEqual([
      "ID <id>",
      "x 2",
      "...",
    ]);
  });

  test("an update always makes a page that matches", () => {
    const line = fc.constantFrom("a", "b", "c d", "<w> d", "...", "");
    const real = fc.constantFrom("a", "b", "c d", "x d", "");
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), fc.array(real, { maxLength: 8 }), (expected, actual) => {
        const steps = align(expected, actual, NO_BINDINGS);
        expect(
          steps.flatMap((s) => (s.kind === "missing" ? [] : s.kind === "any" ? s.actual : [s.actual])),
        ).toEqual(actual);
        const updated = updatedLines(expected, actual, NO_BINDINGS);
        if (!updated.some((text) => text.includes("<w>")))
          expect(matchLines(updated, actual, NO_BINDINGS)).not.toBeNull();
      }),
    );
  });
});
