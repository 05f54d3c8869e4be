/**
 * IPv4 of one namespace (struct netns_ipv4, include/net/netns/ipv4.h): what hangs on `ns.ipv4`. Lower files call upper ones
 * through the slots here, as the kernel does through ops; `ipv4-init.ts` fills them.
 */
import type { Errno } from "../../util/errors.ts";
import { Dst, RTN_BLACKHOLE, RTN_PROHIBIT, RTN_UNREACHABLE } from "../core/dst.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import type { Skb } from "../core/skb.ts";
import type { FibRules } from "./fib-rules.ts";
import type { IcmpState } from "./icmp.ts";
import type { InetPeers } from "./inet-peer.ts";
import type { FragmentQueues } from "./ip-fragment.ts";
import type { IdentCounters } from "./ip-ident.ts";
import type { Ipv4Devconf, NeighParms } from "./ipv4-conf.ts";
import type { NeighTable } from "./neigh-table.ts";
import type { Neighbour } from "./neighbour.ts";
import { Nexthops } from "./nexthop.ts";
import { ProxyNeighbours } from "./pneigh.ts";
import type { RouteCache } from "./route-cache.ts";
import type { RouteExceptions } from "./route-exception.ts";

/** A transport (struct net_protocol). */
export interface NetProtocol {
  /** Takes a packet for this machine: `data` at the transport header, `netOff` at the IP header. */
  rcv(skb: Skb): void;
  /**
   * An ICMP error arrived about a packet that was sent from here: `data` stands at the quoted IP header. `info` is the
   * next-hop MTU of FRAG_NEEDED. The packet stays the caller's.
   */
  err(skb: Skb, type: number, code: number, info: number): void;
}

/** Integer parameters of net.ipv4.* that belong to no device. */
export class Ipv4Sysctls {
  fwmarkReflect = 0;
  fibMultipathHashFields = 7;
  fibMultipathHashPolicy = 0;
  fibMultipathUseNeigh = 0;
  icmpEchoIgnoreAll = 0;
  icmpEchoIgnoreBroadcasts = 1;
  icmpErrorsUseInboundIfaddr = 0;
  icmpIgnoreBogusErrorResponses = 1;
  icmpMsgsBurst = 50;
  icmpMsgsPerSec = 1000;
  icmpRatelimit = 1000;
  icmpRatemask = 6168;
  ipAutobindReuse = 0;
  ipDynaddr = 0;
  ipEarlyDemux = 1;
  ipForwardUpdatePriority = 1;
  ipForwardUsePmtu = 0;
  ipNoPmtuDisc = 0;
  ipNonlocalBind = 0;
  ipUnprivilegedPortStart = 1024;
  ipfragHighThresh = 4194304;
  ipfragLowThresh = 3145728;
  ipfragMaxDist = 64;
  ipfragTime = 30;
  routeMinAdvMss = 256;
  routeMinPmtu = 552;
  routeMtuExpires = 600;
}

/** What ARP does for a neighbour (struct neigh_ops): asks for its address, tells the sender of a packet that failed. */
export interface ArpOps {
  solicit(n: Neighbour, saddr: number): void;
  errorReport(skb: Skb): void;
}

/** icmp_send: an error about a packet, which stays the caller's. */
export type IcmpSend = (ns: NetNs, skb: Skb, type: number, code: number, info: number) => void;

/** The tables and calls that `ipv4Init` puts together; a namespace keeps them for life. */
export interface Ipv4Parts {
  readonly confAll: Ipv4Devconf;
  readonly confDefault: Ipv4Devconf;
  readonly neighDefault: NeighParms;
  readonly rules: FibRules;
  readonly routeCache: RouteCache;
  readonly exceptions: RouteExceptions;
  readonly neighbours: NeighTable;
  readonly peers: InetPeers;
  readonly fragments: FragmentQueues;
  readonly icmp: IcmpState;
  readonly ident: IdentCounters;
  readonly arpOps: ArpOps;
  readonly icmpSend: IcmpSend;
}

