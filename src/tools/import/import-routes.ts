/** Addresses, routes, policy rules, neighbours and forwarding entries of a dump. */
import { z } from "zod";
import { addressAdd, addressesOf } from "../../net/ctl/address.ts";
import { fdbAdd, fdbAppend, fdbDump } from "../../net/ctl/fdb.ts";
import { linkGet } from "../../net/ctl/link.ts";
import { neighbourReplace } from "../../net/ctl/neighbour.ts";
import { type RouteSpec, routeAdd, routeDel, routeDump } from "../../net/ctl/route.ts";
import { ruleAdd, ruleDel, ruleDump } from "../../net/ctl/rule.ts";
import type { FibAlias } from "../../net/ipv4/fib.ts";
import { NUD_NOARP, NUD_PERMANENT } from "../../net/ipv4/neighbour.ts";
import { NotModelledError } from "../../util/errors.ts";
import { parseIp4, parseMac, prefixToMask } from "../../wire/address.ts";
import { parseRoute } from "../ip/ip-route.ts";
import { parseRule } from "../ip/rule-words.ts";
import { SCOPES } from "../ip/words.ts";
import { type ImportedNs, lineOf } from "./imported-ns.ts";
import { type AddressJson, ip4Addresses, jsonList, kindOf } from "./link-json.ts";
import type { Problems } from "./problems.ts";

const IFA_F_NOPREFIXROUTE = 0x200;
const values = z.record(z.string(), z.unknown());
type Values = z.infer<typeof values>;

/** An IPv4 address or a complaint. */
function ip4(text: string): number {
  const addr = parseIp4(text);
  if (addr === null) throw new NotModelledError(`the address ${text}`);
  return addr;
}

export function importAddresses(at: ImportedNs, problems: Problems): void {
  const line = lineOf(at, "addr");
  for (const link of at.links) {
    if (at.leftOut.has(link.ifname)) continue;
    for (const entry of ip4Addresses(link))
      problems.attempt(line, `${at.ns.name} ${link.ifname} ${entry.local}`, () =>
        addAddress(at, link.ifname, entry),
      );
    if ((link.addr_info ?? []).length > ip4Addresses(link).length) problems.note("IPv6 is left out");
  }
}

/** Loopback has got its address when it went up. */
function addAddress(at: ImportedNs, name: string, entry: AddressJson): void {
  const peer = entry.address ?? entry.peer;
  const dev = linkGet(at.ns, name);
  const local = ip4(entry.local);
  if (addressesOf(dev).some((ifa) => ifa.local === local && ifa.mask === prefixToMask(entry.prefixlen)))
    return;
  addressAdd(dev, {
    local,
    prefixLen: entry.prefixlen,
    scope: SCOPES.parse(entry.scope ?? "global"),
    label: entry.label ?? name,
    ...(peer === undefined ? {} : { peer: ip4(peer) }),
    ...(entry.broadcast === undefined ? {} : { broadcast: ip4(entry.broadcast) }),
    ...(entry.metric === undefined ? {} : { metric: entry.metric }),
    ...(entry.noprefixroute === true ? { flags: IFA_F_NOPREFIXROUTE } : {}),
  });
}

/** Flags of a next hop that tell its state, or of hardware. */
const STATE_FLAGS = new Set(["linkdown", "dead", "offload", "rt_offload", "trap", "rt_trap"]);
/** Words of `ip route` by the key of the JSON. */
const ROUTE_KEYS: Readonly<Record<string, string>> = {
  gateway: "via",
  dev: "dev",
  table: "table",
  protocol: "proto",
  scope: "scope",
  prefsrc: "src",
  metric: "metric",
  tos: "tos",
};

function routeWords(route: Values): string[] {
  const words: string[] = [];
  if (route.type !== undefined) words.push(String(route.type));
  words.push(String(route.dst));
  for (const [key, value] of Object.entries(route)) {
    if (key === "dst" || key === "type") continue;
    if (key === "flags") words.push(...flagWords(value as string[]));
    else if (key === "metrics") words.push(...(value as Values[]).flatMap(metricWords));
    else if (ROUTE_KEYS[key] !== undefined) words.push(ROUTE_KEYS[key], String(value));
    else throw new NotModelledError(`a route with ${key}`);
  }
  // What iproute2 leaves out is not what it fills in for a new route.
  if (route.scope === undefined) words.push("scope", "global");
  if (route.protocol === undefined) words.push("proto", "boot");
  return words;
}

