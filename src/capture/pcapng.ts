/** The pcapng format (draft-ietf-opsawg-pcapng): section header, interfaces, enhanced and simple packet blocks. */
import { ByteWriter } from "./byte-writer.ts";
import { CaptureError } from "./capture-error.ts";
import {
  type CapturedFrame,
  type CaptureFile,
  type CaptureInterface,
  DEFAULT_SNAPLEN,
  LINKTYPE_ETHERNET,
} from "./frame.ts";
import { utf8Decode, utf8Encode } from "./utf8.ts";

const BLOCK_SHB = 0x0a0d0d0a;
const BLOCK_IDB = 1;
const BLOCK_SPB = 3;
const BLOCK_EPB = 6;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const OPT_END = 0;
const OPT_COMMENT = 1;
const OPT_SHB_USERAPPL = 4;
const OPT_IF_NAME = 2;
const OPT_IF_DESCRIPTION = 3;
const OPT_IF_TSRESOL = 9;
const OPT_EPB_FLAGS = 2;
const TWO_32 = 0x1_0000_0000;

/** Writes one section of interfaces with nanosecond time stamps. */
export class PcapngWriter {
  private readonly out = new ByteWriter();
  private interfaces = 0;

  constructor() {
    const start = this.open(BLOCK_SHB);
    this.out.u32(BYTE_ORDER_MAGIC);
    this.out.u16(1);
    this.out.u16(0);
    this.out.u32(0xffffffff);
    this.out.u32(0xffffffff);
    this.option(OPT_SHB_USERAPPL, utf8Encode("meshwire"));
    this.close(start);
  }

  /** Declares an interface; returns its number, from 0. */
  addInterface(name: string, description: string, linkType = LINKTYPE_ETHERNET): number {
    const start = this.open(BLOCK_IDB);
    this.out.u16(linkType);
    this.out.u16(0);
    this.out.u32(DEFAULT_SNAPLEN);
    this.option(OPT_IF_NAME, utf8Encode(name));
    if (description !== "") this.option(OPT_IF_DESCRIPTION, utf8Encode(description));
    this.option(OPT_IF_TSRESOL, Uint8Array.of(9));
    this.close(start);
    return this.interfaces++;
  }

  /**
   * Appends the frame `bytes[off, off+lenBytes)` of time `sec` + `nsec` on an interface, with its direction and, unless
   * "", a comment.
   */
  addFrame(
    interfaceId: number,
    sec: number,
    nsec: number,
    bytes: Uint8Array,
    off: number,
    lenBytes: number,
    outgoing: boolean,
    comment: string,
  ): void {
    const start = this.open(BLOCK_EPB);
    this.out.u32(interfaceId);
    const stamp = BigInt(sec) * 1_000_000_000n + BigInt(nsec);
    this.out.u32(Number(stamp >> 32n));
    this.out.u32(Number(stamp & 0xffffffffn));
    this.out.u32(lenBytes);
    this.out.u32(lenBytes);
    this.out.copy(bytes, off, lenBytes);
    this.out.pad4();
    if (comment !== "") this.option(OPT_COMMENT, utf8Encode(comment));
    this.option(OPT_EPB_FLAGS, Uint8Array.of(outgoing ? 2 : 1, 0, 0, 0));
    this.close(start);
  }

  /** The file so far. */
  finish(): Uint8Array {
    return this.out.finish();
  }

  private open(type: number): number {
    const start = this.out.length;
    this.out.u32(type);
    this.out.u32(0);
    return start;
  }

  private close(start: number): void {
    this.out.u16(OPT_END);
    this.out.u16(0);
    const lenBytes = this.out.length - start + 4;
    this.out.u32(lenBytes);
    this.out.patch32(start + 4, lenBytes);
  }

  private option(code: number, value: Uint8Array): void {
    const lenBytes = Math.min(value.length, 0xffff);
    this.out.u16(code);
    this.out.u16(lenBytes);
    this.out.copy(value, 0, lenBytes);
    this.out.pad4();
  }
}

/** Whether the bytes begin like a pcapng file. */
export function isPcapng(bytes: Uint8Array): boolean {
  return (
    bytes.length >= 4 && bytes[0] === 0x0a && bytes[1] === 0x0d && bytes[2] === 0x0d && bytes[3] === 0x0a
  );
}

/** An interface while it is read: how many units of its time stamps make a second. */
interface ReadInterface extends CaptureInterface {
  readonly unitsPerSec: bigint;
}

/** Reads the blocks of a file one after the other. */
class PcapngReader {
  readonly interfaces: ReadInterface[] = [];
  readonly frames: CapturedFrame[] = [];
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly file: string;
  private little = true;
  /** First interface of the present section: numbers in blocks count from there. */
  private sectionBase = 0;

