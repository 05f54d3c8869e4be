/**
 * Address pools (libnetwork ipam/allocator.go, bitseq/sequence.go). A pool hands out ordinals either serially, from a
 * cursor behind the last one given, or lowest first. Network and broadcast addresses are never given. The list of
 * predefined pools is walked with a cursor of its own, so that a subnet that became free is not taken again at once.
 */
import { prefixToMask } from "../../../wire/address.ts";

/** A set of ordinals `first` to `last` with the serial cursor of bitseq. */
export class OrdinalSet {
  private readonly first: number;
  private readonly last: number;
  private readonly used = new Set<number>();
  private cursor: number;

  constructor(first: number, last: number) {
    this.first = first;
    this.last = last;
    this.cursor = first;
  }

  /**
   * Takes the next free ordinal after the cursor (serial) or the lowest free one, none of `kept`; -1 when there is none.
   */
  take(serial: boolean, kept?: ReadonlySet<number>): number {
    const size = this.last - this.first + 1;
    const start = serial ? this.cursor - this.first : 0;
    for (let i = 0; i < size; i++) {
      const ordinal = this.first + ((start + i) % size);
      if (this.used.has(ordinal) || kept?.has(ordinal) === true) continue;
      this.used.add(ordinal);
      this.cursor = ordinal === this.last ? this.first : ordinal + 1;
      return ordinal;
    }
    return -1;
  }

  /** Takes one ordinal; false when it is taken or out of range. The cursor stays. */
  takeThis(ordinal: number): boolean {
    if (ordinal < this.first || ordinal > this.last || this.used.has(ordinal)) return false;
    this.used.add(ordinal);
    return true;
  }

  release(ordinal: number): void {
    this.used.delete(ordinal);
  }
}

/** The addresses of one subnet. */
export class Subnet {
  readonly base: number;
  readonly prefixLen: number;
  private readonly ordinals: OrdinalSet;

  constructor(base: number, prefixLen: number) {
    this.base = base & prefixToMask(prefixLen);
    this.prefixLen = prefixLen;
    this.ordinals = new OrdinalSet(1, 2 ** (32 - prefixLen) - 2);
  }

  /** The next address, none of `kept`; null when there is none. */
  take(serial: boolean, kept: readonly number[] = []): number | null {
    const ordinal = this.ordinals.take(serial, new Set(kept.map((addr) => (addr - this.base) >>> 0)));
    return ordinal < 0 ? null : (this.base + ordinal) | 0;
  }

  /** Takes one address; false when it is taken or not of this subnet. */
  takeThis(addr: number): boolean {
    return this.contains(addr) && this.ordinals.takeThis((addr - this.base) >>> 0);
  }

  release(addr: number): void {
    if (this.contains(addr)) this.ordinals.release((addr - this.base) >>> 0);
  }

  contains(addr: number): boolean {
    return (addr & prefixToMask(this.prefixLen)) === this.base;
  }
}

export interface Pool {
  readonly addr: number;
  readonly prefixLen: number;
}

/** True when two pools have an address in common. */
export function poolsOverlap(a: Pool, b: Pool): boolean {
  const mask = prefixToMask(Math.min(a.prefixLen, b.prefixLen));
  return (a.addr & mask) === (b.addr & mask);
}

/** The predefined pools in order: each entry of `ranges` cut into blocks of its size. */
export class PredefinedPools {
  private readonly pools: readonly Pool[];
  private next = 0;

  constructor(ranges: readonly (Pool & { readonly size: number })[]) {
    const pools: Pool[] = [];
    for (const { addr, prefixLen, size } of ranges) {
      const count = 2 ** (size - prefixLen);
      for (let i = 0; i < count; i++)
        pools.push({ addr: (addr + i * 2 ** (32 - size)) | 0, prefixLen: size });
    }
    this.pools = pools;
  }

  /** The next pool that overlaps none of `taken`; null when there is none. The cursor moves behind it. */
  take(taken: readonly Pool[]): Pool | null {
    for (let i = 0; i < this.pools.length; i++) {
      const index = (this.next + i) % this.pools.length;
      const pool = this.pools[index];
      if (taken.some((other) => poolsOverlap(pool, other))) continue;
      this.next = (index + 1) % this.pools.length;
      return pool;
    }
    return null;
  }
}

const ip = (a: number, b: number): number => (a << 24) | (b << 16);

/** Pools of node-local networks (ipamutils localScopeDefaultNetworks). */
export function localPools(): PredefinedPools {
  return new PredefinedPools([
    { addr: ip(172, 17), prefixLen: 16, size: 16 },
    { addr: ip(172, 18), prefixLen: 16, size: 16 },
    { addr: ip(172, 19), prefixLen: 16, size: 16 },
    { addr: ip(172, 20), prefixLen: 14, size: 16 },
    { addr: ip(172, 24), prefixLen: 14, size: 16 },
    { addr: ip(172, 28), prefixLen: 14, size: 16 },
    { addr: ip(192, 168), prefixLen: 16, size: 20 },
  ]);
}

/** Pools of swarm networks: 10.0.0.0/8 by /24 unless `swarm init` says otherwise. */
export function globalPools(ranges: readonly Pool[], size: number): PredefinedPools {
  const list = ranges.length > 0 ? ranges : [{ addr: ip(10, 0), prefixLen: 8 }];
  return new PredefinedPools(list.map((range) => ({ ...range, size })));
}
