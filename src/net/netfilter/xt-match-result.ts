/** What a match says of a packet, and what all of them ask first. */
import { IP_OFFSET } from "../../wire/ipv4.ts";
import type { Skb } from "../core/skb.ts";

export const MATCH_NO = 0;
export const MATCH_YES = 1;
/** The packet is broken and must be dropped (par->hotdrop). */
export const MATCH_HOTDROP = 2;
export type MatchResult = 0 | 1 | 2;

/** Offset of the fragment, 0 for the first or a whole packet. */
export function fragmentOffset(skb: Skb): number {
  return skb.view.getUint16(skb.data + 6) & IP_OFFSET;
}
