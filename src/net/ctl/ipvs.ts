/** The door to IPVS (the IPVS generic netlink family): what `ipvsadm` and Docker's load balancer call. */

import { SysError } from "../../util/errors.ts";
import type { NetNs } from "../core/net-ns.ts";
import { ipvsOf } from "../ipvs/ip-vs.ts";
import * as ctl from "../ipvs/ip-vs-ctl.ts";
import { stateName } from "../ipvs/ip-vs-proto.ts";
import {
  type ForwardMethod,
  IP_VS_CONN_F_DROUTE,
  IP_VS_CONN_F_LOCALNODE,
  IP_VS_CONN_F_MASQ,
  IP_VS_CONN_F_TUNNEL,
  type ServiceKey,
  type ServiceOptions,
} from "../ipvs/service.ts";
import type { StatsSnapshot } from "../ipvs/stats.ts";
import { jiffiesOf, jiffiesToNs } from "../ipvs/timer-wheel.ts";

export { SCHEDULERS, type SchedulerName } from "../ipvs/schedulers.ts";
export type { ServiceKey, ServiceOptions } from "../ipvs/service.ts";
export type { StatsSnapshot } from "../ipvs/stats.ts";
export { HZ } from "../ipvs/timer-wheel.ts";

/** How packets reach a destination, as `ipvsadm -Ln` names it. */
export type Forward = "Masq" | "Local" | "Tunnel" | "Route";

const METHODS: Record<Forward, ForwardMethod> = {
  Masq: IP_VS_CONN_F_MASQ,
  Local: IP_VS_CONN_F_LOCALNODE,
  Tunnel: IP_VS_CONN_F_TUNNEL,
  Route: IP_VS_CONN_F_DROUTE,
};
const FORWARDS = ["Masq", "Local", "Tunnel", "Route"] as const;

/** A destination as it is asked for. */
export interface DestSpec {
  /** int32 */
  readonly addr: number;
  /** 0 keeps the packet's port. */
  readonly port: number;
  readonly weight: number;
  readonly forward: Forward;
  readonly upperThreshold?: number;
  readonly lowerThreshold?: number;
}

export interface DestInfo extends Required<DestSpec> {
  readonly activeConns: number;
  readonly inactConns: number;
  readonly persistConns: number;
  readonly stats: StatsSnapshot;
  /** A second. */
  readonly rates: StatsSnapshot;
}

export interface ServiceInfo {
  readonly key: ServiceKey;
  readonly options: Readonly<ServiceOptions>;
  /** In the kernel's order: the one added last first. */
  readonly dests: readonly DestInfo[];
  readonly stats: StatsSnapshot;
  readonly rates: StatsSnapshot;
}

/** What all services counted; `live`: at this moment and since ever. */
export interface TotalsInfo {
  readonly stats: StatsSnapshot;
  readonly rates: StatsSnapshot;
  readonly live: StatsSnapshot;
}

export interface ConnInfo {
  readonly protocol: number;
  readonly expiresNs: number;
  readonly state: string;
  readonly caddr: number;
  readonly cport: number;
  readonly vaddr: number;
  readonly vport: number;
  readonly daddr: number;
  readonly dport: number;
  readonly template: boolean;
}

/** Key of a firewall mark service. */
export function fwmarkService(fwmark: number): ServiceKey {
  return { fwmark, protocol: 0, addr: 0, port: 0 };
}

/** Options of a service with `scheduler` and nothing else. */
export function plainService(scheduler: ServiceOptions["scheduler"]): ServiceOptions {
  return { scheduler, persistentSec: 0, netmask: -1, onePacket: false, shPort: false, shFallback: false };
}

/** Throws SysError EEXIST. */
export function serviceAdd(ns: NetNs, key: ServiceKey, options: ServiceOptions): void {
  ctl.addService(ipvsOf(ns), key, options);
}

/** Throws SysError ESRCH. */
export function serviceEdit(ns: NetNs, key: ServiceKey, options: ServiceOptions): void {
  ctl.editService(ipvsOf(ns), key, options);
}

