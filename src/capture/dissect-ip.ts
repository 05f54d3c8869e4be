/** The text of an IPv4 packet (tcpdump 4.99 print-ip.c, print-ip-demux.c, print-esp.c). */
import { formatIp4 } from "../wire/address.ts";
import { inetChecksum } from "../wire/checksum.ts";
import {
  IP_CE,
  IP_DF,
  IP_MF,
  IP_OFFSET,
  IPPROTO_AH,
  IPPROTO_ESP,
  IPPROTO_GRE,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_IGMP,
  IPPROTO_IPIP,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
} from "../wire/ipv4.ts";
import { bitNames, type DissectContext, shouldBe } from "./dissect-context.ts";
import { printIcmp } from "./dissect-icmp.ts";
import { printIgmp } from "./dissect-igmp.ts";
import { printIp4Options } from "./dissect-ip-options.ts";
import { printTcp } from "./dissect-tcp.ts";
import { printUdp } from "./dissect-udp.ts";

const FLAG_NAMES = [
  [IP_MF, "+"],
  [IP_DF, "DF"],
  [IP_CE, "rsvd"],
] as const;

const PROTOCOL_NAMES: ReadonlyMap<number, string> = new Map([
  [0, "Options"],
  [IPPROTO_ICMP, "ICMP"],
  [IPPROTO_IGMP, "IGMP"],
  [IPPROTO_IPIP, "IPIP"],
  [IPPROTO_TCP, "TCP"],
  [IPPROTO_UDP, "UDP"],
  [41, "IPv6"],
  [IPPROTO_GRE, "GRE"],
  [IPPROTO_ESP, "ESP"],
  [IPPROTO_AH, "AH"],
  [IPPROTO_ICMPV6, "ICMPv6"],
  [IPPROTO_SCTP, "SCTP"],
]);

const ECN_NAMES = ["", ",ECT(1)", ",ECT(0)", ",CE"] as const;

/** Prints the IPv4 packet in `lenBytes` bytes at `off`. */
export function printIp4(ctx: DissectContext, off: number, lenBytes: number): void {
  ctx.protocol = "ip";
  const version = ctx.u8(off) >> 4;
  if (version !== 4) {
    ctx.put(version === 6 ? "IP6, wrong link-layer encapsulation (invalid)" : `IP${version} (invalid)`);
    return;
  }
  if (!ctx.options.link) ctx.put("IP ");
  ctx.need(off, 20);
  if (lenBytes < 20) {
    ctx.put(`truncated-ip ${lenBytes}`);
    return;
  }
  const headerLen = (ctx.u8(off) & 0x0f) * 4;
  if (headerLen < 20) {
    ctx.put(`bad-hlen ${headerLen}`);
    return;
  }
  const total = ctx.u16(off + 2);
  if (lenBytes < total) ctx.put(`truncated-ip - ${total - lenBytes} bytes missing! `);
  if (total < headerLen) {
    ctx.put(`bad-len ${total}`);
    return;
  }
  const saved = ctx.snapEnd;
  ctx.snapEnd = Math.min(saved, off + total);
  printIp4Body(ctx, off, headerLen, total);
  ctx.snapEnd = saved;
}

function printIp4Body(ctx: DissectContext, off: number, headerLen: number, total: number): void {
  const fragment = ctx.u16(off + 6);
  const protocol = ctx.u8(off + 9);
  const cut = ctx.options.verbose > 0 && !printIp4Verbose(ctx, off, headerLen, total, fragment, protocol);
  const from = formatIp4(ctx.i32(off + 12));
  const to = formatIp4(ctx.i32(off + 16));
  if (cut) {
    ctx.put(`${from} > ${to}:  [|ip]`);
    return;
  }
  if ((fragment & IP_OFFSET) !== 0) {
    ctx.put(`${from} > ${to}: ip-proto-${protocol}`);
    return;
  }
  if (protocol !== IPPROTO_TCP && protocol !== IPPROTO_UDP && protocol !== IPPROTO_SCTP) {
    ctx.put(`${from} > ${to}: `);
  }
  if (!ctx.has(off, headerLen)) {
    ctx.put(` [remaining caplen(${ctx.snapEnd - off}) < header length(${headerLen})] [|ip]`);
    return;
  }
  ctx.ipOff = off;
  printIp4Payload(ctx, off, off + headerLen, total - headerLen, protocol, (fragment & IP_MF) !== 0);
}

/** False when the options are cut off. */
function printIp4Verbose(
  ctx: DissectContext,
  off: number,
  headerLen: number,
  total: number,
  fragment: number,
  protocol: number,
): boolean {
  const tos = ctx.u8(off + 1);
  const ttl = ctx.u8(off + 8);
  ctx.put(`(tos 0x${tos.toString(16)}${ECN_NAMES[tos & 3]}`);
  if (ttl >= 1) ctx.put(`, ttl ${ttl}`);
  const flags = bitNames(fragment, FLAG_NAMES, "none", ", ");
  const name = PROTOCOL_NAMES.get(protocol) ?? "unknown";
  ctx.put(`, id ${ctx.u16(off + 4)}, offset ${(fragment & IP_OFFSET) * 8}, flags [${flags}]`);
  ctx.put(`, proto ${name} (${protocol}), length ${total}`);
  const whole = headerLen === 20 || printIp4Options(ctx, off + 20, off + headerLen);
  if (ctx.has(off, headerLen)) {
    const sum = inetChecksum(ctx.view, off, headerLen);
    if (sum !== 0) {
      const field = ctx.u16(off + 10);
      ctx.put(`, bad cksum ${field.toString(16)} (->${shouldBe(field, sum).toString(16)})!`);
    }
  }
  ctx.put(")\n    ");
  return whole;
}

function printIp4Payload(
  ctx: DissectContext,
  ipOff: number,
  off: number,
  lenBytes: number,
  protocol: number,
  fragmented: boolean,
): void {
  switch (protocol) {
    case IPPROTO_TCP:
      printTcp(ctx, ipOff, off, lenBytes, fragmented);
      return;
    case IPPROTO_UDP:
      printUdp(ctx, ipOff, off, lenBytes, fragmented);
      return;
    case IPPROTO_ICMP:
      printIcmp(ctx, off, lenBytes, fragmented);
      return;
    case IPPROTO_IGMP:
      printIgmp(ctx, off, lenBytes);
      return;
    case IPPROTO_ESP:
      printEsp(ctx, off, lenBytes);
      return;
    case IPPROTO_IPIP:
      printIp4(ctx, off, lenBytes);
      return;
    default:
      ctx.put(` ip-proto-${protocol} ${lenBytes}`);
  }
}

function printEsp(ctx: DissectContext, off: number, lenBytes: number): void {
  ctx.protocol = "esp";
  const spi = ctx.u32(off).toString(16).padStart(8, "0");
  ctx.put(`ESP(spi=0x${spi},seq=0x${ctx.u32(off + 4).toString(16)}), length ${lenBytes}`);
}
