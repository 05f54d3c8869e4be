/**
 * IP identification of packets without a socket counter (net/ipv4/route.c __ip_select_ident, ip_idents_reserve): a table
 * of counters, picked by a keyed hash of both addresses and the protocol. A counter moves by one a packet, and jumps by
 * a random part of the ticks that went by since it was used last.
 */
import type { Sim } from "../../sim/sim.ts";
import { hash4 } from "../../util/hash.ts";
import type { Prng } from "../../util/prng.ts";
import type { NetNs } from "../core/net-ns.ts";
import { ipv4Of } from "./ipv4-net.ts";

const BUCKETS = 2048;
/** One tick of a kernel with HZ=250. */
const JIFFY_NS = 4_000_000;

/** The counters of a kernel. */
export class IdentCounters {
  private readonly ids = new Int32Array(BUCKETS);
  private readonly stamps = new Float64Array(BUCKETS);
  private readonly key: number;
  private readonly prng: Prng;

  constructor(prng: Prng) {
    this.prng = prng;
    this.key = prng.i32();
    for (let i = 0; i < BUCKETS; i++) this.ids[i] = prng.i32();
  }

  /** Next id of the flow, 0..65535; `mix` tells namespaces apart. */
  next(saddr: number, daddr: number, proto: number, mix: number, sim: Sim): number {
    const bucket = hash4(daddr, saddr, proto, mix, this.key) & (BUCKETS - 1);
    const now = Math.floor(sim.now / JIFFY_NS);
    const ticks = now - this.stamps[bucket];
    let delta = 0;
    if (ticks > 0) {
      this.stamps[bucket] = now;
      delta = this.prng.below(ticks);
    }
    const id = (this.ids[bucket] + delta) | 0;
    this.ids[bucket] = id + 1;
    return id & 0xffff;
  }
}

/** IP id of a packet without a socket counter, 0..65535. */
export function ipSelectIdent(ns: NetNs, saddr: number, daddr: number, proto: number): number {
  return ipv4Of(ns).ident.next(saddr, daddr, proto, ns.id, ns.kernel.sim);
}