/** Throws SysError ESRCH. */
export function serviceDel(ns: NetNs, key: ServiceKey): void {
  ctl.deleteService(ipvsOf(ns), key);
}

export function flush(ns: NetNs): void {
  ctl.flushServices(ipvsOf(ns));
}

/** Throws SysError: ESRCH for an unknown service, EEXIST. */
export function destAdd(ns: NetNs, key: ServiceKey, dest: DestSpec): void {
  ctl.addDest(ipvsOf(ns), key, dest.addr, dest.port, destOptions(dest));
}

/** Throws SysError: ESRCH for an unknown service, ENOENT for an unknown destination. */
export function destEdit(ns: NetNs, key: ServiceKey, dest: DestSpec): void {
  ctl.editDest(ipvsOf(ns), key, dest.addr, dest.port, destOptions(dest));
}

/** Throws SysError: ESRCH for an unknown service, ENOENT for an unknown destination. */
export function destDel(ns: NetNs, key: ServiceKey, addr: number, port: number): void {
  ctl.deleteDest(ipvsOf(ns), key, addr, port);
}

/** Every service with its destinations. */
export function serviceList(ns: NetNs): ServiceInfo[] {
  return ipvsOf(ns).services.map((service) => ({
    key: service.key,
    options: service.options,
    stats: service.stats.read(),
    rates: service.stats.readRates(),
    dests: service.dests.map((dest) => ({
      addr: dest.addr,
      port: dest.port,
      weight: dest.weight,
      forward: FORWARDS[dest.method],
      upperThreshold: dest.upperThreshold,
      lowerThreshold: dest.lowerThreshold,
      activeConns: dest.activeConns,
      inactConns: dest.inactConns,
      persistConns: dest.persistConns,
      stats: dest.stats.read(),
      rates: dest.stats.readRates(),
    })),
  }));
}

export function totals(ns: NetNs): TotalsInfo {
  const stats = ipvsOf(ns).totals;
  return { stats: stats.read(), rates: stats.readRates(), live: stats.readLive() };
}

/** The connection table. */
export function connList(ns: NetNs): ConnInfo[] {
  const net = ipvsOf(ns);
  const ticked = jiffiesToNs(jiffiesOf(ns.kernel.sim.now));
  return net.conns.list().map((conn) => ({
    protocol: conn.protocol,
    expiresNs: Math.max(0, conn.expiresNs - ticked),
    state: stateName(conn),
    caddr: conn.caddr,
    cport: conn.cport,
    vaddr: conn.vaddr,
    vport: conn.vport,
    daddr: conn.daddr,
    dport: conn.dport,
    template: conn.template,
  }));
}

/** Sets the counters of a service (all services without `key`) to nothing. Throws SysError ESRCH. */
export function zero(ns: NetNs, key?: ServiceKey): void {
  const net = ipvsOf(ns);
  if (key !== undefined && net.find(key) === null) throw new SysError("ESRCH");
  for (const service of net.services) {
    if (key !== undefined && net.find(key) !== service) continue;
    service.stats.reset();
    for (const dest of service.dests) dest.stats.reset();
  }
  if (key === undefined) net.totals.reset();
}

/** Timeouts of `ipvsadm --set`, seconds; 0 keeps one. */
export function setTimeouts(ns: NetNs, tcp: number, tcpFin: number, udp: number): void {
  const timeouts = ipvsOf(ns).timeoutsSec;
  if (tcp !== 0) timeouts.tcp = tcp;
  if (tcpFin !== 0) timeouts.tcpFin = tcpFin;
  if (udp !== 0) timeouts.udp = udp;
}

export function getTimeouts(ns: NetNs): { tcp: number; tcpFin: number; udp: number } {
  return { ...ipvsOf(ns).timeoutsSec };
}

function destOptions(dest: DestSpec): ctl.DestOptions {
  return {
    weight: dest.weight,
    method: METHODS[dest.forward],
    upperThreshold: dest.upperThreshold ?? 0,
    lowerThreshold: dest.lowerThreshold ?? 0,
  };
}
