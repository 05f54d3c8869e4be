/** The words of one rule, as data: what stands behind `iptables -A CHAIN`. */
import type { RuleSpec } from "../rule-spec.ts";
import { problem } from "./extension.ts";
import { Getopt } from "./getopt.ts";
import { RULE_LONG, RULE_SHORT, RuleParser } from "./rule-parser.ts";

/**
 * Reads e.g. `-p tcp --dport 80 -j ACCEPT`, split or in one string without quotes. UsageError with iptables' words for
 * what it refuses, also for several addresses, which make several rules.
 */
export function parseRuleWords(words: string | readonly string[]): RuleSpec {
  const list = typeof words === "string" ? words.split(" ").filter((word) => word !== "") : words;
  const parser = new RuleParser(RULE_LONG);
  const getopt = new Getopt(list, RULE_SHORT);
  let invert = false;
  for (;;) {
    const opt = getopt.next(parser.longOptions);
    if (opt.kind === "end") break;
    if (opt.kind === "word") {
      if (opt.word !== "!") problem(`Bad argument \`${opt.word}'`);
      if (invert) problem("multiple consecutive ! not allowed");
      invert = true;
      continue;
    }
    if (opt.kind !== "option") {
      if (parser.loadProtocolMatch()) getopt.again();
      else refuse(opt);
      continue;
    }
    if (!parser.take(opt, invert, getopt)) problem(`unknown option "-${opt.key}"`);
    invert = false;
  }
  if (invert) problem("nothing appropriate following !");
  const { specs } = parser.build(parser.finishExtensions());
  if (specs.length !== 1) problem("rule does not specify a unique address");
  return specs[0];
}

/** The words for an option that is not known or lacks its argument. */
export function refuse(opt: { kind: "missing" | "unknown"; text: string }): never {
  return problem(
    opt.kind === "missing" ? `option "${opt.text}" requires an argument` : `unknown option "${opt.text}"`,
  );
}
