/** Cases of the IPVS oracle: a director and its cards, virtual services, and what is typed and sent. Plain data. */

export type Step =
  /** A command line of the director; its output is compared. */
  | { readonly kind: "run"; readonly run: string }
  /** A listing, or `cat` of a file below /proc/net; times in it may differ a little. */
  | { readonly kind: "ask"; readonly run: string }
  /** Time passes. */
  | { readonly kind: "wait"; readonly seconds: number }
  /** Until the counters that are shown change: the estimator has run. */
  | { readonly kind: "tick" }
  /** Frames of a station (hex): one packet in one or more pieces. */
  | {
      readonly kind: "send";
      readonly flow: string;
      readonly card: number;
      readonly frames: readonly string[];
      readonly note: string;
      readonly rest?: boolean;
    }
  /** A datagram of a socket of the director. */
  | {
      readonly kind: "local";
      readonly flow: string;
      readonly sport: number;
      readonly dst: string;
      readonly dport: number;
      readonly size: number;
      readonly rest?: boolean;
    }
  | Reply
  | IcmpError;

/** The backend ("b") or the client ("c") answers what it got last of the flow; nothing when it got nothing. */
export interface Reply {
  readonly kind: "reply";
  readonly flow: string;
  readonly at: "b" | "c";
  /** TCP flags as bits. */
  readonly flags: number;
  /** Bytes of data; as much as it got when absent. */
  readonly size?: number;
  readonly ttl?: number;
  readonly df?: boolean;
  /** Bytes of the first of two fragments. */
  readonly cut?: number;
  readonly note: string;
  readonly rest?: boolean;
}

/** An ICMP error about what one of them got last. */
export interface IcmpError {
  readonly kind: "icmp";
  readonly flow: string;
  readonly at: "b" | "c";
  readonly type: number;
  readonly code: number;
  /** Quoted bytes; 28 when absent. */
  readonly quote?: number;
  /** A bit of it is turned on the way. */
  readonly damaged?: boolean;
  readonly rest?: boolean;
}

export interface Case {
  readonly name: string;
  readonly seed: number;
  readonly cards: number;
  /** Lines of `ip -batch` in the director. */
  readonly ip: readonly string[];
  readonly sysctl: readonly (readonly [string, string])[];
  /** Text for iptables-restore, "" none. */
  readonly restore: string;
  /** Lines of `ipvsadm -R`. */
  readonly services: readonly string[];
  readonly steps: readonly Step[];
}

/** Output of a command, frames by card, or nothing to answer. */
export type Answer =
  | { readonly status: number; readonly out: string }
  | readonly (readonly [number, string])[]
  | null;

/** What a kernel did at a step, and how long it took. */
export interface Seen {
  readonly ms: number;
  readonly answer: Answer;
}

/** A case with what the real kernel did. */
export interface KeptCase {
  readonly case: Case;
  readonly real: readonly Seen[];
}
