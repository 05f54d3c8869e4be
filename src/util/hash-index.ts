/**
 * Open addressing from a 32-bit hash to a small integer id, several ids a hash allowed. Two words a slot, linear probing,
 * deletion by shifting back (Knuth 6.4 R), at most half full. The caller compares the real key:
 *
 *     for (let s = index.first(hash); s >= 0; s = index.next(s, hash)) if (matches(index.id(s))) …
 *
 * Of equal hashes the one added last is found last.
 */
const EMPTY = -1;

export class HashIndex {
  private hashes: Int32Array;
  private ids: Int32Array;
  private mask: number;
  private used = 0;

  /** `capacity`: number of entries expected at first. */
  constructor(capacity = 64) {
    let slots = 16;
    while (slots < capacity * 2) slots <<= 1;
    this.hashes = new Int32Array(slots);
    this.ids = new Int32Array(slots).fill(EMPTY);
    this.mask = slots - 1;
  }

  /** Number of entries. */
  get size(): number {
    return this.used;
  }

  /** First slot that holds `hash`, or -1. */
  first(hash: number): number {
    return this.scan(hash & this.mask, hash);
  }

  /** Next slot after `slot` that holds `hash`, or -1. */
  next(slot: number, hash: number): number {
    return this.scan((slot + 1) & this.mask, hash);
  }

  /** The id in a slot. */
  id(slot: number): number {
    return this.ids[slot];
  }

  /** Adds an id (not negative) under `hash`. */
  add(hash: number, id: number): void {
    if ((this.used + 1) * 2 > this.ids.length) this.grow();
    this.insert(hash, id);
    this.used++;
  }

  /** Takes out the entry; false when it is not there. */
  remove(hash: number, id: number): boolean {
    for (let slot = this.first(hash); slot >= 0; slot = this.next(slot, hash)) {
      if (this.ids[slot] !== id) continue;
      this.close(slot);
      this.used--;
      return true;
    }
    return false;
  }

  clear(): void {
    this.ids.fill(EMPTY);
    this.used = 0;
  }

  private scan(start: number, hash: number): number {
    const { ids, hashes, mask } = this;
    for (let slot = start; ids[slot] !== EMPTY; slot = (slot + 1) & mask)
      if (hashes[slot] === hash) return slot;
    return -1;
  }

  private insert(hash: number, id: number): void {
    let slot = hash & this.mask;
    while (this.ids[slot] !== EMPTY) slot = (slot + 1) & this.mask;
    this.ids[slot] = id;
    this.hashes[slot] = hash;
  }

  /** Fills the hole at `hole` with later entries of the run that may stand there. */
  private close(hole: number): void {
    const { ids, hashes, mask } = this;
    let free = hole;
    for (let slot = (free + 1) & mask; ids[slot] !== EMPTY; slot = (slot + 1) & mask) {
      const home = hashes[slot] & mask;
      if (((slot - home) & mask) < ((slot - free) & mask)) continue;
      ids[free] = ids[slot];
      hashes[free] = hashes[slot];
      free = slot;
    }
    ids[free] = EMPTY;
  }

  private grow(): void {
    const { ids, hashes } = this;
    this.ids = new Int32Array(ids.length * 2).fill(EMPTY);
    this.hashes = new Int32Array(ids.length * 2);
    this.mask = this.ids.length - 1;
    for (let slot = 0; slot < ids.length; slot++)
      if (ids[slot] !== EMPTY) this.insert(hashes[slot], ids[slot]);
  }
}
