/** The command `bridge` (iproute2 6.1 bridge/fdb.c, link.c): forwarding databases and ports. */
import { bridgePortOf } from "../net/bridge/br-private.ts";
import type { NetDevice } from "../net/core/net-device.ts";
import {
  type FdbDumpEntry,
  type FdbSpec,
  fdbAdd,
  fdbAppend,
  fdbDel,
  fdbDump,
  fdbReplace,
} from "../net/ctl/fdb.ts";
import { type BrportSettings, linkSetBrport } from "../net/ctl/link-bridge.ts";
import { SEC } from "../sim/sim.ts";
import { NotModelledError, SysError, UsageError } from "../util/errors.ts";
import { formatIp4, formatMac, parseIp4, parseMac } from "../wire/address.ts";
import { FDB_HELP, fdbGet } from "./bridge-fdb-get.ts";
import { namedNetns } from "./ip/ip-netns.ts";
import { ipOutput, rtnetlinkFailure } from "./ip/ip-options.ts";
import { bridgeSlaveFields, fieldsText } from "./ip/link-detail.ts";
import { linkFlags, linkName, toJson } from "./ip/link-format.ts";
import { contextIn, type Tool, type ToolContext, type ToolOutput } from "./tool.ts";

export interface BridgeArgs {
  readonly details: boolean;
  readonly stats: boolean;
  readonly json: boolean;
  readonly object: "fdb" | "link";
  readonly words: readonly string[];
  /** `-n NS`, "" when not given. */
  readonly netns: string;
}

const FAILED = 255;
/** What the kernel refuses of `bridge fdb get`. */
const GET_REFUSED = 254;

function isFdbGet(args: BridgeArgs | null): boolean {
  return args?.object === "fdb" && args.words[0] === "get";
}

export const bridge: Tool<BridgeArgs, ToolOutput> = {
  name: "bridge",
  parse: parseBridge,
  run(args, outside) {
    const context = args.netns === "" ? outside : contextIn(outside, namedNetns(outside, args.netns));
    return args.object === "fdb" ? runFdb(args, context) : runLink(args, context);
  },
  render: (result) => result,
  failure: (error, args) =>
    error instanceof SysError ? rtnetlinkFailure(error, isFdbGet(args) ? GET_REFUSED : FAILED) : null,
};

function parseBridge(argv: readonly string[]): BridgeArgs {
  let details = false;
  let stats = false;
  let json = false;
  let netns = "";
  let i = 0;
  for (; i < argv.length && argv[i].startsWith("-"); i++) {
    const word = argv[i].replace(/^--?/, "");
    if (word !== "" && "netns".startsWith(word)) netns = argv[++i] ?? "";
    else if ("details".startsWith(word)) details = true;
    else if ("statistics".startsWith(word)) stats = true;
    else if ("json".startsWith(word)) json = true;
    else throw new NotModelledError(`bridge ${argv[i]}`);
  }
  const object = argv[i] ?? "";
  if (object === "") throw new NotModelledError("bridge without an object");
  for (const known of ["fdb", "link"] as const)
    if (known.startsWith(object))
      return { details, stats, json, object: known, words: argv.slice(i + 1), netns };
  if (["vlan", "mdb", "monitor", "vni"].includes(object)) throw new NotModelledError(`bridge ${object}`);
  throw new UsageError(`Object "${object}" is unknown, try "bridge help".`, FAILED);
}

/** In the order in which a shortened word is looked up (do_fdb). */
const FDB_VERBS = ["add", "append", "replace", "delete", "get", "show", "lst", "list", "flush"];
const FDB_CHANGES: Record<string, typeof fdbAdd> = {
  add: fdbAdd,
  append: fdbAppend,
  replace: fdbReplace,
  delete: fdbDel,
};

function runFdb(args: BridgeArgs, context: ToolContext): ToolOutput {
  const [command = "show", ...rest] = args.words;
  const verb = FDB_VERBS.find((name) => command !== "" && name.startsWith(command));
  if (verb === "show" || verb === "list" || verb === "lst") return ipOutput(showFdb(rest, args, context));
  const change = verb === undefined ? undefined : FDB_CHANGES[verb];
  if (change === undefined) {
    if (command === "help") return { stdout: "", stderr: FDB_HELP, status: FAILED };
    if (verb === "get") return oneFdb(fdbGet(rest, context), args, context);
    if (verb === "flush") throw new NotModelledError(`bridge fdb ${command}`);
    throw new UsageError(`Command "${command}" is unknown, try "bridge fdb help".`, FAILED);
  }
  const { dev, spec } = fdbWords(rest, context);
  change(dev, spec);
  return ipOutput("");
}

