/** `arp` of net-tools 2.10: the neighbours as /proc/net/arp has them, entries set and deleted by ioctl (net/ipv4/arp.c). */
import type { Co } from "../../host/process.ts";
import type { NetDevice } from "../../net/core/net-device.ts";
import { neighbourDel, neighbourDump, neighbourReplace } from "../../net/ctl/neighbour.ts";
import { routeGet, TO_ANYWHERE } from "../../net/ctl/route-get.ts";
import { type Neighbour, NUD_NOARP, NUD_NONE, NUD_PERMANENT, NUD_VALID } from "../../net/ipv4/neighbour.ts";
import { NotModelledError, SysError, strerror, UsageError } from "../../util/errors.ts";
import { formatMac, parseIp4, parseMac } from "../../wire/address.ts";
import { OptionReader } from "../options.ts";
import type { Tool, ToolContext, ToolOutput } from "../tool.ts";
import { addressTexts } from "./names.ts";

const HEAD = "Address                  HWtype  HWaddress           Flags Mask            Iface\n";
const FAILED = 255;

export interface ArpArgs {
  readonly verb: "show" | "set" | "delete";
  readonly bsd: boolean;
  readonly numeric: boolean;
  readonly device: string;
  readonly words: readonly string[];
}

export function parseArp(argv: readonly string[]): ArpArgs {
  const longs = { numeric: "n", set: "s", delete: "d", device: "i", verbose: "v" };
  const reader = new OptionReader("arp", argv, "nasdei:vDfH:tA:p", 3, longs);
  let verb: ArpArgs["verb"] = "show";
  let bsd = false;
  let numeric = false;
  let device = "";
  for (const { option, value } of reader.options()) {
    if (option === "n") numeric = true;
    else if (option === "a") bsd = true;
    else if (option === "e") bsd = false;
    else if (option === "s") verb = "set";
    else if (option === "d") verb = "delete";
    else if (option === "i") device = value;
    else if (option !== "v") throw new NotModelledError(`arp -${option}`);
  }
  const [host, address] = reader.rest;
  if (verb !== "show" && host === undefined) throw new UsageError("arp: need host name", FAILED);
  if (verb === "set" && address === undefined) throw new UsageError("arp: need hardware address", FAILED);
  return { verb, bsd, numeric, device, words: reader.rest };
}

/** Those that /proc/net/arp tells: no address of the stack's own making, none without a state. */
export function arpEntries({ ns }: ToolContext): Neighbour[] {
  return neighbourDump(ns).filter(({ nudState }) => nudState !== NUD_NONE && (nudState & NUD_NOARP) === 0);
}

export const isComplete = ({ nudState }: Neighbour): boolean => (nudState & NUD_VALID) !== 0;
export const isPermanent = ({ nudState }: Neighbour): boolean => (nudState & NUD_PERMANENT) !== 0;

function tableLine(n: Neighbour, name: string): string {
  const hardware = isComplete(n)
    ? "ether   " + formatMac(n.haHi, n.haLo).padEnd(20)
    : " ".repeat(8) + "(incomplete)".padEnd(20);
  const flags = (isComplete(n) ? "C" : "") + (isPermanent(n) ? "M" : "");
  return `${name.slice(0, 23).padEnd(25)}${hardware}${flags.padEnd(21)} ${n.dev.name}\n`;
}

function bsdLine(n: Neighbour, name: string, number: string): string {
  const hardware = isComplete(n) ? `${formatMac(n.haHi, n.haLo)} [ether] ` : "<incomplete> ";
  const shown = name === number ? "?" : name;
  return `${shown} (${number}) at ${hardware}${isPermanent(n) ? "PERM " : ""}on ${n.dev.name}\n`;
}

function* show(args: ArpArgs, context: ToolContext): Co<ToolOutput> {
  const all = arpEntries(context);
  const [host] = args.words;
  const addr = host === undefined ? null : addressOf(host);
  const shown = all.filter(
    (n) => (addr === null || n.ip === addr) && (args.device === "" || n.dev.name === args.device),
  );
  if (addr !== null && shown.length === 0)
    return { stdout: `${host} (${host}) -- no entry\n`, stderr: "", status: 0 };
  if (args.device !== "" && shown.length === 0)
    return { stdout: `arp: in ${all.length} entries no match found.\n`, stderr: "", status: 0 };
  const addrs = shown.map(({ ip }) => ip);
  const names = yield* addressTexts(addrs, args.numeric, context.process);
  const numbers = yield* addressTexts(addrs, true, context.process);
  if (args.bsd)
    return {
      stdout: shown.map((n) => bsdLine(n, names.get(n.ip)!, numbers.get(n.ip)!)).join(""),
      stderr: "",
      status: 0,
    };
  const lines = shown.map((n) => tableLine(n, names.get(n.ip)!)).join("");
  return { stdout: lines === "" ? "" : HEAD + lines, stderr: "", status: 0 };
}

function addressOf(host: string): number {
  const addr = parseIp4(host);
  if (addr === null) throw new UsageError(`${host}: Host name lookup failure`, FAILED);
  return addr;
}

/** The device of the address: named, or the one that the route goes by. ENETUNREACH without a route. */
function deviceFor(addr: number, args: ArpArgs, context: ToolContext): NetDevice {
  if (args.device === "") return routeGet(context.ns, { ...TO_ANYWHERE, daddr: addr }).dst.dev!;
  const dev = context.ns.device(args.device);
  if (dev === undefined) throw new SysError("ENODEV");
  return dev;
}

function set(args: ArpArgs, context: ToolContext): ToolOutput {
  const [host, text, ...more] = args.words;
  if (more.length > 0) throw new NotModelledError(`arp -s ${args.words.join(" ")}`);
  const mac = parseMac(text);
  if (mac === null) throw new UsageError("arp: invalid hardware address", FAILED);
  const addr = addressOf(host);
  neighbourReplace(deviceFor(addr, args, context), addr, mac.hi, mac.lo, NUD_PERMANENT);
  return { stdout: "", stderr: "", status: 0 };
}

function remove(args: ArpArgs, context: ToolContext): ToolOutput {
  const [host] = args.words;
  const addr = addressOf(host);
  const found = arpEntries(context).find((n) => n.ip === addr && isComplete(n));
  if (found === undefined) return { stdout: "", stderr: `No ARP entry for ${host}\n`, status: FAILED };
  neighbourDel(deviceFor(addr, args, context), addr);
  return { stdout: "", stderr: "", status: 0 };
}

export function changeArp(args: ArpArgs, context: ToolContext): ToolOutput {
  return args.verb === "set" ? set(args, context) : remove(args, context);
}

export const arp: Tool<ArpArgs, ToolOutput> = {
  name: "arp",
  parse: parseArp,
  *run(args, context): Co<ToolOutput> {
    if (args.verb === "show") return yield* show(args, context);
    return changeArp(args, context);
  },
  render: (result) => result,
  failure(error, args) {
    if (!(error instanceof SysError)) return null;
    const call = args?.verb === "delete" ? "SIOCDARP" : "SIOCSARP";
    const where = args?.verb === "delete" ? `${call}(dontpub)` : call;
    return { stdout: "", stderr: `${where}: ${strerror(error.code)}\n`, status: FAILED };
  },
};
