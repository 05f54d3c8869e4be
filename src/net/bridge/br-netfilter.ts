/**
 * br_netfilter (net/bridge/br_netfilter_hooks.c): bridged IPv4 frames pass the IPv4 hooks of the namespace that has the
 * bridge, with the bridge as device and the ports beside it. PRE_ROUTING runs at the port, before the bridge decides.
 */
import { SysError } from "../../util/errors.ts";
import { ETH_P_8021Q, setEthDst } from "../../wire/ethernet.ts";
import { ipChecksumOk, ipDaddr, ipHeaderLen, ipTotLen, ipVersion } from "../../wire/ipv4.ts";
import { ETH_HLEN, ETH_P_IP } from "../core/dev.ts";
import { DROP } from "../core/drop-reason.ts";
import {
  HOOK_NEEDS_NF_BRIDGE,
  type HookEntry,
  NF_ACCEPT,
  NF_INET_FORWARD,
  NF_INET_POST_ROUTING,
  NF_INET_PRE_ROUTING,
  NF_STOP,
  nfHook,
  type Verdict,
} from "../core/hooks.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import { nfBridgeOf } from "../core/nf-bridge.ts";
import { IP_CT_NEW, PACKET_HOST, PACKET_OTHERHOST, type Skb } from "../core/skb.ts";
import { VLAN_HLEN, VLAN_VID_MASK, vlanFindDev } from "../core/vlan.ts";
import { NUD_CONNECTED, neighCreate, neighOutput } from "../ipv4/neighbour.ts";
import { ipRouteInput } from "../ipv4/route.ts";
import { nfConntrackConfirm } from "../netfilter/conntrack/conntrack-core.ts";
import { conntrackOf } from "../netfilter/conntrack/conntrack-net.ts";
import type { BridgePort } from "./br-private.ts";
import { bridgePortOf } from "./br-private.ts";

/** Switches of a namespace (/proc/sys/net/bridge). */
export class BridgeNf {
  callIptables = 1;
  callIp6tables = 1;
  callArptables = 1;
  filterVlanTagged = 0;
  filterPppoeTagged = 0;
  passVlanInputDev = 0;
}

const BRIDGE_NF_SYSCTLS: readonly [string, keyof BridgeNf][] = [
  ["net.bridge.bridge-nf-call-arptables", "callArptables"],
  ["net.bridge.bridge-nf-call-ip6tables", "callIp6tables"],
  ["net.bridge.bridge-nf-call-iptables", "callIptables"],
  ["net.bridge.bridge-nf-filter-pppoe-tagged", "filterPppoeTagged"],
  ["net.bridge.bridge-nf-filter-vlan-tagged", "filterVlanTagged"],
  ["net.bridge.bridge-nf-pass-vlan-input-dev", "passVlanInputDev"],
];

/** A bridged packet that was DNATed to another station of the bridge and waits for its MAC address. */
class BridgedDnat {
  readonly physIn: BridgePort["dev"];
  readonly physOut = null;
  readonly sabotage = false;
  /** The Ethernet source of the frame, which resolving overwrites. */
  readonly srcHi: number;
  readonly srcLo: number;

  constructor(port: BridgePort, srcHi: number, srcLo: number) {
    this.physIn = port.dev;
    this.srcHi = srcHi;
    this.srcLo = srcLo;
  }
}

export function bridgeNfOf(ns: NetNs): BridgeNf {
  return ns.bridgeNf as BridgeNf;
}

/** Gives a namespace its switches and the entry that leaves out the second PRE_ROUTING (ip_sabotage_in). */
export function bridgeNetfilterInit(ns: NetNs): void {
  const state = new BridgeNf();
  ns.bridgeNf = state;
  ns.hooks.register(sabotageEntry);
  const field = new Map(BRIDGE_NF_SYSCTLS);
  ns.sysctl.register({
    names: () => (ns.kernel.bridgeNetfilter ? [...field.keys()] : []),
    get: (name) => {
      const key = field.get(name);
      return key === undefined || !ns.kernel.bridgeNetfilter ? undefined : String(state[key]);
    },
    set: (name, value) => {
      const key = field.get(name);
      if (key === undefined || !ns.kernel.bridgeNetfilter) return false;
      // brnf_sysctl_call_tables: anything that is not 0 becomes 1.
      const number = Number(value.trim());
      if (value.trim() === "" || !Number.isInteger(number))
        throw new SysError("EINVAL", `${name} = ${value}`);
      state[key] = number === 0 ? 0 : 1;
      return true;
    },
  });
}

