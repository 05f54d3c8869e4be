/** A lab that runs: a shell on every machine, the lab's own console, and the capture windows. */
import type { Machine } from "../host/machine.ts";
import type { Co, Process } from "../host/process.ts";
import { setResolverConfig } from "../host/resolver.ts";
import { Lab, type LabSpec } from "../lab.ts";
import type { NetNs } from "../net/core/net-ns.ts";
import { SEC } from "../sim/sim.ts";
import type { ContainerLog } from "../swarm/container-log.ts";
import { userlandIn, userlandOf } from "../tools/docker/userland.ts";
import { TOOLS } from "../tools/registry.ts";
import { SysError, UsageError } from "../util/errors.ts";
import { CaptureWindow } from "./capture-window.ts";
import { type LabCommand, parseLabCommand } from "./lab-command.ts";
import { parseShell } from "./shell/parser.ts";
import { startChild } from "./shell/place.ts";
import { isProgram, runWords } from "./shell/run-words.ts";
import { Shell } from "./shell/shell.ts";
import { ShellState } from "./shell/state.ts";
import { Input, type Io, type Sink } from "./shell/streams.ts";

export interface ShellResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number;
  /** Both as a terminal shows them. */
  readonly text: string;
  /** What the first command that was called with wrong words said; null when none was. */
  readonly misuse: string | null;
  /** `exit` ended the shell; the next command gets a new one. */
  readonly exited: boolean;
}

/** Virtual time after which a command counts as one that never ends. */
const COMMAND_LIMIT_NS = 2 * 3600 * SEC;

/** Where a machine's commands print. */
class Terminal {
  private stdout = "";
  private stderr = "";
  private text = "";
  private misuse: string | null = null;
  readonly misused = (message: string): void => {
    this.misuse ??= message;
  };
  readonly out: Sink = {
    write: (text) => {
      this.stdout += text;
      this.text += text;
    },
  };
  readonly err: Sink = {
    write: (text) => {
      this.stderr += text;
      this.text += text;
    },
  };

  /** What was printed since the last time. */
  take(status: number, exited = false): ShellResult {
    const result = {
      stdout: this.stdout,
      stderr: this.stderr,
      text: this.text,
      status,
      misuse: this.misuse,
      exited,
    };
    this.stdout = "";
    this.stderr = "";
    this.text = "";
    this.misuse = null;
    return result;
  }
}

interface Desk {
  readonly terminal: Terminal;
  state: ShellState;
  /** The terminal, until `exec` puts something else in its place. */
  io: Io;
  readonly files: Map<string, string>;
}

const terminalIo = ({ out, err }: Terminal): Io => ({ input: new Input(""), out, err });

/** A shell that has just been started at a machine's prompt. */
function homeState(machine: string, status: number): ShellState {
  const state = new ShellState([
    ["HOME", "/root"],
    ["USER", "root"],
    ["HOSTNAME", machine],
    ["PATH", "/usr/sbin:/usr/bin"],
  ]);
  state.status = status;
  return state;
}

export class LiveLab {
  readonly lab: Lab;
  readonly windows: CaptureWindow[] = [];
  private readonly traces: boolean;
  private readonly desks = new Map<string, Desk>();

  /** `files` are put on every machine; `traces` keeps what happened to the packets of the windows. */
  constructor(spec: LabSpec, files: ReadonlyMap<string, string> = new Map(), traces = true) {
    this.lab = new Lab(spec);
    this.traces = traces;
    this.lab.fabric.runCommand = (machine, ns, argv, log) => (process) =>
      this.containerCommand(machine, ns, argv, process, log);
    this.lab.fabric.hasProgram = (machine, container, word) => {
      const userland = userlandOf(container, machine);
      return isProgram({ machine, ns: machine.hostNs, tools: TOOLS, files: userland.files, userland }, word);
    };
    for (const { name } of spec.machines) {
      const terminal = new Terminal();
      const io = terminalIo(terminal);
      this.desks.set(name, { terminal, state: homeState(name, 0), io, files: new Map(files) });
    }
  }

  /**
   * Runs a command line on a machine, in its own namespace or another of that name, until it ends. Throws UsageError for
   * bad syntax, an unknown machine or namespace, and a command that never ends; NotModelledError, but in a `script` what
   * is not modelled is told on its standard error, and it goes on.
   */
  shell(machineName: string, command: string, netns = "host", isScript = false): ShellResult {
    if (machineName === "lab") return this.console(command);
    const desk = this.desks.get(machineName);
    if (desk === undefined)
      throw new UsageError(
        `unknown machine ${machineName}; there is: ${[...this.desks.keys()].join(", ")}`,
        2,
      );
    const script = parseShell(command);
    const machine = this.lab.machine(machineName);
    if (!machine.isOn) throw new UsageError(`${machineName} is off: \`lab$ boot ${machineName}\` first`, 2);
    const { files, terminal, io } = desk;
    const ns = this.netns(machineName, netns);
    const place = { machine, ns, tools: TOOLS, files, misused: terminal.misused };
    desk.state.lenient = isScript || script.lines;
    let ended = false;
    const child = startChild(place, "bash", place.ns, function* (process) {
      const { status, exited } = yield* new Shell(place, process, desk.state).typed(script, io);
      if (exited) {
        desk.state = homeState(machineName, status);
        desk.io = terminalIo(terminal);
      }
      ended = exited;
      return status;
    });
    if (!this.lab.runProcess(child.process, COMMAND_LIMIT_NS)) {
      child.process.kill(2);
      terminal.take(0);
      throw new UsageError("the command does not end: put `timeout 10` before it, or `&` behind it", 2);
    }
    const result = terminal.take(child.process.exitStatus!, ended);
    if (child.error !== null) throw child.error;
    return result;
  }

