/** A growing byte buffer, little endian, as the capture files are written (pcap-savefile(5) lets the writer choose). */
export class ByteWriter {
  private bytes = new Uint8Array(4096);
  private view = new DataView(this.bytes.buffer);
  /** Bytes written so far. */
  length = 0;

  /** Makes room for `count` more bytes and returns the offset of the first. */
  reserve(count: number): number {
    const at = this.length;
    this.length += count;
    if (this.length > this.bytes.length) {
      const bigger = new Uint8Array(Math.max(this.length, this.bytes.length * 2));
      bigger.set(this.bytes.subarray(0, at));
      this.bytes = bigger;
      this.view = new DataView(bigger.buffer);
    }
    return at;
  }

  u16(value: number): void {
    const at = this.reserve(2);
    this.view.setUint16(at, value, true);
  }

  u32(value: number): void {
    const at = this.reserve(4);
    this.view.setUint32(at, value, true);
  }

  /** Overwrites four bytes written before. */
  patch32(at: number, value: number): void {
    this.view.setUint32(at, value, true);
  }

  /** Copies `bytes[off, off+lenBytes)`. */
  copy(bytes: Uint8Array, off: number, lenBytes: number): void {
    const at = this.reserve(lenBytes);
    this.bytes.set(bytes.subarray(off, off + lenBytes), at);
  }

  /** Zero bytes up to the next multiple of 4. */
  pad4(): void {
    this.reserve(-this.length & 3);
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }
}
