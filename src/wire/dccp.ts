/** The DCCP header (RFC 4340, section 5; include/uapi/linux/dccp.h). */

/** Bytes of the shortest header, and what 48-bit sequence numbers add. */
export const DCCP_HLEN = 12;
const DCCP_EXT_BYTES = 4;

export const DCCP_PKT_REQUEST = 0;
export const DCCP_PKT_RESPONSE = 1;
export const DCCP_PKT_DATA = 2;
export const DCCP_PKT_ACK = 3;
export const DCCP_PKT_DATAACK = 4;
export const DCCP_PKT_CLOSEREQ = 5;
export const DCCP_PKT_CLOSE = 6;
export const DCCP_PKT_RESET = 7;
export const DCCP_PKT_SYNC = 8;
export const DCCP_PKT_SYNCACK = 9;
/** Types from here on are reserved. */
export const DCCP_PKT_INVALID = 10;

/** Bytes that packets have behind the basic header by type: what they acknowledge, a service code (dccp_packet_hdr_len). */
const TYPE_BYTES = Uint8Array.of(4, 12, 0, 8, 8, 8, 8, 12, 8, 8);

/** Data offset in bytes. */
export function dccpDoff(view: DataView, off: number): number {
  return view.getUint8(off + 4) << 2;
}

/** Checksum coverage: 0 is everything, else words of data plus one. */
export function dccpCscov(view: DataView, off: number): number {
  return view.getUint8(off + 5) & 0x0f;
}

export const DCCP_CHECK_AT = 6;

export function dccpType(view: DataView, off: number): number {
  return (view.getUint8(off + 8) >> 1) & 0x0f;
}

/** Sequence numbers of 48 bits, which all but data and acknowledgements must have. */
export function dccpIsExtended(view: DataView, off: number): boolean {
  return (view.getUint8(off + 8) & 1) !== 0;
}

function basicLength(view: DataView, off: number): number {
  return DCCP_HLEN + (dccpIsExtended(view, off) ? DCCP_EXT_BYTES : 0);
}

/** Bytes of the header without options, by its type (__dccp_hdr_len). */
export function dccpHeaderLength(view: DataView, off: number): number {
  return basicLength(view, off) + TYPE_BYTES[dccpType(view, off)];
}

/** Sequence number of 24 or 48 bits (dccp_hdr_seq). */
export function dccpSeq(view: DataView, off: number): number {
  const high = view.getUint16(off + 10);
  return dccpIsExtended(view, off)
    ? high * 2 ** 32 + view.getUint32(off + 12)
    : (view.getUint8(off + 9) << 16) + high;
}

/** The number that an acknowledging packet acknowledges (dccp_hdr_ack_bits). */
export function dccpAckSeq(view: DataView, off: number): number {
  const at = off + basicLength(view, off);
  return view.getUint16(at + 2) * 2 ** 32 + view.getUint32(at + 4);
}
