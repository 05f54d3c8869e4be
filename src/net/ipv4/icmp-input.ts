/** ICMP, the receiving side (net/ipv4/icmp.c icmp_rcv): queries are answered, errors go to who caused them. */

import { inetChecksum } from "../../wire/checksum.ts";
import {
  ICMP_ADDRESS,
  ICMP_ADDRESSREPLY,
  ICMP_DEST_UNREACH,
  ICMP_ECHO,
  ICMP_ECHOREPLY,
  ICMP_EXC_FRAGTIME,
  ICMP_FRAG_NEEDED,
  ICMP_HLEN,
  ICMP_PARAMETERPROB,
  ICMP_REDIRECT,
  ICMP_SOURCE_QUENCH,
  ICMP_TIME_EXCEEDED,
  ICMP_TIMESTAMP,
  ICMP_TIMESTAMPREPLY,
  icmpCode,
  icmpMtu,
  icmpRest,
  icmpType,
  NR_ICMP_TYPES,
} from "../../wire/icmp.ts";
import { IPPROTO_TCP, ipDaddr, ipHeaderLen, ipProtocol } from "../../wire/ipv4.ts";
import { DROP } from "../core/drop-reason.ts";
import { RTN_BROADCAST, RTN_MULTICAST } from "../core/dst.ts";
import type { NetNs } from "../core/net-ns.ts";
import type { Skb } from "../core/skb.ts";
import { icmpReply } from "./icmp.ts";
import { inetCurrentTimestamp } from "./ip-options.ts";
import { type Ipv4Net, ipv4Of, type NetProtocol } from "./ipv4-net.ts";
import { inetAddrType } from "./route.ts";
import { ipv4UpdatePmtu } from "./route-pmtu.ts";
import { ipv4Redirect } from "./route-redirect.ts";

const IP_HLEN = 20;
const NR_ICMP_UNREACH = 15;

/** protocols[1]. */
export const icmpProtocol: NetProtocol = { rcv: icmpRcv, err: icmpErr };

/** A received ICMP message, `data` at its header. Takes it. */
function icmpRcv(skb: Skb): void {
  const ns = skb.dev!.ns;
  const net = ipv4Of(ns);
  const view = skb.view;
  const off = skb.data;
  if (skb.tail - off < ICMP_HLEN) {
    skb.drop(DROP.PKT_TOO_SMALL);
    return;
  }
  if (inetChecksum(view, off, skb.tail - off) !== 0) {
    skb.drop(DROP.BAD_CSUM);
    return;
  }
  const type = icmpType(view, off);
  if (type > NR_ICMP_TYPES) {
    skb.drop(DROP.UNHANDLED_PROTO);
    return;
  }
  const dstType = skb.dst!.type;
  if ((dstType === RTN_BROADCAST || dstType === RTN_MULTICAST) && !answersBroadcast(net, type)) {
    skb.drop(DROP.ICMP_BAD);
    return;
  }
  switch (type) {
    case ICMP_ECHO:
      if (net.sysctls.icmpEchoIgnoreAll === 0) icmpEcho(ns, skb);
      break;
    case ICMP_DEST_UNREACH:
    case ICMP_SOURCE_QUENCH:
    case ICMP_TIME_EXCEEDED:
    case ICMP_PARAMETERPROB:
      icmpUnreach(ns, skb, type);
      break;
    case ICMP_REDIRECT:
      icmpRedirect(net, skb);
      break;
    case ICMP_TIMESTAMP:
      icmpTimestamp(ns, skb);
      break;
    default:
      break;
  }
  skb.consume();
}

/** RFC 1122 3.2.2.6: a broadcast query may be left alone; anything else to a broadcast is ignored. */
function answersBroadcast(net: Ipv4Net, type: number): boolean {
  if (type === ICMP_ECHO || type === ICMP_TIMESTAMP) return net.sysctls.icmpEchoIgnoreBroadcasts === 0;
  return type === ICMP_ADDRESS || type === ICMP_ADDRESSREPLY;
}

/** A copy of the message behind free room for headers, its type turned into `type`, checksum 0. */
function replyOf(ns: NetNs, skb: Skb, type: number, lenBytes: number): Skb {
  const reply = ns.kernel.pool.alloc(IP_HLEN + lenBytes);
  reply.data += IP_HLEN;
  reply.tail = reply.data;
  const at = reply.put(lenBytes);
  reply.bytes.set(skb.bytes.subarray(skb.data, skb.data + Math.min(lenBytes, skb.tail - skb.data)), at);
  reply.view.setUint8(at, type);
  reply.view.setUint16(at + 2, 0);
  return reply;
}

