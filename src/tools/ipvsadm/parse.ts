/** The words of `ipvsadm` 1.31 (ipvsadm.c): one command letter, then options, short ones may be joined. */
import type { DestSpec, Forward, SchedulerName, ServiceKey, ServiceOptions } from "../../net/ctl/ipvs.ts";
import { fwmarkService, plainService, SCHEDULERS } from "../../net/ctl/ipvs.ts";
import { NotModelledError, UsageError } from "../../util/errors.ts";
import { parseIp4, prefixToMask } from "../../wire/address.ts";
import { IPPROTO_TCP, IPPROTO_UDP } from "../../wire/ipv4.ts";

export interface ListFormat {
  conns: boolean;
  /** Of connection synchronisation, which nobody can start. */
  daemon: boolean;
  stats: boolean;
  rate: boolean;
  tunnels: boolean;
  timeouts: boolean;
  thresholds: boolean;
  persistentConns: boolean;
  exact: boolean;
  sort: boolean;
}

export type IpvsadmArgs =
  | { readonly kind: "list"; readonly format: ListFormat; readonly key: ServiceKey | null }
  | { readonly kind: "save" }
  | { readonly kind: "restore" }
  | { readonly kind: "clear" }
  | { readonly kind: "zero"; readonly key: ServiceKey | null }
  | { readonly kind: "set"; readonly seconds: readonly [number, number, number] }
  | {
      readonly kind: "service";
      readonly verb: "add" | "edit" | "delete";
      readonly key: ServiceKey;
      readonly options: ServiceOptions;
    }
  | {
      readonly kind: "dest";
      readonly verb: "add" | "edit" | "delete";
      readonly key: ServiceKey;
      readonly dest: DestSpec;
    };

const COMMANDS: Record<string, string> = {
  "-A": "add-service",
  "-E": "edit-service",
  "-D": "delete-service",
  "-C": "clear",
  "-R": "restore",
  "-S": "save",
  "-a": "add-server",
  "-e": "edit-server",
  "-d": "delete-server",
  "-L": "list",
  "-l": "list",
  "-Z": "zero",
};
const LONG_COMMANDS = new Set([...Object.values(COMMANDS), "set"]);

/** Options by their long name: short letter, and whether a value follows ("maybe": only when it looks like one). */
const OPTIONS: Record<string, { short: string; value: boolean | "maybe" }> = {
  "tcp-service": { short: "t", value: true },
  "udp-service": { short: "u", value: true },
  "fwmark-service": { short: "f", value: true },
  scheduler: { short: "s", value: true },
  persistent: { short: "p", value: "maybe" },
  netmask: { short: "M", value: true },
  "real-server": { short: "r", value: true },
  gatewaying: { short: "g", value: false },
  masquerading: { short: "m", value: false },
  ipip: { short: "i", value: false },
  weight: { short: "w", value: true },
  "u-threshold": { short: "x", value: true },
  "l-threshold": { short: "y", value: true },
  numeric: { short: "n", value: false },
  connection: { short: "c", value: false },
  ops: { short: "o", value: false },
  "sched-flags": { short: "b", value: true },
  timeout: { short: "", value: false },
  daemon: { short: "", value: false },
  stats: { short: "", value: false },
  rate: { short: "", value: false },
  thresholds: { short: "", value: false },
  "tun-info": { short: "", value: false },
  "tun-type": { short: "", value: true },
  "persistent-conn": { short: "", value: false },
  nosort: { short: "", value: false },
  sort: { short: "", value: false },
  exact: { short: "X", value: false },
};

/** Those of the kernel that are not modelled. */
const OTHER_SCHEDULERS = new Set(["mh", "lblc", "lblcr", "twos", "none"]);

interface Words {
  command: string;
  options: Map<string, string>;
  rest: string[];
}

/** Throws UsageError. */
export function parseIpvsadm(argv: readonly string[]): IpvsadmArgs {
  const words = argv.length === 0 ? { command: "list", options: new Map(), rest: [] } : scan(argv);
  const { options } = words;
  checkLegal(words);
  switch (words.command) {
    case "list":
      return { kind: "list", format: listFormat(options), key: serviceKey(options) };
    case "save":
    case "restore":
    case "clear":
      return { kind: words.command };
    case "zero":
      return { kind: "zero", key: serviceKey(options) };
    case "set":
      return { kind: "set", seconds: setSeconds(words.rest) };
    default:
      return change(words);
  }
}

