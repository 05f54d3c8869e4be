/**
 * What a tunnel does with a packet that its underlay cannot carry (net/ipv4/ip_tunnel_core.c): a bridged packet with DF is
 * answered at once with an ICMP error in the name of its destination.
 */
import { inetChecksum } from "../../wire/checksum.ts";
import { ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, ICMP_HLEN, icmpIsError, icmpType } from "../../wire/icmp.ts";
import {
  IP_DF,
  IP_HLEN,
  IPPROTO_ICMP,
  ipChecksumSet,
  ipDaddr,
  ipHeaderLen,
  ipProtocol,
  ipSaddr,
  ipTtl,
} from "../../wire/ipv4.ts";
import { ETH_HLEN } from "../core/dev.ts";
import type { Skb } from "../core/skb.ts";

const MIN_PMTU = 576;

/** Whether the packet at `off` may be answered with an error that tells `mtu` (iptunnel_pmtud_check_icmp). */
export function iptunnelPmtudAnswers(skb: Skb, off: number, mtu: number): boolean {
  const { view } = skb;
  if (skb.tail < off + IP_HLEN || mtu < MIN_PMTU || view.getUint16(off + 6) !== IP_DF) return false;
  if (!isUsable(ipSaddr(view, off), true) || !isUsable(ipDaddr(view, off), false)) return false;
  if (ipProtocol(view, off) !== IPPROTO_ICMP) return true;
  return !icmpIsError(icmpType(view, off + ipHeaderLen(view, off)));
}

/** Neither broadcast nor multicast; as a source neither loopback nor 0/8. */
function isUsable(addr: number, isSource: boolean): boolean {
  const first = addr >>> 24;
  if (addr === -1 || (first & 0xf0) === 0xe0) return false;
  return !isSource || (first !== 0 && first !== 127);
}

/**
 * Turns the frame (`data` at its Ethernet header) into the error (iptunnel_pmtud_build_icmp): from the destination to the
 * source, quoting up to 548 bytes.
 */
export function iptunnelPmtudBuildIcmp(skb: Skb, mtu: number): void {
  const { view } = skb;
  const ethOff = skb.data;
  const dstHi = view.getUint16(ethOff);
  const dstLo = view.getInt32(ethOff + 2);
  const srcHi = view.getUint16(ethOff + 6);
  const srcLo = view.getInt32(ethOff + 8);
  const type = view.getUint16(ethOff + 12);
  const quoted = skb.pull(ETH_HLEN);
  skb.csumLevel = 0;
  const ttl = ipTtl(view, quoted);
  const saddr = ipSaddr(view, quoted);
  const daddr = ipDaddr(view, quoted);
  skb.trim(MIN_PMTU - IP_HLEN - ICMP_HLEN);
  const icmp = skb.push(ICMP_HLEN);
  view.setUint8(icmp, ICMP_DEST_UNREACH);
  view.setUint8(icmp + 1, ICMP_FRAG_NEEDED);
  view.setUint16(icmp + 2, 0);
  view.setUint16(icmp + 4, 0);
  view.setUint16(icmp + 6, mtu);
  view.setUint16(icmp + 2, inetChecksum(view, icmp, skb.length));
  const lengthBytes = skb.length + IP_HLEN;
  const ip = skb.push(IP_HLEN);
  view.setUint16(ip, 0x4500);
  view.setUint16(ip + 2, lengthBytes);
  view.setUint16(ip + 4, 0);
  view.setUint16(ip + 6, IP_DF);
  view.setUint8(ip + 8, ttl);
  view.setUint8(ip + 9, IPPROTO_ICMP);
  view.setInt32(ip + 12, daddr);
  view.setInt32(ip + 16, saddr);
  ipChecksumSet(view, ip);
  const eth = skb.push(ETH_HLEN);
  view.setUint16(eth, srcHi);
  view.setInt32(eth + 2, srcLo);
  view.setUint16(eth + 6, dstHi);
  view.setInt32(eth + 8, dstLo);
  view.setUint16(eth + 12, type);
  skb.macOff = eth;
}
