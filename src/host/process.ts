/**
 * Processes: programs as generators. A program yields what it waits for and goes on in an event of its own, so it never
 * runs inside packet processing, and everything it does is ordered by virtual time.
 */
import type { NetNs } from "../net/core/net-ns.ts";
import type { EventSink } from "../sim/sim.ts";
import { type Waiter, WaitQueue } from "../sim/wait-queue.ts";
import type { Machine } from "./machine.ts";

/**
 * From the moment that a process is woken to the moment that it runs: the scheduler and the return from the system call.
 * So a server's FIN that follows its data at once is there before the client has read the data and closes, as in life.
 */
const WAKEUP_NS = 20_000;

/** What a program waits for: any of the queues, or the time. Without a timeout it waits for ever. */
export interface Wait {
  readonly queues?: readonly WaitQueue[];
  /** Relative, ns. */
  readonly timeoutNs?: number;
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

export class Process implements Waiter, EventSink {
  readonly pid: number;
  readonly machine: Machine;
  /** Namespace of its sockets. */
  readonly ns: NetNs;
  /** Program name, as `ps` and `ss -p` show it. */
  readonly comm: string;
  /** null while it runs; 128+n when a signal ended it. */
  exitStatus: number | null = null;
  /** Woken when it ends. */
  readonly exited = new WaitQueue();
  private routine: Co<number> | null = null;
  private waitingOn: readonly WaitQueue[] = [];
  private generation = 0;
  private wake: Wake = "woken";

  constructor(machine: Machine, pid: number, ns: NetNs, comm: string) {
    this.machine = machine;
    this.pid = pid;
    this.ns = ns;
    this.comm = comm;
  }

  /** Starts the program in an event at the present time. */
  start(program: Program): void {
    this.routine = program(this);
    this.resumeAt(this.machine.kernel.sim.now, "woken");
  }

  onWake(): void {
    this.resumeAt(this.machine.kernel.sim.now + WAKEUP_NS, "woken");
  }

  onEvent(arg: unknown): void {
    if (arg !== this.generation || this.exitStatus !== null || this.routine === null) return;
    this.stopWaiting();
    this.advance(() => this.routine!.next(this.wake));
  }

  /** Ends the process now, as by a signal. */
  kill(signal: number): void {
    if (this.exitStatus !== null || this.routine === null) return;
    this.stopWaiting();
    try {
      this.routine.throw(new KilledError(signal));
    } catch (error) {
      if (!(error instanceof KilledError)) throw error;
    }
    this.exit(128 + signal);
  }

  private advance(step: () => IteratorResult<Wait, number>): void {
    const kernel = this.machine.kernel;
    const { done, value } = step();
    if (done) {
      this.exit(value as number);
      return;
    }
    const wait = value as Wait;
    this.waitingOn = wait.queues ?? [];
    for (const queue of this.waitingOn) queue.add(this);
    if (wait.timeoutNs !== undefined) this.resumeAt(kernel.sim.now + wait.timeoutNs, "timeout");
  }

  private resumeAt(atNs: number, wake: Wake): void {
    if (wake === "woken") this.stopWaiting();
    this.wake = wake;
    this.machine.kernel.sim.schedule(atNs, this, ++this.generation);
  }

  private stopWaiting(): void {
    for (const queue of this.waitingOn) queue.remove(this);
    this.waitingOn = [];
  }

  private exit(status: number): void {
    this.exitStatus = status;
    this.routine = null;
    this.machine.reap(this);
    this.exited.wake();
  }
}
