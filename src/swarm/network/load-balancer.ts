/**
 * Load balancing (libnetwork service_common.go, service_linux.go): the backends of each service on each network as this
 * node has heard of them, and the IPVS service, marks, rules and alias address that follow from them.
 */
import type { NetNs } from "../../net/core/net-ns.ts";
import { addressAdd, addressDel } from "../../net/ctl/address.ts";
import {
  destAdd,
  destDel,
  destEdit,
  fwmarkService,
  plainService,
  serviceAdd,
  serviceDel,
} from "../../net/ctl/ipvs.ts";
import { linkGet } from "../../net/ctl/link.ts";
import { SysError } from "../../util/errors.ts";
import type { PortConfig } from "../manager/objects.ts";
import { programFwMark } from "./sandbox-rules.ts";
import type { ServiceRecords } from "./service-records.ts";
import type { Endpoint } from "./types.ts";

const FIRST_MARK = 256;

/** What a record says about one backend. */
export interface Binding {
  readonly serviceId: string;
  readonly serviceName: string;
  readonly networkId: string;
  readonly endpointId: string;
  readonly containerName: string;
  readonly virtualIp: number;
  readonly ingressPorts: readonly PortConfig[];
  readonly aliases: readonly string[];
  readonly taskAliases: readonly string[];
  readonly addr: number;
}

interface LoadBalancer {
  readonly vip: number;
  readonly mark: number;
  /** Backends by endpoint id. */
  readonly backends: Map<string, { readonly addr: number; disabled: boolean }>;
}

interface Service {
  readonly ports: readonly PortConfig[];
  /** By network id. */
  readonly balancers: Map<string, LoadBalancer>;
  /** Endpoints behind each address. */
  readonly addresses: Map<number, Set<string>>;
}

/** What the load balancer needs of the controller. */
export interface LoadBalancerHost {
  /** The load-balancer endpoint of a network with its namespace, null when this node has none. */
  balancerOf(
    networkId: string,
  ): { readonly endpoint: Endpoint; readonly ns: NetNs; readonly dev: string } | null;
  records(networkId: string): ServiceRecords;
  isIngress(networkId: string): boolean;
  /** Opens or closes published ports on the host. */
  programIngress(ports: readonly PortConfig[], add: boolean): void;
  /** The ip_vs module is in the kernel from now on. */
  loadIpvs(): void;
}

/** What `docker network inspect -v` shows of a service on one network. */
export interface BalancerInfo {
  readonly serviceName: string;
  readonly vip: number;
  readonly mark: number;
  readonly ports: readonly PortConfig[];
}

export class LoadBalancers {
  private readonly host: LoadBalancerHost;
  private readonly services = new Map<string, Service>();
  /** IPVS services that this node has: network and mark. */
  private readonly present = new Set<string>();
  private nextMark = FIRST_MARK;

  constructor(host: LoadBalancerHost) {
    this.host = host;
  }

  /** A backend is there (addServiceBinding). True when it is the service's first one on its network. */
  add(binding: Binding): boolean {
    const service = this.serviceOf(binding);
    let balancer = service.balancers.get(binding.networkId);
    const first = balancer === undefined;
    if (balancer === undefined) {
      balancer = { vip: binding.virtualIp, mark: this.nextMark++, backends: new Map() };
      service.balancers.set(binding.networkId, balancer);
    }
    balancer.backends.set(binding.endpointId, { addr: binding.addr, disabled: false });
    const owners = service.addresses.get(binding.addr);
    if (owners === undefined) service.addresses.set(binding.addr, new Set([binding.endpointId]));
    else owners.add(binding.endpointId);
    this.addBackend(binding.networkId, balancer, service.ports, binding.addr);
    this.changeNames(binding, true, first);
    return first;
  }

  /** A backend goes: first disabled (`full` false: no new connections), then removed (rmServiceBinding). */
  remove(binding: Binding, full: boolean): void {
    const key = serviceKey(binding);
    const service = this.services.get(key);
    const balancer = service?.balancers.get(binding.networkId);
    const backend = balancer?.backends.get(binding.endpointId);
    if (service === undefined || balancer === undefined || backend === undefined) return;
    backend.disabled = true;
    if (full) balancer.backends.delete(binding.endpointId);
    const last = balancer.backends.size === 0;
    if (last) service.balancers.delete(binding.networkId);
    const owners = service.addresses.get(binding.addr);
    owners?.delete(binding.endpointId);
    const others = (owners?.size ?? 0) > 0;
    if (!others) {
      service.addresses.delete(binding.addr);
      this.removeBackend(binding.networkId, balancer, service.ports, binding.addr, last, full);
    }
    this.changeNames(binding, false, last);
    if (service.balancers.size === 0) this.services.delete(key);
  }

  /** Backends of a network that was known before this node had a load balancer there (populateLoadBalancers). */
  populate(networkId: string): void {
    for (const service of this.services.values()) {
      const balancer = service.balancers.get(networkId);
      if (balancer === undefined) continue;
      for (const backend of balancer.backends.values()) {
        this.addBackend(networkId, balancer, service.ports, backend.addr);
        if (backend.disabled)
          this.removeBackend(networkId, balancer, service.ports, backend.addr, false, false);
      }
    }
  }

  /** The services of one network. */
  list(
    networkId: string,
  ): { readonly key: string; readonly info: BalancerInfo; readonly endpoints: string[] }[] {
    const found = [];
    for (const [key, service] of this.services) {
      const balancer = service.balancers.get(networkId);
      if (balancer === undefined) continue;
      const serviceName = key.slice(0, key.indexOf("\n"));
      const info = { serviceName, vip: balancer.vip, mark: balancer.mark, ports: service.ports };
      found.push({ key, info, endpoints: [...balancer.backends.keys()] });
    }
    return found;
  }

