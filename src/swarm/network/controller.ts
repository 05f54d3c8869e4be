/**
 * Networks of one engine (libnetwork controller.go, network.go, default_gateway.go): local bridges, the swarm's
 * networks with their load balancers, the sandboxes, and what the other nodes tell about theirs.
 */
import type { Machine } from "../../host/machine.ts";
import { type Co, waitFor } from "../../host/process.ts";
import { WaitQueue } from "../../sim/wait-queue.ts";
import type { Prng } from "../../util/prng.ts";
import { newHexId } from "../ids.ts";
import { localPools, type Pool, type PredefinedPools } from "../manager/allocator/ipam.ts";
import { type EncryptionKey, SUBSYSTEM_IPSEC } from "../manager/key-manager.ts";
import type { NetworkObject, PortConfig } from "../manager/objects.ts";
import type { AnswerOrder } from "./answer-order.ts";
import { BridgeDriver, bridgeOptions } from "./bridge-driver.ts";
import { ClusterAgent } from "./cluster-agent.ts";
import { DockerProxies } from "./docker-proxy.ts";
import { IngressPorts } from "./ingress.ts";
import { setupChains } from "./iptables-setup.ts";
import { KeyRing } from "./key-ring.ts";
import { applyTweaks, type LoadBalancerHost, LoadBalancers } from "./load-balancer.ts";
import type { NetworkDb, TableWatcher } from "./network-db.ts";
import { OverlayDriver } from "./overlay-driver.ts";
import type { ResolverHost } from "./resolver.ts";
import { Sandbox } from "./sandbox.ts";
import { nameEndpoint, type ResolverNetwork, ServiceRecords } from "./service-records.ts";
import { swarmNetwork } from "./swarm-network.ts";
import { Endpoint, type LocalNetwork, type ServiceInfo } from "./types.ts";

const GW_BRIDGE = "docker_gwbridge";
const LB_KEY_PREFIX = "lb_";

/** One network that a container is to join. */
export interface Attachment {
  readonly networkId: string;
  /** int32; 0: the driver chooses (bridges). One of a bridge is reserved before. */
  readonly addr: number;
  readonly service: ServiceInfo | null;
  readonly aliases: readonly string[];
  /** The name of the container says nothing to others. */
  readonly anonymous: boolean;
}

/** This node's place in a swarm, as its networks need it. */
export interface SwarmMembership {
  readonly tunnelIp: number;
  readonly dataPathPort: number;
  /** Enters the gossip. */
  join(watcher: TableWatcher): NetworkDb;
}

export class NetworkController implements LoadBalancerHost, ResolverHost {
  readonly machine: Machine;
  readonly prng: Prng;
  readonly networks: LocalNetwork[] = [];
  readonly sandboxes: Sandbox[] = [];
  readonly balancers: LoadBalancers;
  readonly answers: AnswerOrder;
  readonly bridge: BridgeDriver;
  overlay: OverlayDriver | null = null;
  agent: ClusterAgent | null = null;
  private readonly pools: PredefinedPools = localPools();
  /** Networks in the making: their lock. */
  private readonly joining = new Map<string, WaitQueue>();
  private readonly nameRecords = new Map<string, ServiceRecords>();
  private readonly ingressPorts: IngressPorts;
  private keyRing = new KeyRing();
  private readonly proxies: DockerProxies;
  private ipvsLoaded = false;

  constructor(machine: Machine, prng: Prng, answers: AnswerOrder) {
    this.machine = machine;
    this.answers = answers;
    this.prng = prng;
    this.bridge = new BridgeDriver(machine.hostNs, prng.stream("bridge"));
    this.balancers = new LoadBalancers(this);
    this.ingressPorts = new IngressPorts(machine);
    this.proxies = new DockerProxies(machine);
  }

  /** Daemon start: chains, and the networks none, host and bridge (docker0). */
  start(): void {
    setupChains(this.machine.hostNs);
    this.addNetwork("none", "null", {});
    this.addNetwork("host", "host", {});
    const options = {
      default_bridge: "true",
      enable_icc: "true",
      enable_ip_masquerade: "true",
      host_binding_ipv4: "0.0.0.0",
      name: "docker0",
    };
    this.addBridge("bridge", "docker0", true, {
      ...bridgeOptions(options),
      "com.docker.network.driver.mtu": "1500",
    });
  }

