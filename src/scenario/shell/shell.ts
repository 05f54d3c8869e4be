/**
 * The shell: runs a syntax tree on one machine in one namespace (POSIX XCU 2.9). A shell is part of a process; every
 * command that is no builtin runs in a process of its own, so that its sockets are its own and a signal can end it.
 */
import { type Co, KilledError, type Process } from "../../host/process.ts";
import type { NetNs } from "../../net/core/net-ns.ts";
import type { Userland } from "../../tools/tool.ts";
import { NotModelledError, strerror, UsageError } from "../../util/errors.ts";
import { assign, assignmentWord } from "./assignments.ts";
import type { AndOr, Command, Pipeline, Script, SimpleCommand } from "./ast.ts";
import { fileOnly, isBareExec, isPlain } from "./command-forms.ts";
import { runCompound } from "./compound.ts";
import { Expander, ExpansionError } from "./expand.ts";
import { FileView } from "./files.ts";
import { computedParameter, type ParameterContext } from "./parameters.ts";
import { parseShell } from "./parser.ts";
import { drained, SIGPIPE } from "./pipe.ts";
import { pipesOf, runPipeline } from "./pipeline.ts";
import { type Child, type RunningShell, ShellFlow, type ShellPlace, startChild } from "./place.ts";
import { ProcessSubstitutions } from "./process-substitutions.ts";
import { applyRedirects } from "./redirections.ts";
import { isCommandName, runProgram, runWords } from "./run-words.ts";
import type { ShellState } from "./state.ts";
import { Input, type Io, type Sink, TextSink } from "./streams.ts";

/** Functions that call themselves without an end. */
const MAX_DEPTH = 200;

export class Shell implements RunningShell, ParameterContext {
  readonly place: ShellPlace;
  readonly process: Process;
  readonly state: ShellState;
  readonly fileView: FileView;
  readonly expander: Expander;
  /** Inside a condition, where `set -e` does not end the shell. */
  tested = 0;
  turnsInto = false;
  /** Where the errors of command substitutions go: those of the command that is being expanded. */
  private errors: Sink = new TextSink();
  private input = new Input("");
  private readonly processes = new ProcessSubstitutions(this);

  constructor(place: ShellPlace, process: Process, state: ShellState) {
    const pipes = place.pipes ?? new Map();
    this.place = { ...place, pipes };
    this.process = process;
    this.state = state;
    if (state.pid === 0) state.pid = process.pid;
    this.fileView = new FileView(place.files, process, (name) => isCommandName(place, name), pipes);
    this.expander = new Expander({
      state,
      substitute: (script) => this.substitute(script),
      processFile: (part) => this.processes.file(part),
      special: (name) => computedParameter(name, this),
      glob: (pattern) => this.fileView.glob(pattern),
    });
  }

  *run(script: Script, io: Io): Co<number> {
    try {
      const status = yield* this.atExit(yield* this.ending(script, io), io);
      yield* this.processes.close(0);
      return status;
    } finally {
      this.processes.release(0);
    }
  }

  /** Runs the EXIT trap; its own `exit` counts. */
  *atExit(status: number, io: Io): Co<number> {
    const text = this.state.traps.get("EXIT");
    this.state.traps.delete("EXIT");
    this.state.status = status;
    if (text === undefined || text === "") return status;
    try {
      yield* this.script(parseShell(text), io);
    } catch (flow) {
      if (!(flow instanceof ShellFlow)) throw flow;
      return flow.status;
    }
    return status;
  }

  /** A line typed at a prompt: `exit` ends the shell. Its status, and whether it ended. */
  *typed(script: Script, io: Io): Co<{ status: number; exited: boolean }> {
    try {
      return { status: yield* this.script(script, io), exited: false };
    } catch (flow) {
      if (!(flow instanceof ShellFlow)) throw flow;
      if (flow.kind !== "exit") return { status: 0, exited: false };
      return { status: yield* this.atExit(flow.status, io), exited: true };
    }
  }

  private *ending(script: Script, io: Io): Co<number> {
    try {
      return yield* this.script(script, io);
    } catch (flow) {
      if (!(flow instanceof ShellFlow)) throw flow;
      return flow.kind === "exit" || flow.kind === "return" ? flow.status : this.state.status;
    }
  }

  *script(script: Script, io: Io): Co<number> {
    for (const list of script.lists) {
      if (list.background) this.background(list, io);
      else yield* this.andOr(list, io);
      yield* drained(io.out);
    }
    return this.state.status;
  }

