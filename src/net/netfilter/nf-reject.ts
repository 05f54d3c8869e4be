/** The answers of REJECT (net/ipv4/netfilter/nf_reject_ipv4.c). They do not take the packet that they answer. */
import { inetChecksum } from "../../wire/checksum.ts";
import { ICMP_DEST_UNREACH } from "../../wire/icmp.ts";
import {
  IP_OFFSET,
  IPPROTO_AH,
  IPPROTO_DCCP,
  IPPROTO_ESP,
  IPPROTO_GRE,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPPROTO_UDPLITE,
  ipChecksumOk,
  ipChecksumSet,
  l4CheckOff,
  l4ChecksumOk,
  l4ChecksumSet,
} from "../../wire/ipv4.ts";
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from "../../wire/tcp.ts";
import { UDP_HLEN } from "../../wire/udp.ts";
import { devQueueXmit, ETH_HLEN, ETH_P_IP } from "../core/dev.ts";
import { DROP } from "../core/drop-reason.ts";
import { RTN_BROADCAST, RTN_MULTICAST } from "../core/dst.ts";
import type { NetNs } from "../core/net-ns.ts";
import { nfBridgeOf } from "../core/nf-bridge.ts";
import {
  hasConntrack,
  IP_CT_ESTABLISHED_REPLY,
  IP_CT_RELATED,
  IP_CT_RELATED_REPLY,
  IPSKB_FORWARDED,
  type Skb,
} from "../core/skb.ts";
import { icmpSend } from "../ipv4/icmp.ts";
import { ipBuildHeader, ipLocalOut, ipRouteMeHarder } from "../ipv4/ip-output.ts";
import { ipv4Of } from "../ipv4/ipv4-net.ts";
import { type Conn, IPS_FIXED_TIMEOUT, TCP_CONNTRACK_CLOSE } from "./conntrack/conn.ts";
import { conntrackOf } from "./conntrack/conntrack-net.ts";
import type { RejectWith } from "./rule-spec.ts";

/** Protocols with other sums, or none, or over a part only (nf_reject_verify_csum). */
const UNSUMMED: ReadonlySet<number> = new Set([
  IPPROTO_GRE,
  IPPROTO_AH,
  IPPROTO_ESP,
  IPPROTO_SCTP,
  IPPROTO_UDPLITE,
  IPPROTO_DCCP,
]);

/** Codes of "destination unreachable" by the words of --reject-with. */
const CODES: Readonly<Record<Exclude<RejectWith, "tcp-reset">, number>> = {
  "icmp-net-unreachable": 0,
  "icmp-host-unreachable": 1,
  "icmp-proto-unreachable": 2,
  "icmp-port-unreachable": 3,
  "icmp-net-prohibited": 9,
  "icmp-host-prohibited": 10,
  "icmp-admin-prohibited": 13,
};

/** Answers a packet that is about to be dropped; some are not answered. */
export function nfReject(ns: NetNs, skb: Skb, how: RejectWith): void {
  if (how === "tcp-reset") nfSendReset(ns, skb);
  else nfSendUnreach(ns, skb, CODES[how]);
}

function nfSendUnreach(ns: NetNs, skb: Skb, code: number): void {
  if ((skb.view.getUint16(skb.data + 6) & IP_OFFSET) !== 0) return;
  if (transportChecksumOk(skb, skb.csumLevel > 0 || skb.csumValid))
    icmpSend(ns, skb, ICMP_DEST_UNREACH, code, 0);
}

/**
 * Whether the checksum behind the IP header is right (nf_ip_checksum), as far as the protocol has one over all its bytes. It is
 * summed up together with the IP header, which must add nothing: one whose options were filled in is not finished before the
 * packet leaves, and what is wrong then is not answered.
 */
function transportChecksumOk(skb: Skb, known: boolean): boolean {
  if (known) return true;
  const { view, bytes, data } = skb;
  const proto = view.getUint8(data + 9);
  if (UNSUMMED.has(proto)) return true;
  const l4 = data + ((view.getUint8(data) & 0x0f) << 2);
  if (proto === IPPROTO_UDP && skb.tail >= l4 + UDP_HLEN && view.getUint16(l4 + 6) === 0) return true;
  if (!ipChecksumOk(view, data)) return false;
  if (l4CheckOff(proto) < 0) return inetChecksum(view, l4, skb.tail - l4) === 0;
  return l4ChecksumOk(bytes, view, data, l4, skb.tail - l4);
}

