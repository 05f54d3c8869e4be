/** ICMP, the sending side (RFC 792, RFC 1122 3.2.2, RFC 1812 4.3; net/ipv4/icmp.c): errors, answers, rate limits. */
import { MS, SEC } from "../../sim/sim.ts";
import type { Prng } from "../../util/prng.ts";
import { inetChecksum } from "../../wire/checksum.ts";
import {
  ICMP_DEST_UNREACH,
  ICMP_FRAG_NEEDED,
  ICMP_HLEN,
  ICMP_PARAMETERPROB,
  ICMP_REDIRECT,
  ICMP_SOURCE_QUENCH,
  ICMP_TIME_EXCEEDED,
  NR_ICMP_TYPES,
} from "../../wire/icmp.ts";
import {
  IP_OFFSET,
  IPPROTO_ICMP,
  ipDaddr,
  ipFragOff,
  ipHeaderLen,
  ipProtocol,
  ipSaddr,
  ipTos,
} from "../../wire/ipv4.ts";
import {
  type Dst,
  type RouteType,
  RTN_BROADCAST,
  RTN_LOCAL,
  RTN_MULTICAST,
  RTN_UNICAST,
  RTN_UNSPEC,
} from "../core/dst.ts";
import { type IpOptions, IpOptionsData } from "../core/ip-options.ts";
import { IFF_LOOPBACK } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import {
  hasConntrack,
  IP_CT_ESTABLISHED_REPLY,
  IP_CT_RELATED,
  IP_CT_RELATED_REPLY,
  PACKET_HOST,
  type Skb,
} from "../core/skb.ts";
import { RT_SCOPE_LINK } from "./fib.ts";
import { setFlow } from "./fib-multipath.ts";
import { computeSpecDst } from "./fib-spec-dst.ts";
import { inetSelectAddr } from "./inet-select-addr.ts";
import { ipSelectIdent } from "./ip-ident.ts";
import { ipOptionsBuild, ipOptionsEcho, ipOptionsHop } from "./ip-options.ts";
import { ipBuildHeader, ipLocalOut } from "./ip-output.ts";
import { type Ipv4Net, ipv4Of } from "./ipv4-net.ts";
import { INADDR_LOOPBACK, ipRouteOutput, routeSource, skbSetRoute } from "./route.ts";
import { dstMtu } from "./route-exception.ts";

const IP_HLEN = 20;
/** An error with its IP header is at most this long (RFC 1812 4.3.2.3). */
const ICMP_ERROR_MAX = 576;
/** Source of an error of a machine without an address (RFC 7600). */
const INADDR_DUMMY = 0xc0000008 | 0;
/** TOS of errors: the precedence of internetwork control. */
const IPTOS_PREC_INTERNETCONTROL = 0xc0;
const IPTOS_TOS_MASK = 0x1e;

/** Options of the message that is being sent (icmp_bxm.replyopts). */
const replyOptions = new IpOptionsData();

/** The bucket that all namespaces of a kernel share (icmp_global). */
export class IcmpGlobal {
  credit = 0;
  stampNs = Number.NEGATIVE_INFINITY;
  /** The socket that sends ICMP is in use (icmp_xmit_lock): what a message on its way out would bring forth is not sent. */
  sending = false;
  readonly prng: Prng;
  constructor(prng: Prng) {
    this.prng = prng;
  }
}

/** ICMP of a namespace. */
export interface IcmpState {
  readonly global: IcmpGlobal;
}

export function icmpInit(prng: Prng, shared: IcmpState | null): IcmpState {
  const global = shared === null ? new IcmpGlobal(prng) : shared.global;
  return { global };
}

export function icmpOf(ns: NetNs): IcmpState {
  return ipv4Of(ns).icmp;
}

/** No limit for this type (icmpv4_mask_allow). */
function unlimited(net: Ipv4Net, type: number, code: number): boolean {
  if (type > NR_ICMP_TYPES || (type === ICMP_DEST_UNREACH && code === ICMP_FRAG_NEEDED)) return true;
  return ((1 << type) & net.sysctls.icmpRatemask) === 0;
}

/** The limit of the whole machine: icmp_msgs_per_sec, icmp_msgs_burst (icmp_global_allow). */
function globalAllow(net: Ipv4Net): boolean {
  const global = net.icmp.global;
  const now = net.ns.kernel.sim.now;
  const elapsedNs = Math.min(now - global.stampNs, SEC);
  if (elapsedNs >= SEC / 50) {
    const more = Math.floor((net.sysctls.icmpMsgsPerSec * elapsedNs) / SEC);
    if (more > 0) {
      global.stampNs = now;
      global.credit = Math.min(global.credit + more, net.sysctls.icmpMsgsBurst);
    }
  }
  if (global.credit === 0) return false;
  // A random amount on top, so that nobody can count the machine's other answers (CVE-2020-25705).
  global.credit = Math.max(global.credit - global.prng.below(3), 0);
  return true;
}

