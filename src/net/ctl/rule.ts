/** Policy rules: what RTM_NEWRULE and RTM_DELRULE do (net/core/fib_rules.c fib_nl_newrule, fib_nl_delrule). */
import { SysError } from "../../util/errors.ts";
import type { NetNs } from "../core/net-ns.ts";
import { RT_TABLE_MAIN } from "../ipv4/fib.ts";
import { defaultRule, type FibRule, UID_MAX } from "../ipv4/fib-rules.ts";
import { ipv4Of } from "../ipv4/ipv4-net.ts";

const INET_ECN_MASK = 3;
const PORT_MAX = 0xffff;

/** What a user says of a rule; the rest is "any". Without a priority it goes in front of the second rule. */
export type RuleSpec = Partial<FibRule>;

/** Adds a rule. EEXIST when the same one is there. */
export function ruleAdd(ns: NetNs, spec: RuleSpec): void {
  const net = ipv4Of(ns);
  if ((spec.uidMin ?? 0) > (spec.uidMax ?? UID_MAX))
    throw new SysError("EINVAL", "Error: Invalid uid range.");
  checkRange(spec.sportMin, spec.sportMax, "sport");
  checkRange(spec.dportMin, spec.dportMax, "dport");
  const rules = net.rules.rules;
  const priority = spec.priority ?? (rules.length > 1 && rules[1].priority > 0 ? rules[1].priority - 1 : 0);
  const rule: FibRule = {
    ...defaultRule(priority, spec.table ?? RT_TABLE_MAIN),
    protocol: 3,
    ...spec,
    priority,
  };
  checkRule(rule);
  if (rules.some((other) => sameRule(other, rule))) throw new SysError("EEXIST");
  net.rules.add(rule);
  net.flushRoutes();
}

/** fib_nl2rule, fib4_rule_configure */
function checkRule(rule: FibRule): void {
  if (rule.action === "goto" && rule.target <= rule.priority)
    throw new SysError("EINVAL", "Error: Backward goto not supported.");
  if ((rule.tos & INET_ECN_MASK) !== 0)
    throw new SysError("EINVAL", "Error: Invalid dsfield (tos): ECN bits must be 0.");
}

function checkRange(low: number | undefined, high: number | undefined, what: string): void {
  if (low === undefined || high === undefined) return;
  if (low === 0 || high < low || high === PORT_MAX)
    throw new SysError("EINVAL", `Error: Invalid ${what} range.`);
}

/** Deletes the first rule that agrees in all that `spec` says. ENOENT when there is none. */
export function ruleDel(ns: NetNs, spec: RuleSpec): void {
  const net = ipv4Of(ns);
  const keys = Object.keys(spec) as (keyof FibRule)[];
  const found = net.rules.rules.find((rule) => keys.every((key) => rule[key] === spec[key]));
  if (found === undefined) throw new SysError("ENOENT");
  net.rules.remove(found);
  net.flushRoutes();
}

/** The rules by priority. */
export function ruleDump(ns: NetNs): readonly FibRule[] {
  return ipv4Of(ns).rules.rules;
}

function sameRule(a: FibRule, b: FibRule): boolean {
  return (Object.keys(a) as (keyof FibRule)[]).every((key) => a[key] === b[key]);
}
