/** meshwire as a library: a lab page in, shells and captures out. No file system, no clock but the lab's own. */
import type { CaptureWindow } from "./scenario/capture-window.ts";
import type { ShellResult } from "./scenario/live-lab.ts";
import { type CommandResult, loadPage, PageRun } from "./scenario/run-page.ts";
import { SourceText } from "./scenario/source-text.ts";
import { updatePage } from "./scenario/update-page.ts";

export type { ShellResult } from "./scenario/live-lab.ts";
export type { CommandResult } from "./scenario/run-page.ts";
export { NotModelledError, ScenarioError, UsageError } from "./util/errors.ts";

export interface LabOptions {
  /** Text of a lab page. */
  readonly source: string;
  /** Wins over the page's seed. */
  readonly seed?: number;
  /** Name of the page in error messages. */
  readonly file?: string;
  /** Files that the page names and does not carry, by name: dumps of nodes to import. */
  readonly files?: Readonly<Record<string, string>>;
  /** false: the page's commands are not run. */
  readonly run?: boolean;
}

/** A capture by name, running or stopped. */
export interface Capture {
  readonly name: string;
  /** `MACHINE__NETNS__IFACE.pcap` of every interface that saw a frame. */
  readonly files: readonly string[];
  /** One interface's capture file (nanosecond pcap). Throws UsageError when there is none of that name. */
  pcap(name: string): Uint8Array;
  /** Every interface in one file, with comments on the frames. */
  pcapng(): Uint8Array;
  stop(): void;
}

export interface LabHandle {
  readonly seed: number;
  /** Virtual time, ns since the start. */
  readonly nowNs: number;
  /** What imported machines leave out, a line each. */
  readonly notes: readonly string[];
  /** What came of the page's commands. */
  readonly results: readonly CommandResult[];
  /** Runs a command line; `lab` is the lab's own console. Throws UsageError and NotModelledError. */
  shell(machine: string, command: string, options?: { netns?: string }): ShellResult;
  /** The capture of that name. Throws UsageError when there is none. */
  capture(name: string): Capture;
  startCapture(name: string, options?: { promiscuous?: boolean }): Capture;
  /** Names of the captures so far. */
  readonly captures: readonly string[];
  /** Lets `durationNs` of virtual time pass. */
  wait(durationNs: number): void;
  /** The page with the output that really came. */
  updatedSource(): string;
}

function captureOf(window: CaptureWindow): Capture {
  return {
    name: window.name,
    get files() {
      return window.files().map(({ name }) => name);
    },
    pcap: (name) => window.pcap(name),
    pcapng: () => window.pcapng(),
    stop: () => window.stop(),
  };
}

/** Builds the lab of a page and runs the page's commands. Throws ScenarioError for a bad page. */
export function createLab(options: LabOptions): LabHandle {
  const file = options.file ?? "lab.md";
  const loaded = loadPage(
    file,
    options.source,
    options.seed ?? null,
    (name) => options.files?.[name] ?? null,
  );
  const run = new PageRun(loaded, { traces: true, recordRun: false });
  if (options.run !== false) run.run();
  const { live } = run;
  return {
    seed: live.lab.seed,
    get nowNs() {
      return live.lab.sim.now;
    },
    notes: live.lab.notes,
    results: run.results,
    shell: (machine, command, { netns = "host" } = {}) => live.shell(machine, command, netns),
    capture: (name) => captureOf(live.window(name)),
    startCapture: (name, { promiscuous = false } = {}) => captureOf(live.startCapture(name, promiscuous)),
    get captures() {
      return live.windows.map(({ name }) => name);
    },
    wait: (durationNs) => live.lab.wait(durationNs),
    updatedSource: () => updatePage(new SourceText(file, options.source), run.results),
  };
}
