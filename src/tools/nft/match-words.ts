/** Matches of nft(8): what is looked at, the operator and the right side (src/parser_bison.y, src/evaluate.c). */
import type { NetNs } from "../../net/core/net-ns.ts";
import { isFlags } from "../../net/netfilter/nft/nft-compile.ts";
import type { NftMatch, NftOp, NftRange, NftRight } from "../../net/netfilter/nft/nft-rule.ts";
import { type NftType, SELECTORS, type Selector } from "../../net/netfilter/nft/nft-selector.ts";
import { NotModelledError } from "../../util/errors.ts";
import { type Cursor, NftTextError, type Place, span, type Token } from "./tokens.ts";
import { readValue, typesText } from "./values.ts";

const GROUPS: ReadonlySet<string> = new Set(["ip", "th", "tcp", "udp", "icmp", "ct", "meta"]);
const BARE: ReadonlySet<string> = new Set(["iif", "oif", "iifname", "oifname"]);
const OPS: ReadonlySet<string> = new Set(["==", "!=", "<", ">", "<=", ">=", "!"]);
/** Words of nft that begin something else that a rule may look at or do. */
const UNKNOWN: ReadonlySet<string> = new Set(
  `ip6 icmpv6 ether arp vlan sctp dccp udplite ah esp comp hbh frag rt mh dst srh igmp fib numgen jhash symhash socket osf
  ipsec exthdr tunnel gre limit quota queue dup fwd tproxy synproxy set add update delete flow secmark helper last xt
  iiftype oiftype iifgroup oifgroup nfproto l4proto skuid skgid pkttype length protocol nftrace cpu rtclassid`.split(
    /\s+/,
  ),
);

export interface ReadSelector {
  readonly selector: Selector;
  readonly place: Place;
}

/** Whether a selector begins here. */
export function beginsSelector(cursor: Cursor): boolean {
  const { kind, text } = cursor.token;
  if (kind === "sign" && (text === "@" || text === "(")) throw new NotModelledError(`nft: ${text}`);
  if (kind !== "word") return false;
  if (UNKNOWN.has(text)) throw new NotModelledError(`nft: ${text}`);
  return GROUPS.has(text) || BARE.has(text) || text === "mark";
}

export function readSelector(cursor: Cursor): ReadSelector {
  const first = cursor.next();
  if (first.text === "mark") return { selector: SELECTORS.get("meta mark")!, place: first };
  if (BARE.has(first.text)) return { selector: SELECTORS.get(first.text)!, place: first };
  const second = cursor.name();
  const place = span(first, second);
  const words = first.text === "meta" && BARE.has(second.text) ? second.text : `${first.text} ${second.text}`;
  const selector = SELECTORS.get(words);
  if (selector === undefined) throw new NotModelledError(`nft: ${words}`);
  return { selector, place };
}

export interface ReadKeys {
  readonly keys: readonly Selector[];
  readonly place: Place;
}

/** Selectors that are looked for together: `ip saddr . tcp dport`. */
export function readKeys(cursor: Cursor): ReadKeys {
  const { selector, place } = readSelector(cursor);
  return moreKeys(cursor, selector, place);
}

/** The ones behind the first. */
export function moreKeys(cursor: Cursor, first: Selector, start: Place): ReadKeys {
  const keys = [first];
  let place = start;
  while (cursor.take(".")) {
    if (!beginsSelector(cursor)) cursor.unexpected();
    const next = readSelector(cursor);
    keys.push(next.selector);
    place = span(start, next.place);
  }
  return { keys, place };
}

/** What stands behind a selector. `sets`: whether an anonymous set came along. */
export function readMatch(ns: NetNs, cursor: Cursor, { selector }: ReadSelector): NftMatch {
  const op = OPS.has(cursor.token.text) && cursor.token.kind === "sign" ? (cursor.next().text as NftOp) : "";
  if (op === "" && "&|^".includes(cursor.token.text)) throw new NotModelledError(`nft: ${cursor.token.text}`);
  if (["and", "or", "xor", "lshift", "rshift"].includes(cursor.token.text))
    throw new NotModelledError(`nft: ${cursor.token.text}`);
  const { right, single } = cursor.is("{") ? readSet(ns, cursor, selector) : readRight(ns, cursor, selector);
  // A set of one is that one, compared as it is.
  const implied = single && op === "" && isFlags(selector) ? "==" : op;
  return { kind: "match", selector, op: implied, right, also: null };
}

interface ReadRight {
  readonly right: NftRight;
  /** It was the only element of a set. */
  readonly single: boolean;
}

