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
  routeGet,
} from "../../net/ctl/route.ts";
import type { FibInsertMode } from "../../net/ipv4/fib-table.ts";
import { NotModelledError, UsageError } from "../../util/errors.ts";
import { formatIp4 } from "../../wire/address.ts";
import type { ToolContext, ToolOutput } from "../tool.ts";
import { type IpOptions, ipOutput } from "./ip-options.ts";
import { toJson } from "./link-format.ts";
import { parseRouteFilter, type RouteFilter, routeMatches } from "./route-filter.ts";
import { getJson, getText, routeJson, routeText } from "./route-format.ts";
import {
  deviceNamed,
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
  if (isCommand(command, "get")) return getRoute(rest, options, context.ns);
  for (const [name, mode] of MODES) {
    if (!name.startsWith(command) || command === "") continue;
    routeAdd(context.ns, parseRoute(rest, context.ns, false), mode);
    return ipOutput("");
  }
  if (isCommand(command, "delete")) {
    routeDel(context.ns, parseRoute(rest, context.ns, true));
    return ipOutput("");
  }
  if (isCommand(command, "flush")) return flushRoutes(rest, options, context.ns);
  if (["help", "save", "restore", "showdump"].includes(command))
    throw new NotModelledError(`ip route ${command}`);
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

function getRoute(argv: readonly string[], options: IpOptions, ns: NetNs): ToolOutput {
  const words = new Words(argv);
  let daddr: number | null = null;
  let from = 0;
  let oif = 0;
  let mark = 0;
  while (!words.done) {
    const word = words.next();
    if (word === "from") from = ip4Word(words.next());
    else if (word === "oif" || word === "dev") oif = deviceNamed(ns, words.next()).ifindex;
    else if (word === "mark") mark = numberWord(words.next(), 'Invalid "mark" value') | 0;
    else if (word === "uid") words.next();
    else if (
      ["iif", "tos", "vrf", "ipproto", "sport", "dport", "fibmatch", "connected", "notify"].includes(word)
    ) {
      throw new NotModelledError(`ip route get ${word}`);
    } else daddr = prefixWord(word === "to" ? words.next() : word).addr;
  }
  if (daddr === null) throw new UsageError("need at least a destination address", 255);
  const answer = routeGet(ns, daddr, from, oif, mark);
  const query = { daddr, from, mark };
  return ipOutput(options.json ? `${toJson([getJson(answer, query)])}\n` : getText(answer, query, options));
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

/** The words of a route; a deletion says nothing of what it leaves out. */
export function parseRoute(argv: readonly string[], ns: NetNs, deleting: boolean): RouteSpec {
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
  if (!named && argv.length === 0) throw new NotModelledError("ip route help");
  if (deleting && draft.type === undefined) return draft;
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
    draft.metric = numberWord(words.next(), '"metric" value is invalid');
  } else if (word === "table") draft.table = TABLES.parse(words.next());
  else if (word === "proto" || word === "protocol") draft.protocol = PROTOCOLS.parse(words.next());
  else if (word === "scope") draft.scope = SCOPES.parse(words.next());
  else if (word === "tos" || word === "dsfield")
    draft.tos = numberWord(words.next(), '"tos" value is invalid');
  else if (word === "onlink") draft.onlink = true;
  else if (word === "mtu") {
    const next = words.next();
    draft.mtu = numberWord(next === "lock" ? words.next() : next, '"mtu" value is invalid');
  } else if (NOT_MODELLED.has(word)) throw new NotModelledError(`ip route: ${word}`);
  else return false;
  return true;
}

const NOT_MODELLED = new Set(
  "nexthop nhid encap weight advmss rtt rttvar window cwnd initcwnd initrwnd hoplimit realms features quickack".split(
    " ",
  ),
);
