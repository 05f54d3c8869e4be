/** Times of day in the timestamp options of an IP header (RFC 791 3.1): each machine that passes a packet on writes one. */
import type { Bytes } from "./packet.ts";

const IPOPT_END = 0;
const IPOPT_NOOP = 1;
const IPOPT_TIMESTAMP = 68;
const TS_ONLY = 0;
const FIRST_SLOT = 4;

/** A time of four bytes. */
export interface OptionTime {
  readonly at: number;
  /** The pointer stands right behind it: nobody has filled in one since. */
  readonly latest: boolean;
}

/** The times in the header of `headerLength` bytes at `off`. */
export function optionTimes(bytes: Bytes, off: number, headerLength: number): OptionTime[] {
  const times: OptionTime[] = [];
  const end = off + headerLength;
  for (let at = off + 20; at + 1 < end; ) {
    if (bytes[at] === IPOPT_END) break;
    if (bytes[at] === IPOPT_NOOP) {
      at++;
      continue;
    }
    const length = bytes[at + 1];
    if (length < 2 || at + length > end) break;
    if (bytes[at] === IPOPT_TIMESTAMP && length > FIRST_SLOT) times.push(...slots(bytes, at, length));
    at += length;
  }
  return times;
}

function slots(bytes: Bytes, at: number, length: number): OptionTime[] {
  const withAddress = (bytes[at + 3] & 0xf) !== TS_ONLY;
  const times: OptionTime[] = [];
  const step = withAddress ? 8 : 4;
  const behind = at + bytes[at + 2] - 1;
  // Whoever filled a slot moved the pointer behind it: one that was not even begins the slots elsewhere.
  const first = at + FIRST_SLOT + ((bytes[at + 2] - 1 - FIRST_SLOT) % step);
  for (let end = first + step; end <= at + length; end += step)
    times.push({ at: end - 4, latest: end === behind });
  return times;
}
