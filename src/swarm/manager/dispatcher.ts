/**
 * The dispatcher (swarmkit manager/dispatcher): tells agents their tasks and load-balancer addresses, takes their
 * reports, and marks nodes down whose heartbeats stay away.
 */
import type { Sim } from "../../sim/sim.ts";
import { Timer } from "../../sim/timer.ts";
import type { Prng } from "../../util/prng.ts";
import { after, Debounce } from "../clock.ts";
import type { EncryptionKey } from "./key-manager.ts";
import { type NodeState, stateRank, type TaskObject, type TaskState, type TaskStatus } from "./objects.ts";
import type { Store } from "./store.ts";

const BATCH_NS = 100_000_000;
const HEARTBEAT_NS = 5_000_000_000;
const HEARTBEAT_EPSILON_NS = 500_000_000;
const GRACE_PERIODS = 3;
const UNKNOWN_PERIODS = 6;
const LEADER_CHANGED = 'Node moved to "unknown" state due to leadership change in cluster';

/** The agent's end of the connection. */
export interface AgentLink {
  /** The keys of the cluster, at the beginning and whenever they change. */
  networkKeys(keys: readonly EncryptionKey[]): void;
  /** All tasks of the node, and its load-balancer address by network id. */
  assignments(tasks: readonly TaskObject[], attachments: ReadonlyMap<string, number>): void;
}

/** What an agent reports about a task. */
export type StatusReport = Partial<TaskStatus> & { readonly state: TaskState };

/** One agent that is connected. */
interface Registered {
  readonly link: AgentLink;
  /** Fires when the heartbeats have stayed away too long. */
  readonly overdue: Timer;
  /** What it was told last. */
  told: string;
}

export class Dispatcher {
  private readonly store: Store;
  private readonly sim: Sim;
  private readonly prng: Prng;
  private readonly links = new Map<string, Registered>();
  private readonly push: Debounce;

  constructor(store: Store, sim: Sim, prng: Prng) {
    this.store = store;
    this.sim = sim;
    this.prng = prng;
    this.push = new Debounce(sim, BATCH_NS, () => this.pushAll());
  }

  /** An agent has connected: its node is ready. One on another machine must send heartbeats from now on. */
  register(nodeId: string, link: AgentLink): void {
    this.links.get(nodeId)?.overdue.cancel();
    const overdue = new Timer(this.sim, () => this.fail(nodeId));
    this.links.set(nodeId, { link, overdue, told: "" });
    link.networkKeys(this.store.networkKeys);
    this.setState(nodeId, "ready", "");
    this.pushTo(nodeId);
  }

  /** The agent is alive; when it must say so again, ns from now. 0: it is not registered. */
  heartbeat(nodeId: string): number {
    const registered = this.links.get(nodeId);
    if (registered === undefined) return 0;
    const period = Math.round(HEARTBEAT_NS + (this.prng.fraction() * 2 - 1) * HEARTBEAT_EPSILON_NS);
    registered.overdue.armIn(GRACE_PERIODS * period);
    return period;
  }

  /** The agent left properly: its node is down at once. */
  unregister(nodeId: string): void {
    this.links.get(nodeId)?.overdue.cancel();
    if (this.links.delete(nodeId)) this.setState(nodeId, "down", "");
  }

  /** The dispatcher is gone without a word. */
  suspend(): void {
    for (const { overdue } of this.links.values()) overdue.cancel();
    this.links.clear();
  }

  /** A new leader knows nothing of the agents: they have six periods to connect again. */
  resume(): void {
    for (const node of this.store.nodes.values()) {
      if (node.state === "down") continue;
      this.setState(node.id, "unknown", LEADER_CHANGED);
      const period = HEARTBEAT_NS + (this.prng.fraction() * 2 - 1) * HEARTBEAT_EPSILON_NS;
      after(this.sim, Math.round(UNKNOWN_PERIODS * period), () => {
        if (node.state === "unknown")
          this.setState(node.id, "down", 'heartbeat failure for node in "unknown" state');
      });
    }
  }

  /** Something that agents should know has changed. */
  notify(): void {
    this.push.trigger();
  }

  /** The keys of the cluster have rotated: a message of its own to each agent. */
  keysChanged(): void {
    for (const { link } of this.links.values()) link.networkKeys(this.store.networkKeys);
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

  private fail(nodeId: string): void {
    if (this.links.delete(nodeId)) this.setState(nodeId, "down", "heartbeat failure");
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
    const registered = this.links.get(nodeId);
    if (node === undefined || registered === undefined) return;
    const tasks = this.store
      .tasksOn(nodeId)
      .filter((task) => stateRank(task.status.state) >= stateRank("assigned"));
    const news = assignmentText(tasks, node.attachments);
    if (news === registered.told) return;
    registered.told = news;
    registered.link.assignments(tasks, node.attachments);
  }
}

/** What of the assignments concerns an agent, so that it hears only of changes. */
function assignmentText(tasks: readonly TaskObject[], attachments: ReadonlyMap<string, number>): string {
  const parts = tasks.map((task) => `${task.id} ${task.desired} ${task.status.state === "assigned"}`);
  for (const [networkId, addr] of attachments) parts.push(`${networkId} ${addr}`);
  return parts.join(",");
}
