/** Commands of coreutils 9.1 about files and the machine: ls, rm, mkdir, mktemp, touch, cp, mv, id, uname, hostname. */
import { engineOf } from "../../swarm/engine.ts";
import { NotModelledError, SysError, strerror, UsageError } from "../../util/errors.ts";
import { type Builtin, now } from "./builtin.ts";
import type { RunningShell } from "./place.ts";
import type { Io } from "./streams.ts";

const operandsOf = (argv: readonly string[]) => argv.filter((word) => !/^-./.test(word));
const hasLetter = (argv: readonly string[], letter: string) =>
  argv.some((word) => /^-[A-Za-z]+$/.test(word) && word.includes(letter));

/** Of the container whose namespace this is, else of the machine. */
const hostname = now((shell, _argv, io) => {
  const { machine, ns } = shell.place;
  const container = engineOf(machine)?.containers.find((candidate) => candidate.ns === ns);
  const name = container === undefined ? machine.name : container.options.hostname || container.shortId;
  io.out.write(`${name}\n`);
  return 0;
});

/** The names in a folder, a file's own name, or null: nothing is there. */
function listed(shell: RunningShell, path: string): readonly string[] | null {
  const { machine, files } = shell.place;
  if (/^\/(var\/)?run\/(docker\/)?netns\/?$/.test(path))
    return machine.kernel.namespaces.filter((ns) => ns.path !== "").map((ns) => ns.path.replace(/^.*\//, ""));
  const inside = path.replace(/(?!^)\/$/, "");
  if (inside === ".") return [...files.keys()].filter((name) => !name.includes("/"));
  const kind = shell.fileView.kind(inside);
  if (kind !== "folder") return kind === null ? null : [path];
  return shell.fileView.glob(`${inside}/*`).map((name) => name.slice(inside.length + 1));
}

/** A name a line, as into a pipe. */
const ls = now((shell, argv, io) => {
  const odd = argv.find((word) => /^-./.test(word) && !/^-[1aA]+$/.test(word));
  if (odd !== undefined) throw new NotModelledError(`ls ${odd}`);
  const operands = operandsOf(argv);
  const paths = operands.length === 0 ? ["."] : operands.sort();
  /** Those of files together come first. */
  const texts = [""];
  let status = 0;
  for (const path of paths) {
    const names = listed(shell, path);
    if (names === null) {
      io.err.write(`ls: cannot access '${path}': No such file or directory\n`);
      status = 2;
      continue;
    }
    const text = [...names]
      .sort()
      .map((name) => `${name}\n`)
      .join("");
    if (names.length === 1 && names[0] === path) texts[0] += text;
    else texts.push(paths.length > 1 ? `${path}:\n${text}` : text);
  }
  io.out.write(texts.filter((text) => text !== "").join("\n"));
  return status;
});

const rm = now((shell, argv, io) => {
  const { files } = shell.place;
  let status = 0;
  for (const name of operandsOf(argv)) {
    const recursive = hasLetter(argv, "r") || hasLetter(argv, "R");
    if (recursive)
      for (const key of [...files.keys()])
        if (key.startsWith(`${name.replace(/\/$/, "")}/`)) files.delete(key);
    if (shell.fileView.remove(name) || recursive || hasLetter(argv, "f")) continue;
    io.err.write(`rm: cannot remove '${name}': No such file or directory\n`);
    status = 1;
  }
  return status;
});

const mkdir = now((shell, argv, io) => {
  let status = 0;
  for (const name of operandsOf(argv)) {
    if (shell.fileView.kind(name) === null) shell.place.files.set(`${name.replace(/\/$/, "")}/`, "");
    else if (!hasLetter(argv, "p")) {
      io.err.write(`mkdir: cannot create directory ‘${name}’: File exists\n`);
      status = 1;
    }
  }
  return status;
});

const rmdir = now((shell, argv, io) => {
  let status = 0;
  for (const name of operandsOf(argv)) {
    if (shell.place.files.delete(`${name.replace(/\/$/, "")}/`)) continue;
    io.err.write(`rmdir: failed to remove '${name}': No such file or directory\n`);
    status = 1;
  }
  return status;
});

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/** Letters for the X of a template: chance in life, from the time and the process here, so that runs repeat. */
function fill(template: string, shell: RunningShell): string {
  const { state } = shell;
  return template.replace(/X+$/, (marks) =>
    [...marks].map(() => LETTERS[(state.nextRandom() * 31 + shell.process.pid) % LETTERS.length]).join(""),
  );
}

const mktemp = now((shell, argv, io) => {
  const words = argv.filter((word) => !/^-[utqd]+$/.test(word) && !word.startsWith("--") && word !== "-p");
  const template = words.at(-1) ?? "/tmp/tmp.XXXXXXXXXX";
  const suffix = argv.find((word) => word.startsWith("--suffix="))?.slice("--suffix=".length) ?? "";
  if (!/X{3}$/.test(template)) throw new UsageError(`mktemp: too few X's in template ‘${template}’`, 1);
  const inTmp = words.length > 0 && hasLetter(argv, "t") ? `/tmp/${template}` : template;
  let name: string;
  do name = fill(inTmp, shell) + suffix;
  while (shell.fileView.kind(name) !== null);
  if (hasLetter(argv, "d")) shell.place.files.set(`${name}/`, "");
  else if (!hasLetter(argv, "u")) shell.fileView.write(name, "");
  io.out.write(`${name}\n`);
  return 0;
});

const touch = now((shell, argv) => {
  for (const name of operandsOf(argv)) shell.fileView.append(name, "");
  return 0;
});

const copy = (command: "cp" | "mv"): Builtin =>
  now((shell, argv, io) => {
    const [from, to] = operandsOf(argv);
    if (to === undefined)
      throw new UsageError(
        `${command}: missing file operand\nTry '${command} --help' for more information.`,
        1,
      );
    const target =
      shell.fileView.kind(to) === "folder" ? `${to.replace(/\/$/, "")}/${from.replace(/^.*\//, "")}` : to;
    try {
      shell.fileView.write(target, shell.fileView.read(from));
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      io.err.write(`${command}: cannot stat '${from}': ${strerror(error.code)}\n`);
      return 1;
    }
    if (command === "mv") shell.fileView.remove(from);
    return 0;
  });

const id = now((_shell, argv, io) => {
  const named = hasLetter(argv, "n");
  const one = hasLetter(argv, "u") || hasLetter(argv, "g");
  io.out.write(one ? `${named ? "root" : "0"}\n` : "uid=0(root) gid=0(root) groups=0(root)\n");
  return 0;
});

const UNAME: readonly (readonly [letter: string, text: (shell: RunningShell) => string])[] = [
  ["s", () => "Linux"],
  ["n", (shell) => shell.place.machine.name],
  ["r", () => "6.1.0"],
  ["v", () => "#1 SMP"],
  ["m", () => "x86_64"],
  ["o", () => "GNU/Linux"],
];

const uname = now((shell, argv, io) => {
  const all = hasLetter(argv, "a");
  const chosen = UNAME.filter(([letter]) => all || hasLetter(argv, letter));
  const shown = chosen.length === 0 ? UNAME.slice(0, 1) : chosen;
  io.out.write(`${shown.map(([, text]) => text(shell)).join(" ")}\n`);
  return 0;
});

const ps = now((shell, argv, io: Io) => {
  const wanted = argv[argv.indexOf("-p") + 1];
  const found = shell.place.machine.processes.filter(
    ({ pid }) => !argv.includes("-p") || String(pid) === wanted,
  );
  io.out.write("    PID TTY          TIME CMD\n");
  for (const { pid, comm } of found) io.out.write(`${String(pid).padStart(7)} ?        00:00:00 ${comm}\n`);
  return found.length > 0 ? 0 : 1;
});

export const FILE_BUILTINS: readonly (readonly [string, Builtin])[] = [
  ["hostname", hostname],
  ["ls", ls],
  ["rm", rm],
  ["mkdir", mkdir],
  ["rmdir", rmdir],
  ["mktemp", mktemp],
  ["touch", touch],
  ["cp", copy("cp")],
  ["mv", copy("mv")],
  ["id", id],
  ["uname", uname],
  ["ps", ps],
];
