/** A command of nft(8) as it was read, and the words that begin one (src/parser_bison.y). */
import type { NftRulePlace, NftTableRef } from "../../net/ctl/nft.ts";
import type { NftElement, NftSetSpec } from "../../net/netfilter/nft/nft-set.ts";
import type { NftBase, NftFamily } from "../../net/netfilter/nft/nft-table.ts";
import type { ReadRule } from "./rule-words.ts";
import type { Place } from "./tokens.ts";

export type Verb = "add" | "create" | "insert" | "delete" | "flush" | "list" | "reset";
export type What =
  | "ruleset"
  | "tables"
  | "table"
  | "chains"
  | "chain"
  | "rule"
  | "counters"
  | "counter"
  | "sets"
  | "set"
  | "maps"
  | "map"
  | "element";

/** Where the parts of a command stand; what a refusal is about. */
export interface Places {
  readonly command: Place;
  readonly table: Place;
  /** Of the chain or counter. */
  readonly name: Place;
  readonly handle: Place;
  readonly elements: readonly Place[];
}

export interface NftCommand {
  readonly verb: Verb;
  readonly what: What;
  readonly family: NftFamily | null;
  readonly ref: NftTableRef;
  /** Of the chain or counter, "" for none. */
  readonly name: string;
  readonly places: Places;
  readonly base: NftBase | null;
  readonly drops: boolean | null;
  readonly rule: ReadRule | null;
  readonly spec: NftSetSpec | null;
  readonly elements: readonly NftElement[];
  readonly rulePlace: NftRulePlace;
  readonly handle: number;
  readonly packets: number;
  readonly bytes: number;
}

export type Given = Partial<NftCommand> & { at?: Partial<Places> };

export const VERBS: ReadonlySet<string> = new Set([
  "add",
  "create",
  "insert",
  "delete",
  "flush",
  "list",
  "reset",
]);
export const OTHER_VERBS: ReadonlySet<string> = new Set(
  "replace rename import export monitor describe destroy define undefine redefine include get".split(" "),
);
export const OBJECTS: ReadonlySet<string> = new Set([
  "ruleset",
  "tables",
  "table",
  "chains",
  "chain",
  "rule",
  "counters",
  "counter",
  "sets",
  "set",
  "maps",
  "map",
  "element",
]);
export const PLURALS: ReadonlySet<string> = new Set([
  "ruleset",
  "tables",
  "chains",
  "counters",
  "sets",
  "maps",
]);
export const OTHER_OBJECTS: ReadonlySet<string> = new Set(
  "flowtable flowtables quota quotas limit limits ct meter meters secmark secmarks synproxy synproxys hooks rules".split(
    " ",
  ),
);
export const OTHER_FAMILIES: ReadonlySet<string> = new Set(["ip6", "arp", "bridge", "netdev"]);
