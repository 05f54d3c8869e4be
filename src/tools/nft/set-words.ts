/** Sets and maps of nft(8) from their words (src/parser_bison.y set_block, map_block, set_elem_expr; src/evaluate.c). */
import type { NetNs } from "../../net/core/net-ns.ts";
import type { NftVerdictWord } from "../../net/netfilter/nft/nft-rule.ts";
import { isNftType, type NftType } from "../../net/netfilter/nft/nft-selector.ts";
import type { NftData, NftElement, NftKeyPart, NftSetSpec } from "../../net/netfilter/nft/nft-set.ts";
import { NotModelledError } from "../../util/errors.ts";
import { readElement, readKeys, readName, skipNewlines } from "./match-words.ts";
import { type Cursor, NftTextError, type Place, span } from "./tokens.ts";
import { readValue, typesText } from "./values.ts";

export interface ReadElements {
  readonly elements: readonly NftElement[];
  readonly places: readonly Place[];
}

export interface ReadSet extends ReadElements {
  readonly spec: NftSetSpec;
}

const NO_ELEMENTS: ReadElements = { elements: [], places: [] };
const OTHER_TYPES: ReadonlySet<string> = new Set(
  `ipv6_addr ether_addr ether_type arp_op realm classid uid gid nf_proto hour day time cgroupsv2 icmpv6_type icmpv6_code
  icmpx_code igmp_type ct_dir ct_event ct_label fib_addrtype pkt_type iface_type devgroup dccp_pkttype mh_type dscp ecn
  boolean string`.split(/\s+/),
);
const FLAGS: readonly string[] = ["constant", "interval", "dynamic", "timeout"];
const VERDICTS: ReadonlySet<string> = new Set(["accept", "drop", "return", "jump", "goto"]);

interface Draft {
  types: readonly NftType[];
  typeWords: string;
  data: NftSetSpec["data"];
  dataWords: string;
  flags: Set<string>;
  autoMerge: boolean;
  size: number;
  comment: string;
  /** Where the elements begin; they are read when the types are known. */
  read: ReadElements;
}

/** The block behind the name of a set or map. */
export function readSetBlock(ns: NetNs, cursor: Cursor, isMap: boolean): ReadSet {
  const first = cursor.expect("{");
  const draft: Draft = {
    types: [],
    typeWords: "",
    data: null,
    dataWords: "",
    flags: new Set(),
    autoMerge: false,
    size: 0,
    comment: "",
    read: NO_ELEMENTS,
  };
  for (cursor.skipLines(); !cursor.is("}"); cursor.skipLines()) readOption(ns, cursor, draft, isMap);
  const place = span(first, cursor.last);
  cursor.expect("}");
  if (draft.types.length === 0)
    throw new NftTextError(`${isMap ? "map" : "set"} definition does not specify key`, place);
  if (draft.types.includes("integer") && draft.typeWords === "")
    throw new NftTextError(
      `unqualified type integer specified in ${isMap ? "map" : "set"} definition. Try "typeof expression" instead of "type datatype".`,
      place,
    );
  if (draft.autoMerge && !draft.flags.has("interval"))
    throw new NftTextError("auto-merge only works with interval sets", place);
  return { spec: specOf(draft), ...draft.read };
}

function specOf({ types, typeWords, data, dataWords, flags, autoMerge, size, comment }: Draft): NftSetSpec {
  const constant = flags.has("constant");
  return {
    types,
    typeWords,
    data,
    dataWords,
    constant,
    interval: flags.has("interval"),
    autoMerge,
    size,
    comment,
  };
}

function readOption(ns: NetNs, cursor: Cursor, draft: Draft, isMap: boolean): void {
  const { text } = cursor.token;
  if (text === "type" || text === "typeof") readTypes(cursor, draft, isMap);
  else if (cursor.take("flags")) readFlags(cursor, draft.flags);
  else if (cursor.take("auto-merge")) draft.autoMerge = true;
  else if (cursor.take("size")) draft.size = cursor.number();
  else if (cursor.take("comment")) draft.comment = cursor.next().text;
  else if (cursor.take("elements")) {
    cursor.expect("=");
    draft.read = readElements(ns, cursor, specOf(draft));
  } else if (["timeout", "gc-interval", "counter", "policy"].includes(text))
    throw new NotModelledError(`nft: ${text} of a set`);
  else cursor.unexpected();
}

function readTypes(cursor: Cursor, draft: Draft, isMap: boolean): void {
  const byWords = cursor.next().text === "typeof";
  const key = byWords ? typesOfWords(cursor) : { types: readTypeNames(cursor), words: "" };
  draft.types = key.types;
  draft.typeWords = key.words;
  if (!isMap) return;
  cursor.expect(":");
  if (cursor.take("verdict")) draft.data = "verdict";
  else if (cursor.take("counter")) draft.data = "counter";
  else if (["quota", "limit", "synproxy", "interval"].includes(cursor.token.text))
    throw new NotModelledError(`nft: maps to ${cursor.token.text}`);
  else {
    const data = byWords ? typesOfWords(cursor) : { types: readTypeNames(cursor), words: "" };
    draft.data = data.types;
    draft.dataWords = data.words;
  }
}

function typesOfWords(cursor: Cursor): { types: readonly NftType[]; words: string } {
  const { keys } = readKeys(cursor);
  return { types: keys.map(({ type }) => type), words: keys.map(({ words }) => words).join(" . ") };
}

