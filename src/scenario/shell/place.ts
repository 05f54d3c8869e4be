/** Where shells run, the processes that they start, and what their commands see of them. */
import type { Machine } from "../../host/machine.ts";
import { type Co, KilledError, type Process } from "../../host/process.ts";
import { setResolverConfig } from "../../host/resolver.ts";
import type { NetNs } from "../../net/core/net-ns.ts";
import type { Tool, ToolOutput, Userland } from "../../tools/tool.ts";
import type { Script } from "./ast.ts";
import type { FileView } from "./files.ts";
import type { ShellState } from "./state.ts";
import type { Io, Sink } from "./streams.ts";

/** Where a shell runs and what it can call. */
export interface ShellPlace {
  readonly machine: Machine;
  readonly ns: NetNs;
  readonly tools: ReadonlyMap<string, Tool>;
  /** Files of the machine by name. */
  readonly files: Map<string, string>;
  /** Pipes that have names among the files: `>(…)`. */
  readonly pipes?: Map<string, Sink>;
  /** Of the container that it is in; absent on the machine itself. */
  readonly userland?: Userland;
  /** Hears what commands said about wrong words. */
  readonly misused?: (message: string) => void;
}

/** `break`, `continue`, `return` and `exit` on their way out. */
export class ShellFlow {
  readonly kind: "break" | "continue" | "return" | "exit";
  readonly status: number;
  /** Loops that it leaves. */
  readonly levels: number;
  constructor(kind: ShellFlow["kind"], status: number, levels = 1) {
    this.kind = kind;
    this.status = status;
    this.levels = levels;
  }
}

/** A shell as its commands see it. */
export interface RunningShell {
  readonly place: ShellPlace;
  readonly process: Process;
  readonly state: ShellState;
  readonly fileView: FileView;
  /** It has one command left: a program takes the place of the shell in its process. */
  turnsInto: boolean;
  /** Runs a script as a shell of its own: `exit` ends it, and then its EXIT trap runs. */
  run(script: Script, io: Io): Co<number>;
  /** Runs a script as part of what this shell runs: `exit` goes on outward. */
  script(script: Script, io: Io): Co<number>;
  /** Calls a function of the shell; null when there is none of that name. */
  call(words: readonly string[], io: Io): Co<number> | null;
  /** Runs a builtin, a utility or a tool, functions left aside. */
  program(words: readonly string[], io: Io): Co<number>;
  /** What stands before the shell's own error texts. */
  prefix(): string;
  /** Whether a name is that of a builtin, a utility or a tool. */
  knows(name: string): boolean;
  /** Runs `program` with variables set and exported, then puts them back. */
  withVariables(
    pairs: readonly (readonly [string, string])[],
    program: (shell: RunningShell) => Co<number>,
  ): Co<number>;
  /** Starts a process with a shell of its own. */
  spawn(
    comm: string,
    ns: NetNs,
    state: ShellState,
    program: (shell: RunningShell) => Co<number>,
    userland?: Userland,
  ): Child;
}

/** A process and what came of it. */
export interface Child {
  readonly process: Process;
  /** What the program threw, other than the signal that ended it. */
  error: unknown;
  output: ToolOutput | null;
}

/** Starts `program` as a process; what it throws is kept for the one who waits. */
export function startChild(
  place: ShellPlace,
  comm: string,
  ns: NetNs,
  program: (process: Process, child: Child) => Co<number>,
  promptly = false,
): Child {
  const child: { process: Process; error: unknown; output: ToolOutput | null } = {
    process: null as never,
    error: null,
    output: null,
  };
  const guarded = function* (process: Process): Co<number> {
    try {
      return yield* program(process, child);
    } catch (error) {
      if (error instanceof KilledError) throw error;
      child.error = error;
      return 1;
    }
  };
  child.process = place.machine.spawn(comm, ns, guarded, promptly);
  if (place.userland !== undefined) setResolverConfig(child.process, place.userland.resolver);
  return child;
}

/** Waits for a child; a signal that ends the waiter ends the child. Throws what the child threw. */
export function* waitChild(child: Child, timeoutNs?: number): Co<"ended" | "timeout"> {
  try {
    while (child.process.exitStatus === null) {
      const queues = [child.process.exited];
      const wake = yield timeoutNs === undefined ? { queues } : { queues, timeoutNs };
      if (wake === "timeout" && child.process.exitStatus === null) return "timeout";
    }
  } catch (error) {
    if (error instanceof KilledError) child.process.kill(error.signal);
    throw error;
  }
  if (child.error !== null) throw child.error;
  return "ended";
}
