/**
 * dockerd as a process: it holds the engine's sockets in the host namespace and runs its routines beside each other, as
 * Go runs goroutines on the threads of one process.
 */
import type { Machine } from "../host/machine.ts";
import { type Co, Process, waitFor } from "../host/process.ts";
import { WaitQueue } from "../sim/wait-queue.ts";
import { SysError } from "../util/errors.ts";

const COMM = "dockerd";

export class Daemon {
  readonly machine: Machine;
  /** Owner of the sockets. */
  readonly process: Process;
  private readonly threads = new Set<Process>();

  constructor(machine: Machine) {
    this.machine = machine;
    const forever = new WaitQueue();
    this.process = machine.spawn(COMM, machine.hostNs, function* () {
      for (;;) yield* waitFor(forever);
    });
  }

  /** Starts a routine; an error of a system call ends it. */
  go(routine: () => Co<void>): Process {
    const { machine, process, threads } = this;
    const thread = new Process(machine, process.pid, process.ns, COMM);
    threads.add(thread);
    thread.start(function* () {
      try {
        yield* routine();
        return 0;
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        return 1;
      } finally {
        threads.delete(thread);
      }
    });
    return thread;
  }

  /** Ends the daemon with all its routines, as a power failure does. */
  halt(): void {
    for (const thread of [...this.threads]) thread.kill(9);
    this.process.kill(9);
  }
}
