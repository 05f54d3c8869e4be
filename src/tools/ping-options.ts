/** `ping -R`, `ping -T` and stations on the way: the IP options of the requests, and the text of those of an answer. */
import { formatIp4 } from "../wire/address.ts";
import {
  IP_OPTIONS_MAX,
  IPOPT_END,
  IPOPT_LSRR,
  IPOPT_NOOP,
  IPOPT_RR,
  IPOPT_SSRR,
  IPOPT_TIMESTAMP,
  IPOPT_TS_PRESPEC,
  IPOPT_TS_TSANDADDR,
  IPOPT_TS_TSONLY,
} from "../wire/ip-options.ts";

/** First slot of a record of the route or of a source route, as the pointer counts. */
const IPOPT_MINOFF = 4;
const RR_BYTES = IP_OPTIONS_MAX - 1;
const TS_FIRST = 5;
/** Four slots of address and time. */
const TS_ADDR_BYTES = 36;
const TOP_BIT = 0x8000_0000;

/** Words of -T. */
export const TIMESTAMP_KINDS: ReadonlyMap<string, number> = new Map([
  ["tsonly", IPOPT_TS_TSONLY],
  ["tsandaddr", IPOPT_TS_TSANDADDR],
  ["tsprespec", IPOPT_TS_PRESPEC],
]);

/** What the requests ask of the stations on the way: `kind` is that of a time stamp. */
export interface PingRecord {
  readonly route: boolean;
  readonly kind: number | null;
}

/** The options of the requests over `hops` (the last address is the target); null for none. */
export function requestOptions(record: PingRecord, hops: readonly number[]): Uint8Array | null {
  const bytes = new Uint8Array(IP_OPTIONS_MAX);
  const view = new DataView(bytes.buffer);
  const route = hops.slice(0, -1);
  if (record.route) {
    bytes.set([IPOPT_NOOP, IPOPT_RR, RR_BYTES, IPOPT_MINOFF]);
    return bytes;
  }
  if (record.kind !== null) {
    const prespec = record.kind === IPOPT_TS_PRESPEC;
    const whole = record.kind === IPOPT_TS_TSONLY ? IP_OPTIONS_MAX : TS_ADDR_BYTES;
    const length = prespec ? 4 + route.length * 8 : whole;
    bytes.set([IPOPT_TIMESTAMP, length, TS_FIRST, record.kind]);
    if (prespec) for (const [i, hop] of route.entries()) view.setInt32(4 + i * 8, hop);
    return bytes.subarray(0, length);
  }
  if (route.length === 0) return null;
  bytes.set([IPOPT_NOOP, IPOPT_LSRR, 3 + route.length * 4, IPOPT_MINOFF]);
  for (const [i, hop] of route.entries()) view.setInt32(4 + i * 4, hop);
  return bytes.subarray(0, 4 + route.length * 4);
}

/** What `ping` says of the options of an answer (pr_options); a route like the last one is only mentioned. */
export class OptionsText {
  private lastRoute = "";

  text(options: Uint8Array): string {
    let text = "";
    for (let at = 0; at < options.length && options[at] !== IPOPT_END; ) {
      if (options[at] === IPOPT_NOOP) {
        text += "\nNOP";
        at++;
        continue;
      }
      const length = options[at + 1] ?? 0;
      if (length < 2 || at + length > options.length) break;
      text += this.option(options.subarray(at, at + length));
      at += length;
    }
    return text;
  }

  private option(option: Uint8Array): string {
    const kind = option[0];
    if (kind === IPOPT_RR) return this.route(option);
    if (kind === IPOPT_TIMESTAMP) return timesText(option);
    if (kind === IPOPT_SSRR || kind === IPOPT_LSRR) return sourceRouteText(option);
    return `\nunknown option ${kind.toString(16)}`;
  }

  private route(option: Uint8Array): string {
    const used = Math.min(option[2], option[1]) - IPOPT_MINOFF;
    if (used <= 0) return "";
    const route = stations(option, 3, used);
    if (route === this.lastRoute) return "\t(same route)";
    this.lastRoute = route;
    return `\nRR: ${route}`;
  }
}

/** The real one begins at the pointer instead of behind it, so that each address is a byte late. */
function sourceRouteText(option: Uint8Array): string {
  const name = option[0] === IPOPT_SSRR ? "SSRR" : "LSRR";
  return `\n${name}: ${stations(option, 2, option[1] - IPOPT_MINOFF)}`;
}

/** Addresses from `from` on, as many as begin in `lenBytes`. */
function stations(option: Uint8Array, from: number, lenBytes: number): string {
  const view = new DataView(option.buffer, option.byteOffset, option.length);
  let text = "";
  for (let i = 0; i < lenBytes && from + i + 4 <= option.length; i += 4)
    text += `\t${formatIp4(view.getInt32(from + i))}\n`;
  return text;
}

/** The first time is absolute, each later one the distance from the one before. */
function timesText(option: Uint8Array): string {
  let left = Math.min(option[2], option[1]) - TS_FIRST;
  if (left <= 0) return "";
  const view = new DataView(option.buffer, option.byteOffset, option.length);
  const flags = option[3];
  const withAddress = (flags & 0xf) !== IPOPT_TS_TSONLY;
  const last = { standard: 0, other: 0 };
  let text = "\nTS: ";
  for (let at = 4; left > 0; left -= 4, at += 4) {
    if (withAddress) {
      text += `\t${formatIp4(view.getInt32(at))}`;
      at += 4;
      left -= 4;
      if (left <= 0) break;
    }
    text += `\t${timeText(view.getUint32(at), last)}\n`;
  }
  return flags >> 4 === 0 ? text : `${text}Unrecorded hops: ${flags >> 4}\n`;
}

function timeText(time: number, last: { standard: number; other: number }): string {
  const other = time >= TOP_BIT;
  const value = other ? time - TOP_BIT : time;
  const before = other ? last.other : last.standard;
  if (other) last.other = value;
  else last.standard = value;
  const suffix = other ? " not-standard" : "";
  return before === 0 ? `${value} absolute${suffix}` : `${value - before}${suffix}`;
}
