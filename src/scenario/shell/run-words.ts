/**
 * One command line's words: a builtin, a text utility or a tool of the machine, looked up by the first word (POSIX XCU
 * 2.9.1.1). Every tool takes a little virtual time, so that a prompt moves the clock as a person would.
 */
import { type Co, KilledError, type Process, sleep } from "../../host/process.ts";
import type { NetNs } from "../../net/core/net-ns.ts";
import { MS } from "../../sim/sim.ts";
import { runTool } from "../../tools/run-tool.ts";
import type { Tool, ToolContext, ToolOutput, Userland } from "../../tools/tool.ts";
import { NotModelledError, SysError, strerror, UsageError } from "../../util/errors.ts";
import { BUILTINS, ONLY_BUILTIN } from "./builtins.ts";
import { notFoundText, UNMODELLED } from "./command-names.ts";
import { type RunningShell, type ShellPlace, startChild, waitChild } from "./place.ts";
import { FileSink, type Io, TextSink, takenOnce } from "./streams.ts";
import { UTILITIES } from "./text/table.ts";
import type { Utility } from "./text/utility.ts";

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
  if (call !== null) return yield* call;
  return yield* runProgram(shell, words, io);
}

/** The same, functions left aside. */
export function* runProgram(shell: RunningShell, words: readonly string[], io: Io): Co<number> {
  if (words[0].includes("/") && shell.place.files.has(words[0].replace(/^\.\//, "")))
    return yield* BUILTINS.get("bash")!(shell, words, io, runWords);
  const name = words[0].replace(/^.*\/(?=[^/]+$)/, "");
  const argv = words.slice(1);
  const builtin = BUILTINS.get(name);
  if (builtin !== undefined) return yield* builtin(shell, argv, io, runWords);
  const utility = UTILITIES.get(name);
  if (utility !== undefined) return runUtility(shell, name, utility, argv, io);
  const tool = shell.place.userland?.tools.get(name) ?? shell.place.tools.get(name);
  if (tool !== undefined) return yield* runExternal(shell, name, tool, argv, io);
  if (UNMODELLED.has(name)) throw new NotModelledError(`the command ${name}`);
  const shown = shell.state.positional[0];
  io.err.write(notFoundText(shown.startsWith("bash") ? "bash" : shown, words[0], shell.state.line));
  return 127;
}

function runUtility(
  shell: RunningShell,
  name: string,
  utility: Utility,
  argv: readonly string[],
  io: Io,
): number {
  const stdin = takenOnce(io.input);
  const context = {
    get stdin() {
      return stdin();
    },
    read: (path: string) => (path === "-" || path === "/dev/stdin" ? stdin() : shell.fileView.read(path)),
    write: (path: string, text: string) => shell.fileView.write(path, text),
    kind: (path: string) => shell.fileView.kind(path),
  };
  let result: ToolOutput;
  try {
    result = utility(argv, context);
  } catch (error) {
    if (error instanceof UsageError) {
      shell.place.misused?.(error.message);
      result = { stdout: "", stderr: `${error.message}\n`, status: error.status };
    } else if (error instanceof SysError)
      result = {
        stdout: "",
        stderr: `${name}: ${error.detail}: ${strerror(error.code)}\n`,
        status: name.endsWith("grep") ? 2 : 1,
      };
    else throw error;
  }
  io.out.write(result.stdout);
  io.err.write(result.stderr);
  return result.status;
}

/** A program keeps what it prints into a file or pipe until its end, but tells of errors at once. */
function passOn({ out, err }: Io, { stdout, stderr }: ToolOutput): void {
  const late = out === err && (out instanceof TextSink || out instanceof FileSink);
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
  const child = startChild(shell.place, name, shell.place.ns, function* (process, own) {
    yield* sleep(COMMAND_NS);
    own.output = yield* runTool(tool, argv, toolContext(shell, process, io));
    if (own.output.misuse !== undefined) shell.place.misused?.(own.output.misuse);
    return own.output.status;
  });
  try {
    yield* waitChild(child);
  } finally {
    if (child.output !== null) passOn(io, child.output);
  }
  return child.process.exitStatus ?? 1;
}

function toolContext(shell: RunningShell, process: Process, io: Io): ToolContext {
  const { machine, ns, files } = shell.place;
  const stdin = takenOnce(io.input);
  return {
    machine,
    ns,
    process,
    files,
    get stdin() {
      return stdin();
    },
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
