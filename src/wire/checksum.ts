/**
 * The Internet checksum (RFC 1071), the pseudo header of TCP and UDP (RFC 9293 3.1, RFC 768), and patching it after a
 * change (RFC 1624), as lib/checksum.c and net/core/utils.c do it.
 */

/**
 * Adds the big-endian 16-bit words of `lenBytes` bytes at `off` to `sum`; an odd last byte counts as the upper half of a
 * word. The result is an int32 whose bits are an unfolded sum, good for 64 KiB of data.
 *
 * The sum does not mind the byte order (RFC 1071 2 B): words are read as the processor has them, the result is turned once.
 */
export function csumPartial(view: DataView, off: number, lenBytes: number, sum = 0): number {
  const end = off + lenBytes;
  let i = off;
  let low = 0;
  let high = 0;
  for (; i + 15 < end; i += 16) {
    const a = view.getInt32(i, true);
    const b = view.getInt32(i + 4, true);
    const c = view.getInt32(i + 8, true);
    const d = view.getInt32(i + 12, true);
    low = (low + (a & 0xffff) + (b & 0xffff) + (c & 0xffff) + (d & 0xffff)) | 0;
    high = (high + (a >>> 16) + (b >>> 16) + (c >>> 16) + (d >>> 16)) | 0;
  }
  for (; i + 1 < end; i += 2) low = (low + view.getUint16(i, true)) | 0;
  if (i < end) low = (low + view.getUint8(i)) | 0;
  const once = (low & 0xffff) + (low >>> 16) + (high & 0xffff) + (high >>> 16);
  const folded = (once & 0xffff) + (once >>> 16);
  return (sum + ((folded & 0xff) << 8) + ((folded >>> 8) & 0xff) + ((folded >>> 16) << 8)) | 0;
}

/** Folds a sum to 16 bits and complements it: what goes into the checksum field (csum_fold). */
export function csumFold(sum: number): number {
  const once = (sum >>> 16) + (sum & 0xffff);
  return ~((once >>> 16) + (once & 0xffff)) & 0xffff;
}

/** Checksum of a range; 0 when the range holds a right checksum. `sum` is what goes before (a pseudo header). */
export function inetChecksum(view: DataView, off: number, lenBytes: number, sum = 0): number {
  return csumFold(csumPartial(view, off, lenBytes, sum));
}

/** Unfolded sum of the pseudo header; `lenBytes` is the length of the TCP or UDP packet (csum_tcpudp_nofold). */
export function pseudoHeaderSum(saddr: number, daddr: number, protocol: number, lenBytes: number): number {
  return (
    (saddr >>> 16) + (saddr & 0xffff) + (daddr >>> 16) + (daddr & 0xffff) + protocol + (lenBytes & 0xffff)
  );
}

/** New checksum when one 16-bit word that it covers changes (RFC 1624 equation 3). */
export function csumPatch16(check: number, from16: number, to16: number): number {
  return csumFold((~check & 0xffff) + (~from16 & 0xffff) + (to16 & 0xffff));
}

/** New checksum when one 32-bit value that it covers changes. */
export function csumPatch32(check: number, from32: number, to32: number): number {
  const from = ~from32;
  return csumFold((~check & 0xffff) + (from >>> 16) + (from & 0xffff) + (to32 >>> 16) + (to32 & 0xffff));
}

/** Patches the checksum at `sumOff` for a changed 16-bit word (csum_replace2). */
export function csumReplace2(view: DataView, sumOff: number, from16: number, to16: number): void {
  view.setUint16(sumOff, csumPatch16(view.getUint16(sumOff), from16, to16));
}

/** Patches the checksum at `sumOff` for a changed 32-bit value (csum_replace4). */
export function csumReplace4(view: DataView, sumOff: number, from32: number, to32: number): void {
  view.setUint16(sumOff, csumPatch32(view.getUint16(sumOff), from32, to32));
}
