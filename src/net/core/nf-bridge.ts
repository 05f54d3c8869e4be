/**
 * What br_netfilter remembers on a bridged packet (struct nf_bridge_info, include/linux/skbuff.h): the ports behind the
 * bridge device that the IPv4 hooks see. The objects are shared and immutable, one per port or pair of ports, so that
 * a bridged packet allocates nothing.
 */
import type { NetDevice } from "./net-device.ts";
import type { Skb } from "./skb.ts";

export interface NfBridgeInfo {
  /** The port that it came in by (`PHYSIN=` of LOG, `--physdev-in`). */
  readonly physIn: NetDevice;
  /** The port that it goes out by, once the bridge decided (`PHYSOUT=`); null before and for routed packets. */
  readonly physOut: NetDevice | null;
  /** PRE_ROUTING was run on the bridge port already, so the pass of ip_rcv is left out once. */
  readonly sabotage: boolean;
}

/** Bridge netfilter's state of the packet, null when it did not come over a bridge port with br_netfilter. */
export function nfBridgeOf(skb: Skb): NfBridgeInfo | null {
  return skb.nfBridge as NfBridgeInfo | null;
}
