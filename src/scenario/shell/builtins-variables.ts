/** Builtins about the shell's own state (POSIX XCU 2.14, bash): variables, parameters, options, traps, flow. */
import { UsageError } from "../../util/errors.ts";
import { type Builtin, now } from "./builtin.ts";
import { parseShell } from "./parser.ts";
import { type RunningShell, ShellFlow } from "./place.ts";
import type { ShellState } from "./state.ts";
import type { Io } from "./streams.ts";
import { shellPrintf } from "./text/printf.ts";

const DEFAULT_IFS = " \t\n";
const OPTION_NAMES: Record<string, string> = {
  allexport: "a",
  errexit: "e",
  noglob: "f",
  nounset: "u",
  xtrace: "x",
  verbose: "v",
  pipefail: "pipefail",
};

function status(shell: RunningShell, argv: readonly string[]): number {
  return argv[0] === undefined ? shell.state.status : Number(argv[0]) & 0xff;
}

const leaveLoop = (kind: "break" | "continue"): Builtin =>
  now((_shell, argv) => {
    throw new ShellFlow(kind, 0, Math.max(1, Number(argv[0] ?? 1)));
  });

const exit = now((shell, argv) => {
  throw new ShellFlow("exit", status(shell, argv));
});

const leaveFunction = now((shell, argv, io) => {
  if (shell.state.depth > 0) throw new ShellFlow("return", status(shell, argv));
  io.err.write("bash: return: can only `return' from a function or sourced script\n");
  return 2;
});

/** `NAME`, `NAME=VALUE`, `NAME[INDEX]=VALUE`, `NAME+=VALUE`. */
const DECLARED = /^([A-Za-z_]\w*)(?:\[(.*?)\])?(?:(\+?)=(.*))?$/s;

interface Declaring {
  readonly letters: ReadonlySet<string>;
  readonly names: readonly string[];
}

function letters(argv: readonly string[]): Declaring {
  const options = argv.filter(
    (word, i) => /^[-+]/.test(word) && argv.slice(0, i).every((one) => /^[-+]/.test(one)),
  );
  const found = new Set(options.filter((word) => word.startsWith("-")).flatMap((word) => [...word.slice(1)]));
  return { letters: found, names: argv.slice(options.length) };
}

/** `local`, `declare`, `export` and `readonly`. */
const declare = (name: "local" | "declare" | "export" | "readonly"): Builtin =>
  now(({ state }, argv, io) => {
    const { letters: on, names } = letters(argv);
    if (name === "local" && !state.inFunction)
      throw new UsageError("bash: local: can only be used in a function", 1);
    if (names.length === 0 || on.has("p")) return print(state, name, names, io);
    if (on.has("f") || on.has("F")) return names.every((one) => state.functions.has(one)) ? 0 : 1;
    let result = 0;
    for (const word of names) {
      const found = DECLARED.exec(word);
      if (found === null) {
        io.err.write(`bash: ${name}: \`${word}': not a valid identifier\n`);
        result = 1;
        continue;
      }
      const [, variable, index, plus, value] = found;
      const scoped = (name === "local" || name === "declare") && state.inFunction && !on.has("g");
      if (scoped) state.makeLocal(variable);
      if (on.has("A")) state.associative.add(variable);
      if ((on.has("A") || on.has("a")) && state.variables.get(variable) === undefined)
        state.setArray(variable, new Map());
      if (on.has("i")) state.integers.add(variable);
      if (value !== undefined) state.set(variable, value, index ?? null, plus === "+");
      if (name === "export" || on.has("x")) {
        if (on.has("n")) state.exported.delete(variable);
        else state.exported.add(variable);
      }
      if (name === "readonly" || on.has("r")) state.readonly.add(variable);
    }
    return result;
  });

function print(state: ShellState, name: string, names: readonly string[], io: Io): number {
  const wanted =
    names.length > 0
      ? names
      : [...state.variables.keys()].filter((one) =>
          name === "export" ? state.exported.has(one) : name === "readonly" ? state.readonly.has(one) : true,
        );
  let result = 0;
  for (const one of wanted) {
    const value = state.variables.get(one);
    if (value === undefined) {
      io.err.write(`bash: declare: ${one}: not found\n`);
      result = 1;
      continue;
    }
    const flags = `${typeof value === "object" ? (state.associative.has(one) ? "A" : "a") : ""}${state.integers.has(one) ? "i" : ""}${state.readonly.has(one) ? "r" : ""}${state.exported.has(one) ? "x" : ""}`;
    const shown =
      typeof value === "string"
        ? `"${value}"`
        : `(${state
            .elements(one)
            .map(([key, text]) => `[${key}]="${text}"`)
            .join(" ")})`;
    io.out.write(`declare -${flags || "-"} ${one}=${shown}\n`);
  }
  return result;
}

