/**
 * The dispatcher (swarmkit manager/dispatcher): tells agents their tasks and load-balancer addresses, takes their
 * reports, and marks nodes down whose heartbeats stay away.
 */
import type { Sim } from "../../sim/sim.ts";
import type { Prng } from "../../util/prng.ts";
import { after, Debounce } from "../clock.ts";
import { type NodeState, stateRank, type TaskObject, type TaskState, type TaskStatus } from "./objects.ts";
import type { Store } from "./store.ts";

const BATCH_NS = 100_000_000;
const HEARTBEAT_NS = 5_000_000_000;
const HEARTBEAT_EPSILON_NS = 500_000_000;
const GRACE_PERIODS = 3;

/** The agent's end of the connection. */
export interface AgentLink {
  /** All tasks of the node, and its load-balancer address by network id. */
  assignments(tasks: readonly TaskObject[], attachments: ReadonlyMap<string, number>): void;
}

/** What an agent reports about a task. */
export type StatusReport = Partial<TaskStatus> & { readonly state: TaskState };

export class Dispatcher {
  private readonly store: Store;
  private readonly sim: Sim;
  private readonly prng: Prng;
  private readonly links = new Map<string, AgentLink>();
  private readonly push: Debounce;

  constructor(store: Store, sim: Sim, prng: Prng) {
    this.store = store;
    this.sim = sim;
    this.prng = prng;
    this.push = new Debounce(sim, BATCH_NS, () => this.pushAll());
  }

  /** An agent has connected: its node is ready. */
  register(nodeId: string, link: AgentLink): void {
    this.links.set(nodeId, link);
    this.setState(nodeId, "ready", "");
    this.pushTo(nodeId);
  }

  /** The agent left properly: its node is down at once. */
  unregister(nodeId: string): void {
    if (this.links.delete(nodeId)) this.setState(nodeId, "down", "");
  }

  /** The agent fell silent: its node is marked down when the heartbeat is overdue. */
  lost(nodeId: string): void {
    if (!this.links.delete(nodeId)) return;
    const period = HEARTBEAT_NS + (this.prng.fraction() * 2 - 1) * HEARTBEAT_EPSILON_NS;
    const sinceBeat = this.prng.fraction() * period;
    after(this.sim, Math.round(GRACE_PERIODS * period - sinceBeat), () => {
      if (!this.links.has(nodeId)) this.setState(nodeId, "down", "heartbeat failure");
    });
  }

  /** Something that agents should know has changed. */
  notify(): void {
    this.push.trigger();
  }

  /** Takes a report; states never go back. */
  updateTaskStatus(taskId: string, report: StatusReport): void {
    const task = this.store.tasks.get(taskId);
    if (task === undefined || stateRank(report.state) < stateRank(task.status.state)) return;
    Object.assign(task.status, report, { atNs: this.sim.now });
    this.store.touch(task);
  }

  /** The agent has taken a removed task apart: it is forgotten. */
  taskRemoved(taskId: string): void {
    if (this.store.tasks.delete(taskId)) this.store.changed();
  }

  private setState(nodeId: string, state: NodeState, message: string): void {
    const node = this.store.nodes.get(nodeId);
    if (node === undefined) return;
    node.state = state;
    node.message = message;
    this.store.touch(node);
  }

  private pushAll(): void {
    for (const nodeId of this.links.keys()) this.pushTo(nodeId);
  }

  private pushTo(nodeId: string): void {
    const node = this.store.nodes.get(nodeId);
    const link = this.links.get(nodeId);
    if (node === undefined || link === undefined) return;
    const tasks = this.store
      .tasksOn(nodeId)
      .filter((task) => stateRank(task.status.state) >= stateRank("assigned"));
    link.assignments(tasks, node.attachments);
  }
}
