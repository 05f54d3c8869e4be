/** Frames that nobody should have sent: valid ones with changes that keep some of the layers alive. */
import { inetChecksum, pseudoHeaderSum } from "../../src/wire/checksum.ts";

/** What frames are changed with: addresses and ports that mean something in the lab. */
export interface Vocabulary {
  /** Valid frames. */
  readonly frames: readonly Uint8Array[];
  /** int32 */
  readonly addresses: readonly number[];
  readonly ports: readonly number[];
}

/** One change: `kind` chooses it, `a` and `b` say where and to what. */
export interface Change {
  readonly kind: number;
  readonly a: number;
  readonly b: number;
}

const ETH = 14;
const NUMBERS = [
  0, 1, 2, 3, 4, 5, 8, 14, 15, 16, 20, 28, 40, 0x45, 0x7f, 0x80, 0xff, 576, 1400, 1450, 1500, 0x1fff,
];
const WIDE = [0x2000, 0x3fff, 0x4000, 0x7fff, 0x8000, 0xffff, 0x7fffffff, -0x80000000, -1, 0x08000000];
const PROTOCOLS = [0, 1, 2, 4, 6, 17, 41, 47, 50, 51, 103, 132, 136, 255];
const TYPES = [0x0800, 0x0806, 0x86dd, 0x8100, 0x88cc, 0x0000, 0x05dc, 0x0600];

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** Offset of the transport header, or -1 when the frame has none. */
function transport(bytes: Uint8Array): number {
  if (bytes.length < ETH + 20 || bytes[12] !== 8 || bytes[13] !== 0 || bytes[ETH] >> 4 !== 4) return -1;
  const off = ETH + (bytes[ETH] & 15) * 4;
  return off + 8 <= bytes.length && off >= ETH + 20 ? off : -1;
}

/** Sets lengths and checksums right, so that the change is all that is wrong. */
function repair(bytes: Uint8Array): Uint8Array {
  const off = transport(bytes);
  if (off < 0) return bytes;
  const view = viewOf(bytes);
  view.setUint16(ETH + 2, bytes.length - ETH);
  view.setUint16(ETH + 10, 0);
  view.setUint16(ETH + 10, inetChecksum(view, ETH, off - ETH));
  const length = bytes.length - off;
  const protocol = bytes[ETH + 9];
  const field = protocol === 6 ? 16 : protocol === 17 ? 6 : protocol === 1 ? 2 : -1;
  if (field < 0 || field + 2 > length) return bytes;
  if (protocol === 17) view.setUint16(off + 4, length);
  view.setUint16(off + field, 0);
  const pseudo =
    protocol === 1 ? 0 : pseudoHeaderSum(view.getInt32(ETH + 12), view.getInt32(ETH + 16), protocol, length);
  view.setUint16(off + field, inetChecksum(view, off, length, pseudo));
  return bytes;
}

function join(...parts: readonly ArrayLike<number>[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => Array.from(part)));
}

const at = <T>(items: readonly T[], index: number): T => items[index % items.length];

/** A fragment of the frame: `a` cuts where, `b` says which part and how flags lie. */
function fragment(bytes: Uint8Array, a: number, b: number): Uint8Array {
  if (transport(bytes) < 0) return bytes;
  const payload = bytes.subarray(ETH + 20);
  const cut = (a % 200) & ~7;
  const first = (b & 1) === 0;
  const part = join(bytes.subarray(0, ETH + 20), first ? payload.subarray(0, cut) : payload.subarray(cut));
  const view = viewOf(part);
  const more = first || (b & 2) !== 0 ? 0x2000 : 0;
  view.setUint16(ETH + 6, more | (first ? 0 : cut >> 3) | ((b & 12) === 12 ? 0x1ff0 : 0));
  view.setUint16(ETH + 2, part.length - ETH);
  view.setUint16(ETH + 10, 0);
  view.setUint16(ETH + 10, inetChecksum(view, ETH, 20));
  return part;
}

