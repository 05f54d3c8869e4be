/** Compound commands (POSIX XCU 2.9.4, and bash's): loops, branches, groups, tests. */
import type { Co } from "../../host/process.ts";
import { UsageError } from "../../util/errors.ts";
import type { Command, Condition, Script, SimpleCommand } from "./ast.ts";
import { patternMatches, patternSource } from "./pattern.ts";
import { ShellFlow } from "./place.ts";
import type { Shell } from "./shell.ts";
import type { Io } from "./streams.ts";
import { fileTest } from "./text/test.ts";

/** A loop that never waits would stop virtual time. */
const MAX_TURNS = 1_000_000;

type Compound = Exclude<Command, SimpleCommand>;

export function* runCompound(shell: Shell, command: Compound, io: Io): Co<number> {
  switch (command.kind) {
    case "for":
      return yield* forLoop(shell, command, io);
    case "cfor":
      return yield* cFor(shell, command, io);
    case "while":
      return yield* whileLoop(shell, command, io);
    case "if":
      for (const branch of command.branches)
        if (yield* shell.test(branch.condition, io)) return yield* shell.script(branch.body, io);
      shell.state.status = 0;
      return command.otherwise === null ? 0 : yield* shell.script(command.otherwise, io);
    case "case":
      return yield* caseCommand(shell, command, io);
    case "group":
      if (!command.subshell) return yield* shell.script(command.body, io);
      return yield* shell.subshell().run(command.body, { ...io });
    case "function":
      shell.state.functions.set(command.name, command.body);
      return 0;
    case "condition":
      return (yield* holds(shell, command.test)) ? 0 : 1;
    case "arithmetic":
      return shell.state.number(yield* shell.expander.text(command.text)) === 0n ? 1 : 0;
  }
}

function* forLoop(shell: Shell, command: Extract<Compound, { kind: "for" }>, io: Io): Co<number> {
  const { state } = shell;
  const words =
    command.words === null ? state.positional.slice(1) : yield* shell.expander.words(command.words);
  state.status = 0;
  for (const word of words) {
    state.set(command.name, word);
    if (!(yield* turn(shell, command.body, io))) break;
  }
  return state.status;
}

function* cFor(shell: Shell, command: Extract<Compound, { kind: "cfor" }>, io: Io): Co<number> {
  const { state, expander } = shell;
  const value = function* (word: typeof command.start): Co<bigint> {
    const text = yield* expander.text(word);
    return text.trim() === "" ? 1n : state.number(text);
  };
  yield* value(command.start);
  state.status = 0;
  for (let turns = 0; (yield* value(command.test)) !== 0n; turns++) {
    limit(turns);
    if (!(yield* turn(shell, command.body, io))) break;
    yield* value(command.step);
  }
  return state.status;
}

function* whileLoop(shell: Shell, command: Extract<Compound, { kind: "while" }>, io: Io): Co<number> {
  let status = 0;
  for (let turns = 0; ; turns++) {
    limit(turns);
    let goesOn: boolean;
    try {
      goesOn = (yield* shell.test(command.condition, io)) !== command.until;
    } catch (flow) {
      if (leaves(shell, flow)) return 0;
      continue;
    }
    if (!goesOn) return status;
    if (!(yield* turn(shell, command.body, io))) return 0;
    status = shell.state.status;
  }
}

function limit(turns: number): void {
  if (turns === MAX_TURNS)
    throw new UsageError(`bash: a loop of more than ${MAX_TURNS} turns was stopped`, 1);
}

/** One turn of a loop; false after `break`. */
function* turn(shell: Shell, body: Script, io: Io): Co<boolean> {
  try {
    yield* shell.script(body, io);
  } catch (flow) {
    return !leaves(shell, flow);
  }
  return true;
}

/** What `break` and `continue` do to this loop: true when it ends. Throws on what is meant for outer ones. */
function leaves(shell: Shell, flow: unknown): boolean {
  if (!(flow instanceof ShellFlow) || flow.kind === "exit" || flow.kind === "return") throw flow;
  shell.state.status = 0;
  if (flow.levels > 1) throw new ShellFlow(flow.kind, 0, flow.levels - 1);
  return flow.kind === "break";
}

function* caseCommand(shell: Shell, command: Extract<Compound, { kind: "case" }>, io: Io): Co<number> {
  const text = yield* shell.expander.text(command.word);
  let status = 0;
  let falls = false;
  for (const { patterns, body, end } of command.branches) {
    let chosen = falls;
    for (const pattern of patterns) chosen ||= patternMatches(yield* shell.expander.pattern(pattern), text);
    if (!chosen) continue;
    shell.state.status = 0;
    status = yield* shell.script(body, io);
    if (end === ";;") return status;
    falls = end === ";&";
  }
  return status;
}

function* holds(shell: Shell, test: Condition): Co<boolean> {
  const { expander, state } = shell;
  switch (test.kind) {
    case "not":
      return !(yield* holds(shell, test.operand));
    case "and":
      return (yield* holds(shell, test.left)) && (yield* holds(shell, test.right));
    case "or":
      return (yield* holds(shell, test.left)) || (yield* holds(shell, test.right));
    case "unary": {
      const text = yield* expander.text(test.operand);
      if (test.op === "-v") return state.get(text) !== undefined;
      const result = fileTest(
        test.op,
        text,
        (path) => shell.fileView.kind(path),
        (path) => shell.fileView.read(path),
      );
      if (result === null) throw new UsageError(`bash: ${test.op}: unary operator expected`, 2);
      return result;
    }
    case "binary":
      return yield* compare(shell, test);
  }
}

function* compare(shell: Shell, { op, left, right }: Extract<Condition, { kind: "binary" }>): Co<boolean> {
  const { expander, state } = shell;
  const a = yield* expander.text(left);
  if (op === "=~") return matchRegex(state, a, yield* expander.pattern(right));
  if (op === "==" || op === "=" || op === "!=")
    return patternMatches(yield* expander.pattern(right), a) === (op !== "!=");
  const b = yield* expander.text(right);
  if (op === "<") return a < b;
  if (op === ">") return a > b;
  const [x, y] = [state.number(a), state.number(b)];
  switch (op) {
    case "-eq":
      return x === y;
    case "-ne":
      return x !== y;
    case "-lt":
      return x < y;
    case "-le":
      return x <= y;
    case "-gt":
      return x > y;
    case "-ge":
      return x >= y;
    default:
      throw new UsageError(`bash: [[: ${op}: not modelled`, 2);
  }
}

/** `=~`: what was quoted means itself; BASH_REMATCH has what was found. */
function matchRegex(state: Shell["state"], text: string, pattern: string): boolean {
  const source = pattern.replace(/\\([*?[\]\\])/g, (_, c: string) => patternSource(`\\${c}`));
  let found: RegExpExecArray | null;
  try {
    found = new RegExp(
      source.replace(/\[\[:(\w+):\]/g, (token) => patternSource(`${token}]`).slice(0, -1)),
    ).exec(text);
  } catch {
    throw new UsageError("bash: [[: invalid regular expression", 2);
  }
  state.setArray("BASH_REMATCH", new Map((found ?? []).map((group, i) => [String(i), group ?? ""])));
  return found !== null;
}
