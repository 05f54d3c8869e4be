/**
 * Parameters of devices: struct ipv4_devconf with `net.ipv4.conf.*` (include/linux/inetdevice.h, net/ipv4/devinet.c) and
 * struct neigh_parms with `net.ipv4.neigh.*` (net/core/neighbour.c).
 */
import { MS, SEC } from "../../sim/sim.ts";
import type { Prng } from "../../util/prng.ts";

/** net.ipv4.conf.{all,default,DEV}.*: one integer each. */
export class Ipv4Devconf {
  acceptLocal = 0;
  acceptRedirects = 1;
  acceptSourceRoute = 0;
  arpAccept = 0;
  arpAnnounce = 0;
  arpEvictNocarrier = 1;
  arpFilter = 0;
  arpIgnore = 0;
  arpNotify = 0;
  bcForwarding = 0;
  bootpRelay = 0;
  disablePolicy = 0;
  disableXfrm = 0;
  dropGratuitousArp = 0;
  dropUnicastInL2Multicast = 0;
  forceIgmpVersion = 0;
  forwarding = 0;
  igmpv2UnsolicitedReportInterval = 10000;
  igmpv3UnsolicitedReportInterval = 1000;
  ignoreRoutesWithLinkdown = 0;
  logMartians = 0;
  mcForwarding = 0;
  mediumId = 0;
  promoteSecondaries = 0;
  proxyArp = 0;
  proxyArpPvlan = 0;
  routeLocalnet = 0;
  rpFilter = 0;
  secureRedirects = 1;
  sendRedirects = 1;
  sharedMedia = 1;
  srcValidMark = 0;
  tag = 0;

  /** A copy: what a new namespace or device starts with. */
  copy(): Ipv4Devconf {
    return Object.assign(new Ipv4Devconf(), this);
  }
}

export type DevconfField = Exclude<keyof Ipv4Devconf, "copy">;

/** `arp_ignore` -> `arpIgnore`, in the order that `sysctl -a` prints. */
export const DEVCONF_FIELDS: ReadonlyMap<string, DevconfField> = new Map(
  (Object.keys(new Ipv4Devconf()) as DevconfField[]).map((field) => [
    field.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`),
    field,
  ]),
);

/** Timing and limits of neighbours on one device (struct neigh_parms). */
export class NeighParms {
  anycastDelay = 100;
  appSolicit = 0;
  baseReachableTimeMs = 30000;
  delayFirstProbeTime = 5;
  gcStaleTime = 60;
  intervalProbeTimeMs = 5000;
  locktime = 100;
  mcastResolicit = 0;
  mcastSolicit = 3;
  proxyDelay = 80;
  proxyQlen = 64;
  retransTimeMs = 1000;
  ucastSolicit = 3;
  unresQlen = 101;
  unresQlenBytes = 212992;
  /** Reachable time that holds now: 0.5 to 1.5 of the base, drawn anew every 300 s, ns. */
  private drawnNs = 0;
  private drawnAtNs = -1;

  copy(): NeighParms {
    return Object.assign(new NeighParms(), this, { drawnNs: 0, drawnAtNs: -1 });
  }

  /** neigh_rand_reach_time, redrawn as neigh_periodic_work does. */
  reachableNs(nowNs: number, prng: Prng): number {
    if (this.drawnAtNs < 0 || nowNs - this.drawnAtNs > 300 * SEC) {
      const baseNs = this.baseReachableTimeMs * MS;
      this.drawnNs = Math.floor(baseNs / 2 + prng.fraction() * baseNs);
      this.drawnAtNs = nowNs;
    }
    return this.drawnNs;
  }

  /** Makes the next use draw again (a new base value was written). */
  redraw(): void {
    this.drawnAtNs = -1;
  }
}

export type NeighField = Exclude<keyof NeighParms, "copy" | "reachableNs" | "redraw">;

/** `ucast_solicit` -> `ucastSolicit`. */
export const NEIGH_FIELDS: ReadonlyMap<string, NeighField> = new Map(
  (
    [
      "anycastDelay",
      "appSolicit",
      "baseReachableTimeMs",
      "delayFirstProbeTime",
      "gcStaleTime",
      "intervalProbeTimeMs",
      "locktime",
      "mcastResolicit",
      "mcastSolicit",
      "proxyDelay",
      "proxyQlen",
      "retransTimeMs",
      "ucastSolicit",
      "unresQlen",
      "unresQlenBytes",
    ] as const
  ).map((field) => [field.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`), field]),
);
