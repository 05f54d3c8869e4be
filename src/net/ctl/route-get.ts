/** The route that a packet would take: what RTM_GETROUTE does (net/ipv4/route.c inet_rtm_getroute). */
import { SEC } from "../../sim/sim.ts";
import { type Errno, SysError } from "../../util/errors.ts";
import { IPPROTO_UDP } from "../../wire/ipv4.ts";
import { DROP } from "../core/drop-reason.ts";
import type { Dst } from "../core/dst.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import { IPSKB_DOREDIRECT } from "../core/skb.ts";
import { type FibAlias, RT_TABLE_MAIN } from "../ipv4/fib.ts";
import { fibLookup } from "../ipv4/fib-rules.ts";
import { ipBuildHeader } from "../ipv4/ip-output.ts";
import { type Ipv4Net, ipv4Of } from "../ipv4/ipv4-net.ts";
import { IPTOS_RT_MASK, ipRouteInputKey, ipRouteOutput, routeSource } from "../ipv4/route.ts";
import { type RouteException, routeExceptionOf } from "../ipv4/route-exception.ts";

/** What is known of the packet: zeros and null for nothing. */
export interface RouteQuery {
  readonly daddr: number;
  readonly saddr: number;
  readonly oif: number;
  /** It came by that device. */
  readonly iif: NetDevice | null;
  readonly mark: number;
  readonly tos: number;
  readonly proto: number;
  readonly sport: number;
  readonly dport: number;
  readonly uid: number;
}

/** Of a packet of which nothing is known. */
export const TO_ANYWHERE: RouteQuery = {
  daddr: 0,
  saddr: 0,
  oif: 0,
  iif: null,
  mark: 0,
  tos: 0,
  proto: 0,
  sport: 0,
  dport: 0,
  uid: 0,
};

/** The answer to `ip route get`. */
export interface RouteAnswer {
  readonly dst: Dst;
  readonly source: number;
  /** The table that it stands in; main while nobody changed the rules, as the kernel says then. */
  readonly table: number;
  /** The sender would be told of a better gateway. */
  readonly redirects: boolean;
  /** What was learnt about the destination, with what is left of its life in seconds; null when nothing was. */
  readonly learnt: LearntRoute | null;
}

export interface LearntRoute {
  /** Path MTU, 0 none. */
  readonly mtu: number;
  /** Below route.min_pmtu. */
  readonly locked: boolean;
  /** By the gateway of a redirect. */
  readonly redirected: boolean;
  readonly expiresSec: number;
}

export function learntOf(ns: NetNs, e: RouteException): LearntRoute {
  const expiresSec = Math.floor((e.expiresNs - ns.kernel.sim.now) / SEC);
  return { mtu: e.pmtu, locked: e.locked, redirected: e.redirect !== null, expiresSec };
}

/** The route of a packet that is sent from here, or came by `iif`. Throws the errno when there is none. */
export function routeGet(ns: NetNs, query: RouteQuery): RouteAnswer {
  const net = ipv4Of(ns);
  const { daddr, saddr } = query;
  const { dst, redirects } = query.iif === null ? outputRoute(net, query) : inputRoute(net, query, query.iif);
  const found = net.rules.custom ? lookup(net, query) : null;
  const e = query.iif === null ? routeExceptionOf(ns, dst, daddr) : null;
  return {
    dst,
    source: saddr !== 0 ? saddr : routeSource(dst, daddr),
    table: found === null ? RT_TABLE_MAIN : found.table,
    redirects,
    learnt: e === null ? null : learntOf(ns, e),
  };
}

/** The route in the tables that the packet's would be (RTM_F_FIB_MATCH). */
export function routeMatch(ns: NetNs, query: RouteQuery): FibAlias {
  routeGet(ns, query);
  const found = lookup(ipv4Of(ns), query);
  if (found === null) throw new SysError("ENETUNREACH");
  return found.owner ?? found;
}

function tellFlow({ rules }: Ipv4Net, { proto, sport, dport, uid }: RouteQuery): void {
  rules.flow.proto = proto;
  rules.flow.sport = sport;
  rules.flow.dport = dport;
  rules.flow.uid = uid;
}

function lookup(net: Ipv4Net, query: RouteQuery): FibAlias | null {
  const { daddr, saddr, tos, oif, mark, iif } = query;
  tellFlow(net, query);
  const found = fibLookup(net.ns, net.rules, daddr, saddr, tos & IPTOS_RT_MASK, iif?.ifindex ?? 1, oif, mark);
  net.rules.forgetFlow();
  return found;
}

interface Found {
  readonly dst: Dst;
  readonly redirects: boolean;
}

function outputRoute(net: Ipv4Net, query: RouteQuery): Found {
  const { daddr, saddr, oif, mark, tos } = query;
  tellFlow(net, query);
  const dst = ipRouteOutput(net.ns, daddr, saddr, oif, mark, tos);
  if (dst === null) throw new SysError(net.routeError);
  return { dst, redirects: false };
}

/** A packet is made and routed as if it had come in (inet_rtm_getroute_build_skb). */
function inputRoute(net: Ipv4Net, query: RouteQuery, iif: NetDevice): Found {
  const { daddr, saddr, mark, tos, proto, sport, dport } = query;
  const { ns } = net;
  const skb = ns.kernel.pool.alloc(PORTS_BYTES);
  const at = skb.put(PORTS_BYTES);
  skb.view.setUint16(at, sport);
  skb.view.setUint16(at + 2, dport);
  ipBuildHeader(skb, saddr, daddr, proto || IPPROTO_UDP, tos, 0, false, 0);
  skb.netOff = skb.data;
  skb.dev = iif;
  skb.mark = mark;
  const reason = ipRouteInputKey(ns, skb, daddr, saddr, tos, iif, true);
  const { dst } = skb;
  const redirects = (skb.ipcb & IPSKB_DOREDIRECT) !== 0;
  skb.consume();
  if (reason !== 0) throw new SysError(reason === DROP.IP_RPFILTER ? "EXDEV" : "EINVAL");
  const errno = errnoOf(net, dst!);
  if (errno !== null) throw new SysError(errno);
  return { dst: dst!, redirects };
}

const PORTS_BYTES = 8;

function errnoOf({ noRouteDst, hostUnreachDst, prohibitDst, blackholeDst }: Ipv4Net, dst: Dst): Errno | null {
  if (dst === noRouteDst) return "ENETUNREACH";
  if (dst === hostUnreachDst) return "EHOSTUNREACH";
  if (dst === prohibitDst) return "EACCES";
  return dst === blackholeDst ? "EINVAL" : null;
}
