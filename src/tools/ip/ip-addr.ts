/** `ip address`: show, add, replace, del, flush (iproute2 6.1 ip/ipaddress.c). */
import type { NetDevice } from "../../net/core/net-device.ts";
import {
  type AddressSpec,
  addressAdd,
  addressDel,
  addressesOf,
  addressFlush,
  addressLife,
  addressReplace,
} from "../../net/ctl/address.ts";
import { IFA_F_NOPREFIXROUTE, IFA_F_SECONDARY, type IfAddr } from "../../net/ipv4/in-device.ts";
import { NotModelledError, SysError, UsageError } from "../../util/errors.ts";
import { formatIp4, parseIp4, prefixToMask } from "../../wire/address.ts";
import type { ToolContext, ToolOutput } from "../tool.ts";
import { ADDRESS_HELP } from "./help-text.ts";
import { type IpOptions, ipOutput } from "./ip-options.ts";
import { type LinkFilter, linksOf, parseLinkFilter } from "./link-filter.ts";
import { briefHead, linkJson, linkText, toJson } from "./link-format.ts";
import { statsJson, statsText } from "./link-stats.ts";
import { deviceNamed, invarg } from "./words.ts";

const SCOPES: readonly (readonly [number, string])[] = [
  [0, "global"],
  [200, "site"],
  [253, "link"],
  [254, "host"],
  [255, "nowhere"],
];

/** `ip address ARGV`. */
export function ipAddr(argv: readonly string[], options: IpOptions, context: ToolContext): ToolOutput {
  const [command = "show", ...rest] = argv;
  if (matches(command, ["show", "list", "lst"])) return ipOutput(showAddresses(rest, options, context));
  if (matches(command, ["add"])) return changeAddress(rest, context, "add");
  if (matches(command, ["replace", "change"])) return changeAddress(rest, context, "replace");
  if (matches(command, ["delete"])) return changeAddress(rest, context, "del");
  if (matches(command, ["flush"])) {
    for (const dev of linksOf(context.ns, parseLinkFilter(rest, context.ns))) addressFlush(dev);
    return ipOutput("");
  }
  if (command === "help") return { stdout: "", stderr: ADDRESS_HELP, status: 255 };
  throw new UsageError(`Command "${command}" is unknown, try "ip address help".`, 255);
}

/** Words may be cut short, as iproute2 allows. */
function matches(word: string, commands: readonly string[]): boolean {
  return word !== "" && commands.some((command) => command.startsWith(word));
}

function showAddresses(argv: readonly string[], options: IpOptions, context: ToolContext): string {
  const filter = parseLinkFilter(argv, context.ns);
  const shown = linksOf(context.ns, filter)
    .map((dev) => ({ dev, addresses: options.family === 6 ? [] : filterAddresses(dev, filter) }))
    .filter(({ addresses }) => addresses.length > 0 || (options.family === 0 && !selective(filter)));
  if (options.json)
    return `${toJson(shown.map(({ dev, addresses }) => addrJson(dev, addresses, options)))}\n`;
  if (options.brief)
    return shown
      .map(({ dev, addresses }) => {
        const list = addresses.map((ifa) => `${formatIp4(ifa.local)}/${ifa.prefixLen} `).join("");
        return `${briefHead(dev)}${list}\n`;
      })
      .join("");
  return shown.map(({ dev, addresses }) => addrText(dev, addresses, options)).join("");
}

/** Whether the filter is about addresses, so that devices without any are left out. */
function selective(filter: LinkFilter): boolean {
  return filter.to !== null || filter.scope !== null || filter.label !== null;
}

function filterAddresses(dev: NetDevice, filter: LinkFilter): IfAddr[] {
  return addressesOf(dev).filter((ifa) => {
    if (filter.scope !== null && scopeName(ifa.scope) !== filter.scope) return false;
    if (filter.label !== null && ifa.label !== filter.label) return false;
    if (filter.to === null) return true;
    return ((ifa.local ^ filter.to.addr) & prefixToMask(filter.to.prefixLen)) === 0;
  });
}

