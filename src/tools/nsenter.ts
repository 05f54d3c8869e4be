/** nsenter(1) of util-linux 2.38: runs a command in another network namespace. */
import type { Co } from "../host/process.ts";
import type { NetNs } from "../net/core/net-ns.ts";
import { NotModelledError, SysError, UsageError } from "../util/errors.ts";
import type { Tool, ToolContext, ToolOutput } from "./tool.ts";

interface NsenterArgs {
  /** Path of the namespace; null: that of the caller. */
  readonly path: string | null;
  readonly command: readonly string[];
}

/** Namespaces of other kinds: a machine has one of each, so entering them changes nothing. */
const OTHER_KINDS = new Set([
  "-m",
  "--mount",
  "-u",
  "--uts",
  "-i",
  "--ipc",
  "-p",
  "--pid",
  "-F",
  "--no-fork",
]);

function usage(text: string): UsageError {
  return new UsageError(`nsenter: ${text}\nTry 'nsenter --help' for more information.\n`);
}

function parse(argv: readonly string[]): NsenterArgs {
  let path: string | null = null;
  let target: string | null = null;
  let wantsNet = false;
  let i = 0;
  for (; i < argv.length && argv[i].startsWith("-"); i++) {
    const word = argv[i];
    if (word === "--") {
      i++;
      break;
    }
    if (word.startsWith("--net=")) path = word.slice("--net=".length);
    else if (word === "-n" || word === "--net" || word === "-a" || word === "--all") wantsNet = true;
    else if (word.startsWith("-n")) path = word.slice(2);
    else if (word === "-t" || word === "--target") {
      if (++i >= argv.length) throw usage("option requires an argument -- 't'");
      target = argv[i];
    } else if (word.startsWith("--target=")) target = word.slice("--target=".length);
    else if (/^-t[0-9]/.test(word)) target = word.slice(2);
    else if (!OTHER_KINDS.has(word)) {
      throw usage(word.startsWith("--") ? `unrecognized option '${word}'` : `invalid option -- '${word[1]}'`);
    }
  }
  if (target !== null && !/^[0-9]+$/.test(target))
    throw new UsageError(`nsenter: failed to parse pid: '${target}'\n`);
  if (wantsNet && target === null) throw new UsageError("nsenter: no target PID specified\n");
  if (wantsNet && path === null) path = `/proc/${target}/ns/net`;
  if (i >= argv.length) throw new NotModelledError("nsenter without a command");
  return { path, command: argv.slice(i) };
}

/** The namespace that a file stands for: `/proc/PID/ns/net`, a path of Docker's or iproute2's, or its name in the lab. */
function namespaceAt(path: string, { machine }: ToolContext): NetNs {
  const process = /^\/proc\/([0-9]+)\/ns\/net$/.exec(path);
  if (process !== null) {
    const pid = Number(process[1]);
    if (pid === 1) return machine.hostNs;
    const found = machine.processes.find((candidate) => candidate.pid === pid);
    if (found === undefined) throw new SysError("ENOENT", path);
    return found.ns;
  }
  const { namespaces } = machine.kernel;
  const name = path.slice(path.lastIndexOf("/") + 1);
  const found =
    namespaces.find((ns) => ns.path !== "" && ns.path === path) ??
    namespaces.find((ns) => ns.name === name || (ns.path !== "" && ns.path.endsWith(`/${name}`)));
  if (found === undefined) throw new SysError("ENOENT", path);
  return found;
}

function* run(args: NsenterArgs, context: ToolContext): Co<ToolOutput> {
  const ns = args.path === null ? context.ns : namespaceAt(args.path, context);
  return yield* context.exec(args.command, ns);
}

export const nsenter: Tool<NsenterArgs, ToolOutput> = {
  name: "nsenter",
  parse,
  run,
  render: (output) => output,
  failure(error, args): ToolOutput | null {
    if (!(error instanceof SysError) || args?.path == null) return null;
    return {
      stdout: "",
      stderr: `nsenter: cannot open ${args.path}: No such file or directory\n`,
      status: 1,
    };
  },
};
