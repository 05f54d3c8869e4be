/** The text utilities by name. */
import { awk } from "./awk.ts";
import { cmp, dd, diff, expr } from "./compare.ts";
import { grep } from "./grep.ts";
import { cut, head, nl, sort, tac, tail, tr, uniq, wc } from "./lines.ts";
import { sed } from "./sed.ts";
import { bracket, test } from "./test.ts";
import type { Utility } from "./utility.ts";
import { basename, cat, column, dirname, echo, seq, tee, yes } from "./words.ts";

export const UTILITIES: ReadonlyMap<string, Utility> = new Map<string, Utility>([
  ["awk", awk],
  ["mawk", awk],
  ["gawk", awk],
  ["grep", grep],
  ["egrep", (argv, context) => grep(["-E", ...argv], context)],
  ["fgrep", (argv, context) => grep(["-F", ...argv], context)],
  ["sed", sed],
  ["head", head],
  ["tail", tail],
  ["wc", wc],
  ["sort", sort],
  ["uniq", uniq],
  ["cut", cut],
  ["tr", tr],
  ["tac", tac],
  ["nl", nl],
  ["column", column],
  ["cat", cat],
  ["tee", tee],
  ["echo", echo],
  ["seq", seq],
  ["basename", basename],
  ["dirname", dirname],
  ["test", test],
  ["[", bracket],
  ["yes", yes],
  ["cmp", cmp],
  ["diff", diff],
  ["expr", expr],
  ["dd", dd],
]);
