/** The text of a route (iproute2 6.1 ip/iproute.c print_route). */

import { RTN_BROADCAST, RTN_LOCAL, RTN_MULTICAST, RTN_UNICAST } from "../../net/core/dst.ts";
import type { RouteAnswer } from "../../net/ctl/route.ts";
import { type FibAlias, RT_TABLE_MAIN, RTPROT_BOOT } from "../../net/ipv4/fib.ts";
import { formatIp4 } from "../../wire/address.ts";
import type { IpOptions } from "./ip-options.ts";
import type { RouteFilter } from "./route-filter.ts";
import { PROTOCOLS, ROUTE_TYPES, SCOPES, TABLES } from "./words.ts";

/** A route's attributes in the order in which they are printed. */
type Attributes = Map<string, unknown>;

function destination(alias: FibAlias): string {
  if (alias.prefixLen === 0 && alias.dst === 0) return "default";
  const addr = formatIp4(alias.dst);
  return alias.prefixLen === 32 ? addr : `${addr}/${alias.prefixLen}`;
}

/** What is shown of a route: what the filter pins down is left out. */
function attributesOf(alias: FibAlias, filter: RouteFilter, details: boolean): Attributes {
  const out: Attributes = new Map();
  if (alias.type !== RTN_UNICAST || details) out.set("type", ROUTE_TYPES.text(alias.type));
  out.set("dst", destination(alias));
  if (alias.tos !== 0) out.set("tos", `0x${alias.tos.toString(16)}`);
  if (alias.gateway !== 0 && filter.via === null) out.set("gateway", formatIp4(alias.gateway));
  if (alias.dev !== null && filter.dev === null) out.set("dev", alias.dev.name);
  if ((alias.table !== RT_TABLE_MAIN || details) && filter.table === 0)
    out.set("table", TABLES.text(alias.table));
  if ((alias.protocol !== RTPROT_BOOT || details) && filter.protocol < 0) {
    out.set("protocol", PROTOCOLS.text(alias.protocol));
  }
  if ((alias.scope !== 0 || details) && filter.scope < 0) out.set("scope", SCOPES.text(alias.scope));
  if (alias.prefSrc !== 0) out.set("prefsrc", formatIp4(alias.prefSrc));
  if (alias.metric !== 0) out.set("metric", alias.metric);
  const flags: string[] = [];
  if (alias.onlink) flags.push("onlink");
  if (alias.linkDown) flags.push("linkdown");
  out.set("flags", flags);
  if (alias.mtu !== 0) out.set("metrics", [{ mtu: alias.mtu }]);
  return out;
}

/** Words in front of an attribute's value. */
const LABELS: Record<string, string> = {
  tos: "tos",
  from: "from",
  gateway: "via",
  dev: "dev",
  table: "table",
  protocol: "proto",
  scope: "scope",
  prefsrc: "src",
  metric: "metric",
  mark: "mark",
  uid: "uid",
};

function render(attributes: Attributes): string {
  let text = "";
  for (const [key, value] of attributes) {
    if (key === "flags") text += (value as string[]).map((flag) => `${flag} `).join("");
    else if (key === "metrics") text += (value as { mtu: number }[]).map(({ mtu }) => `mtu ${mtu} `).join("");
    else text += LABELS[key] === undefined ? `${value} ` : `${LABELS[key]} ${value} `;
  }
  return text;
}

/** One line of `ip route show`. */
export function routeText(alias: FibAlias, filter: RouteFilter, options: IpOptions): string {
  return `${render(attributesOf(alias, filter, options.details))}\n`;
}

export function routeJson(alias: FibAlias, filter: RouteFilter, options: IpOptions): Record<string, unknown> {
  return Object.fromEntries(attributesOf(alias, filter, options.details));
}

export interface GetQuery {
  readonly daddr: number;
  readonly from: number;
  readonly mark: number;
}

/** Flags of the cache line. */
function cacheFlags(type: number): string[] {
  if (type === RTN_LOCAL) return ["local"];
  if (type === RTN_BROADCAST) return ["local", "brd"];
  return type === RTN_MULTICAST ? ["mc"] : [];
}

function getAttributes(answer: RouteAnswer, query: GetQuery): Attributes {
  const { dst } = answer;
  const out: Attributes = new Map();
  if (dst.type !== RTN_UNICAST) out.set("type", ROUTE_TYPES.text(dst.type));
  out.set("dst", formatIp4(query.daddr));
  if (query.from !== 0) out.set("from", formatIp4(query.from));
  if (dst.gateway !== 0) out.set("gateway", formatIp4(dst.gateway));
  out.set("dev", dst.dev.name);
  if (answer.table !== RT_TABLE_MAIN) out.set("table", TABLES.text(answer.table));
  if (query.from === 0) out.set("prefsrc", formatIp4(answer.source));
  out.set("flags", []);
  if (query.mark !== 0) out.set("mark", `0x${query.mark.toString(16)}`);
  out.set("uid", 0);
  return out;
}

/** The answer of `ip route get`. */
export function getText(answer: RouteAnswer, query: GetQuery, options: IpOptions): string {
  const { learnt } = answer;
  const flags = cacheFlags(answer.dst.type);
  if (learnt?.redirected === true) flags.push("redirected");
  const mtu = learnt?.mtu || answer.dst.mtu;
  const lock = learnt?.locked === true ? "lock " : "";
  const cache = [
    flags.length > 0 ? `<${flags.join(",")}> ` : "",
    learnt === null ? "" : `expires ${learnt.expiresSec}sec `,
    mtu === 0 ? "" : `mtu ${lock}${mtu} `,
  ].join("");
  const line = options.oneline ? "\\" : "\n";
  return `${render(getAttributes(answer, query))}${line}    cache ${cache}\n`;
}

export function getJson(answer: RouteAnswer, query: GetQuery): Record<string, unknown> {
  const attributes = getAttributes(answer, query);
  attributes.set("cache", cacheFlags(answer.dst.type));
  const { learnt } = answer;
  if (learnt !== null) attributes.set("expires", learnt.expiresSec);
  const mtu = learnt?.mtu || answer.dst.mtu;
  if (mtu !== 0) attributes.set("metrics", [{ mtu }]);
  return Object.fromEntries(attributes);
}
