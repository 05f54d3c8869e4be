/** Replicated services (swarmkit manager/orchestrator/replicated): as many slots with a live task as there are replicas. */
import { type ServiceObject, stateRank, type TaskObject } from "../objects.ts";
import { restartIfNeeded } from "./restart.ts";
import { isLive, newTask, type OrchestratorContext, setDesired } from "./tasks.ts";

/** Brings one service's tasks in line with its replica count. */
export function reconcileReplicated(context: OrchestratorContext, service: ServiceObject): void {
  for (const task of context.store.tasksOf(service.id)) restartIfNeeded(context, service, task);
  const slots = liveSlots(context, service);
  const wanted = service.spec.replicas!;
  if (slots.size < wanted) addSlots(context, service, slots, wanted - slots.size);
  else if (slots.size > wanted) removeSlots(context, slots, slots.size - wanted);
}

function liveSlots(context: OrchestratorContext, service: ServiceObject): Map<number, TaskObject[]> {
  const slots = new Map<number, TaskObject[]>();
  for (const task of context.store.tasksOf(service.id)) {
    if (!isLive(task)) continue;
    const tasks = slots.get(task.slot);
    if (tasks === undefined) slots.set(task.slot, [task]);
    else tasks.push(task);
  }
  return slots;
}

function addSlots(
  context: OrchestratorContext,
  service: ServiceObject,
  slots: ReadonlyMap<number, unknown>,
  count: number,
): void {
  let slot = 0;
  for (let i = 0; i < count; i++) {
    do slot++;
    while (slots.has(slot));
    newTask(context, service, slot, "", "running");
  }
}

/** Slots that do not run go first, then those of the node that has most; of equals the highest number. */
function removeSlots(
  context: OrchestratorContext,
  slots: ReadonlyMap<number, readonly TaskObject[]>,
  count: number,
): void {
  const list = [...slots].map(([slot, tasks]) => ({
    slot,
    tasks,
    running: tasks.some((task) => stateRank(task.status.state) === stateRank("running")),
    nodeId: tasks[0].nodeId,
    rank: 0,
  }));
  list.sort((a, b) => Number(b.running) - Number(a.running) || a.slot - b.slot);
  const perNode = new Map<string, number>();
  for (const entry of list) {
    entry.rank = perNode.get(entry.nodeId) ?? 0;
    perNode.set(entry.nodeId, entry.rank + 1);
  }
  list.sort((a, b) => Number(b.running) - Number(a.running) || a.rank - b.rank || a.slot - b.slot);
  for (const { tasks } of list.slice(list.length - count))
    for (const task of tasks) setDesired(context.store, task, "remove");
}
