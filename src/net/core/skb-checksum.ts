/**
 * Transport checksums are looked at once (skb->ip_summed, skb->csum_level, skb->csum_valid; include/linux/skbuff.h): who
 * found one right, or made it, notes that on the packet, and NAT keeps it right by patching. Every tunnel header adds a
 * level. Who gives a packet new contents without patching its checksum must set `csumLevel` to 0.
 */
import { l4ChecksumOk } from "../../wire/ipv4.ts";
import type { Skb } from "./skb.ts";

/** Whether the checksum of the TCP or UDP packet of `l4Len` bytes at `l4Off` is right; looks only when nobody has. */
export function skbChecksumOk(skb: Skb, ipOff: number, l4Off: number, l4Len: number): boolean {
  if (skb.csumLevel > 0) return true;
  const ok = l4ChecksumOk(skb.bytes, skb.view, ipOff, l4Off, l4Len);
  if (ok) skb.csumLevel = 1;
  else skb.csumValid = false;
  return ok;
}

/** A tunnel header with a checksum of its own, right or none, came in front (skb_checksum_simple_validate's inverse). */
export function skbChecksumEncap(skb: Skb): void {
  if (skb.csumLevel > 0) skb.csumLevel++;
}

/** The outermost transport header was taken off (__skb_decr_checksum_unnecessary); `summed`: it had a checksum. */
export function skbChecksumDecap(skb: Skb, summed: boolean): void {
  if (skb.csumLevel > 0) skb.csumLevel--;
  skb.csumValid = true;
  skb.csumComplete = summed;
}