  /** A script whose status is looked at. */
  *test(script: Script, io: Io): Co<boolean> {
    this.tested++;
    try {
      return (yield* this.script(script, io)) === 0;
    } finally {
      this.tested--;
    }
  }

  /** Starts a process that runs `program` in a shell of its own; the caller waits for it or not. */
  spawn(
    comm: string,
    ns: NetNs,
    state: ShellState,
    program: (shell: Shell) => Co<number>,
    userland?: Userland,
  ): Child {
    const files = userland?.files ?? this.place.files;
    const place = { ...this.place, ns, files, userland: userland ?? this.place.userland };
    return startChild(place, comm, ns, (process) => program(new Shell(place, process, state)));
  }

  /** A copy of this shell in a process of its own, which begins at once. */
  fork(program: (shell: Shell) => Co<number>): Child {
    const { place } = this;
    const state = this.state.fork();
    return startChild(place, "bash", place.ns, (process) => program(new Shell(place, process, state)), true);
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
      this.state.set(name, value);
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

  call(words: readonly string[], io: Io): Co<number> | null {
    const body = this.state.functions.get(words[0]);
    return body === undefined ? null : this.function(body, words, io);
  }

  program(words: readonly string[], io: Io): Co<number> {
    return runProgram(this, words, io);
  }

  knows(name: string): boolean {
    return isCommandName(this.place, name);
  }

  private *function(body: Command, words: readonly string[], io: Io): Co<number> {
    const { state } = this;
    if (state.depth >= MAX_DEPTH)
      throw new UsageError(`bash: ${words[0]}: maximum function nesting level exceeded (${MAX_DEPTH})`, 1);
    const { positional } = state;
    state.positional = [positional[0], ...words.slice(1)];
    state.depth++;
    state.enterFunction();
    try {
      return yield* this.command(body, io);
    } catch (flow) {
      if (!(flow instanceof ShellFlow) || flow.kind !== "return") throw flow;
      return flow.status;
    } finally {
      state.leaveFunction();
      state.depth--;
      state.positional = positional;
    }
  }

  private *andOr(list: AndOr, io: Io): Co<number> {
    const last = list.items.length - 1;
    for (let i = 0; i <= last; i++) {
      const { when, pipeline } = list.items[i];
      if (when !== "always" && (this.state.status === 0) !== (when === "success")) continue;
      const tested = i < last || pipeline.negated;
      if (tested) this.tested++;
      try {
        this.state.status = yield* this.pipeline(pipeline, io);
      } finally {
        if (tested) this.tested--;
      }
      if (
        !tested &&
        this.state.status !== 0 &&
        this.tested === 0 &&
        this.state.options.has("e") &&
        isPlain(pipeline)
      )
        throw new ShellFlow("exit", this.state.status);
    }
    return this.state.status;
  }

  private background(list: AndOr, io: Io): void {
    const inner: Script = { lists: [{ ...list, background: false }], lines: false };
    const quiet: Io = { ...io, input: new Input("") };
    const held = pipesOf(io);
    for (const pipe of held) pipe.hold();
    const child = this.spawn("bash", this.place.ns, this.state.fork(), function* (shell) {
      try {
        return yield* shell.run(inner, quiet);
      } finally {
        for (const pipe of held) pipe.release();
      }
    });
    this.state.jobs.push(child.process);
    this.state.lastJob = child.process.pid;
    this.state.status = 0;
  }

  private *pipeline(pipeline: Pipeline, io: Io): Co<number> {
    const { commands, negated } = pipeline;
    const statuses =
      commands.length === 1 ? [yield* this.stage(commands[0], io)] : yield* runPipeline(this, commands, io);
    const failed = this.state.options.has("pipefail")
      ? statuses.findLast((status) => status !== 0)
      : undefined;
    this.state.variables.set("PIPESTATUS", new Map(statuses.map((status, i) => [String(i), String(status)])));
    const status = failed ?? statuses[statuses.length - 1];
    return negated ? Number(status === 0) : status;
  }

  /** A copy of this shell in the same process. */
  subshell(): Shell {
    const shell = new Shell(this.place, this.process, this.state.fork());
    shell.tested = this.tested;
    return shell;
  }

  /** One command of a longer pipeline: a subshell, which `exit` ends. */
  *element(command: Command, io: Io): Co<number> {
    try {
      return yield* this.atExit(yield* this.stage(command, io), io);
    } catch (flow) {
      if (!(flow instanceof ShellFlow)) throw flow;
      return yield* this.atExit(flow.status, io);
    }
  }

  /** A command; wrong words and what is not modelled become its error text. */
  private *stage(command: Command, io: Io): Co<number> {
    try {
      return yield* this.command(command, io);
    } catch (error) {
      const missing = error instanceof NotModelledError && (this.state.lenient || this.state.depth > 0);
      if (!(error instanceof UsageError || missing)) throw error;
      this.place.misused?.(error.message);
      io.err.write(`${error.message.replace(/^bash: /, this.prefix())}\n`);
      const status = error instanceof UsageError ? error.status : 2;
      if (error instanceof ExpansionError) throw new ShellFlow("exit", status);
      return status;
    }
  }

  /** What stands before the shell's own error texts. */
  prefix(): string {
    const name = this.state.positional[0];
    return name === "bash" || name === "sh" || name === "ash"
      ? "bash: "
      : `${name}: line ${this.state.line}: `;
  }

  private *command(command: Command, io: Io): Co<number> {
    const { processes } = this;
    const before = processes.count;
    processes.io = io;
    let kept = false;
    try {
      const status = yield* this.unlessPipeBroke(command, io, before);
      kept = isBareExec(command);
      if (!kept) yield* processes.close(before);
      return status;
    } finally {
      if (!kept) processes.release(before);
    }
  }

  /** A command whose own `>(…)` ended is ended by SIGPIPE; the shell goes on. */
  private *unlessPipeBroke(command: Command, io: Io, before: number): Co<number> {
    try {
      return yield* this.redirected(command, io);
    } catch (error) {
      const broke = error instanceof KilledError && error.signal === SIGPIPE;
      if (!broke || this.processes.count === before) throw error;
      return 128 + SIGPIPE;
    }
  }

  private *redirected(command: Command, io: Io): Co<number> {
    this.errors = io.err;
    this.input = io.input;
    if (command.kind === "simple") this.state.line = command.line;
    if (command.redirects.length === 0) return yield* this.bare(command, io);
    const redirected = yield* applyRedirects(
      command.redirects,
      io,
      this.expander,
      this.fileView,
      this.processes,
    );
    if (redirected === null) return 1;
    this.errors = redirected.io.err;
    const status = yield* this.bare(command, redirected.io);
    if (isBareExec(command)) Object.assign(io, redirected.io);
    const failed = redirected.sinks.find(({ error }) => error !== null);
    if (failed === undefined) return status;
    redirected.io.err.write(`${this.prefix()}echo: write error: ${strerror(failed.error!)}\n`);
    return 1;
  }

  private *bare(command: Command, io: Io): Co<number> {
    return command.kind === "simple"
      ? yield* this.simple(command, io)
      : yield* runCompound(this, command, io);
  }

  private *simple(command: SimpleCommand, io: Io): Co<number> {
    const words: string[] = [];
    let substituted = false;
    for (const { word, assignment } of command.words) {
      if (assignment === null) words.push(...(yield* this.expander.words([word])));
      else words.push(yield* assignmentWord(assignment, words, this));
      substituted ||= word.parts.some((part) => part.kind === "command");
    }
    if (words.length === 0) return yield* this.assignments(command, substituted);
    const values: [string, string][] = [];
    for (const { name, value, append } of command.assignments)
      values.push([name, (append ? (this.state.get(name) ?? "") : "") + (yield* this.expander.text(value))]);
    if (this.state.options.has("x"))
      io.err.write(`+ ${[...values.map((pair) => pair.join("=")), ...words].join(" ")}\n`);
    if (values.length === 0) return yield* runWords(this, words, io);
    return yield* this.withVariables(values, () => runWords(this, words, io));
  }

  /** A command without words sets variables; its status is that of the last substitution. */
  private *assignments(command: SimpleCommand, substituted: boolean): Co<number> {
    let tells = substituted;
    if (command.assignments.some(({ value }) => value.parts.some((part) => part.kind === "command")))
      tells = true;
    for (const assignment of command.assignments) yield* assign(assignment, this);
    return tells ? this.state.status : 0;
  }

  private *substitute(script: Script): Co<string> {
    const file = fileOnly(script);
    if (file !== null) return this.fileView.read(yield* this.expander.text(file));
    const out = new TextSink();
    const shell = this.subshell();
    shell.state.options.delete("e");
    this.state.status = yield* shell.run(script, { input: this.input, out, err: this.errors });
    return out.text;
  }
}