  constructor(bytes: Uint8Array, file: string) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.file = file;
  }

  run(): void {
    for (let at = 0; at < this.bytes.length; ) at = this.block(at);
  }

  private fail(at: number, what: string): never {
    throw new CaptureError(this.file, at, what);
  }

  /** Reads the block at `at`; returns where the next begins. */
  private block(at: number): number {
    if (at + 12 > this.bytes.length) this.fail(at, "truncated: the file ends inside a block");
    if (this.view.getUint32(at) === BLOCK_SHB) this.section(at);
    const type = this.view.getUint32(at, this.little);
    const lenBytes = this.view.getUint32(at + 4, this.little);
    if (lenBytes < 12 || lenBytes % 4 !== 0) {
      this.fail(at + 4, `damaged: a block has an impossible length of ${lenBytes} bytes`);
    }
    const end = at + lenBytes;
    if (end > this.bytes.length) {
      this.fail(at, `truncated: ${end - this.bytes.length} bytes of a block are missing`);
    }
    if (this.view.getUint32(end - 4, this.little) !== lenBytes) {
      this.fail(end - 4, "damaged: the two lengths of a block differ");
    }
    if (type === BLOCK_IDB) this.interfaceBlock(at + 8, end - 4);
    else if (type === BLOCK_EPB) this.enhancedPacket(at + 8, end - 4);
    else if (type === BLOCK_SPB) this.simplePacket(at + 8, end - 4);
    return end;
  }

  private section(at: number): void {
    const magic = this.view.getUint32(at + 8, true);
    if (magic !== BYTE_ORDER_MAGIC && this.view.getUint32(at + 8) !== BYTE_ORDER_MAGIC) {
      this.fail(at + 8, "damaged: unknown byte-order magic");
    }
    this.little = magic === BYTE_ORDER_MAGIC;
    this.sectionBase = this.interfaces.length;
    if (at + 16 > this.bytes.length) this.fail(at, "truncated: the file ends inside a block");
    const major = this.view.getUint16(at + 12, this.little);
    if (major !== 1) this.fail(at + 12, `pcapng version ${major} is not known, only 1`);
  }

  private interfaceBlock(at: number, end: number): void {
    if (at + 8 > end) this.fail(at, "damaged: an interface block is too short");
    let name = "";
    let description = "";
    let unitsPerSec = 1_000_000n;
    this.options(at + 8, end, (code, from, to) => {
      if (code === OPT_IF_NAME) name = utf8Decode(this.bytes.subarray(from, to));
      else if (code === OPT_IF_DESCRIPTION) description = utf8Decode(this.bytes.subarray(from, to));
      else if (code === OPT_IF_TSRESOL && to > from) {
        const resolution = this.bytes[from];
        unitsPerSec = (resolution & 0x80) === 0 ? 10n ** BigInt(resolution) : 2n ** BigInt(resolution & 0x7f);
      }
    });
    this.interfaces.push({
      name,
      description,
      linkType: this.view.getUint16(at, this.little),
      snapLen: this.view.getUint32(at + 4, this.little),
      unitsPerSec,
    });
  }

  private enhancedPacket(at: number, end: number): void {
    if (at + 20 > end) this.fail(at, "damaged: a packet block is too short");
    const interfaceId = this.sectionBase + this.view.getUint32(at, this.little);
    const source = this.interfaces[interfaceId];
    if (source === undefined) this.fail(at, "damaged: a packet names an interface that is not there");
    const high = this.view.getUint32(at + 4, this.little);
    const stamp = BigInt(high) * BigInt(TWO_32) + BigInt(this.view.getUint32(at + 8, this.little));
    const lenBytes = this.view.getUint32(at + 12, this.little);
    const start = at + 20;
    if (start + lenBytes > end) this.fail(at + 12, "damaged: a packet is longer than its block");
    let comment = "";
    this.options(start + lenBytes + (-lenBytes & 3), end, (code, from, to) => {
      if (code === OPT_COMMENT) comment = utf8Decode(this.bytes.subarray(from, to));
    });
    const rest = stamp % source.unitsPerSec;
    this.frames.push({
      sec: Number(stamp / source.unitsPerSec),
      nsec: Number((rest * 1_000_000_000n) / source.unitsPerSec),
      bytes: this.bytes.subarray(start, start + lenBytes),
      origLen: this.view.getUint32(at + 16, this.little),
      interfaceId,
      comment,
    });
  }

  private simplePacket(at: number, end: number): void {
    if (at + 4 > end) this.fail(at, "damaged: a packet block is too short");
    const source = this.interfaces[this.sectionBase];
    if (source === undefined) this.fail(at, "damaged: a packet without an interface");
    const origLen = this.view.getUint32(at, this.little);
    const snapLen = source.snapLen === 0 ? origLen : source.snapLen;
    const lenBytes = Math.min(origLen, snapLen);
    if (at + 4 + lenBytes > end) this.fail(at, "damaged: a packet is longer than its block");
    const bytes = this.bytes.subarray(at + 4, at + 4 + lenBytes);
    this.frames.push({ sec: 0, nsec: 0, bytes, origLen, interfaceId: this.sectionBase, comment: "" });
  }

  private options(at: number, end: number, use: (code: number, from: number, to: number) => void): void {
    for (let p = at; p + 4 <= end; ) {
      const code = this.view.getUint16(p, this.little);
      const lenBytes = this.view.getUint16(p + 2, this.little);
      if (code === OPT_END) return;
      if (p + 4 + lenBytes > end) this.fail(p, "damaged: an option is longer than its block");
      use(code, p + 4, p + 4 + lenBytes);
      p += 4 + lenBytes + (-lenBytes & 3);
    }
  }
}

/** Reads a file of either byte order. Throws CaptureError for anything damaged. */
export function readPcapng(bytes: Uint8Array, file: string): CaptureFile {
  if (!isPcapng(bytes)) throw new CaptureError(file, 0, "not a pcapng file");
  const reader = new PcapngReader(bytes, file);
  reader.run();
  const interfaces = reader.interfaces.map(({ name, description, linkType, snapLen }) => ({
    name,
    description,
    linkType,
    snapLen,
  }));
  return { format: "pcapng", interfaces, frames: reader.frames };
}
