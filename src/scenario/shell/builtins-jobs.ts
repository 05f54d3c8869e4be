/** Builtins and commands about processes and time: sleep, wait, kill, jobs, timeout, pgrep, pkill, date. */
import { sleep } from "../../host/process.ts";
import { MS, SEC } from "../../sim/sim.ts";
import { formatCtime, unixSeconds, wallTime } from "../../sim/wall-clock.ts";
import { NotModelledError, UsageError } from "../../util/errors.ts";
import { type Builtin, now } from "./builtin.ts";
import { waitChild } from "./place.ts";

const UNITS: Record<string, number> = { ms: MS, s: SEC, m: 60 * SEC, h: 3600 * SEC, d: 86400 * SEC };

/** `1.5`, `200ms`, `2m` in ns. */
function duration(name: string, text: string, status: number): number {
  if (/^inf(inity)?$/i.test(text)) return Number.POSITIVE_INFINITY;
  const found = /^(\d+\.?\d*|\.\d+)(ms|[smhd])?$/.exec(text);
  if (found === null)
    throw new UsageError(
      `${name}: invalid time interval ‘${text}’\nTry '${name} --help' for more information.`,
      status,
    );
  return Math.round(Number(found[1]) * UNITS[found[2] ?? "s"]);
}

const sleepCommand: Builtin = function* (_shell, argv) {
  if (argv.length === 0)
    throw new UsageError("sleep: missing operand\nTry 'sleep --help' for more information.", 1);
  let total = 0;
  for (const word of argv) total += duration("sleep", word, 1);
  if (total === Number.POSITIVE_INFINITY) for (;;) yield { queues: [] };
  yield* sleep(total);
  return 0;
};

const wait: Builtin = function* (shell, argv, io) {
  const { jobs } = shell.state;
  if (argv[0] === "-n") {
    while (jobs.length > 0 && jobs.every((job) => job.exitStatus === null))
      yield { queues: jobs.map((job) => job.exited) };
    const ended = jobs.findIndex((job) => job.exitStatus !== null);
    return ended < 0 ? 127 : jobs.splice(ended, 1)[0].exitStatus!;
  }
  const words = argv.filter((word) => !word.startsWith("-"));
  let status = 0;
  for (const word of words.length === 0 ? jobs.map(({ pid }) => String(pid)) : words) {
    const pid = word.startsWith("%") ? (jobs[Number(word.slice(1)) - 1]?.pid ?? 0) : Number(word);
    const job = jobs.find((candidate) => candidate.pid === pid);
    if (job === undefined) {
      io.err.write(`bash: wait: pid ${word} is not a child of this shell\n`);
      status = 127;
      continue;
    }
    while (job.exitStatus === null) yield { queues: [job.exited] };
    status = words.length > 0 ? job.exitStatus : 0;
    jobs.splice(jobs.indexOf(job), 1);
  }
  return status;
};

const SIGNALS: Record<string, number> = {
  EXIT: 0,
  HUP: 1,
  INT: 2,
  QUIT: 3,
  KILL: 9,
  USR1: 10,
  USR2: 12,
  PIPE: 13,
  ALRM: 14,
  TERM: 15,
  CONT: 18,
  STOP: 19,
};

function signalNumber(text: string): number {
  const name = text.toUpperCase().replace(/^SIG/, "");
  const number = /^\d+$/.test(name) ? Number(name) : SIGNALS[name];
  if (number === undefined) throw new UsageError(`bash: kill: ${text}: invalid signal specification`, 1);
  return number;
}

const kill = now((shell, argv, io) => {
  let signal = 15;
  let status = 0;
  const targets = [...argv];
  if (targets[0] === "-l") {
    io.out.write(
      `${Object.entries(SIGNALS)
        .map(([name, n]) => `${n}) SIG${name}`)
        .join("\n")}\n`,
    );
    return 0;
  }
  if (targets[0] === "-s" || targets[0] === "-n") signal = signalNumber(targets.splice(0, 2)[1] ?? "");
  else if (/^-[A-Za-z0-9]+$/.test(targets[0] ?? "")) signal = signalNumber(targets.shift()!.slice(1));
  if (targets[0] === "--") targets.shift();
  if (targets.length === 0)
    throw new UsageError(
      "kill: usage: kill [-s sigspec | -n signum | -sigspec] pid | jobspec ... or kill -l [sigspec]",
      2,
    );
  for (const target of targets) {
    const job = target.startsWith("%") ? shell.state.jobs[Number(target.slice(1)) - 1] : undefined;
    const pid = Math.abs(job?.pid ?? Number(target));
    if (Number.isNaN(pid)) {
      io.err.write(`bash: kill: ${target}: arguments must be process or job IDs\n`);
      status = 1;
      continue;
    }
    const process = shell.place.machine.processes.find((candidate) => candidate.pid === pid);
    if (process === undefined) {
      io.err.write(`bash: kill: (${target}) - No such process\n`);
      status = 1;
    } else if (signal !== 0) process.kill(signal);
  }
  return status;
});

