/** `--update`: the page with the output that really came, where the expected one did not fit. */
import { updatedLines } from "./expectation.ts";
import type { CommandResult } from "./run-page.ts";
import type { SourceText } from "./source-text.ts";

/** The new text of the page; wildcards and `...` stay where they still fit. */
export function updatePage(source: SourceText, results: readonly CommandResult[]): string {
  const lines = source.text.split("\n");
  for (const { command, lines: actual, ok, result, bindings } of [...results].reverse()) {
    if (ok !== false) continue;
    const output = command.expected.length === 0 ? [] : updatedLines(command.expected, actual, bindings);
    if (result.status !== 0) output.push(`[${result.status}]`);
    const blank = lines
      .slice(command.outputFrom, command.outputTo)
      .reverse()
      .findIndex((line) => line.trim() !== "");
    const to = command.outputTo - Math.max(blank, 0);
    lines.splice(command.outputFrom, to - command.outputFrom, ...output);
  }
  return lines.join("\n");
}
