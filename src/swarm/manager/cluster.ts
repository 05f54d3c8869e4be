/**
 * One swarm: the store and the parts of the leader that work on it (swarmkit manager/manager.go becomeLeader). The parts
 * are level-triggered: after a change they look at the whole store and do what is missing.
 */
import type { Sim } from "../../sim/sim.ts";
import type { Prng } from "../../util/prng.ts";
import { after, Debounce } from "../clock.ts";
import { base36, joinToken, newId } from "../ids.ts";
import type { PinBook } from "../pins.ts";
import { globalPools, type Pool } from "./allocator/ipam.ts";
import { NetworkAllocator } from "./allocator/network.ts";
import { PortAllocator } from "./allocator/port.ts";
import { type AgentLink, Dispatcher } from "./dispatcher.ts";
import { KeyManager } from "./key-manager.ts";
import { isTerminal, type NodeObject, type Role, type ServiceObject, stateRank } from "./objects.ts";
import { reconcileGlobal } from "./orchestrator/global.ts";
import { reconcileReplicated } from "./orchestrator/replicated.ts";
import { historyToReap } from "./orchestrator/restart.ts";
import type { OrchestratorContext } from "./orchestrator/tasks.ts";
import { Updater } from "./orchestrator/update.ts";
import { Scheduler } from "./scheduler.ts";
import { Store } from "./store.ts";

const COMMIT_NS = 5_000_000;
const SCHEDULER_DEBOUNCE_NS = 50_000_000;
const TASK_HISTORY_LIMIT = 5;
/** Widths of the two parts of a join token in base-36 digits, and their random words. */
const DIGEST_DIGITS = 50;
const SECRET_DIGITS = 25;

export interface ClusterOptions {
  readonly pools: readonly Pool[];
  readonly subnetSize: number;
  readonly dataPathPort: number;
}

/** A machine as it presents itself when it joins. */
export interface NodeDescription {
  readonly hostname: string;
  readonly addr: number;
  readonly cpus: number;
  readonly memoryBytes: number;
}

export class Cluster {
  readonly id: string;
  readonly createdNs: number;
  readonly sim: Sim;
  readonly store: Store;
  readonly networks: NetworkAllocator;
  readonly ports = new PortAllocator();
  readonly dispatcher: Dispatcher;
  readonly options: ClusterOptions;
  /** Manager node id -> `address:port`, in the order of joining. The first is the leader. */
  readonly managers = new Map<string, string>();
  readonly tokens: Record<Role, string>;
  /** Where the ids of networks and services come from. */
  readonly ids: Prng;
  private readonly prng: Prng;
  private readonly digest: string;
  private readonly scheduler: Scheduler;
  private readonly context: OrchestratorContext;
  private readonly updaters = new Map<string, Updater>();
  private readonly commit: Debounce;
  private readonly scheduling: Debounce;

  constructor(sim: Sim, prng: Prng, pins: PinBook, options: ClusterOptions) {
    this.sim = sim;
    this.prng = prng;
    this.ids = prng.stream("ids");
    this.options = options;
    this.createdNs = sim.now;
    this.id = newId(prng);
    this.digest = base36(prng, 8, DIGEST_DIGITS);
    this.tokens = { worker: this.newToken(), manager: this.newToken() };
    this.store = new Store(sim);
    const pools = globalPools(options.pools, options.subnetSize);
    this.networks = new NetworkAllocator(this.store, pools, prng.stream("allocator"), pins);
    this.scheduler = new Scheduler(this.store, prng.stream("scheduler"), pins);
    this.dispatcher = new Dispatcher(this.store, sim, prng.stream("dispatcher"));
    this.startKeys();
    this.context = {
      store: this.store,
      prng: prng.stream("tasks"),
      updates: prng.stream("updates"),
      pins,
      later: (delayNs, fn) => void after(sim, delayNs, fn),
    };
    this.commit = new Debounce(sim, COMMIT_NS, () => this.reconcile());
    this.scheduling = new Debounce(sim, SCHEDULER_DEBOUNCE_NS, () => this.scheduler.schedule());
    this.store.onChange(() => this.commit.trigger());
  }

  get leaderId(): string {
    return this.managers.keys().next().value ?? "";
  }

  /** A new token for a role; tokens made before are no longer good. */
  rotateToken(role: Role): string {
    this.tokens[role] = this.newToken();
    return this.tokens[role];
  }

