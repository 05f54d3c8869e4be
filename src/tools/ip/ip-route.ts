/** `ip route`: show, get, add, change, replace, append, del, flush (iproute2 6.1 ip/iproute.c). */

import type { NetNs } from "../../net/core/net-ns.ts";
import {
  type RouteSpec,
  routeAdd,
  routeCacheDump,
  routeDel,
  routeDump,
  routeFlush,
  routeFlushCache,
} from "../../net/ctl/route.ts";
import { type RouteQuery, routeGet, routeMatch, TO_ANYWHERE } from "../../net/ctl/route-get.ts";
import type { FibInsertMode } from "../../net/ipv4/fib-table.ts";
import { ipv4Of } from "../../net/ipv4/ipv4-net.ts";
import { NotModelledError, SysError, UsageError } from "../../util/errors.ts";
import { formatIp4 } from "../../wire/address.ts";
import type { ToolContext, ToolOutput } from "../tool.ts";
import { ROUTE_HELP } from "./help-text.ts";
import { type IpOptions, ipOutput } from "./ip-options.ts";
import { toJson } from "./link-format.ts";
import { parseRouteFilter, type RouteFilter, routeMatches } from "./route-filter.ts";
import { getJson, getText, routeJson, routeText } from "./route-format.ts";
import { parseNexthops } from "./route-nexthop.ts";
import { ipProtoWord } from "./rule-words.ts";
import {
  deviceNamed,
  invarg,
  ip4Word,
  isCommand,
  numberWord,
  PROTOCOLS,
  prefixWord,
  ROUTE_TYPES,
  SCOPES,
  TABLES,
  Words,
} from "./words.ts";

const ROUTE_USAGE: ToolOutput = { stdout: "", stderr: ROUTE_HELP, status: 255 };

const MODES: readonly (readonly [string, FibInsertMode])[] = [
  ["add", "exclusive"],
  ["append", "append"],
  ["change", "change"],
  ["chg", "change"],
  ["replace", "replace"],
  ["prepend", "prepend"],
];

/** `ip route ARGV`. */
export function ipRoute(argv: readonly string[], options: IpOptions, context: ToolContext): ToolOutput {
  const [command = "show", ...rest] = argv;
  if (isCommand(command, "show", "list", "lst")) return showRoutes(rest, options, context.ns);
  if (options.family === 6 && !isCommand(command, "help"))
    throw new NotModelledError(`ip -6 route ${command}`);
  if (isCommand(command, "get")) return getRoute(rest, options, context.ns);
  for (const [name, mode] of MODES) {
    if (!name.startsWith(command) || command === "") continue;
    routeAdd(context.ns, parseRoute(rest, context.ns), mode);
    return ipOutput("");
  }
  if (isCommand(command, "delete")) {
    routeDel(context.ns, parseRoute(rest, context.ns));
    return ipOutput("");
  }
  if (isCommand(command, "flush")) return flushRoutes(rest, options, context.ns);
  if (isCommand(command, "help")) return ROUTE_USAGE;
  if (["save", "restore", "showdump"].includes(command)) throw new NotModelledError(`ip route ${command}`);
  throw new UsageError(`Command "${command}" is unknown, try "ip route help".`, 255);
}

function showRoutes(argv: readonly string[], options: IpOptions, ns: NetNs): ToolOutput {
  const filter = parseRouteFilter(argv, ns);
  if (options.family === 6) return ipOutput(options.json ? "[]\n" : "");
  if (filter.cache) return ipOutput(cacheText(ns, options));
  const all = routeDump(ns);
  if (isMissing(filter, all)) {
    return { stdout: "", stderr: "Error: ipv4: FIB table does not exist.\nDump terminated\n", status: 2 };
  }
  const shown = all.filter((alias) => routeMatches(filter, alias));
  if (options.json) return ipOutput(`${toJson(shown.map((alias) => routeJson(alias, filter, options)))}\n`);
  return ipOutput(shown.map((alias) => routeText(alias, filter, options)).join(""));
}

