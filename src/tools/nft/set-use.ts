/** Rules of nft(8) that look into a set or a map, their own or one with a name (src/evaluate.c expr_evaluate_map). */
import type { NetNs } from "../../net/core/net-ns.ts";
import type { NftStatement } from "../../net/netfilter/nft/nft-rule.ts";
import type { NftType, Selector } from "../../net/netfilter/nft/nft-selector.ts";
import { NftSet, type NftSetSpec, type NftUse } from "../../net/netfilter/nft/nft-set.ts";
import { NotModelledError } from "../../util/errors.ts";
import type { Context } from "./evaluate.ts";
import type { ReadKeys } from "./match-words.ts";
import { readElements } from "./set-words.ts";
import { type Cursor, NftTextError, type Place, span } from "./tokens.ts";
import { typeText } from "./values.ts";

/** A set that a rule names: it must be there, and of that kind. */
export interface NamedUse {
  readonly name: string;
  readonly place: Place;
  readonly keys: readonly Selector[];
  readonly keyPlace: Place;
  readonly data: NftSetSpec["data"];
}

function specOf(keys: readonly Selector[], data: NftSetSpec["data"], interval: boolean): NftSetSpec {
  return {
    types: keys.map(({ type }) => type),
    typeWords: "",
    data,
    dataWords: "",
    constant: true,
    interval,
    autoMerge: false,
    size: 0,
    comment: "",
  };
}

/** `@name`, or `{ … }`. */
export function readUse(
  ns: NetNs,
  context: Context,
  cursor: Cursor,
  { keys, place }: ReadKeys,
  data: NftSetSpec["data"],
): NftUse {
  const start = cursor.token;
  if (cursor.take("@")) {
    const name = cursor.name();
    context.uses.push({ name: name.text, place: span(start, name), keys, keyPlace: place, data });
    return { keys, set: name.text };
  }
  if (cursor.is("$")) throw new NotModelledError("nft: $");
  context.sets++;
  const { elements } = readElements(ns, cursor, specOf(keys, data, true));
  const exact = elements.every(({ key }) =>
    key.every((part) => typeof part === "string" || part[0] === part[1]),
  );
  const [wrong] = elements.filter((element) => (element.data === null) !== (data === null));
  if (wrong !== undefined) throw new NotModelledError("nft: a map with elements that stand for nothing");
  return { keys, set: new NftSet("", 0, specOf(keys, data, !exact), elements) };
}

/** What nft says when it looks up the set. */
export function checkUse({ place, keys, keyPlace, data }: NamedUse, spec: NftSetSpec | undefined): void {
  if (spec === undefined) throw new NftTextError("No such file or directory", place);
  if (data === "counter" && spec.data !== "counter")
    throw new NftTextError("Expression is not a map with objects", place);
  if (data !== null && data !== "counter" && (spec.data === null || spec.data === "counter"))
    throw new NftTextError("Expression is not a map", place);
  const types = keys.map(({ type }) => type);
  const is = typeText(types);
  const wanted = typeText(spec.types);
  if (!sameTypes(types, spec.types))
    throw new NftTextError(
      data === null
        ? `datatype mismatch, expected ${is}, expression has type ${wanted}`
        : `datatype mismatch, map expects ${wanted}, mapping expression has type ${is}`,
      place,
      keyPlace,
    );
  if (String(data) !== String(spec.data) && data !== null && !fitsNat(data, spec.data))
    throw new NotModelledError(`nft: a map to ${String(spec.data)} here`);
}

/** A map to addresses may have ports behind them where a packet is translated. */
function fitsNat(asked: NftSetSpec["data"], has: NftSetSpec["data"]): boolean {
  return Array.isArray(asked) && Array.isArray(has) && asked.length > 1 && String(has) === "ipv4_addr";
}

/** Where a named map has addresses with ports, the family is written. */
export function withNatFamily(
  statement: NftStatement,
  specOf: (name: string) => NftSetSpec | undefined,
): NftStatement {
  if (statement.kind !== "nat" || typeof statement.map?.set !== "string") return statement;
  const data = specOf(statement.map.set)?.data;
  return Array.isArray(data) && data.length > 1 ? { ...statement, withFamily: true } : statement;
}

function sameTypes(a: readonly NftType[], b: readonly NftType[]): boolean {
  return a.length === b.length && a.every((type, i) => type === b[i]);
}
