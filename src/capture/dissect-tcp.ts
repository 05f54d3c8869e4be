/** The text of TCP (tcpdump 4.99 print-tcp.c) and of the lines of HTTP that it carries (print-http.c, signature.c). */
import { formatIp4 } from "../wire/address.ts";
import { inetChecksum, pseudoHeaderSum } from "../wire/checksum.ts";
import { IPPROTO_TCP } from "../wire/ipv4.ts";
import {
  TCP_ACK,
  TCP_CWR,
  TCP_ECE,
  TCP_FIN,
  TCP_HLEN,
  TCP_PSH,
  TCP_RST,
  TCP_SYN,
  TCP_URG,
} from "../wire/tcp.ts";
import {
  TCPOPT_EOL,
  TCPOPT_MSS,
  TCPOPT_NOP,
  TCPOPT_SACK,
  TCPOPT_SACK_PERM,
  TCPOPT_TIMESTAMP,
  TCPOPT_WINDOW,
} from "../wire/tcp-options.ts";
import { bitNames, type DissectContext, hexBytes, shouldBe } from "./dissect-context.ts";
import { printDomain } from "./dissect-dns.ts";
import { printHttp } from "./dissect-http.ts";
import { finalDestination } from "./dissect-ip-options.ts";

const FLAG_NAMES = [
  [TCP_FIN, "F"],
  [TCP_SYN, "S"],
  [TCP_RST, "R"],
  [TCP_PSH, "P"],
  [TCP_ACK, "."],
  [TCP_URG, "U"],
  [TCP_ECE, "E"],
  [TCP_CWR, "W"],
] as const;

const TCPOPT_FASTOPEN = 34;

const OPTION_NAMES: ReadonlyMap<number, string> = new Map([
  [TCPOPT_EOL, "eol"],
  [TCPOPT_NOP, "nop"],
  [TCPOPT_MSS, "mss"],
  [TCPOPT_WINDOW, "wscale"],
  [TCPOPT_SACK_PERM, "sackOK"],
  [TCPOPT_SACK, "sack"],
  [6, "echo"],
  [7, "echoreply"],
  [TCPOPT_TIMESTAMP, "TS"],
  [11, "cc"],
  [12, "ccnew"],
  [13, "ccecho"],
  [19, "md5"],
  [20, "scps"],
  [28, "uto"],
  [29, "tcp-ao"],
  [30, "mptcp"],
  [TCPOPT_FASTOPEN, "tfo"],
  [254, "exp"],
]);

const MAX_RESET_TEXT = 30;
const DOMAIN_PORT = 53;
const HTTP_PORTS = [80, 8080];

/** Prints the TCP packet of `lenBytes` at `off`, of the IPv4 packet at `ipOff`. */
export function printTcp(
  ctx: DissectContext,
  ipOff: number,
  off: number,
  lenBytes: number,
  fragmented: boolean,
): void {
  ctx.protocol = "tcp";
  const from = formatIp4(ctx.i32(ipOff + 12));
  const to = formatIp4(ctx.i32(ipOff + 16));
  if (!ctx.has(off, 4)) {
    ctx.put(`${from} > ${to}: [|tcp]`);
    return;
  }
  const sport = ctx.u16(off);
  const dport = ctx.u16(off + 2);
  ctx.put(`${from}.${sport} > ${to}.${dport}: `);
  ctx.need(off, TCP_HLEN);
  const headerLen = (ctx.u8(off + 12) >> 4) * 4;
  if (headerLen < TCP_HLEN) {
    ctx.put(` tcp ${lenBytes - headerLen} [bad hdr length ${headerLen} - too short, < ${TCP_HLEN}]`);
    return;
  }
  if (ctx.options.quiet) {
    ctx.put(`tcp ${(lenBytes - headerLen) >>> 0}`);
    if (headerLen > lenBytes) ctx.put(` [bad hdr length ${headerLen} - too long, > ${lenBytes}]`);
    return;
  }
  const flags = ctx.u8(off + 13);
  ctx.put(`Flags [${bitNames(flags, FLAG_NAMES, "none", "")}]`);
  const seen = noteConversation(ctx, from, to, sport, dport, off, flags);
  if (headerLen > lenBytes) {
    ctx.put(` [bad hdr length ${headerLen} - too long, > ${lenBytes}]`);
    return;
  }
  if (ctx.options.verbose > 0 && !fragmented) printChecksum(ctx, ipOff, off, lenBytes);
  printNumbers(ctx, off, lenBytes - headerLen, flags, seen);
  if (headerLen > TCP_HLEN && !printOptions(ctx, off + TCP_HLEN, off + headerLen)) return;
  ctx.put(`, length ${lenBytes - headerLen}`);
  if (lenBytes > headerLen) printPayload(ctx, off + headerLen, lenBytes - headerLen, flags, sport, dport);
}

