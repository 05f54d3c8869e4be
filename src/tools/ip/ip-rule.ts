/** `ip rule`: show, add, del, flush (iproute2 6.1 ip/iprule.c). */
import type { NetNs } from "../../net/core/net-ns.ts";
import { ruleAdd, ruleDel, ruleDump } from "../../net/ctl/rule.ts";
import { type FibRule, UID_MAX } from "../../net/ipv4/fib-rules.ts";
import { protocolName } from "../../net/netfilter/words/names.ts";
import { NotModelledError, UsageError } from "../../util/errors.ts";
import { formatIp4 } from "../../wire/address.ts";
import type { ToolContext, ToolOutput } from "../tool.ts";
import { RULE_HELP } from "./help-text.ts";
import { type IpOptions, ipOutput } from "./ip-options.ts";
import { toJson } from "./link-format.ts";
import { parseRule, ruleShown } from "./rule-words.ts";
import { isCommand, PROTOCOLS, TABLES } from "./words.ts";

const RTPROT_KERNEL = 2;

/** `ip rule ARGV`. */
export function ipRule(argv: readonly string[], options: IpOptions, context: ToolContext): ToolOutput {
  const [command = "show", ...rest] = argv;
  const { ns } = context;
  if (isCommand(command, "show", "list", "lst")) {
    const wanted = parseRule(rest);
    const rules = options.family === 6 ? [] : ruleDump(ns).filter((rule) => ruleShown(rule, wanted));
    if (options.json) return ipOutput(`${toJson(rules.map((rule) => ruleJson(ns, rule, options)))}\n`);
    return ipOutput(rules.map((rule) => ruleText(ns, rule, options)).join(""));
  }
  if (options.family === 6 && !isCommand(command, "help"))
    throw new NotModelledError(`ip -6 rule ${command}`);
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
  if (isCommand(command, "help")) return { stdout: "", stderr: RULE_HELP, status: 255 };
  if (["save", "restore"].includes(command)) throw new NotModelledError(`ip rule ${command}`);
  throw new UsageError(`Command "${command}" is unknown, try "ip rule help".`, 255);
}

function prefixText(addr: number, len: number): string {
  return len === 32 ? formatIp4(addr) : `${formatIp4(addr)}/${len}`;
}

function hex(value: number): string {
  return `0x${(value >>> 0).toString(16)}`;
}

/** `1000-2000`, or the one number. */
function rangeText(low: number, high: number): string {
  return low === high ? String(low) : `${low}-${high}`;
}

function hasUids({ uidMin, uidMax }: FibRule): boolean {
  return uidMin !== 0 || uidMax !== UID_MAX;
}

function transportText({ ipProto, sportMin, sportMax, dportMin, dportMax }: FibRule): string {
  let text = "";
  if (ipProto !== 0) text += ` ipproto ${protocolName(ipProto)}`;
  if (sportMin !== 0) text += ` sport ${rangeText(sportMin, sportMax)}`;
  if (dportMin !== 0) text += ` dport ${rangeText(dportMin, dportMax)}`;
  return text;
}

/** What is done with the packets. */
function actionText(ns: NetNs, { action, target, table }: FibRule): string {
  if (action === "lookup") return ` lookup ${TABLES.text(table)}`;
  if (action !== "goto") return ` ${action}`;
  return ` goto ${target}${isThere(ns, target) ? "" : " [unresolved]"}`;
}

function isThere(ns: NetNs, priority: number): boolean {
  return ruleDump(ns).some((rule) => rule.priority === priority);
}

function ruleText(ns: NetNs, rule: FibRule, options: IpOptions): string {
  const detached = (name: string) => (ns.device(name) === undefined ? " [detached]" : "");
  let text = `${rule.priority}:\t`;
  if (rule.invert) text += "not ";
  text += `from ${rule.srcLen === 0 ? "all" : prefixText(rule.src, rule.srcLen)}`;
  if (rule.dstLen !== 0) text += ` to ${prefixText(rule.dst, rule.dstLen)}`;
  if (rule.tos !== 0) text += ` tos ${hex(rule.tos)}`;
  if (rule.fwmask !== 0) {
    text += ` fwmark ${hex(rule.fwmark)}${rule.fwmask === -1 ? "" : `/${hex(rule.fwmask)}`}`;
  }
  if (rule.iif !== "") text += ` iif ${rule.iif}${detached(rule.iif)}`;
  if (rule.oif !== "") text += ` oif ${rule.oif}${detached(rule.oif)}`;
  if (hasUids(rule)) text += ` uidrange ${rule.uidMin}-${rule.uidMax}`;
  text += transportText(rule) + actionText(ns, rule);
  if (rule.suppressPrefixLen >= 0) text += ` suppress_prefixlength ${rule.suppressPrefixLen}`;
  if (options.details || (rule.protocol !== RTPROT_KERNEL && rule.protocol !== 0)) {
    text += ` proto ${PROTOCOLS.text(rule.protocol)}`;
  }
  return `${text}\n`;
}

function portJson(out: Record<string, unknown>, name: string, low: number, high: number): void {
  if (low !== 0 && low === high) out[name] = low;
  else if (low !== 0) {
    out[`${name}_start`] = low;
    out[`${name}_end`] = high;
  }
}

function ruleJson(ns: NetNs, rule: FibRule, options: IpOptions): Record<string, unknown> {
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
  if (rule.iif !== "" && ns.device(rule.iif) === undefined) out.iif_detached = null;
  if (rule.oif !== "") out.oif = rule.oif;
  if (rule.oif !== "" && ns.device(rule.oif) === undefined) out.oif_detached = null;
  if (hasUids(rule)) {
    out.uid_start = rule.uidMin;
    out.uid_end = rule.uidMax;
  }
  if (rule.ipProto !== 0) out.ipproto = protocolName(rule.ipProto);
  portJson(out, "sport", rule.sportMin, rule.sportMax);
  portJson(out, "dport", rule.dportMin, rule.dportMax);
  if (rule.action === "lookup") out.table = TABLES.text(rule.table);
  else if (rule.action === "nop") out.nop = null;
  else if (rule.action === "goto") {
    out.goto = rule.target;
    if (!isThere(ns, rule.target)) out.unresolved = null;
  } else out.action = rule.action;
  if (rule.suppressPrefixLen >= 0) out.suppress_prefixlen = rule.suppressPrefixLen;
  if (options.details || (rule.protocol !== RTPROT_KERNEL && rule.protocol !== 0)) {
    out.protocol = PROTOCOLS.text(rule.protocol);
  }
  return out;
}
