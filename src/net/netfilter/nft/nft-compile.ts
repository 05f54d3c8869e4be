/** Statements to what runs: records of one shape, looked at one after the other (nf_tables_api.c nf_tables_newexpr). */
import { NF_NAT_RANGE_PROTO_SPECIFIED } from "../nat/nat-range.ts";
import type { NatTarget, TargetSpec } from "../rule-spec.ts";
import { NftNames } from "./nft-names.ts";
import type { NftMatch, NftOp, NftRange, NftRight, NftStatement, NftVerdictWord } from "./nft-rule.ts";
import type { Selector } from "./nft-selector.ts";
import { elementsOf, type NftElement, NftIndex, type NftNameIds, type NftUse } from "./nft-set.ts";
import type { NftChain, NftCounter, NftTable } from "./nft-table.ts";

/** Kinds of records. */
export const X_RANGES = 1;
/** One of the bits `value`. */
export const X_BITS = 2;
export const X_PAIR = 3;
export const X_IIFNAME = 4;
export const X_OIFNAME = 5;
export const X_COUNTER = 6;
export const X_TARGET = 7;
export const X_SET_MARK = 8;
export const X_SET_CT_MARK = 9;
export const X_SET_FIELD = 10;
export const X_LOOKUP = 11;
export const X_VMAP = 12;
export const X_OBJECTS = 13;
export const X_ACCEPT = 14;
export const X_DROP = 15;
export const X_RETURN = 16;
export const X_JUMP = 17;
export const X_GOTO = 18;

const VERDICTS: Readonly<Record<NftVerdictWord, number>> = {
  accept: X_ACCEPT,
  drop: X_DROP,
  return: X_RETURN,
  jump: X_JUMP,
  goto: X_GOTO,
};

const MAX = 0xffffffff;
const NO_RANGES = new Uint32Array(0);

export class NftExpr {
  readonly kind: number;
  selector: Selector | null = null;
  /** Pairs of from and to. */
  ranges: Uint32Array = NO_RANGES;
  negate = false;
  value = 0;
  second: Selector | null = null;
  secondValue = 0;
  names: NftNames | null = null;
  counter: NftCounter | null = null;
  target: TargetSpec | null = null;
  chain: NftChain | null = null;
  /** What is looked for in the index. */
  keys: readonly Selector[] = [];
  index: NftIndex | null = null;
  nameIds: NftNameIds | null = null;

  constructor(kind: number) {
    this.kind = kind;
  }
}

export function compileChain(chain: NftChain): readonly (readonly NftExpr[])[] {
  const program = chain.rules.map((rule) => rule.statements.map((statement) => compile(chain, statement)));
  chain.program = program;
  return program;
}

function compile(chain: NftChain, statement: NftStatement): NftExpr {
  switch (statement.kind) {
    case "match":
      return compileMatch(statement);
    case "counter":
      return counterExpr(statement.counter);
    case "object":
      return counterExpr(chain.table.counter(statement.name)!);
    case "verdict": {
      const expr = new NftExpr(VERDICTS[statement.verdict]);
      expr.chain = chain.table.chain(statement.chain) ?? null;
      return expr;
    }
    case "set":
      return compileSet(chain.table, statement);
    case "lookup": {
      const expr = useExpr(X_LOOKUP, chain.table, statement.use);
      expr.negate = statement.negate;
      return expr;
    }
    case "vmap":
      return useExpr(X_VMAP, chain.table, statement.use);
    case "objects":
      return useExpr(X_OBJECTS, chain.table, statement.use);
    case "nat":
      return compileNat(chain.table, statement);
    case "notrack":
      return targetExpr({ name: "NOTRACK" });
    default:
      return targetExpr(statement.target);
  }
}