function addrText(dev: NetDevice, addresses: readonly IfAddr[], options: IpOptions): string {
  if (options.oneline)
    return addresses
      .map((ifa) => `${dev.ifindex}: ${dev.name}    ${ifaText(dev, ifa)}\\${lifeText(dev, ifa)}\n`)
      .join("");
  const lines = addresses.map((ifa) => `    ${ifaText(dev, ifa)}\n${lifeText(dev, ifa)}\n`);
  const stats = options.stats ? `${statsText(dev, "\n")}\n` : "";
  return linkText(dev, options, false) + lines.join("") + stats;
}

function lifeText(dev: NetDevice, ifa: IfAddr): string {
  const life = addressLife(dev, ifa);
  const text = (seconds: number) => (Number.isFinite(seconds) ? `${seconds}sec` : "forever");
  const { valid, preferred } = life ?? ENDLESS;
  return `       valid_lft ${text(valid)} preferred_lft ${text(preferred)}`;
}

const ENDLESS = { valid: Number.POSITIVE_INFINITY, preferred: Number.POSITIVE_INFINITY };
const FOREVER = 0xffffffff;

function scopeName(scope: number): string {
  return SCOPES.find(([number]) => number === scope)?.[1] ?? String(scope);
}

/** Words and flags that say how long it lasts. */
function lifeFlags(dev: NetDevice, ifa: IfAddr): string[] {
  const life = addressLife(dev, ifa);
  if (life === null) return [];
  return life.preferred === 0 ? ["deprecated", "dynamic"] : ["dynamic"];
}

function ifaText(dev: NetDevice, ifa: IfAddr): string {
  let text = `inet ${formatIp4(ifa.local)}`;
  if (ifa.address !== ifa.local) text += ` peer ${formatIp4(ifa.address)}`;
  text += `/${ifa.prefixLen} `;
  if (ifa.metric !== 0) text += `metric ${ifa.metric} `;
  if (ifa.broadcast !== 0) text += `brd ${formatIp4(ifa.broadcast)} `;
  text += `scope ${scopeName(ifa.scope)} `;
  if ((ifa.flags & IFA_F_SECONDARY) !== 0) text += "secondary ";
  for (const flag of lifeFlags(dev, ifa)) text += `${flag} `;
  if ((ifa.flags & IFA_F_NOPREFIXROUTE) !== 0) text += "noprefixroute ";
  return text + ifa.label;
}

function addrJson(dev: NetDevice, addresses: readonly IfAddr[], options: IpOptions): Record<string, unknown> {
  const info = addresses.map((ifa) => {
    const out: Record<string, unknown> = { family: "inet", local: formatIp4(ifa.local) };
    if (ifa.address !== ifa.local) out.address = formatIp4(ifa.address);
    out.prefixlen = ifa.prefixLen;
    if (ifa.metric !== 0) out.metric = ifa.metric;
    if (ifa.broadcast !== 0) out.broadcast = formatIp4(ifa.broadcast);
    out.scope = scopeName(ifa.scope);
    if ((ifa.flags & IFA_F_SECONDARY) !== 0) out.secondary = true;
    for (const flag of lifeFlags(dev, ifa)) out[flag] = true;
    if ((ifa.flags & IFA_F_NOPREFIXROUTE) !== 0) out.noprefixroute = true;
    const { valid, preferred } = addressLife(dev, ifa) ?? ENDLESS;
    return {
      ...out,
      label: ifa.label,
      valid_life_time: Math.min(valid, FOREVER),
      preferred_life_time: Math.min(preferred, FOREVER),
    };
  });
  const stats = options.stats ? { stats64: statsJson(dev) } : {};
  return { ...linkJson(dev, options, false), addr_info: info, ...stats };
}

type Change = "add" | "replace" | "del";

