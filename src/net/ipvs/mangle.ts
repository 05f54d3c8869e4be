/** Rewriting one address and port of a packet, checksums patched (the dnat_handler and snat_handler of ip_vs_proto_*.c). */
import { csumReplace2, csumReplace2Udp, csumReplace4, csumReplace4Udp } from "../../wire/checksum.ts";
import { IPPROTO_TCP, IPPROTO_UDP, ipDaddr, ipSaddr, setIpDaddr, setIpSaddr } from "../../wire/ipv4.ts";

const IP_CHECK_OFF = 10;
const TCP_CHECK_OFF = 16;
const UDP_CHECK_OFF = 6;

/**
 * Sets the destination (or the source) of the packet whose IP header is at `ipOff` and transport header at `l4Off`. The
 * checksum of the transport is patched when `withL4` says that it is there in full.
 */
export function mangle(
  view: DataView,
  ipOff: number,
  l4Off: number,
  protocol: number,
  source: boolean,
  addr: number,
  port: number,
  withL4: boolean,
): void {
  const oldAddr = source ? ipSaddr(view, ipOff) : ipDaddr(view, ipOff);
  if (source) setIpSaddr(view, ipOff, addr);
  else setIpDaddr(view, ipOff, addr);
  csumReplace4(view, ipOff + IP_CHECK_OFF, oldAddr, addr);
  const portOff = source ? l4Off : l4Off + 2;
  const oldPort = view.getUint16(portOff);
  view.setUint16(portOff, port);
  if (!withL4) return;
  if (protocol === IPPROTO_TCP) {
    csumReplace4(view, l4Off + TCP_CHECK_OFF, oldAddr, addr);
    csumReplace2(view, l4Off + TCP_CHECK_OFF, oldPort, port);
  } else if (protocol === IPPROTO_UDP) {
    csumReplace4Udp(view, l4Off + UDP_CHECK_OFF, oldAddr, addr);
    csumReplace2Udp(view, l4Off + UDP_CHECK_OFF, oldPort, port);
  }
}
