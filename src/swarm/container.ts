/**
 * Containers of one engine (daemon/container): a sandbox, and the processes of an image in its namespace. The life of a
 * container ends with its main process.
 */

import type { Machine } from "../host/machine.ts";
import { type Process, type Program, sleep, waitFor } from "../host/process.ts";
import { udpEcho } from "../host/udp-echo.ts";
import { whoami } from "../host/whoami.ts";
import type { NetNs } from "../net/core/net-ns.ts";
import { WaitQueue } from "../sim/wait-queue.ts";
import { NotModelledError } from "../util/errors.ts";
import { ContainerLog } from "./container-log.ts";
import { type ImageSpec, startsServer } from "./images.ts";
import type { Mount, PortConfig } from "./manager/objects.ts";
import type { Sandbox } from "./network/sandbox.ts";

const SEC = 1_000_000_000;

export type ContainerState = "created" | "running" | "exited";

/** Starts a program that is no built-in server: the lab's shell. What it prints goes into the log. */
export type CommandRunner = (argv: readonly string[], log: ContainerLog) => Program;

/** A network that a user asks for. */
export interface NetworkRequest {
  /** Name or id. */
  readonly target: string;
  /** int32; 0: any. */
  readonly addr: number;
  readonly aliases: readonly string[];
}

export interface ContainerOptions {
  readonly id: string;
  readonly name: string;
  /** The user gave the name. */
  readonly named: boolean;
  readonly image: string;
  readonly spec: ImageSpec;
  /** Command words that replace the image's; empty: the image's. */
  readonly command: readonly string[];
  readonly env: readonly string[];
  readonly hostname: string;
  readonly labels: ReadonlyMap<string, string>;
  /** Name of its namespace in the lab. */
  readonly nsName: string;
  readonly hostPorts: readonly PortConfig[];
  /** Ports that the image or the user names, such as `80/tcp`: those of `hostPorts` and others. */
  readonly exposed: readonly string[];
  readonly mounts: readonly Mount[];
  readonly autoRemove: boolean;
}

export class Container {
  readonly options: ContainerOptions;
  readonly createdNs: number;
  state: ContainerState = "created";
  startedNs = -1;
  finishedNs = -1;
  exitCode = 0;
  sandbox: Sandbox | null = null;
  /** Network names in the order of joining. */
  networkNames: string[] = [];
  mappedPorts: readonly PortConfig[] = [];
  /** What the user asked for: networks that it joins at every start. */
  requests: NetworkRequest[] = [];
  /** Process 1 of the next start, when it is not to run the command itself. */
  attachedMain: Program | null = null;
  /** What its programs have printed, in all its lives. */
  readonly log: ContainerLog;
  /** Called once when the main process has ended. */
  onExit: ((code: number) => void) | null = null;
  private readonly machine: Machine;
  private processes: Process[] = [];
  private main: Process | null = null;

  constructor(machine: Machine, options: ContainerOptions) {
    this.machine = machine;
    this.options = options;
    const { sim } = machine.kernel;
    this.createdNs = sim.now;
    this.log = new ContainerLog(() => sim.now);
  }

  get id(): string {
    return this.options.id;
  }

  get name(): string {
    return this.options.name;
  }

  /** First 12 characters of the id. */
  get shortId(): string {
    return this.options.id.slice(0, 12);
  }

  get pid(): number {
    return this.state === "running" ? (this.main?.pid ?? 0) : 0;
  }

  get ns(): NetNs | null {
    return this.sandbox?.ns ?? null;
  }

  /** Words of the command that runs. */
  get argv(): readonly string[] {
    const { command, spec } = this.options;
    if (command.length === 0) return spec.command;
    return startsServer(spec, command) ? [spec.command[0], ...command] : command;
  }