  /** Runs a command of the lab's console. */
  console(command: string): ShellResult {
    return this.act(parseLabCommand(command, this.lab.spec));
  }

  act(command: LabCommand): ShellResult {
    const text = this.perform(command);
    return { stdout: text, stderr: "", text, status: 0, misuse: null, exited: false };
  }

  /** The window of that name; UsageError when there is none. */
  window(name: string): CaptureWindow {
    const window = this.windows.find((one) => one.name === name);
    if (window === undefined)
      throw new UsageError(
        `no capture ${name}; there is: ${this.windows.map((one) => one.name).join(", ") || "none"}`,
        2,
      );
    return window;
  }

  startCapture(name: string, promiscuous = false): CaptureWindow {
    if (this.windows.some((one) => one.name === name))
      throw new UsageError(`there is a capture ${name} already: take another name`, 2);
    const window = new CaptureWindow(this.lab, name, { promiscuous, traces: this.traces });
    this.windows.push(window);
    return window;
  }

  /** Stops the window of that name, or the one that was started last. */
  stopCapture(name: string | null = null): void {
    const running = this.windows.filter((one) => one.stoppedNs === null);
    const window = name === null ? running.at(-1) : running.find((one) => one.name === name);
    if (window === undefined)
      throw new UsageError(name === null ? "no capture runs" : `no capture ${name} runs`, 2);
    window.stop();
  }

  /** Files of a machine by name. */
  filesOf(machineName: string): Map<string, string> {
    return this.desks.get(machineName)!.files;
  }

  /** The main process of a container whose command is no built-in server. */
  private containerCommand(
    machine: Machine,
    ns: NetNs,
    argv: readonly string[],
    process: Process,
    log: ContainerLog,
  ): Co<number> {
    const userland = userlandIn(machine, ns);
    const files = userland?.files ?? new Map<string, string>();
    const place = { machine, ns, tools: TOOLS, files, userland: userland ?? undefined };
    if (userland !== null) setResolverConfig(process, userland.resolver);
    const shell = new Shell(place, process, new ShellState());
    const out: Sink = { write: (text) => log.write("stdout", text) };
    const err: Sink = { write: (text) => log.write("stderr", text) };
    return runWords(shell, argv, { input: new Input(""), out, err });
  }

  private netns(machineName: string, netns: string): NetNs {
    const machine = this.lab.machine(machineName);
    try {
      return machine.netns(netns);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      const names = machine.kernel.namespaces.map(({ name }) => name);
      throw new UsageError(`${machineName} has no namespace ${netns}; it has: ${names.join(", ")}`, 2);
    }
  }

  private perform(command: LabCommand): string {
    const { lab } = this;
    switch (command.kind) {
      case "wait":
        lab.wait(command.durationNs);
        return "";
      case "wait-until":
        lab.wait(Math.max(0, command.atNs - lab.sim.now));
        return "";
      case "capture-start":
        this.startCapture(command.name, command.promiscuous);
        return "";
      case "capture-stop":
        this.stopCapture(command.name);
        return "";
      case "cut":
      case "heal":
        this.cable(command.kind, command.segment, command.machine);
        return "";
      case "set":
        Object.assign(lab.segments.get(command.segment)!.options, command.options);
        return "";
      case "partition":
        for (const segment of lab.segments.values())
          segment.partition(
            command.groups.map((group) =>
              segment.ports.filter((port) => group.includes(port.dev.ns.kernel.name)),
            ),
          );
        return "";
      case "crash":
      case "boot":
        this.power(command.kind, command.machine);
        return "";
    }
  }

  private power(verb: "crash" | "boot", name: string): void {
    if (this.lab.machine(name).isOn !== (verb === "crash"))
      throw new UsageError(`${name} is ${verb === "crash" ? "off" : "on"} already`, 2);
    this.lab[verb](name);
  }

  private cable(verb: "cut" | "heal", segmentName: string, machineName: string): void {
    const segment = this.lab.segments.get(segmentName)!;
    const dev = this.lab.cardOn(segmentName, machineName);
    const port = dev === null ? undefined : segment.portOf(dev);
    if (port === undefined) throw new UsageError(`${machineName} has no card on segment ${segmentName}`, 2);
    segment[verb](port);
  }
}
