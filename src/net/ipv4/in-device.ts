/** IPv4 state of a device (struct in_device, include/linux/inetdevice.h): addresses and parameters. */
import type { Timer } from "../../sim/timer.ts";
import type { Dst } from "../core/dst.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { Ipv4Devconf, NeighParms } from "./ipv4-conf.ts";

/** Bits of `IfAddr.flags` (include/uapi/linux/if_addr.h). */
export const IFA_F_SECONDARY = 0x01;
export const IFA_F_PERMANENT = 0x80;
export const IFA_F_NOPREFIXROUTE = 0x200;

/** An address of a device (struct in_ifaddr). */
export interface IfAddr {
  readonly local: number;
  /** Peer of a point-to-point address, else the same as `local`. */
  readonly address: number;
  readonly mask: number;
  readonly prefixLen: number;
  /** 0 when none. */
  readonly broadcast: number;
  /** RT_SCOPE_* */
  readonly scope: number;
  readonly label: string;
  /** IFA_F_* */
  flags: number;
  /** Metric of its prefix route, 0 when none. */
  metric: number;
  /** How long it lasts; null: for ever. */
  life: AddrLife | null;
}

/** Lifetimes of an address (ifa_valid_lft, ifa_preferred_lft), seconds from `stampNs`; Infinity for ever. */
export interface AddrLife {
  readonly validSec: number;
  readonly preferredSec: number;
  readonly stampNs: number;
  /** Takes the address away. */
  readonly timer: Timer;
}

export class InDevice {
  readonly dev: NetDevice;
  /** In the kernel's order: primaries by scope, secondaries behind. */
  readonly addresses: IfAddr[] = [];
  /** net.ipv4.conf.DEV.* */
  readonly conf: Ipv4Devconf;
  /** net.ipv4.neigh.DEV.* */
  readonly neighParms: NeighParms;
  /** Parameters of `conf` that were written for this device, so that `default` leaves them alone. */
  readonly written = new Set<string>();
  /** Route of packets that are bound to the device and have no other: the destination is taken to be on the link. */
  onlinkDst: Dst | null = null;
  /** Routes of limited broadcast and multicast: received by the device, and out of it. */
  broadcastDst: Dst | null = null;
  /** What leaves by this device for the broadcast address of its subnet. */
  forwardedBroadcastDst: Dst | null = null;
  multicastDst: Dst | null = null;
  broadcastOutDst: Dst | null = null;
  multicastOutDst: Dst | null = null;

  constructor(dev: NetDevice, conf: Ipv4Devconf, neighParms: NeighParms) {
    this.dev = dev;
    this.conf = conf;
    this.neighParms = neighParms;
  }
}

/** IPv4 state; null for a device that IPv4 does not know. */
export function inDevOf(dev: NetDevice): InDevice | null {
  return dev.in4 as InDevice | null;
}

/** Prefixes agree under the mask of `ifa` (inet_ifa_match). */
export function inetIfaMatch(addr: number, ifa: IfAddr): boolean {
  return ((addr ^ ifa.address) & ifa.mask) === 0;
}

/** Whether `a` (and `b`, unless 0) are in one subnet of the device (inet_addr_onlink). */
export function inetAddrOnlink(inDev: InDevice, a: number, b: number): boolean {
  for (let i = 0; i < inDev.addresses.length; i++) {
    const ifa = inDev.addresses[i];
    if (inetIfaMatch(a, ifa) && (b === 0 || inetIfaMatch(b, ifa))) return true;
  }
  return false;
}