/** The limit of one destination (icmpv4_xrlim_allow). */
function peerAllow(net: Ipv4Net, dst: Dst, daddr: number): boolean {
  if ((dst.dev.flags & IFF_LOOPBACK) !== 0) return true;
  const now = net.ns.kernel.sim.now;
  return net.peers.get(daddr, now).allow(now, net.sysctls.icmpRatelimit * MS);
}

/** Types that no error is sent about (`error` in icmp_pointers): the errors, the unassigned 1, 2, 6, 7, and 9, 10. */
const ERROR_TYPES = 0b1_1110_1111_1110;

/** Type of the route of a packet; a bridged one has that of its bridge, which is like any other (fake_rtable). */
function routeTypeOf(skb: Skb): RouteType {
  if (skb.dst !== null) return skb.dst.type;
  return skb.nfBridge === null ? RTN_UNSPEC : RTN_UNICAST;
}

/** Whether an error about this packet is allowed at all. */
function mayComplain(skbIn: Skb): boolean {
  const routeType = routeTypeOf(skbIn);
  if (routeType === RTN_UNSPEC || skbIn.netOff < 0 || skbIn.pktType !== PACKET_HOST) return false;
  if (routeType === RTN_BROADCAST || routeType === RTN_MULTICAST) return false;
  const view = skbIn.view;
  const off = skbIn.netOff;
  if ((ipFragOff(view, off) & IP_OFFSET) !== 0) return false;
  const headerLen = ipHeaderLen(view, off);
  if (ipProtocol(view, off) !== IPPROTO_ICMP) return true;
  if (off + headerLen >= skbIn.tail) return false;
  const type = view.getUint8(off + headerLen);
  return type <= NR_ICMP_TYPES && (ERROR_TYPES & (1 << type)) === 0;
}

/** Source of an error: the address that the packet was for, else what the route back gives (0). */
function errorSource(net: Ipv4Net, skbIn: Skb): number {
  if (routeTypeOf(skbIn) === RTN_LOCAL) return ipDaddr(skbIn.view, skbIn.netOff);
  if (net.sysctls.icmpErrorsUseInboundIfaddr === 0) return 0;
  const inbound = skbIn.iif === 0 ? undefined : net.ns.deviceByIndex(skbIn.iif);
  return inbound === undefined
    ? 0
    : inetSelectAddr(inbound, ipSaddr(skbIn.view, skbIn.netOff), RT_SCOPE_LINK);
}

/**
 * Sends an ICMP error about a packet whose IP header stands at `netOff` and which has a route, if the rules and limits
 * allow it (icmp_send). `info` is the second word: an MTU, a gateway (int32). The packet stays the caller's.
 */
export function icmpSend(ns: NetNs, skbIn: Skb, type: number, code: number, info: number): void {
  icmpSendOptions(ns, skbIn, type, code, info, skbIn.opt);
}

/** The same with what is known of the packet's IP options (__icmp_send). */
export function icmpSendOptions(
  ns: NetNs,
  skbIn: Skb,
  type: number,
  code: number,
  info: number,
  opt: IpOptions | null,
): void {
  if (!mayComplain(skbIn)) return;
  const net = ipv4Of(ns);
  const exempt = unlimited(net, type, code);
  const fromLo = skbIn.dev !== null && (skbIn.dev.flags & IFF_LOOPBACK) !== 0;
  if (!exempt && !fromLo && !globalAllow(net)) return;
  const { global } = net.icmp;
  if (global.sending) return;
  global.sending = true;
  sendError(net, skbIn, type, code, info, exempt, opt);
  global.sending = false;
}

