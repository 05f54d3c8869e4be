/**
 * Adding, changing and deleting services and destinations (net/netfilter/ipvs/ip_vs_ctl.c), and what a namespace needs
 * for them: hooks (only while there is a service) and sysctls.
 */
import { SysError } from "../../util/errors.ts";
import { RTN_LOCAL, RTN_UNICAST } from "../core/dst.ts";
import type { NetNs } from "../core/net-ns.ts";
import { inetAddrType } from "../ipv4/route.ts";
import { conntrackEnable } from "../netfilter/conntrack/conntrack.ts";
import { IpvsNet } from "./ip-vs.ts";
import { ipvsHookEntries } from "./ip-vs-core.ts";
import { ipVsInIcmp, ipVsOutIcmp } from "./ip-vs-icmp.ts";
import { createScheduler } from "./schedulers.ts";
import {
  type ForwardMethod,
  FTP_PORT,
  IP_VS_CONN_F_MASQ,
  IpvsDest,
  IpvsService,
  type ServiceKey,
  type ServiceOptions,
} from "./service.ts";
import { Estimator } from "./stats.ts";
import { ipvsSysctls } from "./sysctl.ts";
import { wheelExpiryNs } from "./timer-wheel.ts";

/** Options of a destination. */
export interface DestOptions {
  weight: number;
  method: ForwardMethod;
  upperThreshold: number;
  lowerThreshold: number;
}

/** Equips a namespace with IPVS: no service, no hook. */
export function ipvsInit(ns: NetNs): void {
  const net = new IpvsNet(ns, new Estimator(ns.kernel.sim));
  ns.ipvs = net;
  ns.sysctl.register(ipvsSysctls(net));
}

/** EEXIST when there is one of that key. */
export function addService(net: IpvsNet, key: ServiceKey, options: ServiceOptions): IpvsService {
  if (net.find(key) !== null) throw new SysError("EEXIST");
  if (net.services.length === 0) registerHooks(net);
  const service = new IpvsService(key, options, createScheduler(options.scheduler), net.estimator);
  net.services.push(service);
  if (key.fwmark !== 0) net.fwmarkServices++;
  else net.addressServices++;
  return service;
}

/** ESRCH when there is none of that key. */
export function editService(net: IpvsNet, key: ServiceKey, options: ServiceOptions): void {
  const service = findService(net, key);
  const rescheduled = service.options.scheduler !== options.scheduler;
  Object.assign(service.options, options);
  if (!rescheduled) return;
  service.sched = createScheduler(options.scheduler);
  service.sched.added(service);
}

export function deleteService(net: IpvsNet, key: ServiceKey): void {
  const service = findService(net, key);
  while (service.dests.length > 0) unlinkDest(net, service, service.dests[0], false);
  net.services.splice(net.services.indexOf(service), 1);
  if (key.fwmark !== 0) net.fwmarkServices--;
  else net.addressServices--;
  if (net.services.length === 0) unregisterHooks(net);
}

/** Deletes every service (ipvsadm -C). */
export function flushServices(net: IpvsNet): void {
  while (net.services.length > 0) deleteService(net, net.services[0].key);
}

/** ERANGE for a weight or thresholds that cannot be. */
function checkOptions({ weight, upperThreshold, lowerThreshold }: DestOptions): void {
  if (weight < 0 || lowerThreshold > upperThreshold) throw new SysError("ERANGE");
}

/** New destinations go to the head of the list; one that connections still hold comes back from the trash. */
export function addDest(
  net: IpvsNet,
  key: ServiceKey,
  addr: number,
  port: number,
  options: DestOptions,
): IpvsDest {
  const service = findService(net, key);
  checkOptions(options);
  if (findDest(service, addr, port) !== undefined) throw new SysError("EEXIST");
  const dest = net.trash.take(service, addr, port) ?? newDest(net, service, addr, port);
  if (dest.service !== service) dest.stats.reset();
  dest.stats.setStopped(false);
  dest.service = service;
  dest.available = true;
  applyOptions(net, dest, options);
  service.dests.unshift(dest);
  service.sched.added(service);
  return dest;
}

/** EINVAL for a group or broadcast address (ip_vs_new_dest). */
function newDest(net: IpvsNet, service: IpvsService, addr: number, port: number): IpvsDest {
  const type = inetAddrType(net.ns, addr);
  if (type !== RTN_LOCAL && type !== RTN_UNICAST) throw new SysError("EINVAL");
  return new IpvsDest(service, addr, port, net.estimator);
}

/** ENOENT when the service has no such destination. */
export function editDest(
  net: IpvsNet,
  key: ServiceKey,
  addr: number,
  port: number,
  options: DestOptions,
): void {
  const service = findService(net, key);
  checkOptions(options);
  const dest = findDest(service, addr, port);
  if (dest === undefined) throw new SysError("ENOENT");
  applyOptions(net, dest, options);
  service.sched.changed(service);
}

export function deleteDest(net: IpvsNet, key: ServiceKey, addr: number, port: number): void {
  const service = findService(net, key);
  const dest = findDest(service, addr, port);
  if (dest === undefined) throw new SysError("ENOENT");
  unlinkDest(net, service, dest, true);
}

function findService(net: IpvsNet, key: ServiceKey): IpvsService {
  const service = net.find(key);
  if (service === null) throw new SysError("ESRCH");
  return service;
}

function findDest(service: IpvsService, addr: number, port: number): IpvsDest | undefined {
  return service.dests.find((dest) => dest.addr === addr && dest.port === port);
}

function applyOptions(net: IpvsNet, dest: IpvsDest, options: DestOptions): void {
  const { upperThreshold } = options;
  dest.weight = options.weight;
  dest.method = options.method;
  // FTP may need its segments changed.
  if (dest.service.key.port === FTP_PORT && options.method === IP_VS_CONN_F_MASQ) conntrackEnable(net.ns);
  if (upperThreshold === 0 || upperThreshold > dest.upperThreshold) dest.overloaded = false;
  dest.upperThreshold = upperThreshold;
  dest.lowerThreshold = options.lowerThreshold;
  dest.route = null;
}

function unlinkDest(net: IpvsNet, service: IpvsService, dest: IpvsDest, tellScheduler: boolean): void {
  const index = service.dests.indexOf(dest);
  dest.available = false;
  service.dests.splice(index, 1);
  if (tellScheduler) service.sched.deleted(service, dest, index);
  net.trash.add(dest);
  dest.stats.setStopped(true);
  if (net.sysctl.expireNodestConn !== 0) net.nodestTimer.armAt(wheelExpiryNs(net.ns.kernel.sim.now, 1));
}

function registerHooks(net: IpvsNet): void {
  net.hookEntries = ipvsHookEntries({ in: ipVsInIcmp, out: ipVsOutIcmp });
  for (const entry of net.hookEntries) net.ns.hooks.register(entry);
}

function unregisterHooks(net: IpvsNet): void {
  for (const entry of net.hookEntries) net.ns.hooks.unregister(entry);
  net.hookEntries = [];
}