  /** The role that a token admits to; null when it is not one of ours. */
  roleOf(token: string): Role | null {
    if (token === this.tokens.worker) return "worker";
    return token === this.tokens.manager ? "manager" : null;
  }

  /** Adds a node and gives it its address on the ingress network. */
  addNode(description: NodeDescription, role: Role, listenAddr: string): NodeObject {
    const node: NodeObject = {
      ...this.store.newMeta(),
      ...description,
      id: newId(this.prng),
      role,
      availability: "active",
      labels: new Map(),
      state: "unknown",
      message: "",
      attachments: new Map(),
    };
    this.store.nodes.set(node.id, node);
    if (role === "manager") this.managers.set(node.id, listenAddr);
    this.networks.allocateNode(node);
    this.store.changed();
    return node;
  }

  /** A worker's agent has connected: the addresses of all managers; null when its node was removed. */
  registerAgent(nodeId: string, link: AgentLink): string[] | null {
    if (!this.store.nodes.has(nodeId)) return null;
    this.dispatcher.register(nodeId, link);
    return [...this.managers.values()];
  }

  /** Starts the rolling update of a service whose spec has just changed. */
  startUpdate(service: ServiceObject, rollingBack: boolean): void {
    const old = this.updaters.get(service.id);
    if (old !== undefined) old.stopped = true;
    const updater = new Updater(this.context, service, rollingBack, (failed, message) =>
      this.rollBack(failed, message),
    );
    this.updaters.set(service.id, updater);
    updater.start();
  }

  /** Puts the previous spec back and updates to it. */
  rollBack(service: ServiceObject, message: string): void {
    if (service.previousSpec === null) return;
    service.spec = service.previousSpec;
    service.previousSpec = null;
    this.allocateService(service);
    service.updateStatus = { state: "rollback_started", startedNs: this.sim.now, completedNs: -1, message };
    this.store.touch(service);
    service.specVersion = service.version;
    this.startUpdate(service, true);
  }

  /** Ports and virtual addresses of a service; false when a port is taken. */
  allocateService(service: ServiceObject): boolean {
    const ports = this.ports.allocate(service.ports, service.spec.ports);
    service.allocated = ports !== null;
    if (ports === null) return false;
    service.ports = ports;
    this.networks.allocateVips(service);
    return true;
  }

  private startKeys(): void {
    const { store } = this;
    const manager = new KeyManager(this.sim, this.prng.stream("keys"), () => {
      store.networkKeys = manager.keys;
      this.dispatcher.keysChanged();
    });
    store.networkKeys = manager.keys;
  }

  private newToken(): string {
    return joinToken(this.digest, base36(this.prng, 4, SECRET_DIGITS));
  }

  private reconcile(): void {
    for (const service of this.store.services.values()) {
      if (!service.allocated) continue;
      if (service.spec.replicas === null) reconcileGlobal(this.context, service);
      else reconcileReplicated(this.context, service);
    }
    this.allocateTasks();
    this.releaseEnded();
    for (const node of this.networks.allocateNodes([...this.store.nodes.values()])) this.store.touch(node);
    this.reap();
    this.scheduling.trigger();
    this.dispatcher.notify();
  }

  private allocateTasks(): void {
    const batch = [...this.store.tasks.values()].filter(
      (task) => !task.allocated && task.status.state === "new",
    );
    if (batch.length === 0) return;
    this.networks.allocateTasks(batch);
    for (const task of batch) {
      if (!task.allocated) continue;
      task.status.state = "pending";
      task.status.message = "pending task scheduling";
      task.status.atNs = this.sim.now;
      this.store.touch(task);
    }
  }

  /** Addresses of ended tasks are free again. */
  private releaseEnded(): void {
    for (const task of this.store.tasks.values())
      if (isTerminal(task.status.state) && task.networks.length > 0) this.networks.releaseTask(task);
  }

  /** Forgets old tasks, and tasks to be removed that no agent has. */
  private reap(): void {
    for (const service of this.store.services.values())
      for (const task of historyToReap(this.store.tasksOf(service.id), TASK_HISTORY_LIMIT)) {
        task.desired = "remove";
      }
    for (const task of this.store.tasks.values()) {
      if (task.desired !== "remove") continue;
      const node = this.store.nodes.get(task.nodeId);
      const withAgent = stateRank(task.status.state) >= stateRank("assigned") && node?.state === "ready";
      if (withAgent) continue;
      this.networks.releaseTask(task);
      this.store.tasks.delete(task.id);
    }
  }
}
