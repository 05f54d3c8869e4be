/** A rule of nft(8) from its words (src/parser_bison.y): statements in their order, with the places they stand at. */
import type { NetNs } from "../../net/core/net-ns.ts";
import type { NftStatement, NftVerdictWord } from "../../net/netfilter/nft/nft-rule.ts";
import type { Selector } from "../../net/netfilter/nft/nft-selector.ts";
import type { NftUse } from "../../net/netfilter/nft/nft-set.ts";
import { NftCounter, type NftFamily } from "../../net/netfilter/nft/nft-table.ts";
import type { RejectWith } from "../../net/netfilter/rule-spec.ts";
import { NotModelledError } from "../../util/errors.ts";
import { type Context, evaluate } from "./evaluate.ts";
import { beginsSelector, moreKeys, type ReadKeys, readKeys, readMatch, readSelector } from "./match-words.ts";
import { readNat } from "./nat-words.ts";
import { type NamedUse, readUse } from "./set-use.ts";
import { type Cursor, NftTextError, type Place, span, type Token } from "./tokens.ts";
import { ICMP_CODES, readValue } from "./values.ts";

export interface ReadRule {
  readonly statements: readonly NftStatement[];
  /** Of each statement what a refusal is about. */
  readonly places: readonly Place[];
  readonly comment: string;
  /** How many anonymous sets it has. */
  readonly sets: number;
  /** The others that it names. */
  readonly uses: readonly NamedUse[];
  readonly place: Place;
}

const VERDICTS: ReadonlySet<string> = new Set(["accept", "drop", "return", "jump", "goto"]);
const LEVELS: readonly string[] = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];

/** One statement as it was read. */
export interface Read {
  readonly statement: NftStatement;
  /** Of the selector, the verdict, the name: what is said to be wrong. */
  readonly place: Place;
}

export function readRule(ns: NetNs, family: NftFamily, cursor: Cursor): ReadRule {
  const first = cursor.token;
  const context: Context = { family, reads: [], network: false, transport: null, uses: [], sets: 0 };
  let ended: Place | null = null;
  while (!cursor.atEnd && !cursor.is("}") && !(cursor.is("comment") && context.reads.length > 0)) {
    const start = cursor.token;
    const read = readStatement(ns, context, cursor);
    const all = span(start, cursor.last);
    if (ended !== null)
      throw new NftTextError("Statement after terminal statement has no effect", all, ended);
    evaluate(context, read);
    if (isTerminal(read.statement)) ended = all;
  }
  if (context.reads.length === 0) cursor.unexpected();
  const place = span(first, cursor.last);
  const comment = cursor.take("comment") ? cursor.next().text : "";
  const reads = context.reads;
  return {
    statements: reads.map(({ statement }) => statement),
    places: reads.map((read) => read.place),
    comment,
    sets:
      context.sets +
      reads.filter(({ statement }) => statement.kind === "match" && isSet(statement.right)).length,
    uses: context.uses,
    place,
  };
}

function isSet(right: { readonly kind: string; readonly isSet?: boolean }): boolean {
  return right.kind === "set" || right.isSet === true;
}

function isTerminal({ kind }: NftStatement): boolean {
  return kind === "verdict" || kind === "reject" || kind === "nat";
}

function readStatement(ns: NetNs, context: Context, cursor: Cursor): Read {
  if (beginsSelector(cursor)) return readExpression(ns, context, cursor);
  const first = cursor.token;
  if (first.kind !== "word") cursor.unexpected();
  cursor.next();
  const nat = readNat(ns, context, cursor, first);
  if (nat !== null) return nat;
  if (VERDICTS.has(first.text)) return readVerdict(cursor, first);
  switch (first.text) {
    case "counter":
      return readCounter(ns, context, cursor, first);
    case "log":
      return readLog(cursor, first);
    case "reject":
      return readReject(context, cursor, first);
    case "notrack":
      return { statement: { kind: "notrack" }, place: first };
    case "continue":
      throw new NotModelledError("nft: continue");
    case "comment":
      throw new NftTextError("syntax error, unexpected comment", first);
    default:
      if (cursor.atEnd) cursor.unexpected();
      throw new NftTextError("No symbol type information", first);
  }
}

function readExpression(ns: NetNs, context: Context, cursor: Cursor): Read {
  const read = readSelector(cursor);
  const keys = moreKeys(cursor, read.selector, read.place);
  if (cursor.take("vmap")) {
    const use = readUse(ns, context, cursor, keys, "verdict");
    return { statement: { kind: "vmap", use }, place: keys.place };
  }
  if (keys.keys.length > 1 || cursor.is("@") || cursor.isAhead("@")) {
    const negate = cursor.take("!=");
    if (!negate) cursor.take("==");
    if (!cursor.is("{") && !cursor.is("@"))
      throw new NotModelledError("nft: several fields against one value");
    const use = readUse(ns, context, cursor, keys, null);
    return { statement: { kind: "lookup", use, negate }, place: keys.place };
  }
  if (cursor.is("map")) return unused(ns, context, cursor, keys);
  if (!cursor.take("set")) return { statement: readMatch(ns, cursor, read), place: read.place };
  return { statement: readSetStatement(ns, context, cursor, read.selector), place: read.place };
}

