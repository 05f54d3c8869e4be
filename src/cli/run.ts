/** `meshwire run`: runs a page, prints the transcript, compares, writes captures and results. */
import { join } from "node:path";
import { requestLine, tcpRequests } from "../scenario/requests.ts";
import { resultDocument } from "../scenario/result-document.ts";
import { type CommandResult, PageRun } from "../scenario/run-page.ts";
import { updatePage } from "../scenario/update-page.ts";
import { EXPECTATION_FAILED, OK } from "./failure.ts";
import { readPage, writeFile, writeWindow } from "./files.ts";
import type { Terminal } from "./terminal.ts";

const COLUMNS = 80;

export interface RunOptions {
  readonly seed: number | null;
  readonly captures: string | null;
  readonly json: string | null;
  readonly update: boolean;
  readonly quiet: boolean;
}

/** Returns the exit status. Throws ScenarioError and FileError. */
export function runPage(file: string, options: RunOptions, terminal: Terminal): number {
  const loaded = readPage(file, options.seed);
  const run = new PageRun(loaded, {
    traces: options.captures !== null,
    recordRun: options.captures !== null,
  });
  if (!options.quiet) for (const note of run.live.lab.notes) terminal.err(`note: ${note}\n`);
  const total = loaded.page.commands.length;
  const progress = () => {
    const next = loaded.page.commands[run.results.length];
    if (next !== undefined)
      terminal.progress(`[${run.results.length + 1}/${total}] ${next.machine}$ ${next.text}`);
  };
  progress();
  run.run((result) => {
    if (!options.quiet) printTranscript(result, terminal);
    if (result.ok === false) printFailure(file, result, terminal);
    progress();
  });
  if (!options.quiet) printRequests(run, terminal);
  if (options.captures !== null) writeCaptures(run, options.captures, options.quiet, terminal);
  if (options.json !== null)
    writeFile(options.json, `${JSON.stringify(resultDocument(file, run), null, 2)}\n`);
  if (options.update && run.failures > 0) {
    writeFile(file, updatePage(run.page.source, run.results));
    terminal.out(`${file}: ${run.failures} expectations rewritten\n`);
    return OK;
  }
  if (!options.quiet) printCount(file, run, terminal);
  if (run.failures === 0) run.checkPins();
  return run.failures === 0 ? OK : EXPECTATION_FAILED;
}

/** Breaks a line at spaces so that it fits; what follows is indented. */
function wrap(line: string, indent: string): string {
  const lines: string[] = [];
  let rest = line;
  while (rest.length > COLUMNS) {
    const at = rest.lastIndexOf(" ", COLUMNS);
    if (at <= indent.length) break;
    lines.push(rest.slice(0, at));
    rest = indent + rest.slice(at + 1);
  }
  return [...lines, rest].join("\n");
}

function printTranscript({ command, result }: CommandResult, terminal: Terminal): void {
  terminal.out(`${terminal.dim(`${command.machine}$`)} ${command.text}\n`);
  if (result.text !== "") terminal.out(result.text.endsWith("\n") ? result.text : `${result.text}\n`);
  if (result.status !== 0) terminal.out(`[${result.status}]\n`);
}

function printFailure(file: string, { command, diff }: CommandResult, terminal: Terminal): void {
  terminal.out(`${file}:${command.line}:1: not as expected: ${command.machine}$ ${command.text}\n`);
  for (const line of diff) {
    const paint = line.startsWith("-")
      ? terminal.red
      : line.startsWith("+")
        ? terminal.green
        : (text: string) => text;
    terminal.out(`${paint(line)}\n`);
  }
}

function printRequests(run: PageRun, terminal: Terminal): void {
  for (const window of run.live.windows) {
    const requests = tcpRequests(window.recorder);
    if (requests.length === 0) continue;
    terminal.out(`\nConnections in capture ${window.name}:\n`);
    for (const request of requests)
      terminal.out(`${wrap(`  ${requestLine(request, run.live.lab.spec)}`, "    ")}\n`);
  }
}

function writeCaptures(run: PageRun, folder: string, quiet: boolean, terminal: Terminal): void {
  const { windows } = run.live;
  let files = 0;
  for (const window of windows) {
    terminal.progress(`writing ${join(folder, window.name)}`);
    files += writeWindow(folder, window);
  }
  if (quiet || windows.length === 0) return;
  const first = join(folder, windows[0].name, "all.pcapng");
  terminal.out(`\nCaptures: ${files} files in ${folder} (${windows.map(({ name }) => name).join(", ")})\n`);
  terminal.out(`Open one: wireshark ${first}\n      or: npx meshwire pcap ${first}\n`);
}

function printCount(file: string, run: PageRun, terminal: Terminal): void {
  const checked = run.results.filter(({ ok }) => ok !== null).length;
  const seconds = (run.live.lab.sim.now / 1e9).toFixed(3);
  const verdict = run.failures === 0 ? "all as expected" : `${run.failures} not as expected`;
  const count = `${file}: ${run.results.length} commands, ${checked} checked, ${verdict}`;
  terminal.out(`\n${wrap(`${count} (seed ${run.live.lab.seed}, ${seconds} s)`, "  ")}\n`);
}
