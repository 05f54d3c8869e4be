/** Builtins of the shell, and the commands that run other commands: sudo, timeout, xargs, sh, bash, env, time. */
import { type Co, sleep } from "../../host/process.ts";
import { MS, SEC } from "../../sim/sim.ts";
import { formatCtime, unixSeconds, wallTime } from "../../sim/wall-clock.ts";
import { engineOf } from "../../swarm/engine.ts";
import { NotModelledError, UsageError } from "../../util/errors.ts";
import { parseShell } from "./parser.ts";
import { type RunningShell, ShellFlow, waitChild } from "./place.ts";
import { Input, type Io } from "./streams.ts";

/** Runs other words in the same shell. */
type RunWords = (shell: RunningShell, words: readonly string[], io: Io) => Co<number>;

type Builtin = (shell: RunningShell, argv: readonly string[], io: Io, run: RunWords) => Co<number>;

// biome-ignore lint/correctness/useYield: a builtin is a routine even if it never waits
function* nothing(): Co<number> {
  return 0;
}

/** A builtin that ends at once. */
const now = (run: (shell: RunningShell, argv: readonly string[], io: Io) => number): Builtin =>
  // biome-ignore lint/correctness/useYield: a builtin is a routine even if it never waits
  function* (shell, argv, io) {
    return run(shell, argv, io);
  };

const UNITS: Record<string, number> = { ms: MS, s: SEC, m: 60 * SEC, h: 3600 * SEC, d: 86400 * SEC };

/** `1.5`, `200ms`, `2m` in ns. */
function duration(name: string, text: string): number {
  if (/^inf(inity)?$/i.test(text)) return Number.POSITIVE_INFINITY;
  const found = /^(\d+\.?\d*|\.\d+)(ms|[smhd])?$/.exec(text);
  if (found === null)
    throw new UsageError(
      `${name}: invalid time interval ‘${text}’\nTry '${name} --help' for more information.`,
      1,
    );
  return Math.round(Number(found[1]) * UNITS[found[2] ?? "s"]);
}

const sleepCommand: Builtin = function* (_shell, argv) {
  if (argv.length === 0)
    throw new UsageError("sleep: missing operand\nTry 'sleep --help' for more information.", 1);
  let total = 0;
  for (const word of argv) total += duration("sleep", word);
  if (total === Number.POSITIVE_INFINITY) for (;;) yield { queues: [] };
  yield* sleep(total);
  return 0;
};

const wait: Builtin = function* (shell, argv) {
  const wanted = argv.map((word) => Number(word.replace("%", "")));
  let status = 0;
  for (const job of [...shell.state.jobs]) {
    if (wanted.length > 0 && !wanted.includes(job.pid)) continue;
    while (job.exitStatus === null) yield { queues: [job.exited] };
    status = wanted.length > 0 ? job.exitStatus : 0;
    shell.state.jobs.splice(shell.state.jobs.indexOf(job), 1);
  }
  return status;
};

const SIGNALS: Record<string, number> = { HUP: 1, INT: 2, KILL: 9, TERM: 15 };

function signalNumber(text: string): number {
  const name = text.replace(/^SIG/, "");
  const number = /^\d+$/.test(name) ? Number(name) : SIGNALS[name];
  if (number === undefined) throw new UsageError(`bash: kill: ${text}: invalid signal specification`, 1);
  return number;
}

const kill = now((shell, argv, io) => {
  let signal = 15;
  let status = 0;
  const targets = [...argv];
  if (targets[0] === "-s") signal = signalNumber(targets.splice(0, 2)[1] ?? "");
  else if (/^-[A-Z0-9]+$/.test(targets[0] ?? "")) signal = signalNumber(targets.shift()!.slice(1));
  for (const target of targets) {
    const job = target.startsWith("%") ? shell.state.jobs[Number(target.slice(1)) - 1] : undefined;
    const pid = job?.pid ?? Number(target);
    const process = shell.place.machine.processes.find((candidate) => candidate.pid === pid);
    if (process === undefined) {
      io.err.write(`bash: kill: (${target}) - No such process\n`);
      status = 1;
    } else process.kill(signal);
  }
  return status;
});

