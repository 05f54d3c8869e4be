/** The text of ICMP (RFC 792; tcpdump 4.99 print-icmp.c): queries, and errors with the packet they quote. */
import { formatIp4 } from "../wire/address.ts";
import { inetChecksum } from "../wire/checksum.ts";
import {
  ICMP_ADDRESS,
  ICMP_ADDRESSREPLY,
  ICMP_DEST_UNREACH,
  ICMP_ECHO,
  ICMP_ECHOREPLY,
  ICMP_FRAG_NEEDED,
  ICMP_INFO_REPLY,
  ICMP_INFO_REQUEST,
  ICMP_PARAMETERPROB,
  ICMP_PORT_UNREACH,
  ICMP_PROT_UNREACH,
  ICMP_REDIRECT,
  ICMP_SOURCE_QUENCH,
  ICMP_TIME_EXCEEDED,
  ICMP_TIMESTAMP,
  ICMP_TIMESTAMPREPLY,
  icmpIsError,
} from "../wire/icmp.ts";
import { IPPROTO_TCP, IPPROTO_UDP } from "../wire/ipv4.ts";
import { type DissectContext, shouldBe } from "./dissect-context.ts";

/**
 * In a long error tcpdump looks for an extension (RFC 4884) behind 128 quoted bytes. Linux sends none, so nothing is
 * found; but the look itself needs this many bytes.
 */
const EXTENSION_AT = 136;
const EXTENSION_BYTES = 141;

/** Unreachable codes that name only the quoted destination: the words around it. */
const UNREACHABLE: ReadonlyMap<number, readonly [string, string]> = new Map([
  [0, ["net ", " unreachable"]],
  [1, ["host ", " unreachable"]],
  [5, ["", " unreachable - source route failed"]],
  [6, ["net ", " unreachable - unknown"]],
  [7, ["host ", " unreachable - unknown"]],
  [8, ["", " unreachable - source host isolated"]],
  [9, ["net ", " unreachable - admin prohibited"]],
  [10, ["host ", " unreachable - admin prohibited"]],
  [11, ["net ", " unreachable - tos prohibited"]],
  [12, ["host ", " unreachable - tos prohibited"]],
  [13, ["host ", " unreachable - admin prohibited filter"]],
  [14, ["host ", " unreachable - host precedence violation"]],
  [15, ["host ", " unreachable - precedence cutoff"]],
]);

const REDIRECTS = [
  "redirect %s to net %s",
  "redirect %s to host %s",
  "redirect-tos %s to net %s",
  "redirect-tos %s to host %s",
];

/** Prints the ICMP message of `lenBytes` at `off`. */
export function printIcmp(ctx: DissectContext, off: number, lenBytes: number, fragmented: boolean): void {
  ctx.protocol = "icmp";
  const type = ctx.u8(off);
  const code = ctx.u8(off + 1);
  ctx.u16(off + 2);
  ctx.put(`ICMP ${messageText(ctx, off, type, code)}, length ${lenBytes}`);
  if (ctx.options.verbose === 0) return;
  if (!fragmented && ctx.has(off, lenBytes)) {
    const sum = inetChecksum(ctx.view, off, lenBytes);
    if (sum !== 0) {
      const field = ctx.u16(off + 2);
      ctx.put(` (wrong icmp cksum ${field.toString(16)} (->${shouldBe(field, sum).toString(16)})!)`);
    }
  }
  if (!icmpIsError(type)) return;
  ctx.put("\n\t");
  const saved = ctx.snapEnd;
  ctx.printIp(ctx, off + 8, ctx.u16(off + 10));
  ctx.snapEnd = saved;
  if (lenBytes > EXTENSION_AT && type !== ICMP_REDIRECT && type !== ICMP_SOURCE_QUENCH) {
    ctx.protocol = "icmp";
    ctx.need(off, EXTENSION_BYTES);
  }
}

function messageText(ctx: DissectContext, off: number, type: number, code: number): string {
  switch (type) {
    case ICMP_ECHO:
    case ICMP_ECHOREPLY: {
      const which = type === ICMP_ECHO ? "request" : "reply";
      return `echo ${which}, id ${ctx.u16(off + 4)}, seq ${ctx.u16(off + 6)}`;
    }
    case ICMP_DEST_UNREACH:
      return unreachableText(ctx, off, code);
    case ICMP_SOURCE_QUENCH:
      return "source quench";
    case ICMP_REDIRECT: {
      const form = REDIRECTS[code];
      const target = formatIp4(ctx.i32(off + 24));
      const gateway = formatIp4(ctx.i32(off + 4));
      if (form === undefined) return `redirect-#${code} ${target} to ${gateway}`;
      return form.replace("%s", target).replace("%s", gateway);
    }
    case ICMP_TIME_EXCEEDED:
      if (code === 0) return "time exceeded in-transit";
      return code === 1 ? "ip reassembly time exceeded" : `time exceeded-#${code}`;
    case ICMP_PARAMETERPROB:
      if (code !== 0) return `parameter problem - code ${code}`;
      return `parameter problem - octet ${ctx.u8(off + 4)}`;
    case 10:
      return "router solicitation";
    case ICMP_INFO_REQUEST:
      return "information request";
    case ICMP_INFO_REPLY:
      return "information reply";
    case ICMP_ADDRESS:
      return "address mask request";
    case ICMP_ADDRESSREPLY:
      return `address mask is 0x${ctx
        .u32(off + 8)
        .toString(16)
        .padStart(8, "0")}`;
    case ICMP_TIMESTAMP:
      return `time stamp query id ${ctx.u16(off + 4)} seq ${ctx.u16(off + 6)}`;
    case ICMP_TIMESTAMPREPLY:
      return timestampReply(ctx, off);
    default:
      return `type-#${type}`;
  }
}

function timestampReply(ctx: DissectContext, off: number): string {
  const times = [8, 12, 16].map((at) => clock(ctx.u32(off + at)));
  const [org, recv, xmit] = times;
  return `time stamp reply id ${ctx.u16(off + 4)} seq ${ctx.u16(off + 6)}: org ${org}, recv ${recv}, xmit ${xmit}`;
}

/** Milliseconds since midnight as `hh:mm:ss.mmm`. */
function clock(ms: number): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const seconds = Math.floor(ms / 1000);
  const hours = Math.floor(seconds / 3600);
  return `${two(hours)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}.${String(ms % 1000).padStart(3, "0")}`;
}

function unreachableText(ctx: DissectContext, off: number, code: number): string {
  const target = formatIp4(ctx.i32(off + 24));
  if (code === ICMP_PROT_UNREACH) return `${target} protocol ${ctx.u8(off + 17)} unreachable`;
  if (code === ICMP_PORT_UNREACH) return portUnreachable(ctx, off, target);
  if (code === ICMP_FRAG_NEEDED) {
    const mtu = ctx.u16(off + 6);
    return `${target} unreachable - need to frag${mtu === 0 ? "" : ` (mtu ${mtu})`}`;
  }
  const words = UNREACHABLE.get(code);
  return words === undefined ? `${target} unreachable - #${code}` : `${words[0]}${target}${words[1]}`;
}

function portUnreachable(ctx: DissectContext, off: number, target: string): string {
  const headerLen = (ctx.u8(off + 8) & 0x0f) * 4;
  const port = ctx.u16(off + 8 + headerLen + 2);
  const protocol = ctx.u8(off + 17);
  if (protocol === IPPROTO_TCP) return `${target} tcp port ${port} unreachable`;
  if (protocol === IPPROTO_UDP) return `${target} udp port ${port} unreachable`;
  return `${target} protocol ${protocol} port ${port} unreachable`;
}
