/** The command line: words to commands, errors to exit statuses. */
import { fileURLToPath } from "node:url";
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { pcapText, readingFromText } from "../capture/dissect.ts";
import { BAD_INPUT, OK, reportFailure } from "./failure.ts";
import { readBytes, readText } from "./files.ts";
import { type RunOptions, runPage } from "./run.ts";
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
  const found = /^seed:\s*(\d+)/m.exec(readText(file));
  return given ?? Number(found?.[1] ?? 1);
}

function build(terminal: Terminal, outcome: Outcome): Command {
  const program = new Command("meshwire")
    .description("A packet-level emulator of Docker Swarm's ingress and overlay networks.")
    .version(version())
    .exitOverride()
    .showHelpAfterError("(see meshwire --help)");
  const seedHelp = "seed of everything that is left to chance (wins over the page's)";
  program
    .command("run")
    .argument("<lab>", "lab page (Markdown)")
    .description("run a lab page: its commands, compared with the output that it expects")
    .option("--seed <n>", seedHelp, parseSeed)
    .option("--captures <dir>", "write the captures there, one folder a capture")
    .option("--json <file>", "write the results there")
    .option("--update", "write the real output into the page where it differs", false)
    .option("--quiet", "print only what is not as expected", false)
    .action(
      (
        file: string,
        options: { seed?: number; captures?: string; json?: string; update: boolean; quiet: boolean },
      ) => {
        outcome.seed = seedOf(file, options.seed);
        const run: RunOptions = {
          seed: options.seed ?? null,
          captures: options.captures ?? null,
          json: options.json ?? null,
          update: options.update,
          quiet: options.quiet,
        };
        outcome.status = runPage(file, run, terminal);
      },
    );
  program
    .command("shell")
    .argument("<lab>", "lab page (Markdown)")
    .description("run a lab page, then type commands: one prompt, any machine (@swarm-worker1)")
    .option("--seed <n>", seedHelp, parseSeed)
    .option("--no-run", "do not run the page's commands first")
    .action(async (file: string, options: { seed?: number; run: boolean }) => {
      outcome.seed = seedOf(file, options.seed);
      outcome.status = await shellOnPage(file, options.seed ?? null, options.run, terminal);
    });
  program
    .command("trace")
    .argument("<lab>", "lab page (Markdown)")
    .argument("<command>", "command line, for example 'curl 192.168.200.10:8080'")
    .description("run a lab page, then one more command, and print every hop of its packets")
    .requiredOption("--from <machine[/netns]>", "where the command runs")
    .option("--seed <n>", seedHelp, parseSeed)
    .action((file: string, command: string, options: { from: string; seed?: number }) => {
      outcome.seed = seedOf(file, options.seed);
      outcome.status = tracePage(file, options.from, command, options.seed ?? null, terminal);
    });
  program
    .command("pcap")
    .argument("<files...>", "capture files (pcap or pcapng)")
    .description("print what captures hold, one line a frame, as tcpdump -nn -e -r does")
    .action((files: string[]) => {
      for (const file of files) printCapture(file, terminal);
    });
  for (const command of program.commands)
    command.exitOverride().showHelpAfterError(`(see meshwire ${command.name()} --help)`);
  return program;
}

function printCapture(file: string, terminal: Terminal): void {
  const lines = pcapText(readBytes(file), file);
  terminal.err(`${readingFromText(file, 0)}\n`);
  terminal.out(lines.map((line) => `${line}\n`).join(""));
}
