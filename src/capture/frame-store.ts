/**
 * Bytes of recorded frames in blocks: what was written never moves, so growing costs nothing but the new block. Blocks
 * double up to a limit; a frame never straddles two.
 */

const FIRST_BLOCK = 1 << 14;
const LARGEST_BLOCK = 1 << 22;
/** A place is block * SPAN + offset. */
const SPAN = LARGEST_BLOCK * 2;
/** Up to here copying words beats the call of `set`. */
const WORDS_UP_TO = 256;

export class FrameStore {
  private readonly blocks: Uint8Array[] = [new Uint8Array(FIRST_BLOCK)];
  private current = this.blocks[0];
  private view = new DataView(this.current.buffer);
  private used = 0;

  /** Keeps a copy of `bytes[off, off+lenBytes)`, of which `view` is the view; returns its place. */
  add(bytes: Uint8Array, view: DataView, off: number, lenBytes: number): number {
    if (this.used + lenBytes > this.current.length) this.addBlock(lenBytes);
    const start = this.used;
    this.used = start + lenBytes;
    if (lenBytes > WORDS_UP_TO) this.current.set(bytes.subarray(off, off + lenBytes), start);
    else {
      const to = this.view;
      let i = 0;
      for (; i + 3 < lenBytes; i += 4) to.setInt32(start + i, view.getInt32(off + i, true), true);
      for (; i < lenBytes; i++) to.setUint8(start + i, view.getUint8(off + i));
    }
    return (this.blocks.length - 1) * SPAN + start;
  }

  /** The bytes at a place; not a copy. */
  at(place: number, lenBytes: number): Uint8Array {
    const start = place % SPAN;
    return this.blocks[Math.floor(place / SPAN)].subarray(start, start + lenBytes);
  }

  private addBlock(lenBytes: number): void {
    const size = Math.min(this.current.length * 2, LARGEST_BLOCK);
    this.current = new Uint8Array(Math.max(size, lenBytes));
    this.view = new DataView(this.current.buffer);
    this.blocks.push(this.current);
    this.used = 0;
  }
}
