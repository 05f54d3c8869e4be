/** Routes as the tables hold them (include/net/ip_fib.h, include/uapi/linux/rtnetlink.h). */

import { prefixToMask } from "../../wire/address.ts";
import { Dst, type RouteType, RTN_BROADCAST, RTN_LOCAL, RTN_MULTICAST, RTN_UNICAST } from "../core/dst.ts";
import type { NetDevice } from "../core/net-device.ts";

export const RT_TABLE_DEFAULT = 253;
export const RT_TABLE_MAIN = 254;
export const RT_TABLE_LOCAL = 255;

export const RT_SCOPE_UNIVERSE = 0;
export const RT_SCOPE_LINK = 253;
export const RT_SCOPE_HOST = 254;
export const RT_SCOPE_NOWHERE = 255;

export const RTPROT_KERNEL = 2;
export const RTPROT_BOOT = 3;

/** The route types that are no answer but an instruction; the rest stands in core/dst.ts. */
export const RTN_THROW = 9;

/** One of the next hops of a route with several (struct fib_nh). */
export interface FibPath {
  readonly gateway: number;
  readonly dev: NetDevice;
  readonly nhScope: number;
  readonly onlink: boolean;
  readonly weight: number;
}

/** What a route may be looked up by besides addresses, as far as it is known (struct flowi4); zeros else. */
export interface FlowKeys {
  proto: number;
  sport: number;
  dport: number;
  /** Of who sends; 0 of what is forwarded. */
  uid: number;
}

/** What a route is made of; everything is settled (net/ctl checks and fills in). */
export interface FibConfig {
  readonly table: number;
  /** Prefix without host bits. */
  readonly dst: number;
  readonly prefixLen: number;
  readonly tos: number;
  readonly type: number;
  readonly metric: number;
  readonly protocol: number;
  readonly scope: number;
  readonly prefSrc: number;
  readonly gateway: number;
  /** null for the types that lead nowhere. */
  readonly dev: NetDevice | null;
  /** Scope of the next hop: NOWHERE for local routes, HOST on the link, LINK behind a gateway. */
  readonly nhScope: number;
  readonly mtu: number;
  /** The MTU is fixed (RTAX_LOCK). */
  readonly mtuLocked?: boolean;
  readonly onlink: boolean;
  /** The number of the next hop that the route names; 0 or absent: none. */
  readonly nhId?: number;
  /** More than one next hop; gateway, device and scope above are those of the first. */
  readonly paths?: readonly FibPath[];
}

/** One route (struct fib_alias with its fib_info), with the Dst objects that packets carry. */
export class FibAlias {
  readonly table: number;
  readonly dst: number;
  readonly prefixLen: number;
  readonly mask: number;
  readonly tos: number;
  readonly type: number;
  readonly metric: number;
  readonly protocol: number;
  readonly scope: number;
  readonly prefSrc: number;
  readonly gateway: number;
  readonly dev: NetDevice | null;
  readonly nhScope: number;
  readonly mtu: number;
  readonly mtuLocked: boolean;
  readonly onlink: boolean;
  readonly nhId: number;
  /** A route with several next hops has one of these for each, else none; a lookup answers with one of them. */
  readonly paths: readonly FibAlias[];
  /** Of such a one the route. */
  owner: FibAlias | null = null;
  weight = 1;
  /** Of the first of several default routes: which one was taken last, -1 none. */
  lastDefault = -1;
  /** The highest hash of its share, -1 for no share. */
  upperBound = -1;
  /** The device of a next hop is down (RTNH_F_DEAD). */
  dead = false;
  /** What a packet that was received, or is sent from here, carries; null for the types that lead nowhere. */
  readonly inDst: Dst | null;
  readonly outDst: Dst | null;
  /** Next route of the same prefix in a compiled index. */
  next: FibAlias | null = null;

  /** `loopback`: the device of local routes. */
  constructor(config: FibConfig, loopback: NetDevice | null) {
    this.table = config.table;
    this.dst = config.dst;
    this.prefixLen = config.prefixLen;
    this.mask = prefixToMask(config.prefixLen);
    this.tos = config.tos;
    this.type = config.type;
    this.metric = config.metric;
    this.protocol = config.protocol;
    this.scope = config.scope;
    this.prefSrc = config.prefSrc;
    this.gateway = config.gateway;
    this.dev = config.dev;
    this.nhScope = config.nhScope;
    this.mtu = config.mtu;
    this.mtuLocked = config.mtuLocked ?? false;
    this.onlink = config.onlink;
    this.nhId = config.nhId ?? 0;
    this.paths = (config.paths ?? []).map((path) => this.makePath(config, path));
    const siblings = this.paths.flatMap(({ outDst }) => (outDst === null ? [] : [outDst]));
    for (const dst of siblings) dst.siblings = siblings;
    this.outDst = this.makeDst(false, loopback);
    this.inDst = this.type === RTN_LOCAL ? this.outDst : this.makeDst(true, loopback);
  }

  /** The link of its device is down (RTNH_F_LINKDOWN): shown, and honoured with ignore_routes_with_linkdown. */
  get linkDown(): boolean {
    return this.dev !== null && this.nhScope !== RT_SCOPE_NOWHERE && !this.dev.carrier;
  }

  /** Same in all that the kernel compares when it looks for a route that is already there. */
  sameRoute(other: FibConfig): boolean {
    return (
      this.type === other.type &&
      this.scope === other.scope &&
      this.protocol === other.protocol &&
      this.prefSrc === other.prefSrc &&
      this.gateway === other.gateway &&
      this.dev === other.dev &&
      this.mtu === other.mtu &&
      this.mtuLocked === (other.mtuLocked ?? false) &&
      this.onlink === other.onlink &&
      this.nhId === (other.nhId ?? 0) &&
      this.samePaths(other.paths ?? [])
    );
  }

  /** nh_comp */
  private samePaths(others: readonly FibPath[]): boolean {
    if (this.paths.length !== others.length) return false;
    return this.paths.every((path, i) => {
      const { gateway, dev, nhScope, onlink, weight } = others[i];
      const same = path.gateway === gateway && path.dev === dev && path.nhScope === nhScope;
      return same && path.onlink === onlink && path.weight === weight;
    });
  }

  /** By that device, with one of its next hops at least (fib_info_nh_uses_dev). */
  uses(dev: NetDevice): boolean {
    const { paths } = this.owner ?? this;
    for (let i = 0; i < paths.length; i++) if (paths[i].dev === dev) return true;
    return this.dev === dev;
  }

  private makePath(config: FibConfig, path: FibPath): FibAlias {
    const alias = new FibAlias({ ...config, ...path, paths: [] }, null);
    alias.owner = this;
    alias.weight = path.weight;
    return alias;
  }

  private makeDst(input: boolean, loopback: NetDevice | null): Dst | null {
    if (this.dev === null) return null;
    const local = this.type === RTN_LOCAL || (input && this.type === RTN_BROADCAST);
    const known =
      local || this.type === RTN_UNICAST || this.type === RTN_BROADCAST || this.type === RTN_MULTICAST;
    if (!known) return null;
    const dev = local && loopback !== null ? loopback : this.dev;
    return new Dst(this.type as RouteType, dev, this.gateway, this.prefSrc, this.mtu, this.mtuLocked);
  }
}
