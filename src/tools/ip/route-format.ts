/** The text of a route (iproute2 6.1 ip/iproute.c print_route). */

import { RTN_BROADCAST, RTN_LOCAL, RTN_MULTICAST, RTN_UNICAST } from "../../net/core/dst.ts";
import { IFF_LOOPBACK } from "../../net/core/net-device.ts";
import type { RouteAnswer, RouteQuery } from "../../net/ctl/route-get.ts";
import { type FibAlias, RT_TABLE_MAIN, RTPROT_BOOT } from "../../net/ipv4/fib.ts";
import { formatIp4 } from "../../wire/address.ts";
import type { IpOptions } from "./ip-options.ts";
import type { RouteFilter } from "./route-filter.ts";
import { hopFlags, nexthopsJson, nexthopsText } from "./route-nexthop.ts";
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
  if (alias.nhId !== 0) out.set("nhid", alias.nhId);
  if (alias.tos !== 0) out.set("tos", `0x${alias.tos.toString(16)}`);
  const single = alias.paths.length === 0;
  if (single && alias.gateway !== 0 && filter.via === null) out.set("gateway", formatIp4(alias.gateway));
  if (alias.nhId !== 0 && alias.dev === null) out.set("dev", "lo");
  if (single && alias.dev !== null && filter.dev === null) out.set("dev", alias.dev.name);
  if ((alias.table !== RT_TABLE_MAIN || details) && filter.table === 0)
    out.set("table", TABLES.text(alias.table));
  if ((alias.protocol !== RTPROT_BOOT || details) && filter.protocol < 0) {
    out.set("protocol", PROTOCOLS.text(alias.protocol));
  }
  if ((alias.scope !== 0 || details) && filter.scope < 0) out.set("scope", SCOPES.text(alias.scope));
  if (alias.prefSrc !== 0) out.set("prefsrc", formatIp4(alias.prefSrc));
  if (alias.metric !== 0) out.set("metric", alias.metric);
  out.set("flags", single ? hopFlags(alias) : []);
  if (alias.mtu !== 0) out.set("metrics", [{ mtu: alias.mtu }]);
  return out;
}

/** Words in front of an attribute's value. */
const LABELS: Record<string, string> = {
  nhid: "nhid",
  tos: "tos",
  from: "from",
  gateway: "via",
  dev: "dev",
  table: "table",
  protocol: "proto",
  scope: "scope",
  prefsrc: "src",
  metric: "metric",
  uid: "uid",
};

/** Small marks are written as they are. */
function markText(mark: number): string {
  return mark >= 16 ? `0x${mark.toString(16)}` : String(mark);
}

function render(attributes: Attributes, lock = ""): string {
  let text = "";
  for (const [key, value] of attributes) {
    if (key === "flags") text += (value as string[]).map((flag) => `${flag} `).join("");
    else if (key === "metrics")
      text += (value as { mtu: number }[]).map(({ mtu }) => `mtu ${lock}${mtu} `).join("");
    else if (key === "mark") text += `mark ${markText(value as number)} `;
    else text += LABELS[key] === undefined ? `${value} ` : `${LABELS[key]} ${value} `;
  }
  return text;
}

/** One line of `ip route show`. */
export function routeText(alias: FibAlias, filter: RouteFilter, options: IpOptions): string {
  const hops = nexthopsText(alias, options.oneline ? "\\" : "\n");
  const attributes = attributesOf(alias, filter, options.details);
  return `${render(attributes, alias.mtuLocked ? "lock " : "")}${hops}\n`;
}

export function routeJson(alias: FibAlias, filter: RouteFilter, options: IpOptions): Record<string, unknown> {
  const attributes = attributesOf(alias, filter, options.details);
  if (alias.paths.length > 0) attributes.set("nexthops", nexthopsJson(alias));
  return Object.fromEntries(attributes);
}

/** Flags of the cache line. */
function cacheFlags({ dst: { type, dev }, redirects }: RouteAnswer): string[] {
  if (redirects) return ["redirect"];
  if (type === RTN_UNICAST) return (dev.flags & IFF_LOOPBACK) !== 0 ? ["local"] : [];
  if (type === RTN_LOCAL) return ["local"];
  if (type === RTN_BROADCAST) return ["local", "brd"];
  return type === RTN_MULTICAST ? ["mc"] : [];
}

function getAttributes(answer: RouteAnswer, query: RouteQuery): Attributes {
  const { dst } = answer;
  const out: Attributes = new Map();
  if (dst.type !== RTN_UNICAST) out.set("type", ROUTE_TYPES.text(dst.type));
  out.set("dst", formatIp4(query.daddr));
  if (query.saddr !== 0) out.set("from", formatIp4(query.saddr));
  if (query.tos !== 0) out.set("tos", `0x${query.tos.toString(16)}`);
  if (dst.gateway !== 0) out.set("gateway", formatIp4(dst.gateway));
  out.set("dev", dst.dev.name);
  if (answer.table !== RT_TABLE_MAIN) out.set("table", TABLES.text(answer.table));
  const isInput = query.iif !== null;
  if (query.saddr === 0 && !isInput && answer.source !== 0) out.set("prefsrc", formatIp4(answer.source));
  // The bit of a group's route means this elsewhere (RTCF_MULTICAST, RTM_F_OFFLOAD_FAILED).
  out.set("flags", dst.type === RTN_MULTICAST && !isInput ? ["rt_offload_failed"] : []);
  if (query.mark !== 0) out.set("mark", query.mark >>> 0);
  if (!isInput) out.set("uid", query.uid);
  return out;
}

/** The answer of `ip route get`. */
export function getText(answer: RouteAnswer, query: RouteQuery, options: IpOptions): string {
  const { learnt } = answer;
  const flags = cacheFlags(answer);
  if (learnt?.redirected === true) flags.push("redirected");
  const mtu = learnt?.mtu || answer.dst.mtu;
  const lock = learnt?.locked === true || answer.dst.mtuLocked ? "lock " : "";
  const cache = [
    flags.length > 0 ? `<${flags.join(",")}> ` : "",
    learnt === null ? "" : `expires ${learnt.expiresSec}sec `,
    mtu === 0 ? "" : `mtu ${lock}${mtu} `,
    query.iif === null ? "" : `iif ${query.iif.name} `,
  ].join("");
  const line = options.oneline ? "\\" : "\n";
  return `${render(getAttributes(answer, query))}${line}    cache ${cache}\n`;
}

export function getJson(answer: RouteAnswer, query: RouteQuery): Record<string, unknown> {
  const attributes = getAttributes(answer, query);
  attributes.set("cache", cacheFlags(answer));
  const { learnt } = answer;
  if (learnt !== null) attributes.set("expires", learnt.expiresSec);
  const mtu = learnt?.mtu || answer.dst.mtu;
  if (mtu !== 0) attributes.set("metrics", [{ mtu }]);
  if (query.iif !== null) attributes.set("iif", query.iif.name);
  return Object.fromEntries(attributes);
}