/** Whether the filter names a table that nobody made. */
function isMissing({ table }: RouteFilter, all: ReturnType<typeof routeDump>): boolean {
  const builtIn = table === 0 || table >= 253;
  return !builtIn && !all.some((alias) => alias.table === table);
}

function cacheText(ns: NetNs, options: IpOptions): string {
  const line = options.oneline ? "\\" : "\n";
  return routeCacheDump(ns)
    .map((entry) => {
      const via = entry.gateway === 0 ? "" : `via ${formatIp4(entry.gateway)} `;
      const flags = entry.redirected ? "<redirected> " : "";
      const mtu = entry.mtu === 0 ? "" : `mtu ${entry.locked ? "lock " : ""}${entry.mtu} `;
      return `${formatIp4(entry.daddr)} ${via}dev ${entry.dev.name} ${line}    cache ${flags}expires ${entry.expiresSec}sec ${mtu}\n`;
    })
    .join("");
}

type QueryDraft = { -readonly [K in keyof RouteQuery]: RouteQuery[K] };

function getRoute(argv: readonly string[], options: IpOptions, ns: NetNs): ToolOutput {
  if (argv[0] === "help") return ROUTE_USAGE;
  const words = new Words(argv);
  const query: QueryDraft = { ...TO_ANYWHERE };
  let named = false;
  let fibMatch = false;
  while (!words.done) {
    const word = words.next();
    if (takeQueryWord(query, word, words, ns)) continue;
    if (word === "fibmatch") fibMatch = true;
    else if (["vrf", "connected", "notify", "via"].includes(word))
      throw new NotModelledError(`ip route get ${word}`);
    else {
      query.daddr = prefixWord(word === "to" ? words.next() : word).addr;
      named = true;
    }
  }
  if (!named) throw new UsageError("need at least a destination address", 255);
  if (query.proto !== 0 && !GET_PROTOS.includes(query.proto))
    throw new SysError("EOPNOTSUPP", "Error: Unsupported ip proto.");
  if (fibMatch) {
    const found = routeMatch(ns, query);
    // While nobody changed the rules, the kernel finds all in one table.
    const filter = parseRouteFilter(ipv4Of(ns).rules.custom ? ["table", "all"] : [], ns);
    if (options.json) return ipOutput(`${toJson([routeJson(found, filter, options)])}\n`);
    return ipOutput(routeText(found, filter, options));
  }
  const answer = routeGet(ns, query);
  return ipOutput(options.json ? `${toJson([getJson(answer, query)])}\n` : getText(answer, query, options));
}

/** ICMP, TCP, UDP. */
const GET_PROTOS: readonly number[] = [1, 6, 17];

function takeQueryWord(query: QueryDraft, word: string, words: Words, ns: NetNs): boolean {
  if (word === "from") query.saddr = prefixWord(words.next(), "inet").addr;
  else if (word === "oif" || word === "dev") query.oif = deviceNamed(ns, words.next()).ifindex;
  else if (word === "iif") query.iif = deviceNamed(ns, words.next());
  else if (word === "mark") query.mark = numberWord(words.next(), "invalid mark value") | 0;
  else if (word === "tos" || word === "dsfield")
    query.tos = numberWord(words.next(), "TOS value is invalid\n");
  else if (word === "uid") query.uid = numberWord(words.next(), "invalid UID\n");
  else if (word === "ipproto") query.proto = ipProtoWord(words.next());
  else if (word === "sport") query.sport = portWord(words.next(), "sport");
  else if (word === "dport") query.dport = portWord(words.next(), "dport");
  else return false;
  return true;
}

/** A port of `ip route get`. */
function portWord(text: string, what: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 0xffff) throw invarg(`invalid ${what}\n`, text);
  return port;
}

