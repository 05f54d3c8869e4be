/** CRC32c (Castagnoli), the checksum of SCTP (RFC 3309; RFC 9260, appendix A). */

const POLYNOMIAL = 0x82f63b78;

const TABLE = new Int32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 0 ? 0 : POLYNOMIAL);
  TABLE[byte] = crc;
}

/** Goes on with the bytes of `[from, to)`; begins with -1. */
function update(crc: number, view: DataView, from: number, to: number): number {
  let sum = crc;
  for (let i = from; i < to; i++) sum = (sum >>> 8) ^ TABLE[(sum ^ view.getUint8(i)) & 0xff];
  return sum;
}

const CHECK_AT = 8;
const CHECK_BYTES = 4;

/**
 * The checksum of the SCTP packet in `[off, tail)`, its own field taken as zero: int32 as it is written, the byte of least
 * weight first (sctp_compute_cksum).
 */
export function sctpChecksum(view: DataView, off: number, tail: number): number {
  let crc = update(-1, view, off, off + CHECK_AT);
  for (let i = 0; i < CHECK_BYTES; i++) crc = (crc >>> 8) ^ TABLE[crc & 0xff];
  return ~update(crc, view, off + CHECK_AT + CHECK_BYTES, tail);
}