/** Looks the conversation up; true when the numbers of this packet print relative to its start. */
function noteConversation(
  ctx: DissectContext,
  from: string,
  to: string,
  sport: number,
  dport: number,
  off: number,
  flags: number,
): boolean {
  const talk = ctx.conversations;
  if (ctx.options.absoluteSeq || (flags & TCP_ACK) === 0) {
    talk.none();
    return false;
  }
  return talk.note(from, to, sport, dport, ctx.i32(off + 4), ctx.i32(off + 8), (flags & TCP_SYN) !== 0);
}

function printNumbers(
  ctx: DissectContext,
  off: number,
  payload: number,
  flags: number,
  relative: boolean,
): void {
  const talk = ctx.conversations;
  const seq = relative ? talk.relativeSeq(ctx.i32(off + 4)) : ctx.u32(off + 4);
  const ack = relative ? talk.relativeAck(ctx.i32(off + 8)) : ctx.u32(off + 8);
  if (ctx.options.verbose > 1 || payload > 0 || (flags & (TCP_SYN | TCP_FIN | TCP_RST)) !== 0) {
    ctx.put(`, seq ${seq}`);
    if (payload > 0) ctx.put(`:${(seq + payload) >>> 0}`);
  }
  if ((flags & TCP_ACK) !== 0) ctx.put(`, ack ${ack}`);
  ctx.put(`, win ${ctx.u16(off + 14)}`);
  if ((flags & TCP_URG) !== 0) ctx.put(`, urg ${ctx.u16(off + 18)}`);
}

function printChecksum(ctx: DissectContext, ipOff: number, off: number, lenBytes: number): void {
  if (!ctx.has(off, lenBytes)) return;
  const field = ctx.u16(off + 16);
  const pseudo = pseudoHeaderSum(ctx.i32(ipOff + 12), finalDestination(ctx, ipOff), IPPROTO_TCP, lenBytes);
  const sum = inetChecksum(ctx.view, off, lenBytes, pseudo);
  const hex = (value: number): string => `0x${value.toString(16).padStart(4, "0")}`;
  ctx.put(`, cksum ${hex(field)}`);
  ctx.put(sum === 0 ? " (correct)" : ` (incorrect -> ${hex(shouldBe(field, sum))})`);
}

/** Prints the options; false when they are damaged, which ends the line. */
function printOptions(ctx: DissectContext, from: number, end: number): boolean {
  ctx.put(", options [");
  for (let at = from; at < end; ) {
    if (at > from) ctx.put(",");
    const kind = ctx.u8(at);
    const single = kind === TCPOPT_EOL || kind === TCPOPT_NOP;
    const length = single ? 1 : ctx.u8(at + 1);
    if (!single && (length < 2 || at + length > end)) {
      ctx.put(at > from ? "[bad opt]]" : "[bad opt]");
      return false;
    }
    ctx.put(OPTION_NAMES.get(kind) ?? `unknown-${kind}`);
    const used = printOption(ctx, kind, at + 2, length - 2, end);
    if (used < 0) {
      ctx.put(at > from ? "[bad opt]]" : "[bad opt]");
      return false;
    }
    if (!single && used + 2 !== length) ctx.put(`[len ${length}]`);
    at += single ? 1 : used + 2;
    if (kind === TCPOPT_EOL) break;
  }
  ctx.put("]");
  return true;
}

