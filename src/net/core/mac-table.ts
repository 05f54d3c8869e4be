/**
 * A hash table of MAC addresses (what rhashtable does for the bridge's FDB and the bucket list for that of vxlan): open
 * addressing with linear probing, keys in one Int32Array, values beside it. A key is the upper 16 bits of the address
 * (with 16 more bits for the caller, such as a VLAN) and the lower 32.
 */
import { mix32 } from "../../util/hash.ts";

const INITIAL = 32;

export class MacTable<T> {
  /** Two words a slot. */
  private keys = new Int32Array(INITIAL * 2);
  private values: (T | null)[] = new Array<T | null>(INITIAL).fill(null);
  private mask = INITIAL - 1;
  private count = 0;

  get size(): number {
    return this.count;
  }

  /** The value of a key, or null. */
  get(hi: number, lo: number): T | null {
    const keys = this.keys;
    let i = this.home(hi, lo);
    for (;;) {
      const value = this.values[i];
      if (value === null) return null;
      if (keys[2 * i + 1] === lo && keys[2 * i] === hi) return value;
      i = (i + 1) & this.mask;
    }
  }

  set(hi: number, lo: number, value: T): void {
    if ((this.count + 1) * 2 > this.mask + 1) this.grow();
    let i = this.home(hi, lo);
    while (this.values[i] !== null) {
      if (this.keys[2 * i + 1] === lo && this.keys[2 * i] === hi) {
        this.values[i] = value;
        return;
      }
      i = (i + 1) & this.mask;
    }
    this.keys[2 * i] = hi;
    this.keys[2 * i + 1] = lo;
    this.values[i] = value;
    this.count++;
  }

  /** Takes a key out; false when it was not there. Moves later members of the probe run back, so no gap remains. */
  delete(hi: number, lo: number): boolean {
    let i = this.home(hi, lo);
    for (;;) {
      if (this.values[i] === null) return false;
      if (this.keys[2 * i + 1] === lo && this.keys[2 * i] === hi) break;
      i = (i + 1) & this.mask;
    }
    let hole = i;
    for (let j = (i + 1) & this.mask; this.values[j] !== null; j = (j + 1) & this.mask) {
      const home = this.home(this.keys[2 * j], this.keys[2 * j + 1]);
      if (((j - home) & this.mask) < ((j - hole) & this.mask)) continue;
      this.keys[2 * hole] = this.keys[2 * j];
      this.keys[2 * hole + 1] = this.keys[2 * j + 1];
      this.values[hole] = this.values[j];
      hole = j;
    }
    this.values[hole] = null;
    this.count--;
    return true;
  }

  private home(hi: number, lo: number): number {
    return mix32(Math.imul(hi, 0x9e3779b1) ^ lo) & this.mask;
  }

  private grow(): void {
    const { keys, values } = this;
    const size = (this.mask + 1) * 2;
    this.keys = new Int32Array(size * 2);
    this.values = new Array<T | null>(size).fill(null);
    this.mask = size - 1;
    this.count = 0;
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      if (value !== null) this.set(keys[2 * i], keys[2 * i + 1], value);
    }
  }
}
