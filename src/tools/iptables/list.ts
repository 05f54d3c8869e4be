/** The tables of `iptables -L` (iptables/xshared.c print_header, print_firewall_details, xtables_print_num). */

import {
  IPT_INV_DSTIP,
  IPT_INV_FRAG,
  IPT_INV_PROTO,
  IPT_INV_SRCIP,
  IPT_INV_VIA_IN,
  IPT_INV_VIA_OUT,
  type RuleSpec,
} from "../../net/netfilter/rule-spec.ts";
import { hostName } from "../../net/netfilter/words/extension.ts";
import { protocolName } from "../../net/netfilter/words/names.ts";
import type { Chain, Rule } from "../../net/netfilter/x-tables.ts";
import { matchText, targetText } from "./list-extensions.ts";

export interface ListFormat {
  /** Counters and interfaces. */
  readonly verbose: boolean;
  readonly numeric: boolean;
  readonly exact: boolean;
  readonly lineNumbers: boolean;
}

const UNITS = ["K", "M", "G", "T"];

/** A counter: exact, or with at most four digits before its unit. */
function count(value: number, exact: boolean): [string, string] {
  if (exact || value <= 99999) return [String(value), ""];
  let number = value;
  for (const unit of UNITS) {
    number = Math.floor((number + 500) / 1000);
    if (number <= 9999 || unit === "T") return [String(number), unit];
  }
  return [String(number), "T"];
}

function countColumn(value: number, exact: boolean): string {
  const [digits, unit] = count(value, exact);
  if (exact) return `${digits.padStart(8)} `;
  return unit === "" ? `${digits.padStart(5)} ` : `${digits.padStart(4)}${unit} `;
}

/** The lines over a chain's rules. */
export function chainHeader(chain: Chain, format: ListFormat): string {
  const short = (value: number): string => count(value, format.exact).join("");
  const counters = format.verbose ? ` ${short(chain.packets)} packets, ${short(chain.bytes)} bytes` : "";
  const about =
    chain.policy === null ? `${chain.references} references` : `policy ${chain.policy}${counters}`;
  const numbers = format.lineNumbers ? "num  " : "";
  const counts = !format.verbose ? "" : format.exact ? "    pkts      bytes " : " pkts bytes ";
  const interfaces = format.verbose ? " in     out    " : "";
  const columns = `${numbers}${counts}target     prot opt${interfaces} source               destination         `;
  return `Chain ${chain.name} (${about})\n${columns}\n`;
}

function hostColumn(addr: number, mask: number, numeric: boolean): string {
  return mask === 0 && !numeric ? "anywhere" : hostName(addr, mask, numeric);
}

function protocolColumn(proto: number, numeric: boolean): string {
  if (numeric) return String(proto);
  return proto === 0 ? "all" : protocolName(proto);
}

function opt(spec: RuleSpec): string {
  return `${(spec.ip.invert & IPT_INV_FRAG) !== 0 ? "!" : "-"}${spec.ip.fragment ? "f" : "-"}`;
}

/** The name that -L shows: NOTRACK is a form of CT. */
function targetName(spec: RuleSpec): string {
  const { target } = spec;
  if (target === null) return "";
  if (target.name === "chain") return target.chain;
  return target.name === "NOTRACK" ? "CT" : target.name;
}

function extensions(spec: RuleSpec, numeric: boolean): string {
  const { target } = spec;
  const jump = target?.name === "chain" && target.goto ? "[goto] " : "";
  const matches = spec.matches.map((match) => matchText(match, spec.ip.proto, numeric)).join("");
  return `${jump}${matches}${target === null ? "" : targetText(target, numeric)}`;
}

/** One line of the table; `number` counts from 1. */
export function ruleLine(rule: Rule, number: number, format: ListFormat): string {
  const { spec } = rule;
  const { ip } = spec;
  const { numeric, verbose } = format;
  const sign = (bit: number, other: string): string => ((ip.invert & bit) !== 0 ? "!" : other);
  const any = numeric ? "*" : "any";
  const iface = (name: string, bit: number): string =>
    `${sign(bit, "")}${name === "" ? any : name}`.padEnd(6);
  return [
    format.lineNumbers ? String(number).padEnd(5) : "",
    verbose ? countColumn(rule.packets, format.exact) + countColumn(rule.bytes, format.exact) : "",
    `${targetName(spec).padEnd(9)} `,
    `${sign(IPT_INV_PROTO, " ")}${protocolColumn(ip.proto, numeric).padEnd(4)} `,
    `${opt(spec)} `,
    verbose ? ` ${iface(ip.inIface, IPT_INV_VIA_IN)} ${iface(ip.outIface, IPT_INV_VIA_OUT)} ` : "",
    `${sign(IPT_INV_SRCIP, " ")}${hostColumn(ip.src, ip.srcMask, numeric).padEnd(19)} `,
    `${sign(IPT_INV_DSTIP, " ")}${hostColumn(ip.dst, ip.dstMask, numeric).padEnd(19)} `,
    extensions(spec, numeric),
    "\n",
  ].join("");
}

/** The line that `-v` prints about a rule that was added or deleted. */
export function changedLine(spec: RuleSpec): string {
  const { ip } = spec;
  const sign = (bit: number, other: string): string => ((ip.invert & bit) !== 0 ? "!" : other);
  const iface = (name: string, bit: number): string => `${sign(bit, "")}${name === "" ? "*" : name}`;
  return [
    `${targetName(spec)} `,
    `${sign(IPT_INV_PROTO, " ")}${ip.proto === 0 ? "all" : protocolName(ip.proto, false)} `,
    `opt ${opt(spec)} `,
    `in ${iface(ip.inIface, IPT_INV_VIA_IN)} out ${iface(ip.outIface, IPT_INV_VIA_OUT)} `,
    `${sign(IPT_INV_SRCIP, " ")}${hostColumn(ip.src, ip.srcMask, true)} `,
    `${sign(IPT_INV_DSTIP, " ")}-> ${hostColumn(ip.dst, ip.dstMask, true)}  `,
    extensions(spec, true),
    "\n",
  ].join("");
}