/** Bytes that an option's value must have; -1 when it may be any number. */
function fixedLength(kind: number): number {
  if (kind === TCPOPT_MSS) return 2;
  if (kind === TCPOPT_WINDOW) return 1;
  return kind === TCPOPT_TIMESTAMP ? 8 : -1;
}

/** Prints the value of an option of `lenBytes`; returns how many bytes its kind has, -1 when the header ends before. */
function printOption(ctx: DissectContext, kind: number, off: number, lenBytes: number, end: number): number {
  if (off + fixedLength(kind) > end) return -1;
  switch (kind) {
    case TCPOPT_MSS:
      ctx.put(` ${ctx.u16(off)}`);
      return 2;
    case TCPOPT_WINDOW:
      ctx.put(` ${ctx.u8(off)}`);
      return 1;
    case TCPOPT_TIMESTAMP:
      ctx.put(` val ${ctx.u32(off)} ecr ${ctx.u32(off + 4)}`);
      return 8;
    case TCPOPT_SACK:
      printSacks(ctx, off, lenBytes);
      return lenBytes;
    case TCPOPT_EOL:
    case TCPOPT_NOP:
    case TCPOPT_SACK_PERM:
      return 0;
    case TCPOPT_FASTOPEN:
      ctx.put(
        lenBytes === 0 ? "  cookiereq" : `  cookie ${hexBytes(ctx.bytes.subarray(off, off + lenBytes))}`,
      );
      return lenBytes;
    default:
      if (lenBytes > 0) ctx.put(` 0x${hexBytes(ctx.bytes.subarray(off, off + lenBytes))}`);
      return lenBytes;
  }
}

function printSacks(ctx: DissectContext, off: number, lenBytes: number): void {
  if (lenBytes % 8 !== 0) {
    ctx.put(" invalid sack");
    return;
  }
  const talk = ctx.conversations;
  const base = talk.reverse ? talk.seqBase : talk.ackBase;
  ctx.put(` ${lenBytes / 8} `);
  for (let at = off; at < off + lenBytes; at += 8) {
    ctx.put(`{${(ctx.i32(at) - base) >>> 0}:${(ctx.i32(at + 4) - base) >>> 0}}`);
  }
}

function printPayload(
  ctx: DissectContext,
  off: number,
  lenBytes: number,
  flags: number,
  sport: number,
  dport: number,
): void {
  if ((flags & TCP_RST) !== 0 && ctx.options.verbose > 0) {
    printResetText(ctx, off, lenBytes);
  } else if (HTTP_PORTS.includes(sport) || HTTP_PORTS.includes(dport)) {
    ctx.put(": ");
    printHttp(ctx, off, lenBytes);
  } else if (sport === DOMAIN_PORT || dport === DOMAIN_PORT) {
    printDomainOverTcp(ctx, off, lenBytes);
  }
}

/** A reset may say why (RFC 1122 4.2.2.12). */
function printResetText(ctx: DissectContext, off: number, lenBytes: number): void {
  const shown = Math.min(lenBytes, MAX_RESET_TEXT);
  ctx.put(` [RST${lenBytes > shown ? "+" : ""} `);
  for (let i = 0; i < shown && ctx.has(off + i, 1); i++) {
    const c = ctx.bytes[off + i];
    ctx.put(c >= 0x20 && c < 0x7f ? String.fromCharCode(c) : ".");
  }
  ctx.put("]");
}

function printDomainOverTcp(ctx: DissectContext, off: number, lenBytes: number): void {
  ctx.put(" ");
  if (lenBytes < 2) {
    ctx.put(`[DNS over TCP: length ${lenBytes} < 2] (invalid)`);
    return;
  }
  const prefix = ctx.u16(off);
  if (prefix !== lenBytes - 2) {
    ctx.put(`[prefix length(${prefix}) != length(${lenBytes - 2})] (invalid)`);
    return;
  }
  printDomain(ctx, off + 2, lenBytes - 2, false);
}