function readTypeNames(cursor: Cursor): readonly NftType[] {
  const types: NftType[] = [];
  do {
    const token = cursor.name();
    if (OTHER_TYPES.has(token.text)) throw new NotModelledError(`nft: the type ${token.text}`);
    if (!isNftType(token.text)) throw new NftTextError(`unknown datatype ${token.text}`, token);
    types.push(token.text);
  } while (cursor.take("."));
  return types;
}

function readFlags(cursor: Cursor, flags: Set<string>): void {
  do {
    const { text } = cursor.token;
    if (!FLAGS.includes(text)) cursor.unexpected("constant or interval or dynamic or timeout");
    if (text === "dynamic" || text === "timeout") throw new NotModelledError(`nft: sets with ${text}`);
    flags.add(cursor.next().text);
  } while (cursor.take(","));
}

/** `{ 10.0.0.1 . 80 : accept, 10.0.0.2 . 80 : drop }` */
export function readElements(ns: NetNs, cursor: Cursor, spec: NftSetSpec): ReadElements {
  cursor.expect("{");
  const elements: NftElement[] = [];
  const places: Place[] = [];
  do {
    skipNewlines(cursor);
    if (cursor.is("}") && elements.length > 0) break;
    const start = cursor.token;
    const key = readKey(ns, cursor, spec);
    const place = span(start, cursor.last);
    clash(spec, elements, places, key, place);
    const comment = cursor.take("comment") ? cursor.next().text : "";
    if (["timeout", "expires", "counter", "limit", "quota"].includes(cursor.token.text))
      throw new NotModelledError(`nft: ${cursor.token.text} of an element`);
    skipNewlines(cursor);
    const data = cursor.take(":") ? readData(ns, cursor, spec) : null;
    skipNewlines(cursor);
    elements.push({ key, data, comment });
    places.push(place);
  } while (cursor.take(","));
  cursor.expect("}");
  return { elements, places };
}

/** Intervals of one text must not overlap (src/intervals.c set_overlap). */
function clash(
  { interval, autoMerge, types }: NftSetSpec,
  elements: readonly NftElement[],
  places: readonly Place[],
  [part]: readonly NftKeyPart[],
  place: Place,
): void {
  if (!interval || autoMerge || types.length > 1 || typeof part === "string") return;
  const at = elements.findIndex(
    ({ key: [other] }) => typeof other !== "string" && part[0] <= other[1] && other[0] <= part[1],
  );
  if (at < 0) return;
  const [other] = elements[at].key as readonly (readonly [number, number])[];
  if (other[0] !== part[0] || other[1] !== part[1])
    throw new NftTextError("conflicting intervals specified", place, places[at]);
}

function readKey(ns: NetNs, cursor: Cursor, spec: NftSetSpec): readonly NftKeyPart[] {
  if (cursor.is("*")) throw new NotModelledError("nft: * in a set");
  const start = cursor.token;
  const key: NftKeyPart[] = [];
  for (const type of spec.types) {
    if (key.length > 0 && !cursor.take("."))
      throw new NftTextError(
        `invalid data type, expected concatenation of (${typesText(spec.types)})`,
        span(start, cursor.last),
      );
    key.push(readPart(ns, cursor, type, spec.interval));
  }
  if (cursor.is(".")) {
    if (key.length === 1) throw new NotModelledError("nft: more fields of an element than its set has");
    const from = cursor.next();
    throw new NftTextError("Can't parse symbolic invalid expressions", span(from, cursor.next()));
  }
  return key;
}

function readPart(ns: NetNs, cursor: Cursor, type: NftType, interval: boolean): NftKeyPart {
  const start = cursor.token;
  if (type === "ifname") {
    const name = readName(cursor);
    if (name.endsWith("*")) throw new NotModelledError("nft: beginnings of names in a set");
    return name;
  }
  const right = readElement(ns, cursor, type);
  if (right.kind === "value") return [right.value, right.value];
  if (!interval)
    throw new NftTextError(
      `You must add 'flags interval' to your set declaration if you want to add ${right.kind} elements`,
      span(start, cursor.last),
    );
  return right.range;
}

function readData(ns: NetNs, cursor: Cursor, { data, constant }: NftSetSpec): NftData {
  const isVerdict = VERDICTS.has(cursor.token.text);
  if (data === null) throw new NotModelledError("nft: data of an element of a set");
  if (data === "counter") return { kind: "object", name: cursor.name().text };
  if (data === "verdict") {
    if (!isVerdict) cursor.unexpected();
    const verdict = cursor.next().text as NftVerdictWord;
    const jumps = verdict === "jump" || verdict === "goto";
    return { kind: "verdict", verdict, chain: jumps ? cursor.name().text : "" };
  }
  if (isVerdict) throw new NotModelledError("nft: a verdict in a map to values");
  const values: number[] = [];
  for (const type of data) {
    // Where a packet is translated, an address may stand without a port.
    if (values.length > 0 && constant && !cursor.is(".")) break;
    if (values.length > 0) cursor.expect(".");
    const token = cursor.next();
    if (cursor.is("-") || cursor.is("/")) throw new NotModelledError("nft: maps to ranges");
    values.push(readValue(ns, type, token));
  }
  return { kind: "values", values };
}
