/**
 * DNS messages (RFC 1035 section 4, RFC 2782 for SRV, RFC 3596 for AAAA, RFC 6891 for the OPT record), read and written
 * whole. Not on the hot path: objects are made.
 */
import { type DnsCursor, dnsLabels, readDnsName } from "./dns-name.ts";

export const DNS_HLEN = 12;

export const DNS_A = 1;
export const DNS_NS = 2;
export const DNS_CNAME = 5;
export const DNS_SOA = 6;
export const DNS_PTR = 12;
export const DNS_MX = 15;
export const DNS_TXT = 16;
export const DNS_AAAA = 28;
export const DNS_SRV = 33;
export const DNS_OPT = 41;
export const DNS_ANY = 255;
export const DNS_CLASS_IN = 1;

/** Bits of the flags word. */
export const DNS_QR = 0x8000;
export const DNS_AA = 0x0400;
export const DNS_TC = 0x0200;
export const DNS_RD = 0x0100;
export const DNS_RA = 0x0080;
export const DNS_AD = 0x0020;
export const DNS_CD = 0x0010;

export const DNS_NOERROR = 0;
export const DNS_FORMERR = 1;
export const DNS_SERVFAIL = 2;
export const DNS_NXDOMAIN = 3;
export const DNS_NOTIMP = 4;
export const DNS_REFUSED = 5;

export interface DnsQuestion {
  /** Fully qualified, as it was written: `Web.`. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
}

/** What a record says. `addr` is an int32, `words` are eight 16-bit words; texts have one character a byte. */
export type DnsData =
  | { readonly kind: "a"; readonly addr: number }
  | { readonly kind: "aaaa"; readonly words: readonly number[] }
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "mx"; readonly preference: number; readonly exchange: string }
  | { readonly kind: "txt"; readonly texts: readonly string[] }
  | {
      readonly kind: "srv";
      readonly priority: number;
      readonly weight: number;
      readonly port: number;
      readonly target: string;
    }
  | {
      readonly kind: "soa";
      readonly mname: string;
      readonly rname: string;
      /** serial, refresh, retry, expire, minimum; 0 to 2^32-1. */
      readonly times: readonly number[];
    }
  | { readonly kind: "raw"; readonly bytes: Uint8Array };

export interface DnsRecord {
  readonly name: string;
  readonly type: number;
  /** For OPT: the UDP payload size. */
  readonly class: number;
  /** Seconds, 0 to 2^32-1; for OPT: extended rcode, version, flags. */
  readonly ttl: number;
  readonly data: DnsData;
}

export interface DnsMessage {
  readonly id: number;
  /** DNS_QR and the other bits, opcode in bits 11 to 14, rcode in 0 to 3. */
  readonly flags: number;
  readonly questions: readonly DnsQuestion[];
  readonly answers: readonly DnsRecord[];
  readonly authorities: readonly DnsRecord[];
  readonly additionals: readonly DnsRecord[];
}

export function dnsRcode(flags: number): number {
  return flags & 0x0f;
}

function u8(c: DnsCursor): number {
  if (c.at + 1 > c.end) c.failed = true;
  return c.failed ? 0 : c.bytes[c.at++];
}

function u16(c: DnsCursor): number {
  const high = u8(c);
  return (high << 8) | u8(c);
}

function u32(c: DnsCursor): number {
  const high = u16(c);
  return high * 0x10000 + u16(c);
}

function readTexts(c: DnsCursor, end: number): string[] {
  const texts: string[] = [];
  while (c.at < end && !c.failed) {
    const length = u8(c);
    if (c.at + length > end) c.failed = true;
    let text = "";
    for (let i = 0; i < length && !c.failed; i++) text += String.fromCharCode(u8(c));
    texts.push(text);
  }
  return texts;
}

function readData(c: DnsCursor, type: number, lenBytes: number): DnsData {
  const end = c.at + lenBytes;
  switch (type) {
    case DNS_A:
      return { kind: "a", addr: u32(c) | 0 };
    case DNS_AAAA:
      return { kind: "aaaa", words: Array.from({ length: 8 }, () => u16(c)) };
    case DNS_NS:
    case DNS_CNAME:
    case DNS_PTR:
      return { kind: "name", name: readDnsName(c) };
    case DNS_MX:
      return { kind: "mx", preference: u16(c), exchange: readDnsName(c) };
    case DNS_TXT:
      return { kind: "txt", texts: readTexts(c, end) };
    case DNS_SRV:
      return { kind: "srv", priority: u16(c), weight: u16(c), port: u16(c), target: readDnsName(c) };
    case DNS_SOA:
      return {
        kind: "soa",
        mname: readDnsName(c),
        rname: readDnsName(c),
        times: Array.from({ length: 5 }, () => u32(c)),
      };
    default:
      c.at = end;
      return { kind: "raw", bytes: c.bytes.slice(end - lenBytes, end) };
  }
}

