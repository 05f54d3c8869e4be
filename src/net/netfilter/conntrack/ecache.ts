/**
 * Events of connections for whoever listens (nf_conntrack_ecache.c, ctnetlink_conntrack_event of Linux 6.1): told when a
 * packet leaves its hooks, or when somebody changes an entry by hand. A connection that was born while nobody listened
 * has none (net.netfilter.nf_conntrack_events = 2).
 */
import { type Conn, IPS_ASSURED, IPS_SEEN_REPLY } from "./conn.ts";

export type ConntrackEventType = "NEW" | "UPDATE" | "DESTROY";

export interface ConntrackEvent {
  readonly type: ConntrackEventType;
  readonly conn: Conn;
  /** What the message says besides tuples, status and lifetime: state of the protocol, mark though it is 0. */
  readonly withState: boolean;
  readonly withMark: boolean;
  /** The netlink port of who did it, 0 for a packet. */
  readonly portid: number;
}

export type ConntrackListener = (event: ConntrackEvent) => void;

const TOLD_STATUS = IPS_SEEN_REPLY | IPS_ASSURED;

/** The listeners of one namespace. */
export class ConntrackEvents {
  private readonly listeners = new Set<ConntrackListener>();
  /** The netlink port of who is at work, 0: a packet. */
  portid = 0;

  add(listener: ConntrackListener): void {
    this.listeners.add(listener);
  }

  remove(listener: ConntrackListener): void {
    this.listeners.delete(listener);
  }

  /** Tells what is new about a connection since the last time, if anything is (nf_ct_deliver_cached_events). */
  deliver(conn: Conn): void {
    const cache = conn.ecache!;
    const { protoState, mark } = conn;
    const status = conn.status & TOLD_STATUS;
    const withState = this.portid !== 0 || cache.state !== protoState;
    const withMark = this.portid !== 0 || cache.mark !== mark;
    const isNew = !cache.told;
    if (!isNew && !withState && !withMark && cache.status === status) return;
    cache.told = true;
    cache.state = protoState;
    cache.status = status;
    cache.mark = mark;
    this.tell({ type: isNew ? "NEW" : "UPDATE", conn, withState, withMark, portid: this.portid });
  }

  destroyed(conn: Conn): void {
    this.tell({ type: "DESTROY", conn, withState: true, withMark: false, portid: this.portid });
  }

  private tell(event: ConntrackEvent): void {
    for (const listener of this.listeners) listener(event);
  }
}
