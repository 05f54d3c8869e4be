/**
 * The token bucket of the limit match (net/netfilter/xt_limit.c): credits of 32 bits, which grow with the kernel's ticks
 * up to what a burst costs.
 */
import { HZ, JIFFY_NS } from "../../sim/timer-wheel.ts";
import type { LimitMatch } from "./rule-spec.ts";
import { XT_LIMIT_SCALE } from "./words/rate-matches.ts";

/** Credits that a tick earns: the power of two below what fits a day of them in 32 bits. */
const CREDITS_PER_JIFFY = 2 ** Math.floor(Math.log2(0xffffffff / (HZ * 60 * 60 * 24)));
const CREDITS_PER_SECOND = HZ * CREDITS_PER_JIFFY;

/** Credits for a time in 1/10000 s; a long one is cut to whole seconds, so that it does not overflow. */
function userToCredits(user: number): number {
  if (user > Math.floor(0xffffffff / CREDITS_PER_SECOND))
    return Math.imul(Math.floor(user / XT_LIMIT_SCALE), CREDITS_PER_SECOND) >>> 0;
  return Math.floor((user * CREDITS_PER_SECOND) / XT_LIMIT_SCALE);
}

/** What a whole burst costs. */
function creditCap(match: LimitMatch): number {
  return userToCredits(Math.imul(match.avg, match.burst) >>> 0);
}

/** Whether the kernel takes the numbers: a burst of none, or one whose cost does not fit in 32 bits, is refused. */
export function limitFits(match: LimitMatch): boolean {
  return match.burst !== 0 && creditCap(match) >= userToCredits(match.avg);
}

/** Last tick, credits, cost of a packet, most credits. */
export function limitState(match: LimitMatch, nowNs: number): [number, number, number, number] {
  const cap = creditCap(match);
  return [jiffies(nowNs), cap, userToCredits(match.avg), cap];
}

export function limitMt(state: Float64Array, index: number, nowNs: number): boolean {
  const now = jiffies(nowNs);
  const earned = Math.imul(now - state[index], CREDITS_PER_JIFFY) >>> 0;
  let credit = (state[index + 1] + earned) % 2 ** 32;
  if (credit > state[index + 3]) credit = state[index + 3];
  state[index] = now;
  const enough = credit >= state[index + 2];
  state[index + 1] = enough ? credit - state[index + 2] : credit;
  return enough;
}

/** Ticks since the start. */
function jiffies(nowNs: number): number {
  return Math.floor(nowNs / JIFFY_NS);
}
