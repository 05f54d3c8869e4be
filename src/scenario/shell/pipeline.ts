/**
 * Pipelines (POSIX XCU 2.9.2): the sides run at the same time. Each side is a process of its own but the last, which runs
 * in the shell's, as with `lastpipe`; what it sets is lost all the same.
 */
import { type Co, KilledError, sleep } from "../../host/process.ts";
import { WAKEUP_NS } from "../../net/core/kthread.ts";
import type { Command } from "./ast.ts";
import { Pipe } from "./pipe.ts";
import { type Child, waitChild } from "./place.ts";
import type { Shell } from "./shell.ts";
import { Input, type Io } from "./streams.ts";

/** A side that runs in a process of its own. */
interface Side {
  readonly child: Child;
  /** When it ended as a program that it had turned into; 0: it did not. */
  readonly programEndNs: number;
}

/** The statuses of its commands. */
export function* runPipeline(shell: Shell, commands: readonly Command[], io: Io): Co<number[]> {
  const sides: Side[] = [];
  let { input } = io;
  const last = commands.length - 1;
  for (let i = 0; i < last; i++) {
    const pipe = new Pipe();
    sides.push(startSide(shell, commands[i], { ...io, input, out: pipe }, pipe, i > 0));
    input = new Input("", pipe);
  }
  try {
    const status = yield* lastSide(shell, commands[last], { ...io, input });
    const statuses: number[] = [];
    for (const side of sides) {
      yield* waitChild(side.child);
      statuses.push(side.child.process.exitStatus!);
    }
    yield* heard(shell, sides);
    return [...statuses, status];
  } catch (error) {
    const signal = error instanceof KilledError ? error.signal : 15;
    for (const { child } of sides) child.process.kill(signal);
    throw error;
  }
}

function startSide(shell: Shell, command: Command, io: Io, pipe: Pipe, readsPipe: boolean): Side {
  const { sim } = shell.place.machine.kernel;
  let programEndNs = 0;
  const child = shell.fork(function* (inner) {
    inner.tested = shell.tested;
    inner.turnsInto = command.kind === "simple";
    try {
      return yield* inner.element(command, io);
    } finally {
      if (inner.process.comm !== "bash") programEndNs = sim.now;
      pipe.release();
      if (readsPipe) io.input.close();
    }
  });
  return {
    child,
    get programEndNs() {
      return programEndNs;
    },
  };
}

/** Whoever writes to a side that ended gets SIGPIPE. */
function* lastSide(shell: Shell, command: Command, io: Io): Co<number> {
  try {
    return yield* shell.subshell().element(command, io);
  } finally {
    io.input.close();
  }
}

/** Waits until the shell has heard of the end of every program (wait4): text alone passes in no time, a wake-up does not. */
function* heard(shell: Shell, sides: readonly Side[]): Co<void> {
  const { sim } = shell.place.machine.kernel;
  const lastNs = Math.max(
    ...sides.map(({ programEndNs }) => (programEndNs === 0 ? 0 : programEndNs + WAKEUP_NS)),
  );
  if (lastNs > sim.now) yield* sleep(lastNs - sim.now);
}

/** The pipes that a command writes to. */
export function pipesOf({ out, err, more }: Io): readonly Pipe[] {
  return [...new Set([out, err, ...(more?.values() ?? [])])].filter((stream) => stream instanceof Pipe);
}
