/**
 * The engine's part in the swarm's network state (libnetwork agent.go): publishes the local endpoints and acts on what
 * the other nodes publish.
 */
import type { Co } from "../../host/process.ts";
import type { Binding, LoadBalancers } from "./load-balancer.ts";
import type { EndpointRecord, NetworkDb, PeerRecord, TableEvent, TableWatcher } from "./network-db.ts";
import type { OverlayDriver } from "./overlay-driver.ts";
import { nameEndpoint, type ServiceRecords } from "./service-records.ts";
import type { Endpoint, LocalNetwork } from "./types.ts";

/**
 * The rules of a service that is new to this node are made by a dozen processes one after the other. The record of the
 * sandbox's next endpoint comes that much later, in another round of gossip: so all nodes number the service's networks alike.
 */
const FIRST_BACKEND_NS = 250_000_000;

/** What the agent works on. */
export interface AgentHost {
  readonly overlay: OverlayDriver | null;
  readonly balancers: LoadBalancers;
  findNetwork(id: string): LocalNetwork | null;
  records(networkId: string): ServiceRecords;
}

export class ClusterAgent implements TableWatcher {
  readonly db: NetworkDb;
  /** Endpoints of other nodes outside of the services, for `docker network inspect -v`: by network, then endpoint. */
  readonly plainEndpoints = new Map<string, Map<string, EndpointRecord>>();
  /** Tunnel endpoint behind each remote endpoint. */
  readonly hosts = new Map<string, number>();
  /** Names of backends for `docker network inspect -v`. */
  readonly backends = new Map<string, EndpointRecord>();
  private readonly host: AgentHost;

  constructor(host: AgentHost, membership: { join(watcher: TableWatcher): NetworkDb }) {
    this.host = host;
    this.db = membership.join(this);
  }

  *joinNetwork(id: string): Co<void> {
    yield* this.db.joinNetwork(id);
  }

  leaveNetwork(id: string): void {
    this.db.leaveNetwork(id);
    this.plainEndpoints.delete(id);
  }

  leave(): void {
    this.db.leave();
  }

  /** addDriverInfoToCluster */
  publishPeer(endpoint: Endpoint, record: PeerRecord): void {
    this.db.create("overlay_peer_table", endpoint.network.id, endpoint.id, record);
  }

  /**
   * The next endpoint of a sandbox, in its order, may be balanced to (EnableService). Returns how long it takes in ns until
   * the one after it may, or null when there was none left.
   */
  enableNext(sandbox: { readonly endpoints: readonly Endpoint[] }): number | null {
    const endpoint = sandbox.endpoints.find(
      (ep) => ep.network.driver === "overlay" && !ep.serviceEnabled && ep.dnsName !== "",
    );
    if (endpoint === undefined) return null;
    endpoint.serviceEnabled = true;
    const record = recordOf(endpoint, false);
    let first = false;
    if (endpoint.service !== null) {
      this.backends.set(endpoint.id, record);
      first = this.host.balancers.add(bindingOf(endpoint.network.id, endpoint.id, record));
    } else nameEndpoint(this.host.records(endpoint.network.id), endpoint, true);
    this.db.create("endpoint_table", endpoint.network.id, endpoint.id, record);
    return first ? FIRST_BACKEND_NS : 0;
  }

  /** No new connections to the endpoints of a sandbox (DisableService). */
  disableService(sandbox: { readonly endpoints: readonly Endpoint[] }): void {
    for (const endpoint of sandbox.endpoints) {
      if (!endpoint.serviceEnabled || endpoint.service === null) continue;
      const record = recordOf(endpoint, true);
      this.db.update("endpoint_table", endpoint.network.id, endpoint.id, record);
      this.host.balancers.remove(bindingOf(endpoint.network.id, endpoint.id, record), false);
    }
  }

  /** The endpoint is gone: nobody balances to it and nobody tunnels to it. */
  withdraw(endpoint: Endpoint): void {
    const { network, id } = endpoint;
    if (network.driver !== "overlay") return;
    if (endpoint.serviceEnabled) {
      endpoint.serviceEnabled = false;
      this.db.remove("endpoint_table", network.id, id);
      this.backends.delete(id);
      if (endpoint.service !== null)
        this.host.balancers.remove(bindingOf(network.id, id, recordOf(endpoint, true)), true);
      else nameEndpoint(this.host.records(network.id), endpoint, false);
    }
    this.db.remove("overlay_peer_table", network.id, id);
  }

  tableEvent(event: TableEvent): void {
    if (this.host.findNetwork(event.networkId) === null) return;
    if (event.table === "overlay_peer_table") this.peerEvent(event, event.value as PeerRecord);
    else this.endpointEvent(event, event.value as EndpointRecord);
  }

  private peerEvent({ kind, networkId, key }: TableEvent, record: PeerRecord): void {
    if (kind === "create") {
      this.hosts.set(key, record.tunnelIp);
      this.host.overlay?.peerAdd(networkId, key, record);
    } else {
      this.hosts.delete(key);
      this.host.overlay?.peerDelete(networkId, key, record);
    }
  }

  private endpointEvent({ kind, networkId, key }: TableEvent, record: EndpointRecord): void {
    if (record.serviceId === "") {
      this.plainEvent(kind, networkId, key, record);
      return;
    }
    const binding = bindingOf(networkId, key, record);
    if (kind === "delete") {
      this.backends.delete(key);
      this.host.balancers.remove(binding, true);
    } else if (record.serviceDisabled) this.host.balancers.remove(binding, false);
    else {
      this.backends.set(key, record);
      this.host.balancers.add(binding);
    }
  }

  /** A load balancer of the ingress network, or a container that is no task. */
  private plainEvent(kind: TableEvent["kind"], networkId: string, key: string, record: EndpointRecord): void {
    let known = this.plainEndpoints.get(networkId);
    if (known === undefined) {
      known = new Map();
      this.plainEndpoints.set(networkId, known);
    }
    if (kind === "delete") known.delete(key);
    else known.set(key, record);
    const { name, taskAliases, endpointIp } = record;
    const named = { id: key, dnsName: name, aliases: taskAliases, addr: endpointIp };
    nameEndpoint(this.host.records(networkId), named, kind !== "delete");
  }
}

function recordOf(endpoint: Endpoint, serviceDisabled: boolean): EndpointRecord {
  const { service } = endpoint;
  return {
    name: endpoint.dnsName,
    serviceId: service?.serviceId ?? "",
    serviceName: service?.serviceName ?? "",
    virtualIp: service?.virtualIp ?? 0,
    endpointIp: endpoint.addr,
    ingressPorts: service?.ingressPorts ?? [],
    aliases: service?.aliases ?? [],
    taskAliases: endpoint.aliases,
    serviceDisabled,
  };
}

function bindingOf(networkId: string, endpointId: string, record: EndpointRecord): Binding {
  return {
    serviceId: record.serviceId,
    serviceName: record.serviceName,
    networkId,
    endpointId,
    containerName: record.name,
    virtualIp: record.virtualIp,
    ingressPorts: record.ingressPorts,
    aliases: record.aliases,
    taskAliases: record.taskAliases,
    addr: record.endpointIp,
  };
}
