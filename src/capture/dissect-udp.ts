/** The text of UDP and VXLAN (RFC 768, RFC 7348; tcpdump 4.99 print-udp.c, print-vxlan.c). */
import { formatIp4 } from "../wire/address.ts";
import { inetChecksum, pseudoHeaderSum } from "../wire/checksum.ts";
import { IPPROTO_UDP } from "../wire/ipv4.ts";
import { UDP_HLEN } from "../wire/udp.ts";
import { VXLAN_HLEN, VXLAN_PORT } from "../wire/vxlan.ts";
import { type DissectContext, shouldBe } from "./dissect-context.ts";
import { printDomain } from "./dissect-dns.ts";
import { finalDestination } from "./dissect-ip-options.ts";

const DOMAIN_PORT = 53;
const MDNS_PORT = 5353;

/** Prints the UDP packet of `lenBytes` at `off`, of the IPv4 packet at `ipOff`. */
export function printUdp(
  ctx: DissectContext,
  ipOff: number,
  off: number,
  lenBytes: number,
  fragmented: boolean,
): void {
  ctx.protocol = "udp";
  const from = formatIp4(ctx.i32(ipOff + 12));
  const to = formatIp4(ctx.i32(ipOff + 16));
  if (!ctx.has(off, 4)) {
    ctx.put(`${from} > ${to}: [|udp]`);
    return;
  }
  const sport = ctx.u16(off);
  const dport = ctx.u16(off + 2);
  const ends = `${from}.${sport} > ${to}.${dport}: `;
  if (lenBytes < UDP_HLEN) {
    ctx.put(`${ends}truncated-udp ${lenBytes}`);
    return;
  }
  if (!ctx.has(off + 4, 2)) {
    ctx.put(`${ends} [|udp]`);
    return;
  }
  const udpLen = ctx.u16(off + 4);
  if (udpLen < UDP_HLEN) {
    ctx.put(`${ends}truncated-udplength ${udpLen}`);
    return;
  }
  const stated = udpLen - UDP_HLEN;
  const payload = Math.min(stated, lenBytes - UDP_HLEN);
  if (off + UDP_HLEN > ctx.snapEnd) {
    ctx.put(`${ends} [|udp]`);
    return;
  }
  ctx.put(ends);
  if (ctx.options.verbose > 1 && !fragmented) printChecksum(ctx, ipOff, off, payload + UDP_HLEN);
  printPayload(ctx, off + UDP_HLEN, payload, stated, sport, dport, fragmented);
}

function printPayload(
  ctx: DissectContext,
  off: number,
  lenBytes: number,
  stated: number,
  sport: number,
  dport: number,
  fragmented: boolean,
): void {
  if (!ctx.options.quiet) {
    if (sport === DOMAIN_PORT || dport === DOMAIN_PORT) {
      printDomain(ctx, off, lenBytes, false);
      return;
    }
    if (sport === MDNS_PORT || dport === MDNS_PORT) {
      printDomain(ctx, off, lenBytes, true);
      return;
    }
    if (dport === VXLAN_PORT) {
      printVxlan(ctx, off, lenBytes);
      return;
    }
  }
  if (stated > lenBytes && !fragmented) ctx.put(`UDP, bad length ${stated} > ${lenBytes}`);
  else ctx.put(`UDP, length ${stated}`);
}

function printChecksum(ctx: DissectContext, ipOff: number, off: number, lenBytes: number): void {
  const field = ctx.u16(off + 6);
  if (field === 0) {
    ctx.put("[no cksum] ");
    return;
  }
  if (!ctx.has(off, lenBytes)) return;
  const pseudo = pseudoHeaderSum(ctx.i32(ipOff + 12), finalDestination(ctx, ipOff), IPPROTO_UDP, lenBytes);
  const sum = inetChecksum(ctx.view, off, lenBytes, pseudo);
  const hex = (value: number): string => `0x${value.toString(16).padStart(4, "0")}`;
  if (sum === 0) ctx.put("[udp sum ok] ");
  else ctx.put(`[bad udp cksum ${hex(field)} -> ${hex(shouldBe(field, sum))}!] `);
}

function printVxlan(ctx: DissectContext, off: number, lenBytes: number): void {
  ctx.protocol = "vxlan";
  ctx.put("VXLAN");
  if (lenBytes < VXLAN_HLEN) {
    ctx.put(" (invalid)");
    return;
  }
  const flags = ctx.u8(off);
  ctx.put(`, flags [${(flags & 0x08) !== 0 ? "I" : "invalid"}] (0x${flags.toString(16).padStart(2, "0")})`);
  ctx.put(`, vni ${ctx.u32(off + 4) >>> 8}\n`);
  ctx.printEther(ctx, off + VXLAN_HLEN, lenBytes - VXLAN_HLEN);
}
