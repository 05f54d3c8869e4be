/** Every builtin of the shell by its name, and the commands that run other commands: sudo, xargs, sh, bash, env, exec. */
import type { Co } from "../../host/process.ts";
import { moduleLoad } from "../../net/ctl/module.ts";
import { NotModelledError, SysError, strerror, UsageError } from "../../util/errors.ts";
import { type Builtin, now } from "./builtin.ts";
import { FILE_BUILTINS } from "./builtins-files.ts";
import { JOB_BUILTINS } from "./builtins-jobs.ts";
import { VARIABLE_BUILTINS } from "./builtins-variables.ts";
import { parseShell } from "./parser.ts";
import { type RunningShell, ShellFlow, waitChild } from "./place.ts";
import { Input } from "./streams.ts";
import { ShellSyntaxError } from "./syntax-error.ts";

// biome-ignore lint/correctness/useYield: a builtin is a routine even if it never waits
function* nothing(): Co<number> {
  return 0;
}

function perRunOf(text: string): number {
  if (!/^\d+$/.test(text)) throw new UsageError(`xargs: invalid number "${text}" for -n option`, 1);
  if (Number(text) === 0) throw new UsageError(`xargs: value ${text} for -n option should be >= 1`, 1);
  return Number(text);
}

const xargs: Builtin = function* (shell, argv, io, run) {
  let perRun = Number.POSITIVE_INFINITY;
  let placeholder = "";
  let always = true;
  let separator = /\s+/;
  const words = [...argv];
  while (words[0]?.startsWith("-")) {
    const option = words.shift()!;
    if (option.startsWith("-n")) perRun = perRunOf(option.slice(2) || (words.shift() ?? ""));
    else if (option.startsWith("-I")) placeholder = option.slice(2) || words.shift()!;
    else if (option === "-0") separator = /\0/;
    else if (option === "-r" || option === "--no-run-if-empty") always = false;
    else throw new NotModelledError(`xargs ${option}`);
  }
  if (words.length === 0) words.push("echo");
  const items = (yield* io.input.rest())
    .split(placeholder === "" ? separator : "\n")
    .filter((item) => item !== "");
  if (items.length === 0 && (placeholder !== "" || !always)) return 0;
  let status = 0;
  const inner = { ...io, input: new Input("") };
  const step = placeholder === "" ? perRun : 1;
  for (let i = 0; i === 0 || i < items.length; i += step) {
    const line =
      placeholder === ""
        ? [...words, ...items.slice(i, i + perRun)]
        : words.map((word) => word.replaceAll(placeholder, items[i]));
    const result = yield* run(shell, line, inner);
    if (result === 127) return 127;
    if (result !== 0) status = 123;
  }
  return status;
};

const sudo: Builtin = function* (shell, argv, io, run) {
  let from = 0;
  while (argv[from]?.startsWith("-")) from += argv[from] === "-u" ? 2 : 1;
  return argv.length > from ? yield* run(shell, argv.slice(from), io) : 0;
};

/** `NAME=VALUE` in two. */
function pair(word: string): readonly [string, string] {
  const at = word.indexOf("=");
  return [word.slice(0, at), word.slice(at + 1)];
}

const env: Builtin = function* (shell, argv, io, run) {
  const from = argv.findIndex((word) => !/^[A-Za-z_]\w*=/.test(word) && word !== "-i");
  const set = (from < 0 ? argv : argv.slice(0, from)).filter((word) => word !== "-i");
  if (set.length > 0) {
    const rest = from < 0 ? [] : argv.slice(from);
    return yield* shell.withVariables(set.map(pair), (inner) => env(inner, rest, io, run));
  }
  if (from >= 0) return yield* run(shell, argv.slice(from), io);
  for (const [name, value] of shell.state.program().variables)
    if (typeof value === "string") io.out.write(`${name}=${value}\n`);
  return 0;
};

