/** The SCTP common header and its chunks (RFC 9260, section 3; include/linux/sctp.h). */

/** Bytes of the common header, and of a chunk without its value. */
export const SCTP_HLEN = 12;
export const SCTP_CHUNK_HLEN = 4;
/** Bytes of what INIT and INIT ACK have before their parameters. */
export const SCTP_INIT_BYTES = 16;

export const SCTP_CID_DATA = 0;
export const SCTP_CID_INIT = 1;
export const SCTP_CID_INIT_ACK = 2;
export const SCTP_CID_HEARTBEAT = 4;
export const SCTP_CID_HEARTBEAT_ACK = 5;
export const SCTP_CID_ABORT = 6;
export const SCTP_CID_SHUTDOWN = 7;
export const SCTP_CID_SHUTDOWN_ACK = 8;
export const SCTP_CID_ERROR = 9;
export const SCTP_CID_COOKIE_ECHO = 10;
export const SCTP_CID_COOKIE_ACK = 11;
export const SCTP_CID_SHUTDOWN_COMPLETE = 14;

/** Flag of ABORT and SHUTDOWN COMPLETE: the tag is that of the other side. */
export const SCTP_CHUNK_FLAG_T = 1;

/** Verification tag, int32. */
export function sctpVtag(view: DataView, off: number): number {
  return view.getInt32(off + 4);
}

/** Written with the byte of least weight first. */
export function sctpCheck(view: DataView, off: number): number {
  return view.getInt32(off + 8, true);
}

export function setSctpCheck(view: DataView, off: number, check: number): void {
  view.setInt32(off + 8, check, true);
}

export function sctpChunkType(view: DataView, chunk: number): number {
  return view.getUint8(chunk);
}

export function sctpChunkFlags(view: DataView, chunk: number): number {
  return view.getUint8(chunk + 1);
}

/** As the chunk says, header included, padding not. */
export function sctpChunkLength(view: DataView, chunk: number): number {
  return view.getUint16(chunk + 2);
}

/** Where the next chunk begins. */
export function sctpNextChunk(view: DataView, chunk: number): number {
  return chunk + ((sctpChunkLength(view, chunk) + 3) & ~3);
}

/** Initiate tag of an INIT or INIT ACK, int32. */
export function sctpInitTag(view: DataView, chunk: number): number {
  return view.getInt32(chunk + SCTP_CHUNK_HLEN);
}
