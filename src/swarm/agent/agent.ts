/**
 * The agent of a node (swarmkit agent/worker.go): keeps a runner for each task that the dispatcher assigns, and the
 * ingress network with its load balancer for as long as the node is part of the swarm.
 */
import type { Engine } from "../engine.ts";
import type { Cluster } from "../manager/cluster.ts";
import type { AgentLink, StatusReport } from "../manager/dispatcher.ts";
import type { EncryptionKey } from "../manager/key-manager.ts";
import { isTerminal, type NetworkObject, stateRank, type TaskObject } from "../manager/objects.ts";
import type { DispatcherClient } from "./dispatcher-client.ts";
import { NetworkAttacher } from "./network-attacher.ts";
import { type RunnerHost, TaskRunner } from "./task-runner.ts";

export class Agent implements AgentLink, RunnerHost {
  readonly engine: Engine;
  readonly nodeId: string;
  private readonly cluster: Cluster;
  private readonly runners = new Map<string, TaskRunner | NetworkAttacher>();
  private attachments: ReadonlyMap<string, number> = new Map();
  readonly dispatcher: DispatcherClient;
  private stopped = false;

  /** `connect` gives its way to the dispatcher. */
  constructor(
    engine: Engine,
    cluster: Cluster,
    nodeId: string,
    connect: (link: AgentLink) => DispatcherClient,
  ) {
    this.engine = engine;
    this.cluster = cluster;
    this.nodeId = nodeId;
    this.dispatcher = connect(this);
  }

  start(): void {
    this.dispatcher.start();
  }

  /** Leaves; tasks are ended by the engine. */
  stop(): void {
    this.stopped = true;
    this.dispatcher.stop();
  }

  /** The machine lost its power. */
  halt(): void {
    this.stopped = true;
    this.dispatcher.halt();
  }

  networkKeys(keys: readonly EncryptionKey[]): void {
    if (!this.stopped) this.engine.controller.networkKeys(keys);
  }

  assignments(tasks: readonly TaskObject[], attachments: ReadonlyMap<string, number>): void {
    if (this.stopped) return;
    this.attachments = attachments;
    this.setupIngress();
    this.endDetached(tasks);
    for (const task of tasks) {
      const runner = this.runners.get(task.id);
      if (runner !== undefined) runner.update(task);
      else if (task.status.state === "assigned") this.runners.set(task.id, this.newRunner(task));
      else if (task.desired === "remove") this.removed(task.id);
      else if (!isTerminal(task.status.state)) this.lost(task);
    }
  }

  private newRunner(task: TaskObject): TaskRunner | NetworkAttacher {
    return task.attachment === null ? new TaskRunner(this, task) : new NetworkAttacher(this, task);
  }

  /** The task of an attachment ends when the manager has forgotten it. */
  private endDetached(tasks: readonly TaskObject[]): void {
    let ended = false;
    for (const [id, runner] of [...this.runners])
      if (runner instanceof NetworkAttacher && !tasks.some((task) => task.id === id))
        ended = this.runners.delete(id);
    if (ended) this.removeUnusedNetworks();
  }

  /** A task whose container died with the machine. */
  private lost({ id, desired, attachment }: TaskObject): void {
    if (attachment !== null)
      this.report(id, {
        state: "failed",
        message: "starting",
        err: `could not find attacher for container ${attachment.containerId} to network ${attachment.networkId}`,
      });
    else if (stateRank(desired) > stateRank("running"))
      this.report(id, { state: "shutdown", message: "shutdown" });
    else
      this.report(id, {
        state: "failed",
        message: "started",
        err: "task: non-zero exit (255)",
        exitCode: 255,
      });
  }

  balancerAddr(networkId: string): number | undefined {
    return this.attachments.get(networkId);
  }

  network(networkId: string): NetworkObject | undefined {
    return this.cluster.store.networks.get(networkId);
  }

  report(taskId: string, status: StatusReport): void {
    if (!this.stopped) this.dispatcher.report(taskId, status);
  }

  removed(taskId: string): void {
    this.runners.delete(taskId);
    this.removeUnusedNetworks();
    if (!this.stopped) this.dispatcher.taskRemoved(taskId);
  }

  /** Networks that no task needs any more go, with their load balancers. */
  removeUnusedNetworks(): void {
    const used = new Set([...this.runners.values()].flatMap((runner) => runner.neededNetworks()));
    this.engine.removeUnusedNetworks(used);
  }

  private setupIngress(): void {
    const ingress = this.cluster.store.ingressNetwork();
    const addr = ingress === null ? undefined : this.attachments.get(ingress.id);
    const { controller, daemon } = this.engine;
    if (ingress !== null && addr !== undefined) daemon.go(() => controller.createOverlay(ingress, addr));
  }
}
