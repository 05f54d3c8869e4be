/**
 * Which two ends of a dump are one veth pair. An end knows the ifindex of the other and the number by which its namespace
 * knows the other's; ifindexes repeat from namespace to namespace, so what follows from one pair narrows the rest.
 */
import type { LinkJson } from "./link-json.ts";

export interface VethEnd {
  /** Number of the namespace in the dump. */
  readonly ns: number;
  readonly link: LinkJson;
}

export interface VethPairs {
  /** Each pair once. */
  readonly pairs: readonly (readonly [VethEnd, VethEnd])[];
  /** Ends whose other end is in no namespace of the dump. */
  readonly lonely: readonly VethEnd[];
  /** Ends with several possible others. */
  readonly doubtful: readonly VethEnd[];
}

/** The namespaces by the numbers under which each namespace knows them. */
export class NetnsIds {
  private readonly known: Map<number, number>[];

  constructor(count: number) {
    this.known = Array.from({ length: count }, () => new Map());
  }

  /** Namespace that `ns` knows as `id`, undefined when nothing says. */
  get(ns: number, id: number): number | undefined {
    return this.known[ns].get(id);
  }

  /** Whether `ns` may know `other` as `id`. */
  allows(ns: number, id: number, other: number): boolean {
    const at = this.known[ns].get(id);
    if (at !== undefined) return at === other;
    return ![...this.known[ns].values()].includes(other);
  }

  set(ns: number, id: number, other: number): void {
    this.known[ns].set(id, other);
  }

  entries(ns: number): IterableIterator<[number, number]> {
    return this.known[ns].entries();
  }
}

function mayBePair(a: VethEnd, b: VethEnd, ids: NetnsIds): boolean {
  const x = a.link;
  const y = b.link;
  if (x.link_netnsid === undefined || y.link_netnsid === undefined)
    return a.ns === b.ns && x.link === y.ifname && y.link === x.ifname;
  return (
    a.ns !== b.ns &&
    x.link_index === y.ifindex &&
    y.link_index === x.ifindex &&
    ids.allows(a.ns, x.link_netnsid, b.ns) &&
    ids.allows(b.ns, y.link_netnsid, a.ns)
  );
}

/** Pairs the ends; `ids` learns what follows. */
export function pairVeths(ends: readonly VethEnd[], ids: NetnsIds): VethPairs {
  const pairs: (readonly [VethEnd, VethEnd])[] = [];
  let open = [...ends];
  const othersOf = (end: VethEnd) => open.filter((other) => other !== end && mayBePair(end, other, ids));
  for (let pair = nextPair(open, othersOf); pair !== null; pair = nextPair(open, othersOf)) {
    const [a, b] = pair;
    learn(ids, a, b);
    learn(ids, b, a);
    pairs.push(pair);
    open = open.filter((one) => one !== a && one !== b);
  }
  return {
    pairs,
    lonely: open.filter((end) => othersOf(end).length === 0),
    doubtful: open.filter((end) => othersOf(end).length > 0),
  };
}

function learn(ids: NetnsIds, { ns, link }: VethEnd, other: VethEnd): void {
  if (link.link_netnsid !== undefined) ids.set(ns, link.link_netnsid, other.ns);
}

/** Two ends that have only each other; else an end with one possible other that no such end disputes. */
function nextPair(
  open: readonly VethEnd[],
  othersOf: (end: VethEnd) => VethEnd[],
): readonly [VethEnd, VethEnd] | null {
  const certain = open.flatMap((end) => {
    const others = othersOf(end);
    return others.length === 1 ? [[end, others[0]] as const] : [];
  });
  const mutual = certain.find(([end, other]) => certain.some(([a, b]) => a === other && b === end));
  if (mutual !== undefined && certain.filter(([, other]) => other === mutual[1]).length === 1) return mutual;
  return certain.find(([, other]) => certain.filter(([, b]) => b === other).length === 1) ?? null;
}
