/** Integer hashes. Inputs and results are int32 numbers, so that V8 keeps them unboxed. */

/** Finaliser of MurmurHash3 (public domain): spreads every input bit. */
export function mix32(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** Hash of two words under a key. */
export function hash2(a: number, b: number, key: number): number {
  return mix32(Math.imul(mix32(a ^ key), 0x9e3779b1) ^ b);
}

/** Hash of three words under a key. */
export function hash3(a: number, b: number, c: number, key: number): number {
  return mix32(Math.imul(hash2(a, b, key), 0x9e3779b1) ^ c);
}

/** Hash of four words under a key. */
export function hash4(a: number, b: number, c: number, d: number, key: number): number {
  return mix32(Math.imul(hash3(a, b, c, key), 0x9e3779b1) ^ d);
}

/** FNV-1a of a string, for names and seeds; never per packet. */
export function hashString(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h | 0;
}
