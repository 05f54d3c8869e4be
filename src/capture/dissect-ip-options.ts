/** The text of IP options (tcpdump 4.99 print-ip.c). */
import { formatIp4 } from "../wire/address.ts";
import {
  IPOPT_END,
  IPOPT_LSRR,
  IPOPT_NOOP,
  IPOPT_RA,
  IPOPT_RR,
  IPOPT_SEC,
  IPOPT_SSRR,
  IPOPT_TIMESTAMP,
  IPOPT_TS_PRESPEC,
  IPOPT_TS_TSANDADDR,
  IPOPT_TS_TSONLY,
} from "../wire/ip-options.ts";
import { ipHeaderLen } from "../wire/ipv4.ts";
import type { DissectContext } from "./dissect-context.ts";

const IPOPT_TRACEROUTE = 82;
const NAMES: ReadonlyMap<number, string> = new Map([
  [IPOPT_END, "EOL"],
  [IPOPT_NOOP, "NOP"],
  [IPOPT_TIMESTAMP, "timestamp"],
  [IPOPT_SEC, "security"],
  [IPOPT_RR, "RR"],
  [IPOPT_SSRR, "SSRR"],
  [IPOPT_LSRR, "LSRR"],
  [IPOPT_RA, "RA"],
  [IPOPT_TRACEROUTE, "traceroute"],
]);

const TS_NAMES: ReadonlyMap<number, string> = new Map([
  [IPOPT_TS_TSONLY, "TSONLY"],
  [IPOPT_TS_TSANDADDR, "TS+ADDR"],
  [IPOPT_TS_PRESPEC, "PRESPEC"],
]);

/** Prints the options between `from` and `end`; false when one is cut off. */
export function printIp4Options(ctx: DissectContext, from: number, end: number): boolean {
  ctx.put(", options (");
  for (let at = from; at < end; ) {
    if (at > from) ctx.put(",");
    const kind = ctx.u8(at);
    ctx.put(NAMES.get(kind) ?? `unknown ${kind}`);
    const length = kind === IPOPT_NOOP || kind === IPOPT_END ? 1 : ctx.u8(at + 1);
    if ((length < 2 && kind !== IPOPT_NOOP && kind !== IPOPT_END) || length > end - at) {
      ctx.put(` [bad length ${length}]`);
      break;
    }
    if (!ctx.has(at, length)) {
      ctx.put(" [truncated-option])");
      return false;
    }
    if (kind === IPOPT_END) break;
    printOption(ctx, kind, at, length);
    at += length;
  }
  ctx.put(")");
  return true;
}

function printOption(ctx: DissectContext, kind: number, at: number, length: number): void {
  switch (kind) {
    case IPOPT_TIMESTAMP:
      printTimes(ctx, at, length);
      break;
    case IPOPT_RR:
    case IPOPT_SSRR:
    case IPOPT_LSRR:
      printRoute(ctx, at, length);
      break;
    case IPOPT_RA:
      if (length < 4) ctx.put(` [bad length ${length}]`);
      else if (ctx.u16(at + 2) !== 0) ctx.put(` value ${ctx.u16(at + 2)}`);
      break;
    default:
      break;
  }
}

/** Stations; a comma behind those that the pointer has passed. */
function printRoute(ctx: DissectContext, at: number, length: number): void {
  if (length < 3 || ((length + 1) & 3) !== 0) ctx.put(` [bad length ${length}]`);
  if (length < 3) return;
  const pointer = ctx.u8(at + 2) - 1;
  if (pointer < 3 || ((pointer + 1) & 3) !== 0) ctx.put(` [bad ptr ${pointer + 1}]`);
  for (let i = 3; i < length; i += 4) {
    ctx.put(` ${formatIp4(ctx.i32(at + i))}`);
    if (pointer > i) ctx.put(",");
  }
}

/** Times with their addresses; a caret before the slot that the pointer names. */
function printTimes(ctx: DissectContext, at: number, length: number): void {
  if (length < 4) {
    ctx.put(`[bad length ${length}]`);
    return;
  }
  ctx.put(" TS{");
  const kind = ctx.u8(at + 3) & 0xf;
  const step = kind === IPOPT_TS_TSONLY ? 4 : 8;
  if (((length - 4) & (step - 1)) !== 0) ctx.put(`[bad length ${length}]`);
  const pointer = ctx.u8(at + 2) - 1;
  if (pointer < 4 || ((pointer - 4) & (step - 1)) !== 0 || pointer > length + 1)
    ctx.put(`[bad ptr ${pointer + 1}]`);
  const name = TS_NAMES.get(kind);
  ctx.put(name ?? `[bad ts type ${kind}]`);
  let i = name === undefined ? 0 : 4;
  for (; name !== undefined && i < length; i += step) {
    const address = step === 8 ? formatIp4(ctx.i32(at + i)) : "";
    ctx.put(`${pointer === i ? " ^ " : " "}${ctx.u32(at + i + step - 4)}@${address}`);
  }
  if (pointer === i) ctx.put(" ^ ");
  const missed = ctx.u8(at + 3) >> 4;
  ctx.put(missed === 0 ? "}" : ` [${missed} hops not recorded]} `);
}

/** The address that checksums count with: the last one of a source route, else the destination (ip_finddst). */
export function finalDestination(ctx: DissectContext, ip: number): number {
  const end = ip + ipHeaderLen(ctx.view, ip);
  for (let at = ip + 20; at < end; ) {
    const kind = ctx.u8(at);
    if (kind === IPOPT_END) break;
    const length = kind === IPOPT_NOOP ? 1 : ctx.u8(at + 1);
    if ((kind !== IPOPT_NOOP && length < 2) || length > end - at) break;
    if ((kind === IPOPT_SSRR || kind === IPOPT_LSRR) && length >= 7) return ctx.i32(at + length - 4);
    at += length;
  }
  return ctx.i32(ip + 16);
}
