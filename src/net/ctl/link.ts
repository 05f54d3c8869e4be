/**
 * Network devices at the door to the kernel: what RTM_NEWLINK and RTM_DELLINK do (net/core/rtnetlink.c). A refused request
 * is a SysError; where the kernel has words of its own (extack) its detail is `Error: WORDS.`
 */
import { SysError } from "../../util/errors.ts";
import { brNewlink } from "../bridge/br-device.ts";
import { brAddIf, brDelIf } from "../bridge/br-if.ts";
import { bridgeOf, bridgePortOf } from "../bridge/br-private.ts";
import { brStpChangeBridgeId, brStpRecalculateBridgeId } from "../bridge/br-stp.ts";
import { devSetAllmulti, devSetPromiscuity } from "../core/dev-rx-flags.ts";
import { netifCarrierOff, netifCarrierOn, rtmsgIfinfo } from "../core/link-watch.ts";
import { IFF_ALLMULTI, IFF_PROMISC, IFF_UP, type NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import { dummyNewlink } from "../drivers/dummy.ts";
import {
  IP_TUNNEL_ANY,
  IP_TUNNEL_MAX_MTU,
  IP_TUNNEL_MIN_MTU,
  type IpTunnelParms,
  ipTunnelChange,
  ipTunnelOf,
  isFallbackTunnel,
} from "../drivers/ip-tunnel.ts";
import { ipipModuleInit, ipipNewlink } from "../drivers/ipip.ts";
import { vethNewlink } from "../drivers/veth.ts";
import { type VlanParms, vlanCheckMtu, vlanNewlink, vlanSetAddress } from "../drivers/vlan-dev.ts";
import { vxlanChangelink, vxlanNewlink } from "../drivers/vxlan.ts";
import { VXLAN_DEFAULTS, type VxlanConfig, vxlanOf } from "../drivers/vxlan-private.ts";

/** A MAC address: upper 16 and lower 32 bits. */
export interface MacSpec {
  readonly hi: number;
  readonly lo: number;
}

/** What every kind takes. Without `address` a random one is made. `mtu` 0 or absent: that of the kind. */
interface LinkCommon {
  readonly name: string;
  readonly address?: MacSpec;
  readonly mtu?: number;
  /** Wanted ifindex; 0 or absent: the next. */
  readonly ifindex?: number;
  /** Absent: 1000. Both ends of a pair get it. */
  readonly txQueueLen?: number;
}

/** A device to make. VXLAN settings that are absent are the kernel's defaults. */
export type LinkSpec =
  | (LinkCommon & { readonly kind: "bridge" })
  | (LinkCommon & { readonly kind: "dummy" })
  | (LinkCommon & {
      readonly kind: "veth";
      /** Name of the other end. */
      readonly peer: string;
      /** Where the other end is made; absent: here. */
      readonly peerNs?: NetNs;
      readonly peerAddress?: MacSpec;
      readonly peerIfindex?: number;
      readonly peerMtu?: number;
    })
  | (LinkCommon & { readonly kind: "vxlan"; readonly vni: number } & Partial<VxlanConfig>)
  /** Loads the module. `lower` null: not said. */
  | (LinkCommon & { readonly kind: "vlan"; readonly lower: NetDevice | null } & VlanParms)
  /** Loads the module. `link` is an ifindex here. */
  | (LinkCommon & { readonly kind: "ipip" } & Partial<IpTunnelParms>);

const NET_ADDR_RANDOM = 1;
const NET_ADDR_SET = 3;
const IFNAMSIZ = 16;
const MAX_VNI = 0xffffff;

/** Makes a device, down; for a pair the result is the end called `name`. EEXIST, EINVAL. */
export function linkAdd(ns: NetNs, spec: LinkSpec): NetDevice {
  checkName(spec.name);
  ns.kernel.enter();
  try {
    const dev = newlink(ns, spec);
    if (spec.address !== undefined) linkSetAddress(dev, spec.address.hi, spec.address.lo);
    if (spec.mtu !== undefined && spec.mtu !== 0 && spec.kind !== "ipip" && spec.kind !== "vlan")
      linkSetMtu(dev, spec.mtu);
    if (spec.txQueueLen !== undefined) {
      linkSetTxQueueLen(dev, spec.txQueueLen);
      if (spec.kind === "veth" && dev.link !== null) linkSetTxQueueLen(dev.link, spec.txQueueLen);
    }
    rtmsgIfinfo(dev);
    return dev;
  } finally {
    ns.kernel.leave();
  }
}

function newlink(ns: NetNs, spec: LinkSpec): NetDevice {
  const ifindex = spec.ifindex ?? 0;
  if (spec.kind === "bridge") {
    const mac = randomMac(ns, spec.name);
    return brNewlink(ns, spec.name, mac.hi, mac.lo, ifindex);
  }
  if (spec.kind === "veth") return vethAdd(ns, spec);
  if (spec.kind === "ipip") {
    ipipModuleInit(ns.kernel);
    return ipipNewlink(ns, spec.name, parmsOf(spec), spec.mtu ?? 0, ifindex);
  }
  if (spec.kind === "vlan") return vlanNewlink(ns, spec.name, spec.lower, spec, spec.mtu ?? 0, ifindex);
  if (spec.kind === "vxlan" && (spec.vni < 0 || spec.vni > MAX_VNI)) throw new SysError("ERANGE", "vni");
  const dev =
    spec.kind === "dummy"
      ? dummyNewlink(ns, spec.name, ifindex)
      : vxlanNewlink(ns, spec.name, { ...VXLAN_DEFAULTS, ...spec }, ifindex);
  setRandomAddress(dev);
  return dev;
}

/** The parameters of a tunnel among the other settings. */
function parmsOf(from: Partial<IpTunnelParms>): IpTunnelParms {
  const { local, remote, link, ttl, tos, pmtudisc, protocol } = { ...IP_TUNNEL_ANY, ...from };
  return { local, remote, link, ttl, tos, pmtudisc, protocol };
}

function vethAdd(ns: NetNs, spec: LinkSpec & { kind: "veth" }): NetDevice {
  checkName(spec.peer);
  const peerNs = spec.peerNs ?? ns;
  const taken = ns.device(spec.name) ?? peerNs.device(spec.peer);
  if (taken !== undefined || (peerNs === ns && spec.peer === spec.name))
    throw new SysError("EEXIST", spec.name);
  const dev = vethNewlink(ns, spec.name, peerNs, spec.peer, spec.ifindex, spec.peerIfindex);
  const peer = dev.link!;
  setRandomAddress(dev);
  setRandomAddress(peer);
  if (spec.peerAddress !== undefined) linkSetAddress(peer, spec.peerAddress.hi, spec.peerAddress.lo);
  const peerMtu = spec.peerMtu ?? spec.mtu ?? 0;
  if (peerMtu !== 0) linkSetMtu(peer, peerMtu);
  return dev;
}

/** Deletes a device, a pair with both ends; nothing happens to `tunl0`. EOPNOTSUPP for loopback and cards. */
export function linkDel(dev: NetDevice): void {
  const { ns } = dev;
  if (dev.ops.kind === "loopback" || dev.ops.kind === "nic") throw new SysError("EOPNOTSUPP", dev.name);
  if (isFallbackTunnel(dev)) return;
  ns.kernel.enter();
  const br = bridgeOf(dev);
  while (br !== null && br.ports.length > 0) brDelIf(br, br.ports[0].dev);
  ns.removeDevice(dev);
  ns.kernel.leave();
}

/** The device of that name; ENODEV. */
export function linkGet(ns: NetNs, name: string): NetDevice {
  const dev = ns.device(name);
  if (dev === undefined) throw new SysError("ENODEV", name);
  return dev;
}

/** Sets a device up. EADDRINUSE when a VXLAN device finds its port taken; it stays down then. */
export function linkSetUp(dev: NetDevice): void {
  change(dev, () => {
    try {
      dev.ns.setUp(dev);
    } catch (error) {
      dev.flags &= ~IFF_UP;
      throw error;
    }
  });
}

export function linkSetDown(dev: NetDevice): void {
  change(dev, () => dev.ns.setDown(dev));
}

/** Makes a device a port of `bridge`, or of none (null). EINVAL, ELOOP, EOPNOTSUPP when `bridge` is no bridge. */
export function linkSetMaster(dev: NetDevice, bridge: NetDevice | null): void {
  change(dev, () => {
    const port = bridgePortOf(dev);
    if (port !== null && port.br.dev === bridge) return;
    if (port !== null) brDelIf(port.br, dev);
    if (bridge === null) return;
    const br = bridgeOf(bridge);
    if (br === null) throw new SysError("EOPNOTSUPP", bridge.name);
    if (bridge.ns !== dev.ns) throw new SysError("EINVAL", dev.name);
    brAddIf(br, dev);
  });
}

/** Gives a device a MAC address. EADDRNOTAVAIL for one that no station can have, EOPNOTSUPP for loopback. */
export function linkSetAddress(dev: NetDevice, hi: number, lo: number): void {
  if (dev.ops.kind === "loopback") throw new SysError("EOPNOTSUPP", dev.name);
  if ((hi & 0x100) !== 0 || (hi === 0 && lo === 0)) throw new SysError("EADDRNOTAVAIL", dev.name);
  change(dev, () => {
    dev.addrAssign = NET_ADDR_SET;
    const br = bridgeOf(dev);
    if (br !== null) {
      brStpChangeBridgeId(br, hi, lo | 0);
      return;
    }
    vlanSetAddress(dev, hi, lo | 0);
    dev.addrHi = hi;
    dev.addrLo = lo | 0;
    for (const listener of dev.ns.listeners) listener.addressChanged?.(dev);
  });
}

/** Sets the MTU. EINVAL with the kernel's words when the device does not take it. */
export function linkSetMtu(dev: NetDevice, mtu: number): void {
  if (mtu < 0 || mtu < dev.minMtu) throw new SysError("EINVAL", "Error: mtu less than device minimum.");
  if (dev.maxMtu > 0 && mtu > dev.maxMtu)
    throw new SysError("EINVAL", "Error: mtu greater than device maximum.");
  if (ipTunnelOf(dev) !== null && (mtu < IP_TUNNEL_MIN_MTU || mtu > IP_TUNNEL_MAX_MTU))
    throw new SysError("EINVAL", dev.name);
  vlanCheckMtu(dev, mtu);
  const br = bridgeOf(dev);
  if (br !== null) br.mtuSetByUser = true;
  if (dev.mtu === mtu) return;
  change(dev, () => {
    const oldMtu = dev.mtu;
    dev.mtu = mtu;
    for (const listener of dev.ns.listeners) listener.mtuChanged?.(dev, oldMtu);
  });
}

/** Renames a device. EBUSY while it is up, EEXIST, EINVAL for a bad name. */
export function linkSetName(dev: NetDevice, name: string): void {
  if (name === dev.name) return;
  checkName(name);
  if (dev.isUp) throw new SysError("EBUSY", dev.name);
  change(dev, () => {
    const old = dev.name;
    dev.ns.renameDevice(dev, name);
    dev.ns.kernel.printk(`${name}: renamed from ${old}`);
  });
}

/** Moves a device to another namespace; it goes down. EINVAL for loopback and bridges, EEXIST. */
export function linkSetNetns(dev: NetDevice, ns: NetNs, newName?: string): void {
  if (dev.ns === ns) return;
  if (dev.ops.kind === "loopback" || dev.ops.kind === "bridge")
    throw new SysError("EINVAL", "Error: The interface netns is immutable.");
  if (isFallbackTunnel(dev)) throw new SysError("EINVAL", dev.name);
  const name = newName ?? dev.name;
  checkName(name);
  const old = dev.ns;
  change(dev, () => {
    old.netnsId(ns);
    old.moveDevice(dev, ns, name);
  });
}

/** Sets or clears one of the flags that are only noted: IFF_NOARP, IFF_MULTICAST. */
export function linkSetFlag(dev: NetDevice, flag: number, on: boolean): void {
  change(dev, () => {
    dev.flags = on ? dev.flags | flag : dev.flags & ~flag;
  });
}

/** Switches promiscuous mode by hand; counts as one user of it. */
export function linkSetPromisc(dev: NetDevice, on: boolean): void {
  if (((dev.flags & IFF_PROMISC) !== 0) === on) return;
  dev.flags = on ? dev.flags | IFF_PROMISC : dev.flags & ~IFF_PROMISC;
  devSetPromiscuity(dev, on ? 1 : -1);
}

export function linkSetAllmulti(dev: NetDevice, on: boolean): void {
  if (((dev.flags & IFF_ALLMULTI) !== 0) === on) return;
  dev.flags = on ? dev.flags | IFF_ALLMULTI : dev.flags & ~IFF_ALLMULTI;
  devSetAllmulti(dev, on ? 1 : -1);
}

/** Plugs a dummy device in or out (dev_change_carrier). EOPNOTSUPP for those whose driver knows better. */
export function linkSetCarrier(dev: NetDevice, on: boolean): void {
  if (dev.ops.kind !== "dummy") throw new SysError("EOPNOTSUPP", dev.name);
  if (on) netifCarrierOn(dev);
  else netifCarrierOff(dev);
}

export function linkSetTxQueueLen(dev: NetDevice, length: number): void {
  if (length < 0) throw new SysError("EINVAL", dev.name);
  dev.txQueueLen = length;
}

/** Changes settings of a VXLAN device. EOPNOTSUPP for what is fixed, or a device of another kind. */
export function linkSetVxlan(dev: NetDevice, changes: Partial<VxlanConfig>): void {
  if (vxlanOf(dev) === null) throw new SysError("EOPNOTSUPP", dev.name);
  change(dev, () => vxlanChangelink(dev, changes));
}

/** Changes parameters of an IP tunnel. EINVAL, EEXIST; EOPNOTSUPP for a device of another kind. */
export function linkSetIpTunnel(dev: NetDevice, changes: Partial<IpTunnelParms>): void {
  const tunnel = ipTunnelOf(dev);
  if (tunnel === null) throw new SysError("EOPNOTSUPP", dev.name);
  change(dev, () => ipTunnelChange(dev, { ...tunnel.parms, ...changes }));
}

/** Lets the bridge take the address of its ports again. */
export function linkResetBridgeAddress(dev: NetDevice): void {
  const br = bridgeOf(dev);
  if (br === null) throw new SysError("EOPNOTSUPP", dev.name);
  dev.addrAssign = NET_ADDR_RANDOM;
  brStpRecalculateBridgeId(br);
}

/** Runs a request as one section of the kernel and gives notice. */
function change(dev: NetDevice, request: () => void): void {
  const { kernel } = dev.ns;
  kernel.enter();
  try {
    request();
    rtmsgIfinfo(dev);
  } finally {
    kernel.leave();
  }
}

function checkName(name: string): void {
  if (name === "" || name.length >= IFNAMSIZ || name === "." || name === ".." || /[/:\s]/.test(name))
    throw new SysError("EINVAL", name);
}

/** A random address, locally administered (eth_random_addr); its own stream per device. */
function randomMac(ns: NetNs, name: string): MacSpec {
  const prng = ns.kernel.prng.stream(`mac/${ns.id}/${name}/${ns.kernel.sim.now}`);
  return { hi: ((prng.u32() >>> 16) & 0xfeff) | 0x0200, lo: prng.i32() };
}

function setRandomAddress(dev: NetDevice): void {
  const mac = randomMac(dev.ns, dev.name);
  dev.addrHi = mac.hi;
  dev.addrLo = mac.lo;
  dev.addrAssign = NET_ADDR_RANDOM;
}
