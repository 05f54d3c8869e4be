/** Global services (swarmkit manager/orchestrator/global): one task on every node that may have one. */
import type { NodeObject, ServiceObject } from "../objects.ts";
import { constraintHolds } from "../scheduler.ts";
import { restartIfNeeded } from "./restart.ts";
import { isLive, newTask, type OrchestratorContext, setDesired } from "./tasks.ts";

/** Brings one service's tasks in line with the nodes. */
export function reconcileGlobal(context: OrchestratorContext, service: ServiceObject): void {
  const tasks = context.store.tasksOf(service.id);
  for (const task of tasks) restartIfNeeded(context, service, task);
  for (const node of context.store.nodes.values()) {
    const live = tasks.filter((task) => task.nodeId === node.id && isLive(task));
    const wanted = wantsTask(service, node);
    if (
      wanted &&
      live.length === 0 &&
      !replacedOn(context, service, node.id) &&
      node.availability === "active"
    )
      newTask(context, service, 0, node.id, "running");
    if (!wanted) for (const task of live) setDesired(context.store, task, "shutdown");
  }
}

function replacedOn(context: OrchestratorContext, service: ServiceObject, nodeId: string): boolean {
  return context.store.tasksOf(service.id).some((task) => task.nodeId === nodeId && isLive(task));
}

/** A node that the service should have a task on. */
export function wantsTask(service: ServiceObject, node: NodeObject): boolean {
  return (
    node.state === "ready" &&
    node.availability !== "drain" &&
    service.spec.task.constraints.every((text) => constraintHolds(text, node))
  );
}
