/**
 * Process substitution (bash(1)): the processes behind `<(…)` and `>(…)`, each at the other end of a pipe that the shell has
 * open while the command runs to which it belongs.
 */
import type { Co } from "../../host/process.ts";
import { MS } from "../../sim/sim.ts";
import type { ProcessPart, Script } from "./ast.ts";
import { Pipe } from "./pipe.ts";
import { pipesOf } from "./pipeline.ts";
import { type Child, waitChild } from "./place.ts";
import type { Shell } from "./shell.ts";
import { Input, type Io, TextSink } from "./streams.ts";

/** Descriptors count down from here. */
const FIRST_FD = 63;
/** The shell waits for no such process; what handles text alone has ended before the next prompt is there. */
const PROMPT_NS = MS;

/** One substitution of a command that runs. */
interface Opened {
  /** Closes the shell's end of it. */
  readonly end: () => void;
  readonly child: Child | null;
  /** It has more to say when the command has ended. */
  readonly reads: boolean;
}

export class ProcessSubstitutions {
  /** That of the command that is being expanded. */
  io: Io = { input: new Input(""), out: new TextSink(), err: new TextSink() };
  private readonly shell: Shell;
  private readonly opened: Opened[] = [];

  constructor(shell: Shell) {
    this.shell = shell;
  }

  /** The name of the file that stands for the process. */
  *file({ reads, script }: ProcessPart): Co<string> {
    const name = this.freeName();
    if (reads) this.reader(name, script);
    else {
      const { files } = this.shell.place;
      const out = new TextSink();
      yield* this.shell.subshell().run(script, { input: new Input(""), out, err: this.io.err });
      files.set(name, out.text);
      this.opened.push({ end: () => files.delete(name), child: null, reads });
    }
    return name;
  }

  /** What a process prints, as it comes. */
  output(script: Script): Input {
    const pipe = new Pipe();
    const input = new Input("", pipe);
    const { err } = this.io;
    const child = this.shell.fork(function* (inner) {
      try {
        return yield* inner.run(script, { input: new Input(""), out: pipe, err });
      } finally {
        pipe.release();
      }
    });
    this.opened.push({ end: () => input.close(), child, reads: false });
    return input;
  }

  private reader(name: string, script: Script): void {
    const { pipes } = this.shell.fileView;
    const pipe = new Pipe();
    const io = { ...this.io, input: new Input("", pipe) };
    const held = pipesOf(io);
    for (const other of held) other.hold();
    const child = this.shell.fork(function* (inner) {
      try {
        return yield* inner.run(script, io);
      } finally {
        io.input.close();
        for (const other of held) other.release();
      }
    });
    pipes.set(name, pipe);
    const end = (): void => {
      pipes.delete(name);
      pipe.release();
    };
    this.opened.push({ end, child, reads: true });
  }

  private freeName(): string {
    const { fileView, place } = this.shell;
    let fd = FIRST_FD;
    while (fileView.pipes.has(`/dev/fd/${fd}`) || place.files.has(`/dev/fd/${fd}`)) fd--;
    return `/dev/fd/${fd}`;
  }

  get count(): number {
    return this.opened.length;
  }

  /** The command has ended that came behind the first `count`. Throws what its processes could not do. */
  *close(count: number): Co<void> {
    for (const { child, reads } of this.release(count)) {
      if (child === null) continue;
      if (reads) yield* waitChild(child, PROMPT_NS);
      else if (child.error !== null) throw child.error;
    }
  }

  /** The same where nobody waits: the shell is on its way out. */
  release(count: number): Opened[] {
    const ended = this.opened.splice(count);
    for (const { end } of ended) end();
    return ended;
  }
}
