/** The words of a rule in `ip rule` (iproute2 6.1 ip/iprule.c iprule_modify, iprule_list_flush_or_save). */
import type { RuleSpec } from "../../net/ctl/rule.ts";
import type { FibRule, FibRuleAction } from "../../net/ipv4/fib-rules.ts";
import { protocolNumber } from "../../net/netfilter/words/names.ts";
import { NotModelledError } from "../../util/errors.ts";
import { prefixToMask } from "../../wire/address.ts";
import { invarg, numberWord, PROTOCOLS, prefixWord, ROUTE_TYPES, TABLES, Words } from "./words.ts";

type Draft = { -readonly [K in keyof RuleSpec]: RuleSpec[K] };

const ACTIONS: readonly FibRuleAction[] = ["blackhole", "unreachable", "prohibit", "nop"];
const OTHER_WORDS: ReadonlySet<string> = new Set(
  "realms tun_id l3mdev suppress_ifgroup sup_group nat map-to".split(" "),
);

export function parseRule(argv: readonly string[]): RuleSpec {
  const words = new Words(argv);
  const draft: Draft = {};
  while (!words.done) takeWord(draft, words.next(), words);
  return draft;
}

function takeWord(draft: Draft, word: string, words: Words): void {
  if (takeSelector(draft, word, words)) return;
  if (word === "goto") {
    const text = words.next();
    if (!/^\d+$/.test(text)) throw invarg("invalid target\n", text);
    draft.action = "goto";
    draft.target = Number(text);
  } else if (word === "table" || word === "lookup")
    draft.table = TABLES.parse(words.next(), "invalid table ID\n");
  else if (word === "suppress_prefixlength" || word === "sup_pl") {
    draft.suppressPrefixLen = numberWord(words.next(), "suppress_prefixlength value is invalid\n");
  } else if (word === "protocol" || word === "proto") draft.protocol = PROTOCOLS.parse(words.next());
  else takeAction(draft, word === "type" ? words.next() : word);
}

function takeAction(draft: Draft, word: string): void {
  const action = ACTIONS.find((one) => one === word);
  if (action !== undefined) draft.action = action;
  else if (OTHER_WORDS.has(word) || ROUTE_TYPES.has(word)) throw new NotModelledError(`ip rule: ${word}`);
  else throw invarg("Failed to parse rule type", word);
}

/** What a packet must be like, and the priority. */
function takeSelector(draft: Draft, word: string, words: Words): boolean {
  if (word === "not") draft.invert = true;
  else if (word === "from" || word === "to") takePrefix(draft, word, words.next());
  else if (["priority", "preference", "order", "pref", "prio"].includes(word)) {
    draft.priority = numberWord(words.next(), "preference value is invalid\n");
  } else if (word === "fwmark") takeMark(draft, words.next());
  else if (word === "tos" || word === "dsfield")
    draft.tos = numberWord(words.next(), "TOS value is invalid\n");
  else if (word === "iif" || word === "dev") draft.iif = words.next();
  else if (word === "oif") draft.oif = words.next();
  else if (word === "ipproto") draft.ipProto = ipProtoWord(words.next());
  else if (word === "sport") [draft.sportMin, draft.sportMax] = portRange(words.next(), "sport");
  else if (word === "dport") [draft.dportMin, draft.dportMax] = portRange(words.next(), "dport");
  else if (word === "uidrange") [draft.uidMin, draft.uidMax] = uidRange(words.next());
  else return false;
  return true;
}

function uidRange(text: string): [number, number] {
  const found = /^(\d+)-(\d+)$/.exec(text);
  if (found === null) throw invarg("invalid UID range\n", text);
  return [Number(found[1]), Number(found[2])];
}

export function ipProtoWord(text: string): number {
  const proto = /^\d+$/.test(text) ? Number(text) : protocolNumber(text);
  if (proto === null || proto > 255) throw invarg('Invalid "ipproto" value\n', text);
  return proto;
}

/** Read as sscanf reads two numbers of 16 bits. */
function portRange(text: string, what: string): [number, number] {
  const found = /^(\d+)(?:-(\d+))?/.exec(text);
  if (found === null) throw invarg(`invalid ${what} range\n`, text);
  const low = Number(found[1]) & 0xffff;
  return [low, found[2] === undefined ? low : Number(found[2]) & 0xffff];
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
  draft.fwmark = numberWord(mark, "fwmark value is invalid\n") | 0;
  draft.fwmask = mask === undefined ? -1 : numberWord(mask, "fwmask value is invalid\n") | 0;
}

/** Whether a listing that asks for `wanted` shows the rule: prefixes within, all else equal (filter_nlmsg). */
export function ruleShown(rule: FibRule, wanted: RuleSpec): boolean {
  const { src = 0, srcLen = 0, dst = 0, dstLen = 0, fwmask, ...rest } = wanted;
  if (!within(rule.src, rule.srcLen, src, srcLen) || !within(rule.dst, rule.dstLen, dst, dstLen))
    return false;
  if (fwmask !== undefined && fwmask !== -1 && rule.fwmask !== fwmask) return false;
  return (Object.keys(rest) as (keyof FibRule)[]).every((key) => rule[key] === wanted[key]);
}

function within(addr: number, len: number, prefix: number, prefixLen: number): boolean {
  return prefixLen === 0 || (len >= prefixLen && ((addr ^ prefix) & prefixToMask(prefixLen)) === 0);
}
