/** What `--json` writes: the commands with their output, and the captures with what they hold. */
import { requestLine, tcpRequests } from "./requests.ts";
import type { PageRun } from "./run-page.ts";

/** Plain data, ready for JSON. Times are ns of virtual time since the start. */
export function resultDocument(file: string, run: PageRun): object {
  const { lab, windows } = run.live;
  return {
    lab: file,
    seed: lab.seed,
    ok: run.failures === 0,
    virtualNs: lab.sim.now,
    commands: run.results.map(({ command, result, ok, diff, atNs, tookNs }) => ({
      machine: command.machine,
      command: command.text,
      line: command.line,
      atNs,
      tookNs,
      stdout: result.stdout,
      stderr: result.stderr,
      status: result.status,
      ok,
      diff,
    })),
    captures: windows.map((window) => ({
      name: window.name,
      startedNs: window.startedNs,
      stoppedNs: window.stoppedNs,
      frames: window.recorder.frameCount,
      files: window.files().map(({ name }) => name),
      connections: tcpRequests(window.recorder).map((request) => requestLine(request, lab.spec)),
    })),
  };
}
