/**
 * The text of IPv6 as far as it shows up beside IPv4 (tcpdump 4.99 print-ip6.c, print-icmp6.c): neighbour discovery,
 * multicast listener reports, echo; other payloads by protocol number.
 */
import { formatIp6, formatMac } from "../wire/address.ts";
import { csumPartial, inetChecksum } from "../wire/checksum.ts";
import { IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP } from "../wire/ipv4.ts";
import { bitNames, type DissectContext, printHex, shouldBe } from "./dissect-context.ts";

const IP6_HLEN = 40;
const NEXTHDR_HOP = 0;

const NEXT_HEADERS: ReadonlyMap<number, string> = new Map([
  [NEXTHDR_HOP, "Options"],
  [IPPROTO_TCP, "TCP"],
  [IPPROTO_UDP, "UDP"],
  [IPPROTO_ICMPV6, "ICMPv6"],
]);

const ICMP6_NAMES: ReadonlyMap<number, string> = new Map([
  [1, "destination unreachable"],
  [2, "packet too big"],
  [128, "echo request"],
  [129, "echo reply"],
  [133, "router solicitation"],
  [134, "router advertisement"],
  [135, "neighbor solicitation"],
  [136, "neighbor advertisement"],
  [137, "redirect"],
  [143, "multicast listener report v2"],
]);

const ECHO_REQUEST = 128;
const ECHO_REPLY = 129;
const ND_ROUTER_SOLICIT = 133;
const ND_NEIGHBOR_SOLICIT = 135;
const ND_NEIGHBOR_ADVERT = 136;
const ND_REDIRECT = 137;
const MLD2_REPORT = 143;

const ADVERT_FLAGS = [
  [0x80, "router"],
  [0x40, "solicited"],
  [0x20, "override"],
] as const;

const RECORD_TYPES = ["", "is_in", "is_ex", "to_in", "to_ex", "allow", "block"] as const;

/** Prints the IPv6 packet in `lenBytes` bytes at `off`. */
export function printIp6(ctx: DissectContext, off: number, lenBytes: number): void {
  ctx.protocol = "ip6";
  if (!ctx.options.link) ctx.put("IP6 ");
  const version = ctx.u8(off) >> 4;
  if (lenBytes < IP6_HLEN) {
    ctx.put(`truncated-ip6 ${lenBytes}`);
    return;
  }
  if (version !== 6) {
    ctx.put(`version error: ${version} != 6`);
    return;
  }
  ctx.need(off, IP6_HLEN);
  const payload = ctx.u16(off + 4);
  if (lenBytes < payload + IP6_HLEN)
    ctx.put(`truncated-ip6 - ${payload + IP6_HLEN - lenBytes} bytes missing!`);
  const next = ctx.u8(off + 6);
  if (ctx.options.verbose > 0) printVerbose(ctx, off, payload, next);
  const saved = ctx.snapEnd;
  ctx.snapEnd = Math.min(saved, off + IP6_HLEN + payload);
  ctx.put(`${formatIp6(ctx.view, off + 8)} > ${formatIp6(ctx.view, off + 24)}: `);
  printPayload(ctx, off, off + IP6_HLEN, payload, next);
  ctx.snapEnd = saved;
}

function printVerbose(ctx: DissectContext, off: number, payload: number, next: number): void {
  const first = ctx.u32(off);
  const trafficClass = (first >>> 20) & 0xff;
  const flow = first & 0xfffff;
  ctx.put("(");
  if (trafficClass !== 0) ctx.put(`class 0x${trafficClass.toString(16).padStart(2, "0")}, `);
  if (flow !== 0) ctx.put(`flowlabel 0x${flow.toString(16).padStart(5, "0")}, `);
  const name = NEXT_HEADERS.get(next) ?? "unknown";
  ctx.put(`hlim ${ctx.u8(off + 7)}, next-header ${name} (${next}) payload length: ${payload}) `);
}

function printPayload(ctx: DissectContext, ipOff: number, off: number, lenBytes: number, next: number): void {
  if (next === NEXTHDR_HOP) {
    const length = (ctx.u8(off + 1) + 1) * 8;
    ctx.put(ctx.options.verbose > 0 ? hopByHopText(ctx, off, length) : "HBH ");
    printPayload(ctx, ipOff, off + length, lenBytes - length, ctx.u8(off));
  } else if (next === IPPROTO_ICMPV6) {
    printIcmp6(ctx, ipOff, off, lenBytes);
  } else {
    ctx.put(` ip-proto-${next} ${lenBytes}`);
  }
}

