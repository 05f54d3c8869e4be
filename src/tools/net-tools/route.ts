/** `route` of net-tools 2.10 (lib/inet_sr.c): the main table, and routes added and deleted by ioctl (fib_frontend.c). */
import type { Co } from "../../host/process.ts";
import { RTN_UNREACHABLE } from "../../net/core/dst.ts";
import { type RouteSpec, routeAdd, routeDel } from "../../net/ctl/route.ts";
import { NotModelledError, SysError, strerror, UsageError } from "../../util/errors.ts";
import { formatIp4, parseIp4, prefixToMask } from "../../wire/address.ts";
import { OptionReader } from "../options.ts";
import type { Tool, ToolContext, ToolOutput } from "../tool.ts";
import { routeTable } from "./route-table.ts";

const USAGE = `Usage: inet_route [-vF] del {-host|-net} Target[/prefix] [gw Gw] [metric M] [[dev] If]
       inet_route [-vF] add {-host|-net} Target[/prefix] [gw Gw] [metric M]
                              [netmask N] [mss Mss] [window W] [irtt I]
                              [mod] [dyn] [reinstate] [[dev] If]
       inet_route [-vF] add {-host|-net} Target[/prefix] [metric M] reject
       inet_route [-FC] flush      NOT supported
`;
const MISUSE = 3;
const FAILED = 7;

type Args =
  | { readonly kind: "show"; readonly numeric: boolean; readonly extended: boolean }
  | { readonly kind: "add" | "del"; readonly words: readonly string[] };

export type RouteArgs = Args;

/** Of busybox too. */
export function parseRouteWords(argv: readonly string[]): Args {
  const at = argv.findIndex((word) => word === "add" || word === "del" || word === "flush");
  if (at >= 0) {
    if (argv[at] === "flush") throw new NotModelledError("route flush");
    const options = argv.slice(0, at).filter((word) => !["-n", "-v", "-4"].includes(word));
    if (options.length > 0) throw new NotModelledError(`route ${options.join(" ")}`);
    if (argv.length === at + 1) throw new UsageError(USAGE, MISUSE);
    return { kind: argv[at] as "add" | "del", words: argv.slice(at + 1) };
  }
  const longs = { numeric: "n", extend: "e", verbose: "v", fib: "F" };
  const reader = new OptionReader("route", argv, "nevFN4", MISUSE, longs);
  let numeric = false;
  let extended = 0;
  for (const { option } of reader.options()) {
    if (option === "n") numeric = true;
    else if (option === "e") extended++;
    else if (option === "N") throw new NotModelledError("route -N");
  }
  if (extended > 1) throw new NotModelledError("route -ee");
  if (reader.rest.length > 0) throw new NotModelledError(`route ${reader.rest.join(" ")}`);
  return { kind: "show", numeric, extended: extended === 1 };
}

/** The mask as the error text shows it: the bytes of the wire as a number of this machine. */
function maskText(mask: number): string {
  const swapped =
    ((mask & 0xff) << 24) | ((mask & 0xff00) << 8) | ((mask >>> 8) & 0xff00) | ((mask >>> 24) & 0xff);
  return (swapped >>> 0).toString(16).padStart(8, "0");
}

function misused(text: string): never {
  throw new UsageError(`route: ${text}\n${USAGE}`, MISUSE);
}

function hostNamed(text: string): number {
  const addr = parseIp4(text);
  if (addr === null) throw new UsageError(`${text}: Host name lookup failure`, 1);
  return addr;
}

interface Target {
  readonly isNet: boolean;
  readonly addr: number;
  /** null: not given. */
  prefixLen: number | null;
}

function targetOf(words: string[]): Target {
  let kind = "";
  if (words[0] === "-net" || words[0] === "-host") kind = words.shift()!;
  const text = words.shift();
  if (text === undefined) throw new UsageError(USAGE, MISUSE);
  if (text === "default") return { isNet: true, addr: 0, prefixLen: 0 };
  const [host, length] = text.split("/");
  return {
    isNet: kind === "-net",
    addr: hostNamed(host),
    prefixLen: length === undefined ? null : Number(length),
  };
}

function specOf(given: readonly string[], { ns }: ToolContext): RouteSpec {
  const words = [...given];
  const target = targetOf(words);
  const spec: { -readonly [K in keyof RouteSpec]: RouteSpec[K] } = { dst: target.addr, dstLen: 32 };
  const value = (): string => words.shift() ?? misusedUsage();
  while (words.length > 0) {
    const word = words.shift()!;
    if (word === "gw" || word === "gateway") spec.gateway = hostNamed(value());
    else if (word === "netmask" || word === "mask") target.prefixLen = maskLength(value());
    else if (word === "metric") spec.metric = Number(value());
    else if (word === "reject") spec.type = RTN_UNREACHABLE;
    else if (["mss", "window", "irtt", "mod", "dyn", "reinstate"].includes(word))
      throw new NotModelledError(`route ${word}`);
    else {
      const name = word === "dev" || word === "device" ? value() : word;
      spec.dev = ns.device(name) ?? absent();
    }
  }
  const { isNet, prefixLen } = target;
  if (!isNet && prefixLen !== null && prefixLen !== 32)
    misused(`netmask ${maskText(prefixToMask(prefixLen))} doesn't make sense with host route`);
  // Without a mask the kernel is told of one that does not fit the address.
  if (isNet && prefixLen === null) throw new SysError("EINVAL");
  spec.dstLen = prefixLen ?? 32;
  if (spec.dstLen > 32 || (spec.dst & ~prefixToMask(spec.dstLen)) !== 0)
    misused("netmask doesn't match route address");
  return spec;
}

function misusedUsage(): never {
  throw new UsageError(USAGE, MISUSE);
}

function absent(): never {
  throw new SysError("ENODEV");
}

function maskLength(text: string): number {
  const mask = hostNamed(text);
  const length = Math.clz32(~mask);
  if (prefixToMask(length) !== mask) misused(`bogus netmask ${formatIp4(mask)}`);
  return length;
}

/** Adds or deletes. */
export function changeRoute(kind: "add" | "del", words: readonly string[], context: ToolContext): void {
  const spec = specOf(words, context);
  if (kind === "del") routeDel(context.ns, spec);
  else {
    if (spec.dev === undefined && spec.gateway === undefined && spec.type === undefined) absent();
    routeAdd(context.ns, spec, "prepend");
  }
}

export const route: Tool<Args, ToolOutput> = {
  name: "route",
  parse: parseRouteWords,
  *run(args, context): Co<ToolOutput> {
    if (args.kind === "show")
      return { stdout: yield* routeTable(args.numeric, args.extended, context), stderr: "", status: 0 };
    changeRoute(args.kind, args.words, context);
    return { stdout: "", stderr: "", status: 0 };
  },
  render: (result) => result,
  failure(error, args) {
    if (!(error instanceof SysError) || args === null) return null;
    const call = args.kind === "del" ? "SIOCDELRT" : "SIOCADDRT";
    return { stdout: "", stderr: `${call}: ${strerror(error.code)}\n`, status: FAILED };
  },
};