/** Frame and headers in front of another's packet: an ICMP error that quotes it. */
function quoteInIcmp(bytes: Uint8Array, a: number, b: number): Uint8Array {
  if (transport(bytes) < 0) return bytes;
  const header = bytes.slice(0, ETH + 20);
  header[ETH] = 0x45;
  header[ETH + 6] = 0;
  header[ETH + 7] = 0;
  header[ETH + 9] = 1;
  header.set(bytes.subarray(ETH + 16, ETH + 20), ETH + 12);
  header.set(bytes.subarray(ETH + 12, ETH + 16), ETH + 16);
  const icmp = [at([3, 11, 12, 5, 4, 0, 8, 13], a), b & 15, 0, 0, 0, 0, b >> 8, b];
  return repair(join(header, icmp, bytes.subarray(ETH, ETH + 20 + 8 + (a % 64))));
}

/** The frame inside VXLAN inside the headers of another valid UDP frame. */
function inVxlan(bytes: Uint8Array, a: number, b: number, words: Vocabulary): Uint8Array {
  const outer = words.frames.find((frame) => frame.length > 50 && frame[23] === 17 && frame[36] === 0x12);
  if (outer === undefined) return bytes;
  const headers = outer.slice(0, 50);
  headers[49] = 0;
  if (a % 4 === 0) headers[42] = b;
  if (a % 4 === 1) headers.set([b >> 16, b >> 8, b], 46);
  return repair(join(headers, bytes.subarray(0, 1450)));
}

function setTcp(bytes: Uint8Array, a: number, b: number): Uint8Array {
  const off = transport(bytes);
  if (off < 0 || bytes[ETH + 9] !== 6 || off + 20 > bytes.length) return bytes;
  bytes[off + 13] = a;
  const view = viewOf(bytes);
  if ((b & 1) !== 0) view.setInt32(off + 4, (view.getInt32(off + 4) + (b >> 1)) | 0);
  if ((b & 2) !== 0) view.setUint16(off + 14, b);
  if ((b & 12) === 12) bytes[off + 12] = (b >> 4) & 0xf0;
  return repair(bytes);
}

/** The frame after one change; a new array or the same. */
export function change(frame: Uint8Array, { kind, a, b }: Change, words: Vocabulary): Uint8Array {
  const bytes = frame.slice();
  const view = viewOf(bytes);
  const off = transport(bytes);
  const place = a % Math.max(1, bytes.length);
  switch (kind) {
    case 0:
      bytes[place] ^= 1 << (b & 7);
      return bytes;
    case 1:
      bytes[place] = at(NUMBERS, b);
      return repair(bytes);
    case 2:
      if (place + 2 <= bytes.length) view.setUint16(place, at([...NUMBERS, ...WIDE], b));
      return repair(bytes);
    case 3:
      if (place + 4 <= bytes.length) view.setInt32(place, at([...NUMBERS, ...WIDE], b));
      return bytes;
    case 4:
      return bytes.subarray(0, Math.max(ETH, place));
    case 5:
      return repair(join(bytes, new Array(b % 3000).fill(a)).subarray(0, 9000));
    case 6:
      if (off >= 0) view.setInt32(ETH + ((a & 1) === 0 ? 12 : 16), at(words.addresses, b));
      else if (bytes.length >= 42) view.setInt32((a & 1) === 0 ? 28 : 38, at(words.addresses, b));
      return repair(bytes);
    case 7:
      if (off >= 0) view.setUint16(off + ((a & 1) === 0 ? 0 : 2), at(words.ports, b));
      return repair(bytes);
    case 8:
      if (off >= 0) bytes[ETH + 9] = at(PROTOCOLS, b);
      return repair(bytes);
    case 9:
      if (off >= 0) bytes[ETH + 8] = at([0, 1, 2, 3, 64, 255], b);
      return repair(bytes);
    case 10:
      view.setUint16(12, at(TYPES, b));
      return bytes;
    case 11:
      return fragment(bytes, a, b);
    case 12:
      return quoteInIcmp(bytes, a, b);
    case 13:
      return inVxlan(bytes, a, b, words);
    case 14:
      return setTcp(bytes, a, b);
    case 15:
      bytes.set(
        [
          [255, 255, 255, 255, 255, 255],
          [1, 0, 0x5e, 0, 0, 1],
          [0, 0, 0, 0, 0, 0],
        ][b % 3],
        a % 2 === 0 ? 0 : 6,
      );
      return bytes;
    case 16:
      // Options in the IPv4 header: bytes of the payload become them.
      if (off >= 0) bytes[ETH] = 0x45 + (b % 11);
      return repair(bytes);
    default:
      return bytes;
  }
}

export const CHANGE_KINDS = 18;
