/** Classic capture files (draft-ietf-opsawg-pcap, pcap-savefile(5)): written with nanoseconds, read in every variant. */
import { ByteWriter } from "./byte-writer.ts";
import { CaptureError } from "./capture-error.ts";
import { type CapturedFrame, type CaptureFile, DEFAULT_SNAPLEN, LINKTYPE_ETHERNET } from "./frame.ts";

const MAGIC_US = 0xa1b2c3d4;
const MAGIC_NS = 0xa1b23c4d;
const HEADER_BYTES = 24;
const RECORD_BYTES = 16;
/** No frame is longer; a longer one means damage (MAXIMUM_SNAPLEN of libpcap). */
const MAX_FRAME_BYTES = 262144;

/** Writes a file of frames of one link type; time stamps have nanoseconds unless `micro` (as tcpdump -w does). */
export class PcapWriter {
  private readonly out = new ByteWriter();
  private readonly micro: boolean;

  constructor(micro = false, linkType = LINKTYPE_ETHERNET) {
    this.micro = micro;
    this.out.u32(micro ? MAGIC_US : MAGIC_NS);
    this.out.u16(2);
    this.out.u16(4);
    this.out.u32(0);
    this.out.u32(0);
    this.out.u32(DEFAULT_SNAPLEN);
    this.out.u32(linkType);
  }

  /** Appends the frame `bytes[off, off+lenBytes)` of time `sec` + `nsec`. */
  add(sec: number, nsec: number, bytes: Uint8Array, off: number, lenBytes: number): void {
    this.out.u32(sec);
    this.out.u32(this.micro ? Math.floor(nsec / 1000) : nsec);
    this.out.u32(lenBytes);
    this.out.u32(lenBytes);
    this.out.copy(bytes, off, lenBytes);
  }

  /** The file so far. */
  finish(): Uint8Array {
    return this.out.finish();
  }
}

/** Whether the bytes begin like a classic capture file. */
export function isPcap(bytes: Uint8Array): boolean {
  if (bytes.length < 4) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return [false, true].some((little) => [MAGIC_US, MAGIC_NS].includes(view.getUint32(0, little)));
}

/** Reads a file: microseconds or nanoseconds, either byte order. Throws CaptureError for anything damaged. */
export function readPcap(bytes: Uint8Array, file: string): CaptureFile {
  if (!isPcap(bytes)) throw new CaptureError(file, 0, "not a pcap file (unknown magic number)");
  if (bytes.length < HEADER_BYTES) {
    throw new CaptureError(file, bytes.length, "truncated: the file ends inside its header");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const little = view.getUint8(0) === 0xd4 || view.getUint8(0) === 0x4d;
  const nano = view.getUint32(0, little) === MAGIC_NS;
  const major = view.getUint16(4, little);
  if (major !== 2) throw new CaptureError(file, 4, `pcap version ${major} is not known, only 2`);
  const linkType = view.getUint32(20, little) & 0x0fffffff;
  const snapLen = view.getUint32(16, little);
  const frames: CapturedFrame[] = [];
  for (let at = HEADER_BYTES; at < bytes.length; ) {
    const frame = readRecord(bytes, view, at, little, nano, file, frames.length);
    frames.push(frame);
    at += RECORD_BYTES + frame.bytes.length;
  }
  return { format: "pcap", interfaces: [{ name: "", description: "", linkType, snapLen }], frames };
}

function readRecord(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  little: boolean,
  nano: boolean,
  file: string,
  number: number,
): CapturedFrame {
  const what = `frame ${number + 1}`;
  if (at + RECORD_BYTES > bytes.length) {
    throw new CaptureError(file, at, `truncated: the file ends inside the header of ${what}`);
  }
  const fraction = view.getUint32(at + 4, little);
  const lenBytes = view.getUint32(at + 8, little);
  if (fraction >= (nano ? 1e9 : 1e6)) {
    throw new CaptureError(file, at + 4, `damaged: ${what} has a time stamp beyond its second`);
  }
  if (lenBytes > MAX_FRAME_BYTES) {
    throw new CaptureError(file, at + 8, `damaged: ${what} has an impossible length of ${lenBytes} bytes`);
  }
  const start = at + RECORD_BYTES;
  if (start + lenBytes > bytes.length) {
    const missing = start + lenBytes - bytes.length;
    throw new CaptureError(file, start, `truncated: ${missing} bytes of ${what} are missing`);
  }
  return {
    sec: view.getUint32(at, little),
    nsec: nano ? fraction : fraction * 1000,
    bytes: bytes.subarray(start, start + lenBytes),
    origLen: view.getUint32(at + 12, little),
    interfaceId: 0,
    comment: "",
  };
}
