/**
 * A lab page: Markdown (CommonMark fenced code blocks) whose front matter is the topology and whose `console` blocks are
 * command lines with expected output. Only the structure; what the parts mean is checked by those who use them.
 */
import type { SourceText } from "./source-text.ts";

/** One command of a console block with what is expected of it. */
export interface PageCommand {
  /** A machine's name, or `lab`. */
  readonly machine: string;
  /** As typed; continued lines are joined by backslash and line end. */
  readonly text: string;
  /** Place of the machine's name and of the first character of the command, from 1. */
  readonly line: number;
  readonly col: number;
  /** Expected output; empty: not checked. */
  readonly expected: readonly string[];
  /** `[7]`: the expected exit status, null when none is written. */
  readonly status: number | null;
  /** Indices into the page's lines: the output stands in [from, to). */
  readonly outputFrom: number;
  readonly outputTo: number;
}

export interface Page {
  readonly source: SourceText;
  /** Offsets of the YAML between the `---` lines. */
  readonly frontMatter: readonly [number, number];
  readonly commands: readonly PageCommand[];
  /** Files that the page carries, by name. */
  readonly files: ReadonlyMap<string, string>;
}

const FENCE = /^( {0,3})(`{3,}|~{3,})\s*([^`]*)$/;
const PROMPT = /^([A-Za-z0-9][A-Za-z0-9_.-]*)\$(?: (.*))?$/;
const STATUS = /^\[(\d{1,3})\]$/;

/** Throws a ScenarioError for a page without front matter or with a fence that does not close. */
export function parsePage(source: SourceText): Page {
  const { lines } = source;
  if (lines[0]?.trimEnd() !== "---")
    throw source.error(
      1,
      1,
      "no front matter: a lab page begins with `---`, then `segments:` and `machines:`, then `---`",
    );
  const end = lines.findIndex((line, i) => i > 0 && line.trimEnd() === "---");
  if (end < 0)
    throw source.error(1, 1, "the front matter does not end: put `---` on a line of its own behind it");
  const from = source.text.indexOf("\n") + 1;
  const to = offsetOfLine(source.text, end);
  const commands: PageCommand[] = [];
  const files = new Map<string, string>();
  let i = end + 1;
  while (i < lines.length) {
    const fence = FENCE.exec(lines[i]);
    if (fence === null) {
      i++;
      continue;
    }
    const close = closingFence(source, i, fence[2]);
    const [language, name] = fence[3].trim().split(/\s+/);
    if (language === "console") blockCommands(source, i + 1, close, commands);
    else if (name !== undefined)
      files.set(
        name,
        lines
          .slice(i + 1, close)
          .map((line) => `${line}\n`)
          .join(""),
      );
    i = close + 1;
  }
  return { source, frontMatter: [from, to], commands, files };
}

function offsetOfLine(text: string, index: number): number {
  let offset = 0;
  for (let i = 0; i < index; i++) offset = text.indexOf("\n", offset) + 1;
  return offset;
}

function closingFence(source: SourceText, open: number, marks: string): number {
  const closing = new RegExp(`^ {0,3}${marks[0] === "~" ? "~" : "`"}{${marks.length},}\\s*$`);
  for (let i = open + 1; i < source.lines.length; i++) if (closing.test(source.lines[i])) return i;
  throw source.error(open + 1, 1, `this block does not end: close it with \`${marks}\``);
}

/** Reads the commands between two lines of the page. */
function blockCommands(source: SourceText, from: number, to: number, out: PageCommand[]): void {
  const { lines } = source;
  let i = from;
  while (i < to && lines[i].trim() === "") i++;
  if (i < to && !PROMPT.test(lines[i]))
    throw source.error(i + 1, 1, "a console block begins with a command: `MACHINE$ COMMAND`");
  while (i < to) {
    const line = i;
    const [, machine, first] = PROMPT.exec(lines[i++])!;
    let text = first ?? "";
    while (text.endsWith("\\") && i < to) text += `\n${lines[i++]}`;
    const outputFrom = i;
    while (i < to && !PROMPT.test(lines[i])) i++;
    const expected = trimBlank(lines.slice(outputFrom, i));
    const status = STATUS.exec(expected.at(-1) ?? "");
    if (status !== null) expected.pop();
    out.push({
      machine,
      text,
      line: line + 1,
      col: machine.length + 3,
      expected,
      status: status === null ? null : Number(status[1]),
      outputFrom,
      outputTo: i,
    });
  }
}

/** Without blank lines at the end. */
export function trimBlank(lines: readonly string[]): string[] {
  let end = lines.length;
  while (end > 0 && lines[end - 1].trim() === "") end--;
  return lines.slice(0, end);
}
