/**
 * What the text of tcpdump is made with (netdissect.h): options, the bytes of the frame with the end of what was
 * captured, and the text so far. A read beyond that end abandons the frame, as the real tool does by longjmp.
 */
import { TcpConversations } from "./tcp-conversations.ts";

/** Flags of the command line. */
export interface DissectOptions {
  /** -e: the link-level header. */
  readonly link: boolean;
  /** -v count. */
  readonly verbose: number;
  /** -q: less about the protocol. */
  readonly quiet: boolean;
  /** -S: absolute TCP sequence numbers. */
  readonly absoluteSeq: boolean;
  /** -t given: no time stamp. */
  readonly noTime: boolean;
}

/** Leaves the dissectors when the captured bytes end; never seen outside `Dissector`. */
export class TruncatedFrame extends Error {}

/** Prints a part of a packet of `lenBytes` at `off`. */
export type Printer = (ctx: DissectContext, off: number, lenBytes: number) => void;

export class DissectContext {
  readonly options: DissectOptions;
  readonly conversations = new TcpConversations();
  /** The printers that lower protocols call upwards again (VXLAN, ICMP): cut here, or the files would be a circle. */
  readonly printEther: Printer;
  readonly printIp: Printer;
  bytes: Uint8Array;
  view: DataView;
  /** One past the last byte that was captured, or that the enclosing header allows. */
  snapEnd = 0;
  /** Offset of the innermost IP header. */
  ipOff = 0;
  /** Name that a truncation is reported under. */
  protocol = "";
  text = "";

  constructor(options: DissectOptions, printEther: Printer, printIp: Printer) {
    this.options = options;
    this.printEther = printEther;
    this.printIp = printIp;
    this.bytes = new Uint8Array(0);
    this.view = new DataView(this.bytes.buffer);
  }

  load(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.snapEnd = bytes.length;
    this.text = "";
    this.protocol = "ether";
  }

  put(text: string): void {
    this.text += text;
  }

  /** Whether `count` bytes at `off` were captured. */
  has(off: number, count: number): boolean {
    return off >= 0 && off + count <= this.snapEnd;
  }

  /** Abandons the frame unless `count` bytes at `off` were captured. */
  need(off: number, count: number): void {
    if (!this.has(off, count)) throw new TruncatedFrame();
  }

  u8(off: number): number {
    this.need(off, 1);
    return this.bytes[off];
  }

  u16(off: number): number {
    this.need(off, 2);
    return this.view.getUint16(off);
  }

  /** 0 to 2^32-1. */
  u32(off: number): number {
    this.need(off, 4);
    return this.view.getUint32(off);
  }

  /** int32, for addresses. */
  i32(off: number): number {
    this.need(off, 4);
    return this.view.getInt32(off);
  }
}

/** Names of the bits set in `value`, joined; `none` when there are none (bittok2str). */
export function bitNames(
  value: number,
  names: readonly (readonly [number, string])[],
  none: string,
  joint: string,
): string {
  const set = names.filter(([bit]) => (value & bit) !== 0).map(([, name]) => name);
  return set.length === 0 ? none : set.join(joint);
}

/** Two hexadecimal digits a byte, no separator. */
export function hexBytes(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

/** The right checksum, given the field and the checksum over all with that field (in_cksum_shouldbe). */
export function shouldBe(field: number, sum: number): number {
  const total = field + sum;
  return ((total & 0xffff) + (total >>> 16)) & 0xffff;
}

/** Hexadecimal digits, a space behind each two bytes. */
export function hexWords(bytes: Uint8Array): string {
  const words: string[] = [];
  for (let i = 0; i < bytes.length; i += 2) words.push(hexBytes(bytes.subarray(i, i + 2)));
  return words.join(" ");
}

/** The bytes `[off, end)` sixteen a line behind `lead`, in hexadecimal (hex_print). */
export function printHex(ctx: DissectContext, lead: string, off: number, end: number): void {
  for (let line = off; line < end; line += 16) {
    const bytes = ctx.bytes.subarray(line, Math.min(line + 16, end));
    ctx.put(`${lead}0x${(line - off).toString(16).padStart(4, "0")}:  ${hexWords(bytes)}`);
  }
}