function hopByHopText(ctx: DissectContext, off: number, lenBytes: number): string {
  let text = "HBH ";
  for (let at = off + 2; at < off + lenBytes; ) {
    const kind = ctx.u8(at);
    const length = kind === 0 ? 1 : 2 + ctx.u8(at + 1);
    if (kind === 0) text += "(pad1)";
    else if (kind === 1) text += "(padn)";
    else if (kind === 5)
      text += `(rtalert: 0x${ctx
        .u16(at + 2)
        .toString(16)
        .padStart(4, "0")}) `;
    else text += `(opt_type 0x${kind.toString(16).padStart(2, "0")}: len=${length - 2})`;
    at += length;
  }
  return `${text} `;
}

function printIcmp6(ctx: DissectContext, ipOff: number, off: number, lenBytes: number): void {
  ctx.protocol = "icmp6";
  const verbose = ctx.options.verbose > 0;
  if (verbose && ctx.has(off, lenBytes)) printIcmp6Checksum(ctx, ipOff, off, lenBytes);
  const type = ctx.u8(off);
  ctx.put(`ICMP6, ${ICMP6_NAMES.get(type) ?? `unknown icmp6 type (${type})`}`);
  if (verbose && type >= ND_ROUTER_SOLICIT && type <= ND_REDIRECT) ctx.put(`, length ${lenBytes}`);
  if (type === MLD2_REPORT) printListenerReport(ctx, off);
  else if (type === ECHO_REQUEST || type === ECHO_REPLY) {
    ctx.put(`, id ${ctx.u16(off + 4)}, seq ${ctx.u16(off + 6)}`);
  } else if (type === ND_NEIGHBOR_SOLICIT) ctx.put(`, who has ${addressAt(ctx, off + 8)}`);
  else if (type === ND_NEIGHBOR_ADVERT) ctx.put(`, tgt is ${addressAt(ctx, off + 8)}`);
  if (!verbose) {
    ctx.put(`, length ${lenBytes}`);
    return;
  }
  if (type === ND_NEIGHBOR_ADVERT) {
    ctx.put(`, Flags [${bitNames(ctx.u8(off + 4), ADVERT_FLAGS, "none", ", ")}]`);
  }
  if (type === ND_ROUTER_SOLICIT) printLinkOptions(ctx, off + 8, off + lenBytes);
  else if (type === ND_NEIGHBOR_SOLICIT || type === ND_NEIGHBOR_ADVERT) {
    printLinkOptions(ctx, off + 24, off + lenBytes);
  }
}

function addressAt(ctx: DissectContext, off: number): string {
  ctx.need(off, 16);
  return formatIp6(ctx.view, off);
}

function printIcmp6Checksum(ctx: DissectContext, ipOff: number, off: number, lenBytes: number): void {
  const pseudo = csumPartial(ctx.view, ipOff + 8, 32, lenBytes + IPPROTO_ICMPV6);
  const sum = inetChecksum(ctx.view, off, lenBytes, pseudo);
  const field = ctx.u16(off + 2);
  const hex = (value: number): string => `0x${value.toString(16).padStart(4, "0")}`;
  if (sum === 0) ctx.put("[icmp6 sum ok] ");
  else ctx.put(`[bad icmp6 cksum ${hex(field)} -> ${hex(shouldBe(field, sum))}!] `);
}

/** The options of neighbour discovery (RFC 4861 4.6). */
function printLinkOptions(ctx: DissectContext, off: number, end: number): void {
  for (let at = off; at + 8 <= end; ) {
    const kind = ctx.u8(at);
    const lenBytes = ctx.u8(at + 1) * 8;
    if (lenBytes === 0) return;
    ctx.need(at, lenBytes);
    const name = kind === 1 ? "source link-address" : kind === 2 ? "destination link-address" : "unknown";
    ctx.put(`\n\t  ${name} option (${kind}), length ${lenBytes} (${lenBytes / 8}): `);
    if (kind === 1 || kind === 2) ctx.put(formatMac(ctx.u16(at + 2), ctx.i32(at + 4)));
    if (ctx.options.verbose > 1) printHex(ctx, "\n\t    ", at + 2, at + lenBytes);
    else if (kind !== 1 && kind !== 2) printHex(ctx, "\n\t  ", at + 2, at + lenBytes);
    at += lenBytes;
  }
}

function printListenerReport(ctx: DissectContext, off: number): void {
  const groups = ctx.u16(off + 6);
  ctx.put(`, ${groups} group record(s)`);
  let at = off + 8;
  for (let i = 0; ctx.options.verbose > 0 && i < groups; i++) {
    const sources = ctx.u16(at + 2);
    ctx.put(` [gaddr ${addressAt(ctx, at + 4)} ${RECORD_TYPES[ctx.u8(at)] ?? "unknown"}`);
    at += 20;
    if (ctx.options.verbose === 1) ctx.put(`, ${sources} source(s)]`);
    else ctx.put(` {${sourceList(ctx, at, sources)} }]`);
    at += 16 * sources;
  }
}

function sourceList(ctx: DissectContext, off: number, count: number): string {
  let text = "";
  for (let i = 0; i < count; i++) text += ` ${addressAt(ctx, off + 16 * i)}`;
  return text;
}
