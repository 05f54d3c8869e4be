/**
 * The text of DNS (tcpdump 4.99 print-domain.c), read byte by byte as the real tool does: so what is not DNS but goes
 * to port 53 or 5353 prints as it does there.
 */
import { formatIp4, formatIp6 } from "../wire/address.ts";
import { type DissectContext, hexBytes } from "./dissect-context.ts";
import { CLASSES, EDNS_OPTIONS, OPCODES, RCODES, TYPES } from "./dissect-dns-names.ts";

const IN = 1;
const OPT = 41;
/** What reading gives when the message does not hold together: the printer says so and ends. */
const BAD = -1;

/** One character as tcpdump shows it: caret and M- forms for what is not printable ASCII. */
function charText(byte: number): string {
  const prefix = byte >= 0x80 ? "M-" : "";
  const low = byte & 0x7f;
  return low >= 0x20 && low < 0x7f
    ? prefix + String.fromCharCode(low)
    : `${prefix}^${String.fromCharCode(low ^ 0x40)}`;
}

/** Steps over a name; BAD when it runs out of the bytes. */
function skipName(ctx: DissectContext, off: number): number {
  let at = off;
  for (;;) {
    if (!ctx.has(at, 1)) return BAD;
    const length = ctx.bytes[at++];
    if (length === 0) return at;
    if ((length & 0xc0) === 0xc0) return at + 1;
    if ((length & 0xc0) === 0x40) {
      if ((length & 0x3f) !== 1 || !ctx.has(at, 1)) return BAD;
      const bits = ctx.bytes[at++] || 256;
      at += (bits + 7) >> 3;
    } else at += length;
  }
}

/** Length of the label at `at` (its length byte); BAD when it is beyond the bytes or of an unknown kind. */
function labelLength(ctx: DissectContext, at: number): number {
  if (!ctx.has(at, 1)) return BAD;
  const length = ctx.bytes[at];
  const kind = length & 0xc0;
  if (kind === 0xc0) return ctx.has(at + 1, 1) ? 0 : BAD;
  if (kind === 0x40) {
    if ((length & 0x3f) !== 1) ctx.put(`<ELT ${length & 0x3f}>`);
    if ((length & 0x3f) !== 1 || !ctx.has(at + 1, 1)) return BAD;
    return (((ctx.bytes[at + 1] || 256) + 7) >> 3) + 1;
  }
  return length;
}

/** Prints the name at `off` of the message at `base` and returns where it ends, or BAD. */
function printName(ctx: DissectContext, off: number, base: number): number {
  let at = off;
  let after = BAD;
  let limit = off - base;
  let length = labelLength(ctx, at);
  if (length === BAD) return BAD;
  if (ctx.bytes[at] === 0) {
    ctx.put(".");
    return at + 1;
  }
  while (ctx.bytes[at] !== 0 && at + 1 < ctx.snapEnd) {
    const lead = ctx.bytes[at];
    if ((lead & 0xc0) === 0xc0) {
      if (after === BAD) after = at + 2;
      const target = ((lead & 0x3f) << 8) | ctx.bytes[at + 1];
      if (target >= limit) {
        ctx.put("<BAD PTR>");
        return BAD;
      }
      limit = target;
      at = base + target;
    } else if ((lead & 0xc0) === 0x40) {
      ctx.put(`<ELT ${lead & 0x3f}>`);
      return BAD;
    } else {
      if (!printLabel(ctx, at + 1, length)) return BAD;
      at += 1 + length;
    }
    length = labelLength(ctx, at);
    if (length === BAD) return BAD;
  }
  return after === BAD ? at + 1 : after;
}

/** Prints a label and its dot; false when its bytes are not all there. */
function printLabel(ctx: DissectContext, off: number, length: number): boolean {
  for (let i = off; i < off + length; i++) {
    if (!ctx.has(i, 1)) return false;
    ctx.put(charText(ctx.bytes[i]));
  }
  ctx.put(".");
  return true;
}

/** ` A? web.` and where the question ends, or BAD. */
function printQuestion(ctx: DissectContext, off: number, base: number, mdns: boolean): number {
  const at = skipName(ctx, off);
  if (at === BAD || !ctx.has(at, 4)) return BAD;
  const type = ctx.u16(at);
  const klass = mdns ? ctx.u16(at + 2) & 0x7fff : ctx.u16(at + 2);
  ctx.put(` ${TYPES.get(type) ?? `Type${type}`}`);
  if (klass !== IN) ctx.put(` ${CLASSES.get(klass) ?? `(Class ${klass})`}`);
  if (mdns) ctx.put(klass === ctx.u16(at + 2) ? " (QM)" : " (QU)");
  ctx.put("? ");
  const end = printName(ctx, off, base);
  return end === BAD ? BAD : end + 4;
}

