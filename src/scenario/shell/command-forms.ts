/** What a command is by its words alone, where the shell treats some forms in ways of their own (bash(1)). */
import type { Command, Pipeline, Script, Word } from "./ast.ts";

/** The file of `$(< FILE)`. */
export function fileOnly(script: Script): Word | null {
  const items = script.lists.length === 1 ? script.lists[0].items : [];
  const command =
    items.length === 1 && items[0].pipeline.commands.length === 1 ? items[0].pipeline.commands[0] : null;
  if (command?.kind !== "simple" || command.words.length + command.assignments.length > 0) return null;
  const [redirect, ...others] = command.redirects;
  return redirect?.kind === "read" && others.length === 0 ? redirect.target : null;
}

/** `exec` with redirections only: they stay. */
export function isBareExec(command: Command): boolean {
  if (command.kind !== "simple" || command.words.length !== 1) return false;
  const [first] = command.words[0].word.parts;
  return first?.kind === "text" && first.text === "exec";
}

/** Whether a failure of the pipeline itself ends a shell with `set -e`: in a loop or an `if` its own commands did. */
export function isPlain({ commands }: Pipeline): boolean {
  if (commands.length > 1) return true;
  const [command] = commands;
  return (
    command.kind === "simple" ||
    command.kind === "arithmetic" ||
    command.kind === "condition" ||
    (command.kind === "group" && command.subshell)
  );
}
