/** Tables as nft(8) lists them (src/rule.c, src/statement.c, src/expression.c, src/netlink_delinearize.c). */
import {
  NF_INET_FORWARD,
  NF_INET_LOCAL_IN,
  NF_INET_LOCAL_OUT,
  NF_INET_POST_ROUTING,
  NF_INET_PRE_ROUTING,
} from "../../net/core/hooks.ts";
import { NF_NAT_RANGE_MAP_IPS, NF_NAT_RANGE_PROTO_SPECIFIED } from "../../net/netfilter/nat/nat-range.ts";
import { isFlags } from "../../net/netfilter/nft/nft-compile.ts";
import type { NftMatch, NftRange, NftRight, NftStatement } from "../../net/netfilter/nft/nft-rule.ts";
import type { Selector } from "../../net/netfilter/nft/nft-selector.ts";
import { type NftUse, useOf } from "../../net/netfilter/nft/nft-set.ts";
import type {
  NftBase,
  NftChain,
  NftCounter,
  NftFamily,
  NftRule,
  NftTable,
} from "../../net/netfilter/nft/nft-table.ts";
import type { RejectTarget } from "../../net/netfilter/rule-spec.ts";
import { formatIp4 } from "../../wire/address.ts";
import { handleText, type ListOptions } from "./list-options.ts";
import { setText, sortedNames, useText } from "./list-set.ts";
import { NAT_FLAGS } from "./nat-words.ts";
import { REJECT_CODES } from "./rule-words.ts";
import { flagWords, ICMP_CODES, networkText, writeValue } from "./values.ts";

export const HOOK_NAMES: readonly string[] = ["prerouting", "input", "forward", "output", "postrouting"];
const LOG_LEVELS: readonly string[] = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];
const LEVEL_WARNING = 4;

const ANY = [NF_INET_PRE_ROUTING, NF_INET_LOCAL_IN, NF_INET_FORWARD, NF_INET_LOCAL_OUT, NF_INET_POST_ROUTING];

/** Names of priorities, and the hooks that have them. */
export const PRIORITIES: readonly (readonly [string, number, readonly number[]])[] = [
  ["raw", -300, ANY],
  ["mangle", -150, ANY],
  ["dstnat", -100, [NF_INET_PRE_ROUTING, NF_INET_LOCAL_OUT]],
  ["filter", 0, ANY],
  ["security", 50, ANY],
  ["srcnat", 100, [NF_INET_POST_ROUTING]],
];
/** A priority so near to a named one is written with its name. */
const NEAR = 10;

export function listTable(options: ListOptions, table: NftTable): string {
  const blocks = [
    ...table.counters.map((counter) => counterText(options, counter)),
    ...table.sets.map((set) => setText(options, set)),
    ...table.chains.map((chain) => chainText(options, chain)),
  ];
  return tableText(options, table, blocks.join("\n"));
}

/** The table around some of its parts. */
export function tableText(options: ListOptions, table: NftTable, body: string): string {
  return `table ${table.family} ${table.name} {${handleText(options, table.handle)}\n${body}}\n`;
}

export function counterText(options: ListOptions, counter: NftCounter): string {
  const { name, packets, bytes, handle } = counter;
  const counted = options.stateless ? "" : `\t\tpackets ${packets} bytes ${bytes}\n`;
  return `\tcounter ${name} {${handleText(options, handle)}\n${counted}\t}\n`;
}

export function chainText(options: ListOptions, chain: NftChain, rules = true): string {
  const lines = [`\tchain ${chain.name} {${handleText(options, chain.handle)}`];
  const { base } = chain;
  if (base !== null) {
    const priority = options.numeric ? String(base.priority) : priorityText(base);
    lines.push(
      `\t\ttype ${base.type} hook ${HOOK_NAMES[base.hook]} priority ${priority}; policy ${chain.drops ? "drop" : "accept"};`,
    );
  }
  if (rules) for (const rule of chain.rules) lines.push(`\t\t${ruleText(options, chain.table, rule)}`);
  return `${lines.join("\n")}\n\t}\n`;
}

function priorityText({ priority, hook }: NftBase): string {
  const near = PRIORITIES.find(
    ([, value, hooks]) => hooks.includes(hook) && Math.abs(priority - value) <= NEAR,
  );
  if (near === undefined) return String(priority);
  const [name, value] = near;
  if (priority === value) return name;
  return `${name} ${priority < value ? "-" : "+"} ${Math.abs(priority - value)}`;
}

export function ruleText(options: ListOptions, table: NftTable, rule: NftRule): string {
  const words = withoutImplied(table, rule.statements).map((one) => statementText(options, one));
  if (rule.comment !== "") words.push(`comment "${rule.comment}"`);
  return words.join(" ") + handleText(options, rule.handle);
}

const PROTOS: Readonly<Record<string, number>> = { tcp: 6, udp: 17, icmp: 1 };

/** A question for the protocol is not written when the next one of the transport header says it too. */
function withoutImplied({ family }: NftTable, statements: readonly NftStatement[]): readonly NftStatement[] {
  const left: NftStatement[] = [];
  let asked: NftMatch | null = null;
  for (const statement of statements) {
    const proto = protoOf(family, statement);
    if (proto !== null && asked !== null) {
      left.splice(left.indexOf(asked), 1, ...(asked.also === null ? [] : [{ ...asked, also: null }]));
      asked = null;
    }
    const known = asks(statement);
    if (statement.kind !== "match") asked = null;
    else if (known !== null) asked = family === "inet" && known === "ip protocol" ? null : statement;
    left.push(statement);
  }
  return left;
}