  findNetwork(idOrName: string): LocalNetwork | null {
    return this.networks.find((network) => network.id === idOrName || network.name === idOrName) ?? null;
  }

  /** `docker network create` of a bridge: named br-<id>, next free local pool unless given. Null: no pool left. */
  createUserBridge(
    name: string,
    wanted: (Pool & { gateway: number }) | null,
    internal: boolean,
  ): LocalNetwork | null {
    return this.addBridge(name, "", true, {}, wanted, internal);
  }

  deleteBridge(network: LocalNetwork): void {
    this.bridge.deleteNetwork(network);
    this.networks.splice(this.networks.indexOf(network), 1);
  }

  /** The node has become part of a swarm. */
  enterSwarm(membership: SwarmMembership): void {
    this.overlay = new OverlayDriver(
      this.machine.hostNs,
      this.prng.stream("overlay"),
      membership.tunnelIp,
      membership.dataPathPort,
    );
    this.agent = new ClusterAgent(this, membership);
    this.keyRing = new KeyRing();
  }

  /** The cluster's keys as they are now. */
  networkKeys(keys: readonly EncryptionKey[]): void {
    if (this.overlay === null) return;
    const ipsec = keys.filter(({ subsystem }) => subsystem === SUBSYSTEM_IPSEC);
    this.keyRing.update(ipsec, this.overlay.encryption);
  }

  /** Everything of the swarm goes: load balancers, overlays, the gossip. */
  leaveSwarm(): void {
    for (const network of this.networks.filter((candidate) => candidate.driver === "overlay"))
      this.deleteOverlay(network.id);
    this.agent?.leave();
    this.agent = null;
    this.overlay = null;
  }

  /**
   * Makes a network of the swarm here, with its load-balancer sandbox at `lbAddr`, when the other nodes have told what they
   * know of it. When it is here already, or another makes it, nothing but the wait for it.
   */
  *createOverlay(object: NetworkObject, lbAddr: number): Co<void> {
    const lock = this.joining.get(object.id);
    if (lock !== undefined) yield* waitFor(lock);
    if (this.overlay === null || this.findNetwork(object.id) !== null) return;
    const network = swarmNetwork(object, this.now);
    this.networks.push(network);
    this.overlay.createNetwork(network);
    const made = new WaitQueue();
    this.joining.set(network.id, made);
    yield* this.agent!.joinNetwork(network.id);
    this.joining.delete(network.id);
    if (this.networks.includes(network)) this.createBalancer(network, lbAddr);
    made.wake();
  }

  /** Takes a network of the swarm away from this node; its containers have left. */
  deleteOverlay(id: string): void {
    const network = this.findNetwork(id);
    if (network === null) return;
    const balancer = this.sandboxes.find((sandbox) =>
      sandbox.endpoints.some((ep) => ep.loadBalancer && ep.network === network),
    );
    if (balancer !== undefined) this.deleteSandbox(balancer);
    this.balancers.forgetNetwork(id);
    this.agent!.leaveNetwork(id);
    this.overlay!.deleteNetwork(network);
    this.networks.splice(this.networks.indexOf(network), 1);
    this.nameRecords.delete(id);
  }

  /** Joins a container to its networks in the order given. Its namespace is made later. */
  createSandbox(containerId: string, containerName: string, attachments: readonly Attachment[]): Sandbox {
    const sandbox = new Sandbox(this.machine, this, newHexId(this.prng), containerId, "container");
    this.sandboxes.push(sandbox);
    for (const attachment of attachments) this.connect(sandbox, containerName, attachment);
    return sandbox;
  }

  /** Joins a container to one more network. */
  connect(sandbox: Sandbox, containerName: string, attachment: Attachment): void {
    const { networkId, addr, service, aliases, anonymous } = attachment;
    const network = this.findNetwork(networkId)!;
    const ip = addr === 0 ? this.bridge.requestAddress(network)! : addr;
    const id = newHexId(this.prng);
    this.join(sandbox, new Endpoint(id, containerName, network, ip, false, service, aliases, anonymous));
  }

