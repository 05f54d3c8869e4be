/**
 * The schedulers (net/netfilter/ipvs/ip_vs_{rr,wrr,lc,wlc,sh,dh,sed,nq,fo,ovf}.c): each picks a destination for a new
 * connection. Destinations stand in the kernel's list order, the one added last first.
 */
import type { IpvsDest, IpvsService } from "./service.ts";

export const SCHEDULERS = ["rr", "wrr", "lc", "wlc", "sh", "dh", "sed", "nq", "fo", "ovf"] as const;
export type SchedulerName = (typeof SCHEDULERS)[number];

/** What a scheduler looks at beside the service: the packet's addresses (int32) and source port. */
export interface SchedulerState {
  schedule(service: IpvsService, saddr: number, daddr: number, sport: number): IpvsDest | null;
  /** A destination came, changed, or (already taken from the list at `index`) went. */
  added(service: IpvsService): void;
  changed(service: IpvsService): void;
  deleted(service: IpvsService, dest: IpvsDest, index: number): void;
  /** Says so of itself when it finds nobody. */
  allOverloaded(): boolean;
}

function usable(dest: IpvsDest): boolean {
  return dest.weight > 0 && !dest.overloaded;
}

function ignore(): void {}

function never(): boolean {
  return false;
}

/** Round robin: a pointer to the destination used last, null for the list's head. */
class RoundRobin implements SchedulerState {
  readonly allOverloaded = never;
  private last: IpvsDest | null = null;

  schedule(service: IpvsService): IpvsDest | null {
    const dests = service.dests;
    const start = this.last === null ? -1 : dests.indexOf(this.last);
    for (let step = 1; step <= dests.length; step++) {
      const dest = dests[(start + step) % dests.length];
      if (!usable(dest)) continue;
      this.last = dest;
      return dest;
    }
    return null;
  }

  readonly added = ignore;
  readonly changed = ignore;

  /** The pointer goes to the predecessor, so that the successor is next. */
  deleted(service: IpvsService, dest: IpvsDest, index: number): void {
    if (this.last === dest) this.last = index > 0 ? service.dests[index - 1] : null;
  }
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

/** Weighted round robin: walks the list for each weight from the highest down, in steps of the common divisor. */
class WeightedRoundRobin implements SchedulerState {
  private last: IpvsDest | null = null;
  private current = 0;
  private max = 0;
  private step = 1;

  allOverloaded(): boolean {
    return this.max !== 0;
  }

  schedule(service: IpvsService): IpvsDest | null {
    const dests = service.dests;
    if (this.max === 0) return null;
    let index = this.last === null ? -1 : dests.indexOf(this.last);
    const tries = dests.length * (Math.ceil(this.max / this.step) + 1);
    for (let i = 0; i < tries; i++) {
      if (++index >= dests.length) {
        index = 0;
        this.current -= this.step;
        if (this.current <= 0) this.current = this.max;
      }
      const dest = dests[index];
      if (dest.overloaded || dest.weight < this.current) continue;
      this.last = dest;
      return dest;
    }
    this.last = null;
    return null;
  }

  added(service: IpvsService): void {
    this.changed(service);
  }

  changed(service: IpvsService): void {
    let divisor = 0;
    let max = 0;
    for (const dest of service.dests) {
      if (dest.weight > 0) divisor = gcd(divisor, dest.weight);
      if (dest.weight > max) max = dest.weight;
    }
    this.last = null;
    this.step = divisor === 0 ? 1 : divisor;
    this.max = max === 0 ? 0 : max - (this.step - 1);
    if (this.current > this.max || this.current === 0) this.current = this.max;
    else if (this.step > 1) this.current = Math.floor(this.current / this.step) * this.step + 1;
  }

  deleted(service: IpvsService): void {
    this.changed(service);
  }
}

/** lc, wlc, sed, nq: the least of `overhead / weight`, the first in the list on a tie. */
class LeastConnection implements SchedulerState {
  readonly allOverloaded = never;
  private readonly overhead: (dest: IpvsDest) => number;
  private readonly weighted: boolean;
  private readonly neverQueue: boolean;

  constructor(overhead: (dest: IpvsDest) => number, weighted: boolean, neverQueue: boolean) {
    this.overhead = overhead;
    this.weighted = weighted;
    this.neverQueue = neverQueue;
  }

