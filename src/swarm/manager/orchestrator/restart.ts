/**
 * Restarts (swarmkit manager/orchestrator/restart): a task that ended, or whose node cannot keep it, is shut down and
 * replaced in its slot. The replacement is prepared at once and started after the delay.
 */
import { isTerminal, type NodeObject, type ServiceObject, stateRank, type TaskObject } from "../objects.ts";
import { isLive, newTask, type OrchestratorContext, setDesired } from "./tasks.ts";

const OLD_TASK_WAIT_NS = 60_000_000_000;
const POLL_NS = 100_000_000;

/** A node that may keep its tasks. */
export function nodeKeepsTasks(node: NodeObject | undefined): boolean {
  return node !== undefined && node.state !== "down" && node.availability !== "drain";
}

/** Replaces `task` when it should not be left as it is; true when something was done. */
export function restartIfNeeded(
  context: OrchestratorContext,
  service: ServiceObject,
  task: TaskObject,
): boolean {
  if (!isLive(task)) return false;
  const ended = isTerminal(task.status.state);
  const node = task.nodeId === "" ? undefined : context.store.nodes.get(task.nodeId);
  const homeless = task.nodeId !== "" && !nodeKeepsTasks(node);
  if (!ended && !homeless) return false;
  // It waits for its own restart delay: that has to pass first, or a task that cannot start would be replaced in a loop.
  if (ended && task.desired === "ready") return false;
  setDesired(context.store, task, "shutdown");
  if (ended && !shouldRestart(context, task)) return true;
  if (service.spec.replicas === null && homeless) return true;
  const drained = homeless && node?.availability === "drain" && node.state !== "down";
  const delayNs = drained ? 0 : task.spec.restart.delayNs;
  const nodeId = service.spec.replicas === null ? task.nodeId : "";
  const replacement = newTask(context, service, task.slot, nodeId, "ready");
  startAfter(context, replacement, delayNs, homeless && !drained ? null : task);
  return true;
}

function shouldRestart(context: OrchestratorContext, task: TaskObject): boolean {
  const { condition, maxAttempts } = task.spec.restart;
  if (condition === "none") return false;
  if (condition === "on-failure" && task.status.state === "complete") return false;
  if (maxAttempts === 0) return true;
  const attempts = [...context.store.tasks.values()].filter(
    (other) =>
      other.serviceId === task.serviceId &&
      other.slot === task.slot &&
      other.specVersion === task.specVersion,
  ).length;
  return attempts <= maxAttempts;
}

/** Lets `task` run after the delay and after `old` has stopped (at most a minute). */
export function startAfter(
  context: OrchestratorContext,
  task: TaskObject,
  delayNs: number,
  old: TaskObject | null,
): void {
  let waitedNs = 0;
  const check = (): void => {
    if (!isLive(task)) return;
    const stopped = old === null || isTerminal(old.status.state) || !context.store.tasks.has(old.id);
    if (!stopped && waitedNs < OLD_TASK_WAIT_NS) {
      waitedNs += POLL_NS;
      context.later(POLL_NS, check);
      return;
    }
    setDesired(context.store, task, "running");
  };
  context.later(delayNs, check);
}

/** Tasks above the history limit, oldest first: to be forgotten (taskreaper). */
export function historyToReap(tasks: readonly TaskObject[], limit: number): TaskObject[] {
  const bySlot = new Map<string, TaskObject[]>();
  for (const task of tasks) {
    const key = task.slot > 0 ? String(task.slot) : task.nodeId;
    const list = bySlot.get(key);
    if (list === undefined) bySlot.set(key, [task]);
    else list.push(task);
  }
  const reap: TaskObject[] = [];
  for (const list of bySlot.values()) {
    const extra = list.length - limit;
    if (extra <= 0) continue;
    const old = list.filter((task) => stateRank(task.status.state) > stateRank("running") && !isLive(task));
    old.sort((a, b) => a.createdNs - b.createdNs);
    reap.push(...old.slice(0, extra));
  }
  return reap;
}
