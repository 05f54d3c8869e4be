/** The cipher of ESP against that of Node.js. */
import { createCipheriv } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { nobleGcm } from "../../src/net/xfrm/aead.ts";

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

const sealed = fc.record({
  key: fc.constantFrom(16, 24, 32).chain(bytes),
  nonce: bytes(12),
  aad: bytes(8),
  text: fc.uint8Array({ minLength: 1, maxLength: 3000 }),
  tagBytes: fc.constantFrom(8, 12, 16),
});

test("seals as the platform's AES-GCM does, for every length of key, text and tag", () => {
  fc.assert(
    fc.property(sealed, ({ key, nonce, aad, text, tagBytes }) => {
      const name = `aes-${(key.length * 8) as 128}-gcm` as const;
      const oracle = createCipheriv(name, key, nonce, { authTagLength: 16 });
      oracle.setAAD(aad);
      const expected = Buffer.concat([oracle.update(text), oracle.final()]);
      const tag = new Uint8Array(tagBytes);
      const got = text.slice();
      nobleGcm(key).seal(nonce, aad, got, tag);
      expect(Buffer.from(got).equals(expected)).toBe(true);
      expect(Buffer.from(tag).equals(oracle.getAuthTag().subarray(0, tagBytes))).toBe(true);
    }),
    { numRuns: 200 },
  );
});

test("opens what was sealed, and nothing that was touched", () => {
  fc.assert(
    fc.property(sealed, fc.nat(), ({ key, nonce, aad, text, tagBytes }, where) => {
      const cipher = nobleGcm(key);
      const tag = new Uint8Array(tagBytes);
      const secret = text.slice();
      cipher.seal(nonce, aad, secret, tag);
      const opened = secret.slice();
      expect(cipher.open(nonce, aad, opened, tag)).toBe(true);
      expect(opened).toEqual(text);
      const forged = secret.slice();
      forged[where % forged.length] ^= 1;
      const before = forged.slice();
      expect(cipher.open(nonce, aad, forged, tag)).toBe(false);
      expect(forged).toEqual(before);
    }),
    { numRuns: 50 },
  );
});