/** A value of a map with which nothing is done. */
function unused(ns: NetNs, context: Context, cursor: Cursor, keys: ReadKeys): never {
  cursor.next();
  readUse(ns, context, cursor, keys, ["mark"]);
  return cursor.unexpected();
}

/** `meta mark set 5`, `ip saddr set ip daddr map @names` */
function readSetStatement(ns: NetNs, context: Context, cursor: Cursor, selector: Selector): NftStatement {
  const { type, words, proto } = selector;
  const writable = type === "mark" || words === "ip ttl" || (proto !== "" && /addr|port/.test(words));
  if (!writable) throw new NotModelledError(`nft: ${words} set`);
  let map: NftUse | null = null;
  let from: Selector | null = null;
  if (beginsSelector(cursor)) {
    const keys = readKeys(cursor);
    if (cursor.take("map")) map = readUse(ns, context, cursor, keys, [type]);
    else if (keys.keys.length === 1) from = keys.keys[0];
  }
  if (from !== null && (from.type !== "mark" || type !== "mark"))
    throw new NotModelledError(`nft: ${words} set ${from.words}`);
  const value = from === null && map === null ? readValue(ns, type, cursor.next()) : 0;
  if (!cursor.atEnd && "&|^andxor".includes(cursor.token.text))
    throw new NotModelledError(`nft: ${cursor.token.text}`);
  return { kind: "set", selector, value, from, map };
}

function readVerdict(cursor: Cursor, first: Token): Read {
  const verdict = first.text as NftVerdictWord;
  if (verdict !== "jump" && verdict !== "goto")
    return { statement: { kind: "verdict", verdict, chain: "" }, place: first };
  const name = cursor.name();
  return { statement: { kind: "verdict", verdict, chain: name.text }, place: name };
}

function readCounter(ns: NetNs, context: Context, cursor: Cursor, first: Token): Read {
  if (cursor.take("name")) {
    if (cursor.token.kind === "word" && beginsSelector(cursor)) {
      const keys = readKeys(cursor);
      cursor.expect("map");
      const use = readUse(ns, context, cursor, keys, "counter");
      return { statement: { kind: "objects", use }, place: keys.place };
    }
    const name = cursor.name();
    return { statement: { kind: "object", name: name.text }, place: name };
  }
  const packets = cursor.take("packets") ? cursor.number() : 0;
  const bytes = cursor.take("bytes") ? cursor.number() : 0;
  return { statement: { kind: "counter", counter: new NftCounter("", packets, bytes) }, place: first };
}

function readLog(cursor: Cursor, first: Token): Read {
  let prefix = "";
  let level = 4;
  for (;;) {
    if (cursor.take("prefix")) prefix = cursor.name().text;
    else if (cursor.take("level")) level = readLevel(cursor);
    else break;
  }
  if (["group", "flags", "snaplen", "queue-threshold"].includes(cursor.token.text))
    throw new NotModelledError(`nft: log ${cursor.token.text}`);
  return { statement: { kind: "log", target: { name: "LOG", level, prefix, flags: 0 } }, place: first };
}

function readLevel(cursor: Cursor): number {
  const token = cursor.name();
  if (token.text === "audit") throw new NotModelledError("nft: log level audit");
  const level = LEVELS.indexOf(token.text);
  if (level < 0) throw new NftTextError("invalid log level", token);
  return level;
}

/** The answers of REJECT by their codes. */
export const REJECT_CODES: readonly (readonly [number, RejectWith])[] = [
  [0, "icmp-net-unreachable"],
  [1, "icmp-host-unreachable"],
  [2, "icmp-proto-unreachable"],
  [3, "icmp-port-unreachable"],
  [9, "icmp-net-prohibited"],
  [10, "icmp-host-prohibited"],
  [13, "icmp-admin-prohibited"],
];

function readReject(context: Context, cursor: Cursor, first: Token): Read {
  // In an inet table a bare one is for both families, unless the rule is about IPv4.
  const withFamily = context.family === "inet" && (context.network || cursor.is("with"));
  const done = (answer: RejectWith): Read => ({
    statement: { kind: "reject", target: { name: "REJECT", with: answer }, withFamily },
    place: first,
  });
  if (!cursor.take("with")) return done("icmp-port-unreachable");
  if (cursor.is("tcp")) {
    cursor.next();
    cursor.expect("reset");
    if (context.transport !== null && context.transport.proto !== 6)
      throw new NftTextError("you cannot use tcp reset with this protocol", first, context.transport.place);
    return done("tcp-reset");
  }
  if (cursor.is("icmpx") || cursor.is("icmpv6"))
    throw new NotModelledError(`nft: reject with ${cursor.token.text}`);
  cursor.expect("icmp");
  cursor.take("type");
  const token = cursor.next();
  const named = ICMP_CODES.find(([name]) => name === token.text);
  const code = token.kind === "number" ? Number(token.text) : named?.[1];
  const answer = REJECT_CODES.find(([number]) => number === code);
  if (answer === undefined) throw new NftTextError("Could not parse icmp code", token);
  return done(answer[1]);
}
