/**
 * The processor of a machine: there is one, and programs that compute share it by the rules of CFS (kernel/sched/fair.c). A
 * program that only calls the kernel costs nothing here; one that works for a time keeps the others from it, unless they have
 * had so much less of it that they come first.
 */
import { WAKEUP_NS } from "../net/core/kthread.ts";
import type { EventSink, Sim } from "../sim/sim.ts";

/** A woken program comes first when it is behind by more (sysctl_sched_wakeup_granularity). */
const WAKEUP_GRANULARITY_NS = 1_000_000;
/** What a sleeper is given at most (half of sysctl_sched_latency). */
const SLEEPER_CREDIT_NS = 3_000_000;

/** What the processor runs. */
export interface Task {
  /** Time that it had, in the scheduler's account. */
  vruntimeNs: number;
  /** What is left of the work that it asked for last. */
  workNs: number;
  /** Goes on with its program. */
  run(): void;
}

export class Cpu implements EventSink {
  private readonly sim: Sim;
  /** Who computes, from when on, or whose program just calls the kernel. */
  private current: Task | null = null;
  private sinceNs = 0;
  private stepping = false;
  /** Somebody who wanted to compute had to let those of `next` call the kernel first. */
  private deferred = false;
  /** Number of the event at which the work of `current` ends. */
  private turn = 0;
  /** Those that are about to run: nobody else gets the processor before. */
  private readonly next = new Set<Task>();
  private readonly queue: Task[] = [];
  private minVruntimeNs = 0;

  constructor(sim: Sim) {
    this.sim = sim;
  }

  /** A program begins, with as much as those that run have had. */
  start(task: Task): void {
    task.vruntimeNs = this.minVruntimeNs;
    this.wake(task, 0);
  }

  /** The same at once: it handles text, which costs nothing here, unless it turns into a program. */
  startPromptly(task: Task): void {
    task.vruntimeNs = this.minVruntimeNs;
    this.next.add(task);
    this.sim.schedule(this.sim.now, this, task);
  }

  /** A program that slept goes on in `delayNs`, if the processor is free or the program comes first; else when it is its turn. */
  wake(task: Task, delayNs: number): void {
    task.vruntimeNs = Math.max(task.vruntimeNs, this.minVruntimeNs - SLEEPER_CREDIT_NS);
    const { current } = this;
    if (current !== null) {
      if (!this.preempts(current, task)) {
        this.queue.push(task);
        return;
      }
      if (current.workNs > 0) this.suspend(current);
    }
    this.next.add(task);
    this.sim.schedule(this.sim.now + delayNs, this, task);
  }

  /** Runs the next part of a program, and gives the processor on. */
  private step(task: Task): void {
    this.next.delete(task);
    this.current = task;
    this.sinceNs = this.sim.now;
    task.workNs = 0;
    this.stepping = true;
    task.run();
    this.stepping = false;
    this.current = null;
    if (task.workNs > 0) {
      if (this.next.size === 0 && !this.deferred) {
        this.compute(task);
        return;
      }
      this.queue.push(task);
      this.deferred = true;
    }
    this.reschedule();
  }

  /** Forgets a program that ended. */
  remove(task: Task): void {
    this.next.delete(task);
    const i = this.queue.indexOf(task);
    if (i >= 0) this.queue.splice(i, 1);
    task.workNs = 0;
    if (this.stepping) return;
    if (this.current === task) this.current = null;
    this.reschedule();
  }

  /** The work of `current` ends, or one of `next` runs. */
  onEvent(arg: unknown): void {
    const { current } = this;
    if (typeof arg !== "number") {
      if (this.next.has(arg as Task)) this.step(arg as Task);
    } else if (arg === this.turn && current !== null) {
      this.charge(current);
      this.step(current);
    }
  }

  private preempts(current: Task, task: Task): boolean {
    const had = current.vruntimeNs + this.sim.now - this.sinceNs;
    return had - task.vruntimeNs > WAKEUP_GRANULARITY_NS;
  }

  private charge(task: Task): void {
    const ranNs = this.sim.now - this.sinceNs;
    this.sinceNs = this.sim.now;
    task.vruntimeNs += ranNs;
    task.workNs -= ranNs;
    let least = task.vruntimeNs;
    for (const other of this.queue) least = Math.min(least, other.vruntimeNs);
    this.minVruntimeNs = Math.max(this.minVruntimeNs, least);
  }

  private suspend(task: Task): void {
    this.charge(task);
    this.turn++;
    this.current = null;
    this.queue.push(task);
  }

  /** Gives a free processor to who had least of it. */
  private reschedule(): void {
    if (this.current !== null || this.next.size > 0 || this.queue.length === 0) return;
    this.deferred = false;
    let first = 0;
    for (let i = 1; i < this.queue.length; i++)
      if (this.queue[i].vruntimeNs < this.queue[first].vruntimeNs) first = i;
    const task = this.queue.splice(first, 1)[0];
    if (task.workNs > 0) this.compute(task);
    else {
      this.next.add(task);
      this.sim.schedule(this.sim.now + WAKEUP_NS, this, task);
    }
  }

  private compute(task: Task): void {
    this.current = task;
    this.sinceNs = this.sim.now;
    this.sim.schedule(this.sim.now + task.workNs, this, ++this.turn);
  }
}