function flushRoutes(argv: readonly string[], options: IpOptions, ns: NetNs): ToolOutput {
  if (argv.length === 0) throw new UsageError('"ip route flush" requires arguments.', 255);
  const filter: RouteFilter = parseRouteFilter(argv, ns);
  if (filter.cache) {
    routeFlushCache(ns);
    return ipOutput("");
  }
  if (isMissing(filter, routeDump(ns)))
    return { stdout: "", stderr: "Error: ipv4: FIB table does not exist.\nFlush terminated\n", status: 2 };
  const count = routeFlush(ns, (alias) => routeMatches(filter, alias));
  return ipOutput(count === 0 && options.stats ? "Nothing to flush.\n" : "");
}

type Draft = { -readonly [K in keyof RouteSpec]: RouteSpec[K] };

/** The words of a route; what is left out is absent. */
export function parseRoute(argv: readonly string[], ns: NetNs): RouteSpec {
  const words = new Words(argv);
  const draft: Draft = { dst: 0, dstLen: 0 };
  let named = false;
  while (!words.done) {
    const word = words.next();
    if (takeOption(draft, word, words, ns)) continue;
    if (named && word !== "to") {
      throw new UsageError(`Error: either "to" is duplicate, or "${word}" is a garbage.`, 255);
    }
    named = takeDestination(draft, word === "to" ? words.next() : word);
  }
  if (!named && argv.length === 0) throw new UsageError(ROUTE_HELP.trimEnd(), 255);
  return draft;
}

/** A type in front of the prefix, or the prefix; true when the prefix was it. */
function takeDestination(draft: Draft, word: string): boolean {
  if (ROUTE_TYPES.has(word)) {
    draft.type = ROUTE_TYPES.parse(word);
    return false;
  }
  const prefix = prefixWord(word);
  draft.dst = prefix.addr;
  draft.dstLen = prefix.len;
  return true;
}

function takeOption(draft: Draft, word: string, words: Words, ns: NetNs): boolean {
  if (word === "via") {
    const next = words.next();
    draft.gateway = ip4Word(next === "inet" ? words.next() : next);
  } else if (word === "dev" || word === "oif") draft.dev = deviceNamed(ns, words.next());
  else if (word === "src") draft.prefSrc = ip4Word(words.next());
  else if (["metric", "priority", "preference"].includes(word)) {
    draft.metric = numberWord(words.next(), '"metric" value is invalid\n');
  } else if (word === "table") draft.table = TABLES.parse(words.next());
  else if (word === "proto" || word === "protocol") draft.protocol = PROTOCOLS.parse(words.next());
  else if (word === "scope") draft.scope = SCOPES.parse(words.next());
  else if (word === "tos" || word === "dsfield")
    draft.tos = numberWord(words.next(), '"tos" value is invalid\n');
  else if (word === "onlink") draft.onlink = true;
  else if (word === "mtu") {
    const next = words.next();
    draft.mtuLocked = next === "lock";
    draft.mtu = numberWord(draft.mtuLocked ? words.next() : next, '"mtu" value is invalid\n');
  } else if (word === "nhid") draft.nhId = numberWord(words.next(), '"id" value is invalid\n');
  else if (word === "nexthop") {
    draft.paths = parseNexthops(words, ns);
  } else if (word === "congctl") congestionControl(words);
  else if (NOT_MODELLED.has(word)) throw new NotModelledError(`ip route: ${word}`);
  else return false;
  return true;
}

/** One that the kernel has none of is refused; another one than the socket's is not modelled for a route. */
function congestionControl(words: Words): void {
  const next = words.next();
  const name = next === "lock" ? words.next() : next;
  if (name === "cubic" || name === "reno") throw new NotModelledError(`ip route: congctl ${name}`);
  throw new SysError("EINVAL", "Error: Unknown tcp congestion algorithm.");
}

const NOT_MODELLED = new Set(
  "encap weight advmss rtt rttvar window cwnd initcwnd initrwnd hoplimit realms features quickack".split(" "),
);