function change(words: Words): IpvsadmArgs {
  const [verb, what] = words.command.split("-") as ["add" | "edit" | "delete", string];
  const key = serviceKey(words.options);
  if (key === null)
    throw usage(`You need to supply the 'service-address' option for the '${words.command}' command`);
  if (what === "service") {
    const options = serviceOptions(words.options);
    if (verb !== "delete") checkService(key, options);
    return { kind: "service", verb, key, options };
  }
  if (!words.options.has("real-server"))
    throw usage(`You need to supply the 'real-server' option for the '${words.command}' command`);
  return { kind: "dest", verb, key, dest: destSpec(words.options, key, verb) };
}

const SERVICE_OPTIONS = ["tcp-service", "udp-service", "fwmark-service"];
const SERVICE_CHANGE = [...SERVICE_OPTIONS, "scheduler", "persistent", "netmask", "ops", "sched-flags"];
const FORWARDING = ["gatewaying", "masquerading", "ipip"];
const DEST_CHANGE = [
  ...SERVICE_OPTIONS,
  "real-server",
  ...FORWARDING,
  "weight",
  "u-threshold",
  "l-threshold",
  "tun-type",
];
const LISTING =
  "numeric connection timeout daemon stats rate thresholds tun-info persistent-conn nosort sort exact".split(
    " ",
  );

/** Options of each command (commands_v_options of ipvsadm.c). */
const LEGAL: Readonly<Record<string, readonly string[]>> = {
  list: [...LISTING, ...SERVICE_OPTIONS],
  save: ["numeric"],
  restore: [],
  clear: [],
  zero: SERVICE_OPTIONS,
  set: [],
  "add-service": SERVICE_CHANGE,
  "edit-service": SERVICE_CHANGE,
  "delete-service": SERVICE_OPTIONS,
  "add-server": DEST_CHANGE,
  "edit-server": DEST_CHANGE,
  "delete-server": [...SERVICE_OPTIONS, "real-server"],
};

function checkLegal({ command, options }: Words): void {
  for (const name of options.keys()) {
    if (LEGAL[command].includes(name)) continue;
    const option = FORWARDING.includes(name)
      ? "forwarding-method"
      : SERVICE_OPTIONS.includes(name)
        ? "service-address"
        : name;
    throw usage(`Illegal '${option}' option with the '${command === "clear" ? "flush" : command}' command`);
  }
}

/** What only the program refuses, not the kernel. */
function checkService(key: ServiceKey, options: ServiceOptions): void {
  if (key.fwmark !== 0) return;
  if (key.port === 0 && options.persistentSec === 0)
    throw usage("Zero port specified for non-persistent service");
  if (options.onePacket && key.protocol !== IPPROTO_UDP)
    throw usage("One-Packet Scheduling is only for UDP virtual services");
}

function scan(argv: readonly string[]): Words {
  const words: Words = { command: "", options: new Map(), rest: [] };
  const queue = argv.flatMap((word) => split(word));
  for (let i = 0; i < queue.length; i++) {
    const word = queue[i];
    const command = COMMANDS[word] ?? (LONG_COMMANDS.has(word.slice(2)) ? word.slice(2) : undefined);
    if (i === 0 && command !== undefined) {
      words.command = command;
      continue;
    }
    const name = optionName(word);
    if (name === undefined) {
      if (word.startsWith("-")) throw new UsageError(`${word}: unknown option`, 255);
      words.rest.push(word);
      continue;
    }
    const takes = OPTIONS[name].value;
    const next = queue[i + 1];
    if (takes === true && next === undefined) throw usage(`option '${word}' requires an argument`);
    const has = takes === true || (takes === "maybe" && next !== undefined && /^\d+$/.test(next));
    words.options.set(name, has ? queue[++i] : "");
  }
  if (words.command === "")
    throw new UsageError("Try `ipvsadm -h' or 'ipvsadm --help' for more information.", 255);
  if (words.rest.length > 0 && words.command !== "set") throw usage(`unexpected argument ${words.rest[0]}`);
  return words;
}

/** `-Lnc` -> `-L -n -c`; a letter that takes a value keeps what is glued to it. */
function split(word: string): string[] {
  if (!/^-[A-Za-z]./.test(word)) return [word];
  const out: string[] = [];
  for (let i = 1; i < word.length; i++) {
    const flag = `-${word[i]}`;
    out.push(flag);
    const name = optionName(flag);
    if (name === undefined || OPTIONS[name].value === false || i + 1 === word.length) continue;
    out.push(word.slice(i + 1));
    break;
  }
  return out;
}

function optionName(word: string): string | undefined {
  if (word.startsWith("--")) return word.slice(2) in OPTIONS ? word.slice(2) : undefined;
  return Object.keys(OPTIONS).find(
    (name) => OPTIONS[name].short !== "" && `-${OPTIONS[name].short}` === word,
  );
}

