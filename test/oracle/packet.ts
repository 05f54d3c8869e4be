/** Frames as bytes, written without the code that is on trial. Addresses and MACs are text; lengths are right unless given. */

export type Bytes = Uint8Array;

export function hexOf(bytes: Bytes): string {
  return Buffer.from(bytes).toString("hex");
}

export function fromHex(text: string): Bytes {
  return Uint8Array.from(Buffer.from(text, "hex"));
}

export function ipBytes(text: string): number[] {
  return text.split(".").map(Number);
}

export function macBytes(text: string): number[] {
  return text.split(":").map((part) => Number.parseInt(part, 16));
}

export function ipText(bytes: Bytes, off: number): string {
  return bytes.subarray(off, off + 4).join(".");
}

export function macText(bytes: Bytes, off: number): string {
  return Array.from(bytes.subarray(off, off + 6), (b) => b.toString(16).padStart(2, "0")).join(":");
}

export function get16(bytes: Bytes, off: number): number {
  return (bytes[off] << 8) | bytes[off + 1];
}

export function set16(bytes: Bytes, off: number, value: number): void {
  bytes[off] = (value >> 8) & 0xff;
  bytes[off + 1] = value & 0xff;
}

export function get32(bytes: Bytes, off: number): number {
  return ((get16(bytes, off) << 16) | get16(bytes, off + 2)) >>> 0;
}

export function set32(bytes: Bytes, off: number, value: number): void {
  set16(bytes, off, value >>> 16);
  set16(bytes, off + 2, value & 0xffff);
}

/** Sum of 16-bit words, folded (RFC 1071). */
export function sum16(bytes: Bytes, from: number, to: number, start = 0): number {
  let sum = start;
  for (let i = from; i < to; i += 2) sum += (bytes[i] << 8) | (i + 1 < to ? bytes[i + 1] : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

export const IPPROTO_ICMP = 1;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
export const IPPROTO_GRE = 47;
export const IPPROTO_SCTP = 132;
export const IPPROTO_UDPLITE = 136;
export const ETH_P_IP = 0x0800;
export const ETH_P_ARP = 0x0806;
export const ETH_HLEN = 14;

export function ethernet(dst: string, src: string, type: number, payload: Bytes): Bytes {
  return Uint8Array.from([...macBytes(dst), ...macBytes(src), type >> 8, type & 0xff, ...payload]);
}

/** A VLAN tag: what kind of tag, and priority with the number of the VLAN. */
export type Tag = readonly [type: number, tci: number];

/** The frame with tags behind its MAC addresses, the first outermost. */
export function tagged(frame: Bytes, tags: readonly Tag[]): Bytes {
  const bytes = tags.flatMap(([type, tci]) => [type >> 8, type & 0xff, tci >> 8, tci & 0xff]);
  return Uint8Array.from([...frame.subarray(0, 12), ...bytes, ...frame.subarray(12)]);
}

export interface ArpFields {
  readonly op: number;
  readonly sha: string;
  readonly spa: string;
  readonly tha: string;
  readonly tpa: string;
  /** Hardware type, 1 Ethernet. */
  readonly hrd?: number;
  readonly pro?: number;
  readonly hln?: number;
  readonly pln?: number;
}

export function arp(fields: ArpFields): Bytes {
  const { op, sha, spa, tha, tpa, hrd = 1, pro = ETH_P_IP, hln = 6, pln = 4 } = fields;
  const head = [hrd >> 8, hrd & 0xff, pro >> 8, pro & 0xff, hln, pln, op >> 8, op & 0xff];
  return Uint8Array.from([...head, ...macBytes(sha), ...ipBytes(spa), ...macBytes(tha), ...ipBytes(tpa)]);
}

export interface IpFields {
  readonly src: string;
  readonly dst: string;
  readonly protocol: number;
  readonly id: number;
  readonly ttl?: number;
  readonly tos?: number;
  /** Bit 2 reserved, 1 DF, 0 MF as in the header: DF is 0x4000, MF 0x2000; the low bits are the offset in 8 bytes. */
  readonly frag?: number;
  /** Padded to 4 bytes with zeros. */
  readonly options?: readonly number[];
  readonly version?: number;
  readonly ihl?: number;
  readonly totalLength?: number;
  /** Added to the right checksum. */
  readonly badSum?: number;
}

export function ipv4(fields: IpFields, payload: Bytes): Bytes {
  const options = [...(fields.options ?? [])];
  while (options.length % 4 !== 0) options.push(0);
  const headerLength = 20 + options.length;
  const bytes = new Uint8Array(headerLength + payload.length);
  bytes[0] = ((fields.version ?? 4) << 4) | (fields.ihl ?? headerLength / 4);
  bytes[1] = fields.tos ?? 0;
  set16(bytes, 2, fields.totalLength ?? bytes.length);
  set16(bytes, 4, fields.id);
  set16(bytes, 6, fields.frag ?? 0);
  bytes[8] = fields.ttl ?? 64;
  bytes[9] = fields.protocol;
  bytes.set(ipBytes(fields.src), 12);
  bytes.set(ipBytes(fields.dst), 16);
  bytes.set(options, 20);
  set16(bytes, 10, (~sum16(bytes, 0, headerLength) + (fields.badSum ?? 0)) & 0xffff);
  bytes.set(payload, headerLength);
  return bytes;
}

function pseudoSum(src: string, dst: string, protocol: number, length: number): number {
  return sum16(Uint8Array.from([...ipBytes(src), ...ipBytes(dst)]), 0, 8) + protocol + length;
}

export interface UdpFields {
  readonly src: string;
  readonly dst: string;
  readonly sport: number;
  readonly dport: number;
  readonly length?: number;
  /** "none": the sum is 0. */
  readonly sum?: "right" | "none" | "wrong";
}

export function udp(fields: UdpFields, payload: Bytes): Bytes {
  const bytes = new Uint8Array(8 + payload.length);
  set16(bytes, 0, fields.sport);
  set16(bytes, 2, fields.dport);
  set16(bytes, 4, fields.length ?? bytes.length);
  bytes.set(payload, 8);
  const sum = ~sum16(bytes, 0, bytes.length, pseudoSum(fields.src, fields.dst, IPPROTO_UDP, bytes.length));
  if (fields.sum !== "none") set16(bytes, 6, (sum & 0xffff) ^ (fields.sum === "wrong" ? 0x5a : 0) || 0xffff);
  return bytes;
}

export interface UdpliteFields {
  readonly src: string;
  readonly dst: string;
  readonly sport: number;
  readonly dport: number;
  /** Bytes under the checksum; 0: all. */
  readonly coverage: number;
  /** "proper" is right by RFC 3828; "right" is what Linux's connection tracking takes, with the number of UDP in it. */
  readonly sum?: "right" | "none" | "proper";
}

export function udplite(fields: UdpliteFields, payload: Bytes): Bytes {
  const { src, dst, coverage, sum = "right" } = fields;
  const bytes = new Uint8Array(8 + payload.length);
  set16(bytes, 0, fields.sport);
  set16(bytes, 2, fields.dport);
  set16(bytes, 4, coverage);
  bytes.set(payload, 8);
  const protocol = sum === "proper" ? IPPROTO_UDPLITE : IPPROTO_UDP;
  const to = coverage === 0 ? bytes.length : Math.min(coverage, bytes.length);
  const check = ~sum16(bytes, 0, to, pseudoSum(src, dst, protocol, bytes.length)) & 0xffff;
  if (sum !== "none") set16(bytes, 6, check || 0xffff);
  return bytes;
}

/** CRC32c bit by bit. */
function crc32c(bytes: Bytes): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 0 ? 0 : 0x82f63b78);
  }
  return ~crc >>> 0;
}