  schedule(service: IpvsService): IpvsDest | null {
    const dests = service.dests;
    let least: IpvsDest | null = null;
    let leastOverhead = 0;
    for (let i = 0; i < dests.length; i++) {
      const dest = dests[i];
      if (!usable(dest)) continue;
      if (this.neverQueue && dest.activeConns === 0) return dest;
      const overhead = this.overhead(dest);
      const better =
        least === null ||
        (this.weighted ? leastOverhead * dest.weight > overhead * least.weight : overhead < leastOverhead);
      if (!better) continue;
      least = dest;
      leastOverhead = overhead;
    }
    return least;
  }

  readonly added = ignore;
  readonly changed = ignore;
  readonly deleted = ignore;
}

/** Active connections weigh 256 inactive ones (ip_vs_dest_conn_overhead). */
function connOverhead(dest: IpvsDest): number {
  return dest.activeConns * 256 + dest.inactConns;
}

/** Shortest expected delay counts the connection to come (ip_vs_sed_dest_overhead). */
function expectedDelay(dest: IpvsDest): number {
  return dest.activeConns + 1;
}

/** fo and ovf: the heaviest, the first in the list on a tie; ovf passes over those with more connections than weight. */
class Heaviest implements SchedulerState {
  readonly allOverloaded = never;
  private readonly overflows: boolean;

  constructor(overflows: boolean) {
    this.overflows = overflows;
  }

  schedule(service: IpvsService): IpvsDest | null {
    const dests = service.dests;
    let best: IpvsDest | null = null;
    for (let i = 0; i < dests.length; i++) {
      const dest = dests[i];
      if (!usable(dest) || (this.overflows && dest.activeConns > dest.weight)) continue;
      if (best === null || dest.weight > best.weight) best = dest;
    }
    return best;
  }

  readonly added = ignore;
  readonly changed = ignore;
  readonly deleted = ignore;
}

const TAB_BITS = 8;
const TAB_SIZE = 1 << TAB_BITS;

/** hash_32 of include/linux/hash.h, to 8 bits. */
function hash32(value: number): number {
  return Math.imul(value, 0x61c88647) >>> (32 - TAB_BITS);
}

/** sh and dh: a table of 256 buckets filled round robin (sh: by weight), looked up by address. */
class AddressHash implements SchedulerState {
  readonly allOverloaded = never;
  private readonly bySource: boolean;
  private readonly buckets: (IpvsDest | null)[] = new Array<IpvsDest | null>(TAB_SIZE).fill(null);

  constructor(bySource: boolean) {
    this.bySource = bySource;
  }

  schedule(service: IpvsService, saddr: number, daddr: number, sport: number): IpvsDest | null {
    if (!this.bySource) return this.pick(hash32(daddr));
    const { shPort, shFallback } = service.options;
    const key = (saddr + (shPort ? sport : 0)) | 0;
    const home = hash32(key);
    const dest = this.pick(home);
    if (dest !== null || !shFallback) return dest;
    for (let i = 0; i < TAB_SIZE; i++) {
      const other = this.pick((hash32(key) + ((home + i) % TAB_SIZE)) % TAB_SIZE);
      if (other !== null) return other;
    }
    return null;
  }

  added(service: IpvsService): void {
    this.changed(service);
  }

  changed(service: IpvsService): void {
    const dests = service.dests;
    let index = 0;
    let filled = 0;
    for (let bucket = 0; bucket < TAB_SIZE; bucket++) {
      if (dests.length === 0) {
        this.buckets[bucket] = null;
        continue;
      }
      if (index === dests.length) index = 0;
      const dest = dests[index];
      this.buckets[bucket] = dest;
      if (this.bySource && ++filled < dest.weight) continue;
      filled = 0;
      index++;
    }
  }

  deleted(service: IpvsService): void {
    this.changed(service);
  }

  private pick(bucket: number): IpvsDest | null {
    const dest = this.buckets[bucket];
    return dest !== null && dest.available && usable(dest) ? dest : null;
  }
}

const MAKERS: Record<SchedulerName, () => SchedulerState> = {
  rr: () => new RoundRobin(),
  wrr: () => new WeightedRoundRobin(),
  lc: () => new LeastConnection(connOverhead, false, false),
  wlc: () => new LeastConnection(connOverhead, true, false),
  sh: () => new AddressHash(true),
  dh: () => new AddressHash(false),
  sed: () => new LeastConnection(expectedDelay, true, false),
  nq: () => new LeastConnection(expectedDelay, true, true),
  fo: () => new Heaviest(false),
  ovf: () => new Heaviest(true),
};

/** A fresh scheduler of that name. */
export function createScheduler(name: SchedulerName): SchedulerState {
  return MAKERS[name]();
}