function flagWords(flags: readonly string[]): string[] {
  for (const flag of flags)
    if (flag !== "onlink" && !STATE_FLAGS.has(flag))
      throw new NotModelledError(`a route with the flag ${flag}`);
  return flags.includes("onlink") ? ["onlink"] : [];
}

function metricWords(metrics: Values): string[] {
  return Object.entries(metrics).flatMap(([key, value]) => [key, String(value)]);
}

/** Whether the kernel has made the route by itself, with an address. */
function isThere(alias: FibAlias, spec: RouteSpec): boolean {
  const { type = 1, table = 254, gateway = 0, prefSrc = 0, metric = 0, tos = 0, mtu = 0 } = spec;
  return (
    alias.dst === spec.dst &&
    alias.prefixLen === spec.dstLen &&
    alias.type === type &&
    alias.table === table &&
    alias.gateway === gateway &&
    alias.prefSrc === prefSrc &&
    alias.metric === metric &&
    alias.tos === tos &&
    alias.mtu === mtu &&
    alias.scope === spec.scope &&
    alias.protocol === spec.protocol &&
    alias.dev === (spec.dev ?? null)
  );
}

/** The routes of the dump in place of those that came with the addresses. */
export function importRoutes(at: ImportedNs, problems: Problems): void {
  const section = at.dump.sections.get("route");
  if (section === undefined) return;
  const left = new Set(routeDump(at.ns));
  const missing: { text: string; spec: RouteSpec }[] = [];
  for (const route of jsonList(section, values, problems)) {
    if (String(route.dst).includes(":") || at.leftOut.has(String(route.dev))) continue;
    problems.attempt(section.line, `${at.ns.name} route ${String(route.dst)}`, () => {
      const spec = parseRoute(routeWords(route), at.ns);
      const alias = [...left].find((one) => isThere(one, spec));
      if (alias === undefined) missing.push({ text: String(route.dst), spec });
      else left.delete(alias);
    });
  }
  for (const alias of left) routeDel(at.ns, routeOf(alias));
  // A gateway must be on a link before the route over it.
  missing.sort((a, b) => Number((a.spec.gateway ?? 0) !== 0) - Number((b.spec.gateway ?? 0) !== 0));
  for (const { text, spec } of missing)
    problems.attempt(section.line, `${at.ns.name} route ${text}`, () => routeAdd(at.ns, spec, "append"));
}

function routeOf(alias: FibAlias): RouteSpec {
  const { dst, prefixLen, table, type, scope, protocol, prefSrc, metric, tos, gateway, dev } = alias;
  return {
    dst,
    dstLen: prefixLen,
    table,
    type,
    scope,
    protocol,
    prefSrc,
    metric,
    tos,
    gateway,
    ...(dev === null ? {} : { dev }),
  };
}

/** Words of `ip rule` by the key of the JSON; a prefix is made of two. */
const RULE_KEYS: Readonly<Record<string, string>> = {
  priority: "pref",
  tos: "tos",
  iif: "iif",
  oif: "oif",
  table: "lookup",
  suppress_prefixlen: "suppress_prefixlength",
  protocol: "proto",
};

function ruleWords(rule: Values): string[] {
  const words = "not" in rule ? ["not"] : [];
  for (const [key, value] of Object.entries(rule)) {
    if (["not", "srclen", "dstlen", "fwmask", "iif_detached", "oif_detached"].includes(key)) continue;
    if (key === "src") words.push("from", prefixText(value, rule.srclen));
    else if (key === "dst") words.push("to", prefixText(value, rule.dstlen));
    else if (key === "fwmark")
      words.push("fwmark", rule.fwmask === undefined ? String(value) : `${value}/${rule.fwmask}`);
    else if (key === "action") words.push(String(value));
    else if (RULE_KEYS[key] !== undefined) words.push(RULE_KEYS[key], String(value));
    else throw new NotModelledError(`ip rule: ${key}`);
  }
  return words;
}

