/** Frames that arrive at a port (net/bridge/br_input.c). `data` stands behind the Ethernet header throughout. */
import { countRx, deliverSkb, netifReceiveSkb } from "../core/dev.ts";
import { DROP } from "../core/drop-reason.ts";
import { IFF_UP, type NetDevice } from "../core/net-device.ts";
import { PACKET_HOST, type Skb } from "../core/skb.ts";
import { brFdbFind, brFdbUpdate } from "./br-fdb-local.ts";
import { BR_PKT_BROADCAST, BR_PKT_MULTICAST, BR_PKT_UNICAST, brFlood, brForward } from "./br-forward.ts";
import { brNfLocalIn, brNfPreRouting } from "./br-netfilter.ts";
import { BR_STATE_FORWARDING, type BridgePort } from "./br-private.ts";

/** 01:80:c2:00:00:0X, which a bridge does not pass on (IEEE 802.1D). */
const GROUP_HI = 0x0180;
const GROUP_LO = 0xc2000000 | 0;
const ETH_PAUSE = 1;
const ETH_STP = 0;

/** The receive handler of a port's device (br_handle_frame). Takes the packet. */
export function brHandleFrame(skb: Skb, dev: NetDevice): void {
  const port = dev.bridgePort as BridgePort;
  const { view, macOff } = skb;
  const srcHi = view.getUint16(macOff + 6);
  if ((srcHi & 0x100) !== 0 || (srcHi === 0 && view.getInt32(macOff + 8) === 0)) {
    skb.drop(DROP.BRIDGE_NO_PORT);
    return;
  }
  const dstHi = view.getUint16(macOff);
  const dstLo = view.getInt32(macOff + 2);
  if (dstHi === GROUP_HI && (dstLo & ~15) === GROUP_LO && !passesGroup(port, dstLo & 15)) {
    if ((dstLo & 15) === ETH_PAUSE) skb.drop(DROP.BRIDGE_LINK_LOCAL);
    else brHandleLocal(skb, port);
    return;
  }
  if (port.state !== BR_STATE_FORWARDING) {
    skb.drop(DROP.BRIDGE_NO_PORT);
    return;
  }
  const bridge = port.br.dev;
  if (dstHi === bridge.addrHi && dstLo === bridge.addrLo) skb.pktType = PACKET_HOST;
  const from = bridge.ns.kernel.bridgeNetfilter ? brNfPreRouting(skb, port) : port;
  if (from !== null) brHandleFrameFinish(skb, from);
}

/** Without STP its frames are bridged like others; the rest only when the group mask says so. */
function passesGroup(port: BridgePort, address: number): boolean {
  if (address === ETH_STP) return true;
  return address !== ETH_PAUSE && (port.br.groupFwdMask & (1 << address)) !== 0;
}

/** A group address that ends here: the port itself receives the frame (br_handle_local_finish, RX_HANDLER_PASS). */
function brHandleLocal(skb: Skb, port: BridgePort): void {
  const { view, macOff } = skb;
  if (port.learning) brFdbUpdate(port.br, port, view.getUint16(macOff + 6), view.getInt32(macOff + 8));
  deliverSkb(skb, port.dev);
}

/** Learns the source and decides where the frame goes (br_handle_frame_finish). Takes the packet. */
export function brHandleFrameFinish(skb: Skb, port: BridgePort): void {
  const { br } = port;
  const bridge = br.dev;
  const { view, macOff } = skb;
  if (port.learning) brFdbUpdate(br, port, view.getUint16(macOff + 6), view.getInt32(macOff + 8));
  const dstHi = view.getUint16(macOff);
  const dstLo = view.getInt32(macOff + 2);
  const localRcv = bridge.isPromiscuous;
  if ((dstHi & 0x100) !== 0) {
    const broadcast = dstHi === 0xffff && dstLo === -1;
    if (!broadcast) bridge.rxMulticast++;
    brFlood(br, port, skb, broadcast ? BR_PKT_BROADCAST : BR_PKT_MULTICAST, true);
    brPassFrameUp(skb, bridge, localRcv);
    return;
  }
  const entry = brFdbFind(br, dstHi, dstLo, 0);
  if (entry?.local) {
    brPassFrameUp(skb, bridge, false);
    return;
  }
  if (entry === null) brFlood(br, port, skb, BR_PKT_UNICAST, localRcv);
  else {
    entry.usedNs = bridge.ns.kernel.sim.now;
    brForward(entry.port, port, skb, localRcv);
  }
  if (localRcv) brPassFrameUp(skb, bridge, true);
}

/** The frame is for the bridge itself, `promisc`: also or only because it takes all (br_pass_frame_up). */
function brPassFrameUp(skb: Skb, bridge: NetDevice, promisc: boolean): void {
  countRx(bridge, skb.length);
  if ((bridge.flags & IFF_UP) === 0) {
    bridge.rxDropped++;
    skb.drop(DROP.DEV_DOWN);
    return;
  }
  if (bridge.ns.kernel.bridgeNetfilter && !brNfLocalIn(skb, bridge.ns, promisc)) return;
  skb.dev = bridge;
  netifReceiveSkb(skb);
}
