/**
 * Addresses as integers and as text. IPv4 addresses and masks are int32; a MAC address is its upper 16 bits and its
 * lower 32 (int32). Text forms: inet_pton(3), RFC 5952 for IPv6, EUI-64 of RFC 4291 appendix A.
 */

/** Dotted quad as inet_pton takes it (four decimals, no leading zeros) -> int32; null when it is not one. */
export function parseIp4(text: string): number | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  let value = 0;
  for (const part of parts) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part)) return null;
    const byte = Number(part);
    if (byte > 255) return null;
    value = (value << 8) | byte;
  }
  return value;
}

/** Dotted quad of an int32 address. */
export function formatIp4(addr: number): string {
  return `${addr >>> 24}.${(addr >>> 16) & 0xff}.${(addr >>> 8) & 0xff}.${addr & 0xff}`;
}

/** Mask (int32) of a prefix length 0 to 32. */
export function prefixToMask(prefixLen: number): number {
  return prefixLen === 0 ? 0 : -1 << (32 - prefixLen);
}

/** Prefix length of a mask (int32); -1 when its ones are not contiguous. */
export function maskToPrefix(mask: number): number {
  const length = Math.clz32(~mask);
  return prefixToMask(length) === (mask | 0) ? length : -1;
}

/** An address with a prefix length; the address keeps its host bits. */
export interface Cidr {
  readonly addr: number;
  readonly prefixLen: number;
}

/** `10.0.0.0/24`, or a plain address (prefix 32); null when it is neither. */
export function parseCidr(text: string): Cidr | null {
  const slash = text.indexOf("/");
  const addr = parseIp4(slash < 0 ? text : text.slice(0, slash));
  if (addr === null) return null;
  if (slash < 0) return { addr, prefixLen: 32 };
  const suffix = text.slice(slash + 1);
  if (!/^(0|[1-9][0-9]?)$/.test(suffix) || Number(suffix) > 32) return null;
  return { addr, prefixLen: Number(suffix) };
}

/** `10.0.0.0/24`, with the host bits as they are. */
export function formatCidr(addr: number, prefixLen: number): string {
  return `${formatIp4(addr)}/${prefixLen}`;
}

/** A MAC address: upper 16 bits and lower 32 (int32). */
export interface Mac {
  readonly hi: number;
  readonly lo: number;
}

/** Six hexadecimal bytes with colons; null when it is not that. */
export function parseMac(text: string): Mac | null {
  if (!/^[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}$/.test(text)) return null;
  const bytes = text.split(":").map((part) => Number.parseInt(part, 16));
  return {
    hi: (bytes[0] << 8) | bytes[1],
    lo: (bytes[2] << 24) | (bytes[3] << 16) | (bytes[4] << 8) | bytes[5],
  };
}

function hex2(byte: number): string {
  return (byte & 0xff).toString(16).padStart(2, "0");
}

/** `02:42:0a:00:00:07`. */
export function formatMac(hi: number, lo: number): string {
  return [hi >>> 8, hi, lo >>> 24, lo >>> 16, lo >>> 8, lo].map(hex2).join(":");
}

/** IPv6 text of eight 16-bit words (RFC 5952: the longest run of two or more zeros, the first of equals, is `::`). */
export function formatIp6Words(words: readonly number[]): string {
  let start = -1;
  let length = 1;
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (i + run < 8 && words[i + run] === 0) run++;
    if (run > length) {
      start = i;
      length = run;
    }
  }
  const hex = words.map((word) => word.toString(16));
  if (start < 0) return hex.join(":");
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}`;
}

/** IPv6 text of the 16 bytes at `off`. */
export function formatIp6(view: DataView, off: number): string {
  const words: number[] = [];
  for (let i = 0; i < 8; i++) words.push(view.getUint16(off + 2 * i));
  return formatIp6Words(words);
}

/** The link-local IPv6 address that the kernel gives a device of this MAC (addrconf_ifid_eui48): `fe80::42:aff:fe00:7`. */
export function formatIp6LinkLocal(hi: number, lo: number): string {
  const first = hi ^ 0x0200;
  const second = ((lo >>> 16) & 0xff00) | 0xff;
  const third = 0xfe00 | ((lo >>> 16) & 0xff);
  return formatIp6Words([0xfe80, 0, 0, 0, first, second, third, lo & 0xffff]);
}
