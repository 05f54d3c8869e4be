/** Segments without a whole socket: RST, and those of requests and TIME-WAIT (tcp_v4_send_reset, tcp_v4_send_ack). */
import { IP_HLEN, IPPROTO_TCP, ipTos, l4ChecksumSet } from "../../wire/ipv4.ts";
import { TCP_ACK, TCP_FIN, TCP_HLEN, TCP_RST, TCP_SYN } from "../../wire/tcp.ts";
import { type TcpOptions, tcpOptionsLen, writeTcpOptions } from "../../wire/tcp-options.ts";
import { RTN_LOCAL } from "../core/dst.ts";
import { IpOptionsData } from "../core/ip-options.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import type { Skb } from "../core/skb.ts";
import { setFlow } from "./fib-multipath.ts";
import { ipOptionsBuild, ipOptionsEcho, ipOptionsHop } from "./ip-options.ts";
import { ipBuildHeader, ipLocalOut } from "./ip-output.ts";
import { ipv4Of } from "./ipv4-net.ts";
import { ipRouteOutput, skbSetRoute } from "./route.ts";
import { type Sock, sockOf } from "./sock.ts";
import { ipDontFragment } from "./sock-route.ts";
import { tcpOf } from "./tcp-net.ts";
import type { TcpSegment } from "./tcp-segment.ts";

/** What every path takes in one piece (RFC 791). */
const IPV4_MIN_MTU = 68;

const INET_ECN_MASK = 3;

/** Where a reply goes: a mini socket, or {@link replyTo} filled from a packet. */
export interface ReplyAddress {
  saddr: number;
  daddr: number;
  sport: number;
  dport: number;
  mark: number;
  tos: number;
  /** That of the segment that is answered, 0 none (fwmark_reflect). */
  reflectedMark: number;
  boundDev: NetDevice | null;
  /** IP options, those of {@link replyToSegment} where a segment is answered. */
  opt: IpOptionsData | null;
  /** Flow hash of a request's SYN-ACK, the same that its connection has later (tcp_make_synack); 0 when none. */
  txHash: number;
}

const replyTo: ReplyAddress = {
  saddr: 0,
  daddr: 0,
  sport: 0,
  dport: 0,
  mark: 0,
  tos: 0,
  reflectedMark: 0,
  boundDev: null,
  opt: null,
  txHash: 0,
};

/** Options of the answer to a segment. */
const replyOptions = new IpOptionsData();

/**
 * What the answer to a segment takes from it (ip_send_unicast_reply), valid until the next call: options that answer its own,
 * null for most, and its mark where that is wanted. False: its options cannot be answered, and so is the segment not.
 */
export function replyToSegment(ns: NetNs, skb: Skb, to: ReplyAddress): boolean {
  to.reflectedMark = ipv4Of(ns).sysctls.fwmarkReflect !== 0 ? skb.mark : 0;
  to.opt = null;
  if (skb.opt === null) return true;
  if (!ipOptionsEcho(ns, replyOptions, skb, skb.opt)) return false;
  if (replyOptions.optlen !== 0) to.opt = replyOptions;
  return true;
}

/**
 * Sends a segment without data: DF, IP id 0; a long one of a socket that wants no DF without, and with any id. Nothing
 * when there is no route.
 */
export function tcpSendReply(
  ns: NetNs,
  to: ReplyAddress,
  seq: number,
  ack: number,
  flags: number,
  window: number,
  options: TcpOptions | null,
  sk: Sock | null = null,
): void {
  const oif = to.boundDev === null ? 0 : to.boundDev.ifindex;
  const { opt } = to;
  const hop = ipOptionsHop(opt, to.daddr);
  setFlow(ns, IPPROTO_TCP, to.sport, to.dport);
  const mark = (sk === null && to.reflectedMark) || to.mark;
  const dst = ipRouteOutput(ns, hop, to.saddr, oif, mark, to.tos);
  if (dst === null) return;
  const headerLen = TCP_HLEN + (options === null ? 0 : tcpOptionsLen(options));
  const skb = ns.kernel.pool.alloc(IP_HLEN + headerLen);
  const { view } = skb;
  const off = skb.data + IP_HLEN;
  skb.data = off;
  skb.tail = off + headerLen;
  view.setUint16(off, to.sport);
  view.setUint16(off + 2, to.dport);
  view.setInt32(off + 4, seq);
  view.setInt32(off + 8, ack);
  view.setUint16(off + 12, (headerLen << 10) | flags);
  view.setUint16(off + 14, window);
  view.setInt32(off + 16, 0);
  if (options !== null) writeTcpOptions(view, off + TCP_HLEN, options);
  tcpOf(ns).outSegs++;
  skbSetRoute(skb, dst, hop);
  skb.mark = mark;
  skb.hash = to.txHash;
  const optlen = opt === null ? 0 : opt.optlen;
  const small = IP_HLEN + optlen + headerLen <= IPV4_MIN_MTU;
  const df = small || sk === null || ipDontFragment(sk, dst, hop);
  const id = df ? 0 : sockOf(ns).prng.below(65536);
  ipBuildHeader(skb, to.saddr, to.daddr, IPPROTO_TCP, to.tos, ipv4Of(ns).defaultTtl, df, id, optlen);
  // The pseudo header has the last station of a source route.
  l4ChecksumSet(skb.bytes, view, skb.data);
  if (opt !== null) ipOptionsBuild(ns, skb, opt, to.daddr);
  ipLocalOut(ns, skb);
}

/** Refuses a segment with RST (tcp_v4_send_reset); nothing for a RST, or for one that was not for this machine. */
export function tcpSendReset(ns: NetNs, skb: Skb, seg: TcpSegment): void {
  if ((seg.flags & TCP_RST) !== 0) return;
  if (skb.dst !== null && skb.dst.type !== RTN_LOCAL) return;
  replyTo.saddr = seg.daddr;
  replyTo.daddr = seg.saddr;
  replyTo.sport = seg.dport;
  replyTo.dport = seg.sport;
  replyTo.tos = ipTos(skb.view, skb.netOff) & ~INET_ECN_MASK;
  if (!replyToSegment(ns, skb, replyTo)) return;
  tcpOf(ns).outRsts++;
  if ((seg.flags & TCP_ACK) !== 0) {
    tcpSendReply(ns, replyTo, seg.ack, 0, TCP_RST, 0, null);
    return;
  }
  const used = ((seg.flags & TCP_SYN) !== 0 ? 1 : 0) + ((seg.flags & TCP_FIN) !== 0 ? 1 : 0) + seg.len;
  tcpSendReply(ns, replyTo, 0, (seg.seq + used) | 0, TCP_RST | TCP_ACK, 0, null);
}
