/** `ip neigh`: show, add, change, replace, del, flush, get (iproute2 6.1 ip/ipneigh.c). */

import type { NetDevice } from "../../net/core/net-device.ts";
import type { NetNs } from "../../net/core/net-ns.ts";
import {
  neighbourAdd,
  neighbourChange,
  neighbourDel,
  neighbourDump,
  neighbourFlush,
  neighbourHasAddress,
  neighbourReplace,
} from "../../net/ctl/neighbour.ts";
import {
  type Neighbour,
  NUD_DELAY,
  NUD_FAILED,
  NUD_INCOMPLETE,
  NUD_NOARP,
  NUD_NONE,
  NUD_PERMANENT,
  NUD_PROBE,
  NUD_REACHABLE,
  NUD_STALE,
} from "../../net/ipv4/neighbour.ts";
import { NotModelledError, SysError, UsageError } from "../../util/errors.ts";
import { formatIp4, formatMac, parseMac, prefixToMask } from "../../wire/address.ts";
import type { ToolContext, ToolOutput } from "../tool.ts";
import { NEIGH_HELP } from "./help-text.ts";
import { type IpOptions, ipOutput } from "./ip-options.ts";
import { toJson } from "./link-format.ts";
import { changeProxy, getProxy, showProxies } from "./neigh-proxy.ts";
import {
  deviceNamed,
  invarg,
  ip4Word,
  isCommand,
  PROTOCOLS,
  type Prefix,
  prefixWord,
  Words,
} from "./words.ts";

/** NTF_ROUTER */
const NTF_ROUTER = 0x80;

const STATES: readonly (readonly [string, number])[] = [
  ["INCOMPLETE", NUD_INCOMPLETE],
  ["REACHABLE", NUD_REACHABLE],
  ["STALE", NUD_STALE],
  ["DELAY", NUD_DELAY],
  ["PROBE", NUD_PROBE],
  ["FAILED", NUD_FAILED],
  ["NOARP", NUD_NOARP],
  ["PERMANENT", NUD_PERMANENT],
];

/** `ip neigh ARGV`. */
export function ipNeigh(argv: readonly string[], options: IpOptions, context: ToolContext): ToolOutput {
  const [command = "show", ...rest] = argv;
  const { ns } = context;
  if (rest.includes("proxy")) {
    if (isCommand(command, "show", "list", "lst")) return showProxies(rest, options, ns);
    if (isCommand(command, "get")) return getProxy(rest, ns);
    if (isCommand(command, "add", "replace", "delete"))
      return changeProxy(rest, ns, !isCommand(command, "delete"));
  }
  if (isCommand(command, "show", "list", "lst")) return showNeighbours(rest, options, ns);
  if (isCommand(command, "add")) return change(rest, ns, neighbourAdd);
  if (isCommand(command, "change", "chg")) return change(rest, ns, neighbourChange);
  if (isCommand(command, "replace")) return change(rest, ns, neighbourReplace);
  if (isCommand(command, "delete")) {
    const entry = parseEntry(rest, ns);
    neighbourDel(entry.dev, entry.ip);
    return ipOutput("");
  }
  if (isCommand(command, "get")) return getNeighbour(rest, options, ns);
  if (isCommand(command, "flush")) return flushNeighbours(rest, options, ns);
  if (isCommand(command, "help")) return { stdout: "", stderr: NEIGH_HELP, status: 255 };
  throw new UsageError(`Command "${command}" is unknown, try "ip neigh help".`, 255);
}

interface NeighFilter {
  dev: NetDevice | null;
  prefix: Prefix | null;
  /** NUD_* bits that are shown; 0: the usual ones. */
  states: number;
  unused: boolean;
}

function parseFilter(argv: readonly string[], ns: NetNs): NeighFilter {
  const filter: NeighFilter = { dev: null, prefix: null, states: 0, unused: false };
  const words = new Words(argv);
  while (!words.done) {
    const word = words.next();
    if (word === "dev") filter.dev = deviceNamed(ns, words.next());
    else if (word === "nud") filter.states |= stateWord(words.next());
    else if (word === "unused") filter.unused = true;
    else if (["proxy", "master", "vrf", "nomaster", "proto"].includes(word)) {
      throw new NotModelledError(`ip neigh show ${word}`);
    } else filter.prefix = prefixWord(word === "to" ? words.next() : word);
  }
  return filter;
}

function stateWord(word: string): number {
  if (word === "all") return 0xffff;
  if (word === "none") return 0x10000;
  const found = STATES.find(([name]) => name.toLowerCase().startsWith(word));
  if (found === undefined) throw invarg("nud state is bad", word);
  return found[1];
}

function selected(filter: NeighFilter, n: Neighbour): boolean {
  const usual = n.nudState !== NUD_NONE && (n.nudState & NUD_NOARP) === 0;
  if (filter.states === 0 ? !usual : (n.nudState & filter.states) === 0) return false;
  if (filter.dev !== null && n.dev !== filter.dev) return false;
  const { prefix } = filter;
  return prefix === null || ((n.ip ^ prefix.addr) & prefixToMask(prefix.len)) === 0;
}

function showNeighbours(argv: readonly string[], options: IpOptions, ns: NetNs): ToolOutput {
  const filter = parseFilter(argv, ns);
  if (options.family === 6) return ipOutput(options.json ? "[]\n" : "");
  const shown = neighbourDump(ns).filter((n) => selected(filter, n));
  if (options.json) return ipOutput(`${toJson(shown.map((n) => neighJson(n, filter, options)))}\n`);
  return ipOutput(shown.map((n) => neighText(n, filter, options)).join(""));
}

