/**
 * Processes: programs as generators. A program yields what it waits for and goes on in an event of its own, so it never
 * runs inside packet processing, and everything it does is ordered by virtual time.
 */
import { WAKEUP_NS } from "../net/core/kthread.ts";
import type { NetNs } from "../net/core/net-ns.ts";
import type { EventSink } from "../sim/sim.ts";
import { type Waiter, WaitQueue } from "../sim/wait-queue.ts";
import type { Task } from "./cpu.ts";
import type { Machine } from "./machine.ts";

const SIGINT = 2;
const SIGKILL = 9;

/** What a program waits for: any of the queues, or the time. Without a timeout it waits for ever. */
export interface Wait {
  readonly queues?: readonly WaitQueue[];
  /** Relative, ns. */
  readonly timeoutNs?: number;
  /** Instead of both: it computes for this long. */
  readonly workNs?: number;
  /** Woken, it goes on at the same time: what it waits for is text of another program, which costs nothing here. */
  readonly promptly?: boolean;
}

/** Why a program goes on. */
export type Wake = "woken" | "timeout";

/** A routine that may wait: used with `yield*`. */
export type Co<T> = Generator<Wait, T, Wake>;

/** A program's main routine; its result is the exit status. */
export type Program = (process: Process) => Co<number>;

/** Sleeps for `ns` of virtual time. */
export function* sleep(ns: number): Co<void> {
  yield { timeoutNs: ns };
}

/** Computes for `ns` of processor time. */
export function* work(ns: number): Co<void> {
  yield { workNs: ns };
}

/**
 * Gives the processor to those that were just woken (cond_resched): a server of the same machine answers meanwhile.
 */
export function* giveWay(): Co<void> {
  yield { timeoutNs: 2 * WAKEUP_NS };
}

/** Waits until `queue` is woken; "timeout" when `timeoutNs` is over before. */
export function* waitFor(queue: WaitQueue, timeoutNs?: number): Co<Wake> {
  return yield timeoutNs === undefined ? { queues: [queue] } : { queues: [queue], timeoutNs };
}

/** Thrown into a program by a signal; runs its `finally` blocks. */
export class KilledError extends Error {
  readonly signal: number;
  constructor(signal: number) {
    super(`killed by signal ${signal}`);
    this.name = "KilledError";
    this.signal = signal;
  }
}

/** Runs a part of a program until it ends, or SIGINT asks the program to go on behind it. */
export function* untilInterrupted(part: Co<void>): Co<void> {
  try {
    yield* part;
  } catch (error) {
    if (!(error instanceof KilledError) || error.signal !== SIGINT) throw error;
  }
}

export class Process implements Waiter, EventSink, Task {
  readonly pid: number;
  readonly machine: Machine;
  /** Namespace of its sockets. */
  readonly ns: NetNs;
  /** Program name, as `ps` and `ss -p` show it: that of the last one that it turned into (execve). */
  comm: string;
  /** null while it runs; 128+n when a signal ended it. */
  exitStatus: number | null = null;
  /** Woken when it ends. */
  readonly exited = new WaitQueue();
  vruntimeNs = 0;
  workNs = 0;
  private routine: Co<number> | null = null;
  private waitingOn: readonly WaitQueue[] = [];
  private generation = 0;
  private wake: Wake = "woken";
  private promptly = false;

  constructor(machine: Machine, pid: number, ns: NetNs, comm: string) {
    this.machine = machine;
    this.pid = pid;
    this.ns = ns;
    this.comm = comm;
  }

  /** Starts the program in an event at the present time. */
  start(program: Program, promptly = false): void {
    this.routine = program(this);
    if (promptly) this.machine.cpu.startPromptly(this);
    else this.machine.cpu.start(this);
  }

  onWake(): void {
    this.resume("woken", this.promptly ? 0 : WAKEUP_NS);
  }

  /** The time that it waited for has come. */
  onEvent(arg: unknown): void {
    if (arg === this.generation && this.exitStatus === null) this.resume("timeout", 0);
  }

  run(): void {
    if (this.exitStatus === null && this.routine !== null) this.advance(this.routine);
  }

  /** Ends the process now, as by a signal; a program that has a handler for it says with which status. */
  kill(signal: number): void {
    if (this.exitStatus !== null || this.routine === null) return;
    this.stopWaiting();
    let status = 128 + signal;
    try {
      const { done, value } = this.routine.throw(new KilledError(signal));
      if (done && signal !== SIGKILL) status = value;
    } catch (error) {
      if (!(error instanceof KilledError)) throw error;
      status = 128 + error.signal;
    }
    this.exit(status);
  }

  private advance(routine: Co<number>): void {
    const { sim } = this.machine.kernel;
    const { done, value } = this.next(routine);
    if (done) {
      this.exit(value);
      return;
    }
    if (value.workNs !== undefined) {
      this.workNs = this.machine.pins.work.take(sim.now) ?? value.workNs;
      return;
    }
    this.promptly = value.promptly === true;
    this.waitingOn = value.queues ?? [];
    for (const queue of this.waitingOn) queue.add(this);
    if (value.timeoutNs !== undefined) sim.schedule(sim.now + value.timeoutNs, this, this.generation);
  }

  /** Runs the program to its next wait; a signal that its own system call brought on it (SIGPIPE) ends it. */
  private next(routine: Co<number>): IteratorResult<Wait, number> {
    try {
      return routine.next(this.wake);
    } catch (error) {
      if (!(error instanceof KilledError)) throw error;
      return { done: true, value: 128 + error.signal };
    }
  }

  private resume(wake: Wake, delayNs: number): void {
    this.stopWaiting();
    this.generation++;
    this.wake = wake;
    this.machine.cpu.wake(this, delayNs);
  }

  private stopWaiting(): void {
    for (const queue of this.waitingOn) queue.remove(this);
    this.waitingOn = [];
  }

  private exit(status: number): void {
    this.exitStatus = status;
    this.routine = null;
    this.machine.cpu.remove(this);
    this.machine.reap(this);
    this.exited.wake();
  }
}
