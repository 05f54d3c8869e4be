/** The ICMP header (RFC 792, include/uapi/linux/icmp.h): 8 bytes, the last four by type. */

export const ICMP_HLEN = 8;

export const ICMP_ECHOREPLY = 0;
export const ICMP_DEST_UNREACH = 3;
export const ICMP_SOURCE_QUENCH = 4;
export const ICMP_REDIRECT = 5;
export const ICMP_ECHO = 8;
export const ICMP_TIME_EXCEEDED = 11;
export const ICMP_PARAMETERPROB = 12;
export const ICMP_TIMESTAMP = 13;
export const ICMP_TIMESTAMPREPLY = 14;
export const ICMP_INFO_REQUEST = 15;
export const ICMP_INFO_REPLY = 16;
export const ICMP_ADDRESS = 17;
export const ICMP_ADDRESSREPLY = 18;
export const NR_ICMP_TYPES = 18;

/** Codes of ICMP_DEST_UNREACH. */
export const ICMP_NET_UNREACH = 0;
export const ICMP_HOST_UNREACH = 1;
export const ICMP_PROT_UNREACH = 2;
export const ICMP_PORT_UNREACH = 3;
export const ICMP_FRAG_NEEDED = 4;
export const ICMP_SR_FAILED = 5;
export const ICMP_NET_UNKNOWN = 6;
export const ICMP_HOST_UNKNOWN = 7;
export const ICMP_HOST_ISOLATED = 8;
export const ICMP_NET_ANO = 9;
export const ICMP_HOST_ANO = 10;
export const ICMP_NET_UNR_TOS = 11;
export const ICMP_HOST_UNR_TOS = 12;
export const ICMP_PKT_FILTERED = 13;
export const ICMP_PREC_VIOLATION = 14;
export const ICMP_PREC_CUTOFF = 15;

/** Codes of ICMP_REDIRECT. */
export const ICMP_REDIR_NET = 0;
export const ICMP_REDIR_HOST = 1;

/** Codes of ICMP_TIME_EXCEEDED. */
export const ICMP_EXC_TTL = 0;
export const ICMP_EXC_FRAGTIME = 1;

export function icmpType(view: DataView, off: number): number {
  return view.getUint8(off);
}

export function setIcmpType(view: DataView, off: number, type: number): void {
  view.setUint8(off, type);
}

export function icmpCode(view: DataView, off: number): number {
  return view.getUint8(off + 1);
}

export function setIcmpCode(view: DataView, off: number, code: number): void {
  view.setUint8(off + 1, code);
}

export function icmpCheck(view: DataView, off: number): number {
  return view.getUint16(off + 2);
}

export function setIcmpCheck(view: DataView, off: number, check: number): void {
  view.setUint16(off + 2, check);
}

/** Identifier of echo and timestamp. */
export function icmpId(view: DataView, off: number): number {
  return view.getUint16(off + 4);
}

export function setIcmpId(view: DataView, off: number, id: number): void {
  view.setUint16(off + 4, id);
}

export function icmpSeq(view: DataView, off: number): number {
  return view.getUint16(off + 6);
}

export function setIcmpSeq(view: DataView, off: number, seq: number): void {
  view.setUint16(off + 6, seq);
}

/** The last four bytes as a whole, int32: the gateway of a redirect, "unused" of the errors. */
export function icmpRest(view: DataView, off: number): number {
  return view.getInt32(off + 4);
}

export function setIcmpRest(view: DataView, off: number, value: number): void {
  view.setInt32(off + 4, value);
}

/** MTU of the next hop in ICMP_FRAG_NEEDED. */
export function icmpMtu(view: DataView, off: number): number {
  return view.getUint16(off + 6);
}

/** An error that quotes the packet it is about (icmp_is_err). */
export function icmpIsError(type: number): boolean {
  return (
    type === ICMP_DEST_UNREACH ||
    type === ICMP_SOURCE_QUENCH ||
    type === ICMP_REDIRECT ||
    type === ICMP_TIME_EXCEEDED ||
    type === ICMP_PARAMETERPROB
  );
}