function readRecords(c: DnsCursor, count: number): DnsRecord[] {
  const records: DnsRecord[] = [];
  for (let i = 0; i < count && !c.failed; i++) {
    const name = readDnsName(c);
    const type = u16(c);
    const klass = u16(c);
    const ttl = u32(c);
    const lenBytes = u16(c);
    const end = c.at + lenBytes;
    if (c.failed || end > c.end) {
      c.failed = true;
      break;
    }
    const data = readData(c, type, lenBytes);
    if (c.at !== end) c.failed = true;
    records.push({ name, type, class: klass, ttl, data });
  }
  return records;
}

/** The message in `bytes[start, end)`; null when it is damaged. Bytes behind the last record are left. */
export function decodeDns(bytes: Uint8Array, start = 0, end = bytes.length): DnsMessage | null {
  const c: DnsCursor = { bytes, start, end, at: start, failed: false };
  const id = u16(c);
  const flags = u16(c);
  const counts = [u16(c), u16(c), u16(c), u16(c)];
  const questions: DnsQuestion[] = [];
  for (let i = 0; i < counts[0] && !c.failed; i++) {
    questions.push({ name: readDnsName(c), type: u16(c), class: u16(c) });
  }
  const answers = readRecords(c, counts[1]);
  const authorities = readRecords(c, counts[2]);
  const additionals = readRecords(c, counts[3]);
  return c.failed ? null : { id, flags, questions, answers, authorities, additionals };
}

/** Bytes of a message while it is written; `names` has where each name suffix stands, null without compression. */
interface DnsOutput {
  readonly out: number[];
  readonly names: Map<string, number> | null;
}

function put16(w: DnsOutput, value: number): void {
  w.out.push((value >>> 8) & 0xff, value & 0xff);
}

function put32(w: DnsOutput, value: number): void {
  put16(w, value >>> 16);
  put16(w, value);
}

function putName(w: DnsOutput, name: string, compress: boolean): void {
  const labels = dnsLabels(name);
  if (labels === null) throw new RangeError(`no domain name: ${name}`);
  for (let i = 0; i < labels.length; i++) {
    const suffix = labels.slice(i).join("\0");
    const known = compress ? w.names?.get(suffix) : undefined;
    if (known !== undefined) {
      put16(w, 0xc000 | known);
      return;
    }
    if (w.out.length < 0x4000 && w.names?.has(suffix) === false) w.names.set(suffix, w.out.length);
    w.out.push(labels[i].length);
    for (let k = 0; k < labels[i].length; k++) w.out.push(labels[i].charCodeAt(k) & 0xff);
  }
  w.out.push(0);
}

function putData(w: DnsOutput, data: DnsData): void {
  switch (data.kind) {
    case "a":
      put32(w, data.addr);
      return;
    case "aaaa":
      for (const word of data.words) put16(w, word);
      return;
    case "name":
      putName(w, data.name, true);
      return;
    case "mx":
      put16(w, data.preference);
      putName(w, data.exchange, true);
      return;
    case "txt":
      for (const text of data.texts) {
        w.out.push(text.length & 0xff);
        for (let i = 0; i < text.length; i++) w.out.push(text.charCodeAt(i) & 0xff);
      }
      return;
    case "srv":
      put16(w, data.priority);
      put16(w, data.weight);
      put16(w, data.port);
      // RFC 2782: the target is never compressed.
      putName(w, data.target, false);
      return;
    case "soa":
      putName(w, data.mname, true);
      putName(w, data.rname, true);
      for (const value of data.times) put32(w, value);
      return;
    case "raw":
      for (const byte of data.bytes) w.out.push(byte);
  }
}

function putRecord(w: DnsOutput, record: DnsRecord): void {
  putName(w, record.name, true);
  put16(w, record.type);
  put16(w, record.class);
  put32(w, record.ttl);
  const lengthAt = w.out.length;
  put16(w, 0);
  putData(w, record.data);
  const lenBytes = w.out.length - lengthAt - 2;
  w.out[lengthAt] = lenBytes >>> 8;
  w.out[lengthAt + 1] = lenBytes & 0xff;
}

/**
 * The bytes of a message. Docker's resolver does not compress, name servers do. Throws RangeError for a name that has
 * an empty or too long label or is too long.
 */
export function encodeDns(message: DnsMessage, compress: boolean): Uint8Array {
  const w: DnsOutput = { out: [], names: compress ? new Map() : null };
  put16(w, message.id);
  put16(w, message.flags);
  put16(w, message.questions.length);
  put16(w, message.answers.length);
  put16(w, message.authorities.length);
  put16(w, message.additionals.length);
  for (const question of message.questions) {
    putName(w, question.name, true);
    put16(w, question.type);
    put16(w, question.class);
  }
  for (const section of [message.answers, message.authorities, message.additionals]) {
    for (const record of section) putRecord(w, record);
  }
  return Uint8Array.from(w.out);
}
