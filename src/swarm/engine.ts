/**
 * The Docker engine of one machine (daemon/, daemon/cluster): local networks and containers, and its membership of a
 * swarm. What the `docker` command does, it asks here.
 */
import type { Machine } from "../host/machine.ts";
import { type Co, type Process, sleep } from "../host/process.ts";
import type { Sim } from "../sim/sim.ts";
import type { Prng } from "../util/prng.ts";
import { formatIp4 } from "../wire/address.ts";
import { Agent } from "./agent/agent.ts";
import { LocalDispatcher, RemoteDispatcher } from "./agent/dispatcher-client.ts";
import { Attachers } from "./attachers.ts";
import { Container, type ContainerOptions } from "./container.ts";
import { Daemon } from "./daemon.ts";
import { DockerError } from "./docker-error.ts";
import type { SwarmFabric } from "./fabric.ts";
import { GossipDb } from "./gossip/gossip-db.ts";
import { newHexId } from "./ids.ts";
import { findImage, type ImageSpec, withTag } from "./images.ts";
import { type JoinRequest, obtainCertificate } from "./join.ts";
import { Cluster, type ClusterOptions, type NodeDescription } from "./manager/cluster.ts";
import type { ControlApi } from "./manager/control-api.ts";
import { ControlServer } from "./manager/control-server.ts";
import { type Certificate, ManagerPort } from "./manager/manager-port.ts";
import { type Role, type TaskObject, taskContainerName } from "./manager/objects.ts";
import { type Attachment, NetworkController } from "./network/controller.ts";
import type { NetworkDb, TableWatcher } from "./network/network-db.ts";
import { clearAttachableNetworks } from "./plain-container.ts";
import { RegistryClient } from "./registry.ts";
import { startContainer } from "./start-container.ts";
import {
  ALREADY_MEMBER,
  JOIN_TIMEOUT,
  leaveRefusal,
  NO_SWARM,
  NOT_MANAGER,
  NOT_PART,
} from "./swarm-errors.ts";
import { taskAttachments } from "./task-attachments.ts";
import { Volumes } from "./volumes.ts";

/** How this engine is part of a swarm. */
export interface Membership {
  readonly cluster: Cluster;
  readonly nodeId: string;
  readonly agent: Agent;
  readonly db: NetworkDb;
  /** Serves 2377/tcp while this node is a manager. */
  readonly port: ManagerPort;
  readonly addresses: JoinAddresses;
  /** The manager that let this node in, int32; null for the first one. */
  readonly remote: number | null;
  /** Address that the other nodes use. */
  readonly advertise: number;
}

export interface JoinAddresses {
  /** int32 */
  readonly advertise: number;
  /** Tunnel endpoint; the advertise address unless given. */
  readonly dataPath: number;
}

/** From the certificate to the first call to the dispatcher: the node sets its manager and agent up. */
const CERTIFIED_NS = 240_000_000;
const CPUS = 1;
const MEMORY_BYTES = 1_217_581_056;

export class Engine {
  readonly machine: Machine;
  readonly fabric: SwarmFabric;
  readonly sim: Sim;
  readonly prng: Prng;
  readonly controller: NetworkController;
  readonly containers: Container[] = [];
  /** Identifier of the daemon, as `docker info` shows it. */
  readonly id: string;
  membership: Membership | null = null;
  /** A join that goes on in the background. */
  joining: Process | null = null;
  /** The machine lost its power; what this engine still wanted to do is not done. */
  halted = false;
  readonly daemon: Daemon;
  readonly registry: RegistryClient;
  readonly attachers: Attachers;
  readonly volumes: Volumes;
  /** Images by names that were given to them on this machine. */
  readonly tags = new Map<string, ImageSpec>();
  private readonly attachments = new WeakMap<Container, readonly Attachment[]>();

