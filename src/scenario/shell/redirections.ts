/** Carries out redirections (POSIX XCU 2.7) before a command runs. */
import type { Co } from "../../host/process.ts";
import { SysError, strerror } from "../../util/errors.ts";
import type { ProcessPart, Redirect, Word } from "./ast.ts";
import type { Expander } from "./expand.ts";
import type { FileView } from "./files.ts";
import type { ProcessSubstitutions } from "./process-substitutions.ts";
import { FileSink, Input, type Io, NOWHERE, type Sink } from "./streams.ts";

export interface Redirected {
  readonly io: Io;
  /** Files that were opened for writing. */
  readonly sinks: readonly FileSink[];
}

class Refused {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** The descriptors as the command sees them; null when a file could not be opened, which `io.err` was told. */
export function* applyRedirects(
  redirects: readonly Redirect[],
  io: Io,
  expander: Expander,
  files: FileView,
  processes: ProcessSubstitutions,
): Co<Redirected | null> {
  const opened = new Redirections(io, files);
  for (const redirect of redirects) {
    const { fd, kind } = redirect;
    const running = kind === "read" ? processOf(redirect.target) : null;
    if (running !== null) {
      opened.put(fd, processes.output(running.script));
      continue;
    }
    const target = redirect.target === null ? "" : yield* expander.text(redirect.target);
    const refused = opened.apply(fd, kind, target);
    if (refused === null) continue;
    io.err.write(refused.text);
    return null;
  }
  return { io: opened.io, sinks: opened.sinks };
}

/** `< <(…)`: what is read as it comes; elsewhere its name is that of a file with all of it. */
function processOf(target: Word | null): ProcessPart | null {
  const [part, ...others] = target?.parts ?? [];
  return part?.kind === "process" && !part.reads && others.length === 0 ? part : null;
}

class Redirections {
  readonly io: Io;
  readonly sinks: FileSink[] = [];
  private readonly outer: Io;
  private readonly files: FileView;

  constructor(outer: Io, files: FileView) {
    this.outer = outer;
    this.io = { ...outer };
    this.files = files;
  }

  apply(fd: number, kind: Redirect["kind"], target: string): Refused | null {
    switch (kind) {
      case "here":
        this.put(fd, new Input(target));
        return null;
      case "close":
        this.put(fd, fd === 0 ? new Input("") : NOWHERE);
        return null;
      case "dup":
        return this.duplicate(fd, target);
      case "read":
        return this.read(fd, target);
      default:
        return this.write(fd, kind, target);
    }
  }

  put(fd: number, stream: Sink | Input): void {
    if (fd === 0 && stream instanceof Input) this.io.input = stream;
    else if (fd === 1 && !(stream instanceof Input)) this.io.out = stream;
    else if (fd === 2 && !(stream instanceof Input)) this.io.err = stream;
    else if (fd > 2) this.io.more = new Map([...(this.io.more ?? []), [fd, stream]]);
  }

  private duplicate(fd: number, target: string): Refused | null {
    const from = Number(target.replace(/-$/, ""));
    const { io } = this;
    const stream = from === 0 ? io.input : from === 1 ? io.out : from === 2 ? io.err : io.more?.get(from);
    if (stream === undefined) return new Refused(`bash: ${target}: Bad file descriptor\n`);
    this.put(fd, stream);
    return null;
  }

  private read(fd: number, target: string): Refused | null {
    if (target === "/dev/stdin") this.put(fd, this.outer.input);
    else
      try {
        if (this.files.kind(target) === "folder") this.put(fd, new Input(""));
        else this.put(fd, new Input(this.files.read(target)));
      } catch (error) {
        return this.refused(error, target);
      }
    return null;
  }

  private write(fd: number, kind: Redirect["kind"], target: string): Refused | null {
    let sink: Sink;
    if (target === "/dev/stdout" || target === "/dev/fd/1") sink = this.outer.out;
    else if (target === "/dev/stderr" || target === "/dev/fd/2") sink = this.outer.err;
    else if (target === "/dev/null") sink = NOWHERE;
    else if (this.files.pipes.has(target)) sink = this.files.pipes.get(target)!;
    else
      try {
        sink = this.open(target, kind === "append" || kind === "bothAppend");
      } catch (error) {
        return this.refused(error, target);
      }
    this.put(fd, sink);
    if (kind === "both" || kind === "bothAppend") this.io.err = sink;
    return null;
  }

  private open(target: string, append: boolean): Sink {
    if (this.files.kind(target) === "folder") throw new SysError("EISDIR", target);
    if (target === "" || (target.startsWith("/proc/") && this.files.kind(target) === null))
      throw new SysError("ENOENT", target);
    if (!target.startsWith("/proc/")) {
      if (append) this.files.append(target, "");
      else this.files.write(target, "");
    }
    const sink = new FileSink(this.files, target);
    this.sinks.push(sink);
    return sink;
  }

  private refused(error: unknown, target: string): Refused {
    if (!(error instanceof SysError)) throw error;
    return new Refused(`bash: ${target}: ${strerror(error.code)}\n`);
  }
}
