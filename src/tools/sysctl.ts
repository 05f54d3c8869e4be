/** sysctl(8) of procps 4: parameters of the namespace that it runs in. */
import type { SysctlTable } from "../net/core/sysctl.ts";
import { NotModelledError, SysError, UsageError } from "../util/errors.ts";
import type { Tool, ToolContext, ToolOutput } from "./tool.ts";

interface SysctlArgs {
  readonly all: boolean;
  readonly write: boolean;
  readonly quiet: boolean;
  readonly ignoreUnknown: boolean;
  /** "value": -n, "name": -N. */
  readonly show: "both" | "value" | "name";
  readonly pattern: RegExp | null;
  readonly files: readonly string[];
  readonly words: readonly string[];
}

type Draft = { -readonly [K in keyof SysctlArgs]: SysctlArgs[K] };

/** Text of both streams as it grows. */
interface Streams {
  stdout: string;
  stderr: string;
  status: number;
}

const FLAGS: Readonly<Record<string, (draft: Draft) => void>> = {
  a: (draft) => (draft.all = true),
  A: (draft) => (draft.all = true),
  w: (draft) => (draft.write = true),
  q: (draft) => (draft.quiet = true),
  e: (draft) => (draft.ignoreUnknown = true),
  n: (draft) => (draft.show = "value"),
  N: (draft) => (draft.show = "name"),
};

const LONG_FLAGS: Readonly<Record<string, string>> = {
  "--all": "a",
  "--write": "w",
  "--quiet": "q",
  "--ignore": "e",
  "--values": "n",
  "--names": "N",
};

function parse(argv: readonly string[]): SysctlArgs {
  const files: string[] = [];
  const words: string[] = [];
  const draft: Draft = {
    all: false,
    write: false,
    quiet: false,
    ignoreUnknown: false,
    show: "both",
    pattern: null,
    files,
    words,
  };
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i];
    if (!word.startsWith("-") || word === "-") words.push(word);
    else if (word === "-r" || word === "--pattern") draft.pattern = new RegExp(argv[++i] ?? "");
    else if (word === "-p" || word === "--load" || word === "-f") files.push(argv[++i] ?? "/etc/sysctl.conf");
    else if (word in LONG_FLAGS) FLAGS[LONG_FLAGS[word]](draft);
    else parseCluster(word, draft);
  }
  if (words.length === 0 && files.length === 0 && !draft.all && draft.pattern === null)
    throw new UsageError("sysctl: no variables specified\nTry `sysctl --help' for more information.\n");
  return draft;
}

function parseCluster(word: string, draft: Draft): void {
  for (const letter of word.startsWith("--") ? "" : word.slice(1)) {
    if (FLAGS[letter] === undefined) throw unknownOption(`invalid option -- '${letter}'`);
    FLAGS[letter](draft);
  }
  if (word.startsWith("--")) throw unknownOption(`unrecognized option '${word}'`);
}

function unknownOption(text: string): UsageError {
  return new UsageError(`sysctl: ${text}\nTry \`sysctl --help' for more information.\n`);
}

/** `net/ipv4/conf/eth0.100/x` and `net.ipv4.conf.eth0/100.x` name the same: the first separator decides. */
function canonicalName(text: string): string {
  const slash = text.indexOf("/");
  const dot = text.indexOf(".");
  const isPath = slash >= 0 && (dot < 0 || slash < dot);
  if (!isPath) return text;
  return text.replace(/[./]/g, (separator) => (separator === "/" ? "." : "/"));
}

function procPath(name: string): string {
  return `/proc/sys/${name.replace(/[./]/g, (separator) => (separator === "." ? "/" : "."))}`;
}

function show(args: SysctlArgs, name: string, value: string, out: Streams): void {
  if (args.pattern !== null && !args.pattern.test(name)) return;
  if (args.show === "value") out.stdout += `${value}\n`;
  else out.stdout += args.show === "name" ? `${name}\n` : `${name} = ${value}\n`;
}

function complain(args: SysctlArgs, name: string, error: SysError, out: Streams): void {
  if (error.code === "ENOENT") {
    if (args.ignoreUnknown) return;
    out.stderr += `sysctl: cannot stat ${procPath(name)}: No such file or directory\n`;
  } else if (error.code === "EACCES") {
    out.stderr += `sysctl: permission denied on key "${name}"\n`;
  } else {
    out.stderr += `sysctl: setting key "${name}": Invalid argument\n`;
  }
  out.status = 1;
}

/** Shows a parameter, or everything below a directory. */
function read(args: SysctlArgs, table: SysctlTable, name: string, out: Streams): void {
  const below = table.names().filter((candidate) => candidate.startsWith(`${name}.`));
  try {
    if (below.length === 0) show(args, name, table.get(name), out);
    else for (const each of below) show(args, each, table.get(each), out);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    complain(args, name, error, out);
  }
}

function write(args: SysctlArgs, table: SysctlTable, name: string, value: string, out: Streams): void {
  try {
    table.set(name, value);
    if (!args.quiet) show(args, name, value, out);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    complain(args, name, error, out);
  }
}

function apply(args: SysctlArgs, word: string, table: SysctlTable, out: Streams): void {
  const equals = word.indexOf("=");
  const name = canonicalName((equals < 0 ? word : word.slice(0, equals)).trim());
  if (equals >= 0) write(args, table, name, word.slice(equals + 1).trim(), out);
  else if (args.write) {
    out.stderr += `sysctl: "${word}" must be of the form name=value\n`;
    out.status = 1;
  } else read(args, table, name, out);
}

/** Lines of a configuration file: `name = value`, comments with # or ;, a leading - forgives. */
function load(args: SysctlArgs, file: string, context: ToolContext, out: Streams): void {
  const text = file === "-" ? context.stdin : context.files.get(file);
  if (text === undefined) {
    out.stderr += `sysctl: cannot open "${file}": No such file or directory\n`;
    out.status = 1;
    return;
  }
  for (const line of text.split("\n").map((each) => each.trim())) {
    if (line === "" || line.startsWith("#") || line.startsWith(";")) continue;
    if (line.startsWith("-")) throw new NotModelledError("sysctl lines that begin with -");
    apply({ ...args, write: true }, line, context.ns.sysctl, out);
  }
}

function run(args: SysctlArgs, context: ToolContext): Streams {
  const table = context.ns.sysctl;
  const out: Streams = { stdout: "", stderr: "", status: 0 };
  if (args.all || (args.pattern !== null && args.words.length === 0 && args.files.length === 0))
    for (const name of table.names()) show(args, name, table.get(name), out);
  for (const file of args.files) load(args, file, context, out);
  for (const word of args.words) apply(args, word, table, out);
  return out;
}

export const sysctl: Tool<SysctlArgs, Streams> = {
  name: "sysctl",
  parse,
  run,
  render: (result): ToolOutput => result,
};
