/** Runs a lab page: its commands in order, each compared with the output that the page expects. */
import { type LabSpec, ParameterError } from "../lab.ts";
import { NotModelledError, UsageError } from "../util/errors.ts";
import { checkCommands, errorIn, fillWildcards } from "./check-commands.ts";
import { type Bindings, diffLines, matchLines, NO_BINDINGS, partialBindings } from "./expectation.ts";
import { type FrontMatterPlaces, parseFrontMatter } from "./front-matter.ts";
import { labSpec } from "./front-matter-check.ts";
import { LiveLab, type ShellResult } from "./live-lab.ts";
import type { FileReader } from "./machine-import.ts";
import { type Page, type PageCommand, parsePage, trimBlank } from "./page.ts";
import { pinError } from "./pins.ts";
import { SourceText } from "./source-text.ts";

export interface CommandResult {
  readonly command: PageCommand;
  readonly result: ShellResult;
  /** Lines of the output. */
  readonly lines: readonly string[];
  /** null: nothing was expected. */
  readonly ok: boolean | null;
  /** `-` expected, `+` actual; empty when all is well. */
  readonly diff: readonly string[];
  /** Virtual time at which it began, and how long it took. */
  readonly atNs: number;
  readonly tookNs: number;
  /** The wildcards as they were known before this command. */
  readonly bindings: Bindings;
}

export interface LoadedPage {
  readonly page: Page;
  readonly spec: LabSpec;
  readonly places: FrontMatterPlaces;
}

/**
 * Reads and checks a page. Throws a ScenarioError for the first thing that is wrong with it. `readFile` gives what the
 * front matter names and the page does not carry itself.
 */
export function loadPage(
  file: string,
  text: string,
  seed: number | null = null,
  readFile: FileReader = () => null,
): LoadedPage {
  const source = new SourceText(file, text);
  const page = parsePage(source);
  const { data, places } = parseFrontMatter(source, page.frontMatter[0], page.frontMatter[1]);
  const spec = labSpec(data, places, seed, (name) => page.files.get(name) ?? readFile(name));
  checkCommands(page, spec);
  return { page, spec, places };
}

export interface PageRunOptions {
  /** Keep what happened to the packets of the windows. */
  readonly traces: boolean;
  /** Record the whole run as one window where the page has none. */
  readonly recordRun: boolean;
}

export class PageRun {
  readonly page: Page;
  readonly live: LiveLab;
  readonly results: CommandResult[] = [];
  private readonly places: FrontMatterPlaces;
  private bindings: Bindings = NO_BINDINGS;

  /** Builds the lab; nothing has run. Throws a ScenarioError for what the kernel refuses of the front matter. */
  constructor({ page, spec, places }: LoadedPage, options: PageRunOptions) {
    this.page = page;
    this.places = places;
    this.live = build(page, spec, options.traces);
    const windows = page.commands.some(
      ({ machine, text }) => machine === "lab" && text.startsWith("capture start"),
    );
    if (options.recordRun && !windows) this.live.startCapture("run");
  }

  get failures(): number {
    return this.results.filter(({ ok }) => ok === false).length;
  }

  /** Runs the commands that are left; `report` hears of each. */
  run(report: (result: CommandResult) => void = () => {}): void {
    for (const command of this.page.commands.slice(this.results.length)) {
      const result = this.runCommand(command);
      this.results.push(result);
      report(result);
    }
    for (const window of this.live.windows) window.stop();
  }

  /** Throws a ScenarioError for the first pin that could not be kept or was for what never came to be. */
  checkPins(): void {
    const problem = this.live.lab.pinProblems()[0];
    if (problem !== undefined) throw pinError(problem, this.places);
  }

  private runCommand(command: PageCommand): CommandResult {
    const { sim } = this.live.lab;
    const atNs = sim.now;
    const bindings = this.bindings;
    const result = this.execute(
      command,
      fillWildcards(command.text, (name) => bindings.get(name)),
    );
    const unchecked = command.expected.length === 0 && command.status === null;
    if (unchecked && result.misuse !== null && result.status !== 0)
      throw errorIn(this.page, command, 0, misuseText(result.misuse));
    const lines = trimBlank(result.text.replace(/\r/g, "").split("\n"));
    const checked = command.expected.length > 0;
    const next = checked ? matchLines(command.expected, lines, bindings) : bindings;
    const statusChecked = checked || command.status !== null;
    const statusOk = !statusChecked || result.status === (command.status ?? 0);
    const diff = next === null ? diffLines(command.expected, lines, bindings) : [];
    if (!statusOk) {
      if (command.status !== null) diff.push(`- [${command.status}]`);
      diff.push(result.status === 0 ? "+ exit status 0" : `+ [${result.status}]`);
    }
    this.bindings = next ?? partialBindings(command.expected, lines, bindings);
    const ok = statusChecked ? next !== null && statusOk : null;
    return { command, result, lines, ok, diff, atNs, tookNs: sim.now - atNs, bindings };
  }

  private execute(command: PageCommand, text: string): ShellResult {
    try {
      return this.live.shell(command.machine, text);
    } catch (error) {
      if (!(error instanceof NotModelledError || error instanceof UsageError)) throw error;
      throw errorIn(this.page, command, 0, error.message);
    }
  }
}

/** The first line of what a command said, and what to do when it was to say that. */
function misuseText(message: string): string {
  const first = message.trim().split("\n")[0].trimEnd();
  return `${first} (if that is what it should say, write its output below the command)`;
}

function build(page: Page, spec: LabSpec, traces: boolean): LiveLab {
  try {
    return new LiveLab(spec, page.files, traces);
  } catch (error) {
    if (!(error instanceof ParameterError)) throw error;
    const [from] = page.frontMatter;
    const machine = page.source.text.indexOf(`${error.machine}:`, from);
    throw page.source.errorAt(page.source.text.indexOf(error.parameter, machine), error.message);
  }
}
