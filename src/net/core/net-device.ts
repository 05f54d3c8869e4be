/** A network device (include/linux/netdevice.h): one class; what differs between kinds is in `ops` and `priv`. */
import type { NetNs } from "./net-ns.ts";
import type { Skb } from "./skb.ts";

/** Interface flags (include/uapi/linux/if.h). */
export const IFF_UP = 1 << 0;
export const IFF_BROADCAST = 1 << 1;
export const IFF_LOOPBACK = 1 << 3;
export const IFF_POINTOPOINT = 1 << 4;
export const IFF_NOARP = 1 << 7;
export const IFF_PROMISC = 1 << 8;
export const IFF_ALLMULTI = 1 << 9;
export const IFF_MULTICAST = 1 << 12;
export const IFF_LOWER_UP = 1 << 16;

/** IFLA_OPERSTATE, as `ip link` prints it. */
export type OperState = "UNKNOWN" | "DOWN" | "LOWERLAYERDOWN" | "UP";

/** What a kind of device does. `xmit` owns the packet: `data` stands at the Ethernet header. */
export interface DeviceOps {
  /** rtnl_link_ops->kind: "loopback", "nic", "veth", "bridge", "vxlan", "dummy". */
  readonly kind: string;
  xmit(skb: Skb, dev: NetDevice): void;
  /** Device went up or down (ndo_open, ndo_stop). */
  open?(dev: NetDevice): void;
  stop?(dev: NetDevice): void;
  /** The packet keeps its route until `xmit` (no IFF_XMIT_DST_RELEASE, netif_keep_dst). */
  readonly keepsDst?: boolean;
  /** Tags leave beside the frame, for whoever is behind it to put in (NETIF_F_HW_VLAN_CTAG_TX, _STAG_TX). */
  readonly vlanTx?: boolean;
  /** The device became promiscuous, or takes all groups (ndo_change_rx_flags); -1: no more. */
  promiscuityChanged?(dev: NetDevice, change: 1 | -1): void;
  allmultiChanged?(dev: NetDevice, change: 1 | -1): void;
  /** Device is being deleted (ndo_uninit). */
  uninit?(dev: NetDevice): void;
}

/** Sees every frame of a device in both directions; `data` of the packet is wherever the layer has it. */
export interface Tap {
  /** `frameOff` is the first byte of the Ethernet header; the frame ends at `skb.tail`. `outgoing` is the direction. */
  frame(dev: NetDevice, skb: Skb, frameOff: number, outgoing: boolean): void;
}

/** Takes a received frame away from the normal path (a bridge port). `data` stands behind the Ethernet header. */
export type RxHandler = (skb: Skb, dev: NetDevice) => void;

export class NetDevice {
  name: string;
  ifindex = 0;
  ns: NetNs;
  readonly ops: DeviceOps;
  /** State of the driver, as its kind knows it. */
  priv: unknown = null;
  flags = 0;
  mtu = 0;
  /** Bytes of the link header: an Ethernet one, or 0 where IP packets travel bare (dev->hard_header_len, no header_ops). */
  hardHeaderLen = 14;
  minMtu = 68;
  maxMtu = 65535;
  /** MAC address: upper 16 and lower 32 bits (the lower as int32). */
  addrHi = 0;
  addrLo = 0;
  /** NET_ADDR_PERM 0, NET_ADDR_RANDOM 1, NET_ADDR_SET 3: how the address came about. */
  addrAssign = 0;
  operState: OperState = "DOWN";
  carrier = true;
  /** Name of the queueing discipline, which is attached when the device first goes up; before it is `noop`. */
  qdisc = "noqueue";
  qdiscAttached = false;
  txQueueLen = 1000;
  /** The other end: ifindex there and its namespace (veth peer, the underlay of a vxlan); null when none. */
  link: NetDevice | null = null;
  /** ifindex for `@ifN` when `link` is not a device object but was made in another namespace (vxlan); 0 none. */
  linkIndex = 0;
  linkNs: NetNs | null = null;
  /** The bridge that it is a port of. */
  master: NetDevice | null = null;
  rxHandler: RxHandler | null = null;
  /** VLAN devices on top of it by `vlanKey` (dev->vlan_info), null without any. */
  vlans: Map<number, NetDevice> | null = null;
  /** Bridge port state (net/bridge `BridgePort`), null when it is no port. */
  bridgePort: unknown = null;
  tap: Tap | null = null;
  /** IPv4 state of the device (net/ipv4 `InDevice`), null before IPv4 knows it. */
  in4: unknown = null;
  promiscuity = 0;
  allmulti = 0;
  /** Addresses besides its own that it must hear (dev->uc). */
  secondAddrs = 0;
  rxPackets = 0;
  rxBytes = 0;
  rxDropped = 0;
  rxMulticast = 0;
  txPackets = 0;
  txBytes = 0;
  txDropped = 0;

  constructor(ns: NetNs, name: string, ifindex: number, ops: DeviceOps, flags: number, mtu: number) {
    this.ns = ns;
    this.name = name;
    this.ifindex = ifindex;
    this.ops = ops;
    this.flags = flags;
    this.mtu = mtu;
  }

  get isUp(): boolean {
    return (this.flags & IFF_UP) !== 0;
  }

  /** Promiscuous for the receive filter: the flag, or a user of promiscuity (bridge, capture). */
  get isPromiscuous(): boolean {
    return this.promiscuity > 0;
  }
}
