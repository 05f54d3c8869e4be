/**
 * A rule of nf_tables as it is kept (struct nft_rule, nft_expr): statements in their order, as data. `tools/nft` reads and
 * writes the words, `nft-compile.ts` makes them run.
 */
import type { LogTarget, NatTarget, RejectTarget } from "../rule-spec.ts";
import type { Selector } from "./nft-selector.ts";
import type { NftUse } from "./nft-set.ts";
import type { NftCounter } from "./nft-table.ts";

/** "": none was written: equal, or, of flags, one of them. "!": none of the flags. */
export type NftOp = "" | "==" | "!=" | "<" | ">" | "<=" | ">=" | "!";

/** From and to, numbers from 0 to 2^32 - 1. */
export type NftRange = readonly [number, number];

export type NftRight =
  | { readonly kind: "value"; readonly value: number }
  | { readonly kind: "range" | "prefix"; readonly range: NftRange }
  /** In rising order. */
  | { readonly kind: "set"; readonly ranges: readonly NftRange[] }
  /** Names of devices; one that ends in a star stands for all that begin so. */
  | { readonly kind: "names"; readonly names: readonly string[]; readonly isSet: boolean };

export interface NftMatch {
  readonly kind: "match";
  readonly selector: Selector;
  readonly op: NftOp;
  readonly right: NftRight;
  /** The field behind it in the packet, compared as one with it: both are equal, or not both. */
  readonly also: { readonly selector: Selector; readonly value: number } | null;
}

export type NftVerdictWord = "accept" | "drop" | "return" | "jump" | "goto";

export type NftStatement =
  | NftMatch
  | { readonly kind: "counter"; readonly counter: NftCounter }
  | { readonly kind: "object"; readonly name: string }
  /** `chain` of jump and goto. */
  | { readonly kind: "verdict"; readonly verdict: NftVerdictWord; readonly chain: string }
  | { readonly kind: "log"; readonly target: LogTarget }
  /** `withFamily`: of an inet table, for packets of IPv4 only. */
  | { readonly kind: "reject"; readonly target: RejectTarget; readonly withFamily: boolean }
  /** `map`: the address, and a port behind it, are what the map has. */
  | {
      readonly kind: "nat";
      readonly target: NatTarget;
      readonly withFamily: boolean;
      readonly map: NftUse | null;
    }
  | { readonly kind: "notrack" }
  /** A mark or a field becomes a number, another mark, or what a map has. */
  | {
      readonly kind: "set";
      readonly selector: Selector;
      readonly value: number;
      readonly from: Selector | null;
      readonly map: NftUse | null;
    }
  /** Is it in the set? */
  | { readonly kind: "lookup"; readonly use: NftUse; readonly negate: boolean }
  /** The verdict, or the counter, that a map has. */
  | { readonly kind: "vmap"; readonly use: NftUse }
  | { readonly kind: "objects"; readonly use: NftUse };