function protoOf(family: NftFamily, statement: NftStatement): number | null {
  if (statement.kind === "match") return PROTOS[statement.selector.proto] ?? null;
  const keys = useOf(statement)?.keys ?? [];
  const looked = statement.kind === "set" ? [statement.selector, ...keys] : keys;
  const found = looked.find(({ proto }) => PROTOS[proto] !== undefined);
  if (found !== undefined) return PROTOS[found.proto];
  const reset = statement.kind === "reject" && statement.target.with === "tcp-reset";
  return reset && family === "ip" ? 6 : null;
}

function asks(statement: NftStatement): string | null {
  if (statement.kind !== "match" || statement.right.kind !== "value" || statement.op === "!=") return null;
  const { words, type } = statement.selector;
  if (statement.also?.selector.type === "inet_proto") return "ip protocol";
  return type === "inet_proto" ? words : null;
}

function statementText(options: ListOptions, statement: NftStatement): string {
  switch (statement.kind) {
    case "match":
      return matchText(options, statement);
    case "counter": {
      const { packets, bytes } = statement.counter;
      return options.stateless ? "counter" : `counter packets ${packets} bytes ${bytes}`;
    }
    case "object":
      return `counter name "${statement.name}"`;
    case "verdict":
      return statement.chain === "" ? statement.verdict : `${statement.verdict} ${statement.chain}`;
    case "log": {
      const { prefix, level } = statement.target;
      const named = level === LEVEL_WARNING ? "" : ` level ${LOG_LEVELS[level]}`;
      return `log${prefix === "" ? "" : ` prefix "${prefix}"`}${named}`;
    }
    case "reject":
      return rejectText(options, statement.target, statement.withFamily);
    case "nat":
      return natText(options, statement);
    case "notrack":
      return "notrack";
    case "lookup":
      return `${keysText(statement.use)} ${statement.negate ? "!= " : ""}${useText(options, statement.use)}`;
    case "vmap":
      return `${keysText(statement.use)} vmap ${useText(options, statement.use)}`;
    case "objects":
      return `counter name ${mapText(options, statement.use)}`;
    default:
      return `${statement.selector.words} set ${setValueText(options, statement)}`;
  }
}

function keysText({ keys }: NftUse): string {
  return keys.map(({ words }) => words).join(" . ");
}

function mapText(options: ListOptions, use: NftUse): string {
  return `${keysText(use)} map ${useText(options, use)}`;
}

function setValueText(options: ListOptions, statement: NftStatement & { kind: "set" }): string {
  const { selector, value, from, map } = statement;
  if (map !== null) return mapText(options, map);
  return from?.words ?? writeValue(options.ns, selector.type, value, options.numeric);
}

function rejectText({ numeric }: ListOptions, target: RejectTarget, withFamily: boolean): string {
  if (target.with === "tcp-reset") return "reject with tcp reset";
  if (target.with === "icmp-port-unreachable" && !withFamily) return "reject";
  const code = REJECT_CODES.find(([, answer]) => answer === target.with)![0];
  const name = numeric ? String(code) : ICMP_CODES.find(([, value]) => value === code)![0];
  return `reject with icmp ${name}`;
}

function natText(options: ListOptions, { target, withFamily, map }: NftStatement & { kind: "nat" }): string {
  const { flags, minAddr, maxAddr, minPort, maxPort } = target;
  const words = [target.name.toLowerCase()];
  if (withFamily) words.push("ip");
  const hasAddr = (flags & NF_NAT_RANGE_MAP_IPS) !== 0;
  const hasPort = (flags & NF_NAT_RANGE_PROTO_SPECIFIED) !== 0;
  const last = maxAddr === minAddr ? "" : `-${formatIp4(maxAddr)}`;
  const addr = map !== null ? mapText(options, map) : hasAddr ? formatIp4(minAddr) + last : "";
  const port = hasPort ? `:${minPort}${maxPort === minPort ? "" : `-${maxPort}`}` : "";
  if (hasAddr || hasPort) words.push(`to ${addr}${port}`);
  const named = NAT_FLAGS.filter(([, bit]) => (flags & bit) !== 0).map(([word]) => word);
  if (named.length > 0) words.push(named.join(","));
  return words.join(" ");
}

function matchText(options: ListOptions, match: NftMatch): string {
  const { selector, op, right, also } = match;
  const first = comparison(options, selector, op, right);
  if (also === null) return first;
  return `${first} ${comparison(options, also.selector, op, { kind: "value", value: also.value })}`;
}

function comparison(options: ListOptions, selector: Selector, op: NftMatch["op"], right: NftRight): string {
  const shown = op === "" || (op === "==" && !isFlags(selector)) ? "" : `${op} `;
  return `${selector.words} ${shown}${rightText(options, selector, op, right)}`;
}

function rightText(options: ListOptions, selector: Selector, op: NftMatch["op"], right: NftRight): string {
  const { ns, numeric } = options;
  const { type } = selector;
  const value = (number: number) => writeValue(ns, type, number, numeric);
  const range = ([low, high]: NftRange) => `${value(low)}-${value(high)}`;
  switch (right.kind) {
    case "value":
      return isFlags(selector) && op === "!="
        ? flagWords(type, right.value, numeric).join(" | ")
        : value(right.value);
    case "range":
      return range(right.range);
    case "prefix":
      return networkText(right.range)!;
    case "names": {
      const names = sortedNames(right.names)
        .map((name) => `"${name}"`)
        .join(", ");
      return right.isSet ? `{ ${names} }` : names;
    }
    default: {
      const elements = right.ranges.map((one) => {
        if (one[0] === one[1]) return value(one[0]);
        return (type === "ipv4_addr" ? networkText(one) : null) ?? range(one);
      });
      return `{ ${elements.join(", ")} }`;
    }
  }
}