/** The checksum of the SCTP packet in `bytes`, as its four bytes. */
export function sctpSum(bytes: Bytes): number[] {
  const zeroed = bytes.slice();
  zeroed.fill(0, 8, 12);
  const crc = crc32c(zeroed);
  return [crc & 0xff, (crc >>> 8) & 0xff, (crc >>> 16) & 0xff, crc >>> 24];
}

export interface SctpFields {
  readonly sport: number;
  readonly dport: number;
  /** Verification tag. */
  readonly tag: number;
  readonly badSum?: boolean;
}

/** Chunks stand behind one another. */
export function sctp(fields: SctpFields, chunks: Bytes): Bytes {
  const bytes = new Uint8Array(12 + chunks.length);
  set16(bytes, 0, fields.sport);
  set16(bytes, 2, fields.dport);
  set32(bytes, 4, fields.tag);
  bytes.set(chunks, 12);
  bytes.set(sctpSum(bytes), 8);
  if (fields.badSum === true) bytes[8] ^= 0x5a;
  return bytes;
}

/** A chunk, filled up to words of four bytes; `length` is what it says of itself. */
export function sctpChunk(type: number, flags: number, value: Bytes, length = 4 + value.length): Bytes {
  const bytes = new Uint8Array((4 + value.length + 3) & ~3);
  bytes.set([type, flags, length >> 8, length & 0xff]);
  bytes.set(value, 4);
  return bytes;
}

export interface TcpFields {
  readonly src: string;
  readonly dst: string;
  readonly sport: number;
  readonly dport: number;
  readonly seq: number;
  readonly ack: number;
  /** Letters of `CEUAPRSF`. */
  readonly flags: string;
  readonly window?: number;
  readonly options?: readonly number[];
  /** Header length in words. */
  readonly doff?: number;
  readonly badSum?: boolean;
}

const TCP_FLAGS = "FSRPAUEC";

export function tcpFlagBits(flags: string): number {
  let bits = 0;
  for (const letter of flags) bits |= 1 << TCP_FLAGS.indexOf(letter);
  return bits;
}

export function tcp(fields: TcpFields, payload: Bytes): Bytes {
  const options = [...(fields.options ?? [])];
  while (options.length % 4 !== 0) options.push(0);
  const bytes = new Uint8Array(20 + options.length + payload.length);
  set16(bytes, 0, fields.sport);
  set16(bytes, 2, fields.dport);
  set32(bytes, 4, fields.seq);
  set32(bytes, 8, fields.ack);
  bytes[12] = (fields.doff ?? 5 + options.length / 4) << 4;
  bytes[13] = tcpFlagBits(fields.flags);
  set16(bytes, 14, fields.window ?? 29200);
  bytes.set(options, 20);
  bytes.set(payload, 20 + options.length);
  const sum = ~sum16(bytes, 0, bytes.length, pseudoSum(fields.src, fields.dst, IPPROTO_TCP, bytes.length));
  set16(bytes, 16, (sum & 0xffff) ^ (fields.badSum === true ? 0x5a : 0));
  return bytes;
}

/** An ICMP message: `rest` are the four bytes after the checksum. */
export function icmp(
  type: number,
  code: number,
  rest: readonly number[],
  payload: Bytes,
  badSum = false,
): Bytes {
  const bytes = Uint8Array.from([type, code, 0, 0, ...rest, ...payload]);
  set16(bytes, 2, (~sum16(bytes, 0, bytes.length) & 0xffff) ^ (badSum ? 0x5a : 0));
  return bytes;
}

/** Payload that differs from case to case: counting bytes from `first`. */
export function pattern(length: number, first: number): Bytes {
  return Uint8Array.from({ length }, (_, i) => (first + i) & 0xff);
}
