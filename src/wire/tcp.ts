/** The TCP header (RFC 9293, include/uapi/linux/tcp.h). Options are in `tcp-options.ts`. */

/** Bytes of a header without options. */
export const TCP_HLEN = 20;

export const TCP_FIN = 0x01;
export const TCP_SYN = 0x02;
export const TCP_RST = 0x04;
export const TCP_PSH = 0x08;
export const TCP_ACK = 0x10;
export const TCP_URG = 0x20;
export const TCP_ECE = 0x40;
export const TCP_CWR = 0x80;

export function tcpSport(view: DataView, off: number): number {
  return view.getUint16(off);
}

export function setTcpSport(view: DataView, off: number, port: number): void {
  view.setUint16(off, port);
}

export function tcpDport(view: DataView, off: number): number {
  return view.getUint16(off + 2);
}

export function setTcpDport(view: DataView, off: number, port: number): void {
  view.setUint16(off + 2, port);
}

/** Sequence number, int32. */
export function tcpSeq(view: DataView, off: number): number {
  return view.getInt32(off + 4);
}

export function setTcpSeq(view: DataView, off: number, seq: number): void {
  view.setInt32(off + 4, seq);
}

/** Acknowledgment number, int32. */
export function tcpAckSeq(view: DataView, off: number): number {
  return view.getInt32(off + 8);
}

export function setTcpAckSeq(view: DataView, off: number, seq: number): void {
  view.setInt32(off + 8, seq);
}

/** Header length in bytes. */
export function tcpDoff(view: DataView, off: number): number {
  return (view.getUint8(off + 12) >>> 4) << 2;
}

/** Writes the header length in bytes and clears the reserved bits. */
export function setTcpDoff(view: DataView, off: number, lenBytes: number): void {
  view.setUint8(off + 12, (lenBytes >>> 2) << 4);
}

/** The eight flags, TCP_FIN to TCP_CWR. */
export function tcpFlags(view: DataView, off: number): number {
  return view.getUint8(off + 13);
}

export function setTcpFlags(view: DataView, off: number, flags: number): void {
  view.setUint8(off + 13, flags);
}

/** Window as on the wire, not scaled. */
export function tcpWindow(view: DataView, off: number): number {
  return view.getUint16(off + 14);
}

export function setTcpWindow(view: DataView, off: number, window: number): void {
  view.setUint16(off + 14, window);
}

export function tcpCheck(view: DataView, off: number): number {
  return view.getUint16(off + 16);
}

export function setTcpCheck(view: DataView, off: number, check: number): void {
  view.setUint16(off + 16, check);
}

export function tcpUrgPtr(view: DataView, off: number): number {
  return view.getUint16(off + 18);
}

export function setTcpUrgPtr(view: DataView, off: number, value: number): void {
  view.setUint16(off + 18, value);
}
