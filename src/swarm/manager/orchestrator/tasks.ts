/** Making and ending tasks (swarmkit manager/orchestrator/task.go): shared by the orchestrators. */
import type { Prng } from "../../../util/prng.ts";
import { newId } from "../../ids.ts";
import type { PinBook } from "../../pins.ts";
import { type ServiceObject, stateRank, type TaskObject, type TaskState, unallocated } from "../objects.ts";
import type { Store } from "../store.ts";

/** What the orchestrators work with. */
export interface OrchestratorContext {
  readonly store: Store;
  readonly prng: Prng;
  /** Draws the order of the slots of an update. */
  readonly updates: Prng;
  readonly pins: PinBook;
  /** Calls the orchestrators again after a while. */
  later(delayNs: number, fn: () => void): void;
}

/** A new task of `service`; `nodeId` only for global services. */
export function newTask(
  context: OrchestratorContext,
  service: ServiceObject,
  slot: number,
  nodeId: string,
  desired: TaskState,
): TaskObject {
  const meta = context.store.newMeta();
  const task: TaskObject = {
    ...meta,
    id: newId(context.prng),
    serviceId: service.id,
    serviceName: service.spec.name,
    slot,
    generation: context.store.nextGeneration(service.id, slot),
    nodeId,
    spec: service.spec.task,
    specVersion: service.specVersion,
    specPorts: service.spec.ports,
    specMode: service.spec.endpointMode,
    desired,
    ...unallocated(meta.createdNs),
    endpointMode: service.spec.endpointMode,
    attachment: null,
  };
  context.store.tasks.set(task.id, task);
  context.store.changed();
  return task;
}

/** Moves the desired state forward; it never goes back. */
export function setDesired(store: Store, task: TaskObject, desired: TaskState): void {
  if (stateRank(task.desired) >= stateRank(desired)) return;
  task.desired = desired;
  store.touch(task);
}

/** A task that the orchestrator still counts on. */
export function isLive(task: TaskObject): boolean {
  return stateRank(task.desired) <= stateRank("running");
}

/** A task whose spec is the service's present one. */
export function isCurrent(task: TaskObject, service: ServiceObject): boolean {
  const { spec } = service;
  return (
    task.specVersion === service.specVersion ||
    (sameSpec(task.spec, spec.task) &&
      sameSpec(task.specPorts, spec.ports) &&
      task.specMode === spec.endpointMode)
  );
}

/** Two parts of a spec that say the same. */
export function sameSpec(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a, mapsAsLists) === JSON.stringify(b, mapsAsLists);
}

function mapsAsLists(_key: string, value: unknown): unknown {
  return value instanceof Map ? [...value] : value;
}
