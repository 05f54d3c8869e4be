/** Times of day in the timestamp options of an IP header (RFC 791 3.1): each machine that passes a packet on writes one. */
import type { Bytes } from "./packet.ts";

const IPOPT_END = 0;
const IPOPT_NOOP = 1;
const IPOPT_TIMESTAMP = 68;
const TS_ONLY = 0;
const FIRST_SLOT = 4;

/** Offsets of the four-byte times in the header of `headerLength` bytes at `off`. */
export function optionTimes(bytes: Bytes, off: number, headerLength: number): number[] {
  const times: number[] = [];
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

function slots(bytes: Bytes, at: number, length: number): number[] {
  const withAddress = (bytes[at + 3] & 0xf) !== TS_ONLY;
  const times: number[] = [];
  const step = withAddress ? 8 : 4;
  // Whoever filled a slot moved the pointer behind it: one that was not even begins the slots elsewhere.
  const first = at + FIRST_SLOT + ((bytes[at + 2] - 1 - FIRST_SLOT) % step);
  for (let slot = first; slot + step <= at + length; slot += step) times.push(withAddress ? slot + 4 : slot);
  return times;
}
