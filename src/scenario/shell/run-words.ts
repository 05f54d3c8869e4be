/**
 * One command line's words: a builtin, a text utility or a tool of the machine, looked up by the first word (POSIX XCU
 * 2.9.1.1). Every tool takes a little virtual time, so that a prompt moves the clock as a person would.
 */
import { type Co, KilledError, type Process, sleep } from "../../host/process.ts";
import { WAKEUP_NS } from "../../net/core/kthread.ts";
import type { NetNs } from "../../net/core/net-ns.ts";
import { MS } from "../../sim/sim.ts";
import { runTool } from "../../tools/run-tool.ts";
import { type Buffering, Stdio } from "../../tools/stdio.ts";
import type { Tool, ToolContext, ToolOutput, Userland } from "../../tools/tool.ts";
import { NotModelledError, SysError, strerror, UsageError } from "../../util/errors.ts";
import { BUILTINS, ONLY_BUILTIN } from "./builtins.ts";
import { notFoundText, UNMODELLED } from "./command-names.ts";
import { drained, Pipe } from "./pipe.ts";
import { type RunningShell, type ShellPlace, startChild, waitChild } from "./place.ts";
import { FileSink, InputWanted, type Io, type Sink, TextSink, WholeInput } from "./streams.ts";
import { STREAMS, writesAtOnce } from "./text/streams.ts";
import { UTILITIES } from "./text/table.ts";
import type { Streaming, Utility, UtilityContext } from "./text/utility.ts";

/** Builtins that are replaced by the command that they name. */
const FORWARDS: ReadonlySet<string> = new Set("sudo env nohup setsid stdbuf taskset command exec".split(" "));

/** Virtual time that a command takes to start. */
const COMMAND_NS = MS;

/** Whether a name is that of a program, a builtin or a utility of the machine. */
export function isCommandName(place: ShellPlace, name: string): boolean {
  return (
    place.userland?.tools.has(name) === true ||
    place.tools.has(name) ||
    UTILITIES.has(name) ||
    BUILTINS.has(name)
  );
}

/** Whether a word starts a program when no shell reads it: builtins do not, names of files do. */
export function isProgram(place: ShellPlace, word: string): boolean {
  if (word.includes("/") && place.files.has(word)) return true;
  const name = word.replace(/^.*\/(?=[^/]+$)/, "");
  return !ONLY_BUILTIN.has(name) && (isCommandName(place, name) || UNMODELLED.has(name));
}

/** Runs a command in the foreground; the result is its exit status. */
export function* runWords(shell: RunningShell, words: readonly string[], io: Io): Co<number> {
  const call = shell.call(words, io);
  if (call !== null) {
    shell.turnsInto = false;
    return yield* call;
  }
  return yield* runProgram(shell, words, io);
}

/** The same, functions left aside. */
export function* runProgram(shell: RunningShell, words: readonly string[], io: Io): Co<number> {
  if (words[0].includes("/") && shell.place.files.has(words[0].replace(/^\.\//, "")))
    return yield* BUILTINS.get("bash")!(shell, words, io, runWords);
  const name = words[0].replace(/^.*\/(?=[^/]+$)/, "");
  const argv = words.slice(1);
  const builtin = BUILTINS.get(name);
  if (builtin !== undefined) {
    if (!FORWARDS.has(name)) shell.turnsInto = false;
    return yield* builtin(shell, argv, io, runWords);
  }
  const utility = UTILITIES.get(name);
  if (utility !== undefined) return yield* runUtility(shell, name, utility, argv, io);
  const tool = shell.place.userland?.tools.get(name) ?? shell.place.tools.get(name);
  if (tool !== undefined) return yield* runExternal(shell, name, tool, argv, io);
  if (UNMODELLED.has(name)) throw new NotModelledError(`the command ${name}`);
  const shown = shell.state.positional[0];
  io.err.write(notFoundText(shown.startsWith("bash") ? "bash" : shown, words[0], shell.state.line));
  return 127;
}

function* runUtility(
  shell: RunningShell,
  name: string,
  utility: Utility,
  argv: readonly string[],
  io: Io,
): Co<number> {
  const whole = new WholeInput(io.input);
  const stdio = new Stdio(bufferingOf(shell, name, argv, io.out), (text) => io.out.write(text));
  let result: ToolOutput;
  try {
    const context = utilityContext(shell, whole);
    const piped = name === "yes" ? io.out instanceof Pipe : io.input.readable !== null;
    const stream = piped ? STREAMS.get(name)?.(argv, context) : undefined;
    result = stream
      ? yield* streamed(stream, io, stdio)
      : yield* withInput(whole, () => utility(argv, context));
  } catch (error) {
    result = refusalOf(shell, name, error);
  }
  stdio.print(result.stdout);
  stdio.flush();
  io.err.write(result.stderr);
  return result.status;
}

function utilityContext(shell: RunningShell, whole: WholeInput): UtilityContext {
  return {
    get stdin() {
      return whole.get();
    },
    read: (path) => (path === "-" || path === "/dev/stdin" ? whole.get() : shell.fileView.read(path)),
    write: (path, text) => shell.fileView.write(path, text),
    kind: (path) => shell.fileView.kind(path),
  };
}

/** What a refused utility says. Throws what is no refusal. */
function refusalOf(shell: RunningShell, name: string, error: unknown): ToolOutput {
  if (error instanceof UsageError) {
    shell.place.misused?.(error.message);
    return { stdout: "", stderr: `${error.message}\n`, status: error.status };
  }
  if (!(error instanceof SysError)) throw error;
  const stderr = `${name}: ${error.detail}: ${strerror(error.code)}\n`;
  return { stdout: "", stderr, status: name.endsWith("grep") ? 2 : 1 };
}

/** How a utility keeps what it prints: `stdbuf` tells it by its environment. */
function bufferingOf(shell: RunningShell, name: string, argv: readonly string[], out: Sink): Buffering {
  if (isTerminal(out) || writesAtOnce(name, argv)) return "none";
  return toldBuffering(shell) ?? "block";
}

function toldBuffering({ state }: RunningShell): Buffering | undefined {
  const told = state.get("_STDBUF_O");
  return told === "0" ? "none" : told === "L" ? "line" : undefined;
}

/** A terminal, as far as a program can tell: no pipe, no file. */
function isTerminal(out: Sink): boolean {
  return !(out instanceof Pipe || out instanceof TextSink || out instanceof FileSink);
}

/** Feeds a utility with what comes, until that ends or it wants no more. */
function* streamed(stream: Streaming, { input, out }: Io, stdio: Stdio): Co<ToolOutput> {
  while (!stream.done) {
    const text = stream.endless === true ? "" : yield* input.chunk();
    if (text === null) break;
    stdio.print(stream.feed(text));
    yield* drained(out);
  }
  return stream.end();
}

/** Runs what wants its whole input; what does so too early did nothing yet and is run again. */
function* withInput(whole: WholeInput, run: () => ToolOutput): Co<ToolOutput> {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof InputWanted)) throw error;
  }
  yield* whole.fill();
  return run();
}