const sabotageEntry: HookEntry = {
  name: "br_netfilter",
  hook: NF_INET_PRE_ROUTING,
  priority: -0x80000000,
  fn: ipSabotageIn,
  needs: HOOK_NEEDS_NF_BRIDGE,
};

function ipSabotageIn(_ns: NetNs, skb: Skb): Verdict {
  const info = nfBridgeOf(skb);
  if (info === null || !info.sabotage) return NF_ACCEPT;
  skb.nfBridge = bridgePortOf(info.physIn)?.nfDone ?? null;
  return NF_STOP;
}

/** An IPv4 packet; one in a VLAN only where that is asked for (IS_IP, IS_VLAN_IP). */
function isFilteredIp(ns: NetNs, skb: Skb): boolean {
  return skb.protocol === ETH_P_IP && (skb.vlanProto === 0 || bridgeNfOf(ns).filterVlanTagged !== 0);
}

/**
 * The device that the hooks see a frame come in by (brnf_get_logical_dev): the bridge, or the device of the frame's VLAN on top
 * of it where that is asked for.
 */
function logicalDev(bridge: NetDevice, skb: Skb): NetDevice {
  if (skb.vlanProto === 0 || bridgeNfOf(bridge.ns).passVlanInputDev === 0) return bridge;
  return vlanFindDev(bridge, skb.vlanProto, skb.vlanTci & VLAN_VID_MASK) ?? bridge;
}

/**
 * A frame came in by `from`; `data` behind the Ethernet header (br_nf_pre_routing). The port that it came in by, that of the
 * first fragment when it was put together: the bridge goes on with it. Null: it is gone, as is one whose next tag is cut.
 */
export function brNfPreRouting(skb: Skb, from: BridgePort): BridgePort | null {
  const bridge = from.br.dev;
  const { ns } = bridge;
  if (skb.protocol === ETH_P_8021Q && skb.length < VLAN_HLEN) {
    skb.drop(DROP.PKT_TOO_SMALL);
    return null;
  }
  if (bridgeNfOf(ns).callIptables === 0 || !isFilteredIp(ns, skb)) return from;
  if (!brValidateIpv4(skb)) {
    skb.drop(DROP.IP_HDR);
    return null;
  }
  const off = skb.data;
  const daddr = ipDaddr(skb.view, off);
  // Not yet the state that suppresses PRE_ROUTING: this is the run that counts.
  skb.nfBridge = skb.pktType === PACKET_OTHERHOST ? from.nfOther : from.nfDone;
  if (skb.pktType === PACKET_OTHERHOST) skb.pktType = PACKET_HOST;
  skb.dev = logicalDev(bridge, skb);
  if (nfHook(ns, NF_INET_PRE_ROUTING, skb, skb.dev, null) !== NF_ACCEPT) return null;
  const port = bridgePortOf(nfBridgeOf(skb)!.physIn)!;
  if (skb.nfBridge === port.nfOther) skb.pktType = PACKET_OTHERHOST;
  skb.nfBridge = port.nfFirst;
  if (ipDaddr(skb.view, skb.data) !== daddr) return brNfDnated(skb, port) ? port : null;
  skb.dev = port.dev;
  return port;
}

/** The destination was changed: either it is bridged to another station, or it goes up (br_nf_pre_routing_finish). */
function brNfDnated(skb: Skb, port: BridgePort): boolean {
  const bridge = port.br.dev;
  const { ns } = bridge;
  const reason = ipRouteInput(ns, skb, bridge);
  if (reason !== 0) {
    skb.drop(reason);
    return false;
  }
  if (skb.dst!.dev === bridge) return brNfPreRoutingFinishBridge(skb, port);
  // The frame is for this machine now; ip_rcv routes it again, with the same result.
  skb.dst = null;
  setEthDst(skb.view, skb.macOff, bridge.addrHi, bridge.addrLo);
  skb.pktType = PACKET_HOST;
  skb.dev = port.dev;
  return true;
}