  /** `boots` counts how often the machine was started before. */
  constructor(machine: Machine, fabric: SwarmFabric, boots = 0) {
    this.machine = machine;
    this.fabric = fabric;
    this.sim = fabric.sim;
    const prng = fabric.prng.stream(`engine/${machine.name}`);
    this.prng = boots === 0 ? prng : prng.stream(`boot/${boots}`);
    this.daemon = new Daemon(machine);
    this.attachers = new Attachers(fabric.sim);
    this.volumes = new Volumes(this.prng.stream("volumes"), () => fabric.sim.now);
    this.registry = new RegistryClient(this.daemon, this.prng.stream("registry"));
    this.controller = new NetworkController(machine, this.prng.stream("libnetwork"), fabric.answers);
    this.id = Array.from({ length: 12 }, () => prng.text(4, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")).join(":");
  }

  /** Daemon start: forwarding on, br_netfilter loaded, docker0 with its rules. */
  start(): void {
    const { hostNs, kernel } = this.machine;
    kernel.bridgeNetfilter = true;
    hostNs.sysctl.set("net.ipv4.ip_forward", "1");
    this.controller.start();
  }

  get role(): Role | null {
    const { membership } = this;
    return membership === null
      ? null
      : (membership.cluster.store.nodes.get(membership.nodeId)?.role ?? "worker");
  }

  /** The control API, on a manager; otherwise what the daemon answers instead. */
  control(): ControlApi {
    if (this.membership === null) throw new DockerError(NO_SWARM);
    if (this.role !== "manager") throw new DockerError(NOT_MANAGER);
    return new ControlServer(this.membership.cluster);
  }

  /** `docker swarm init`: a new swarm with this engine as its leader. */
  initSwarm(addresses: JoinAddresses, options: ClusterOptions): Membership {
    if (this.membership !== null) throw new DockerError(ALREADY_MEMBER);
    const { sim, fabric } = this;
    const cluster = new Cluster(
      sim,
      fabric.prng.stream(`cluster/${this.machine.name}/${sim.now}`),
      fabric.pins,
      options,
    );
    const ingress = {
      name: "ingress",
      driver: "overlay",
      ingress: true,
      attachable: false,
      internal: false,
      labels: new Map<string, string>(),
      options: new Map<string, string>(),
      subnet: null,
      gateway: null,
    };
    new ControlServer(cluster).createNetwork(ingress);
    const node = cluster.addNode(
      this.describe(addresses.advertise),
      "manager",
      `${formatIp4(addresses.advertise)}:2377`,
    );
    return this.enter({ cluster, nodeId: node.id, role: "manager" }, addresses, null);
  }

  /** `docker swarm join`: by the wire, with the errors that Docker has for a manager that does not answer. */
  *joinSwarm(request: Omit<JoinRequest, "description">, addresses: JoinAddresses): Co<Membership> {
    if (this.membership !== null || this.joining !== null) throw new DockerError(ALREADY_MEMBER);
    const full = { ...request, description: this.describe(addresses.advertise) };
    try {
      const certificate = yield* obtainCertificate(this.daemon, this.fabric.meanings, full);
      yield* sleep(CERTIFIED_NS);
      return this.enter(certificate, addresses, request.remote);
    } catch (error) {
      if (error instanceof DockerError && error.message === JOIN_TIMEOUT)
        this.joining = this.daemon.go(() => this.keepJoining(full, addresses));
      throw error;
    }
  }

  /** The attempt that `docker swarm join` has given up waiting for. */
  private *keepJoining(request: JoinRequest, addresses: JoinAddresses): Co<void> {
    while (this.joining !== null) {
      try {
        const certificate = yield* obtainCertificate(this.daemon, this.fabric.meanings, request);
        this.joining = null;
        this.enter(certificate, addresses, request.remote);
      } catch (error) {
        if (!(error instanceof DockerError)) throw error;
        if (error.message !== JOIN_TIMEOUT) this.joining = null;
      }
    }
  }

  /** This machine as a manager sees it. */
  private describe(addr: number): NodeDescription {
    return { hostname: this.machine.name, addr, cpus: CPUS, memoryBytes: MEMORY_BYTES };
  }

  /** `docker swarm leave`. */
  leaveSwarm(force: boolean): void {
    const { membership } = this;
    if (this.joining !== null) {
      this.joining.kill(9);
      this.joining = null;
      return;
    }
    if (membership === null) throw new DockerError(NOT_PART);
    const { cluster, nodeId } = membership;
    if (this.role === "manager" && !force) throw new DockerError(leaveRefusal(cluster.managers.size));
    membership.agent.stop();
    for (const container of [...this.containers])
      if (container.options.labels.has(TASK_LABEL)) this.dropTask(container);
    clearAttachableNetworks(this);
    this.controller.leaveSwarm();
    this.membership = null;
    cluster.managers.delete(nodeId);
    membership.port.close();
  }

  /** The machine loses its power: nobody hears of it. */
  halt(): void {
    this.halted = true;
    this.membership?.agent.halt();
    this.membership?.db.halt();
    this.daemon.halt();
  }

  /** Comes back after a power failure with what `before` had on disk: the node's certificate and the state of the swarm. */
  restore(before: Engine): void {
    const { membership } = before;
    before.membership = null;
    if (membership === null) return;
    const { cluster, nodeId, addresses, remote } = membership;
    if (remote === null && cluster.managers.size === 1) cluster.dispatcher.resume();
    this.enter({ cluster, nodeId, role: "worker" }, addresses, remote);
  }

  findImage(reference: string): ImageSpec | null {
    return this.tags.get(withTag(reference)) ?? findImage(this.fabric.images, reference);
  }

  /** By id, unique prefix or name; null when there is none. */
  findContainer(reference: string): Container | null {
    const named = this.containers.find((c) => c.id === reference || c.name === reference.replace(/^\//, ""));
    if (named !== undefined) return named;
    const found = reference === "" ? [] : this.containers.filter((c) => c.id.startsWith(reference));
    return found.length === 1 ? found[0] : null;
  }

  createContainer(options: Omit<ContainerOptions, "id" | "spec"> & { readonly spec: ImageSpec }): Container {
    const container = new Container(this.machine, { ...options, id: newHexId(this.prng) });
    this.containers.unshift(container);
    return container;
  }

  /** The container of a task, created but not started. */
  createTaskContainer(task: TaskObject): Container {
    const { spec } = task;
    const labels = new Map(spec.containerLabels);
    labels.set("com.docker.swarm.node.id", task.nodeId);
    labels.set("com.docker.swarm.service.id", task.serviceId);
    labels.set("com.docker.swarm.service.name", task.serviceName);
    labels.set("com.docker.swarm.task", "");
    labels.set(TASK_LABEL, task.id);
    labels.set("com.docker.swarm.task.name", taskContainerName(task));
    const image = this.findImage(spec.image)!;
    const hostPorts = task.ports.filter((port) => port.mode === "host");
    const container = this.createContainer({
      name: taskContainerName(task),
      named: true,
      image: withTag(spec.image),
      spec: image,
      command: [...spec.command, ...spec.args],
      env: spec.env,
      hostname: spec.hostname,
      labels,
      nsName: `ctr-${task.serviceName}.${task.slot > 0 ? task.slot : this.machine.name}`,
      hostPorts,
      mounts: this.volumes.settle(spec.mounts ?? []),
      exposed: [
        ...new Set([...image.exposed, ...hostPorts.map((port) => `${port.targetPort}/${port.protocol}`)]),
      ],
      autoRemove: false,
    });
    this.attachments.set(container, this.attachmentsOf(task, container));
    this.fabric.taskContainers.set(task.id, container);
    return container;
  }

  /** Joins the container to its networks and starts its programs. Null, or why it could not. */
  startContainer(container: Container): string | null {
    return startContainer(this, container, this.attachments.get(container) ?? []);
  }

  /** Networks of a container that is not a task. */
  attach(container: Container, attachments: readonly Attachment[]): void {
    this.attachments.set(container, attachments);
  }

  /** Takes the network of a container that has ended apart. */
  releaseSandbox(container: Container): void {
    const { sandbox } = container;
    const networks = sandbox?.endpoints.map(({ network }) => network) ?? [];
    if (sandbox !== null) this.controller.deleteSandbox(sandbox);
    for (const { id } of networks) this.detach(id, container);
    container.sandbox = null;
    container.mappedPorts = [];
  }

  /** The container has left a network: if the address was the swarm's, it goes back. */
  detach(networkId: string, container: Container): void {
    this.attachers.detach(this.membership?.agent.dispatcher ?? null, networkId, container.id);
  }

  removeContainer(container: Container): void {
    this.releaseSandbox(container);
    const i = this.containers.indexOf(container);
    if (i >= 0) this.containers.splice(i, 1);
    this.fabric.taskContainers.delete(container.options.labels.get(TASK_LABEL) ?? "");
  }

  /** Takes the user's overlays that are not in `used` away from this node. */
  removeUnusedNetworks(used: ReadonlySet<string>): void {
    for (const network of [...this.controller.networks])
      if (network.driver === "overlay" && !network.ingress && !used.has(network.id))
        this.controller.deleteOverlay(network.id);
  }

  /** `remote`: the manager that let this node in, null for the first one. */
  private enter(
    { cluster, nodeId }: Certificate,
    { advertise, dataPath }: JoinAddresses,
    remote: number | null,
  ): Membership {
    const { fabric, daemon } = this;
    const port = new ManagerPort(daemon, fabric.meanings, cluster);
    const join = (watcher: TableWatcher): NetworkDb => {
      const gossipNs = fabric.pins.node(this.machine.name)?.gossipNs;
      const prng = this.prng.stream("gossip");
      const db = new GossipDb(daemon, fabric.meanings, prng, advertise, watcher, gossipNs);
      db.start(remote);
      return db;
    };
    this.controller.enterSwarm({ tunnelIp: dataPath, dataPathPort: cluster.options.dataPathPort, join });
    const agent = new Agent(this, cluster, nodeId, (link) =>
      remote === null
        ? new LocalDispatcher(cluster, nodeId, link)
        : new RemoteDispatcher(daemon, fabric.meanings, nodeId, link, remote),
    );
    const { db } = this.controller.agent!;
    const addresses = { advertise, dataPath };
    const membership = { cluster, nodeId, agent, db, port, addresses, remote, advertise };
    this.membership = membership;
    cluster.store.onChange(() => this.servePort(membership));
    this.servePort(membership);
    agent.start();
    return membership;
  }

  /** A manager listens; whoever is promoted begins to, whoever is demoted ends. */
  private servePort({ port }: Membership): void {
    if (this.membership?.port !== port) return;
    if (this.role === "manager") port.open();
    else port.close();
  }

  private attachmentsOf(task: TaskObject, container: Container): Attachment[] {
    const { networks } = this.membership!.cluster.store;
    const list = taskAttachments(task, container.shortId, networks, this.fabric.pins, this.prng);
    if (list.length > 0) return list;
    const bridge = this.controller.findNetwork("bridge")!;
    return [{ networkId: bridge.id, addr: 0, service: null, aliases: [], anonymous: true }];
  }

  private dropTask(container: Container): void {
    container.onExit = null;
    container.kill(9);
    this.removeContainer(container);
  }
}

const TASK_LABEL = "com.docker.swarm.task.id";

/** Starts a Docker engine on a machine; after a power failure with what the one before left on disk. */
export function startDocker(machine: Machine, fabric: SwarmFabric, boots = 0): Engine {
  const before = engineOf(machine);
  const engine = new Engine(machine, fabric, boots);
  machine.engine = engine;
  engine.start();
  if (before !== null) engine.restore(before);
  return engine;
}

/** The engine of a machine, null when it has none. */
export function engineOf(machine: Machine): Engine | null {
  return machine.engine as Engine | null;
}
