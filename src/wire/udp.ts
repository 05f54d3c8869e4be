/** The UDP header (RFC 768). */

export const UDP_HLEN = 8;

export function udpSport(view: DataView, off: number): number {
  return view.getUint16(off);
}

export function setUdpSport(view: DataView, off: number, port: number): void {
  view.setUint16(off, port);
}

export function udpDport(view: DataView, off: number): number {
  return view.getUint16(off + 2);
}

export function setUdpDport(view: DataView, off: number, port: number): void {
  view.setUint16(off + 2, port);
}

/** Length of header and payload in bytes. */
export function udpLen(view: DataView, off: number): number {
  return view.getUint16(off + 4);
}

export function setUdpLen(view: DataView, off: number, lenBytes: number): void {
  view.setUint16(off + 4, lenBytes);
}

/** Checksum, 0 when there is none. */
export function udpCheck(view: DataView, off: number): number {
  return view.getUint16(off + 6);
}

export function setUdpCheck(view: DataView, off: number, check: number): void {
  view.setUint16(off + 6, check);
}
