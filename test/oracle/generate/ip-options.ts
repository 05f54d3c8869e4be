/** IP options from a seed: records of route and times, source routes, labels, padding; right, full, and broken. */
import type { Prng } from "../../../src/util/prng.ts";
import { ipBytes } from "../packet.ts";

/** Where a source route may lead. */
export interface OptionPlaces {
  readonly src: string;
  readonly dst: string;
  /** Stations and addresses of the machine. */
  readonly hops: readonly string[];
}

const MAX_BYTES = 40;

type Maker = (prng: Prng, places: OptionPlaces) => number[];

const MAKERS: readonly (readonly [weight: number, maker: Maker])[] = [
  [5, recordRoute],
  [5, timestamp],
  [5, sourceRoute],
  [2, (prng) => [148, 4, 0, prng.below(3) === 0 ? 1 : 0]],
  [2, (prng) => Array.from({ length: 1 + prng.below(4) }, () => 1)],
  [1, () => [0]],
  [1, label],
  [1, broken],
];

const TOTAL = MAKERS.reduce((sum, [weight]) => sum + weight, 0);

/** One to four options that fit into a header, with padding before or between them, or with something behind the end. */
export function randomOptions(prng: Prng, places: OptionPlaces): number[] {
  const bytes: number[] = [];
  for (let left = prng.pick([1, 1, 1, 2, 2, 3, 4]); left > 0; left--) {
    if (prng.below(4) === 0) bytes.push(1);
    const option = one(prng, places);
    if (bytes.length + option.length <= MAX_BYTES) bytes.push(...option);
  }
  while (bytes.length % 4 !== 0 && bytes.length < MAX_BYTES) bytes.push(prng.below(12) === 0 ? 1 : 0);
  return bytes.slice(0, MAX_BYTES);
}

function one(prng: Prng, places: OptionPlaces): number[] {
  let at = prng.below(TOTAL);
  for (const [weight, maker] of MAKERS) {
    at -= weight;
    if (at < 0) return maker(prng, places);
  }
  return [];
}

/** The pointer of an option whose slots begin at `first`: usually at a slot, sometimes anywhere. */
function pointerOf(prng: Prng, first: number, step: number, slots: number): number {
  if (prng.below(10) === 0)
    return prng.pick([0, 1, 3, first + 1, first + 2, first + step * slots - 1, 39, 255]);
  return first + step * prng.below(slots + 1);
}

function recordRoute(prng: Prng): number[] {
  const slots = prng.pick([1, 2, 3, 9]);
  const list = Array.from({ length: slots * 4 }, () => (prng.below(3) === 0 ? prng.below(256) : 0));
  return [7, 3 + slots * 4, pointerOf(prng, 4, 4, slots), ...list];
}

function timestamp(prng: Prng, { hops }: OptionPlaces): number[] {
  const flag = prng.below(8) === 0 ? prng.below(16) : prng.pick([0, 1, 3]);
  const step = flag === 0 ? 4 : 8;
  const slots = prng.pick(flag === 0 ? [1, 2, 9] : [1, 2, 4]);
  const list: number[] = [];
  for (let i = 0; i < slots; i++)
    list.push(...(flag === 3 ? ipBytes(prng.pick(hops)) : step === 8 ? [0, 0, 0, 0] : []), 0, 0, 0, 0);
  const overflow = prng.pick([0, 0, 1, 14, 15]);
  const length = 4 + list.length;
  return [68, length, pointerOf(prng, 5, step, slots), (overflow << 4) | flag, ...list];
}

/** Loose or strict, over up to three stations; the pointer stands where the packet is on its way. */
function sourceRoute(prng: Prng, { src, dst, hops }: OptionPlaces): number[] {
  const count = prng.pick([1, 1, 2, 3]);
  const list = Array.from({ length: count }, () => prng.pick([dst, prng.pick(hops), prng.pick(hops), src]));
  const pointer = prng.below(2) === 0 ? 4 : pointerOf(prng, 4, 4, count);
  return [prng.pick([131, 131, 137]), 3 + count * 4, pointer, ...list.flatMap(ipBytes)];
}

/** Security labels: CIPSO of a domain that nobody knows, and the old ones that nobody reads. */
function label(prng: Prng): number[] {
  return prng.pick([
    [134, 10, 0, 0, 0, 1, 1, 4, 0, 2],
    [134, 6, 0, 0, 0, 1],
    [134, 8, 0, 0, 0, 0, 1, 1],
    [130, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [136, 4, 0, 7],
  ]);
}

/** Lengths that cannot be, and kinds that nobody has defined. */
function broken(prng: Prng): number[] {
  return prng.pick([
    [7, 1, 4, 0],
    [7, 60, 4, 0],
    [7, 2],
    [68, 3, 5],
    [68, 4, 5, 0],
    [131, 3, 4],
    [131, 2],
    [148, 3, 0],
    [99, 4, 1, 2],
    [99, 0, 1, 2],
    [94, 2],
    [7],
    [0, 7, 7, 4],
  ]);
}
