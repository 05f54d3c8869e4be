/** `ip rule`: show, add, del, flush (iproute2 6.1 ip/iprule.c). */
import { type RuleSpec, ruleAdd, ruleDel, ruleDump } from "../../net/ctl/rule.ts";
import type { FibRule, FibRuleAction } from "../../net/ipv4/fib-rules.ts";
import { NotModelledError, UsageError } from "../../util/errors.ts";
import { formatIp4 } from "../../wire/address.ts";
import type { ToolContext, ToolOutput } from "../tool.ts";
import { type IpOptions, ipOutput } from "./ip-options.ts";
import { toJson } from "./link-format.ts";
import { isCommand, numberWord, PROTOCOLS, prefixWord, TABLES, Words } from "./words.ts";

const RTPROT_KERNEL = 2;

/** `ip rule ARGV`. */
export function ipRule(argv: readonly string[], options: IpOptions, context: ToolContext): ToolOutput {
  const [command = "show", ...rest] = argv;
  const { ns } = context;
  if (isCommand(command, "show", "list", "lst")) {
    if (rest.length > 0) throw new NotModelledError(`ip rule show ${rest.join(" ")}`);
    const rules = options.family === 6 ? [] : ruleDump(ns);
    if (options.json) return ipOutput(`${toJson(rules.map((rule) => ruleJson(rule, options)))}\n`);
    return ipOutput(rules.map((rule) => ruleText(rule, options)).join(""));
  }
  if (isCommand(command, "add")) {
    ruleAdd(ns, { protocol: 0, ...parseRule(rest) });
    return ipOutput("");
  }
  if (isCommand(command, "delete")) {
    ruleDel(ns, parseRule(rest));
    return ipOutput("");
  }
  if (command === "flush") {
    for (const rule of [...ruleDump(ns)]) if (rule.priority !== 0) ruleDel(ns, { priority: rule.priority });
    return ipOutput("");
  }
  if (["help", "save", "restore"].includes(command)) throw new NotModelledError(`ip rule ${command}`);
  throw new UsageError(`Command "${command}" is unknown, try "ip rule help".`, 255);
}

function prefixText(addr: number, len: number): string {
  return len === 32 ? formatIp4(addr) : `${formatIp4(addr)}/${len}`;
}

function hex(value: number): string {
  return `0x${(value >>> 0).toString(16)}`;
}

function ruleText(rule: FibRule, options: IpOptions): string {
  let text = `${rule.priority}:\t`;
  if (rule.invert) text += "not ";
  text += `from ${rule.srcLen === 0 ? "all" : prefixText(rule.src, rule.srcLen)}`;
  if (rule.dstLen !== 0) text += ` to ${prefixText(rule.dst, rule.dstLen)}`;
  if (rule.tos !== 0) text += ` tos ${hex(rule.tos)}`;
  if (rule.fwmask !== 0) {
    text += ` fwmark ${hex(rule.fwmark)}${rule.fwmask === -1 ? "" : `/${hex(rule.fwmask)}`}`;
  }
  if (rule.iif !== "") text += ` iif ${rule.iif}`;
  if (rule.oif !== "") text += ` oif ${rule.oif}`;
  if (rule.action !== "lookup") text += ` ${rule.action}`;
  else text += ` lookup ${TABLES.text(rule.table)}`;
  if (rule.suppressPrefixLen >= 0) text += ` suppress_prefixlength ${rule.suppressPrefixLen}`;
  if (options.details || (rule.protocol !== RTPROT_KERNEL && rule.protocol !== 0)) {
    text += ` proto ${PROTOCOLS.text(rule.protocol)}`;
  }
  return `${text}\n`;
}

function ruleJson(rule: FibRule, options: IpOptions): Record<string, unknown> {
  const out: Record<string, unknown> = { priority: rule.priority };
  if (rule.invert) out.not = null;
  out.src = rule.srcLen === 0 ? "all" : formatIp4(rule.src);
  if (rule.srcLen !== 0 && rule.srcLen !== 32) out.srclen = rule.srcLen;
  if (rule.dstLen !== 0) out.dst = formatIp4(rule.dst);
  if (rule.dstLen !== 0 && rule.dstLen !== 32) out.dstlen = rule.dstLen;
  if (rule.tos !== 0) out.tos = hex(rule.tos);
  if (rule.fwmask !== 0) out.fwmark = hex(rule.fwmark);
  if (rule.fwmask !== 0 && rule.fwmask !== -1) out.fwmask = hex(rule.fwmask);
  if (rule.iif !== "") out.iif = rule.iif;
  if (rule.oif !== "") out.oif = rule.oif;
  if (rule.action === "lookup") out.table = TABLES.text(rule.table);
  else out.action = rule.action;
  if (rule.suppressPrefixLen >= 0) out.suppress_prefixlen = rule.suppressPrefixLen;
  if (options.details || (rule.protocol !== RTPROT_KERNEL && rule.protocol !== 0)) {
    out.protocol = PROTOCOLS.text(rule.protocol);
  }
  return out;
}

type Draft = { -readonly [K in keyof RuleSpec]: RuleSpec[K] };

/** The words of a rule. */
export function parseRule(argv: readonly string[]): RuleSpec {
  const words = new Words(argv);
  const draft: Draft = {};
  while (!words.done) takeWord(draft, words.next(), words);
  return draft;
}

const ACTIONS: readonly FibRuleAction[] = ["blackhole", "unreachable", "prohibit"];

function takeWord(draft: Draft, word: string, words: Words): void {
  if (word === "not") draft.invert = true;
  else if (word === "from" || word === "to") takePrefix(draft, word, words.next());
  else if (["priority", "preference", "order", "pref", "prio"].includes(word)) {
    draft.priority = numberWord(words.next(), "preference value is invalid");
  } else if (word === "fwmark") takeMark(draft, words.next());
  else if (word === "tos" || word === "dsfield") draft.tos = numberWord(words.next(), "TOS value is invalid");
  else if (word === "iif" || word === "dev") draft.iif = words.next();
  else if (word === "oif") draft.oif = words.next();
  else if (word === "table" || word === "lookup") draft.table = TABLES.parse(words.next());
  else if (word === "suppress_prefixlength" || word === "sup_pl") {
    draft.suppressPrefixLen = numberWord(words.next(), "suppress_prefixlength value is invalid");
  } else if (word === "protocol" || word === "proto") draft.protocol = PROTOCOLS.parse(words.next());
  else if (ACTIONS.includes(word as FibRuleAction)) draft.action = word as FibRuleAction;
  else if (word === "type") takeWord(draft, words.next(), words);
  else throw new NotModelledError(`ip rule: ${word}`);
}

function takePrefix(draft: Draft, word: string, text: string): void {
  const prefix = prefixWord(text);
  if (word === "from") {
    draft.src = prefix.addr;
    draft.srcLen = prefix.len;
  } else {
    draft.dst = prefix.addr;
    draft.dstLen = prefix.len;
  }
}

function takeMark(draft: Draft, text: string): void {
  const [mark, mask] = text.split("/");
  draft.fwmark = numberWord(mark, "fwmark value is invalid") | 0;
  draft.fwmask = mask === undefined ? -1 : numberWord(mask, "fwmask value is invalid") | 0;
}
