/**
 * What nft makes of a rule before the kernel gets it (src/evaluate.c, src/payload.c, src/rule.c stmt_reduce): a field of a
 * transport header brings along the question for its protocol, and fields side by side are compared as one.
 */
import type { NftMatch, NftStatement } from "../../net/netfilter/nft/nft-rule.ts";
import { SELECTORS, type Selector } from "../../net/netfilter/nft/nft-selector.ts";
import { useOf } from "../../net/netfilter/nft/nft-set.ts";
import type { NftFamily } from "../../net/netfilter/nft/nft-table.ts";
import { protocolName } from "../../net/netfilter/words/names.ts";
import type { NamedUse } from "./set-use.ts";
import { NftTextError, type Place } from "./tokens.ts";

interface Entry {
  statement: NftStatement;
  readonly place: Place;
}

/** What is known of a rule's packets so far. */
export interface Context {
  readonly family: NftFamily;
  reads: Entry[];
  /** It asked for a field of the IPv4 header. */
  network: boolean;
  transport: { readonly proto: number; readonly place: Place } | null;
  /** Sets and maps that it names. */
  readonly uses: NamedUse[];
  /** How many sets and maps of its own it has. */
  sets: number;
}

const PROTOS: Readonly<Record<string, number>> = { tcp: 6, udp: 17, icmp: 1 };

/** Fields side by side in a packet; the first is the one whose place both take, but for `ip protocol`. */
const NEIGHBOURS: readonly (readonly [string, string])[] = [
  ["ip ttl", "ip protocol"],
  ["tcp sport", "tcp dport"],
  ["udp sport", "udp dport"],
  ["icmp type", "icmp code"],
];

export function evaluate(context: Context, { statement, place }: Entry): void {
  if (statement.kind === "match") {
    evaluateMatch(context, statement, place);
    return;
  }
  if (statement.kind === "reject" && statement.target.with === "tcp-reset") needTransport(context, 6, place);
  const { keys } = useOf(statement) ?? { keys: [] };
  for (const key of statement.kind === "set" ? [statement.selector, ...keys] : keys)
    needHeader(context, key, place);
  context.reads.push({ statement, place });
}

function needHeader(context: Context, { proto }: Selector, place: Place): void {
  const wanted = PROTOS[proto];
  if (wanted !== undefined) needTransport(context, wanted, place);
  if (proto === "ip" || proto === "icmp") context.network = true;
}

function evaluateMatch(context: Context, match: NftMatch, place: Place): void {
  const { selector, right } = match;
  needHeader(context, selector, place);
  if (selector.type === "inet_proto" && match.op !== "!=") {
    const proto = right.kind === "value" ? right.value : right.kind === "set" ? right.ranges.at(-1)![0] : -1;
    if (right.kind === "value" && context.transport !== null && context.transport.proto !== proto)
      conflict(context, proto, place);
    if (proto >= 0) context.transport = { proto, place };
  }
  context.reads.push({ statement: match, place });
  join(context);
}

function conflict(context: Context, proto: number, place: Place): never {
  const known = protocolName(context.transport!.proto);
  throw new NftTextError(`conflicting protocols specified: ${known} vs. ${protocolName(proto)}`, place);
}

function needTransport(context: Context, proto: number, place: Place): void {
  const { transport } = context;
  if (transport !== null && transport.proto !== proto) conflict(context, proto, place);
  if (transport !== null) return;
  const selector = SELECTORS.get("meta l4proto")!;
  const right = { kind: "value", value: proto } as const;
  context.reads.push({ statement: { kind: "match", selector, op: "", right, also: null }, place });
  context.transport = { proto, place };
}

/** Compares the last match together with an earlier one on the field next to it. */
function join(context: Context): void {
  const last = context.reads.at(-1)!.statement as NftMatch;
  if (!mayJoin(last)) return;
  const pair = NEIGHBOURS.find((words) => words.includes(last.selector.words));
  if (pair === undefined) return;
  const other = pair[0] === last.selector.words ? pair[1] : pair[0];
  const at = context.reads.findIndex(
    ({ statement }) =>
      statement.kind === "match" &&
      statement.selector.words === other &&
      mayJoin(statement) &&
      isNot(statement) === isNot(last),
  );
  if (at < 0) return;
  const earlier = context.reads[at].statement as NftMatch;
  const [low, high] = pair[0] === last.selector.words ? [last, earlier] : [earlier, last];
  const both: NftMatch = { ...low, also: { selector: high.selector, value: valueIn(high) } };
  const keeper = pair[0] === "ip ttl" ? high : low;
  const keep = keeper === last ? context.reads.length - 1 : at;
  context.reads[keep].statement = both;
  context.reads = context.reads.filter((_, i) => i === keep || (i !== at && i !== context.reads.length - 1));
}

function mayJoin({ op, right, also }: NftMatch): boolean {
  return also === null && right.kind === "value" && (op === "" || op === "==" || op === "!=");
}

function isNot({ op }: NftMatch): boolean {
  return op === "!=";
}

function valueIn({ right }: NftMatch): number {
  return right.kind === "value" ? right.value : 0;
}
