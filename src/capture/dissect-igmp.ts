/** The text of IGMP (RFC 2236, RFC 3376; tcpdump 4.99 print-igmp.c). */
import { formatIp4 } from "../wire/address.ts";
import { inetChecksum } from "../wire/checksum.ts";
import type { DissectContext } from "./dissect-context.ts";

const RECORD_TYPES = ["", "is_in", "is_ex", "to_in", "to_ex", "allow", "block"] as const;

export function printIgmp(ctx: DissectContext, off: number, lenBytes: number): void {
  ctx.protocol = "igmp";
  if (ctx.options.quiet) {
    ctx.put("igmp");
    return;
  }
  const type = ctx.u8(off);
  if (type === 0x11) printQuery(ctx, off, lenBytes);
  else if (type === 0x12) printGroup(ctx, off, "igmp v1 report", lenBytes);
  else if (type === 0x16) printGroup(ctx, off, "igmp v2 report", lenBytes);
  else if (type === 0x17) printGroup(ctx, off, "igmp leave", lenBytes);
  else if (type === 0x22) printReport(ctx, off, lenBytes);
  else ctx.put(`igmp-${type}`);
  if (ctx.options.verbose > 0 && ctx.has(off, lenBytes) && inetChecksum(ctx.view, off, lenBytes) !== 0) {
    ctx.put(` bad igmp cksum ${ctx.u16(off + 2).toString(16)}!`);
  }
}

function printGroup(ctx: DissectContext, off: number, name: string, lenBytes: number): void {
  ctx.put(`${name} ${formatIp4(ctx.i32(off + 4))}`);
  if (lenBytes !== 8) ctx.put(` [len ${lenBytes}]`);
}

function printQuery(ctx: DissectContext, off: number, lenBytes: number): void {
  const group = ctx.i32(off + 4);
  const about = group === 0 ? "" : ` [gaddr ${formatIp4(group)}`;
  if (lenBytes >= 12) {
    const sources = ctx.u16(off + 10);
    const tail = sources > 0 ? `, ${sources} source(s)]` : "]";
    ctx.put(`igmp query v3${about}${about === "" ? "" : tail}`);
    return;
  }
  const resp = ctx.u8(off + 1);
  ctx.put(`igmp query v${resp === 0 ? 1 : 2}`);
  if (resp !== 0 && resp !== 100) ctx.put(` [max resp time ${resp}]`);
  if (about !== "") ctx.put(`${about}]`);
  if (lenBytes !== 8) ctx.put(` [len ${lenBytes}]`);
}

function printReport(ctx: DissectContext, off: number, lenBytes: number): void {
  ctx.put("igmp v3 report");
  if (lenBytes < 16) {
    ctx.put(` [invalid len ${lenBytes}]`);
    return;
  }
  const groups = ctx.u16(off + 6);
  ctx.put(`, ${groups} group record(s)`);
  if (ctx.options.verbose === 0) return;
  let at = 8;
  for (let i = 0; i < groups; i++) {
    if (lenBytes < at + 8) {
      ctx.put(" [invalid number of groups]");
      return;
    }
    const type = ctx.u8(off + at);
    const sources = ctx.u16(off + at + 2);
    ctx.put(` [gaddr ${formatIp4(ctx.i32(off + at + 4))} ${RECORD_TYPES[type] ?? ` [v3-report-#${type}]`}`);
    if (lenBytes < at + 8 + 4 * sources) {
      ctx.put(` [invalid number of sources ${sources}]`);
      return;
    }
    if (ctx.options.verbose === 1) ctx.put(`, ${sources} source(s)`);
    else ctx.put(sourceList(ctx, off + at + 8, sources));
    ctx.put("]");
    at += 8 + 4 * sources;
  }
}

function sourceList(ctx: DissectContext, off: number, count: number): string {
  let text = " {";
  for (let i = 0; i < count; i++) text += ` ${formatIp4(ctx.i32(off + 4 * i))}`;
  return `${text} }`;
}
