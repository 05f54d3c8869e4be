/** Addresses of devices: what RTM_NEWADDR and RTM_DELADDR do (net/ipv4/devinet.c inet_rtm_newaddr, inet_rtm_deladdr). */
import { SEC } from "../../sim/sim.ts";
import { SysError } from "../../util/errors.ts";
import { prefixToMask } from "../../wire/address.ts";
import type { NetDevice } from "../core/net-device.ts";
import { inetDelIfa, inetInsertIfa, inetSetLifetime, makeIfAddr } from "../ipv4/devinet.ts";
import { RT_SCOPE_HOST, RT_SCOPE_UNIVERSE } from "../ipv4/fib.ts";
import { fibModifyPrefixMetric } from "../ipv4/fib-frontend.ts";
import { type IfAddr, inDevOf } from "../ipv4/in-device.ts";

export interface AddressSpec {
  /** int32 */
  readonly local: number;
  readonly prefixLen: number;
  /** Peer of a point-to-point address, int32. */
  readonly peer?: number;
  /** int32; absent: none, as in the kernel. `ip addr add` sets it by `brd`; Docker fills it in for masks below /31. */
  readonly broadcast?: number;
  /** RT_SCOPE_*; absent: host for 127/8, else global. */
  readonly scope?: number;
  /** Absent: the device's name. */
  readonly label?: string;
  /** Metric of the prefix route. */
  readonly metric?: number;
  /** Lifetimes in seconds; absent: for ever. */
  readonly validSec?: number;
  readonly preferredSec?: number;
  /** IFA_F_NOPREFIXROUTE and others. */
  readonly flags?: number;
}

/** Adds an address with its routes. EEXIST when it is there, EINVAL, ENODEV when the device has no IPv4. */
export function addressAdd(dev: NetDevice, spec: AddressSpec): void {
  if (spec.prefixLen < 0 || spec.prefixLen > 32) throw new SysError("EINVAL");
  const scope = spec.scope ?? (spec.local >>> 24 === 127 ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE);
  const plain = makeIfAddr(dev, spec.local, spec.prefixLen, spec.broadcast ?? 0, scope);
  const ifa: IfAddr = {
    ...plain,
    address: spec.peer ?? spec.local,
    label: spec.label ?? dev.name,
    metric: spec.metric ?? 0,
    flags: plain.flags | (spec.flags ?? 0),
  };
  inetInsertIfa(dev, ifa);
  setLifetime(dev, ifa, spec);
}

function setLifetime(dev: NetDevice, ifa: IfAddr, { validSec, preferredSec }: AddressSpec): void {
  const forever = Number.POSITIVE_INFINITY;
  inetSetLifetime(inDevOf(dev)!, ifa, validSec ?? forever, preferredSec ?? forever);
}

/** What is left of the lifetimes of an address, whole seconds; null: for ever. */
export function addressLife(
  { ns }: NetDevice,
  { life }: IfAddr,
): { valid: number; preferred: number } | null {
  if (life === null) return null;
  const age = Math.floor((ns.kernel.sim.now - life.stampNs) / SEC);
  return { valid: Math.max(0, life.validSec - age), preferred: Math.max(0, life.preferredSec - age) };
}

/** Adds an address, or gives the one that is there its metric (NLM_F_REPLACE). */
export function addressReplace(dev: NetDevice, spec: AddressSpec): void {
  const inDev = inDevOf(dev);
  const mask = prefixToMask(spec.prefixLen);
  const address = spec.peer ?? spec.local;
  const found = inDev?.addresses.find(
    (ifa) => ifa.mask === mask && ifa.local === spec.local && ((ifa.address ^ address) & mask) === 0,
  );
  if (inDev === null || found === undefined) {
    addressAdd(dev, spec);
    return;
  }
  setLifetime(dev, found, spec);
  const metric = spec.metric ?? 0;
  if (found.metric === metric) return;
  fibModifyPrefixMetric(inDev, found, metric);
  found.metric = metric;
}

/** Takes an address away with its routes. EADDRNOTAVAIL when it is not there. */
export function addressDel(dev: NetDevice, local: number, prefixLen: number): void {
  const inDev = inDevOf(dev);
  if (inDev === null) throw new SysError("ENODEV", dev.name);
  const mask = prefixToMask(prefixLen);
  const found = inDev.addresses.find((ifa) => ifa.local === local && ifa.mask === mask);
  if (found === undefined) throw new SysError("EADDRNOTAVAIL");
  inetDelIfa(inDev, found);
}

/** Takes all addresses of a device away. */
export function addressFlush(dev: NetDevice): void {
  const inDev = inDevOf(dev);
  if (inDev === null) return;
  while (inDev.addresses.length > 0) inetDelIfa(inDev, inDev.addresses[0]);
}

/** The addresses of a device in the order that `ip addr` shows them. */
export function addressesOf(dev: NetDevice): readonly IfAddr[] {
  return inDevOf(dev)?.addresses ?? [];
}

/** Broadcast address of a prefix, int32, as `brd +` and Docker set it: 0 (none) for /31 and /32. */
export function broadcastOf(local: number, prefixLen: number): number {
  return prefixLen >= 31 ? 0 : local | ~prefixToMask(prefixLen);
}
