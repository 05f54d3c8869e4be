/**
 * Confirmed connections by their original source (nf_nat_bysource, nf_nat_core.c): source NAT reuses the mapping that
 * another flow of the same socket already has.
 */
import { hash3 } from "../../../util/hash.ts";
import { type Conn, IPS_SRC_NAT_DONE } from "./conn.ts";

const INITIAL_BUCKETS = 64;

export class BySource {
  private buckets: (Conn | null)[] = new Array<Conn | null>(INITIAL_BUCKETS).fill(null);
  private count = 0;
  private readonly key: number;

  constructor(key: number) {
    this.key = key;
  }

  /** First of the chain in which flows of that source are, the newest in front; others share the chain. */
  first(src: number, sport: number, proto: number): Conn | null {
    return this.buckets[this.bucket(src, sport, proto)];
  }

  /** Takes in an entry whose source translation is settled; others are left out. */
  insert(conn: Conn): void {
    if ((conn.status & IPS_SRC_NAT_DONE) === 0) return;
    if (this.count >= this.buckets.length * 2) this.grow();
    this.put(conn);
    conn.natHashed = true;
    this.count++;
  }

  remove(conn: Conn): void {
    if (!conn.natHashed) return;
    const bucket = this.bucket(conn.origSrc, conn.origSport, conn.proto);
    let before: Conn | null = null;
    for (let at = this.buckets[bucket]; at !== conn; at = at!.natNext) before = at;
    if (before === null) this.buckets[bucket] = conn.natNext;
    else before.natNext = conn.natNext;
    conn.natNext = null;
    conn.natHashed = false;
    this.count--;
  }

  private bucket(src: number, sport: number, proto: number): number {
    return hash3(src, sport, proto, this.key) & (this.buckets.length - 1);
  }

  private put(conn: Conn): void {
    const bucket = this.bucket(conn.origSrc, conn.origSport, conn.proto);
    conn.natNext = this.buckets[bucket];
    this.buckets[bucket] = conn;
  }

  private grow(): void {
    const old = this.buckets;
    this.buckets = new Array<Conn | null>(old.length * 2).fill(null);
    for (const head of old) {
      for (let conn = head; conn !== null; ) {
        const next: Conn | null = conn.natNext;
        this.put(conn);
        conn = next;
      }
    }
  }
}