  private serviceOf(binding: Binding): Service {
    const key = serviceKey(binding);
    let service = this.services.get(key);
    if (service === undefined) {
      service = { ports: binding.ingressPorts, balancers: new Map(), addresses: new Map() };
      this.services.set(key, service);
    }
    return service;
  }

  private addBackend(
    networkId: string,
    balancer: LoadBalancer,
    ports: readonly PortConfig[],
    addr: number,
  ): void {
    const at = balancer.vip === 0 ? null : this.host.balancerOf(networkId);
    if (at === null) return;
    this.host.loadIpvs();
    const key = fwmarkService(balancer.mark);
    if (!this.present.has(`${networkId} ${balancer.mark}`)) {
      if (!addAlias(at.ns, at.dev, balancer.vip)) return;
      this.present.add(`${networkId} ${balancer.mark}`);
      if (this.host.isIngress(networkId)) this.host.programIngress(ports, true);
      this.programMark(at, balancer, ports, true);
      serviceAdd(at.ns, key, plainService("rr"));
    }
    destAdd(at.ns, key, { addr, port: 0, weight: 1, forward: "Masq" });
    applyTweaks(at.ns.kernel.initNs);
  }

  private removeBackend(
    networkId: string,
    balancer: LoadBalancer,
    ports: readonly PortConfig[],
    addr: number,
    last: boolean,
    full: boolean,
  ): void {
    const at = balancer.vip === 0 ? null : this.host.balancerOf(networkId);
    if (at === null || !this.present.has(`${networkId} ${balancer.mark}`)) return;
    const key = fwmarkService(balancer.mark);
    takeOut(at.ns, key, addr, full);
    if (!last) return;
    this.present.delete(`${networkId} ${balancer.mark}`);
    serviceDel(at.ns, key);
    if (this.host.isIngress(networkId)) this.host.programIngress(ports, false);
    this.programMark(at, balancer, ports, false);
    addressDel(linkGet(at.ns, at.dev), balancer.vip, 32);
  }

  /** This node has left a network, and its load balancer is gone with the namespace (cleanupServiceBindings). */
  forgetNetwork(networkId: string): void {
    for (const id of [...this.present]) if (id.startsWith(`${networkId} `)) this.present.delete(id);
    for (const [key, service] of [...this.services]) {
      const balancer = service.balancers.get(networkId);
      if (balancer === undefined) continue;
      service.balancers.delete(networkId);
      for (const { addr } of balancer.backends.values()) service.addresses.delete(addr);
      if (service.balancers.size === 0) this.services.delete(key);
    }
  }

  private programMark(
    at: { endpoint: Endpoint; ns: NetNs },
    { vip, mark }: LoadBalancer,
    ports: readonly PortConfig[],
    add: boolean,
  ): void {
    const { addr, network } = at.endpoint;
    programFwMark(at.ns, { vip, mark, ports, addr, prefixLen: network.prefixLen }, add);
  }

  /** Names of a backend, and with the first (last) one the name of the service. */
  private changeNames(binding: Binding, add: boolean, firstOrLast: boolean): void {
    const { networkId, serviceName, serviceId, endpointId, containerName, virtualIp, addr } = binding;
    if (this.host.isIngress(networkId)) return;
    const records = this.host.records(networkId);
    const change = (name: string, ip: number, owner: string, pointer: boolean): void => {
      if (add) records.add(name, ip, owner, pointer);
      else records.remove(name, ip, owner, pointer);
    };
    for (const name of [serviceName, ...binding.aliases]) {
      change(`tasks.${name}`, addr, endpointId, false);
      if (virtualIp === 0) change(name, addr, endpointId, false);
      else if (firstOrLast) change(name, virtualIp, serviceId, false);
    }
    change(containerName, addr, endpointId, true);
    for (const alias of binding.taskAliases) change(alias, addr, endpointId, false);
  }
}

/**
 * False when the address is there already: after a change of ports the new load balancer meets the old one's. Docker
 * logs that and leaves the backend out.
 */
function addAlias(ns: NetNs, dev: string, vip: number): boolean {
  try {
    addressAdd(linkGet(ns, dev), { local: vip, prefixLen: 32 });
    return true;
  } catch (error) {
    if (error instanceof SysError && error.code === "EEXIST") return false;
    throw error;
  }
}

/** Ends a destination, or only its new connections. One that never got in is nobody's loss. */
function takeOut(ns: NetNs, key: ReturnType<typeof fwmarkService>, addr: number, full: boolean): void {
  try {
    if (full) destDel(ns, key, addr, 0);
    else destEdit(ns, key, { addr, port: 0, weight: 0, forward: "Masq" });
  } catch (error) {
    if (!(error instanceof SysError) || error.code !== "ENOENT") throw error;
  }
}

function serviceKey(binding: Binding): string {
  const ports = binding.ingressPorts.map((p) => `${p.protocol}:${p.targetPort}:${p.publishedPort}`).join(",");
  return `${binding.serviceName}\n${binding.serviceId}\n${ports}`;
}

/** Kernel parameters of load balancing (loadBalancerConfig). */
export function applyTweaks(ns: NetNs): void {
  ns.sysctl.set("net.ipv4.vs.conn_reuse_mode", "0");
  ns.sysctl.set("net.ipv4.vs.expire_nodest_conn", "1");
  ns.sysctl.set("net.ipv4.vs.expire_quiescent_template", "1");
}