const jobs = now((shell, argv, io) => {
  const running = shell.state.jobs.filter((job) => job.exitStatus === null);
  for (const job of running)
    io.out.write(
      argv.includes("-p")
        ? `${job.pid}\n`
        : `[${running.indexOf(job) + 1}]   Running                 ${job.comm} &\n`,
    );
  return 0;
});

const timeout: Builtin = function* (shell, argv, io, run) {
  const words = [...argv];
  let signal = 15;
  let preserve = false;
  while (words[0]?.startsWith("-")) {
    const option = words.shift()!;
    if (option === "-s") signal = signalNumber(words.shift() ?? "");
    else if (option.startsWith("--signal=")) signal = signalNumber(option.slice(9));
    else if (option === "-k") words.shift();
    else if (option === "--preserve-status") preserve = true;
    else if (!/^(?:--foreground|-[fv]|--verbose|--kill-after=.*|-k.+)$/.test(option))
      throw new NotModelledError(`timeout ${option}`);
  }
  if (words.length < 2)
    throw new UsageError("timeout: missing operand\nTry 'timeout --help' for more information.", 125);
  const limit = duration("timeout", words.shift()!, 125);
  const child = shell.spawn("timeout", shell.place.ns, shell.state.fork(), (inner) => run(inner, words, io));
  const ends = limit > 0 && limit < Number.POSITIVE_INFINITY;
  if ((yield* waitChild(child, ends ? limit : undefined)) === "ended") return child.process.exitStatus!;
  child.process.kill(signal);
  return preserve || signal === 9 ? 128 + signal : 124;
};

/** `pgrep` and `pkill`: by the program's name, or with -f by its whole name as well. */
const byName = (kills: boolean): Builtin =>
  now((shell, argv, io) => {
    let signal = 15;
    let pattern = "";
    for (const word of argv) {
      if (!word.startsWith("-")) pattern = word;
      else if (/^-(?:[A-Z]+|\d+)$/.test(word)) signal = signalNumber(word.slice(1));
      else if (!/^-[fxnoP]+$/.test(word)) throw new NotModelledError(`${kills ? "pkill" : "pgrep"} ${word}`);
    }
    const regex = new RegExp(argv.includes("-x") ? `^(?:${pattern})$` : pattern);
    const found = shell.place.machine.processes.filter(
      ({ comm, pid }) => regex.test(comm) && pid !== shell.process.pid,
    );
    for (const process of found) {
      if (kills) process.kill(signal);
      else io.out.write(`${process.pid}\n`);
    }
    return found.length > 0 ? 0 : 1;
  });

const killall = now((shell, argv, io) => {
  const names = argv.filter((word) => !word.startsWith("-"));
  const signal = argv.find((word) => /^-(?:[A-Z]+|\d+)$/.test(word));
  let status = 0;
  for (const name of names) {
    const found = shell.place.machine.processes.filter(({ comm }) => comm === name);
    for (const process of found) process.kill(signal === undefined ? 15 : signalNumber(signal.slice(1)));
    if (found.length > 0) continue;
    if (!argv.includes("-q")) io.err.write(`${name}: no process found\n`);
    status = 1;
  }
  return status;
});

const two = (n: number) => String(n).padStart(2, "0");

const date = now((shell, argv, io) => {
  const { sim } = shell.place.machine.kernel;
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
  const line = format.slice(1).replace(/%(?:(\d)N|(.))/g, (_, digits: string | undefined, letter: string) => {
    if (digits !== undefined) return fields.N.slice(0, Number(digits));
    if (fields[letter] === undefined) throw new NotModelledError(`date +%${letter}`);
    return fields[letter];
  });
  io.out.write(`${line}\n`);
  return 0;
});

export const JOB_BUILTINS: readonly (readonly [string, Builtin])[] = [
  ["sleep", sleepCommand],
  ["wait", wait],
  ["kill", kill],
  ["jobs", jobs],
  ["timeout", timeout],
  ["pgrep", byName(false)],
  ["pkill", byName(true)],
  ["killall", killall],
  ["date", date],
];
