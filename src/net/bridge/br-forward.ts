/** Sending frames out of ports (net/bridge/br_forward.c). */
import { devQueueXmit, ETH_HLEN } from "../core/dev.ts";
import { DROP } from "../core/drop-reason.ts";
import { IFF_UP } from "../core/net-device.ts";
import type { NfBridgeInfo } from "../core/nf-bridge.ts";
import type { Skb } from "../core/skb.ts";
import { TRACE_BRIDGE } from "../core/trace.ts";
import { VLAN_HLEN } from "../core/vlan.ts";
import { brNfForward, brNfPostRouting } from "./br-netfilter.ts";
import { brNfIpFragment } from "./br-nf-fragment.ts";
import { BR_STATE_FORWARDING, type Bridge, type BridgePort } from "./br-private.ts";

/** Kinds of destination when no port is known (enum br_pkt_type). */
export const BR_PKT_UNICAST = 0;
export const BR_PKT_MULTICAST = 1;
export const BR_PKT_BROADCAST = 2;
export type BrPktType = 0 | 1 | 2;

/** Not back to where it came from (`skb.dev`), unless the port is a hairpin; only to ports that forward. */
function shouldDeliver(to: BridgePort, from: BridgePort | null, skb: Skb): boolean {
  if (to.state !== BR_STATE_FORWARDING || (skb.dev === to.dev && !to.hairpin)) return false;
  return !(to.isolated && from !== null && from.isolated);
}

/**
 * Sends to one port (br_forward). `from` null: the bridge itself sends. `localRcv`: the frame is also for the bridge, so a
 * copy goes out; otherwise the packet is taken. `data` behind the Ethernet header.
 */
export function brForward(to: BridgePort | null, from: BridgePort | null, skb: Skb, localRcv: boolean): void {
  if (to !== null && shouldDeliver(to, from, skb)) {
    brForwardTo(to, localRcv ? skb.clone() : skb, from === null);
    return;
  }
  if (!localRcv) skb.drop(DROP.BRIDGE_NO_EGRESS);
}

/** What the bridge itself sends to a group or to all goes to every port, whatever its settings. */
function takesFlood(port: BridgePort, type: BrPktType, localOrig: boolean): boolean {
  if (type === BR_PKT_UNICAST) return port.flood;
  return localOrig || (type === BR_PKT_BROADCAST ? port.bcastFlood : port.mcastFlood);
}

/** Sends to every port that takes the kind of frame (br_flood). The rest as {@link brForward}. */
export function brFlood(
  br: Bridge,
  from: BridgePort | null,
  skb: Skb,
  type: BrPktType,
  localRcv: boolean,
): void {
  const { ports } = br;
  let prev: BridgePort | null = null;
  for (let i = 0; i < ports.length; i++) {
    const port = ports[i];
    if (!takesFlood(port, type, from === null)) continue;
    if (!shouldDeliver(port, from, skb)) continue;
    if (prev !== null) brForwardTo(prev, skb.clone(), from === null);
    prev = port;
  }
  if (prev !== null) brForwardTo(prev, localRcv ? skb.clone() : skb, from === null);
  else if (!localRcv) skb.drop(DROP.BRIDGE_NO_EGRESS);
}

/** Takes the packet (__br_forward, br_forward_finish). */
function brForwardTo(to: BridgePort, skb: Skb, localOrig: boolean): void {
  skb.dev = to.dev;
  if (!localOrig) skb.csumComplete = false;
  if (skb.trace !== null) skb.trace.add(TRACE_BRIDGE, to.portNo, 0, to.dev);
  if (skb.nfBridge !== null) {
    if (!localOrig && !brNfForward(skb, to)) return;
    if (!brNfPostRouting(skb, to)) return;
    const bridged = (skb.nfBridge as NfBridgeInfo).physOut !== null;
    if (bridged && brNfIpFragment(skb, to.dev.mtu, to, brDevQueuePushXmit)) return;
    skb.nfBridge = null;
  }
  brDevQueuePushXmit(skb, to);
}

/** Puts the frame on the port's device; one that is too long for it is lost (br_dev_queue_push_xmit). */
function brDevQueuePushXmit(skb: Skb, to: BridgePort): void {
  const { dev } = to;
  skb.data -= ETH_HLEN;
  if ((dev.flags & IFF_UP) === 0 || skb.length > dev.mtu + ETH_HLEN + VLAN_HLEN) {
    skb.drop((dev.flags & IFF_UP) === 0 ? DROP.DEV_DOWN : DROP.MTU);
    return;
  }
  if (dev.ops.keepsDst !== true) skb.dst = null;
  devQueueXmit(skb);
}
