/**
 * Rolling updates (swarmkit manager/orchestrator/update/updater.go): slots whose task is not of the present spec are
 * replaced, `parallelism` at a time; a task of the update that does not stay up counts as a failure.
 */
import { isTerminal, type ServiceObject, stateRank, type TaskObject, type UpdateConfig } from "../objects.ts";
import { startAfter } from "./restart.ts";
import { isCurrent, isLive, newTask, type OrchestratorContext, setDesired } from "./tasks.ts";

const POLL_NS = 100_000_000;
const SEC = 1_000_000_000;

export class Updater {
  private readonly context: OrchestratorContext;
  private readonly service: ServiceObject;
  private readonly rollBack: (service: ServiceObject, message: string) => void;
  private readonly rollingBack: boolean;
  private readonly specVersion: number;
  private readonly dirty: TaskObject[];
  private readonly total: number;
  private readonly replaced: { task: TaskObject; startedNs: number }[] = [];
  private active = 0;
  private failures = 0;
  stopped = false;

  constructor(
    context: OrchestratorContext,
    service: ServiceObject,
    rollingBack: boolean,
    rollBack: (service: ServiceObject, message: string) => void,
  ) {
    this.context = context;
    this.service = service;
    this.rollingBack = rollingBack;
    this.rollBack = rollBack;
    this.specVersion = service.specVersion;
    this.dirty = slotOrder(context, service);
    this.total = this.dirty.length;
  }

  private get config(): UpdateConfig {
    return this.rollingBack ? this.service.spec.rollback : this.service.spec.update;
  }

  start(): void {
    if (this.total === 0) {
      this.stopped = true;
      return;
    }
    this.status(this.rollingBack ? "rollback_started" : "updating", "update in progress");
    const workers =
      this.config.parallelism === 0 ? this.total : Math.min(this.config.parallelism, this.total);
    for (let i = 0; i < workers; i++) this.next();
  }

  private next(): void {
    if (this.stopped || this.service.specVersion !== this.specVersion) return;
    const old = this.dirty.shift();
    if (old === undefined) {
      if (this.active === 0) this.watchTail();
      return;
    }
    if (!isLive(old)) {
      this.next();
      return;
    }
    this.active++;
    this.replace(old);
  }

  private replace(old: TaskObject): void {
    const nodeId = this.service.spec.replicas === null ? old.nodeId : "";
    const startFirst = this.config.order === "start-first";
    const task = newTask(this.context, this.service, old.slot, nodeId, startFirst ? "running" : "ready");
    this.replaced.push({ task, startedNs: -1 });
    if (!startFirst) {
      setDesired(this.context.store, old, "shutdown");
      startAfter(this.context, task, 0, old);
    }
    const poll = (): void => {
      if (this.stopped) return;
      if (this.checkFailures()) return;
      if (stateRank(task.status.state) < stateRank("running")) {
        this.context.later(POLL_NS, poll);
        return;
      }
      if (startFirst) setDesired(this.context.store, old, "shutdown");
      this.context.later(this.config.delayNs, () => {
        this.active--;
        this.next();
      });
    };
    this.context.later(POLL_NS, poll);
  }

  /** After the last slot the new tasks are watched for one more monitor period. */
  private watchTail(): void {
    const { monitorNs, delayNs } = this.config;
    const until = delayNs >= monitorNs ? delayNs + SEC : monitorNs;
    let waitedNs = 0;
    const poll = (): void => {
      if (this.stopped || this.checkFailures()) return;
      waitedNs += POLL_NS;
      if (waitedNs < until) {
        this.context.later(POLL_NS, poll);
        return;
      }
      this.stopped = true;
      if (this.rollingBack) this.status("rollback_completed", "rollback completed");
      else this.status("completed", "update completed");
    };
    poll();
  }

  /** True when the failures stop the update. */
  private checkFailures(): boolean {
    for (const entry of this.replaced) {
      const { task } = entry;
      if (entry.startedNs < 0 && task.status.state === "running") entry.startedNs = task.status.atNs;
      if (!isTerminal(task.status.state) || entry.startedNs === Number.POSITIVE_INFINITY) continue;
      const early = entry.startedNs < 0 || task.status.atNs - entry.startedNs <= this.config.monitorNs;
      entry.startedNs = Number.POSITIVE_INFINITY;
      if (
        early &&
        (task.status.state === "failed" ||
          task.status.state === "rejected" ||
          task.status.state === "complete")
      )
        if (this.fail(task)) return true;
    }
    return false;
  }

  private fail(task: TaskObject): boolean {
    this.failures++;
    if (this.config.failureAction === "continue") return false;
    if (this.failures / this.total <= this.config.maxFailureRatio) return false;
    const cause = `due to failure or early termination of task ${task.id}`;
    this.stopped = true;
    if (this.rollingBack) this.status("rollback_paused", `rollback paused ${cause}`);
    else if (this.config.failureAction === "rollback")
      this.rollBack(this.service, `update rolled back ${cause}`);
    else this.status("paused", `update paused ${cause}`);
    return true;
  }

  private status(state: NonNullable<ServiceObject["updateStatus"]>["state"], message: string): void {
    const { service } = this;
    const now = this.context.store.now;
    const completed = state === "completed" || state === "rollback_completed";
    service.updateStatus = {
      state,
      startedNs: service.updateStatus?.startedNs ?? now,
      completedNs: completed ? now : -1,
      message,
    };
    this.context.store.touch(service);
  }
}

/**
 * The tasks to replace. Their slots come out of a map, so in any order; where the page pins in which order the new ones
 * start, that is it.
 */
function slotOrder(context: OrchestratorContext, service: ServiceObject): TaskObject[] {
  const { store, pins, updates } = context;
  const place = ({ slot }: TaskObject): number => {
    const generation = store.generationOf(service.id, slot) + 1;
    return pins.task({ serviceName: service.spec.name, slot, generation })?.starts ?? Number.MAX_SAFE_INTEGER;
  };
  const dirty = store.tasksOf(service.id).filter((task) => isLive(task) && !isCurrent(task, service));
  return updates.shuffle(dirty).sort((a, b) => place(a) - place(b));
}
