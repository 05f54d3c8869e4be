/**
 * The hash of both tuples of every connection (nf_conntrack_hash): open addressing with linear probing, two int32 a
 * slot, so that a lookup reads one cache line here and the entry it finds.
 *
 *     slots:  | hash of the tuple | entry << 1 | direction, plus 1; 0: free |
 *
 * A removal closes the gap by moving later entries of the run back; there are no tombstones.
 */
import { mix32 } from "../../../util/hash.ts";
import type { Conn, CtDir } from "./conn.ts";

const INITIAL_SLOTS = 64;

export class ConnTable {
  /** Entries in the table. */
  count = 0;
  /** Direction of the tuple that the last `find` matched. */
  foundDir: CtDir = 0;
  private slots = new Int32Array(INITIAL_SLOTS * 2);
  private mask = INITIAL_SLOTS - 1;
  private used = 0;
  private readonly conns: (Conn | null)[] = [];
  private readonly free: number[] = [];
  private readonly key: number;

  constructor(key: number) {
    this.key = key;
  }

  /**
   * The entry with that tuple in one of its directions, expired or not, that is in that zone for this direction: looked up
   * under `zone`, which is one of the two. null when there is none.
   */
  find(
    src: number,
    dst: number,
    sport: number,
    dport: number,
    proto: number,
    zone = 0,
    zoneOrig = 0,
    zoneReply = 0,
  ): Conn | null {
    const hash = this.hash(src, dst, sport, dport, proto, zone);
    const slots = this.slots;
    const mask = this.mask;
    for (let i = hash & mask; ; i = (i + 1) & mask) {
      const ref = slots[2 * i + 1];
      if (ref === 0) return null;
      if (slots[2 * i] !== hash) continue;
      const conn = this.conns[(ref - 1) >> 1]!;
      if (conn.proto !== proto) continue;
      if (((ref - 1) & 1) === 0) {
        if (
          conn.origSrc === src &&
          conn.origDst === dst &&
          conn.origSport === sport &&
          conn.origDport === dport &&
          conn.zoneOf(0) === zoneOrig
        ) {
          this.foundDir = 0;
          return conn;
        }
      } else if (
        conn.replSrc === src &&
        conn.replDst === dst &&
        conn.replSport === sport &&
        conn.replDport === dport &&
        conn.zoneOf(1) === zoneReply
      ) {
        this.foundDir = 1;
        return conn;
      }
    }
  }

  /** Adds an entry; with `replyOnly` its original tuple stays out of reach (nf_ct_resolve_clash_harder). */
  insert(conn: Conn, replyOnly: boolean): void {
    const index = this.free.length > 0 ? this.free.pop()! : this.conns.length;
    this.conns[index] = conn;
    conn.index = index;
    this.count++;
    if ((this.used + 2) * 2 > this.mask + 1) this.grow();
    if (!replyOnly) this.put(this.origHash(conn), 2 * index + 1);
    this.put(this.replHash(conn), 2 * index + 2);
  }

  remove(conn: Conn): void {
    const index = conn.index;
    this.take(this.origHash(conn), 2 * index + 1);
    this.take(this.replHash(conn), 2 * index + 2);
    this.conns[index] = null;
    this.free.push(index);
    conn.index = -1;
    this.count--;
  }

  private origHash(conn: Conn): number {
    return this.hash(conn.origSrc, conn.origDst, conn.origSport, conn.origDport, conn.proto, conn.zoneOf(0));
  }

  private replHash(conn: Conn): number {
    return this.hash(conn.replSrc, conn.replDst, conn.replSport, conn.replDport, conn.proto, conn.zoneOf(1));
  }

  private hash(src: number, dst: number, sport: number, dport: number, proto: number, zone: number): number {
    let h = Math.imul(src ^ this.key, 0x9e3779b1);
    h = Math.imul((h ^ (h >>> 15)) + dst, 0x85ebca6b);
    h = Math.imul((h ^ (h >>> 13)) + ((sport << 16) | dport), 0xc2b2ae35);
    return mix32(h ^ proto ^ (zone << 8));
  }

  private put(hash: number, ref: number): void {
    const mask = this.mask;
    let i = hash & mask;
    while (this.slots[2 * i + 1] !== 0) i = (i + 1) & mask;
    this.slots[2 * i] = hash;
    this.slots[2 * i + 1] = ref;
    this.used++;
  }

  private take(hash: number, ref: number): void {
    const { slots, mask } = this;
    let hole = hash & mask;
    while (slots[2 * hole + 1] !== ref) {
      if (slots[2 * hole + 1] === 0) return;
      hole = (hole + 1) & mask;
    }
    this.used--;
    for (let i = (hole + 1) & mask; slots[2 * i + 1] !== 0; i = (i + 1) & mask) {
      const home = slots[2 * i] & mask;
      if (((i - home) & mask) < ((i - hole) & mask)) continue;
      slots[2 * hole] = slots[2 * i];
      slots[2 * hole + 1] = slots[2 * i + 1];
      hole = i;
    }
    slots[2 * hole + 1] = 0;
  }

  private grow(): void {
    const old = this.slots;
    this.mask = (this.mask + 1) * 2 - 1;
    this.slots = new Int32Array((this.mask + 1) * 2);
    this.used = 0;
    for (let i = 0; i < old.length; i += 2) if (old[i + 1] !== 0) this.put(old[i], old[i + 1]);
  }
}
