/** Rewriting one end of a packet, every checksum patched (RFC 1624): what NAT and IPVS do (nf_nat_proto.c, ip_vs_proto_*.c). */
import { csumPatch16, csumPatch32, csumReplace2, csumReplace4 } from "./checksum.ts";
import { IPPROTO_TCP, IPPROTO_UDP, ipDaddr, ipSaddr, setIpDaddr, setIpSaddr } from "./ipv4.ts";
import { TCP_HLEN } from "./tcp.ts";

const IP_CHECK = 10;
const TCP_CHECK = 16;
const UDP_CHECK = 6;

/** Sets the source (or destination) address of the IP header at `ipOff`; returns the one that it had. */
export function rewriteAddress(view: DataView, ipOff: number, source: boolean, addr: number): number {
  const from = source ? ipSaddr(view, ipOff) : ipDaddr(view, ipOff);
  csumReplace4(view, ipOff + IP_CHECK, from, addr);
  if (source) setIpSaddr(view, ipOff, addr);
  else setIpDaddr(view, ipOff, addr);
  return from;
}

/**
 * Sets the source (or destination) port of the TCP or UDP header at `l4Off` whose address changed from `fromAddr` to
 * `toAddr`. A TCP header that `tail` cuts short (in a quote) has no checksum; a UDP checksum of 0 is none and stays,
 * a result of 0 is written as 0xffff.
 */
export function rewriteTransport(
  view: DataView,
  tail: number,
  protocol: number,
  l4Off: number,
  source: boolean,
  fromAddr: number,
  toAddr: number,
  port: number,
): void {
  const portOff = source ? l4Off : l4Off + 2;
  const from = view.getUint16(portOff);
  view.setUint16(portOff, port);
  if (protocol === IPPROTO_TCP) {
    if (l4Off + TCP_HLEN > tail) return;
    csumReplace4(view, l4Off + TCP_CHECK, fromAddr, toAddr);
    csumReplace2(view, l4Off + TCP_CHECK, from, port);
  } else if (protocol === IPPROTO_UDP) {
    const check = view.getUint16(l4Off + UDP_CHECK);
    if (check === 0) return;
    const patched = csumPatch16(csumPatch32(check, fromAddr, toAddr), from, port);
    view.setUint16(l4Off + UDP_CHECK, patched || 0xffff);
  }
}