/** Gives the frame the MAC address of its new destination (br_nf_pre_routing_finish_bridge). */
function brNfPreRoutingFinishBridge(skb: Skb, port: BridgePort): boolean {
  const bridge = port.br.dev;
  const neigh = neighCreate(bridge.ns, bridge, skb.nextHop);
  if (neigh === null) {
    skb.drop(DROP.NEIGH_FAILED);
    return false;
  }
  if ((neigh.nudState & NUD_CONNECTED) !== 0) {
    setEthDst(skb.view, skb.macOff, neigh.haHi, neigh.haLo);
    skb.dst = null;
    skb.dev = port.dev;
    return true;
  }
  const { view, macOff } = skb;
  skb.nfBridge = new BridgedDnat(port, view.getUint16(macOff + 6), view.getInt32(macOff + 8));
  skb.dev = bridge;
  neighOutput(skb);
  return false;
}

/**
 * The bridge device sends a frame (br_nf_dev_xmit). A DNATed one that waited for its address gets its source back: the
 * result is the port that it came in by, `data` behind the Ethernet header. Else null.
 */
export function brNfDevXmit(skb: Skb): BridgePort | null {
  const info = skb.nfBridge;
  if (!(info instanceof BridgedDnat)) return null;
  const port = bridgePortOf(info.physIn);
  if (port === null) return null;
  skb.macOff = skb.data;
  skb.view.setUint16(skb.macOff + 6, info.srcHi);
  skb.view.setInt32(skb.macOff + 8, info.srcLo);
  skb.data += ETH_HLEN;
  skb.dst = null;
  skb.dev = port.dev;
  skb.nfBridge = port.nfFirst;
  return port;
}

/** A frame is bridged to `out` (br_nf_forward_ip). False: it is gone. */
export function brNfForward(skb: Skb, out: BridgePort): boolean {
  const info = nfBridgeOf(skb);
  const bridge = out.br.dev;
  if (info === null || !isFilteredIp(bridge.ns, skb)) return true;
  if (!brValidateIpv4(skb)) {
    skb.drop(DROP.IP_HDR);
    return false;
  }
  const otherHost = skb.pktType === PACKET_OTHERHOST;
  if (otherHost) skb.pktType = PACKET_HOST;
  const from = bridgePortOf(info.physIn);
  skb.nfBridge = from === null ? null : from.nfTo(out);
  if (nfHook(bridge.ns, NF_INET_FORWARD, skb, logicalDev(bridge, skb), bridge) !== NF_ACCEPT) return false;
  if (otherHost) skb.pktType = PACKET_OTHERHOST;
  return true;
}

/** A frame leaves by `out` (br_nf_post_routing): only bridged ones, routed ones had their POST_ROUTING. False: gone. */
export function brNfPostRouting(skb: Skb, out: BridgePort): boolean {
  const info = nfBridgeOf(skb);
  const bridge = out.br.dev;
  if (info === null || info.physOut === null || !isFilteredIp(bridge.ns, skb)) return true;
  const otherHost = skb.pktType === PACKET_OTHERHOST;
  if (otherHost) skb.pktType = PACKET_HOST;
  if (nfHook(bridge.ns, NF_INET_POST_ROUTING, skb, null, bridge) !== NF_ACCEPT) return false;
  if (otherHost) skb.pktType = PACKET_OTHERHOST;
  return true;
}

/**
 * A frame goes up to the bridge's device (br_nf_local_in). One that was seen only because the device takes everything
 * forgets its connection; a flooded one may find it new still, when no port took a copy, and confirms it now. False: gone.
 */
export function brNfLocalIn(skb: Skb, ns: NetNs, promisc: boolean): boolean {
  if (promisc) {
    skb.ct = null;
    skb.ctInfo = IP_CT_NEW;
    return true;
  }
  if (skb.ct === null || skb.pktType === PACKET_HOST) return true;
  if (nfConntrackConfirm(conntrackOf(ns), skb) === NF_ACCEPT) return true;
  skb.drop(DROP.NETFILTER_DROP);
  return false;
}

/** Header, checksum and length are right; cuts off padding (br_validate_ipv4). `data` at the IP header. */
function brValidateIpv4(skb: Skb): boolean {
  const { view, data } = skb;
  if (skb.length < 20) return false;
  const headerLen = ipHeaderLen(view, data);
  if (ipVersion(view, data) !== 4 || headerLen < 20 || skb.length < headerLen) return false;
  if (!ipChecksumOk(view, data)) return false;
  const totLen = ipTotLen(view, data);
  if (skb.length < totLen || totLen < headerLen) return false;
  skb.trim(totLen);
  skb.netOff = data;
  skb.transOff = data + headerLen;
  skb.ipcb = 0;
  return true;
}