/** A RST that the stack of the destination would have sent: no options, window 0, DF, id 0. */
function nfSendReset(ns: NetNs, old: Skb): void {
  const { view, data } = old;
  if ((view.getUint16(data + 6) & IP_OFFSET) !== 0 || view.getUint8(data + 9) !== IPPROTO_TCP) return;
  const tcp = data + ((view.getUint8(data) & 0x0f) << 2);
  if (old.tail - tcp < 20) return;
  const flags = view.getUint8(tcp + 13);
  if ((flags & TCP_RST) !== 0) return;
  // Forwarding forgets that somebody found it right (skb_forward_csum).
  if (!transportChecksumOk(old, old.csumLevel > 0 && (old.ipcb & IPSKB_FORWARDED) === 0)) return;
  if (old.dst !== null && (old.dst.type === RTN_BROADCAST || old.dst.type === RTN_MULTICAST)) return;
  const skb = ns.kernel.pool.alloc(20);
  skb.data = skb.tail;
  resetHeader(skb, old, tcp, flags);
  const { defaultTtl: ttl, sysctls } = ipv4Of(ns);
  if (sysctls.fwmarkReflect !== 0) skb.mark = old.mark;
  ipBuildHeader(skb, view.getInt32(data + 16), view.getInt32(data + 12), IPPROTO_TCP, 0, ttl, true, 0);
  l4ChecksumSet(skb.bytes, skb.view, skb.data);
  if (!ipRouteMeHarder(ns, skb)) {
    skb.drop(DROP.IP_NOROUTE);
    return;
  }
  attachConnection(skb, old);
  closeConnection(ns, old);
  if (nfBridgeOf(old) === null) ipLocalOut(ns, skb);
  else sendByBridgePort(skb, old);
}

/** The TCP header; the checksum comes when the addresses stand in front of it. */
function resetHeader(skb: Skb, old: Skb, tcp: number, flags: number): void {
  const { view } = old;
  const at = skb.put(20);
  const out = skb.view;
  out.setUint16(at, view.getUint16(tcp + 2));
  out.setUint16(at + 2, view.getUint16(tcp));
  if ((flags & TCP_ACK) !== 0) {
    out.setInt32(at + 4, view.getInt32(tcp + 8));
    out.setInt32(at + 8, 0);
    out.setUint16(at + 12, 0x5000 | TCP_RST);
  } else {
    const controls = ((flags & TCP_SYN) !== 0 ? 1 : 0) + ((flags & TCP_FIN) !== 0 ? 1 : 0);
    const payload = old.tail - tcp - ((view.getUint8(tcp + 12) >>> 4) << 2);
    out.setInt32(at + 4, 0);
    out.setInt32(at + 8, view.getInt32(tcp + 4) + controls + payload);
    out.setUint16(at + 12, 0x5000 | TCP_RST | TCP_ACK);
  }
  out.setUint16(at + 14, 0);
  out.setInt32(at + 16, 0);
}

/** The answer belongs to the connection of what it answers, in the other direction (nf_conntrack_attach). */
function attachConnection(skb: Skb, old: Skb): void {
  if (!hasConntrack(old)) return;
  skb.ct = old.ct;
  skb.ctInfo = old.ctInfo < IP_CT_ESTABLISHED_REPLY ? IP_CT_RELATED_REPLY : IP_CT_RELATED;
}

/**
 * The connection of a refused segment is over (nf_conntrack_tcp_set_closing): its entry would not learn of a reset that
 * belongs to it already.
 */
function closeConnection(ns: NetNs, old: Skb): void {
  if (!hasConntrack(old)) return;
  const conn = old.ct as Conn;
  if (!conn.isConfirmed || conn.tcp === null) return;
  const { state } = conn.tcp;
  conn.tcp.state = TCP_CONNTRACK_CLOSE;
  if (state === TCP_CONNTRACK_CLOSE || (conn.status & IPS_FIXED_TIMEOUT) !== 0) return;
  const ct = conntrackOf(ns);
  ct.refresh(conn, ct.tcpTimeouts[TCP_CONNTRACK_CLOSE]);
}

/** For a bridged packet: out of the port that it came in by, with its addresses turned round. */
function sendByBridgePort(skb: Skb, old: Skb): void {
  ipChecksumSet(skb.view, skb.data);
  const at = skb.push(ETH_HLEN);
  const { view } = skb;
  view.setUint16(at, old.view.getUint16(old.macOff + 6));
  view.setInt32(at + 2, old.view.getInt32(old.macOff + 8));
  view.setUint16(at + 6, old.view.getUint16(old.macOff));
  view.setInt32(at + 8, old.view.getInt32(old.macOff + 2));
  view.setUint16(at + 12, ETH_P_IP);
  skb.protocol = ETH_P_IP;
  skb.dev = nfBridgeOf(old)!.physIn;
  devQueueXmit(skb);
}
