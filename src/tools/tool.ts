/**
 * A command: parse -> run -> render. `parse` reads the words, `run` asks or changes the kernel by `net/ctl` (or talks on
 * a socket, as a routine that may wait), `render` makes the text of the real command. `runTool` joins the three.
 */
import type { Machine } from "../host/machine.ts";
import type { Co, Process } from "../host/process.ts";
import type { ResolverConfig } from "../host/resolver.ts";
import type { NetNs } from "../net/core/net-ns.ts";
import type { WaitQueue } from "../sim/wait-queue.ts";
import type { Buffering } from "./stdio.ts";

/** What a container has of its own besides its namespace. */
export interface Userland {
  /** Commands that are not those of the machine. */
  readonly tools: ReadonlyMap<string, Tool>;
  readonly resolver: ResolverConfig;
  readonly files: Map<string, string>;
}

/** What is piped in while a program runs. */
export interface StandardInput {
  /** What is there now; "": nothing yet; null: the end. */
  available(): string | null;
  /** Woken when there may be more; null: nothing comes that is not there. */
  readonly readable: WaitQueue | null;
}

/** Where a command runs. */
export interface ToolContext {
  readonly machine: Machine;
  readonly ns: NetNs;
  readonly process: Process;
  /** All the text piped in, "" when none; the program waits for its end at the first look. */
  readonly stdin: string;
  /** The same as it comes. Who takes it here does not look there. */
  readonly input?: StandardInput;
  /** Its standard output is a terminal: no pipe and no file. */
  readonly isTerminal?: boolean;
  /** How it keeps what it prints, where its environment says so (stdbuf). */
  readonly buffering?: Buffering;
  /** Files of the lab page and those written by commands (`> FILE`), by name. */
  readonly files: Map<string, string>;
  /** Prints at once, as a program does that keeps nothing back; what `render` gives comes at the end. */
  print(text: string): void;
  /** The same on standard error; where it is absent both are one. */
  printError?(text: string): void;
  /** Runs another command line's words (nsenter, docker exec, sudo) in `ns`; without `userland` in the caller's own. What they print goes where the caller's goes. */
  exec(argv: readonly string[], ns: NetNs, userland?: Userland): Co<ToolOutput>;
}

export interface ToolOutput {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number;
  /** The words were wrong, so that nothing was tried: what the command said about them. */
  readonly misuse?: string;
}

export interface Tool<Args = unknown, Result = unknown> {
  readonly name: string;
  /** Throws UsageError with the real command's text. */
  parse(argv: readonly string[], context: ToolContext): Args;
  /** Throws SysError. A generator when it takes virtual time. */
  run(args: Args, context: ToolContext): Result | Co<Result>;
  render(result: Result, args: Args, context: ToolContext): ToolOutput;
  /** The real command's words for a refused request; default `NAME: strerror`. */
  failure?(error: Error, args: Args | null): ToolOutput | null;
}

/** The same in another namespace; what is piped in stays untouched until somebody looks at it. */
export function contextIn(context: ToolContext, ns: NetNs): ToolContext {
  const { machine, process, files, input, isTerminal, buffering, print, printError, exec } = context;
  return {
    machine,
    ns,
    process,
    files,
    ...(input === undefined ? {} : { input }),
    ...(isTerminal === undefined ? {} : { isTerminal }),
    ...(buffering === undefined ? {} : { buffering }),
    print,
    ...(printError === undefined ? {} : { printError }),
    exec,
    get stdin() {
      return context.stdin;
    },
  };
}
