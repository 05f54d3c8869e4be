/**
 * A route as a packet carries it (include/net/dst.h, struct rtable). Made when the routing tables change, not per
 * packet: one object serves every packet that takes the route; the next hop of a packet stands in `Skb.nextHop`.
 */
import type { NetDevice } from "./net-device.ts";

/** What becomes of a packet that has this route (rtable->rt_type, enum in rtnetlink.h). */
export const RTN_UNSPEC = 0;
export const RTN_UNICAST = 1;
export const RTN_LOCAL = 2;
export const RTN_BROADCAST = 3;
export const RTN_MULTICAST = 5;
export const RTN_BLACKHOLE = 6;
export const RTN_UNREACHABLE = 7;
export const RTN_PROHIBIT = 8;
export type RouteType = 0 | 1 | 2 | 3 | 5 | 6 | 7 | 8;

export class Dst {
  readonly type: RouteType;
  /** The device that a packet leaves by (lo for local ones). */
  readonly dev: NetDevice;
  /** Gateway, int32; 0 when the destination is on the link. */
  readonly gateway: number;
  /** Preferred source address, int32; 0 when none. */
  readonly prefSrc: number;
  /** MTU metric of the route in bytes; 0 means that of the device. */
  readonly mtu: number;
  /** The MTU is fixed: nothing that is learnt changes it. */
  readonly mtuLocked: boolean;
  /** All next hops of a route with several, this one among them; null: there is one. */
  siblings: readonly Dst[] | null = null;
  /** Neighbour of the last packet, kept by the layer below (`net/ipv4/neighbour.ts`), so that a flow resolves once. */
  neigh: unknown = null;

  constructor(
    type: RouteType,
    dev: NetDevice,
    gateway: number,
    prefSrc: number,
    mtu: number,
    mtuLocked = false,
  ) {
    this.type = type;
    this.dev = dev;
    this.gateway = gateway;
    this.prefSrc = prefSrc;
    this.mtu = mtu;
    this.mtuLocked = mtuLocked;
  }
}
