/** The command line: words to commands, errors to exit statuses. */
import { fileURLToPath } from "node:url";
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { pcapText, readingFromText } from "../capture/dissect.ts";
import { COLLECT_SCRIPT } from "../tools/import/collect-script.ts";
import { BAD_INPUT, OK, reportFailure } from "./failure.ts";
import { readBytes, readText } from "./files.ts";
import { runPage } from "./run.ts";
import { shellOnPage } from "./shell.ts";
import { processTerminal, type Terminal } from "./terminal.ts";
import { tracePage } from "./trace.ts";

function parseSeed(text: string): number {
  const seed = Number(text);
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new InvalidArgumentError("expected a whole number from 0 on.");
  return seed;
}

function version(): string {
  const text = readText(fileURLToPath(new URL("../../package.json", import.meta.url)));
  return (JSON.parse(text) as { version: string }).version;
}

interface Outcome {
  status: number;
  seed: number | null;
}

/** Runs a command line (without `node` and the script); resolves to the exit status. */
export async function main(argv: readonly string[]): Promise<number> {
  const terminal = processTerminal();
  const outcome: Outcome = { status: OK, seed: null };
  const program = build(terminal, outcome);
  try {
    await program.parseAsync([...argv], { from: "user" });
    return outcome.status;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? OK : BAD_INPUT;
    return reportFailure(error, terminal, repeatLine(argv, outcome.seed), outcome.seed);
  }
}

function repeatLine(argv: readonly string[], seed: number | null): string {
  const words = argv.map((word) =>
    /^[\w./:=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`,
  );
  const line = `MESHWIRE_DEBUG=1 meshwire ${words.join(" ")}`;
  return seed === null || argv.includes("--seed") ? line : `${line} --seed ${seed}`;
}

/** The seed that a run will have: given, else the page's. */
function seedOf(file: string, given: number | undefined): number {
  const frontMatter = readText(file).split(/^---\s*$/m)[1] ?? "";
  return given ?? Number(/^seed:\s*(\d+)/m.exec(frontMatter)?.[1] ?? 1);
}

const SEED_HELP = "seed of everything that is left to chance (wins over the page's)";

/** One line for bad words: what is wrong, and where the right ones are written. */
function errorLine(command: string): (text: string, write: (text: string) => void) => void {
  return (text, write) => {
    const what = text
      .replace(/^error: /, "")
      .trim()
      .replace(/\.?\s*\n\s*/g, " ");
    write(`meshwire: ${what.replace(/\.$/, "")} (see ${command} --help)\n`);
  };
}

function build(terminal: Terminal, outcome: Outcome): Command {
  const program = new Command("meshwire")
    .description("A packet-level emulator of Docker Swarm's ingress and overlay networks.")
    .version(version())
    .exitOverride()
    .configureOutput({ outputError: errorLine("meshwire") });
  addRun(program, terminal, outcome);
  addShell(program, terminal, outcome);
  addTrace(program, terminal, outcome);
  program
    .command("pcap")
    .argument("<files...>", "capture files (pcap or pcapng)")
    .description("print what captures hold, one line a frame, as tcpdump -nn -e -r does")
    .action((files: string[]) => {
      for (const file of files) printCapture(file, terminal);
    });
  program
    .command("collect")
    .description(
      "print a shell script that makes a dump of a real node: run it there as root, then `import:` the dump in a lab page",
    )
    .action(() => terminal.out(COLLECT_SCRIPT));
  for (const command of program.commands)
    command.exitOverride().configureOutput({ outputError: errorLine(`meshwire ${command.name()}`) });
  return program;
}

interface RunFlags {
  readonly seed?: number;
  readonly captures?: string;
  readonly json?: string;
  readonly update: boolean;
  readonly quiet: boolean;
}

function addRun(program: Command, terminal: Terminal, outcome: Outcome): void {
  program
    .command("run")
    .argument("<lab>", "lab page (Markdown)")
    .description("run a lab page: its commands, compared with the output that it expects")
    .option("--seed <n>", SEED_HELP, parseSeed)
    .option("--captures <dir>", "write the captures there, one folder a capture")
    .option("--json <file>", "write the results there")
    .option("--update", "write the real output into the page where it differs", false)
    .option("--quiet", "print only what is not as expected", false)
    .action((file: string, flags: RunFlags) => {
      outcome.seed = seedOf(file, flags.seed);
      const { seed = null, captures = null, json = null, update, quiet } = flags;
      outcome.status = runPage(file, { seed, captures, json, update, quiet }, terminal);
    });
}

function addShell(program: Command, terminal: Terminal, outcome: Outcome): void {
  program
    .command("shell")
    .argument("<lab>", "lab page (Markdown)")
    .description("run a lab page, then type commands: one prompt, any machine (@swarm-worker1)")
    .option("--seed <n>", SEED_HELP, parseSeed)
    .option("--no-run", "do not run the page's commands first")
    .action(async (file: string, flags: { seed?: number; run: boolean }) => {
      outcome.seed = seedOf(file, flags.seed);
      outcome.status = await shellOnPage(file, flags.seed ?? null, flags.run, terminal);
    });
}

function addTrace(program: Command, terminal: Terminal, outcome: Outcome): void {
  program
    .command("trace")
    .argument("<lab>", "lab page (Markdown)")
    .argument("<command>", "command line, for example 'curl 192.168.200.10:8080'")
    .description("run a lab page, then one more command, and print every hop of its packets")
    .requiredOption("--from <machine[/netns]>", "where the command runs")
    .option("--seed <n>", SEED_HELP, parseSeed)
    .action((file: string, command: string, flags: { from: string; seed?: number }) => {
      outcome.seed = seedOf(file, flags.seed);
      outcome.status = tracePage(file, flags.from, command, flags.seed ?? null, terminal);
    });
}

function printCapture(file: string, terminal: Terminal): void {
  const lines = pcapText(readBytes(file), file);
  terminal.err(`${readingFromText(file, 0)}\n`);
  terminal.out(lines.map((line) => `${line}\n`).join(""));
}
