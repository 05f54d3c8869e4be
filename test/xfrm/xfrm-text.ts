/** What `ip xfrm state` prints, read back. */

export interface Sa {
  readonly src: string;
  readonly dst: string;
  readonly spi: number;
  readonly key: Buffer;
  readonly icvBytes: number;
}

/** The states of a listing. */
export function readStates(text: string): Sa[] {
  const pattern =
    /^src (\S+) dst (\S+)\n\tproto esp spi (0x[0-9a-f]{8}).*\n.*\n(?:\tmark.*\n)?\taead rfc4106\(gcm\(aes\)\) 0x([0-9a-f]+) (?:\(\d+ bits\) )?(\d+)$/gm;
  return [...text.matchAll(pattern)].map(([, src, dst, spi, key, icv]) => ({
    src,
    dst,
    spi: Number(spi),
    key: Buffer.from(key, "hex"),
    icvBytes: Number(icv) / 8,
  }));
}

/** A listing without what chance and clock decide: keys, SPIs, times. */
export function masked(text: string): string {
  return text
    .replace(/spi 0x[0-9a-f]{8}(\(\d+\))?/g, "spi S")
    .replace(/0x[0-9a-f]{40}/g, "KEY")
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, "TIME")
    .replace(/ +$/gm, "");
}