  /** The container leaves one network and keeps the others. */
  disconnect(sandbox: Sandbox, endpoint: Endpoint): void {
    const before = sandbox.gatewayEndpoint();
    this.leave(sandbox, endpoint);
    this.settleGateway(sandbox, before);
  }

  /** Publishes host ports of a container on the network that gives it its gateway. Null, or why it could not. */
  mapPorts(sandbox: Sandbox, ports: readonly PortConfig[]): string | null {
    const endpoint = sandbox.gatewayEndpoint();
    sandbox.published = ports;
    if (endpoint === null || ports.length === 0) return null;
    return this.bridge.mapPorts(endpoint, ports, this.proxies);
  }

  /** All endpoints leave (docker_gwbridge last), then the namespace goes. */
  deleteSandbox(sandbox: Sandbox): void {
    for (const endpoint of [...sandbox.endpoints])
      if (!endpoint.isGatewayBridge) this.leave(sandbox, endpoint);
    for (const endpoint of [...sandbox.endpoints]) this.leave(sandbox, endpoint);
    sandbox.destroy();
    const i = this.sandboxes.indexOf(sandbox);
    if (i >= 0) this.sandboxes.splice(i, 1);
  }

  balancerOf(networkId: string) {
    for (const { ns, endpoints } of this.sandboxes) {
      const endpoint = endpoints.find((ep) => ep.loadBalancer && ep.network.id === networkId);
      if (endpoint !== undefined && ns !== null) return { endpoint, ns, dev: endpoint.dev?.name ?? "" };
    }
    return null;
  }

  records(networkId: string): ServiceRecords {
    let records = this.nameRecords.get(networkId);
    if (records === undefined) {
      records = new ServiceRecords();
      this.nameRecords.set(networkId, records);
    }
    return records;
  }

  isIngress(networkId: string): boolean {
    return this.findNetwork(networkId)?.ingress ?? false;
  }

  programIngress(ports: readonly PortConfig[], add: boolean): void {
    const gateway = this.sandboxes.find((sandbox) => sandbox.ingress)?.gatewayEndpoint()?.addr;
    if (gateway !== undefined) this.ingressPorts.program(gateway, ports, add);
  }

  loadIpvs(): void {
    this.ipvsLoaded = true;
  }

  /** Overlays of the user by name, then ingress, then local networks; docker_gwbridge has no names. */
  resolverNetworks(sandbox: unknown): readonly ResolverNetwork[] {
    const networks = (sandbox as Sandbox).endpoints
      .map((ep) => ep.network)
      .filter((net) => net.name !== GW_BRIDGE);
    const rank = (network: LocalNetwork): number =>
      network.ingress ? 1 : network.driver === "overlay" ? 0 : 2;
    networks.sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
    return networks.map((network) => ({ name: network.name, records: this.records(network.id) }));
  }

  private get now(): number {
    return this.machine.kernel.sim.now;
  }

  /** The load-balancer sandbox, the last step of making a network. */
  private createBalancer(network: LocalNetwork, addr: number): void {
    const id = network.ingress ? "ingress_sbox" : `${LB_KEY_PREFIX}${network.id}`;
    const containerId = network.ingress ? "ingress-sbox" : `lb-${network.name}`;
    const sandbox = new Sandbox(this.machine, this, id, containerId, network.ingress ? "ingress" : "lb");
    this.sandboxes.push(sandbox);
    const ns = sandbox.createNs(network.ingress ? "ingress_sbox" : `lb-${network.name}`);
    if (this.ipvsLoaded) applyTweaks(ns);
    const name = `${network.name}-endpoint`;
    const endpointId = newHexId(this.prng);
    this.join(sandbox, new Endpoint(endpointId, name, network, addr, true, null, [], !network.ingress));
    this.balancers.populate(network.id);
    this.agent!.enableNext(sandbox);
  }

