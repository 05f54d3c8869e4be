/** What a node believes of the others (memberlist state.go, suspicion.go), and the words of the gossip. */

export type MemberState = "alive" | "suspect" | "dead" | "left";

export interface Member {
  readonly name: string;
  /** int32 */
  readonly ip: number;
  incarnation: number;
  state: MemberState;
  /** Who else suspects it, while it is a suspect. */
  readonly accusers: Set<string>;
  /** Counts the suspicions, so that an old deadline does not end a new one. */
  suspicion: number;
  suspectedNs: number;
}

/** A word about a member. */
export interface MemberNews {
  readonly kind: "alive" | "suspect" | "dead" | "left";
  readonly name: string;
  readonly ip: number;
  readonly incarnation: number;
  /** Who says so. */
  readonly from: string;
}

export function newMember(name: string, ip: number, incarnation: number): Member {
  return {
    name,
    ip,
    incarnation,
    state: "alive",
    accusers: new Set(),
    suspicion: 0,
    suspectedNs: 0,
  };
}

const PROBE_INTERVAL_SEC = 1;
const SUSPICION_MULT = 4;
const SUSPICION_MAX_MULT = 6;

/** How long a suspect has to refute, ns: less the more others suspect it too; without others to ask the least at once. */
export function suspicionTimeout(members: number, confirmations: number): number {
  const least = SUSPICION_MULT * Math.max(1, Math.log10(Math.max(1, members))) * PROBE_INTERVAL_SEC;
  const wanted = SUSPICION_MULT - 2;
  if (members - 2 < wanted) return least * 1e9;
  const most = least * SUSPICION_MAX_MULT;
  const part = Math.log(confirmations + 1) / Math.log(wanted + 1);
  return Math.round(Math.max(least, most - part * (most - least)) * 1e9);
}