export class Ipv4Net implements Ipv4Parts {
  readonly ns: NetNs;
  /** Transports by protocol number. */
  readonly protocols: (NetProtocol | null)[] = new Array<NetProtocol | null>(256).fill(null);
  /** Why the last ipRouteOutput gave null. */
  routeError: Errno = "ENETUNREACH";
  readonly nexthops = new Nexthops();
  readonly proxies = new ProxyNeighbours();
  /** The last route was one of several next hops: another flow may take another one. */
  routeOfSeveral = false;
  /** Grows with every change of routes, addresses, rules and parameters: whoever keeps a Dst compares it. */
  routeGeneration = 1;
  /** Raw sockets (raw_local_deliver): take copies for themselves; true when a socket took one. */
  rawDeliver: ((skb: Skb, protocol: number) => boolean) | null = null;
  /** Raw sockets hear of an ICMP error (raw_icmp_error): `data` at the quoted IP header. */
  rawErr: ((skb: Skb, type: number, code: number, info: number) => void) | null = null;
  /**
   * xfrm looks at each leaving packet before fragmentation (dst_output of an xfrm route); `mark` is the one that it was
   * routed by. True when it took it. Null while no policy is for leaving packets.
   */
  xfrmOutput: ((ns: NetNs, skb: Skb, mark: number) => boolean) | null = null;
  /**
   * What is left of an MTU for packets of a flow that xfrm will wrap up (xfrm_mtu): addresses, ports (type and code of ICMP)
   * and mark as they leave. Null together with `xfrmOutput`.
   */
  xfrmMtu:
    | ((
        ns: NetNs,
        dst: Dst,
        mtu: number,
        proto: number,
        saddr: number,
        daddr: number,
        sport: number,
        dport: number,
        mark: number,
      ) => number)
    | null = null;
  /** Whether a received packet came as the policies for this machine (0) or for others (2) want; null without any. */
  xfrmPolicyCheck: ((ns: NetNs, dir: 0 | 2, skb: Skb) => boolean) | null = null;
  /** Slots of the transports. */
  sock: unknown = null;
  tcp: unknown = null;
  udp: unknown = null;
  raw: unknown = null;
  ping: unknown = null;
  /** net.ipv4.ip_default_ttl */
  defaultTtl = 64;
  /** net.ipv4.ip_local_port_range, both ends included. */
  localPortRange: readonly [number, number] = [32768, 60999];
  /** net.ipv4.ip_local_reserved_ports as written, "" when none. */
  localReservedPorts = "";
  readonly sysctls = new Ipv4Sysctls();
  /** net.ipv4.conf.all and conf.default. */
  readonly confAll: Ipv4Devconf;
  readonly confDefault: Ipv4Devconf;
  readonly neighDefault: NeighParms;
  readonly rules: FibRules;
  readonly routeCache: RouteCache;
  readonly exceptions: RouteExceptions;
  readonly neighbours: NeighTable;
  readonly peers: InetPeers;
  readonly fragments: FragmentQueues;
  readonly icmp: IcmpState;
  /** Shared by the namespaces of a kernel: the counters of its first one. */
  readonly ident: IdentCounters;
  readonly arpOps: ArpOps;
  readonly icmpSend: IcmpSend;
  /** How many devices have this address as a local one. */
  readonly localAddrs = new Map<number, number>();
  /** Routes that are an error (rtable with dst.error): no network, no host, prohibited, dropped in silence. */
  noRouteDst: Dst | null = null;
  hostUnreachDst: Dst | null = null;
  prohibitDst: Dst | null = null;
  blackholeDst: Dst | null = null;

  constructor(ns: NetNs, parts: Ipv4Parts) {
    this.ns = ns;
    this.confAll = parts.confAll;
    this.confDefault = parts.confDefault;
    this.neighDefault = parts.neighDefault;
    this.rules = parts.rules;
    this.routeCache = parts.routeCache;
    this.exceptions = parts.exceptions;
    this.neighbours = parts.neighbours;
    this.peers = parts.peers;
    this.fragments = parts.fragments;
    this.icmp = parts.icmp;
    this.ident = parts.ident;
    this.arpOps = parts.arpOps;
    this.icmpSend = parts.icmpSend;
  }

  /** Everything that was derived from routes, addresses or parameters is void (rt_cache_flush). */
  flushRoutes(): void {
    this.routeGeneration++;
  }

  /** The loopback device of the namespace; any other when it has none. */
  loopback(fallback: NetDevice): NetDevice {
    return this.ns.deviceByIndex(1) ?? fallback;
  }

  /** Makes the error routes, once a device exists to hang them on. */
  ensureErrorDsts(dev: NetDevice): void {
    if (this.noRouteDst !== null) return;
    const lo = this.loopback(dev);
    this.noRouteDst = new Dst(RTN_UNREACHABLE, lo, 0, 0, 0);
    this.hostUnreachDst = new Dst(RTN_UNREACHABLE, lo, 0, 0, 0);
    this.prohibitDst = new Dst(RTN_PROHIBIT, lo, 0, 0, 0);
    this.blackholeDst = new Dst(RTN_BLACKHOLE, lo, 0, 0, 0);
  }
}

export function ipv4Of(ns: NetNs): Ipv4Net {
  return ns.ipv4 as Ipv4Net;
}
