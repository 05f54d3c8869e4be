/**
 * The neighbour table of a namespace (struct neigh_table arp_tbl, net/core/neighbour.c): a hash that grows, and what is
 * thrown out when it gets full.
 */

import { SEC } from "../../sim/sim.ts";
import { Timer } from "../../sim/timer.ts";
import { mix32 } from "../../util/hash.ts";
import type { Prng } from "../../util/prng.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import { inDevOf } from "./in-device.ts";
import { ipv4Of } from "./ipv4-net.ts";
import {
  type Neighbour,
  NUD_FAILED,
  NUD_IN_TIMER,
  NUD_NOARP,
  NUD_PERMANENT,
  neighDestroy,
} from "./neighbour.ts";

/** net.ipv4.neigh.default.gc_*: one set for all namespaces of a kernel. */
export class NeighGcLimits {
  gcInterval = 30;
  gcThresh1 = 128;
  gcThresh2 = 512;
  gcThresh3 = 1024;
}

export class NeighTable {
  readonly ns: NetNs;
  readonly prng: Prng;
  readonly limits: NeighGcLimits;
  count = 0;
  private buckets: (Neighbour | null)[] = new Array<Neighbour | null>(8).fill(null);
  private key: number;
  private lastFlushNs = Number.NEGATIVE_INFINITY;
  private readonly gcTimer: Timer;

  /** `shared`: the table of the kernel's first namespace, whose limits hold for all; null for itself. */
  constructor(ns: NetNs, prng: Prng, shared: NeighTable | null) {
    this.ns = ns;
    this.prng = prng;
    this.limits = shared === null ? new NeighGcLimits() : shared.limits;
    this.key = prng.i32() | 1;
    this.gcTimer = new Timer(ns.kernel.sim, () => this.periodicGc());
  }

  find(dev: NetDevice, ip: number): Neighbour | null {
    let n = this.buckets[this.slot(dev, ip)];
    while (n !== null && (n.ip !== ip || n.dev !== dev)) n = n.next;
    return n;
  }

  /** Puts a new entry in, at the head of its bucket; false when the table is full even after a clean-up. */
  insert(n: Neighbour): boolean {
    const limits = this.limits;
    const now = this.ns.kernel.sim.now;
    if (
      this.count >= limits.gcThresh3 ||
      (this.count >= limits.gcThresh2 && now > this.lastFlushNs + 5 * SEC)
    ) {
      this.forcedGc();
      if (this.count >= limits.gcThresh3) {
        this.ns.kernel.printkRatelimited("neighbour: arp_cache: neighbor table overflow!");
        return false;
      }
    }
    if (this.count > this.buckets.length) this.grow();
    this.link(n);
    this.count++;
    if (this.count >= limits.gcThresh1 && !this.gcTimer.armed) this.armGc();
    return true;
  }

  remove(n: Neighbour): void {
    const slot = this.slot(n.dev, n.ip);
    let at = this.buckets[slot];
    if (at === n) this.buckets[slot] = n.next;
    else {
      while (at !== null && at.next !== n) at = at.next;
      if (at === null) return;
      at.next = n.next;
    }
    this.count--;
  }

  /** All entries in the order of a dump: bucket by bucket. */
  entries(): Neighbour[] {
    const out: Neighbour[] = [];
    for (const head of this.buckets) for (let n = head; n !== null; n = n.next) out.push(n);
    return out;
  }

  /** Removes the entries of a device (neigh_flush_dev); `keepPermanent` for a lost carrier. */
  flushDev(dev: NetDevice, keepPermanent: boolean): void {
    for (const n of this.entries()) {
      if (n.dev !== dev || (keepPermanent && (n.nudState & NUD_PERMANENT) !== 0)) continue;
      this.remove(n);
      neighDestroy(n);
    }
  }

  private slot(dev: NetDevice, ip: number): number {
    return mix32(Math.imul(ip ^ dev.ifindex, this.key)) & (this.buckets.length - 1);
  }

  private link(n: Neighbour): void {
    const slot = this.slot(n.dev, n.ip);
    n.next = this.buckets[slot];
    this.buckets[slot] = n;
  }

  private grow(): void {
    const all = this.entries();
    this.buckets = new Array<Neighbour | null>(this.buckets.length * 2).fill(null);
    this.key = this.prng.i32() | 1;
    for (const n of all) this.link(n);
  }

  /** neigh_forced_gc: down to gc_thresh2 by what failed or has not changed for 5 s. */
  private forcedGc(): void {
    const now = this.ns.kernel.sim.now;
    let excess = this.count - this.limits.gcThresh2;
    for (const n of this.entries()) {
      if (excess <= 0) break;
      if ((n.nudState & NUD_PERMANENT) !== 0) continue;
      const stale = now > n.updatedNs + 5 * SEC;
      if ((n.nudState & (NUD_FAILED | NUD_NOARP)) === 0 && n.ip >>> 28 !== 0xe && !stale) continue;
      this.remove(n);
      neighDestroy(n);
      excess--;
    }
    this.lastFlushNs = now;
  }

  private armGc(): void {
    this.gcTimer.armIn((ipv4Of(this.ns).neighDefault.baseReachableTimeMs / 2) * 1_000_000);
  }

  /** neigh_periodic_work: throws out what failed, or was not used for gc_stale_time. */
  private periodicGc(): void {
    if (this.count < this.limits.gcThresh1) return;
    const now = this.ns.kernel.sim.now;
    for (const n of this.entries()) {
      if ((n.nudState & (NUD_PERMANENT | NUD_IN_TIMER)) !== 0) continue;
      if (n.usedNs < n.confirmedNs) n.usedNs = n.confirmedNs;
      const inDev = inDevOf(n.dev);
      const staleNs = (inDev === null ? 60 : inDev.neighParms.gcStaleTime) * SEC;
      if (n.nudState !== NUD_FAILED && now < n.usedNs + staleNs) continue;
      this.remove(n);
      neighDestroy(n);
    }
    this.armGc();
  }
}