function readRight(ns: NetNs, cursor: Cursor, selector: Selector): ReadRight {
  if (cursor.is("@") || cursor.is("$")) throw new NotModelledError(`nft: ${cursor.token.text}`);
  if (selector.type === "ifname")
    return { right: { kind: "names", names: [readName(cursor)], isSet: false }, single: false };
  const place = cursor.token;
  const right = readElement(ns, cursor, selector.type);
  if (right.kind !== "value" || !(cursor.is(",") || cursor.is("|") || cursor.is("/")))
    return { right, single: false };
  if (cursor.is("/")) throw new NotModelledError("nft: /");
  if (!isFlags(selector))
    throw new NftTextError(`Basetype of type ${typesText([selector.type])} is not bitmask`, place);
  let { value } = right;
  while (cursor.take(",") || cursor.take("|")) value |= readValue(ns, selector.type, valueToken(cursor));
  if (cursor.is("/")) throw new NotModelledError("nft: /");
  return { right: { kind: "value", value }, single: false };
}

export function readName(cursor: Cursor): string {
  const { kind } = cursor.token;
  if (kind !== "word" && kind !== "quoted") cursor.unexpected();
  return cursor.next().text;
}

function valueToken(cursor: Cursor): Token {
  if (cursor.is("@") || cursor.is("$")) throw new NotModelledError(`nft: ${cursor.token.text}`);
  const { kind } = cursor.token;
  if (kind !== "word" && kind !== "quoted" && kind !== "number") cursor.unexpected();
  return cursor.next();
}

/** A value, a range or a network. */
export function readElement(
  ns: NetNs,
  cursor: Cursor,
  type: NftType,
): Exclude<NftRight, { kind: "names" | "set" }> {
  const first = valueToken(cursor);
  const low = readValue(ns, type, first);
  if (type === "ipv4_addr" && cursor.take("/")) return readPrefix(cursor, low);
  if (!cursor.take("-")) return { kind: "value", value: low };
  const last = valueToken(cursor);
  const high = readValue(ns, type, last);
  if (high < low) throw new NftTextError("Range has zero or negative size", span(first, last));
  return { kind: "range", range: [low, high] };
}

function readPrefix(cursor: Cursor, addr: number): Exclude<NftRight, { kind: "names" | "set" }> {
  const at = cursor.token;
  const length = cursor.number();
  if (length > 32) throw new NftTextError(`Prefix length ${length} is invalid for type of 32 bits width`, at);
  if (length === 32) return { kind: "value", value: addr };
  const hosts = 2 ** (32 - length);
  const low = addr - (addr % hosts);
  return { kind: "prefix", range: [low, low + hosts - 1] };
}

/** An anonymous set: in rising order, and joined where it has ranges. */
function readSet(ns: NetNs, cursor: Cursor, selector: Selector): ReadRight {
  cursor.expect("{");
  const elements: NftRight[] = [];
  do {
    skipNewlines(cursor);
    if (cursor.is("}") && elements.length > 0) break;
    elements.push(
      selector.type === "ifname"
        ? { kind: "names", names: [readName(cursor)], isSet: true }
        : readElement(ns, cursor, selector.type),
    );
    skipNewlines(cursor);
    if (cursor.is(".") || cursor.is(":") || cursor.is("|") || cursor.is("comment"))
      throw new NotModelledError(`nft: ${cursor.token.text} in a set`);
  } while (cursor.take(","));
  cursor.expect("}");
  if (elements.length === 1) {
    const [only] = elements;
    return { right: only.kind === "names" ? { ...only, isSet: false } : only, single: true };
  }
  return { right: joined(elements), single: false };
}

export function skipNewlines(cursor: Cursor): void {
  while (cursor.token.kind === "newline") cursor.next();
}

function joined(elements: readonly NftRight[]): NftRight {
  const names = elements.flatMap((element) => (element.kind === "names" ? element.names : []));
  if (names.length > 0) return { kind: "names", names: [...new Set(names)], isSet: true };
  const ranges = elements.flatMap((element): NftRange[] => {
    if (element.kind === "value") return [[element.value, element.value]];
    return element.kind === "range" || element.kind === "prefix" ? [element.range] : [];
  });
  const intervals = elements.some((element) => element.kind !== "value");
  const sorted = ranges.toSorted((a, b) => a[0] - b[0]);
  const result: NftRange[] = [];
  for (const [low, high] of sorted) {
    const last = result.at(-1);
    if (last === undefined || low > last[1] + (intervals ? 1 : 0)) result.push([low, high]);
    else result[result.length - 1] = [last[0], Math.max(last[1], high)];
  }
  return { kind: "set", ranges: result };
}
