/**
 * The scheduler (swarmkit manager/scheduler): filters, then spreads the tasks of a service over the nodes that have
 * fewest of them, then over those that have fewest tasks at all. Ties are drawn from a random stream.
 */
import type { Prng } from "../../util/prng.ts";
import type { PinBook } from "../pins.ts";
import { type NodeObject, stateRank, type TaskObject } from "./objects.ts";
import type { Store } from "./store.ts";

/** One filter of the pipeline: whether it lets a node through, and what `docker service ps` says when none is left. */
interface Filter {
  check(node: NodeObject, task: TaskObject, store: Store): boolean;
  explain(nodes: number): string;
}

const nodesText = (n: number): string => `${n} ${n === 1 ? "node" : "nodes"}`;

const FILTERS: readonly Filter[] = [
  {
    check: (node) => node.state === "ready" && node.availability === "active",
    explain: (n) => `${nodesText(n)} not available for new tasks`,
  },
  {
    check: (node, task) => task.spec.constraints.every((text) => constraintHolds(text, node)),
    explain: (n) => `scheduling constraints not satisfied on ${nodesText(n)}`,
  },
  {
    check: hostPortsFree,
    explain: (n) => `host-mode port already in use on ${nodesText(n)}`,
  },
  {
    check: (node, task, store) => {
      const max = task.spec.maxReplicasPerNode;
      return max === 0 || countActive(store, node.id, task.serviceId) < max;
    },
    explain: () => "max replicas per node limit exceed",
  },
];

/** `node.hostname==swarm-worker1`, `node.role!=manager`, `node.labels.zone==a`. */
export function constraintHolds(text: string, node: NodeObject): boolean {
  const match = /^\s*([\w.-]+)\s*(==|!=)\s*(.*?)\s*$/.exec(text);
  if (match === null) return false;
  const [, key, operator, wanted] = match;
  const value = nodeAttribute(node, key.toLowerCase());
  const equal = value !== null && value.toLowerCase() === wanted.toLowerCase();
  return operator === "==" ? equal : !equal;
}

function nodeAttribute(node: NodeObject, key: string): string | null {
  if (key === "node.id") return node.id;
  if (key === "node.hostname") return node.hostname;
  if (key === "node.role") return node.role;
  if (key === "node.platform.os") return "linux";
  if (key === "node.platform.arch") return "x86_64";
  if (key.startsWith("node.labels.")) return node.labels.get(key.slice("node.labels.".length)) ?? "";
  return null;
}

function isActive(task: TaskObject): boolean {
  return (
    stateRank(task.status.state) <= stateRank("running") && stateRank(task.desired) <= stateRank("running")
  );
}

function countActive(store: Store, nodeId: string, serviceId: string | null): number {
  let count = 0;
  for (const task of store.tasks.values())
    if (task.nodeId === nodeId && isActive(task) && (serviceId === null || task.serviceId === serviceId))
      count++;
  return count;
}

function hostPortsFree(node: NodeObject, task: TaskObject, store: Store): boolean {
  const wanted = task.ports.filter((port) => port.mode === "host" && port.publishedPort !== 0);
  if (wanted.length === 0) return true;
  return !store
    .tasksOn(node.id)
    .some(
      (other) =>
        other !== task &&
        isActive(other) &&
        other.ports.some(
          (port) =>
            port.mode === "host" &&
            wanted.some((w) => w.protocol === port.protocol && w.publishedPort === port.publishedPort),
        ),
    );
}

export class Scheduler {
  private readonly store: Store;
  private readonly prng: Prng;
  private readonly pins: PinBook;

  constructor(store: Store, prng: Prng, pins: PinBook) {
    this.store = store;
    this.prng = prng;
    this.pins = pins;
  }