function icmpEcho(ns: NetNs, skb: Skb): void {
  icmpReply(ns, skb, replyOf(ns, skb, ICMP_ECHOREPLY, skb.tail - skb.data), ICMP_ECHOREPLY);
}

/** Receive and transmit times are milliseconds since midnight. Only the time of the sender must be there. */
function icmpTimestamp(ns: NetNs, skb: Skb): void {
  if (skb.tail - skb.data < ICMP_HLEN + 4) return;
  const reply = replyOf(ns, skb, ICMP_TIMESTAMPREPLY, ICMP_HLEN + 12);
  const now = inetCurrentTimestamp(ns);
  reply.view.setUint8(reply.data + 1, 0);
  reply.view.setUint32(reply.data + 12, now);
  reply.view.setUint32(reply.data + 16, now);
  icmpReply(ns, skb, reply, ICMP_TIMESTAMPREPLY);
}

/**
 * icmp_unreach: an error about a packet from here. What it says of the path MTU counts by ip_no_pmtu_disc: 0 for all, 3 for
 * protocols that check the error against what they have sent.
 */
function icmpUnreach(ns: NetNs, skb: Skb, type: number): void {
  const view = skb.view;
  const off = skb.data;
  if (skb.tail - off < ICMP_HLEN + IP_HLEN || ipHeaderLen(view, off + ICMP_HLEN) < IP_HLEN) return;
  const code = icmpCode(view, off);
  let info = 0;
  if (type === ICMP_DEST_UNREACH) {
    if (code > NR_ICMP_UNREACH) return;
    if (code === ICMP_FRAG_NEEDED) {
      const { ipNoPmtuDisc } = ipv4Of(ns).sysctls;
      if (ipNoPmtuDisc === 2) return;
      if (ipNoPmtuDisc === 3 && ipProtocol(view, off + ICMP_HLEN) !== IPPROTO_TCP) return;
      if (ipNoPmtuDisc === 0 || ipNoPmtuDisc === 3) info = icmpMtu(view, off);
    }
  } else if (type === ICMP_PARAMETERPROB) info = icmpRest(view, off) >>> 24;
  else if (type === ICMP_TIME_EXCEEDED && code === ICMP_EXC_FRAGTIME) return;
  const net = ipv4Of(ns);
  if (net.sysctls.icmpIgnoreBogusErrorResponses === 0) {
    if (inetAddrType(ns, ipDaddr(view, off + ICMP_HLEN)) === RTN_BROADCAST) return;
  }
  socketDeliver(net, skb, type, code, info);
}

/** icmp_socket_deliver: raw sockets, then the transport whose packet is quoted. */
function socketDeliver(net: Ipv4Net, skb: Skb, type: number, code: number, info: number): void {
  const start = skb.data;
  const quoted = start + ICMP_HLEN;
  if (skb.tail < quoted + ipHeaderLen(skb.view, quoted) + 8) return;
  const protocol = ipProtocol(skb.view, quoted);
  skb.data = quoted;
  if (net.rawErr !== null) net.rawErr(skb, type, code, info);
  const transport = net.protocols[protocol];
  if (transport !== null) transport.err(skb, type, code, info);
  skb.data = start;
}

/**
 * icmp_err: an error about an ICMP message from here; `data` at the quoted IP header. Of what the kernel itself says only an
 * echo reply learns a path MTU; what a program has sent its own socket answers for.
 */
function icmpErr(skb: Skb, type: number, code: number, info: number): void {
  const { view, data } = skb;
  if (icmpType(view, data + ipHeaderLen(view, data)) !== ICMP_ECHOREPLY) return;
  if (type === ICMP_DEST_UNREACH && code === ICMP_FRAG_NEEDED) ipv4UpdatePmtu(skb.dev!.ns, skb, info);
  else if (type === ICMP_REDIRECT) ipv4Redirect(skb.dev!.ns, skb, code, info);
}

/** icmp_redirect: whoever has sent the quoted packet hears of it. */
function icmpRedirect(net: Ipv4Net, skb: Skb): void {
  const { view, data } = skb;
  if (skb.tail - data < ICMP_HLEN + IP_HLEN) return;
  socketDeliver(net, skb, ICMP_REDIRECT, icmpCode(view, data), icmpRest(view, data));
}
