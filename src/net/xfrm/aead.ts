/**
 * Authenticated encryption of ESP (RFC 4106 over NIST SP 800-38D), behind an interface so that another implementation can
 * take its place. Synchronous and free of any platform.
 */
import { ghash } from "@noble/ciphers/_polyval.js";
import { unsafe } from "@noble/ciphers/aes.js";

/** One key of AES-GCM. `nonce` is 12 bytes; `text` is changed in place. */
export interface AeadCipher {
  /** Encrypts `text` and writes the first `tag.length` bytes of the tag. */
  seal(nonce: Uint8Array, aad: Uint8Array, text: Uint8Array, tag: Uint8Array): void;
  /** Decrypts `text` when the tag is right; else leaves it alone and gives false. */
  open(nonce: Uint8Array, aad: Uint8Array, text: Uint8Array, tag: Uint8Array): boolean;
}

/** Makes a cipher of a key of 16, 24 or 32 bytes. */
export type AeadFactory = (key: Uint8Array) => AeadCipher;

const BLOCK = 16;
/** The library reads whole words: text passes through here, aligned. */
const scratch = new Uint8Array(65536);

class NobleGcm implements AeadCipher {
  private readonly schedule: Uint32Array;
  /** The hash key: the encrypted zero block. */
  private readonly hashKey = new Uint8Array(BLOCK);
  private readonly counter = new Uint8Array(BLOCK);
  private readonly mask = new Uint8Array(BLOCK);
  private readonly lengths = new Uint8Array(BLOCK);
  private readonly hash = new Uint8Array(BLOCK);
  private readonly zero = new Uint8Array(BLOCK);

  constructor(key: Uint8Array) {
    this.schedule = unsafe.expandKeyLE(key);
    unsafe.ctr32(this.schedule, false, this.counter, this.zero, this.hashKey);
  }

  seal(nonce: Uint8Array, aad: Uint8Array, text: Uint8Array, tag: Uint8Array): void {
    this.start(nonce);
    this.crypt(text);
    this.digest(aad, text);
    tag.set(this.hash.subarray(0, tag.length));
  }

  open(nonce: Uint8Array, aad: Uint8Array, text: Uint8Array, tag: Uint8Array): boolean {
    this.start(nonce);
    this.digest(aad, text);
    let difference = 0;
    for (let i = 0; i < tag.length; i++) difference |= tag[i] ^ this.hash[i];
    if (difference !== 0) return false;
    this.crypt(text);
    return true;
  }

  /** Puts the counter behind the block that masks the tag. */
  private start(nonce: Uint8Array): void {
    this.counter.fill(0);
    this.counter.set(nonce);
    this.counter[BLOCK - 1] = 1;
    unsafe.ctr32(this.schedule, false, this.counter, this.zero, this.mask);
  }

  private crypt(text: Uint8Array): void {
    const words = scratch.subarray(0, text.length);
    words.set(text);
    unsafe.ctr32(this.schedule, false, this.counter, words, words);
    text.set(words);
  }

  /** The tag of encrypted text, into `hash`. */
  private digest(aad: Uint8Array, text: Uint8Array): void {
    const view = new DataView(this.lengths.buffer);
    view.setUint32(4, aad.length * 8);
    view.setUint32(12, text.length * 8);
    const sum = ghash.create(this.hashKey, text.length + aad.length);
    sum.update(aad).update(text).update(this.lengths);
    sum.digestInto(this.hash);
    for (let i = 0; i < BLOCK; i++) this.hash[i] ^= this.mask[i];
  }
}

/** AES-GCM by @noble/ciphers. */
export const nobleGcm: AeadFactory = (key) => new NobleGcm(key);