const unset = now(({ state }, argv) => {
  const { letters: on, names } = letters(argv);
  for (const word of names) {
    const [, name, index] = /^([^[]*)(?:\[(.*)\])?$/s.exec(word)!;
    if (on.has("f") || (!on.has("v") && !state.variables.has(name) && state.functions.has(name)))
      state.functions.delete(name);
    else state.unset(name, index ?? null);
  }
  return 0;
});

const set = now(({ state }, argv, io) => {
  if (argv.length === 0)
    for (const [name, value] of state.variables)
      if (typeof value === "string") io.out.write(`${name}=${value}\n`);
  let i = 0;
  for (; i < argv.length; i++) {
    const word = argv[i];
    if (word === "--" || word === "-") {
      i++;
      state.positional = [state.positional[0], ...argv.slice(i)];
      return 0;
    }
    if (!/^[-+]./.test(word)) break;
    const on = word.startsWith("-");
    for (const letter of word.slice(1)) {
      const option = letter === "o" ? OPTION_NAMES[argv[++i] ?? ""] : letter;
      if (option === undefined) continue;
      if (on) state.options.add(option);
      else state.options.delete(option);
    }
  }
  if (i < argv.length) state.positional = [state.positional[0], ...argv.slice(i)];
  return 0;
});

const shift = now(({ state }, argv) => {
  const count = Number(argv[0] ?? 1);
  const [zero, ...rest] = state.positional;
  if (count > rest.length) return 1;
  state.positional = [zero, ...rest.slice(count)];
  return 0;
});

/** Splits as `read` does: the last name takes what is left. */
function splitLine(line: string, count: number, ifs: string): string[] {
  const blank = (c: string) => ifs.includes(c) && " \t\n".includes(c);
  const fields: string[] = [];
  let i = 0;
  while (i < line.length && blank(line[i])) i++;
  while (fields.length < count - 1 && i < line.length) {
    let end = i;
    while (end < line.length && !ifs.includes(line[end])) end++;
    fields.push(line.slice(i, end));
    i = end;
    while (i < line.length && blank(line[i])) i++;
    if (i < line.length && ifs.includes(line[i]) && !blank(line[i])) {
      i++;
      while (i < line.length && blank(line[i])) i++;
    }
  }
  let rest = line.slice(i);
  while (rest !== "" && blank(rest.at(-1)!)) rest = rest.slice(0, -1);
  const last = rest.at(-1);
  if (last !== undefined && ifs.includes(last) && [...rest].filter((c) => ifs.includes(c)).length === 1)
    rest = rest.slice(0, -1);
  return [...fields, rest];
}

const read: Builtin = function* ({ state }, argv, io) {
  let raw = false;
  let end = "\n";
  let array: string | null = null;
  let count = -1;
  let i = 0;
  for (; i < argv.length && /^-./.test(argv[i]); i++) {
    const word = argv[i];
    const letter = word.at(-1)!;
    if (word.includes("r")) raw = true;
    if ("pdtnNaui".includes(letter)) {
      const value = argv[++i] ?? "";
      if (letter === "d") end = value === "" ? "\0" : value[0];
      else if (letter === "a") array = value;
      else if (letter === "n" || letter === "N") count = Number(value);
    }
  }
  const names = argv.slice(i);
  const ifs = state.get("IFS") ?? DEFAULT_IFS;
  let found = count >= 0 ? { text: yield* io.input.take(count), ended: true } : yield* io.input.until(end);
  let line = found?.text ?? "";
  while (!raw && found !== null && found.ended && /(?:^|[^\\])(?:\\\\)*\\$/.test(line)) {
    found = yield* io.input.until(end);
    line = line.slice(0, -1) + (found?.text ?? "");
  }
  if (!raw) line = line.replace(/\\(.)/gs, "$1");
  if (array !== null) {
    const fields = splitLine(line, Number.POSITIVE_INFINITY, ifs).filter(
      (field, at, all) => field !== "" || at < all.length - 1,
    );
    state.setArray(array, new Map(fields.map((field, at) => [String(at), field])));
  } else if (names.length === 0) state.set("REPLY", line);
  else {
    const fields = splitLine(line, names.length, ifs);
    names.forEach((name, at) => {
      state.set(name, fields[at] ?? "");
    });
  }
  return found === null || !found.ended ? 1 : 0;
};

/** `mapfile`: the lines of the input as an array. */
const mapfile: Builtin = function* ({ state }, argv, io) {
  const trims = argv.includes("-t");
  const name = argv.findLast((word) => !word.startsWith("-")) ?? "MAPFILE";
  const lines = (yield* io.input.rest()).match(/[^\n]*\n|[^\n]+$/g) ?? [];
  state.setArray(name, new Map(lines.map((line, i) => [String(i), trims ? line.replace(/\n$/, "") : line])));
  return 0;
};

const getopts = now(({ state }, argv, io) => {
  const [spec, name, ...given] = argv;
  const words = given.length > 0 ? given : state.positional.slice(1);
  const quiet = spec.startsWith(":");
  let index = Number(state.get("OPTIND") ?? 1);
  const word = words[index - 1];
  if (state.optionAt <= 0) {
    if (word === undefined || !/^-./.test(word) || word === "--") {
      if (word === "--") state.variables.set("OPTIND", String(index + 1));
      state.set(name, "?");
      state.optionAt = 0;
      return 1;
    }
    state.optionAt = 1;
  }
  const letter = word[state.optionAt++];
  const at = letter === ":" ? -1 : spec.indexOf(letter);
  const takes = at >= 0 && spec[at + 1] === ":";
  let value: string | undefined;
  const ends = state.optionAt >= word.length;
  if (takes) {
    value = ends ? words[index] : word.slice(state.optionAt);
    index += ends ? 2 : 1;
    state.optionAt = 0;
  } else if (ends) {
    index++;
    state.optionAt = 0;
  }
  state.variables.set("OPTIND", String(index));
  const missing = takes && value === undefined;
  if (at < 0 || missing) {
    state.set(name, missing && quiet ? ":" : "?");
    if (quiet) state.set("OPTARG", letter);
    else {
      state.unset("OPTARG");
      io.err.write(
        `${state.positional[0]}: ${missing ? "option requires an argument" : "illegal option"} -- ${letter}\n`,
      );
    }
    return 0;
  }
  state.set(name, letter);
  if (takes) state.set("OPTARG", value!);
  else state.unset("OPTARG");
  return 0;
});

const trap = now(({ state }, argv, io) => {
  const words = argv[0] === "--" ? argv.slice(1) : argv;
  if (words.length === 0 || words[0] === "-p") {
    for (const [name, text] of state.traps) io.out.write(`trap -- '${text}' ${name}\n`);
    return 0;
  }
  const [text, ...names] = words.length === 1 ? ["-", ...words] : words;
  for (const given of names) {
    const name = given === "0" ? "EXIT" : given.replace(/^SIG/, "");
    if (text === "-") state.traps.delete(name);
    else state.traps.set(name, text);
  }
  return 0;
});

const evaluate: Builtin = function* (shell, argv, io) {
  if (argv.join("").trim() === "") return 0;
  return yield* shell.script(parseShell(argv.join(" ")), io);
};

const source: Builtin = function* (shell, argv, io) {
  const [file, ...args] = argv;
  if (file === undefined) throw new UsageError("bash: source: filename argument required", 2);
  if (shell.fileView.kind(file) !== "file")
    throw new UsageError(`bash: ${file}: No such file or directory`, 1);
  const { state } = shell;
  const { positional } = state;
  if (args.length > 0) state.positional = [positional[0], ...args];
  state.depth++;
  state.lenient = true;
  try {
    const script = parseShell(shell.fileView.read(file));
    if (script.lists.length === 0) return 0;
    return yield* shell.script(script, io);
  } catch (flow) {
    if (!(flow instanceof ShellFlow) || flow.kind !== "return") throw flow;
    return flow.status;
  } finally {
    state.depth--;
    if (args.length > 0) state.positional = positional;
  }
};

const letBuiltin = now(({ state }, argv) => {
  let value = 0n;
  for (const word of argv) value = state.number(word);
  return value === 0n ? 1 : 0;
});

const printfBuiltin = now((shell, argv, io) => {
  const words = [...argv];
  let name: string | null = null;
  if (words[0] === "-v") [, name] = words.splice(0, 2);
  if (words[0] === "--") words.shift();
  if (words.length === 0) throw new UsageError("bash: printf: usage: printf [-v var] format [arguments]", 2);
  const { text, problems } = shellPrintf(words[0], words.slice(1));
  for (const problem of problems) io.err.write(`${shell.prefix()}printf: ${problem}\n`);
  if (name === null) io.out.write(text);
  else shell.state.set(name, text);
  return problems.every((problem) => problem.startsWith("warning: ")) ? 0 : 1;
});

export const VARIABLE_BUILTINS: readonly (readonly [string, Builtin])[] = [
  ["break", leaveLoop("break")],
  ["continue", leaveLoop("continue")],
  ["exit", exit],
  ["return", leaveFunction],
  ["export", declare("export")],
  ["local", declare("local")],
  ["declare", declare("declare")],
  ["typeset", declare("declare")],
  ["readonly", declare("readonly")],
  ["unset", unset],
  ["set", set],
  ["shift", shift],
  ["read", read],
  ["mapfile", mapfile],
  ["readarray", mapfile],
  ["getopts", getopts],
  ["trap", trap],
  ["eval", evaluate],
  ["source", source],
  [".", source],
  ["let", letBuiltin],
  ["printf", printfBuiltin],
];
