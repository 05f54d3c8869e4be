/** What an import finds wrong: all of it is named in one error. What does no harm is a note. */
import { NotModelledError, ScenarioError, SysError, UsageError } from "../../util/errors.ts";

const SHOWN = 20;

export class Problems {
  readonly notes: string[] = [];
  private readonly file: string;
  private readonly found: { readonly line: number; readonly text: string }[] = [];

  constructor(file: string) {
    this.file = file;
  }

  /** Something that cannot stand as it was on the node. `line` is that of the dump. */
  error(line: number, text: string): void {
    this.found.push({ line, text });
  }

  note(text: string): void {
    if (!this.notes.includes(text)) this.notes.push(text);
  }

  /** Does `work`; what the kernel or a parser refuses is an error at `line` about `what`. */
  attempt(line: number, what: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (error instanceof NotModelledError) this.error(line, error.message.replace(/^meshwire: /, ""));
      else if (error instanceof SysError || error instanceof UsageError)
        this.error(line, `${what}: ${error.message.split("\n")[0].replace(/^Error: /, "")}`);
      else throw error;
    }
  }

  /** Throws a ScenarioError when there were errors. */
  check(): void {
    if (this.found.length === 0) return;
    const [first, ...rest] = [...this.found].sort((a, b) => a.line - b.line);
    const more = rest.slice(0, SHOWN).map(({ line, text }) => `${this.file}:${line}:1: ${text}`);
    if (rest.length > SHOWN) more.push(`and ${rest.length - SHOWN} more`);
    throw new ScenarioError(this.file, first.line, 1, [first.text, ...more].join("\n"));
  }
}
