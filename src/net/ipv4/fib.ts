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
  readonly onlink: boolean;
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
  readonly onlink: boolean;
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
    this.onlink = config.onlink;
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
      this.onlink === other.onlink
    );
  }

  private makeDst(input: boolean, loopback: NetDevice | null): Dst | null {
    if (this.dev === null) return null;
    const local = this.type === RTN_LOCAL || (input && this.type === RTN_BROADCAST);
    const known =
      local || this.type === RTN_UNICAST || this.type === RTN_BROADCAST || this.type === RTN_MULTICAST;
    if (!known) return null;
    const dev = local && loopback !== null ? loopback : this.dev;
    return new Dst(this.type as RouteType, dev, this.gateway, this.prefSrc, this.mtu);
  }
}