/** Prints a record and returns where it ends, or BAD. */
function printRecord(ctx: DissectContext, off: number, base: number, mdns: boolean): number {
  let at: number;
  if (ctx.options.verbose > 0) {
    ctx.put(" ");
    at = printName(ctx, off, base);
  } else at = skipName(ctx, off);
  if (at === BAD || !ctx.has(at, 10)) return ctx.snapEnd;
  const type = ctx.u16(at);
  let klass = ctx.u16(at + 2);
  if (mdns) {
    if ((klass & 0x8000) !== 0) ctx.put(" (Cache flush)");
    klass &= 0x7fff;
  }
  if (klass !== IN && type !== OPT) ctx.put(` ${CLASSES.get(klass) ?? `(Class ${klass})`}`);
  const optFlags = type === OPT ? ctx.u16(at + 6) : 0;
  if (type !== OPT && ctx.options.verbose > 2) ctx.put(` [${relativeTime(ctx.u32(at + 4))}]`);
  const data = at + 10;
  const end = data + ctx.u16(at + 8);
  ctx.put(` ${TYPES.get(type) ?? `Type${type}`}`);
  if (end > ctx.snapEnd) return BAD;
  if (type === OPT) {
    ctx.put(` UDPsize=${klass}${(optFlags & 0x8000) !== 0 ? " DO" : ""}`);
    printEdnsOptions(ctx, data, end);
    return end;
  }
  return printData(ctx, type, data, end, base) ? end : BAD;
}

/** The options of an OPT record (RFC 6891 6.1.2), their values in hexadecimal. */
function printEdnsOptions(ctx: DissectContext, off: number, end: number): void {
  const words: string[] = [];
  for (let at = off; at + 4 <= end; ) {
    const code = ctx.u16(at);
    const lenBytes = Math.min(ctx.u16(at + 2), end - at - 4);
    const value = lenBytes === 0 ? "" : ` ${hexBytes(ctx.bytes.subarray(at + 4, at + 4 + lenBytes))}`;
    words.push(`${EDNS_OPTIONS.get(code) ?? `Opt${code}`}${value}`);
    at += 4 + lenBytes;
  }
  if (words.length > 0) ctx.put(` [${words.join(",")}]`);
}

/** A span of seconds as tcpdump shows it: `1d2h3m4s`. */
function relativeTime(seconds: number): string {
  if (seconds === 0) return "0s";
  const units = [
    ["w", 604800],
    ["d", 86400],
    ["h", 3600],
    ["m", 60],
    ["s", 1],
  ] as const;
  let rest = seconds;
  let text = "";
  for (const [unit, size] of units) {
    if (rest >= size) text += `${Math.floor(rest / size)}${unit}`;
    rest %= size;
  }
  return text;
}

/** Prints what a record says; false when it does not hold together. */
function printData(ctx: DissectContext, type: number, off: number, end: number, base: number): boolean {
  switch (type) {
    case 1:
      if (!ctx.has(off, 4)) return false;
      ctx.put(` ${formatIp4(ctx.i32(off))}`);
      return true;
    case 28:
      if (!ctx.has(off, 16)) return false;
      ctx.put(` ${formatIp6(ctx.view, off)}`);
      return true;
    case 2:
    case 5:
    case 12:
    case 39:
      ctx.put(" ");
      return printName(ctx, off, base) !== BAD;
    case 6:
      return ctx.options.verbose === 0 || printSoa(ctx, off, base);
    case 15:
      ctx.put(" ");
      if (!ctx.has(off, 2) || printName(ctx, off + 2, base) === BAD) return false;
      ctx.put(` ${ctx.u16(off)}`);
      return true;
    case 16:
    case 99:
      return printTexts(ctx, off, end);
    case 33:
      ctx.put(" ");
      if (!ctx.has(off, 6) || printName(ctx, off + 6, base) === BAD) return false;
      ctx.put(`:${ctx.u16(off + 4)} ${ctx.u16(off)} ${ctx.u16(off + 2)}`);
      return true;
    default:
      return true;
  }
}

function printSoa(ctx: DissectContext, off: number, base: number): boolean {
  ctx.put(" ");
  const second = printName(ctx, off, base);
  if (second === BAD) return false;
  ctx.put(" ");
  const numbers = printName(ctx, second, base);
  if (numbers === BAD || !ctx.has(numbers, 20)) return false;
  for (let i = 0; i < 5; i++) ctx.put(` ${ctx.u32(numbers + 4 * i)}`);
  return true;
}

function printTexts(ctx: DissectContext, off: number, end: number): boolean {
  for (let at = off; at < end; ) {
    const length = ctx.bytes[at];
    ctx.put(' "');
    for (let i = at + 1; i <= at + length; i++) {
      if (!ctx.has(i, 1)) return false;
      ctx.put(charText(ctx.bytes[i]));
    }
    ctx.put('"');
    at += 1 + length;
  }
  return true;
}

