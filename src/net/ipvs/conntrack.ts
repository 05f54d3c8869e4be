/**
 * IPVS and connection tracking (net/netfilter/ipvs/ip_vs_nfct.c): with net.ipv4.vs.conntrack the entry of a balanced flow
 * learns the real server, without it balanced packets are not tracked.
 */
import { IPPROTO_ICMP } from "../../wire/ipv4.ts";
import { DROP } from "../core/drop-reason.ts";
import { NF_ACCEPT, NF_DROP } from "../core/hooks.ts";
import type { NetNs } from "../core/net-ns.ts";
import { IP_CT_ESTABLISHED_REPLY, IP_CT_RELATED_REPLY, IP_CT_UNTRACKED, type Skb } from "../core/skb.ts";
import { ctOf } from "../netfilter/conntrack/conntrack.ts";
import { nfConntrackConfirm } from "../netfilter/conntrack/conntrack-core.ts";
import { type Conntrack, conntrackOf } from "../netfilter/conntrack/conntrack-net.ts";
import type { IpvsConn } from "./conn.ts";

/** The packet rides on a tracked connection that is older than itself (ip_vs_conn_uses_old_conntrack). */
export function usesOldConntrack(skb: Skb, conn: IpvsConn): boolean {
  if (!conn.nfct) return false;
  const ct = ctOf(skb);
  return ct !== null && ct.isConfirmed;
}

/**
 * The reply of a new flow will come from the real server (ip_vs_update_conntrack): alters the reply tuple before the
 * entry is confirmed. `inwards`: a request; else a reply, whose answers go to the virtual address.
 */
export function updateConntrack(skb: Skb, conn: IpvsConn, inwards: boolean): void {
  const ct = ctOf(skb);
  if (ct === null || ct.isConfirmed || ct.isDying || !conn.masquerades || conn.onePacket) return;
  if (skb.ctInfo === IP_CT_ESTABLISHED_REPLY || skb.ctInfo === IP_CT_RELATED_REPLY) return;
  const withPorts = ct.proto !== IPPROTO_ICMP;
  if (inwards) {
    ct.replSrc = conn.daddr;
    if (withPorts) ct.replSport = conn.dport;
  } else {
    ct.replDst = conn.vaddr;
    if (withPorts) ct.replDport = conn.vport;
  }
}

/**
 * The packet's connection becomes real before the packet is wrapped up (ip_vs_confirm_conntrack). False: it cannot, and the
 * packet is gone.
 */
export function confirmConntrack(ns: NetNs, skb: Skb): boolean {
  const ct = ctOf(skb);
  if (ct === null || ct.isConfirmed) return true;
  const verdict = nfConntrackConfirm(conntrackOf(ns) as Conntrack, skb);
  if (verdict === NF_DROP) skb.drop(DROP.CONNTRACK_CONFIRM);
  return verdict === NF_ACCEPT;
}

/** The packet is not tracked any more; one that could not be may still be by the next hook (ip_vs_notrack). */
export function ignoreConntrack(skb: Skb): void {
  if (skb.ct === null) return;
  skb.ct = null;
  skb.ctInfo = IP_CT_UNTRACKED;
}

/** An expired connection takes its tracked one along (ip_vs_conn_drop_conntrack). */
export function dropConntrackOf(conn: IpvsConn): void {
  const tracker = conntrackOf(conn.net.ns) as Conntrack | null;
  if (tracker === null || !tracker.enabled) return;
  const tuple = tracker.tuple;
  tuple.src = conn.caddr;
  tuple.sport = conn.cport;
  tuple.dst = conn.vaddr;
  tuple.dport = conn.vport;
  tuple.proto = conn.protocol;
  const ct = tracker.find(tuple);
  if (ct !== null) tracker.kill(ct);
}
