/** `ip [OPTIONS] OBJECT ...` (iproute2 6.1 ip/ip.c): the options, the object by its name or the beginning of it. */
import type { Co } from "../../host/process.ts";
import { NotModelledError, SysError, strerror, UsageError } from "../../util/errors.ts";
import { usageOutput } from "../run-tool.ts";
import { contextIn, type Tool, type ToolContext, type ToolOutput } from "../tool.ts";
import { runBatch } from "./batch.ts";
import { ipAddr } from "./ip-addr.ts";
import { ipLink } from "./ip-link.ts";
import { ipNeigh } from "./ip-neigh.ts";
import { ipNetns, namedNetns } from "./ip-netns.ts";
import { ipNexthop } from "./ip-nexthop.ts";
import { type IpOptions, ipOutput } from "./ip-options.ts";
import { ipRoute } from "./ip-route.ts";
import { ipRule } from "./ip-rule.ts";
import { ipTunnel } from "./ip-tunnel.ts";
import { ipXfrm } from "./ip-xfrm.ts";
import { invarg } from "./words.ts";

type Handler = (
  argv: readonly string[],
  options: IpOptions,
  context: ToolContext,
) => ToolOutput | Co<ToolOutput>;

function notModelled(name: string): Handler {
  return () => {
    throw new NotModelledError(`ip ${name}`);
  };
}

/** In the order in which a shortened name is looked up. */
const OBJECTS: readonly (readonly [string, Handler])[] = [
  ["address", ipAddr],
  ["addrlabel", notModelled("addrlabel")],
  ["maddress", notModelled("maddress")],
  ["route", ipRoute],
  ["rule", ipRule],
  ["neighbor", ipNeigh],
  ["neighbour", ipNeigh],
  ["ntable", notModelled("ntable")],
  ["link", ipLink],
  ["tunnel", ipTunnel],
  ["tuntap", notModelled("tuntap")],
  ["token", notModelled("token")],
  ["tcp_metrics", notModelled("tcp_metrics")],
  ["monitor", notModelled("monitor")],
  ["xfrm", ipXfrm],
  ["mroute", notModelled("mroute")],
  ["netns", ipNetns],
  ["netconf", notModelled("netconf")],
  ["vrf", notModelled("vrf")],
  ["nexthop", ipNexthop],
  ["stats", notModelled("stats")],
  ["help", notModelled("help")],
];

export interface IpArgs {
  readonly options: IpOptions;
  readonly object: string;
  readonly argv: readonly string[];
  /** `-n NS`, "" when not given. */
  readonly netns: string;
  readonly version: boolean;
  /** The file whose lines are run, "" for none. */
  readonly batch: string;
  readonly force: boolean;
}

type Draft = { -readonly [K in keyof IpOptions]: IpOptions[K] };

function parse(argv: readonly string[]): IpArgs {
  const options: Draft = {
    details: false,
    stats: false,
    brief: false,
    oneline: false,
    json: false,
    family: 0,
  };
  let netns = "";
  let version = false;
  let batch = "";
  let force = false;
  let at = 0;
  for (; at < argv.length && argv[at].startsWith("-"); at++) {
    const word = argv[at].startsWith("--") ? argv[at].slice(1) : argv[at];
    if (word === "-n" || is(word, "-netns", 4)) {
      if (at + 1 >= argv.length) throw new UsageError('Command line is not complete. Try option "help"', 255);
      netns = argv[++at];
    } else if (is(word, "-family", 2)) {
      if (at + 1 >= argv.length) throw new UsageError('Command line is not complete. Try option "help"', 255);
      options.family = familyNamed(argv[++at]);
    } else if (is(word, "-batch", 2)) {
      if (at + 1 >= argv.length) throw new UsageError('Command line is not complete. Try option "help"', 255);
      batch = argv[++at];
    } else if (is(word, "-force", 3)) force = true;
    else if (is(word, "-Version", 2)) version = true;
    else if (!takeFlag(options, word))
      throw new UsageError(`Option "${argv[at]}" is unknown, try "ip -help".`, 255);
  }
  if (at >= argv.length && !version && batch === "") throw new NotModelledError("ip help");
  return { options, object: argv[at] ?? "", argv: argv.slice(at + 1), netns, version, batch, force };
}

function familyNamed(name: string): IpOptions["family"] {
  if (name === "inet") return 4;
  if (name === "inet6") return 6;
  if (["link", "mpls", "bridge"].includes(name)) throw new NotModelledError(`ip -f ${name}`);
  throw invarg("invalid protocol family", name);
}

function is(word: string, name: string, shortest: number): boolean {
  return word.length >= shortest && name.startsWith(word);
}

function takeFlag(options: Draft, word: string): boolean {
  if (word === "-4") options.family = 4;
  else if (word === "-6") options.family = 6;
  else if (is(word, "-brief", 3)) options.brief = true;
  else if (is(word, "-details", 2)) options.details = true;
  else if (is(word, "-statistics", 2) || word === "-stats") options.stats = true;
  else if (is(word, "-oneline", 2)) options.oneline = true;
  else if (is(word, "-json", 2)) options.json = true;
  else return word === "-c" || word === "-color" || word === "-color=never";
  return true;
}

function run(args: IpArgs, context: ToolContext): ToolOutput | Co<ToolOutput> {
  if (args.version) return ipOutput("ip utility, iproute2-6.1.0, libbpf 1.1.2\n");
  const inside = args.netns === "" ? context : contextIn(context, namedNetns(context, args.netns));
  if (args.batch === "") return runObject(args.object, args.argv, args.options, inside);
  return runBatch(args.batch, args.force, inside, ([object, ...argv]) => {
    try {
      return runObject(object, argv, args.options, inside) as ToolOutput;
    } catch (error) {
      if (error instanceof UsageError) return usageOutput(error);
      const output = failure(error as Error);
      if (output === null) throw error;
      return output;
    }
  });
}

function runObject(
  object: string,
  argv: readonly string[],
  options: IpOptions,
  context: ToolContext,
): ToolOutput | Co<ToolOutput> {
  const found = OBJECTS.find(([name]) => name.startsWith(object));
  if (found === undefined) throw new UsageError(`Object "${object}" is unknown, try "ip help".`, 1);
  return found[1](argv, options, context);
}

/** What the kernel refuses: its own words when it has some (the detail starts with "Error: "), else those of the errno. */
function failure(error: Error): ToolOutput | null {
  if (!(error instanceof SysError)) return null;
  const own = error.detail.startsWith("Error: ");
  const text = own ? error.detail : `RTNETLINK answers: ${strerror(error.code)}`;
  return { stdout: "", stderr: `${text}\n`, status: 2 };
}

export const ip: Tool<IpArgs, ToolOutput> = {
  name: "ip",
  parse,
  run,
  render: (result) => result,
  failure,
};
