/** The lines of `ip -batch FILE` (iproute2 6.1 lib/utils.c getcmdline, makeargs, do_batch). */
import { NotModelledError, UsageError } from "../../util/errors.ts";
import type { ToolContext, ToolOutput } from "../tool.ts";

interface BatchLine {
  readonly words: readonly string[];
  /** Of its last part, from 1. */
  readonly number: number;
}

/** Without comments, with lines joined that end in a backslash. */
function linesOf(text: string): BatchLine[] {
  const lines: BatchLine[] = [];
  let kept = "";
  text.split("\n").forEach((line, i) => {
    const bare = line.replace(/#.*$/, "");
    if (bare.endsWith("\\")) {
      kept += `${bare.slice(0, -1)} `;
      return;
    }
    const words = [...(kept + bare).matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
      ([, double, single, plain]) => double ?? single ?? plain,
    );
    kept = "";
    if (words.length > 0) lines.push({ words, number: i + 1 });
  });
  return lines;
}

function textOf(name: string, { stdin, files }: ToolContext): string {
  if (name === "-") return stdin;
  const text = files.get(name);
  if (text === undefined)
    throw new UsageError(`Cannot open file "${name}" for reading: No such file or directory`, 1);
  return text;
}

/** Runs the lines until one fails; `force`: all of them. An error that ends the program ends all. */
export function runBatch(
  name: string,
  force: boolean,
  context: ToolContext,
  runLine: (words: readonly string[]) => ToolOutput,
): ToolOutput {
  let stdout = "";
  let stderr = "";
  let status = 0;
  for (const { words, number } of linesOf(textOf(name, context))) {
    if (words[0] === "netns" && words[1] === "exec") throw new NotModelledError("ip -batch: netns exec");
    const output = runLine(words);
    stdout += output.stdout;
    stderr += output.stderr;
    if (output.status === 0) continue;
    if (/^(Error|Command)/.test(output.stderr) && output.status !== 2)
      return { stdout, stderr, status: output.status };
    stderr += `Command failed ${name}:${number}\n`;
    status = 1;
    if (!force) break;
  }
  return { stdout, stderr, status };
}