/** `sh -c TEXT [NAME [ARG…]]`, `sh FILE [ARG…]`, or a script on the standard input; `-e`, `-u`, `-x` before. */
const sh = (name: string): Builtin =>
  function* (shell, argv, io) {
    const words = [...argv];
    const letters = new Set<string>();
    while (/^[-+][a-z]+$|^--/.test(words[0] ?? "")) {
      const option = words.shift()!;
      if (option === "--") break;
      if (option.startsWith("--")) continue;
      for (const letter of option.slice(1)) letters.add(letter);
      if (option.endsWith("o")) letters.add(words.shift() ?? "");
    }
    const command = letters.has("c");
    const state = shell.state.program();
    for (const letter of ["e", "u", "x", "f", "pipefail"]) if (letters.has(letter)) state.options.add(letter);
    const [first, ...rest] = words;
    if (command) state.positional = [rest[0] ?? name, ...rest.slice(1)];
    else state.positional = letters.has("s") || first === undefined ? [name, ...words] : words;
    state.lenient ||= !command;
    const text = command
      ? (first ?? "")
      : first === undefined || letters.has("s")
        ? yield* io.input.rest()
        : null;
    const child = shell.spawn(name, shell.place.ns, state, (inner) =>
      program(inner, text ?? readScript(inner, first), { ...io }),
    );
    yield* waitChild(child);
    return child.process.exitStatus!;
  };

function* program(shell: RunningShell, text: string, io: Parameters<Builtin>[2]): Co<number> {
  try {
    return yield* shell.run(parseShell(text), io);
  } catch (error) {
    if (!(error instanceof ShellSyntaxError || error instanceof UsageError)) throw error;
    io.err.write(`${error.message}\n`);
    return error.status;
  }
}

function readScript(shell: RunningShell, file: string): string {
  try {
    return shell.fileView.read(file);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new UsageError(`bash: ${file}: ${strerror(error.code)}`, 127);
  }
}

