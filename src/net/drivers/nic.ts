/**
 * A network card: one end of a cable (`cable.ts`). It takes the frames for its own address, broadcasts and multicasts;
 * others only when promiscuous.
 */

import type { Pinned } from "../../util/pinned.ts";
import { countRx, countTx, ethTypeTrans, netifReceiveSkb } from "../core/dev.ts";
import { DROP } from "../core/drop-reason.ts";
import type { Kernel } from "../core/kernel.ts";
import { linkwatchInitDev, netifCarrierOff, netifCarrierOn } from "../core/link-watch.ts";
import { type DeviceOps, IFF_BROADCAST, IFF_MULTICAST, IFF_UP, type NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import { RxPauses } from "../core/rx-pauses.ts";
import type { Skb } from "../core/skb.ts";
import { skbScrubPacket } from "../core/skb-scrub.ts";

/** Where a card's frames go: the port of a segment. */
export interface NicPort {
  /** Takes a frame, `data` at its Ethernet header, with nothing of the sending machine left on it. */
  transmit(skb: Skb): void;
}

/** What else `ip -d link` tells of a card. */
export interface NicOptions {
  /** Wanted ifindex; absent: the next. */
  readonly ifindex?: number;
  readonly mtu?: number;
  /** Default: `mtu`. */
  readonly maxMtu?: number;
  readonly qdisc?: string;
  readonly parentBus?: string;
  readonly parentDev?: string;
}

export class Nic {
  /** null: no cable plugged in. */
  port: NicPort | null = null;
  readonly parentBus: string;
  readonly parentDev: string;

  constructor(options: NicOptions) {
    this.parentBus = options.parentBus ?? "";
    this.parentDev = options.parentDev ?? "";
  }
}

const nicOps: DeviceOps = { kind: "nic", xmit: nicXmit };

/** Makes a card in `ns` with that MAC address (upper 16, lower 32 bits), down and unplugged. */
export function nicCreate(
  ns: NetNs,
  name: string,
  addrHi: number,
  addrLo: number,
  options: NicOptions = {},
): NetDevice {
  const mtu = options.mtu ?? 1500;
  const dev = ns.addDevice(name, nicOps, IFF_BROADCAST | IFF_MULTICAST, mtu, options.ifindex);
  dev.addrHi = addrHi;
  dev.addrLo = addrLo | 0;
  dev.maxMtu = options.maxMtu ?? mtu;
  dev.qdisc = options.qdisc ?? "pfifo_fast";
  dev.priv = new Nic(options);
  linkwatchInitDev(dev);
  return dev;
}

/** The card's own state, null when the device is no card. */
export function nicOf(dev: NetDevice): Nic | null {
  return dev.ops === nicOps ? (dev.priv as Nic) : null;
}

/** Plugs a cable in. A card that never lost its carrier shows the state UNKNOWN. */
export function nicPlug(dev: NetDevice, port: NicPort): void {
  (dev.priv as Nic).port = port;
  dev.carrier = true;
  dev.operState = "UNKNOWN";
}

/** Pulls the cable out. */
export function nicUnplug(dev: NetDevice): void {
  (dev.priv as Nic).port = null;
  netifCarrierOff(dev);
}

/** The link lost or regained its carrier (a cut cable). */
export function nicSetCarrier(dev: NetDevice, on: boolean): void {
  const { kernel } = dev.ns;
  kernel.enter();
  if (on) netifCarrierOn(dev);
  else netifCarrierOff(dev);
  kernel.leave();
}

/** A frame came over the cable, `data` at its Ethernet header. Runs the receiving machine. Takes the packet. */
export function nicReceive(dev: NetDevice, skb: Skb): void {
  if ((dev.flags & IFF_UP) === 0) {
    skb.drop(DROP.DEV_DOWN);
    return;
  }
  const hi = skb.view.getUint16(skb.data);
  if (!dev.isPromiscuous && (hi & 0x100) === 0) {
    if (hi !== dev.addrHi || skb.view.getInt32(skb.data + 2) !== dev.addrLo) {
      skb.consume();
      return;
    }
  }
  const { kernel } = dev.ns;
  countRx(dev, skb.length);
  ethTypeTrans(skb, dev);
  if (kernel.rxPauses === null) nicPoll(skb);
  else kernel.rxPauses.arrive(skb);
}

/** Takes a frame out of the card, `data` behind its Ethernet header. */
function nicPoll(skb: Skb): void {
  const { kernel } = skb.dev!.ns;
  if (kernel.kthreads.isPending) {
    kernel.kthreads.hold(skb);
    return;
  }
  kernel.enter();
  netifReceiveSkb(skb);
  kernel.leave();
}

/** Pins the pauses of a machine's cards between frames, ns. */
export function nicPinPauses(kernel: Kernel, pauses: Pinned<number>): void {
  kernel.rxPauses = new RxPauses(kernel, pauses, nicPoll);
}

function nicXmit(skb: Skb, dev: NetDevice): void {
  const { port } = dev.priv as Nic;
  if (port === null || !dev.carrier) {
    dev.txDropped++;
    skb.drop(DROP.DEV_NO_CARRIER);
    return;
  }
  countTx(dev, skb.length);
  skbScrubPacket(skb, true);
  skb.hash = 0;
  port.transmit(skb);
}