  /** Assigns every pending task that a node can take; the others keep the reason as their error. True: changes. */
  schedule(): boolean {
    const groups = new Map<string, TaskObject[]>();
    for (const task of this.store.tasks.values()) {
      if (task.status.state !== "pending" || task.nodeId !== "" || !isActive(task)) continue;
      const key = `${task.serviceId}/${task.specVersion}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [task]);
      else group.push(task);
    }
    let changed = this.checkPreassigned();
    for (const group of groups.values())
      for (const task of group) changed = this.scheduleOne(task) || changed;
    return changed;
  }

  /** Tasks of global services come with their node: it only has to be able to take them. */
  private checkPreassigned(): boolean {
    let changed = false;
    for (const task of this.store.tasks.values()) {
      if (task.status.state !== "pending" || task.nodeId === "" || !isActive(task)) continue;
      const node = this.store.nodes.get(task.nodeId);
      if (node === undefined) continue;
      const failed = FILTERS.find((filter) => !filter.check(node, task, this.store));
      if (failed === undefined) this.assign(task, node);
      else if (!this.refuse(task, failed.explain(1))) continue;
      changed = true;
    }
    return changed;
  }

  private scheduleOne(task: TaskObject): boolean {
    const failures = new Map<Filter, number>();
    const candidates: NodeObject[] = [];
    for (const node of this.store.nodes.values()) {
      const failed = FILTERS.find((filter) => !filter.check(node, task, this.store));
      if (failed === undefined) candidates.push(node);
      else failures.set(failed, (failures.get(failed) ?? 0) + 1);
    }
    if (candidates.length === 0) {
      const reasons = [...failures]
        .sort((a, b) => b[1] - a[1])
        .map(([filter, count]) => filter.explain(count));
      return this.refuse(task, `no suitable node (${reasons.join("; ")})`);
    }
    this.assign(task, this.best(task, candidates));
    return true;
  }

  /** Keeps why nobody can take a task. True when that is new. */
  private refuse(task: TaskObject, why: string): boolean {
    if (task.status.err === why) return false;
    task.status.err = why;
    return true;
  }

  private best(task: TaskObject, candidates: readonly NodeObject[]): NodeObject {
    const pinned = this.pinnedNode(task, candidates);
    if (pinned !== null) return pinned;
    let pool = candidates;
    for (const preference of task.spec.preferences) pool = this.leastUsedLabel(task, pool, preference);
    const ranked = pool.map((node) => ({
      node,
      service: countActive(this.store, node.id, task.serviceId),
      total: countActive(this.store, node.id, null),
    }));
    const service = Math.min(...ranked.map((entry) => entry.service));
    const fewest = ranked.filter((entry) => entry.service === service);
    const total = Math.min(...fewest.map((entry) => entry.total));
    return this.prng.pick(fewest.filter((entry) => entry.total === total)).node;
  }

  /** Nodes of the label value that has fewest tasks of the service. */
  private leastUsedLabel(task: TaskObject, nodes: readonly NodeObject[], descriptor: string): NodeObject[] {
    const counts = new Map<string, number>();
    for (const node of nodes) {
      const value = nodeAttribute(node, descriptor) ?? "";
      counts.set(value, (counts.get(value) ?? 0) + countActive(this.store, node.id, task.serviceId));
    }
    const least = Math.min(...counts.values());
    const values = [...counts].filter(([, count]) => count === least).map(([value]) => value);
    const value = this.prng.pick(values);
    return nodes.filter((node) => (nodeAttribute(node, descriptor) ?? "") === value);
  }

  private pinnedNode(task: TaskObject, candidates: readonly NodeObject[]): NodeObject | null {
    const pin = this.pins.task(task);
    if (pin?.node === undefined) return null;
    const found = candidates.find((node) => node.hostname === pin.node);
    if (found === undefined) this.pins.notKept(pin, ["node"], `\`${pin.node}\` could not take the task`);
    return found ?? null;
  }

  private assign(task: TaskObject, node: NodeObject): void {
    task.nodeId = node.id;
    task.status.state = "assigned";
    task.status.message = "scheduler assigned task to node";
    task.status.err = "";
    this.store.touch(task);
    task.status.atNs = task.updatedNs;
  }
}