function stateNames(n: Neighbour): string[] {
  return STATES.filter(([, bit]) => (n.nudState & bit) !== 0).map(([name]) => name);
}

/** Seconds since use, confirmation, change. */
function ages(n: Neighbour): [number, number, number] {
  const now = n.dev.ns.kernel.sim.now;
  const seconds = (atNs: number) => Math.floor((now - atNs) / 1e9);
  return [seconds(n.usedNs), seconds(n.confirmedNs), seconds(n.updatedNs)];
}

function neighText(n: Neighbour, filter: NeighFilter, options: IpOptions): string {
  let text = `${formatIp4(n.ip)} `;
  if (filter.dev === null) text += `dev ${n.dev.name} `;
  if (neighbourHasAddress(n)) text += `lladdr ${formatMac(n.haHi, n.haLo)} `;
  if ((n.flags & NTF_ROUTER) !== 0) text += "router ";
  if (options.stats) text += ` used ${ages(n).join("/")}probes ${n.probes} `;
  for (const state of stateNames(n)) text += `${state} `;
  if (n.protocol !== 0) text += `proto ${PROTOCOLS.text(n.protocol)} `;
  return `${text}\n`;
}

function neighJson(n: Neighbour, filter: NeighFilter, options: IpOptions): Record<string, unknown> {
  const out: Record<string, unknown> = { dst: formatIp4(n.ip) };
  if (filter.dev === null) out.dev = n.dev.name;
  if (neighbourHasAddress(n)) out.lladdr = formatMac(n.haHi, n.haLo);
  if ((n.flags & NTF_ROUTER) !== 0) out.router = null;
  if (options.stats) {
    const [used, confirmed, updated] = ages(n);
    Object.assign(out, { used, confirmed, updated, probes: n.probes });
  }
  out.state = stateNames(n);
  return out;
}

interface Entry {
  readonly dev: NetDevice;
  readonly ip: number;
  readonly macHi: number;
  readonly macLo: number;
  readonly hasMac: boolean;
  readonly state: number;
  readonly flags: number;
}

function parseEntry(argv: readonly string[], ns: NetNs): Entry {
  const words = new Words(argv);
  let dev: NetDevice | null = null;
  let ip: number | null = null;
  let mac = { hi: 0, lo: 0 };
  let hasMac = false;
  let state = NUD_PERMANENT;
  let flags = 0;
  while (!words.done) {
    const word = words.next();
    if (word === "dev") dev = deviceNamed(ns, words.next());
    else if (word === "lladdr") {
      const text = words.next();
      const parsed = parseMac(text);
      if (parsed === null) throw new UsageError(`"${text}" is invalid lladdr.`, 255);
      mac = parsed;
      hasMac = true;
    } else if (word === "nud") state = stateWord(words.next());
    else if (word === "router") flags |= NTF_ROUTER;
    else if (["proxy", "extern_learn", "use", "managed", "proto"].includes(word)) {
      throw new NotModelledError(`ip neigh ${word}`);
    } else ip = ip4Word(word === "to" ? words.next() : word);
  }
  if (dev === null || ip === null)
    throw new UsageError("Device and destination are required arguments.", 255);
  return { dev, ip, macHi: mac.hi, macLo: mac.lo, hasMac, state, flags };
}

type Change = (
  dev: NetDevice,
  ip: number,
  macHi: number,
  macLo: number,
  state: number,
  flags: number,
) => void;

function change(argv: readonly string[], ns: NetNs, apply: Change): ToolOutput {
  const entry = parseEntry(argv, ns);
  const needsMac = (entry.state & (NUD_FAILED | NUD_INCOMPLETE)) === 0;
  if (needsMac && !entry.hasMac) throw new SysError("EINVAL");
  apply(entry.dev, entry.ip, entry.macHi, entry.macLo, entry.state, entry.flags);
  return ipOutput("");
}

function getNeighbour(argv: readonly string[], options: IpOptions, ns: NetNs): ToolOutput {
  const words = new Words(argv);
  let dev: NetDevice | null = null;
  let ip: number | null = null;
  while (!words.done) {
    const word = words.next();
    if (word === "dev") dev = deviceNamed(ns, words.next());
    else ip = ip4Word(word === "to" ? words.next() : word);
  }
  if (dev === null || ip === null) throw new UsageError("Device and address are required arguments.", 1);
  const found = neighbourDump(ns).find((n) => n.dev === dev && n.ip === ip);
  if (found === undefined) throw new SysError("ENOENT", "Error: Neighbour entry not found.");
  const filter: NeighFilter = { dev: null, prefix: null, states: 0xffff, unused: false };
  return ipOutput(neighText(found, filter, options));
}

function flushNeighbours(argv: readonly string[], options: IpOptions, ns: NetNs): ToolOutput {
  const filter = parseFilter(argv, ns);
  if (argv.length === 0) throw new UsageError("Flush requires arguments.", 255);
  const sparing = NUD_PERMANENT | NUD_NOARP;
  const count = neighbourFlush(ns, (n) => {
    if (filter.states === 0 && (n.nudState & sparing) !== 0) return false;
    return selected(filter, n);
  });
  return ipOutput(count === 0 && options.stats ? "Nothing to flush.\n" : "");
}