/** The second half of {@link icmpSendOptions}, with the socket in hand. */
function sendError(
  net: Ipv4Net,
  skbIn: Skb,
  type: number,
  code: number,
  info: number,
  exempt: boolean,
  opt: IpOptions | null,
): void {
  const { ns } = net;
  const view = skbIn.view;
  const off = skbIn.netOff;
  const isError =
    type === ICMP_DEST_UNREACH ||
    type === ICMP_SOURCE_QUENCH ||
    type === ICMP_TIME_EXCEEDED ||
    type === ICMP_PARAMETERPROB ||
    type === ICMP_REDIRECT;
  const tosIn = ipTos(view, off);
  const tos = isError ? (tosIn & IPTOS_TOS_MASK) | IPTOS_PREC_INTERNETCONTROL : tosIn;
  const mark = net.sysctls.fwmarkReflect !== 0 ? skbIn.mark : 0;
  const wanted = errorSource(net, skbIn);
  // What comes from 0.0.0.0 is answered to ourselves (ip_route_output_key_hash_rcu).
  const daddr = ipSaddr(view, off) || wanted || INADDR_LOOPBACK;
  if (!ipOptionsEcho(ns, replyOptions, skbIn, opt)) return;
  const hop = ipOptionsHop(replyOptions, daddr);
  // Type and code stand where other protocols have the port (struct flowi_uli).
  setFlow(ns, IPPROTO_ICMP, 0, (type << 8) | code);
  const dst = ipRouteOutput(ns, hop, wanted, 0, mark, tos, skbIn);
  if (dst === null) return;
  if (!exempt && !peerAllow(net, dst, hop)) return;
  const room = Math.min(dstMtu(ns, dst, hop), ICMP_ERROR_MAX) - IP_HLEN - replyOptions.optlen - ICMP_HLEN;
  if (room <= IP_HLEN) return;
  const quoted = Math.min(skbIn.tail - off, room);
  const skb = ns.kernel.pool.alloc(ICMP_HLEN + quoted + IP_HLEN);
  skb.data += IP_HLEN;
  skb.tail = skb.data;
  const at = skb.put(ICMP_HLEN + quoted);
  skb.view.setUint16(at, (type << 8) | code);
  skb.view.setUint16(at + 2, 0);
  skb.view.setInt32(at + 4, info);
  skb.bytes.set(skbIn.bytes.subarray(off, off + quoted), at + ICMP_HLEN);
  skb.mark = mark;
  if (isError && hasConntrack(skbIn)) attachConntrack(skb, skbIn);
  const source = (wanted !== 0 ? wanted : routeSource(dst, hop)) || INADDR_DUMMY;
  icmpPush(ns, skb, dst, source, daddr, tos, replyOptions);
}

/**
 * An error belongs to the connection of the packet that it is about (nf_ct_attach), which may be unconfirmed yet. About an
 * untracked packet it belongs to none, and is not taken for untracked either.
 */
function attachConntrack(skb: Skb, skbIn: Skb): void {
  skb.ct = skbIn.ct;
  skb.ctInfo = skbIn.ctInfo < IP_CT_ESTABLISHED_REPLY ? IP_CT_RELATED_REPLY : IP_CT_RELATED;
}

/**
 * Sends an ICMP message that stands at `data`, checksum field 0, with IP options (icmp_push_reply). `dst`: the route to
 * `daddr`, or to the head of a source route to it. Takes it.
 */
export function icmpPush(
  ns: NetNs,
  skb: Skb,
  dst: Dst,
  saddr: number,
  daddr: number,
  tos: number,
  opt: IpOptionsData | null = null,
): void {
  const at = skb.data;
  skb.view.setUint16(at + 2, inetChecksum(skb.view, at, skb.tail - at));
  const hop = ipOptionsHop(opt, daddr);
  const id = ipSelectIdent(ns, saddr, hop, IPPROTO_ICMP);
  const optlen = opt === null ? 0 : opt.optlen;
  ipBuildHeader(skb, saddr, daddr, IPPROTO_ICMP, tos, ipv4Of(ns).defaultTtl, false, id, optlen);
  if (opt !== null && optlen !== 0) ipOptionsBuild(ns, skb, opt, daddr);
  skbSetRoute(skb, dst, hop);
  ipLocalOut(ns, skb);
}

/** Answers a received query with the message that stands at `data` of `reply` (icmp_reply). Takes `reply` only. */
export function icmpReply(ns: NetNs, query: Skb, reply: Skb, type: number): void {
  const net = ipv4Of(ns);
  const exempt = unlimited(net, type, 0);
  const source = computeSpecDst(ns, query, query.dev!);
  const daddr = ipSaddr(query.view, query.netOff) || source;
  if (!ipOptionsEcho(ns, replyOptions, query, query.opt)) {
    reply.consume();
    return;
  }
  const hop = ipOptionsHop(replyOptions, daddr);
  const tos = ipTos(query.view, query.netOff);
  reply.mark = net.sysctls.fwmarkReflect !== 0 ? query.mark : 0;
  const { global } = net.icmp;
  const allowed = (exempt || globalAllow(net)) && !global.sending;
  if (allowed) setFlow(ns, IPPROTO_ICMP, 0, 0);
  const dst = allowed ? ipRouteOutput(ns, hop, source, 0, reply.mark, tos) : null;
  if (dst === null || !(exempt || peerAllow(net, dst, hop))) {
    reply.consume();
    return;
  }
  global.sending = true;
  icmpPush(ns, reply, dst, source, daddr, tos, replyOptions);
  global.sending = false;
}