function prefixText(address: unknown, length: unknown): string {
  return length === undefined ? String(address) : `${String(address)}/${String(length)}`;
}

/** The rules of the dump in place of the three that every namespace has, unless they are those. */
export function importRules(at: ImportedNs, problems: Problems): void {
  const section = at.dump.sections.get("rule");
  if (section === undefined) return;
  const standard = new Set(ruleDump(at.ns));
  for (const rule of jsonList(section, values, problems))
    problems.attempt(section.line, `${at.ns.name} rule ${String(rule.priority)}`, () => {
      const spec = parseRule(ruleWords(rule));
      const bare =
        rule.src === "all" &&
        Object.keys(rule).every((key) => ["priority", "src", "table", "protocol"].includes(key));
      const known = [...standard].find(
        (one) => bare && one.priority === spec.priority && one.table === spec.table,
      );
      if (known === undefined) ruleAdd(at.ns, { protocol: 0, ...spec });
      else standard.delete(known);
    });
  for (const { priority, table } of standard) ruleDel(at.ns, { priority, table });
}

const NEIGH_STATES: Readonly<Record<string, number>> = { PERMANENT: NUD_PERMANENT, NOARP: NUD_NOARP };

/** Entries that stay; what was learnt is learnt again. */
export function importNeighbours(at: ImportedNs, problems: Problems): void {
  const section = at.dump.sections.get("neigh");
  for (const entry of jsonList(section, values, problems)) {
    const { dst, dev, lladdr } = entry as { dst: string; dev: string; lladdr?: string };
    const state = ((entry.state ?? []) as string[])[0] ?? "";
    if (dst.includes(":") || at.leftOut.has(dev)) continue;
    problems.attempt(section!.line, `${at.ns.name} neighbour ${dst}`, () => {
      if ("proxy" in entry) throw new NotModelledError(`${at.ns.name}: proxy ARP for ${dst}`);
      const mac = parseMac(lladdr ?? "");
      if (NEIGH_STATES[state] === undefined || mac === null) return;
      neighbourReplace(linkGet(at.ns, dev), ip4(dst), mac.hi, mac.lo, NEIGH_STATES[state]);
    });
  }
}

/** Forwarding entries that do not age. Those that came with the devices are there. */
export function importFdb(at: ImportedNs, problems: Problems): void {
  const section = at.dump.sections.get("fdb");
  for (const entry of jsonList(section, values, problems)) {
    const name = String(entry.ifname);
    const { state } = entry;
    if (at.leftOut.has(name) || (state !== "permanent" && state !== "static")) continue;
    problems.attempt(section!.line, `${at.ns.name} fdb ${String(entry.mac)} ${name}`, () =>
      addForwarding(at, name, state, entry),
    );
  }
}

function addForwarding(at: ImportedNs, name: string, state: "permanent" | "static", entry: Values): void {
  const mac = parseMac(String(entry.mac))!;
  const dev = linkGet(at.ns, name);
  const vlan = entry.vlan === undefined ? 0 : Number(entry.vlan);
  const base = { macHi: mac.hi, macLo: mac.lo, state };
  if (entry.master !== undefined) {
    const there = fdbDump(at.ns, { dev }).some(
      (one) => one.master !== null && one.macHi === mac.hi && one.macLo === mac.lo && one.vlan === vlan,
    );
    if (!there) fdbAdd(dev, { ...base, vlan, master: dev.name !== entry.master });
    return;
  }
  const link = at.links.find(({ ifname }) => ifname === name)!;
  if (kindOf(link) !== "vxlan") return;
  for (const key of ["viaIf", "nhid", "src_vni"])
    if (key in entry) throw new NotModelledError(`${at.ns.name} ${name}: a forwarding entry with ${key}`);
  fdbAppend(dev, {
    ...base,
    ...(entry.dst === undefined ? {} : { dst: ip4(String(entry.dst)) }),
    ...(entry.port === undefined ? {} : { port: Number(entry.port) }),
    ...(entry.vni === undefined ? {} : { vni: Number(entry.vni) }),
  });
}