/** Prints `count` records behind `lead`; returns where they end, or BAD. */
function printSection(
  ctx: DissectContext,
  off: number,
  count: number,
  base: number,
  mdns: boolean,
  lead: string,
): number {
  let at = off;
  let left = count;
  if (left > 0 && at < ctx.snapEnd) {
    ctx.put(lead);
    for (;;) {
      at = printRecord(ctx, at, base, mdns);
      if (at === BAD) return BAD;
      left--;
      if (left === 0 || at >= ctx.snapEnd) break;
      ctx.put(",");
    }
  }
  return left > 0 ? BAD : at;
}

function printResponse(ctx: DissectContext, off: number, mdns: boolean): boolean {
  const flags = ctx.u16(off + 2);
  const [questions, answers, authorities, additionals] = [4, 6, 8, 10].map((at) => ctx.u16(off + at));
  ctx.put(`${ctx.u16(off)}${OPCODES[(flags >> 11) & 15]}${RCODES[flags & 15]}`);
  ctx.put((flags & 0x0400) !== 0 ? "*" : "");
  ctx.put((flags & 0x0080) !== 0 ? "" : "-");
  ctx.put((flags & 0x0200) !== 0 ? "|" : "");
  ctx.put((flags & 0x0020) !== 0 ? "$" : "");
  if (questions !== 1) ctx.put(` [${questions}q]`);
  let at = off + 12;
  for (let i = 0; i < questions; i++) {
    if (i > 0) ctx.put(",");
    if (ctx.options.verbose > 1) {
      ctx.put(" q:");
      at = printQuestion(ctx, at, off, mdns);
    } else {
      at = skipName(ctx, at);
      at = at === BAD ? BAD : at + 4;
    }
    if (at === BAD) return false;
  }
  ctx.put(` ${answers}/${authorities}/${additionals}`);
  at = printSection(ctx, at, answers, off, mdns, "");
  if (at === BAD) return false;
  return ctx.options.verbose <= 1 || printRest(ctx, at, off, authorities, additionals, mdns);
}

function printRest(
  ctx: DissectContext,
  off: number,
  base: number,
  authorities: number,
  additionals: number,
  mdns: boolean,
): boolean {
  const at = printSection(ctx, off, authorities, base, mdns, " ns:");
  return at !== BAD && printSection(ctx, at, additionals, base, mdns, " ar:") !== BAD;
}

function printRequest(ctx: DissectContext, off: number, mdns: boolean): boolean {
  const flags = ctx.u16(off + 2);
  const [questions, answers, authorities, additionals] = [4, 6, 8, 10].map((at) => ctx.u16(off + at));
  const opcode = (flags >> 11) & 15;
  ctx.put(`${ctx.u16(off)}${OPCODES[opcode]}`);
  ctx.put((flags & 0x0100) !== 0 ? "+" : "");
  ctx.put((flags & 0x0010) !== 0 ? "%" : "");
  if ((flags & 0x06cf) !== 0) ctx.put(` [b2&3=0x${flags.toString(16)}]`);
  if (opcode === 1) {
    if (questions !== 0) ctx.put(` [${questions}q]`);
    if (answers !== 1) ctx.put(` [${answers}a]`);
  } else {
    if (answers !== 0) ctx.put(` [${answers}a]`);
    if (questions !== 1) ctx.put(` [${questions}q]`);
  }
  if (authorities !== 0) ctx.put(` [${authorities}n]`);
  if (additionals !== 0) ctx.put(` [${additionals}au]`);
  let at = off + 12;
  let left = questions;
  while (left > 0 && (left === questions || at < ctx.snapEnd)) {
    at = printQuestion(ctx, at, off, mdns);
    if (at === BAD) return false;
    left--;
  }
  if (left > 0) return false;
  if (ctx.options.verbose <= 1) return true;
  at = printSection(ctx, at, answers, off, mdns, "");
  return at !== BAD && printRest(ctx, at, off, authorities, additionals, mdns);
}

/** Prints the DNS message of `lenBytes` at `off`; `mdns` reads the class as multicast DNS does. */
export function printDomain(ctx: DissectContext, off: number, lenBytes: number, mdns: boolean): void {
  ctx.protocol = "domain";
  if (lenBytes < 12) {
    ctx.put(`domain [length ${lenBytes} < 12] (invalid)`);
    return;
  }
  ctx.need(off, 12);
  const response = (ctx.u16(off + 2) & 0x8000) !== 0;
  const whole = response ? printResponse(ctx, off, mdns) : printRequest(ctx, off, mdns);
  ctx.put(whole ? ` (${lenBytes})` : " [|domain]");
}
