/** Command lines that are almost right: real output, a refusal in the tool's words, or "not modelled". More: `npm run fuzz:words`. */
import { expect, test } from "vitest";
import { Prng } from "../../src/util/prng.ts";
import { runWords } from "./words-lab.ts";

test("no command line, however wrong, meets a bug", () => {
  expect(runWords(new Prng(77, "words"), 200)).toEqual([]);
});
