/**
 * Seeded random streams. One seed makes a whole lab; every user of chance takes a stream of its own by name,
 * so that one more draw in one place does not move the draws of another. The generator is sfc32 (public domain,
 * PractRand's author): 128 bits of state, passes BigCrush.
 */
import { hashString, mix32 } from "./hash.ts";

export class Prng {
  private a: number;
  private b: number;
  private c: number;
  private counter = 1;
  private readonly seed: number;
  private readonly name: string;

  /** `seed` is any integer, `name` says what the stream is for, e.g. `isn/client`. */
  constructor(seed: number, name: string) {
    this.seed = seed;
    this.name = name;
    const low = seed | 0;
    const high = Math.floor(seed / 0x1_0000_0000) | 0;
    this.a = mix32(low ^ 0x243f6a88);
    this.b = mix32(high ^ hashString(name));
    this.c = mix32(hashString(`${name}#`) ^ low);
    for (let i = 0; i < 12; i++) this.u32();
  }

  /** A stream of its own below this one. Does not draw from this stream. */
  stream(name: string): Prng {
    return new Prng(this.seed, `${this.name}/${name}`);
  }

  /** Next 32 random bits, as an int32. */
  i32(): number {
    const sum = (((this.a + this.b) | 0) + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = ((this.c << 21) | (this.c >>> 11)) + sum;
    this.c |= 0;
    return sum;
  }

  /** Next 32 random bits, 0 to 2^32-1. */
  u32(): number {
    return this.i32() >>> 0;
  }

  /** 0 <= result < bound; bound is at most 2^32. Bias below 2^-32 * bound. */
  below(bound: number): number {
    return Math.floor((this.u32() / 0x1_0000_0000) * bound);
  }

  /** 0 <= result < 1. */
  fraction(): number {
    return this.u32() / 0x1_0000_0000;
  }

  /** Uniform choice of one element; `items` must not be empty. */
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)];
  }

  /** Fisher-Yates, in place; returns its argument. */
  shuffle<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const t = items[i];
      items[i] = items[j];
      items[j] = t;
    }
    return items;
  }

  /** `length` random characters of `alphabet`. */
  text(length: number, alphabet: string): string {
    let out = "";
    for (let i = 0; i < length; i++) out += alphabet[this.below(alphabet.length)];
    return out;
  }

  /** `length` random lower-case hexadecimal digits. */
  hex(length: number): string {
    return this.text(length, "0123456789abcdef");
  }
}
