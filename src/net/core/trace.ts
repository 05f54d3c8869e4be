/**
 * What happened to one packet, as numbers. Stages call these on `skb.trace` only when it is not null; the text is made
 * above (`capture/comment.ts`). A trace belongs to one Skb; a copy of a packet forks it.
 */
import type { DropReason } from "./drop-reason.ts";

/** Kinds of record. The meaning of `a`, `b` and `ref` by kind stands in the comment. */
export const TRACE_RULE = 1; // ref: the Rule that decided, a: its number in the chain from 1, b: verdict, -1 to go on, TRACE_JUMP
export const TRACE_NAT = 2; // ref: Conn, a: manip (0 source, 1 destination), b: direction (0 original, 1 reply)
export const TRACE_CT_NEW = 3; // ref: Conn
export const TRACE_IPVS_NEW = 4; // ref: IpvsConn, a: 1 when scheduled now, 0 when an old one
export const TRACE_ROUTE = 5; // ref: Dst, a: next hop
export const TRACE_FORWARD = 6; // a: TTL after the decrement
export const TRACE_BRIDGE = 7; // ref: out port NetDevice or null when flooded
export const TRACE_VXLAN_ENCAP = 8; // a: remote VTEP address, b: VNI
export const TRACE_VXLAN_DECAP = 9; // a: VTEP it came from, b: VNI
export const TRACE_DROP = 10; // a: DropReason
export const TRACE_LOCAL = 11; // ref: socket
export const TRACE_ARP_PROXY = 12; // a: address answered for
export const TRACE_POLICY = 13; // ref: chain, a: verdict
export const TRACE_XFRM_OUT = 14; // ref: state, a: SPI, b: sequence number
export const TRACE_XFRM_IN = 15; // ref: state, a: SPI, b: sequence number

/** `b` of a TRACE_RULE whose target is another chain. */
export const TRACE_JUMP = -2;

export interface TraceRecord {
  readonly kind: number;
  readonly a: number;
  readonly b: number;
  readonly ref: unknown;
}

export class PacketTrace {
  readonly records: TraceRecord[] = [];

  add(kind: number, a: number, b: number, ref: unknown): void {
    this.records.push({ kind, a, b, ref });
  }

  drop(reason: DropReason): void {
    this.add(TRACE_DROP, reason, 0, null);
  }

  fork(): PacketTrace {
    const copy = new PacketTrace();
    for (const record of this.records) copy.records.push(record);
    return copy;
  }
}