/** `command -v`, `which` and `type`: where a name is found. */
function places(shell: RunningShell, name: string): "function" | "builtin" | "program" | null {
  if (shell.state.functions.has(name)) return "function";
  if (SHELL_OWN.has(name)) return "builtin";
  const base = name.replace(/^\/(?:usr\/)?s?bin\//, "");
  return !base.includes("/") && shell.knows(base) ? "program" : null;
}

const pathOf = (name: string) =>
  name.includes("/") ? name : `/usr/${SBIN.has(name) ? "sbin" : "bin"}/${name}`;
const SBIN: ReadonlySet<string> = new Set(
  "ip bridge iptables iptables-save iptables-restore iptables-legacy ipvsadm conntrack sysctl tcpdump nft ethtool modprobe arping".split(
    " ",
  ),
);

const command: Builtin = function* (shell, argv, io) {
  const words = argv.filter((word, i) => i > 0 || !/^-[vVp]$/.test(word));
  if (words.length === 0) return 0;
  if (words.length === argv.length || argv[0] === "-p") return yield* shell.program(words, io);
  const place = places(shell, words[0]);
  if (place === null) return 1;
  io.out.write(`${place === "program" ? pathOf(words[0]) : words[0]}\n`);
  return 0;
};

const which = now((shell, argv, io) => {
  let status = 0;
  for (const name of argv.filter((word) => !word.startsWith("-"))) {
    const base = name.replace(/^\/(?:usr\/)?s?bin\//, "");
    if (shell.knows(base) && !ONLY_BUILTIN.has(base)) io.out.write(`${pathOf(name)}\n`);
    else status = 1;
  }
  return status;
});

const type = now((shell, argv, io) => {
  let status = 0;
  for (const name of argv.filter((word) => !word.startsWith("-"))) {
    const place = places(shell, name);
    const kinds = { function: "a function", builtin: "a shell builtin", program: pathOf(name) };
    if (place !== null)
      io.out.write(
        argv[0] === "-t" ? `${place === "program" ? "file" : place}\n` : `${name} is ${kinds[place]}\n`,
      );
    else {
      if (argv[0] !== "-t") io.err.write(`bash: type: ${name}: not found\n`);
      status = 1;
    }
  }
  return status;
});

/** With words the shell becomes that program. */
const exec: Builtin = function* (shell, argv, io) {
  if (argv.length === 0) return 0;
  throw new ShellFlow("exit", yield* shell.program(argv, io));
};

const forward: Builtin = (shell, argv, io, run) => run(shell, argv, io);

/** Tells the buffering of the standard output by the environment, as the real one does its library. */
const stdbuf: Builtin = function* (shell, argv, io, run) {
  const words = [...argv];
  let mode = "";
  while (words[0]?.startsWith("-")) {
    const option = words.shift()!;
    const long = /^--(input|output|error)(?:=(.*))?$/.exec(option);
    const [letter, given] = long === null ? [option[1], option.slice(2)] : [long[1][0], long[2] ?? ""];
    if (!"ioe".includes(letter)) throw new NotModelledError(`stdbuf ${option}`);
    const value = given || (words.shift() ?? "");
    if (letter === "o") mode = value;
  }
  if (words.length === 0) {
    io.err.write("stdbuf: missing operand\nTry 'stdbuf --help' for more information.\n");
    return 125;
  }
  return yield* shell.withVariables([["_STDBUF_O", mode]], () => run(shell, words, io));
};

const taskset: Builtin = function* (shell, argv, io, run) {
  const from = /^(?:-c|--cpu-list)$/.test(argv[0] ?? "") ? 2 : 1;
  return argv.length > from ? yield* run(shell, argv.slice(from), io) : 1;
};

/** Modules that nothing here depends on are taken for built in. */
const modprobe = now((shell, argv) => {
  if (argv.some((word) => /^-\w*r|^--remove$/.test(word))) throw new NotModelledError("modprobe -r");
  const name = argv.find((word) => !word.startsWith("-"));
  if (name !== undefined) moduleLoad(shell.place.machine.kernel, name);
  return 0;
});

const pwd = now((_shell, _argv, io) => {
  io.out.write("/root\n");
  return 0;
});

const ignored = nothing as Builtin;

export const BUILTINS: ReadonlyMap<string, Builtin> = new Map<string, Builtin>([
  ...VARIABLE_BUILTINS,
  ...JOB_BUILTINS,
  ...FILE_BUILTINS,
  [":", ignored],
  ["true", ignored],
  ["cd", ignored],
  ["clear", ignored],
  ["sync", ignored],
  ["disown", ignored],
  ["modprobe", modprobe],
  ["shopt", ignored],
  ["ulimit", ignored],
  ["umask", ignored],
  ["chmod", ignored],
  ["hash", ignored],
  ["false", now(() => 1)],
  ["pwd", pwd],
  ["xargs", xargs],
  ["sudo", sudo],
  ["env", env],
  ["nohup", forward],
  ["builtin", forward],
  ["time", forward],
  ["setsid", forward],
  ["stdbuf", stdbuf],
  ["taskset", taskset],
  ["exec", exec],
  ["command", command],
  ["which", which],
  ["type", type],
  ["sh", sh("sh")],
  ["bash", sh("bash")],
  ["ash", sh("ash")],
  ["dash", sh("sh")],
]);

const SHELL_OWN: ReadonlySet<string> = new Set([
  ...VARIABLE_BUILTINS.map(([name]) => name),
  ..."echo test [ true false : cd pwd kill wait jobs command type hash exec builtin shopt ulimit umask".split(
    " ",
  ),
]);
/** Builtins of which no program is there as well. */
export const ONLY_BUILTIN: ReadonlySet<string> = new Set(
  VARIABLE_BUILTINS.map(([name]) => name)
    .filter((name) => name !== "printf")
    .concat([
      "exec",
      "type",
      "command",
      "wait",
      "jobs",
      "cd",
      ":",
      "hash",
      "builtin",
      "shopt",
      "ulimit",
      "umask",
      "disown",
    ]),
);
