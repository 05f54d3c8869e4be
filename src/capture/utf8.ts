/** UTF-8 (RFC 3629) by hand: the core has no TextEncoder. */

export function utf8Encode(text: string): Uint8Array {
  const out: number[] = [];
  for (const char of text) {
    const c = char.codePointAt(0)!;
    if (c < 0x80) out.push(c);
    else if (c < 0x800) out.push(0xc0 | (c >> 6), 0x80 | (c & 0x3f));
    else if (c < 0x10000) out.push(0xe0 | (c >> 12), 0x80 | ((c >> 6) & 0x3f), 0x80 | (c & 0x3f));
    else out.push(0xf0 | (c >> 18), 0x80 | ((c >> 12) & 0x3f), 0x80 | ((c >> 6) & 0x3f), 0x80 | (c & 0x3f));
  }
  return Uint8Array.from(out);
}

/** Number of continuation bytes behind a lead byte; -1 when it is none. */
function continuation(lead: number): number {
  if (lead < 0x80) return 0;
  if (lead >= 0xc2 && lead < 0xe0) return 1;
  if (lead >= 0xe0 && lead < 0xf0) return 2;
  return lead >= 0xf0 && lead < 0xf5 ? 3 : -1;
}

/** Text of UTF-8 bytes; what is no UTF-8 becomes U+FFFD. */
export function utf8Decode(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; ) {
    const more = continuation(bytes[i]);
    let code = more === 0 ? bytes[i] : bytes[i] & (0x3f >> more);
    let good = more >= 0 && i + more < bytes.length;
    for (let k = 1; good && k <= more; k++) {
      good = (bytes[i + k] & 0xc0) === 0x80;
      code = (code << 6) | (bytes[i + k] & 0x3f);
    }
    text += good && code < 0x110000 ? String.fromCodePoint(code) : "\ufffd";
    i += good ? more + 1 : 1;
  }
  return text;
}
