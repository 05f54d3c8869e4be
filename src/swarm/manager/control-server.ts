/** The manager's side of the control API (swarmkit manager/controlapi): checks a request, then changes the store. */
import { formatIp4 } from "../../wire/address.ts";
import { newId } from "../ids.ts";
import type { Cluster } from "./cluster.ts";
import {
  type ClusterInfo,
  type ControlApi,
  type NetworkSpec,
  type NodeChange,
  RpcError,
} from "./control-api.ts";
import {
  type NetworkObject,
  type NodeObject,
  needsIngress,
  type PortConfig,
  type Role,
  type ServiceObject,
  type ServiceSpec,
  stateRank,
  type TaskObject,
} from "./objects.ts";
import { sameSpec, setDesired } from "./orchestrator/tasks.ts";

const DNS_NAME = /^[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*$/;

export class ControlServer implements ControlApi {
  private readonly cluster: Cluster;

  constructor(cluster: Cluster) {
    this.cluster = cluster;
  }

  info(): ClusterInfo {
    const { cluster } = this;
    const pools = cluster.options.pools;
    return {
      id: cluster.id,
      createdNs: cluster.createdNs,
      defaultAddrPool: pools.length === 0 ? ["10.0.0.0/8"] : pools.map(poolText),
      subnetSize: cluster.options.subnetSize,
      dataPathPort: cluster.options.dataPathPort,
      workerToken: cluster.tokens.worker,
      managerToken: cluster.tokens.manager,
      leaderId: cluster.leaderId,
      managers: cluster.managers,
    };
  }

  rotateToken(role: Role): string {
    return this.cluster.rotateToken(role);
  }

  listNodes(): readonly NodeObject[] {
    return [...this.cluster.store.nodes.values()];
  }

  getNode(reference: string): NodeObject {
    const { nodes } = this.cluster.store;
    const exact = nodes.get(reference);
    if (exact !== undefined) return exact;
    const named = [...nodes.values()].filter((node) => node.hostname === reference);
    const found =
      named.length > 0 ? named : [...nodes.values()].filter((node) => node.id.startsWith(reference));
    if (found.length === 0) throw new RpcError("NotFound", `node ${reference} not found`);
    if (found.length > 1)
      throw new RpcError("InvalidArgument", `node ${reference} is ambiguous (${found.length} matches found)`);
    return found[0];
  }

  updateNode(id: string, change: NodeChange): void {
    const { cluster } = this;
    const node = this.getNode(id);
    if (change.role === "worker" && node.role === "manager") {
      if (cluster.managers.size === 1)
        throw new RpcError("FailedPrecondition", "attempting to demote the last manager of the swarm");
      cluster.managers.delete(node.id);
      node.role = "worker";
    }
    if (change.role === "manager") {
      node.role = "manager";
      if (!cluster.managers.has(node.id)) cluster.managers.set(node.id, `${formatIp4(node.addr)}:2377`);
    }
    if (change.availability !== undefined) node.availability = change.availability;
    for (const [key, value] of change.addLabels ?? []) node.labels.set(key, value);
    for (const key of change.removeLabels ?? []) node.labels.delete(key);
    cluster.store.touch(node);
  }

  removeNode(id: string, force: boolean): void {
    const { store, networks, dispatcher } = this.cluster;
    const node = this.getNode(id);
    if (node.role === "manager")
      throw new RpcError(
        "FailedPrecondition",
        `node ${node.id} is a cluster manager and is a member of the raft cluster. It must be demoted to worker before removal`,
      );
    if (!force && node.state === "ready")
      throw new RpcError("FailedPrecondition", `node ${node.id} is not down and can't be removed`);
    networks.releaseNode(node);
    dispatcher.unregister(node.id);
    store.nodes.delete(node.id);
    for (const task of store.tasksOn(node.id)) setDesired(store, task, "remove");
    store.changed();
  }

  listNetworks(): readonly NetworkObject[] {
    return [...this.cluster.store.networks.values()];
  }

  createNetwork(spec: NetworkSpec): NetworkObject {
    const { store, networks } = this.cluster;
    if (!DNS_NAME.test(spec.name))
      throw new RpcError("InvalidArgument", "name must be valid as a DNS name component");
    const ingress = store.ingressNetwork();
    if (spec.ingress && ingress !== null)
      throw new RpcError("AlreadyExists", `ingress network (${ingress.id}) is already present`);
    if (store.networkByName(spec.name) !== null)
      throw new RpcError("AlreadyExists", `network with name ${spec.name} already exists`);
    if (spec.subnet !== null && networks.overlaps(spec.subnet))
      throw new RpcError("InvalidArgument", "Pool overlaps with other one on this address space");
    const network: NetworkObject = {
      ...store.newMeta(),
      id: newId(this.cluster.ids),
      name: spec.name,
      driver: spec.driver,
      ingress: spec.ingress,
      attachable: spec.attachable,
      internal: spec.internal,
      labels: new Map(spec.labels),
      options: new Map(spec.options),
      wantedSubnet: spec.subnet,
      wantedGateway: spec.gateway,
      subnet: 0,
      prefixLen: 0,
      gateway: 0,
      vni: 0,
    };
    if (!networks.allocateNetwork(network))
      throw new RpcError("Unknown", "could not find an available, non-overlapping IPv4 address pool");
    store.networks.set(network.id, network);
    store.changed();
    return network;
  }

  removeNetwork(id: string): void {
    const { store, networks } = this.cluster;
    const network = store.networks.get(id);
    if (network === undefined) throw new RpcError("NotFound", `network ${id} not found`);
    for (const service of store.services.values()) {
      if (network.ingress && needsIngress(service.spec))
        throw new RpcError(
          "FailedPrecondition",
          `ingress network cannot be removed because service ${service.id} depends on it`,
        );
      if (service.spec.task.networks.includes(id))
        throw new RpcError("FailedPrecondition", `network ${id} is in use by service ${service.id}`);
    }
    for (const task of store.tasks.values()) {
      const uses = task.networks.some((attachment) => attachment.networkId === id);
      // A task that is on its way out does not count, though its container may still be there.
      const stays = [task.desired, task.status.state].every((at) => stateRank(at) <= stateRank("running"));
      if (uses && stays && !network.ingress)
        throw new RpcError("FailedPrecondition", `network ${id} is in use by task ${task.id}`);
    }
    networks.releaseNetwork(network);
    store.networks.delete(id);
    store.changed();
  }

  listServices(): readonly ServiceObject[] {
    return [...this.cluster.store.services.values()];
  }

  getService(reference: string): ServiceObject {
    const { services } = this.cluster.store;
    const list = [...services.values()];
    const found =
      services.get(reference) ??
      list.find((service) => service.spec.name === reference) ??
      uniquePrefix(list, reference);
    if (found === undefined) throw new RpcError("NotFound", `service ${reference} not found`);
    return found;
  }

  createService(spec: ServiceSpec): ServiceObject {
    const { cluster } = this;
    const { store } = cluster;
    this.checkSpec(spec, "");
    if ([...store.services.values()].some((service) => service.spec.name === spec.name))
      throw new RpcError(
        "AlreadyExists",
        `name conflicts with an existing object: service ${spec.name} already exists`,
      );
    const meta = store.newMeta();
    const service: ServiceObject = {
      ...meta,
      id: newId(this.cluster.ids),
      spec,
      specVersion: meta.version,
      previousSpec: null,
      ports: [],
      vips: [],
      allocated: false,
      updateStatus: null,
    };
    store.services.set(service.id, service);
    cluster.allocateService(service);
    store.changed();
    return service;
  }

  updateService(id: string, spec: ServiceSpec): void {
    const { cluster } = this;
    const service = this.getService(id);
    if (spec.name !== service.spec.name)
      throw new RpcError("Unimplemented", "renaming services is not supported");
    if ((spec.replicas === null) !== (service.spec.replicas === null))
      throw new RpcError("Unimplemented", "service mode change is not allowed");
    this.checkSpec(spec, service.id);
    const { spec: old } = service;
    const onlyScaled =
      sameSpec(spec.task, old.task) &&
      sameSpec(spec.ports, old.ports) &&
      spec.endpointMode === old.endpointMode;
    service.previousSpec = service.spec;
    service.spec = spec;
    cluster.allocateService(service);
    cluster.store.touch(service);
    if (onlyScaled) return;
    service.updateStatus = null;
    service.specVersion = service.version;
    cluster.startUpdate(service, false);
  }

  rollbackService(id: string): void {
    const service = this.getService(id);
    if (service.previousSpec === null)
      throw new RpcError("FailedPrecondition", `service ${service.id} does not have a previous spec`);
    const present = service.spec;
    this.cluster.rollBack(service, "manually requested rollback");
    service.previousSpec = present;
  }

  removeService(id: string): void {
    const { cluster } = this;
    const { store } = cluster;
    const service = this.getService(id);
    for (const task of store.tasksOf(service.id)) setDesired(store, task, "remove");
    for (const port of service.ports) cluster.ports.release(port);
    cluster.networks.releaseVips(service);
    store.services.delete(service.id);
    store.changed();
  }

  /** Those that run something: a task that holds an address for a plain container is not shown. */
  listTasks(): readonly TaskObject[] {
    return [...this.cluster.store.tasks.values()].filter((task) => task.attachment === null);
  }

  private checkSpec(spec: ServiceSpec, ownId: string): void {
    const { store } = this.cluster;
    if (!DNS_NAME.test(spec.name))
      throw new RpcError("InvalidArgument", "name must be valid as a DNS name component");
    if (spec.endpointMode === "dnsrr" && needsIngress(spec))
      throw new RpcError(
        "InvalidArgument",
        "EndpointSpec: port published with ingress mode can't be used with dnsrr mode",
      );
    const seen = new Set<string>();
    for (const port of spec.ports) {
      const key = `${port.mode} ${port.protocol} ${port.publishedPort}`;
      if (port.publishedPort !== 0 && seen.has(key))
        throw new RpcError("InvalidArgument", "EndpointSpec: duplicate published ports provided");
      seen.add(key);
    }
    if (needsIngress(spec) && store.ingressNetwork() === null)
      throw new RpcError(
        "FailedPrecondition",
        "service needs ingress network, but no ingress network is present",
      );
    for (const id of spec.task.networks)
      if (store.networks.get(id)?.ingress === true)
        throw new RpcError(
          "InvalidArgument",
          `Service cannot be explicitly attached to the ingress network "${store.networks.get(id)!.name}"`,
        );
    for (const port of spec.ports) this.checkPort(port, ownId);
  }

  private checkPort(port: PortConfig, ownId: string): void {
    if (port.publishedPort === 0) return;
    for (const other of this.cluster.store.services.values()) {
      if (other.id === ownId) continue;
      for (const used of [...other.ports, ...other.spec.ports]) {
        if (used.protocol !== port.protocol || used.publishedPort !== port.publishedPort) continue;
        if (used.mode === "host" && port.mode === "host") continue;
        const kind = used.mode === "ingress" ? "an ingress port" : "a host-published port";
        throw new RpcError(
          "InvalidArgument",
          `port '${port.publishedPort}' is already in use by service '${other.spec.name}' (${other.id}) as ${kind}`,
        );
      }
    }
  }
}

function uniquePrefix(list: readonly ServiceObject[], prefix: string): ServiceObject | undefined {
  const found = list.filter((service) => service.id.startsWith(prefix));
  return found.length === 1 ? found[0] : undefined;
}

function poolText(pool: { addr: number; prefixLen: number }): string {
  return `${formatIp4(pool.addr)}/${pool.prefixLen}`;
}
