/** Bob Jenkins' hash as the kernel has it (include/linux/jhash.h), for the one place whose result can be seen on the wire. */

const INITVAL = 0xdeadbeef | 0;

function rotl(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

function swap32(value: number): number {
  return (rotl(value, 8) & 0x00ff00ff) | (rotl(value, 24) & 0xff00ff00);
}

/**
 * jhash2 of an IPv4 address in a union nf_inet_addr (one word of the address, three of zero) with the other address as
 * initial value, exclusive-ored with `zone`. Addresses are int32 in host order; the kernel of a little-endian machine hashes them as they lie in
 * memory. The result is an int32.
 */
export function jhash2Four(addr: number, initAddr: number, zone: number): number {
  const start = (INITVAL + (4 << 2) + (swap32(initAddr) ^ zone)) | 0;
  let a = (start + swap32(addr)) | 0;
  let b = start;
  let c = start;
  a = (a - c) ^ rotl(c, 4);
  c = (c + b) | 0;
  b = (b - a) ^ rotl(a, 6);
  a = (a + c) | 0;
  c = (c - b) ^ rotl(b, 8);
  b = (b + a) | 0;
  a = (a - c) ^ rotl(c, 16);
  c = (c + b) | 0;
  b = (b - a) ^ rotl(a, 19);
  a = (a + c) | 0;
  c = (c - b) ^ rotl(b, 4);
  b = (b + a) | 0;
  // The fourth word is zero, so adding it before the final mix changes nothing.
  c = ((c ^ b) - rotl(b, 14)) | 0;
  a = ((a ^ c) - rotl(c, 11)) | 0;
  b = ((b ^ a) - rotl(a, 25)) | 0;
  c = ((c ^ b) - rotl(b, 16)) | 0;
  a = ((a ^ c) - rotl(c, 4)) | 0;
  b = ((b ^ a) - rotl(a, 14)) | 0;
  c = ((c ^ b) - rotl(b, 24)) | 0;
  return c;
}

/** Scales a 32-bit hash to 0 <= result < `count` (reciprocal_scale). */
export function reciprocalScale(hash: number, count: number): number {
  const low = Math.floor(((hash & 0xffff) * count) / 0x10000);
  return Math.floor(((hash >>> 16) * count + low) / 0x10000);
}