/** A program keeps what it prints into a file or pipe until its end, but tells of errors at once. */
function passOn({ out, err }: Io, { stdout, stderr }: ToolOutput): void {
  const late = out === err && !isTerminal(out);
  if (late) err.write(stderr);
  out.write(stdout);
  if (!late) err.write(stderr);
}

/** Runs a tool in a process of its own and passes its output on, also what it said before a signal ended it. */
function* runExternal(
  shell: RunningShell,
  name: string,
  tool: Tool,
  argv: readonly string[],
  io: Io,
): Co<number> {
  if (shell.turnsInto) {
    shell.process.comm = name;
    yield* sleep(WAKEUP_NS);
    const output = yield* toolOutput(shell, shell.process, tool, argv, io);
    passOn(io, output);
    return output.status;
  }
  const child = startChild(shell.place, name, shell.place.ns, function* (process, own) {
    own.output = yield* toolOutput(shell, process, tool, argv, io);
    return own.output.status;
  });
  try {
    yield* waitChild(child);
  } finally {
    if (child.output !== null) passOn(io, child.output);
  }
  return child.process.exitStatus ?? 1;
}

function* toolOutput(
  shell: RunningShell,
  process: Process,
  tool: Tool,
  argv: readonly string[],
  io: Io,
): Co<ToolOutput> {
  yield* sleep(COMMAND_NS);
  const whole = new WholeInput(io.input);
  const context = toolContext(shell, process, io, whole);
  let output: ToolOutput;
  try {
    output = yield* runTool(tool, argv, context);
  } catch (error) {
    if (!(error instanceof InputWanted)) throw error;
    yield* whole.fill();
    output = yield* runTool(tool, argv, context);
  }
  if (output.misuse !== undefined) shell.place.misused?.(output.misuse);
  return output;
}

function toolContext(shell: RunningShell, process: Process, io: Io, whole: WholeInput): ToolContext {
  const { machine, ns, files } = shell.place;
  return {
    machine,
    ns,
    process,
    files,
    get stdin() {
      return whole.get();
    },
    input: io.input,
    isTerminal: isTerminal(io.out),
    buffering: toldBuffering(shell),
    print: (text) => io.out.write(text),
    printError: (text) => io.err.write(text),
    exec: (argv, inNs, userland) => execWords(shell, argv, inNs, io, userland),
  };
}

/** Words run in another namespace, for nsenter and docker exec: in a process there. */
function* execWords(
  shell: RunningShell,
  argv: readonly string[],
  ns: NetNs,
  io: Io,
  userland?: Userland,
): Co<ToolOutput> {
  const program = (inner: RunningShell): Co<number> => runWords(inner, argv, io);
  const child = shell.spawn(argv[0] ?? "sh", ns, shell.state.program(), program, userland);
  let status: number;
  try {
    yield* waitChild(child);
    status = child.process.exitStatus!;
  } catch (error) {
    if (!(error instanceof KilledError)) throw error;
    status = 128 + error.signal;
  }
  return { stdout: "", stderr: "", status };
}
