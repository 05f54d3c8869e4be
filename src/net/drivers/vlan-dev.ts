/**
 * VLAN devices (net/8021q/vlan.c, vlan_dev.c; IEEE 802.1Q): what one sends leaves by the device below with its tag; reception
 * is in core/vlan.ts. It follows the device below: up and down, carrier, MTU and, until it has one of its own, address.
 */
import { SysError } from "../../util/errors.ts";
import { ETH_P_8021Q } from "../../wire/ethernet.ts";
import { devQueueXmit } from "../core/dev.ts";
import { devSetAllmulti, devSetPromiscuity, devUcAdd } from "../core/dev-rx-flags.ts";
import type { Kernel } from "../core/kernel.ts";
import { netifCarrierOff, netifCarrierOn } from "../core/link-watch.ts";
import {
  type DeviceOps,
  IFF_ALLMULTI,
  IFF_LOOPBACK,
  IFF_PROMISC,
  IFF_UP,
  type NetDevice,
} from "../core/net-device.ts";
import type { DeviceListener, NetNs } from "../core/net-ns.ts";
import type { Skb } from "../core/skb.ts";
import { type VlanDev, vlanFindDev, vlanKey } from "../core/vlan.ts";

const MAX_VLAN = 4095;
/** NET_ADDR_STOLEN: the address is that of the device below. */
const NET_ADDR_STOLEN = 2;

/** What a VLAN device is made with. */
export interface VlanParms {
  /** Ethernet type of the tag; absent: 0x8100. */
  readonly protocol?: number;
  readonly id?: number;
  /** Stays up when the device below goes down. */
  readonly looseBinding?: boolean;
}

class Vlan implements VlanDev {
  readonly realDev: NetDevice;
  readonly protocol: number;
  readonly id: number;
  readonly looseBinding: boolean;
  /** The address of the device below when it was last looked at, which tells whether that listens for ours too. */
  realHi = 0;
  realLo = 0;

  constructor(realDev: NetDevice, protocol: number, id: number, looseBinding: boolean) {
    this.realDev = realDev;
    this.protocol = protocol;
    this.id = id;
    this.looseBinding = looseBinding;
  }
}

const vlanOps: DeviceOps = {
  kind: "vlan",
  xmit: vlanDevHardStartXmit,
  open: vlanDevOpen,
  stop: vlanDevStop,
  uninit: vlanDevUninit,
  promiscuityChanged: (dev, change) => {
    if (dev.isUp) devSetPromiscuity(vlanDevOf(dev)!.realDev, change);
  },
  allmultiChanged: (dev, change) => {
    if (dev.isUp) devSetAllmulti(vlanDevOf(dev)!.realDev, change);
  },
};

export function vlanDevOf(dev: NetDevice): Vlan | null {
  return dev.ops === vlanOps ? (dev.priv as Vlan) : null;
}

/** Loads the module (vlan_proto_init): harmless when it is there. */
function vlanModuleInit(kernel: Kernel): void {
  if (kernel.initNs.listeners.includes(vlanListener)) return;
  kernel.printk("8021q: 802.1Q VLAN Support v1.8");
  kernel.registerPernet(watchRealDevs);
}

function watchRealDevs(ns: NetNs): void {
  ns.listeners.push(vlanListener);
}

function refuse(code: "EINVAL" | "ERANGE" | "EEXIST" | "EOPNOTSUPP", words: string): SysError {
  return new SysError(code, `Error: 8021q: ${words}.`);
}

/**
 * Makes a VLAN device in `ns` on `realDev`, down (vlan_newlink). `mtu` 0: that of the device below. EINVAL, ERANGE, EEXIST,
 * EOPNOTSUPP with the kernel's words.
 */
export function vlanNewlink(
  ns: NetNs,
  name: string,
  realDev: NetDevice | null,
  parms: VlanParms,
  mtu: number,
  ifindex = 0,
): NetDevice {
  vlanModuleInit(ns.kernel);
  const { protocol = ETH_P_8021Q, id, looseBinding = false } = parms;
  if (id === undefined) throw refuse("EINVAL", "VLAN properties not specified");
  if (id >= MAX_VLAN) throw refuse("ERANGE", "Invalid VLAN id");
  if (realDev === null) throw refuse("EINVAL", "link not specified");
  if ((realDev.flags & IFF_LOOPBACK) !== 0 || realDev.hardHeaderLen === 0) {
    ns.kernel.printk(`8021q: VLANs not supported on ${realDev.name}`);
    throw refuse("EOPNOTSUPP", "VLANs not supported on device");
  }
  if (vlanFindDev(realDev, protocol, id) !== null) throw refuse("EEXIST", "VLAN device already exists");
  if (mtu > realDev.mtu) throw new SysError("EINVAL");
  const flags = realDev.flags & ~(IFF_UP | IFF_PROMISC | IFF_ALLMULTI);
  const dev = ns.addDevice(name, vlanOps, flags, mtu === 0 ? realDev.mtu : mtu, ifindex);
  dev.minMtu = 0;
  dev.priv = new Vlan(realDev, protocol, id, looseBinding);
  dev.link = realDev;
  dev.carrier = false;
  dev.addrHi = realDev.addrHi;
  dev.addrLo = realDev.addrLo;
  dev.addrAssign = NET_ADDR_STOLEN;
  realDev.vlans ??= new Map();
  realDev.vlans.set(vlanKey(protocol, id), dev);
  transferOperState(realDev, dev);
  return dev;
}