function oneFdb(entry: FdbDumpEntry, args: BridgeArgs, context: ToolContext): ToolOutput {
  if (args.json) return ipOutput(`${toJson([fdbJson(entry, true)])}\n`);
  return ipOutput(fdbText(entry, true, args.stats ? context.machine.kernel.sim.now : -1));
}

function device(name: string | undefined, context: ToolContext): NetDevice {
  const dev = context.ns.device(name ?? "");
  if (dev === undefined) throw new UsageError(`Cannot find device "${name ?? ""}"`, FAILED);
  return dev;
}

function showFdb(words: readonly string[], args: BridgeArgs, context: ToolContext): string {
  const filter: { dev?: NetDevice; br?: NetDevice } = {};
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    if (word === "br") filter.br = device(words[++i], context);
    else if (word === "brport" || word === "dev") filter.dev = device(words[++i], context);
    else if (["vlan", "state", "dynamic"].includes(word))
      throw new NotModelledError(`bridge fdb show ${word}`);
    else filter.dev = device(word, context);
  }
  const entries = fdbDump(context.ns, filter);
  const withDev = filter.dev === undefined;
  if (args.json) return `${toJson(entries.map((entry) => fdbJson(entry, withDev)))}\n`;
  const { now } = context.machine.kernel.sim;
  return entries.map((entry) => fdbText(entry, withDev, args.stats ? now : -1)).join("");
}

/** One line; `now` >= 0: with the seconds since the entry was used and updated. */
function fdbText(entry: FdbDumpEntry, withDev: boolean, now: number): string {
  let text = `${formatMac(entry.macHi, entry.macLo)} `;
  if (withDev) text += `dev ${entry.dev.name} `;
  if (entry.dst !== null) text += `dst ${formatIp4(entry.dst)} `;
  if (entry.vlan !== 0) text += `vlan ${entry.vlan} `;
  if (entry.port !== null) text += `port ${entry.port} `;
  if (entry.vni !== null) text += `vni ${entry.vni} `;
  if (entry.linkNetnsid >= 0) text += `link-netnsid ${entry.linkNetnsid} `;
  if (now >= 0) text += `used ${seconds(now - entry.usedNs)}/${seconds(now - entry.updatedNs)} `;
  text += entry.master === null ? "self " : `master ${entry.master.name} `;
  return `${text}${entry.state}\n`;
}

function seconds(ns: number): number {
  return Math.floor(ns / SEC);
}

function fdbJson(entry: FdbDumpEntry, withDev: boolean): Record<string, unknown> {
  const out: Record<string, unknown> = { mac: formatMac(entry.macHi, entry.macLo) };
  if (withDev) out.ifname = entry.dev.name;
  if (entry.dst !== null) out.dst = formatIp4(entry.dst);
  if (entry.vlan !== 0) out.vlan = entry.vlan;
  if (entry.port !== null) out.port = entry.port;
  if (entry.vni !== null) out.vni = entry.vni;
  if (entry.linkNetnsid >= 0) out.linkNetNsId = entry.linkNetnsid;
  out.flags = entry.master === null ? ["self"] : [];
  if (entry.master !== null) out.master = entry.master.name;
  out.state = entry.state;
  return out;
}

