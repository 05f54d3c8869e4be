/**
 * What encrypted bytes say. The control plane's traffic crosses the emulated wire as packets of the real sizes; as
 * nobody on the way can read them, their content is kept here, under a number that the bytes begin with. A message is
 * there for the receiver when its bytes have arrived there, and only then.
 */
import type { Sim } from "../../sim/sim.ts";

/** Version byte and the number. */
const HEAD_BYTES = 5;
const KEEP_NS = 120_000_000_000;
const SWEEP_SIZE = 1024;

interface Kept {
  readonly meaning: unknown;
  readonly atNs: number;
}

export class Meanings {
  private readonly sim: Sim;
  private readonly kept = new Map<number, Kept>();
  private next = 1;

  constructor(sim: Sim) {
    this.sim = sim;
  }

  /** `size` bytes (5 at least) that mean `meaning` to the first who opens them. */
  seal(meaning: unknown, size: number): Uint8Array {
    const id = this.next++;
    this.kept.set(id, { meaning, atNs: this.sim.now });
    if (this.kept.size > SWEEP_SIZE) this.sweep();
    const bytes = cipherText(size, id);
    new DataView(bytes.buffer).setInt32(1, id);
    return bytes;
  }

  /** What the bytes mean; null when they are nobody's or were opened before. */
  open(bytes: Uint8Array): unknown {
    if (bytes.length < HEAD_BYTES) return null;
    const id = new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getInt32(1);
    const found = this.kept.get(id);
    if (found === undefined) return null;
    this.kept.delete(id);
    return found.meaning;
  }

  /** Forgets what was lost on the way. */
  private sweep(): void {
    for (const [id, { atNs }] of this.kept) {
      if (this.sim.now - atNs < KEEP_NS) return;
      this.kept.delete(id);
    }
  }
}

/** Bytes without a pattern (xorshift32 from `seed`). */
export function cipherText(size: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  for (let i = 0; i < size; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state >>> 16;
  }
  return bytes;
}
