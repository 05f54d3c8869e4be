/** `meshwire shell`: one prompt for all machines. `@NAME` changes the machine, `@lab` is the lab's own console. */
import { createInterface } from "node:readline";
import type { LiveLab } from "../scenario/live-lab.ts";
import { PageRun } from "../scenario/run-page.ts";
import { BUILTINS } from "../scenario/shell/builtins.ts";
import { goesOn } from "../scenario/shell/parser.ts";
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
  const desk = new Desk(run.live, machines, terminal, !interactive);
  const prompt = () => {
    lines.setPrompt(desk.prompt);
    if (interactive) lines.prompt();
  };
  prompt();
  for await (const line of lines) {
    desk.type(line);
    if (desk.status !== null) break;
    prompt();
  }
  lines.close();
  return desk.end();
}

/** What is typed, by whole commands: one may go on over several lines. */
class Desk {
  /** Exit status of the shell that ended, null while none has. */
  status: number | null = null;
  private readonly live: LiveLab;
  private readonly machines: readonly string[];
  private readonly terminal: Terminal;
  /** Lines that come from a pipe are a script. */
  private readonly isScript: boolean;
  private machine: string;
  private typed = "";

  constructor(live: LiveLab, machines: readonly string[], terminal: Terminal, isScript: boolean) {
    this.live = live;
    this.machines = machines;
    this.terminal = terminal;
    this.isScript = isScript;
    this.machine = machines[0];
  }

  get prompt(): string {
    return this.typed === "" ? `${this.machine}$ ` : "> ";
  }

  type(line: string): void {
    const first = this.typed === "";
    const word = line.trim();
    if (first && word === "") return;
    if (first && !this.isScript && (word === "exit" || word === "quit")) this.status = OK;
    else if (first && word.startsWith("@")) this.changeMachine(word);
    else if (this.machine === "lab") this.execute(this.machine, word);
    else {
      this.typed += first ? line : `\n${line}`;
      if (!goesOn(this.typed)) this.flush();
    }
  }

  /** The end of what is typed; returns the exit status. */
  end(): number {
    if (this.typed !== "") this.flush();
    if (this.isScript && this.status === null && this.machine !== "lab") this.execute(this.machine, "exit 0");
    return this.status ?? OK;
  }

  private flush(): void {
    const command = this.typed;
    this.typed = "";
    this.execute(this.machine, command);
  }

  /** `@NAME` or `@NAME COMMAND`. */
  private changeMachine(line: string): void {
    const [, name, command] = /^@(\S*)\s*(.*)$/.exec(line)!;
    if (!this.machines.includes(name))
      this.terminal.err(`unknown machine ${name}; there is: ${this.machines.join(", ")}\n`);
    else if (command === "") this.machine = name;
    else this.execute(name, command);
  }

  private execute(machine: string, command: string): void {
    try {
      const { stdout, stderr, status, exited } = this.live.shell(machine, command, "host", this.isScript);
      if (stdout !== "") this.terminal.out(stdout);
      if (stderr !== "") this.terminal.err(stderr);
      if (exited) this.status = status;
    } catch (error) {
      if (!(error instanceof UsageError || error instanceof NotModelledError)) throw error;
      this.terminal.err(`${error.message}\n`);
    }
  }
}
