/** Checks the commands of a page before anything runs: machines, syntax, command names, the lab's own console. */
import type { LabSpec } from "../lab.ts";
import { TOOLS } from "../tools/registry.ts";
import { wildcardNames } from "./expectation.ts";
import { LabCommandError, parseLabCommand } from "./lab-command.ts";
import type { Page, PageCommand } from "./page.ts";
import type { Script, Word } from "./shell/ast.ts";
import { BUILTINS } from "./shell/builtins.ts";
import { nearest, UNMODELLED } from "./shell/command-names.ts";
import { commandWords } from "./shell/command-words.ts";
import { parseShell } from "./shell/parser.ts";
import { ShellSyntaxError } from "./shell/syntax-error.ts";
import { UTILITIES } from "./shell/text/table.ts";
import { suggestion } from "./suggestion.ts";

/** The command with the texts of known wildcards in place of `<name>`: what earlier output told is used later. */
export function fillWildcards(text: string, known: (name: string) => string | undefined): string {
  return text.replace(/<([A-Za-z][A-Za-z0-9_-]*)>/g, (token, name: string) => known(name) ?? token);
}

/** Throws a ScenarioError for the first command that cannot be right. */
export function checkCommands(page: Page, spec: LabSpec): void {
  const machines = [...spec.machines.map(({ name }) => name), "lab"];
  const wildcards = new Set<string>();
  const known = new Set<string>();
  for (const command of page.commands) {
    if (!machines.includes(command.machine))
      throw page.source.error(
        command.line,
        1,
        `unknown machine \`${command.machine}\`${suggestion(command.machine, machines)}`,
      );
    const text = fillWildcards(command.text, (name) =>
      wildcards.has(name) ? "x".repeat(name.length + 2) : undefined,
    );
    if (command.machine === "lab") checkLab(page, command, text, spec);
    else checkShell(page, command, text, known);
    for (const line of command.expected) for (const name of wildcardNames(line)) wildcards.add(name);
  }
}

function checkLab(page: Page, command: PageCommand, text: string, spec: LabSpec): void {
  try {
    parseLabCommand(text, spec);
  } catch (error) {
    if (!(error instanceof LabCommandError)) throw error;
    throw errorIn(page, command, error.offset, error.message);
  }
}

/** `known`: functions of the page so far; `*` after something that may define any. */
function checkShell(page: Page, command: PageCommand, text: string, known: Set<string>): void {
  let script: Script;
  try {
    script = parseShell(text);
  } catch (error) {
    if (!(error instanceof ShellSyntaxError)) throw error;
    throw errorIn(page, command, error.offset, error.message);
  }
  if (command.expected.some((line) => line.includes("not found"))) return;
  const { words, functions } = commandWords(script);
  for (const name of functions) known.add(name);
  for (const word of words) {
    const name = literal(word);
    if (name === "." || name === "source" || name === "eval") known.add("*");
    if (
      name === null ||
      isKnown(name) ||
      known.has(name) ||
      known.has("*") ||
      page.files.has(plainPath(name))
    )
      continue;
    const near = nearest(name, [...TOOLS.keys(), ...UTILITIES.keys(), ...BUILTINS.keys()]);
    const hint = near === null ? "" : `; did you mean \`${near}\`?`;
    throw errorIn(page, command, word.offset, `unknown command \`${name}\`${hint}`);
  }
}

const plainPath = (name: string) => name.replace(/^\.\//, "");

function isKnown(name: string): boolean {
  const base = name.replace(/^.*\/(?=[^/]+$)/, "");
  return TOOLS.has(base) || UTILITIES.has(base) || BUILTINS.has(base) || UNMODELLED.has(base);
}

function literal(word: Word): string | null {
  const texts = word.parts.map((part) => (part.kind === "text" ? part.text : null));
  return texts.includes(null) ? null : texts.join("");
}

/** An error at an offset of a command's text, which may go over several lines. */
export function errorIn(page: Page, command: PageCommand, offset: number, message: string): Error {
  const before = command.text.slice(0, offset).split("\n");
  const line = command.line + before.length - 1;
  const col = before.length === 1 ? command.col + offset : before.at(-1)!.length + 1;
  return page.source.error(line, col, message);
}
