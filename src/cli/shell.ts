/** `meshwire shell`: one prompt for all machines. `@NAME` changes the machine, `@lab` is the lab's own console. */
import { createInterface } from "node:readline";
import type { LiveLab } from "../scenario/live-lab.ts";
import { PageRun } from "../scenario/run-page.ts";
import { BUILTINS } from "../scenario/shell/builtins.ts";
import { UTILITIES } from "../scenario/shell/text/table.ts";
import { TOOLS } from "../tools/registry.ts";
import { NotModelledError, UsageError } from "../util/errors.ts";
import { OK } from "./failure.ts";
import { readPage } from "./files.ts";
import type { Terminal } from "./terminal.ts";

const LAB_WORDS = ["wait", "capture start", "capture stop", "cut", "heal", "set", "partition"];
const HELP = "@MACHINE changes the machine (@lab: time, captures, cables), exit or Ctrl-D leaves";

/** Returns the exit status. */
export async function shellOnPage(
  file: string,
  seed: number | null,
  runPage: boolean,
  terminal: Terminal,
): Promise<number> {
  const loaded = readPage(file, seed);
  const run = new PageRun(loaded, { traces: true, recordRun: false });
  if (runPage) run.run(({ command }) => terminal.progress(`${command.machine}$ ${command.text}`));
  const machines = [...run.live.lab.machines.keys(), "lab"];
  const interactive = process.stdin.isTTY === true;
  if (interactive)
    terminal.out(
      `${run.results.length} commands of ${file} have run. Machines: ${machines.join(", ")}\n${HELP}\n`,
    );
  const names = [...TOOLS.keys(), ...UTILITIES.keys(), ...BUILTINS.keys()].sort();
  const completer = (line: string): [string[], string] => {
    const word = /\S*$/.exec(line)![0];
    const all = word.startsWith("@")
      ? machines.map((name) => `@${name}`)
      : [...names, ...LAB_WORDS, ...machines];
    return [all.filter((name) => name.startsWith(word)), word];
  };
  const lines = createInterface({
    input: process.stdin,
    output: interactive ? process.stdout : undefined,
    completer,
    terminal: interactive,
  });
  let machine = machines[0];
  const prompt = () => {
    lines.setPrompt(`${machine}$ `);
    if (interactive) lines.prompt();
  };
  prompt();
  for await (const typed of lines) {
    const line = typed.trim();
    if (line === "exit" || line === "quit") break;
    if (line.startsWith("@")) machine = changeMachine(line, machines, machine, run.live, terminal);
    else if (line !== "") execute(run.live, machine, line, terminal);
    prompt();
  }
  lines.close();
  return OK;
}

/** `@NAME` or `@NAME COMMAND`; returns the machine of the next line. */
function changeMachine(
  line: string,
  machines: readonly string[],
  old: string,
  live: LiveLab,
  terminal: Terminal,
): string {
  const [, name, command] = /^@(\S*)\s*(.*)$/.exec(line)!;
  if (!machines.includes(name)) {
    terminal.err(`unknown machine ${name}; there is: ${machines.join(", ")}\n`);
    return old;
  }
  if (command === "") return name;
  execute(live, name, command, terminal);
  return old;
}

function execute(live: LiveLab, machine: string, line: string, terminal: Terminal): void {
  try {
    const { stdout, stderr } = live.shell(machine, line);
    if (stdout !== "") terminal.out(stdout);
    if (stderr !== "") terminal.err(stderr);
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof NotModelledError)) throw error;
    terminal.err(`${error.message}\n`);
  }
}
