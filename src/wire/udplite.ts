/** UDP-Lite (RFC 3828): a UDP header whose length says how much the checksum covers. */
import { csumFold, csumPartial, pseudoHeaderSum } from "./checksum.ts";
import { ipDaddr, ipSaddr } from "./ipv4.ts";
import { UDP_HLEN } from "./udp.ts";

/** Bytes under the checksum of a packet of `lenBytes`; -1 where that cannot be. */
export function udpliteCoverage(view: DataView, off: number, lenBytes: number): number {
  const stated = view.getUint16(off + 4);
  const covered = stated === 0 ? lenBytes : stated;
  return covered < UDP_HLEN || covered > lenBytes ? -1 : covered;
}

/** Whether the sum of `covered` bytes is right with `protocol` in the pseudo header. */
export function udpliteSumOk(
  view: DataView,
  ipOff: number,
  off: number,
  lenBytes: number,
  covered: number,
  protocol: number,
): boolean {
  const start = pseudoHeaderSum(ipSaddr(view, ipOff), ipDaddr(view, ipOff), protocol, lenBytes);
  return csumFold(csumPartial(view, off, covered, start)) === 0;
}
