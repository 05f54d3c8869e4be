/** The words of a script that name commands, and the functions that it defines: for checks before anything runs. */
import type { Command, Script, Word } from "./ast.ts";

export interface CommandWords {
  readonly words: Word[];
  readonly functions: string[];
}

export function commandWords(
  script: Script,
  found: CommandWords = { words: [], functions: [] },
): CommandWords {
  for (const list of script.lists)
    for (const { pipeline } of list.items) for (const command of pipeline.commands) collect(command, found);
  return found;
}

function collect(command: Command, found: CommandWords): void {
  switch (command.kind) {
    case "simple":
      if (command.words.length > 0) found.words.push(command.words[0].word);
      return;
    case "if":
      for (const { condition, body } of command.branches) {
        commandWords(condition, found);
        commandWords(body, found);
      }
      if (command.otherwise !== null) commandWords(command.otherwise, found);
      return;
    case "case":
      for (const { body } of command.branches) commandWords(body, found);
      return;
    case "function":
      found.functions.push(command.name);
      collect(command.body, found);
      return;
    case "while":
      commandWords(command.condition, found);
      commandWords(command.body, found);
      return;
    case "for":
    case "cfor":
    case "group":
      commandWords(command.body, found);
  }
}