function fdbWords(words: readonly string[], context: ToolContext): { dev: NetDevice; spec: FdbSpec } {
  const spec: { -readonly [K in keyof FdbSpec]: FdbSpec[K] } = { macHi: 0, macLo: 0 };
  let dev: NetDevice | null = null;
  let mac = false;
  for (let i = 0; i < words.length; i++) {
    const word = words[i];
    if (word === "dev") dev = device(words[++i], context);
    else if (word === "dst") spec.dst = address(words[++i]);
    else if (word === "port") spec.port = number(words[++i], "invalid port");
    else if (word === "vni") spec.vni = number(words[++i], "invalid VNI");
    else if (word === "vlan") spec.vlan = number(words[++i], "invalid vlan");
    else if (word === "self") spec.master = false;
    else if (word === "master") spec.master = true;
    else if (word === "permanent" || word === "local") spec.state = "permanent";
    else if (word === "static" || word === "temp") spec.state = "static";
    else if (word === "dynamic") spec.state = "dynamic";
    else if (["via", "src_vni", "nhid", "router", "use", "extern_learn", "sticky"].includes(word))
      throw new NotModelledError(`bridge fdb ${word}`);
    else if (mac) throw new UsageError(`Error: duplicate "to": "${word}" is the second value.`, FAILED);
    else {
      const parsed = parseMac(word === "to" ? words[++i] : word);
      if (parsed === null) throw new UsageError(`"${word}" is invalid lladdr.`, FAILED);
      spec.macHi = parsed.hi;
      spec.macLo = parsed.lo;
      mac = true;
    }
  }
  if (dev === null || !mac) throw new UsageError("Device and address are required arguments.", FAILED);
  return { dev, spec };
}

function address(text: string | undefined): number {
  const addr = parseIp4(text ?? "");
  if (addr === null)
    throw new UsageError(`Error: any valid address is expected rather than "${text ?? ""}".`, 1);
  return addr;
}

function number(text: string | undefined, what: string): number {
  const value = Number(text ?? "");
  if (text === undefined || text === "" || !Number.isInteger(value) || value < 0)
    throw new UsageError(`Error: argument "${text ?? ""}" is wrong: ${what}`, FAILED);
  return value;
}

function runLink(args: BridgeArgs, context: ToolContext): ToolOutput {
  const [command = "show", ...rest] = args.words;
  if (command === "set") {
    linkSetWords(rest, context);
    return ipOutput("");
  }
  if (!["show", "list", "lst"].includes(command))
    throw new UsageError(`Command "${command}" is unknown, try "bridge link help".`, FAILED);
  if (args.json) throw new NotModelledError("bridge -j link");
  const only = rest[0] === "dev" ? device(rest[1], context) : null;
  let text = "";
  for (const dev of context.ns.devices())
    if (only === null || dev === only) text += portText(dev, args.details);
  return ipOutput(text);
}

/** Keys of a port that the second line of `bridge -d link` has. */
const DETAIL_KEYS = [
  "hairpin",
  "guard",
  "root_block",
  "fastleave",
  "learning",
  "flood",
  "mcast_flood",
  "bcast_flood",
  "mcast_router",
  "mcast_to_unicast",
  "neigh_suppress",
  "vlan_tunnel",
  "isolated",
  "locked",
];

function portText(dev: NetDevice, details: boolean): string {
  const port = bridgePortOf(dev);
  if (port === null) return "";
  const fields = bridgeSlaveFields(port);
  const line = `${dev.ifindex}: ${linkName(dev)}: <${linkFlags(dev).join(",")}> mtu ${dev.mtu} master ${port.br.dev.name} `;
  const text = `${line}${fieldsText(fields.slice(0, 3))}\n`;
  if (!details) return text;
  const more = DETAIL_KEYS.map((key) => fields.find((field) => field.text === key)!);
  return `${text}    ${fieldsText(more)}\n`;
}

const PORT_FLAGS: ReadonlyMap<string, keyof BrportSettings> = new Map([
  ["hairpin", "hairpin"],
  ["learning", "learning"],
  ["flood", "flood"],
  ["mcast_flood", "mcastFlood"],
  ["bcast_flood", "bcastFlood"],
  ["isolated", "isolated"],
]);

function linkSetWords(words: readonly string[], context: ToolContext): void {
  const settings: { -readonly [K in keyof BrportSettings]: BrportSettings[K] } = {};
  let dev: NetDevice | null = null;
  for (let i = 0; i < words.length; i += 2) {
    const [word, value] = [words[i], words[i + 1]];
    const key = PORT_FLAGS.get(word);
    if (word === "dev") dev = device(value, context);
    else if (key === undefined) throw new NotModelledError(`bridge link set ${word}`);
    else if (value === "on" || value === "off") settings[key] = value === "on";
    else
      throw new UsageError(
        `Error: argument of "${word}" must be "on" or "off", not "${value ?? ""}"`,
        FAILED,
      );
  }
  if (dev === null) throw new UsageError("Device is a required argument.", FAILED);
  linkSetBrport(dev, settings);
}
