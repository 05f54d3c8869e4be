/**
 * What an attached `docker service create`, `update`, `scale` or `rollback` prints while it waits
 * (cli/command/service/progress), as it looks when the output is no terminal.
 */
import { type Co, sleep } from "../../host/process.ts";
import {
  isTerminal,
  type NodeObject,
  type ServiceObject,
  stateRank,
  type TaskObject,
} from "../../swarm/manager/objects.ts";
import { wantsTask } from "../../swarm/manager/orchestrator/global.ts";
import { isCurrent, isLive } from "../../swarm/manager/orchestrator/tasks.ts";
import type { DockerContext } from "./command.ts";

const POLL_NS = 200_000_000;
const SEC = 1_000_000_000;
const MAX_LINES = 20;
/** A service that never converges would wait for ever. */
const PATIENCE_NS = 3600 * SEC;

export interface ProgressResult {
  readonly stdout: string;
  /** Set when the update was stopped. */
  readonly error: string | null;
}

/** Waits until the service has converged and stayed so for the monitor period. */
export function* waitForService(serviceId: string, context: DockerContext): Co<ProgressResult> {
  const { sim } = context.engine;
  const end = sim.now + PATIENCE_NS;
  let text = "";
  let first = true;
  let done = false;
  let convergedNs = -1;
  while (sim.now < end) {
    const control = context.engine.control();
    const service = control.getService(serviceId);
    const { updateStatus } = service;
    if (updateStatus?.state === "paused")
      return { stdout: text, error: `service update paused: ${updateStatus.message}` };
    if (updateStatus?.state === "rollback_paused")
      return { stdout: text, error: `service rollback paused: ${updateStatus.message}` };
    const monitorNs = service.spec.update.monitorNs;
    if (convergedNs >= 0 && sim.now - convergedNs >= monitorNs)
      return { stdout: `${text}verify: Service converged\n`, error: null };
    const { wanted, running, labels } = count(service, control.listTasks(), control.listNodes());
    if (!done) text += `overall progress: ${running} out of ${wanted} tasks\n`;
    if (first && labels.length <= MAX_LINES) text += labels.map((label) => `${label}:  \n`).join("");
    first = false;
    done = running === wanted;
    if (done) {
      if (convergedNs < 0) convergedNs = sim.now;
      const left = Math.ceil((monitorNs - (sim.now - convergedNs)) / SEC);
      text += `verify: Waiting ${left} seconds to verify that tasks are stable...\n`;
    } else if (convergedNs >= 0) {
      convergedNs = -1;
      text += "verify: Detected task failure\n";
    }
    yield* sleep(POLL_NS);
  }
  return { stdout: text, error: null };
}

function count(service: ServiceObject, tasks: readonly TaskObject[], nodes: readonly NodeObject[]) {
  const current = tasks.filter(
    (task) =>
      task.serviceId === service.id &&
      isLive(task) &&
      !isTerminal(task.status.state) &&
      isCurrent(task, service),
  );
  const running = current.filter((task) => stateRank(task.status.state) === stateRank("running")).length;
  if (service.spec.replicas === null) {
    const wanted = nodes.filter((node) => wantsTask(service, node));
    return { wanted: wanted.length, running, labels: wanted.map((node) => node.id.slice(0, 12)) };
  }
  const wanted = service.spec.replicas;
  return { wanted, running, labels: Array.from({ length: wanted }, (_, i) => `${i + 1}/${wanted}`) };
}
