/**
 * A network namespace (include/net/net_namespace.h): the unit of isolation; every table hangs on it. The upper layers
 * keep their state in the slots below; each layer has one typed accessor (`ipv4Of(ns)`), so that imports point down.
 */
import { SysError } from "../../util/errors.ts";
import { HookTable } from "./hooks.ts";
import type { Kernel } from "./kernel.ts";
import { type DeviceOps, IFF_UP, NetDevice } from "./net-device.ts";
import type { Skb } from "./skb.ts";
import { SysctlTable } from "./sysctl.ts";

/** Takes a packet of one EtherType: `data` stands behind the Ethernet header. */
export type PacketHandler = (skb: Skb, dev: NetDevice) => void;

/** What upper layers want to hear of devices (netdevice notifier). */
export interface DeviceListener {
  registered?(dev: NetDevice): void;
  /** About to go: still in the table. Also when it moves to another namespace. */
  unregistering?(dev: NetDevice): void;
  up?(dev: NetDevice): void;
  down?(dev: NetDevice): void;
  addressChanged?(dev: NetDevice): void;
  mtuChanged?(dev: NetDevice, oldMtu: number): void;
  /** An IPv4 address (int32) left the device (inetaddr notifier, NETDEV_DOWN). */
  inetAddrRemoved?(dev: NetDevice, addr: number): void;
  /** Carrier or operational state changed. */
  carrierChanged?(dev: NetDevice): void;
}

export class NetNs {
  readonly kernel: Kernel;
  /** Name in the lab: `host`, `ingress_sbox`, `ovl-mynet`, `ctr-web.1`. */
  name: string;
  /** Path that `nsenter --net=` takes, "" for the host's. */
  path: string;
  /** Number of its own in the machine: 0 is the host's. */
  readonly id: number;
  readonly hooks = new HookTable();
  readonly sysctl = new SysctlTable();
  readonly listeners: DeviceListener[] = [];
  /** Handlers by EtherType. */
  ipPacket: PacketHandler | null = null;
  arpPacket: PacketHandler | null = null;
  /** Slots of upper layers. */
  ipv4: unknown = null;
  netfilter: unknown = null;
  nft: unknown = null;
  conntrack: unknown = null;
  nat: unknown = null;
  ipvs: unknown = null;
  xfrm: unknown = null;
  bridgeNf: unknown = null;
  vxlan: unknown = null;
  ipTunnel: unknown = null;
  /** Other namespaces by the id under which this one knows them (`link-netnsid`); null: free again. */
  readonly peerNetns: (NetNs | null)[] = [];
  private readonly byIndex = new Map<number, NetDevice>();
  private readonly byName = new Map<string, NetDevice>();
  private nextIfindex = 1;

  constructor(kernel: Kernel, name: string, path: string, id: number) {
    this.kernel = kernel;
    this.name = name;
    this.path = path;
    this.id = id;
  }

  /** Devices by ifindex, ascending. */
  devices(): NetDevice[] {
    return [...this.byIndex.values()].sort((a, b) => a.ifindex - b.ifindex);
  }

  device(name: string): NetDevice | undefined {
    return this.byName.get(name);
  }

  deviceByIndex(ifindex: number): NetDevice | undefined {
    return this.byIndex.get(ifindex);
  }

  /** The id under which this namespace shows `other`, the lowest free one at first (peernet2id_alloc); -1 for itself. */
  netnsId(other: NetNs): number {
    if (other === this) return -1;
    const known = this.peerNetns.indexOf(other);
    if (known >= 0) return known;
    const free = this.peerNetns.indexOf(null);
    if (free < 0) return this.peerNetns.push(other) - 1;
    this.peerNetns[free] = other;
    return free;
  }

  /** `other` is deleted: its id is free. */
  forgetNetns(other: NetNs): void {
    const known = this.peerNetns.indexOf(other);
    if (known >= 0) this.peerNetns[known] = null;
  }

  /** Makes a device here (register_netdevice), down. EEXIST when the name is taken. */
  addDevice(name: string, ops: DeviceOps, flags: number, mtu: number, ifindex = 0): NetDevice {
    if (this.byName.has(name)) throw new SysError("EEXIST", name);
    const dev = new NetDevice(this, name, this.takeIfindex(ifindex), ops, flags, mtu);
    this.insert(dev);
    for (const listener of this.listeners) listener.registered?.(dev);
    return dev;
  }

  /** Deletes a device (unregister_netdevice): it goes down first. */
  removeDevice(dev: NetDevice): void {
    this.setDown(dev);
    if (dev.vlans !== null) for (const vlan of [...dev.vlans.values()]) vlan.ns.removeDevice(vlan);
    for (const listener of this.listeners) listener.unregistering?.(dev);
    this.byIndex.delete(dev.ifindex);
    this.byName.delete(dev.name);
    dev.ops.uninit?.(dev);
  }

  /**
   * Moves a device to another namespace under `name` (dev_change_net_namespace): goes down, keeps its ifindex when that
   * is free there. EEXIST when the name is taken there.
   */
  moveDevice(dev: NetDevice, to: NetNs, name: string): void {
    if (to.byName.has(name)) throw new SysError("EEXIST", name);
    this.setDown(dev);
    for (const listener of this.listeners) listener.unregistering?.(dev);
    this.byIndex.delete(dev.ifindex);
    this.byName.delete(dev.name);
    dev.in4 = null;
    dev.qdiscAttached = false;
    dev.ns = to;
    dev.name = name;
    dev.ifindex = to.takeIfindex(to.byIndex.has(dev.ifindex) ? 0 : dev.ifindex);
    to.insert(dev);
    for (const listener of to.listeners) listener.registered?.(dev);
  }

  renameDevice(dev: NetDevice, name: string): void {
    if (this.byName.has(name)) throw new SysError("EEXIST", name);
    this.byName.delete(dev.name);
    dev.name = name;
    this.byName.set(name, dev);
  }

  setUp(dev: NetDevice): void {
    if (dev.isUp) return;
    dev.flags |= IFF_UP;
    dev.qdiscAttached = true;
    dev.ops.open?.(dev);
    for (const listener of this.listeners) listener.up?.(dev);
  }

  setDown(dev: NetDevice): void {
    if (!dev.isUp) return;
    dev.flags &= ~IFF_UP;
    dev.ops.stop?.(dev);
    for (const listener of this.listeners) listener.down?.(dev);
  }

  private takeIfindex(wanted: number): number {
    if (wanted > 0 && !this.byIndex.has(wanted)) return wanted;
    while (this.byIndex.has(this.nextIfindex)) this.nextIfindex++;
    return this.nextIfindex++;
  }

  private insert(dev: NetDevice): void {
    this.byIndex.set(dev.ifindex, dev);
    this.byName.set(dev.name, dev);
  }
}