function compileSet(table: NftTable, statement: NftStatement & { kind: "set" }): NftExpr {
  const { selector, value, from, map } = statement;
  const kind = selector.type !== "mark" || selector.proto !== "" ? X_SET_FIELD : X_SET_MARK;
  const expr = useExpr(selector.words === "ct mark" ? X_SET_CT_MARK : kind, table, map);
  expr.value = value;
  expr.selector = from;
  if (kind === X_SET_FIELD) expr.second = selector;
  return expr;
}

/** The address, and the port, of each element make a target of its own. */
function compileNat(table: NftTable, { target, map }: NftStatement & { kind: "nat" }): NftExpr {
  const expr = useExpr(X_TARGET, table, map);
  expr.target = target;
  if (map !== null) expr.index!.targets = elementsOf(table, map).map((element) => targetOf(target, element));
  return expr;
}

function targetOf(target: NatTarget, { data }: NftElement): TargetSpec {
  const [addr, port] = data!.kind === "values" ? data!.values : [0];
  const ports =
    port === undefined
      ? {}
      : { minPort: port, maxPort: port, flags: target.flags | NF_NAT_RANGE_PROTO_SPECIFIED };
  return { ...target, minAddr: addr | 0, maxAddr: addr | 0, ...ports };
}

function useExpr(kind: number, table: NftTable, use: NftUse | null): NftExpr {
  const expr = new NftExpr(kind);
  if (use === null) return expr;
  expr.keys = use.keys;
  expr.nameIds = table.nameIds;
  expr.index = indexOf(table, use);
  return expr;
}

/** Of this rule alone: the targets of NAT have the rule's flags. */
function indexOf(table: NftTable, use: NftUse): NftIndex {
  const elements = elementsOf(table, use);
  const index = new NftIndex(use.keys.length, elements, table.nameIds);
  for (const { data } of elements) {
    index.kinds.push(data?.kind === "verdict" ? VERDICTS[data.verdict] : 0);
    index.chains.push((data?.kind === "verdict" && table.chain(data.chain)) || null);
    index.counters.push((data?.kind === "object" && table.counter(data.name)) || null);
    index.values.push(data?.kind === "values" ? data.values[0] : 0);
  }
  return index;
}

function counterExpr(counter: NftCounter): NftExpr {
  const expr = new NftExpr(X_COUNTER);
  expr.counter = counter;
  return expr;
}

function targetExpr(target: TargetSpec): NftExpr {
  const expr = new NftExpr(X_TARGET);
  expr.target = target;
  return expr;
}

/** Types whose values are sets of flags. */
export function isFlags({ type }: Selector): boolean {
  return type === "ct_state" || type === "ct_status" || type === "tcp_flag";
}

function compileMatch({ selector, op, right, also }: NftMatch): NftExpr {
  if (right.kind === "names") {
    const expr = new NftExpr(selector.words === "iifname" ? X_IIFNAME : X_OIFNAME);
    expr.names = new NftNames(right.names);
    expr.negate = op === "!=";
    return expr;
  }
  const bits = right.kind === "value" && isFlags(selector) && (op === "" || op === "!");
  const expr = new NftExpr(bits ? X_BITS : also === null ? X_RANGES : X_PAIR);
  expr.selector = selector;
  expr.negate = op === "!=" || op === "!";
  expr.second = also?.selector ?? null;
  expr.secondValue = also?.value ?? 0;
  if (right.kind === "value") expr.value = right.value;
  if (!bits) expr.ranges = Uint32Array.from(rangesOf(op, right).flat());
  return expr;
}

function rangesOf(op: NftOp, right: Exclude<NftRight, { kind: "names" }>): readonly NftRange[] {
  if (right.kind === "set") return right.ranges;
  if (right.kind !== "value") return [right.range];
  const { value } = right;
  if (op === "<") return value === 0 ? [] : [[0, value - 1]];
  if (op === "<=") return [[0, value]];
  if (op === ">") return value === MAX ? [] : [[value + 1, MAX]];
  return [[value, op === ">=" ? MAX : value]];
}