  /** Starts the programs in the sandbox's namespace. */
  start(run: CommandRunner | null): void {
    const ns = this.ns!;
    this.state = "running";
    this.startedNs = this.machine.kernel.sim.now;
    const { http, udpEcho: echoPort } = this.options.spec;
    const comm = this.argv[0].replace(/^.*\//, "");
    const hostname = this.options.hostname || this.shortId;
    const programs: Program[] = [];
    const print = (text: string): void => this.log.write("stderr", text);
    this.processes = [];
    if (this.attachedMain !== null) programs.push(this.attachedMain);
    else if (!startsServer(this.options.spec, this.options.command)) programs.push(this.commandProgram(run));
    else if (http === 0) programs.push(udpEcho({ hostname, port: echoPort }));
    else programs.push(whoami({ hostname, port: http, udpPorts: echoPort === 0 ? [] : [echoPort], print }));
    this.attachedMain = null;
    for (const program of programs) this.processes.push(this.machine.spawn(comm, ns, program));
    this.main = this.processes[0];
    this.main.exited.add({ onWake: () => this.exited(this.main!.exitStatus ?? 0) });
  }

  /** Signals the main process: 9 and 15 end it, unless it is a command that ignores 15 as process 1. */
  kill(signal: number): boolean {
    if (this.state !== "running" || this.main === null) return false;
    if (signal === 9 || !this.ignoresTerm) this.main.kill(signal);
    return true;
  }

  /** SIGTERM; SIGKILL after `graceNs` if it still runs. Calls `done` when it has ended. */
  stop(graceNs: number, later: (delayNs: number, fn: () => void) => void, done: () => void): void {
    this.kill(15);
    if (this.state !== "running") {
      done();
      return;
    }
    later(graceNs, () => {
      this.kill(9);
      done();
    });
  }

  /** A program that installs no handler is deaf to SIGTERM as process 1 of its namespace. */
  private get ignoresTerm(): boolean {
    return this.options.spec.http === 0 && this.options.spec.udpEcho === 0;
  }

  private exited(code: number): void {
    if (this.state !== "running") return;
    this.state = "exited";
    this.exitCode = code;
    this.finishedNs = this.machine.kernel.sim.now;
    for (const process of [...this.processes]) if (process.exitStatus === null) process.kill(9);
    this.log.finish();
    this.onExit?.(code);
  }

  private commandProgram(run: CommandRunner | null): Program {
    const program = builtInCommand(this.argv);
    if (program !== null) return program;
    checkCommand(this.argv, run !== null);
    return run!(this.argv, this.log);
  }
}

/** NotModelledError when nobody can run the command; to be asked before a container is made. */
export function checkCommand(argv: readonly string[], haveShell: boolean): void {
  if (!haveShell && argv.length > 0 && builtInCommand(argv) === null)
    throw new NotModelledError(`a container that runs ${argv.join(" ")}`);
}

/** Whether a word starts one of the programs that every container has here. */
export const isKnownCommand = (word: string): boolean => builtInCommand([word]) !== null;

/** Commands that containers are kept alive with. */
function builtInCommand(argv: readonly string[]): Program | null {
  const comm = argv[0].replace(/^.*\//, "");
  if (comm === "sleep") return sleepProgram(argv[1] ?? "0");
  if (comm === "top" || comm === "tail") return forever;
  return (comm === "sh" || comm === "bash") && argv.length === 1 ? () => endAtOnce() : null;
}

function sleepProgram(text: string): Program {
  const match = /^(\d+(?:\.\d+)?)([smhd]?)$/.exec(text);
  if (match === null) return text === "infinity" ? forever : () => endAtOnce(1);
  const unit = { "": 1, s: 1, m: 60, h: 3600, d: 86400 }[match[2]]!;
  return function* () {
    yield* sleep(Math.round(Number(match[1]) * unit * SEC));
    return 0;
  };
}

const forever: Program = function* () {
  const never = new WaitQueue();
  for (;;) yield* waitFor(never);
};

/** A shell without a terminal reads the end of its input. */
function* endAtOnce(code = 0) {
  yield* sleep(0);
  return code;
}
