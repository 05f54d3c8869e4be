/** What one comparison consists of: a topology, and the frames that are sent into it. Plain data, so that a case is a file. */

/** A command line typed in a namespace. `@NAME` stands for another namespace of the case. */
export interface Command {
  readonly ns: string;
  readonly run: string;
}

/** A station behind an interface of the world: answers ARP requests for its addresses with its MAC. */
export interface Station {
  /** Interface of the namespace `world`. */
  readonly at: string;
  readonly mac: string;
  readonly addresses: readonly string[];
}

/**
 * An answer to an IP packet that came out of the machine, sent where it arrived: the same addresses, ports and numbers the
 * other way round.
 */
export interface Answer {
  /** Which of the packets that arrived in the world: 0 the last, 1 the one before, ... */
  readonly back: number;
  /** TCP flags as letters of `CEUAPRSF`; empty for UDP and ICMP. */
  readonly flags: string;
  readonly payload: number;
  /** An ICMP error about the packet instead: type and code. */
  readonly icmp?: readonly [type: number, code: number];
  /** Its second word: an MTU, or the address of a gateway; absent: 600 when fragments are needed, else 0. */
  readonly info?: number;
  /** Who sends it; absent: whom the packet went to. */
  readonly from?: string;
  /** Added to the right TCP sequence number, and to the right acknowledgement. */
  readonly shift?: number;
  readonly ackShift?: number;
  /** Of the TCP header; absent: plenty. */
  readonly window?: number;
  /** Window scale of a SYN, absent 7; -1 without options. */
  readonly scale?: number;
  /** Edges of blocks that are acknowledged selectively, in terms of the right acknowledgement. */
  readonly sack?: readonly number[];
  /** The chunks of an SCTP packet: type, and flags in the bits above 8. */
  readonly chunks?: readonly number[];
  /** A verification tag other than the right one. */
  readonly tag?: number;
  /** Of the IP header of a TCP segment; absent: 0. */
  readonly tos?: number;
}

/** One frame sent from an interface of the world: bytes, or an answer. */
export interface Step {
  readonly at?: string;
  /** Bytes in hexadecimal, from the destination MAC on. */
  readonly frame?: string;
  readonly answer?: Answer;
  /** Time to rest before it. */
  readonly restMs?: number;
  /** What it is, for the reader. */
  readonly note: string;
}

/** A server on the machine. */
export interface Listener {
  readonly ns: string;
  readonly protocol: "tcp" | "udp";
  readonly port: number;
  /**
   * `echo`: accepts, and sends back what it gets; closes when the other side does. `close`: accepts, and closes at the first
   * data or end. Absent: a listening socket of which nobody accepts, a UDP socket that nobody reads.
   */
  readonly does?: "echo" | "close";
}

export interface Case {
  readonly name: string;
  /** Namespaces besides `world`, in the order in which they are made. */
  readonly namespaces: readonly string[];
  /** Links, addresses, routes, parameters. */
  readonly setup: readonly Command[];
  /** What shrinking may leave out: firewall rules and the like. */
  readonly rules: readonly Command[];
  readonly stations: readonly Station[];
  readonly listeners: readonly Listener[];
  /** Time to rest behind each step, so that a delayed ACK of a TCP server falls into its own step; absent: none. */
  readonly pauseMs?: number;
  /**
   * Time to rest behind the last step instead: the steps are over before a delayed ACK is due, which falls into this rest.
   */
  readonly afterMs?: number;
  readonly steps: readonly Step[];
}

/** The namespace whose interfaces send and receive, and which has no addresses. */
export const WORLD = "world";

/** The namespaces of a case with the world. */
export function allNamespaces(one: Case): string[] {
  return [...one.namespaces, WORLD];
}
