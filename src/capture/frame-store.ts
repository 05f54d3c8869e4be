/**
 * Bytes of recorded frames in blocks: what was written never moves, so growing costs nothing but the new block. Blocks
 * double up to a limit; a frame never straddles two. A frame stands at the same offset within a word as in the packet, so
 * that whole words are copied.
 */

const FIRST_BLOCK = 1 << 14;
const LARGEST_BLOCK = 1 << 22;
/** A place is block * SPAN + offset. */
const SPAN = LARGEST_BLOCK * 2;
/** Up to here the loop beats the call of `set`. */
const LOOP_WORDS = 64;

export class FrameStore {
  private readonly blocks: Uint8Array[] = [new Uint8Array(FIRST_BLOCK)];
  private words = new Int32Array(this.blocks[0].buffer);
  /** Words of the last block that are taken. */
  private used = 0;

  /** Keeps a copy of `lenBytes` bytes from byte `off` of `from` on; returns its place. */
  add(from: Int32Array, off: number, lenBytes: number): number {
    const first = off >> 2;
    const count = ((off + lenBytes + 3) >> 2) - first;
    if (this.used + count > this.words.length) this.addBlock(count);
    const start = this.used;
    const to = this.words;
    this.used = start + count;
    if (count > LOOP_WORDS) to.set(from.subarray(first, first + count), start);
    else for (let i = 0; i < count; i++) to[start + i] = from[first + i];
    return (this.blocks.length - 1) * SPAN + start * 4 + (off & 3);
  }

  /** The bytes at a place; not a copy. */
  at(place: number, lenBytes: number): Uint8Array {
    const start = place % SPAN;
    return this.blocks[Math.floor(place / SPAN)].subarray(start, start + lenBytes);
  }

  private addBlock(wordCount: number): void {
    const size = Math.min(this.words.length * 8, LARGEST_BLOCK);
    const block = new Uint8Array(Math.max(size, wordCount * 4));
    this.words = new Int32Array(block.buffer);
    this.blocks.push(block);
    this.used = 0;
  }
}