function changeAddress(argv: readonly string[], context: ToolContext, change: Change): ToolOutput {
  const request = parseRequest(argv);
  if (request.dev === "") throw new UsageError(`Not enough information: "dev" argument is required.`, 255);
  const dev = deviceNamed(context.ns, request.dev);
  const { spec } = request;
  if (change === "del") {
    addressDel(dev, spec.local, spec.prefixLen);
    return ipOutput("");
  }
  if (change === "replace") addressReplace(dev, spec);
  else addressAdd(dev, spec);
  return ipOutput("");
}

function parseRequest(argv: readonly string[]): { dev: string; spec: AddressSpec } {
  const spec: { -readonly [K in keyof AddressSpec]: AddressSpec[K] } = { local: 0, prefixLen: 32 };
  let dev = "";
  let seen = false;
  let broadcast = "";
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i];
    if (word === "dev") dev = need(argv, ++i);
    else if (word === "brd" || word === "broadcast") broadcast = need(argv, ++i);
    else if (word === "scope") spec.scope = scopeNumber(need(argv, ++i));
    else if (word === "label") spec.label = need(argv, ++i);
    else if (word === "metric" || word === "priority") spec.metric = Number(need(argv, ++i));
    else if (word === "peer" || word === "remote") {
      const { addr, prefixLen } = prefix(need(argv, ++i));
      spec.peer = addr;
      spec.prefixLen = prefixLen;
    } else if (word === "nodad") continue;
    else if (word === "valid_lft") {
      spec.validSec = lifeWord(word, need(argv, ++i));
      if (spec.validSec === 0) throw new UsageError("valid_lft is zero", 1);
    } else if (word === "preferred_lft") spec.preferredSec = lifeWord(word, need(argv, ++i));
    else if (word === "noprefixroute") spec.flags = IFA_F_NOPREFIXROUTE;
    else if (["home", "anycast"].includes(word)) throw new NotModelledError(`ip address ${word}`);
    else {
      const { addr, prefixLen } = prefix(word === "local" ? need(argv, ++i) : word);
      if (seen) throw new UsageError(`Error: either "local" is duplicate, or "${word}" is a garbage.`, 255);
      seen = true;
      spec.local = addr;
      spec.prefixLen = prefixLen;
    }
  }
  if (!seen && dev !== "") throw new SysError("EINVAL", dev);
  const forever = Number.POSITIVE_INFINITY;
  if ((spec.preferredSec ?? forever) > (spec.validSec ?? forever))
    throw new UsageError("preferred_lft is greater than valid_lft", 1);
  if (broadcast !== "") spec.broadcast = broadcastOf(broadcast, spec);
  return { dev, spec };
}

function lifeWord(word: string, text: string): number {
  if (text === "forever") return Number.POSITIVE_INFINITY;
  if (!/^\d+$/.test(text)) throw invarg(`${word} value`, text);
  return Number(text);
}

function need(argv: readonly string[], i: number): string {
  if (i >= argv.length) throw new UsageError('Command line is not complete. Try option "help"', 255);
  return argv[i];
}

function prefix(text: string): { addr: number; prefixLen: number } {
  const [host, length] = text.split("/");
  const addr = parseIp4(host);
  const prefixLen = length === undefined ? 32 : Number(length);
  if (text.includes(":")) throw new NotModelledError(`IPv6 address ${text}`);
  if (addr === null || length === "" || !Number.isInteger(prefixLen) || prefixLen < 0 || prefixLen > 32)
    throw new UsageError(`Error: any valid prefix is expected rather than "${text}".`, 1);
  return { addr, prefixLen };
}

/** `+`: all host bits one, `-`: all zero, else an address. */
function broadcastOf(text: string, spec: AddressSpec): number {
  const mask = prefixToMask(spec.prefixLen);
  if (text === "+") return (spec.local & mask) | ~mask;
  if (text === "-") return spec.local & mask;
  return prefix(text).addr;
}

function scopeNumber(text: string): number {
  const known = SCOPES.find(([, name]) => name === text);
  const number = known?.[0] ?? Number(text);
  if (!Number.isInteger(number)) throw invarg("invalid scope value.", text);
  return number;
}