function listFormat(options: Map<string, string>): ListFormat {
  return {
    conns: options.has("connection"),
    daemon: options.has("daemon"),
    stats: options.has("stats"),
    rate: options.has("rate"),
    tunnels: options.has("tun-info"),
    timeouts: options.has("timeout"),
    thresholds: options.has("thresholds"),
    persistentConns: options.has("persistent-conn"),
    exact: options.has("exact"),
    sort: !options.has("nosort"),
  };
}

function serviceKey(options: Map<string, string>): ServiceKey | null {
  const mark = options.get("fwmark-service");
  if (mark !== undefined) {
    const fwmark = wholeNumber(mark, 1, 0xffffffff);
    if (fwmark === null) throw usage(`invalid fwmark value \`${mark}' specified`);
    return fwmarkService(fwmark | 0);
  }
  const tcp = options.get("tcp-service");
  const udp = options.get("udp-service");
  if (tcp !== undefined && udp !== undefined) throw usage("multiple 'service-address' options specified");
  const text = tcp ?? udp;
  if (text === undefined) return null;
  const at = addressPort(text);
  if (at === null) throw usage(`illegal virtual server address[:port] specified`);
  return {
    fwmark: 0,
    protocol: tcp !== undefined ? IPPROTO_TCP : IPPROTO_UDP,
    addr: at.addr,
    port: at.port ?? 0,
  };
}

function serviceOptions(options: Map<string, string>): ServiceOptions {
  const scheduler = options.get("scheduler") ?? "wlc";
  if (OTHER_SCHEDULERS.has(scheduler)) throw new NotModelledError(`IPVS scheduler ${scheduler}`);
  if (!(SCHEDULERS as readonly string[]).includes(scheduler))
    throw new UsageError("Scheduler or persistence engine not found", 255);
  const out = plainService(scheduler as SchedulerName);
  const persistent = options.get("persistent");
  if (persistent !== undefined) {
    const seconds = persistent === "" ? 300 : wholeNumber(persistent, 1, 31 * 24 * 3600);
    if (seconds === null) throw usage(`invalid timeout value \`${persistent}' specified`);
    out.persistentSec = seconds;
  }
  const netmask = options.get("netmask");
  if (netmask !== undefined) out.netmask = parseNetmask(netmask);
  out.onePacket = options.has("ops");
  const flags = (options.get("sched-flags") ?? "").split(",");
  out.shPort = flags.includes("sh-port");
  out.shFallback = flags.includes("sh-fallback");
  return out;
}

function parseNetmask(text: string): number {
  const mask = /^\d+$/.test(text) ? prefixToMask(Number(text)) : parseIp4(text);
  if (mask === null || mask === 0) throw usage("Invalid netmask");
  return mask;
}

function destSpec(options: Map<string, string>, key: ServiceKey, verb: string): DestSpec {
  const tunnel = options.get("tun-type") ?? "ipip";
  if (tunnel !== "ipip") throw new NotModelledError(`ipvsadm --tun-type ${tunnel}`);
  const at = addressPort(options.get("real-server")!);
  if (at === null) throw usage("illegal real server address[:port] specified");
  const weight = wholeNumber(options.get("weight") ?? "1", 0, 0x7fffffff);
  if (weight === null) throw usage("illegal weight specified");
  const forward: Forward = options.has("masquerading") ? "Masq" : options.has("ipip") ? "Tunnel" : "Route";
  // Without translation the port stays that of the service, unless that is a mark.
  const fixed = forward !== "Masq" && key.fwmark === 0 && verb !== "delete";
  const port = fixed ? key.port : (at.port ?? key.port);
  const upperThreshold = threshold(options, "u-threshold");
  const lowerThreshold = threshold(options, "l-threshold");
  return { addr: at.addr, port, weight, forward, upperThreshold, lowerThreshold };
}

function threshold(options: Map<string, string>, name: string): number {
  const value = wholeNumber(options.get(name) ?? "0", 0, 0x7fffffff);
  if (value === null) throw usage(`illegal ${name} specified`);
  return value;
}

function setSeconds(rest: readonly string[]): readonly [number, number, number] {
  const seconds = rest.map((word) => wholeNumber(word, 0, 31 * 24 * 3600));
  if (seconds.length !== 3 || seconds.includes(null)) throw usage("--set option requires 3 timeout values");
  return seconds as [number, number, number];
}

function addressPort(text: string): { addr: number; port: number | null } | null {
  const [host, port, ...more] = text.split(":");
  const addr = parseIp4(host);
  if (addr === null || more.length > 0) return null;
  if (port === undefined) return { addr, port: null };
  const number = wholeNumber(port, 0, 65535);
  return number === null ? null : { addr, port: number };
}

function wholeNumber(text: string, min: number, max: number): number | null {
  const number = /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : Number.NaN;
  return number >= min && number <= max ? number : null;
}

function usage(message: string): UsageError {
  return new UsageError(message, 2);
}
