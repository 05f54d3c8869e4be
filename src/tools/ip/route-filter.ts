/** What `ip route show` and `ip route flush` are asked for (iproute2 ip/iproute.c iproute_list_flush_or_save). */
import type { NetDevice } from "../../net/core/net-device.ts";
import type { NetNs } from "../../net/core/net-ns.ts";
import type { FibAlias } from "../../net/ipv4/fib.ts";
import { prefixToMask } from "../../wire/address.ts";
import {
  deviceNamed,
  ip4Word,
  isCommand,
  PROTOCOLS,
  type Prefix,
  prefixWord,
  ROUTE_TYPES,
  SCOPES,
  TABLES,
  Words,
} from "./words.ts";

export interface RouteFilter {
  /** 0: all tables. */
  table: number;
  cache: boolean;
  dev: NetDevice | null;
  /** -1: any. */
  protocol: number;
  scope: number;
  type: number;
  via: number | null;
  src: number | null;
  metric: number;
  /** Routes inside, routes around, exactly this prefix. */
  root: Prefix | null;
  match: Prefix | null;
  exact: Prefix | null;
}

export function parseRouteFilter(argv: readonly string[], ns: NetNs): RouteFilter {
  const filter: RouteFilter = {
    table: 254,
    cache: false,
    dev: null,
    protocol: -1,
    scope: -1,
    type: -1,
    via: null,
    src: null,
    metric: -1,
    root: null,
    match: null,
    exact: null,
  };
  const words = new Words(argv);
  while (!words.done) takeWord(filter, words.next(), words, ns);
  return filter;
}

function takeWord(filter: RouteFilter, word: string, words: Words, ns: NetNs): void {
  if (isCommand(word, "table")) takeTable(filter, words.next());
  else if (word === "cache" || word === "cloned") filter.cache = true;
  else if (word === "dev" || word === "oif") filter.dev = deviceNamed(ns, words.next());
  else if (isCommand(word, "protocol"))
    filter.protocol = PROTOCOLS.parse(words.next(), 'invalid "protocol"\n');
  else if (isCommand(word, "scope")) filter.scope = SCOPES.parse(words.next(), 'invalid "scope"\n');
  else if (word === "type") filter.type = ROUTE_TYPES.parse(words.next());
  else if (word === "via") filter.via = ip4Word(words.next());
  else if (word === "src") filter.src = ip4Word(words.next());
  else if (word === "metric") filter.metric = Number(words.next());
  else if (word === "root") filter.root = prefixWord(words.next());
  else if (word === "match") filter.match = prefixWord(words.next());
  else {
    const text = word === "exact" || word === "to" ? words.next() : word;
    filter.exact = prefixWord(text);
  }
}

function takeTable(filter: RouteFilter, word: string): void {
  if (word === "cache") filter.cache = true;
  else filter.table = word === "all" ? 0 : TABLES.parse(word, "table id value is invalid\n");
}

function within(inner: Prefix, outer: Prefix): boolean {
  return inner.len >= outer.len && ((inner.addr ^ outer.addr) & prefixToMask(outer.len)) === 0;
}

export function routeMatches(filter: RouteFilter, alias: FibAlias): boolean {
  const prefix: Prefix = { addr: alias.dst, len: alias.prefixLen };
  const single = alias.paths.length === 0;
  return (
    (filter.table === 0 || alias.table === filter.table) &&
    (filter.dev === null || (single && alias.dev === filter.dev)) &&
    (filter.protocol < 0 || alias.protocol === filter.protocol) &&
    (filter.scope < 0 || alias.scope === filter.scope) &&
    (filter.type < 0 || alias.type === filter.type) &&
    (filter.via === null || (single && alias.gateway === filter.via)) &&
    (filter.src === null || alias.prefSrc === filter.src) &&
    (filter.metric < 0 || alias.metric === filter.metric) &&
    (filter.root === null || within(prefix, filter.root)) &&
    (filter.match === null || within(filter.match, prefix)) &&
    (filter.exact === null || (prefix.len === filter.exact.len && prefix.addr === filter.exact.addr))
  );
}
