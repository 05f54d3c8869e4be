/**
 * The shell: runs a syntax tree on one machine in one namespace (POSIX XCU 2.9). A shell is part of a process; every
 * command that is no builtin runs in a process of its own, so that its sockets are its own and a signal can end it.
 */
import type { Co, Process } from "../../host/process.ts";
import type { NetNs } from "../../net/core/net-ns.ts";
import type { Userland } from "../../tools/tool.ts";
import { SysError, strerror, UsageError } from "../../util/errors.ts";
import type { AndOr, Command, Pipeline, Redirect, Script } from "./ast.ts";
import { Expander } from "./expand.ts";
import { type Child, type RunningShell, ShellFlow, type ShellPlace, startChild } from "./place.ts";
import { runWords } from "./run-words.ts";
import { FileView, type ShellState } from "./state.ts";
import { Input, type Io, type Sink, TextSink } from "./streams.ts";

/** A loop that never waits would stop virtual time. */
const MAX_TURNS = 1_000_000;

export class Shell implements RunningShell {
  readonly place: ShellPlace;
  readonly process: Process;
  readonly state: ShellState;
  readonly fileView: FileView;
  private readonly expander: Expander;
  /** Where the errors of command substitutions go: those of the command that is being expanded. */
  private errors: Sink = new TextSink();

  constructor(place: ShellPlace, process: Process, state: ShellState) {
    this.place = place;
    this.process = process;
    this.state = state;
    this.fileView = new FileView(place.files, process);
    this.expander = new Expander(state, process.pid, (script) => this.capture(script));
  }

  /** Runs a whole script; `exit` ends it. The result is its status. */
  *run(script: Script, io: Io): Co<number> {
    try {
      return yield* this.script(script, io);
    } catch (flow) {
      if (!(flow instanceof ShellFlow)) throw flow;
      this.state.status = flow.status;
      return flow.status;
    }
  }

  *script(script: Script, io: Io): Co<number> {
    for (const list of script.lists) {
      if (list.background) this.background(list, io);
      else yield* this.andOr(list, io);
    }
    return this.state.status;
  }

  /** Starts a process that runs `program` in a shell of its own; the caller waits for it or not. */
  spawn(
    comm: string,
    ns: NetNs,
    state: ShellState,
    program: (shell: RunningShell) => Co<number>,
    userland?: Userland,
  ): Child {
    const files = userland?.files ?? this.place.files;
    const place = { ...this.place, ns, files, userland: userland ?? this.place.userland };
    return startChild(place, comm, ns, (process) => program(new Shell(place, process, state)));
  }

  *withVariables(
    pairs: readonly (readonly [string, string])[],
    program: (shell: RunningShell) => Co<number>,
  ): Co<number> {
    const { variables, exported } = this.state;
    const before = pairs.map(([name]) => ({
      name,
      value: variables.get(name),
      exported: exported.has(name),
    }));
    for (const [name, value] of pairs) {
      variables.set(name, value);
      exported.add(name);
    }
    try {
      return yield* program(this);
    } finally {
      for (const old of before) {
        if (old.value === undefined) variables.delete(old.name);
        else variables.set(old.name, old.value);
        if (!old.exported) exported.delete(old.name);
      }
    }
  }

  private *andOr(list: AndOr, io: Io): Co<number> {
    for (const { when, pipeline } of list.items) {
      if (when !== "always" && (this.state.status === 0) !== (when === "success")) continue;
      this.state.status = yield* this.pipeline(pipeline, io);
    }
    return this.state.status;
  }

  private background(list: AndOr, io: Io): void {
    const inner: Script = { lists: [{ ...list, background: false }] };
    const quiet: Io = { input: new Input(""), out: io.out, err: io.err };
    const child = this.spawn("bash", this.place.ns, this.state.fork(), (shell) => shell.run(inner, quiet));
    this.state.jobs.push(child.process);
    this.state.lastJob = child.process.pid;
    this.state.status = 0;
  }

  private *pipeline(pipeline: Pipeline, io: Io): Co<number> {
    let input = io.input;
    let status = 0;
    const last = pipeline.commands.length - 1;
    for (let i = 0; i <= last; i++) {
      const out = i === last ? io.out : new TextSink();
      const shell = last === 0 ? this : new Shell(this.place, this.process, this.state.fork());
      status = yield* shell.stage(pipeline.commands[i], { input, out, err: io.err });
      if (out instanceof TextSink && i < last) input = new Input(out.text);
    }
    return pipeline.negated ? Number(status === 0) : status;
  }

  /** One command of a pipeline; `exit` inside a longer one ends only that command. */
  private *stage(command: Command, io: Io): Co<number> {
    try {
      return yield* this.command(command, io);
    } catch (error) {
      if (error instanceof UsageError) {
        this.place.misused?.(error.message);
        io.err.write(`${error.message}\n`);
        return error.status;
      }
      throw error;
    }
  }