const timeout: Builtin = function* (shell, argv, io, run) {
  const words = [...argv];
  let signal = 15;
  while (words[0]?.startsWith("-")) {
    const option = words.shift()!;
    if (option === "-s") signal = signalNumber(words.shift() ?? "");
    else if (option.startsWith("--signal=")) signal = signalNumber(option.slice(9));
    else if (option === "-k") words.shift();
    else if (option !== "--preserve-status") throw new NotModelledError(`timeout ${option}`);
  }
  if (words.length < 2)
    throw new UsageError("timeout: missing operand\nTry 'timeout --help' for more information.", 125);
  const limit = duration("timeout", words.shift()!);
  const child = shell.spawn("timeout", shell.place.ns, shell.state.fork(), (inner) => run(inner, words, io));
  const ends = limit > 0 && limit < Number.POSITIVE_INFINITY;
  if ((yield* waitChild(child, ends ? limit : undefined)) === "ended") return child.process.exitStatus!;
  child.process.kill(signal);
  return 124;
};

const xargs: Builtin = function* (shell, argv, io, run) {
  let perRun = Number.POSITIVE_INFINITY;
  let placeholder = "";
  const words = [...argv];
  while (words[0]?.startsWith("-")) {
    const option = words.shift()!;
    if (option.startsWith("-n")) perRun = Number(option.slice(2) || words.shift());
    else if (option.startsWith("-I")) placeholder = option.slice(2) || words.shift()!;
    else if (option !== "-r") throw new NotModelledError(`xargs ${option}`);
  }
  if (words.length === 0) words.push("echo");
  const text = io.input.rest();
  const items =
    placeholder === ""
      ? text.split(/\s+/).filter((item) => item !== "")
      : text.split("\n").filter((l) => l !== "");
  let status = 0;
  const inner = { ...io, input: new Input("") };
  for (let i = 0; i < items.length; i += placeholder === "" ? perRun : 1) {
    const line =
      placeholder === ""
        ? [...words, ...items.slice(i, i + perRun)]
        : words.map((word) => word.replaceAll(placeholder, items[i]));
    if ((yield* run(shell, line, inner)) !== 0) status = 123;
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
  const from = argv.findIndex((word) => !/^[A-Za-z_]\w*=/.test(word));
  const set = from < 0 ? argv : argv.slice(0, from);
  if (set.length > 0) {
    const rest = argv.slice(set.length);
    return yield* shell.withVariables(set.map(pair), (inner) => env(inner, rest, io, run));
  }
  if (from >= 0) return yield* run(shell, argv.slice(from), io);
  for (const [name, value] of shell.state.program().variables) io.out.write(`${name}=${value}\n`);
  return 0;
};

/** `sh -c TEXT [NAME [ARG…]]`, `sh FILE`, or a script on the standard input. */
const sh = (name: string): Builtin =>
  function* (shell, argv, io) {
    const words = argv.filter((word, i) => i > 0 || !/^-[exu]+$/.test(word));
    const command = /^-[a-z]*c$/.test(words[0] ?? "");
    if (!command && words[0]?.startsWith("-")) throw new NotModelledError(`${name} ${words[0]}`);
    const text = command
      ? (words[1] ?? "")
      : words.length > 0
        ? shell.fileView.read(words[0])
        : io.input.rest();
    const state = shell.state.program();
    state.positional = command
      ? [words[2] ?? name, ...words.slice(3)]
      : [words[0] ?? name, ...words.slice(1)];
    const child = shell.spawn(name, shell.place.ns, state, (inner) => inner.run(parseShell(text), io));
    yield* waitChild(child);
    return child.process.exitStatus!;
  };

const read = now((shell, argv, io) => {
  const names = argv.filter((word) => !word.startsWith("-"));
  const line = io.input.line();
  const words = (line ?? "").trim().split(/[ \t]+/);
  names.forEach((name, i) => {
    shell.state.variables.set(name, (i === names.length - 1 ? words.slice(i).join(" ") : words[i]) ?? "");
  });
  return line === null ? 1 : 0;
});

const leave = (kind: "break" | "continue" | "exit"): Builtin =>
  now((shell, argv) => {
    throw new ShellFlow(kind, argv[0] === undefined ? shell.state.status : Number(argv[0]) & 0xff);
  });

/** `export NAME[=VALUE]…` and `local`. */
const assignAll = (exported: boolean): Builtin =>
  now((shell, argv) => {
    for (const word of argv) {
      const [name, value] = word.split(/=(.*)/s);
      if (value !== undefined) shell.state.variables.set(name, value);
      if (exported) shell.state.exported.add(name);
    }
    return 0;
  });

const unset = now((shell, argv) => {
  for (const name of argv) {
    shell.state.variables.delete(name);
    shell.state.exported.delete(name);
  }
  return 0;
});

/** Of the container whose namespace this is, else of the machine. */
const hostname = now((shell, _argv, io) => {
  const { machine, ns } = shell.place;
  const container = engineOf(machine)?.containers.find((candidate) => candidate.ns === ns);
  const name = container === undefined ? machine.name : container.options.hostname || container.shortId;
  io.out.write(`${name}\n`);
  return 0;
});

const two = (n: number) => String(n).padStart(2, "0");

const date = now((shell, argv, io) => {
  const sim = shell.place.machine.kernel.sim;
  const time = wallTime(sim);
  const text = formatCtime(time);
  const format = argv.find((word) => word.startsWith("+"));
  if (format === undefined) {
    io.out.write(`${text.slice(0, 19)} UTC ${text.slice(20)}\n`);
    return 0;
  }
  const fields: Record<string, string> = {
    s: String(unixSeconds(sim)),
    Y: String(time.year),
    m: two(time.month),
    d: two(time.day),
    H: two(time.hour),
    M: two(time.minute),
    S: two(time.second),
    N: String(time.nanosecond).padStart(9, "0"),
    F: `${time.year}-${two(time.month)}-${two(time.day)}`,
    T: `${two(time.hour)}:${two(time.minute)}:${two(time.second)}`,
    "%": "%",
  };
  const line = format.slice(1).replace(/%(.)/g, (_, letter: string) => {
    if (fields[letter] === undefined) throw new NotModelledError(`date +%${letter}`);
    return fields[letter];
  });
  io.out.write(`${line}\n`);
  return 0;
});

const command: Builtin = function* (shell, argv, io, run) {
  if (argv[0] !== "-v") return argv.length === 0 ? 0 : yield* run(shell, argv, io);
  const known = shell.place.tools.has(argv[1]) || BUILTINS.has(argv[1]);
  if (known) io.out.write(`${argv[1]}\n`);
  return known ? 0 : 1;
};

/** `eval` joins its words and runs them as a script. */
const evaluate: Builtin = function* (shell, argv, io) {
  return yield* shell.run(parseShell(argv.join(" ")), io);
};

const ls = now((shell, argv, io) => {
  const folder = argv.find((word) => !word.startsWith("-"));
  const { machine, files } = shell.place;
  const netns = folder !== undefined && /^\/(var\/)?run\/(docker\/)?netns\/?$/.test(folder);
  const names = netns
    ? machine.kernel.namespaces.filter((ns) => ns.path !== "").map((ns) => ns.path.replace(/^.*\//, ""))
    : [...files.keys()].filter((name) =>
        folder === undefined ? !name.includes("/") : name === folder || name.startsWith(`${folder}/`),
      );
  for (const name of names.sort()) io.out.write(`${name}\n`);
  if (folder === undefined || netns || names.length > 0) return 0;
  io.err.write(`ls: cannot access '${folder}': No such file or directory\n`);
  return 2;
});

const rm = now((shell, argv) => {
  for (const name of argv) shell.place.files.delete(name);
  return 0;
});

const ignored = nothing as Builtin;

export const BUILTINS: ReadonlyMap<string, Builtin> = new Map<string, Builtin>([
  [":", ignored],
  ["true", ignored],
  ["set", ignored],
  ["cd", ignored],
  ["clear", ignored],
  ["sync", ignored],
  ["disown", ignored],
  ["modprobe", ignored],
  ["false", now(() => 1)],
  ["sleep", sleepCommand],
  ["wait", wait],
  ["kill", kill],
  ["timeout", timeout],
  ["xargs", xargs],
  ["sudo", sudo],
  ["env", env],
  ["nohup", (shell, argv, io, run) => run(shell, argv, io)],
  ["exec", (shell, argv, io, run) => run(shell, argv, io)],
  ["command", command],
  ["eval", evaluate],
  ["sh", sh("sh")],
  ["bash", sh("bash")],
  ["ash", sh("ash")],
  ["read", read],
  ["break", leave("break")],
  ["continue", leave("continue")],
  ["exit", leave("exit")],
  ["export", assignAll(true)],
  ["local", assignAll(false)],
  ["unset", unset],
  ["hostname", hostname],
  ["date", date],
  ["ls", ls],
  ["rm", rm],
]);
