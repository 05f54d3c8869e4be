/**
 * Neighbours: an entry's life (net/core/neighbour.c, net/ipv4/arp.c) and the last step of an IP packet, which gets its
 * Ethernet header here. RFC 826 for the resolution, RFC 4861 section 7.3 for the states.
 */
import { MS, SEC } from "../../sim/sim.ts";
import { Timer } from "../../sim/timer.ts";
import { ipSaddr } from "../../wire/ipv4.ts";
import { devQueueXmit, ETH_HLEN, ETH_P_IP } from "../core/dev.ts";
import { DROP } from "../core/drop-reason.ts";
import { type Dst, RTN_BROADCAST, RTN_LOCAL, RTN_MULTICAST } from "../core/dst.ts";
import { IFF_LOOPBACK, IFF_NOARP, IFF_POINTOPOINT, type NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import type { Skb } from "../core/skb.ts";
import { inDevOf } from "./in-device.ts";
import type { NeighParms } from "./ipv4-conf.ts";
import { ipv4Of } from "./ipv4-net.ts";
import { inetAddrType } from "./route.ts";

/** NUD_* states (include/uapi/linux/neighbour.h). */
export const NUD_NONE = 0;
export const NUD_INCOMPLETE = 0x01;
export const NUD_REACHABLE = 0x02;
export const NUD_STALE = 0x04;
export const NUD_DELAY = 0x08;
export const NUD_PROBE = 0x10;
export const NUD_FAILED = 0x20;
export const NUD_NOARP = 0x40;
export const NUD_PERMANENT = 0x80;
export const NUD_IN_TIMER = NUD_INCOMPLETE | NUD_REACHABLE | NUD_DELAY | NUD_PROBE;
export const NUD_CONNECTED = NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE;
export const NUD_VALID = NUD_CONNECTED | NUD_PROBE | NUD_STALE | NUD_DELAY;

/** Flags of {@link neighUpdate}. */
export const NEIGH_UPDATE_F_OVERRIDE = 0x01;
export const NEIGH_UPDATE_F_WEAK_OVERRIDE = 0x02;
export const NEIGH_UPDATE_F_ADMIN = 0x80;

/** What a queued packet is charged with against unres_qlen_bytes: a full frame's buffer (SKB_TRUESIZE). */
const QUEUED_TRUESIZE = 2108;
/** Shortest timer, HZ/100. */
const TIMER_MIN_NS = 10 * MS;

export class Neighbour {
  readonly dev: NetDevice;
  readonly ip: number;
  /** MAC address, upper 16 and lower 32 bits. */
  haHi = 0;
  haLo = 0;
  nudState = NUD_NONE;
  /** Last proof that it is there, last change, last use; ns. */
  confirmedNs: number;
  updatedNs: number;
  usedNs: number;
  probes = 0;
  /** Out of the table: whoever still points at it must look again. */
  dead = false;
  /** RTPROT_* that set it, 0 none; NTF_* flags. */
  protocol = 0;
  flags = 0;
  next: Neighbour | null = null;
  /** Packets that wait for the address: a list by `Skb.next`. */
  queueHead: Skb | null = null;
  queueTail: Skb | null = null;
  queuedBytes = 0;
  readonly parms: NeighParms;
  readonly timer: Timer;

  /** Its address is known, and not known to be wrong. */
  get isValid(): boolean {
    return (this.nudState & NUD_VALID) !== 0;
  }

  /** It answered lately. */
  get isReachable(): boolean {
    return (this.nudState & NUD_REACHABLE) !== 0;
  }

  /** It is being asked for the first time. */
  get isIncomplete(): boolean {
    return (this.nudState & NUD_INCOMPLETE) !== 0;
  }

  constructor(dev: NetDevice, ip: number, parms: NeighParms) {
    const kernel = dev.ns.kernel;
    this.dev = dev;
    this.ip = ip;
    this.parms = parms;
    const now = kernel.sim.now;
    this.updatedNs = now;
    this.usedNs = now;
    this.confirmedNs = now - 2 * parms.baseReachableTimeMs * MS;
    this.timer = new Timer(kernel.sim, () => {
      kernel.enter();
      neighTimerHandler(this);
      kernel.leave();
    });
  }
}

/** The entry of `ip` on `dev`, null when there is none. */
export function neighLookup(ns: NetNs, dev: NetDevice, ip: number): Neighbour | null {
  return ipv4Of(ns).neighbours.find(dev, ip);
}

/** The entry of `ip` on `dev`, made when there is none; null when the table is full or the device has no IPv4. */
export function neighCreate(ns: NetNs, dev: NetDevice, ip: number): Neighbour | null {
  const table = ipv4Of(ns).neighbours;
  const known = table.find(dev, ip);
  if (known !== null) return known;
  const inDev = inDevOf(dev);
  if (inDev === null) return null;
  const n = new Neighbour(dev, ip, inDev.neighParms);
  arpConstructor(ns, n);
  return table.insert(n) ? n : null;
}

/** Entries that need no resolution: groups, broadcasts, devices without ARP (arp_constructor). */
function arpConstructor(ns: NetNs, n: Neighbour): void {
  const { dev, ip } = n;
  const type = inetAddrType(ns, ip);
  if (type === RTN_MULTICAST) {
    n.haHi = 0x0100;
    n.haLo = 0x5e000000 | (ip & 0x7fffff);
  } else if ((dev.flags & (IFF_NOARP | IFF_LOOPBACK)) !== 0) {
    n.haHi = dev.addrHi;
    n.haLo = dev.addrLo;
  } else if (type === RTN_BROADCAST || (dev.flags & IFF_POINTOPOINT) !== 0) {
    n.haHi = 0xffff;
    n.haLo = -1;
  } else return;
  n.nudState = NUD_NOARP;
}

/** Frees what an entry holds, after it left the table (neigh_destroy). */
export function neighDestroy(n: Neighbour): void {
  n.dead = true;
  n.timer.cancel();
  purgeQueue(n);
  if ((n.nudState & NUD_VALID) === 0) n.nudState = NUD_NONE;
}

function purgeQueue(n: Neighbour): void {
  for (let skb = dequeue(n); skb !== null; skb = dequeue(n)) skb.drop(DROP.NEIGH_DEAD);
}

function dequeue(n: Neighbour): Skb | null {
  const skb = n.queueHead;
  if (skb === null) return null;
  n.queueHead = skb.next;
  if (n.queueHead === null) n.queueTail = null;
  skb.next = null;
  n.queuedBytes -= QUEUED_TRUESIZE;
  return skb;
}

function enqueue(n: Neighbour, skb: Skb): void {
  while (n.queueHead !== null && n.queuedBytes + QUEUED_TRUESIZE > n.parms.unresQlenBytes) {
    dequeue(n)!.drop(DROP.NEIGH_QUEUEFULL);
  }
  skb.next = null;
  if (n.queueTail === null) n.queueHead = skb;
  else n.queueTail.next = skb;
  n.queueTail = skb;
  n.queuedBytes += QUEUED_TRUESIZE;
}

/**
 * Sends an IP packet: `data` at its IP header, `dev`, `dst` and `nextHop` set. Resolves the next hop, pushes the Ethernet
 * header, hands the frame to the device (ip_finish_output2, neigh_output). Takes the packet.
 */
export function neighOutput(skb: Skb): void {
  const dev = skb.dev!;
  const dst = skb.dst!;
  if (dev.hardHeaderLen === 0) {
    // Nobody has an address on such a link (neigh_direct_output).
    devQueueXmit(skb);
    return;
  }
  if ((dev.flags & IFF_LOOPBACK) !== 0) {
    pushHeader(skb, dev, dev.addrHi, dev.addrLo);
    return;
  }
  const hop = skb.nextHop;
  let n = dst.neigh as Neighbour | null;
  if (n === null || n.ip !== hop || n.dead || n.dev !== dev) {
    n = neighCreate(dev.ns, dev, hop);
    if (n === null) {
      skb.drop(DROP.NEIGH_FAILED);
      return;
    }
    dst.neigh = n;
  }
  if ((n.nudState & NUD_CONNECTED) !== 0) pushHeader(skb, dev, n.haHi, n.haLo);
  else if (neighEventSend(n, skb)) pushHeader(skb, dev, n.haHi, n.haLo);
}

function pushHeader(skb: Skb, dev: NetDevice, haHi: number, haLo: number): void {
  const off = skb.push(ETH_HLEN);
  const view = skb.view;
  view.setUint16(off, haHi);
  view.setInt32(off + 2, haLo);
  view.setUint16(off + 6, dev.addrHi);
  view.setInt32(off + 8, dev.addrLo);
  view.setUint16(off + 12, ETH_P_IP);
  devQueueXmit(skb);
}

/**
 * A packet, or null, wants to use the entry (neigh_event_send). true: the address may be used now. false: the packet was
 * queued until it is known, or dropped.
 */
export function neighEventSend(n: Neighbour, skb: Skb | null): boolean {
  const now = n.dev.ns.kernel.sim.now;
  n.usedNs = now;
  const state = n.nudState;
  if ((state & (NUD_CONNECTED | NUD_DELAY | NUD_PROBE)) !== 0) return true;
  let probeNow = false;
  if ((state & (NUD_STALE | NUD_INCOMPLETE)) === 0) {
    if (n.parms.mcastSolicit + n.parms.appSolicit === 0) {
      n.nudState = NUD_FAILED;
      n.updatedNs = now;
      if (skb !== null) skb.drop(DROP.NEIGH_FAILED);
      return false;
    }
    n.probes = n.parms.ucastSolicit;
    n.nudState = NUD_INCOMPLETE;
    n.updatedNs = now;
    armTimer(n, retransNs(n));
    probeNow = true;
  } else if ((state & NUD_STALE) !== 0) {
    n.nudState = NUD_DELAY;
    n.updatedNs = now;
    armTimer(n, n.parms.delayFirstProbeTime * SEC);
  }
  if (n.nudState !== NUD_INCOMPLETE) return true;
  if (skb !== null) enqueue(n, skb);
  if (probeNow) neighProbe(n);
  return false;
}

function armTimer(n: Neighbour, delayNs: number): void {
  n.timer.armAt(n.dev.ns.kernel.timerNs(delayNs));
}

function retransNs(n: Neighbour): number {
  return Math.max(n.parms.retransTimeMs * MS, TIMER_MIN_NS);
}

function reachableNs(n: Neighbour): number {
  const ns = n.dev.ns;
  return n.parms.reachableNs(ns.kernel.sim.now, ipv4Of(ns).neighbours.prng);
}

/** Asks once more; the source of the question is that of the newest waiting packet (neigh_probe). */
function neighProbe(n: Neighbour): void {
  const skb = n.queueTail;
  ipv4Of(n.dev.ns).arpOps.solicit(n, skb === null ? 0 : ipSaddr(skb.view, skb.netOff));
  n.probes++;
}

function maxProbes(n: Neighbour): number {
  const p = n.parms;
  const last = (n.nudState & NUD_PROBE) !== 0 ? p.mcastResolicit : p.mcastSolicit;
  return p.ucastSolicit + p.appSolicit + last;
}

/** neigh_timer_handler. */
function neighTimerHandler(n: Neighbour): void {
  const now = n.dev.ns.kernel.sim.now;
  if (n.dead || (n.nudState & NUD_IN_TIMER) === 0) return;
  const delayNs = n.parms.delayFirstProbeTime * SEC;
  let nextNs = now + retransNs(n);
  if ((n.nudState & NUD_REACHABLE) !== 0) {
    if (now <= n.confirmedNs + reachableNs(n)) nextNs = n.confirmedNs + reachableNs(n);
    else {
      const inUse = now <= n.usedNs + delayNs;
      n.nudState = inUse ? NUD_DELAY : NUD_STALE;
      n.updatedNs = now;
      nextNs = now + delayNs;
    }
  } else if ((n.nudState & NUD_DELAY) !== 0) {
    n.updatedNs = now;
    if (now <= n.confirmedNs + delayNs) {
      n.nudState = NUD_REACHABLE;
      nextNs = n.confirmedNs + reachableNs(n);
    } else {
      n.nudState = NUD_PROBE;
      n.probes = 0;
    }
  }
  const asking = NUD_INCOMPLETE | NUD_PROBE;
  if ((n.nudState & asking) !== 0 && n.probes >= maxProbes(n)) {
    n.nudState = NUD_FAILED;
    neighInvalidate(n);
    return;
  }
  if ((n.nudState & NUD_IN_TIMER) !== 0) armTimer(n, Math.max(nextNs - now, TIMER_MIN_NS));
  if ((n.nudState & asking) !== 0) neighProbe(n);
}

/** Resolution failed: the senders of the waiting packets hear of it (neigh_invalidate). */
function neighInvalidate(n: Neighbour): void {
  n.updatedNs = n.dev.ns.kernel.sim.now;
  while (n.nudState === NUD_FAILED) {
    const skb = dequeue(n);
    if (skb === null) break;
    ipv4Of(n.dev.ns).arpOps.errorReport(skb);
  }
  purgeQueue(n);
}

/**
 * News of an entry (neigh_update): address and NUD_* state; `flags` NEIGH_UPDATE_F_*. For a state that is not NUD_VALID
 * the address does not matter.
 */
export function neighUpdate(n: Neighbour, haHi: number, haLo: number, newState: number, flags: number): void {
  const now = n.dev.ns.kernel.sim.now;
  const old = n.nudState;
  const admin = (flags & NEIGH_UPDATE_F_ADMIN) !== 0;
  if (n.dead || (!admin && (old & (NUD_NOARP | NUD_PERMANENT)) !== 0)) return;
  if ((newState & NUD_VALID) === 0) {
    n.timer.cancel();
    n.nudState = newState;
    if ((old & (NUD_INCOMPLETE | NUD_PROBE)) !== 0 && newState === NUD_FAILED) neighInvalidate(n);
    return;
  }
  const wasValid = (old & NUD_VALID) !== 0;
  let same = wasValid && n.haHi === haHi && n.haLo === haLo;
  let state = newState;
  if ((state & NUD_CONNECTED) !== 0) n.confirmedNs = now;
  if (wasValid) {
    if (!same && (flags & NEIGH_UPDATE_F_OVERRIDE) === 0) {
      const weak = (flags & NEIGH_UPDATE_F_WEAK_OVERRIDE) !== 0 && (old & NUD_CONNECTED) !== 0;
      if (!weak) return;
      same = true;
      state = NUD_STALE;
    } else if (same && state === NUD_STALE && !admin) state = old;
  }
  if (state !== old || !same) n.updatedNs = now;
  if (state !== old) setState(n, state);
  if (!same) {
    n.haHi = haHi;
    n.haLo = haLo;
    if ((state & NUD_CONNECTED) === 0) n.confirmedNs = now - 2 * n.parms.baseReachableTimeMs * MS;
  }
  if (state !== old && !wasValid) flushQueue(n);
}

function setState(n: Neighbour, state: number): void {
  n.timer.cancel();
  if (state === NUD_PROBE) n.probes = 0;
  if ((state & NUD_IN_TIMER) !== 0) armTimer(n, (state & NUD_REACHABLE) !== 0 ? reachableNs(n) : 0);
  n.nudState = state;
}

/** The waiting packets go out, in their order. */
function flushQueue(n: Neighbour): void {
  while ((n.nudState & NUD_VALID) !== 0) {
    const skb = dequeue(n);
    if (skb === null) break;
    skb.dev = n.dev;
    neighOutput(skb);
  }
  purgeQueue(n);
}

/** A transport had proof that the next hop towards `daddr` is alive (ipv4_confirm_neigh). */
export function neighConfirm(dst: Dst, daddr: number): void {
  if (dst.type === RTN_LOCAL || dst.type === RTN_BROADCAST || dst.type === RTN_MULTICAST) return;
  const hop = dst.gateway !== 0 ? dst.gateway : daddr;
  let n = dst.neigh as Neighbour | null;
  if (n === null || n.ip !== hop || n.dead || n.dev !== dst.dev) n = neighLookup(dst.dev.ns, dst.dev, hop);
  if (n !== null) n.confirmedNs = n.dev.ns.kernel.sim.now;
}