/** The largest MTU of a VLAN device is that of the one below. ERANGE. */
export function vlanCheckMtu(dev: NetDevice, mtu: number): void {
  const vlan = vlanDevOf(dev);
  if (vlan !== null && mtu > vlan.realDev.mtu) throw new SysError("ERANGE", dev.name);
}

/** The device gets an address of its own: called before it has it (vlan_dev_set_mac_address). */
export function vlanSetAddress(dev: NetDevice, hi: number, lo: number): void {
  const vlan = vlanDevOf(dev);
  if (vlan === null || !dev.isUp) return;
  const { realDev } = vlan;
  if (hi !== realDev.addrHi || lo !== realDev.addrLo) devUcAdd(realDev, 1);
  if (dev.addrHi !== realDev.addrHi || dev.addrLo !== realDev.addrLo) devUcAdd(realDev, -1);
}

function vlanDevHardStartXmit(skb: Skb, dev: NetDevice): void {
  const vlan = dev.priv as Vlan;
  skb.vlanProto = vlan.protocol;
  skb.vlanTci = vlan.id;
  skb.dev = vlan.realDev;
  dev.txPackets++;
  dev.txBytes += skb.length;
  devQueueXmit(skb);
}

function ownAddress(dev: NetDevice, realDev: NetDevice): boolean {
  return dev.addrHi !== realDev.addrHi || dev.addrLo !== realDev.addrLo;
}

/** Takes the address of the device below, unless it was given one (vlan_dev_inherit_address). */
function inheritAddress(dev: NetDevice, realDev: NetDevice): boolean {
  if (dev.addrAssign !== NET_ADDR_STOLEN) return false;
  dev.addrHi = realDev.addrHi;
  dev.addrLo = realDev.addrLo;
  for (const listener of dev.ns.listeners) listener.addressChanged?.(dev);
  return true;
}

function vlanDevOpen(dev: NetDevice): void {
  const vlan = dev.priv as Vlan;
  const { realDev } = vlan;
  if (!realDev.isUp && !vlan.looseBinding) throw new SysError("ENETDOWN");
  if (ownAddress(dev, realDev) && !inheritAddress(dev, realDev)) devUcAdd(realDev, 1);
  if (dev.allmulti > 0) devSetAllmulti(realDev, 1);
  if (dev.promiscuity > 0) devSetPromiscuity(realDev, 1);
  vlan.realHi = realDev.addrHi;
  vlan.realLo = realDev.addrLo;
  if (realDev.carrier) netifCarrierOn(dev);
}

function vlanDevStop(dev: NetDevice): void {
  const { realDev } = dev.priv as Vlan;
  if (dev.allmulti > 0) devSetAllmulti(realDev, -1);
  if (dev.promiscuity > 0) devSetPromiscuity(realDev, -1);
  if (ownAddress(dev, realDev)) devUcAdd(realDev, -1);
  netifCarrierOff(dev);
}

function vlanDevUninit(dev: NetDevice): void {
  const { realDev, protocol, id } = dev.priv as Vlan;
  realDev.vlans?.delete(vlanKey(protocol, id));
  if (realDev.vlans?.size === 0) realDev.vlans = null;
}

/** The carrier of the device below is that of the VLAN's (netif_stacked_transfer_operstate). */
function transferOperState(realDev: NetDevice, dev: NetDevice): void {
  if (realDev.carrier) netifCarrierOn(dev);
  else netifCarrierOff(dev);
}

/** The device below has another address (vlan_sync_address). */
function syncAddress(realDev: NetDevice, dev: NetDevice): void {
  const vlan = dev.priv as Vlan;
  if (vlan.realHi === realDev.addrHi && vlan.realLo === realDev.addrLo) return;
  if (!inheritAddress(dev, realDev)) {
    const was = dev.addrHi !== vlan.realHi || dev.addrLo !== vlan.realLo;
    const is = ownAddress(dev, realDev);
    if (was !== is) devUcAdd(realDev, is ? 1 : -1);
  }
  vlan.realHi = realDev.addrHi;
  vlan.realLo = realDev.addrLo;
}

function vlansOf(dev: NetDevice): NetDevice[] {
  if (dev.vlans === null) return [];
  return [...dev.vlans].sort(([a], [b]) => a - b).map(([, vlan]) => vlan);
}

/** What happens to a device happens to those on it (vlan_device_event). */
const vlanListener: DeviceListener = {
  up(realDev) {
    for (const dev of vlansOf(realDev)) {
      if (dev.isUp) continue;
      if (!vlanDevOf(dev)!.looseBinding) dev.ns.setUp(dev);
      transferOperState(realDev, dev);
    }
  },
  down(realDev) {
    for (const dev of vlansOf(realDev)) {
      if (!dev.isUp) continue;
      if (!vlanDevOf(dev)!.looseBinding) dev.ns.setDown(dev);
      transferOperState(realDev, dev);
    }
  },
  carrierChanged(realDev) {
    for (const dev of vlansOf(realDev)) transferOperState(realDev, dev);
  },
  addressChanged(realDev) {
    for (const dev of vlansOf(realDev)) if (dev.isUp) syncAddress(realDev, dev);
  },
  mtuChanged(realDev) {
    for (const dev of vlansOf(realDev)) {
      if (dev.mtu <= realDev.mtu) continue;
      const oldMtu = dev.mtu;
      dev.mtu = realDev.mtu;
      for (const listener of dev.ns.listeners) listener.mtuChanged?.(dev, oldMtu);
    }
  },
};