  private join(sandbox: Sandbox, endpoint: Endpoint): void {
    const { network } = endpoint;
    const before = sandbox.gatewayEndpoint();
    network.endpoints.push(endpoint);
    if (network.driver === "bridge") {
      this.bridge.createEndpoint(endpoint);
      nameEndpoint(this.records(network.id), endpoint, true);
      sandbox.join(endpoint);
    } else {
      const record = this.overlay!.join(endpoint);
      sandbox.join(endpoint);
      this.agent!.publishPeer(endpoint, record);
    }
    this.settleGateway(sandbox, before);
  }

  /** docker_gwbridge is there for who has no other way out; published ports and the default route follow the gateway. */
  private settleGateway(sandbox: Sandbox, before: Endpoint | null): void {
    const own = sandbox.endpoints.find((endpoint) => endpoint.isGatewayBridge);
    const needed = sandbox.needsDefaultGateway();
    if (needed && own === undefined) {
      this.joinGatewayBridge(sandbox);
      return;
    }
    if (!needed && own !== undefined) this.leave(sandbox, own);
    sandbox.updateGateway();
    if (sandbox.published.length === 0 || before === sandbox.gatewayEndpoint()) return;
    if (before !== null && before.dev !== null) this.bridge.unmapPorts(before, this.proxies);
    this.mapPorts(sandbox, sandbox.published);
  }

  private leave(sandbox: Sandbox, endpoint: Endpoint): void {
    const { network } = endpoint;
    this.agent?.withdraw(endpoint);
    sandbox.leave(endpoint);
    if (network.driver === "bridge") {
      this.bridge.unmapPorts(endpoint, this.proxies);
      nameEndpoint(this.records(network.id), endpoint, false);
      this.bridge.deleteEndpoint(endpoint);
    } else this.overlay!.leave(endpoint);
    const i = network.endpoints.indexOf(endpoint);
    if (i >= 0) network.endpoints.splice(i, 1);
  }

  private joinGatewayBridge(sandbox: Sandbox): void {
    const network = this.findNetwork(GW_BRIDGE) ?? this.createGatewayBridge();
    const suffix = sandbox.containerId.length <= 12 ? sandbox.containerId : sandbox.id.slice(0, 12);
    const addr = this.bridge.requestAddress(network)!;
    const id = newHexId(this.prng);
    this.join(sandbox, new Endpoint(id, `gateway_${suffix}`, network, addr, false, null, [], true));
  }

  private createGatewayBridge(): LocalNetwork {
    const options = { enable_icc: "false", enable_ip_masquerade: "true", name: GW_BRIDGE };
    return this.addBridge(GW_BRIDGE, GW_BRIDGE, false, bridgeOptions(options))!;
  }

  private addBridge(
    name: string,
    device: string,
    icc: boolean,
    options: Record<string, string>,
    wanted: (Pool & { gateway: number }) | null = null,
    internal = false,
  ): LocalNetwork | null {
    const taken = this.networks
      .filter((network) => network.driver === "bridge")
      .map((network) => ({ addr: network.subnet, prefixLen: network.prefixLen }));
    const pool = wanted ?? this.pools.take(taken);
    if (pool === null) return null;
    const gateway = wanted?.gateway ?? (pool.addr + 1) | 0;
    const network = this.addNetwork(name, "bridge", options, {
      ...pool,
      gateway,
      device,
      internal,
      given: wanted !== null,
    });
    this.bridge.createNetwork(network, icc);
    return network;
  }

  private addNetwork(
    name: string,
    driver: LocalNetwork["driver"],
    options: Record<string, string>,
    bridge?: Pool & { gateway: number; device: string; internal: boolean; given: boolean },
  ): LocalNetwork {
    const id = newHexId(this.prng);
    const network: LocalNetwork = {
      id,
      name,
      driver,
      scope: "local",
      ingress: false,
      internal: bridge?.internal ?? false,
      attachable: false,
      createdNs: this.now,
      subnet: bridge?.addr ?? 0,
      prefixLen: bridge?.prefixLen ?? 0,
      gateway: bridge?.gateway ?? 0,
      subnetGiven: bridge?.given ?? false,
      showGateway: name !== "bridge",
      options: new Map(Object.entries(options)),
      labels: new Map(),
      endpoints: [],
      bridge: bridge === undefined ? "" : bridge.device || `br-${id.slice(0, 12)}`,
    };
    this.networks.push(network);
    return network;
  }
}