  private *command(command: Command, io: Io): Co<number> {
    this.errors = io.err;
    const redirected = yield* this.redirect(command.redirects, io);
    if (redirected === null) return 1;
    const status = yield* this.compound(command, redirected.io);
    for (const finish of redirected.finish) {
      const failed = finish();
      if (failed !== null) {
        io.err.write(failed);
        return 1;
      }
    }
    return status;
  }

  private *compound(command: Command, io: Io): Co<number> {
    switch (command.kind) {
      case "simple":
        return yield* this.simple(command, io);
      case "for":
        return yield* this.forLoop(command, io);
      case "while":
        return yield* this.whileLoop(command, io);
      case "if":
        for (const branch of command.branches)
          if ((yield* this.script(branch.condition, io)) === 0) return yield* this.script(branch.body, io);
        this.state.status = 0;
        return command.otherwise === null ? 0 : yield* this.script(command.otherwise, io);
      case "group":
        if (!command.subshell) return yield* this.script(command.body, io);
        return yield* new Shell(this.place, this.process, this.state.fork()).run(command.body, io);
    }
  }

  private *simple(command: Extract<Command, { kind: "simple" }>, io: Io): Co<number> {
    const words = yield* this.expander.words(command.words);
    const values: [string, string][] = [];
    for (const { name, value } of command.assignments) values.push([name, yield* this.expander.text(value)]);
    if (words.length > 0) return yield* this.withVariables(values, () => runWords(this, words, io));
    for (const [name, value] of values) this.state.variables.set(name, value);
    return command.assignments.length > 0 ? this.substitutionStatus(command) : 0;
  }

  /** `X=$(false)` has the status of the substitution. */
  private substitutionStatus(command: Extract<Command, { kind: "simple" }>): number {
    const substituted = command.assignments.some(({ value }) =>
      value.parts.some((part) => part.kind === "command"),
    );
    return substituted ? this.state.status : 0;
  }

  private *forLoop(command: Extract<Command, { kind: "for" }>, io: Io): Co<number> {
    const words = yield* this.expander.words(command.words);
    this.state.status = 0;
    for (const word of words) {
      this.state.variables.set(command.name, word);
      if (!(yield* this.turn(command.body, io))) break;
    }
    return this.state.status;
  }

  private *whileLoop(command: Extract<Command, { kind: "while" }>, io: Io): Co<number> {
    let status = 0;
    for (let turns = 0; ; turns++) {
      if (turns === MAX_TURNS)
        throw new UsageError(`bash: a loop of more than ${MAX_TURNS} turns was stopped`, 1);
      if (((yield* this.script(command.condition, io)) === 0) === command.until) return status;
      if (!(yield* this.turn(command.body, io))) return 0;
      status = this.state.status;
    }
  }

  /** One turn of a loop; false after `break`. */
  private *turn(body: Script, io: Io): Co<boolean> {
    try {
      yield* this.script(body, io);
    } catch (flow) {
      if (!(flow instanceof ShellFlow) || flow.kind === "exit") throw flow;
      this.state.status = 0;
      return flow.kind === "continue";
    }
    return true;
  }

  private *redirect(
    redirects: readonly Redirect[],
    io: Io,
  ): Co<{ io: Io; finish: (() => string | null)[] } | null> {
    let { input, out, err } = io;
    const finish: (() => string | null)[] = [];
    for (const redirect of redirects) {
      if (redirect.kind === "dup") {
        if (redirect.fd === 2) err = redirect.from === 1 ? out : err;
        else out = redirect.from === 2 ? err : out;
        continue;
      }
      const target = yield* this.expander.text(redirect.target!);
      if (redirect.kind === "here") input = new Input(`${target}\n`);
      else if (redirect.kind === "read") {
        const text = this.readFile(target, io);
        if (text === null) return null;
        input = new Input(text);
      } else {
        const sink = new TextSink();
        if (redirect.fd === 2) err = sink;
        else out = sink;
        if (redirect.fd !== redirect.from) err = sink;
        finish.push(() => this.store(target, sink.text, redirect.kind === "append"));
      }
    }
    return { io: { input, out, err }, finish };
  }

  private readFile(path: string, io: Io): string | null {
    try {
      return this.fileView.read(path);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      io.err.write(`bash: ${path}: ${strerror(error.code)}\n`);
      return null;
    }
  }

  private store(path: string, text: string, append: boolean): string | null {
    try {
      if (append) this.fileView.append(path, text);
      else this.fileView.write(path, text);
      return null;
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      return path.startsWith("/proc/") && error.code === "EINVAL"
        ? `bash: echo: write error: ${strerror(error.code)}\n`
        : `bash: ${path}: ${strerror(error.code)}\n`;
    }
  }

  private *capture(script: Script): Co<string> {
    const out = new TextSink();
    const shell = new Shell(this.place, this.process, this.state.fork());
    this.state.status = yield* shell.run(script, { input: new Input(""), out, err: this.errors });
    return out.text;
  }
}
