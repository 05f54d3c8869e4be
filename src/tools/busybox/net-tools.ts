/** ifconfig, route, arp and netstat of busybox 1.35: the state that those of net-tools show, in its own layout. */
import type { Co } from "../../host/process.ts";
import { IFF_BROADCAST, IFF_LOOPBACK, type NetDevice } from "../../net/core/net-device.ts";
import { addressesOf } from "../../net/ctl/address.ts";
import { NotModelledError, SysError, strerror, UsageError } from "../../util/errors.ts";
import { formatIp4, formatMac, parseIp4, prefixToMask } from "../../wire/address.ts";
import { ifconfig } from "../ifconfig.ts";
import { statsJson } from "../ip/link-stats.ts";
import { type ArpArgs, arpEntries, changeArp, isComplete, isPermanent, parseArp } from "../net-tools/arp.ts";
import { bytesText, flagNames, type Interface, interfacesOf } from "../net-tools/interfaces.ts";
import { addressTexts } from "../net-tools/names.ts";
import { socketTable } from "../net-tools/netstat.ts";
import { changeRoute, parseRouteWords, type RouteArgs } from "../net-tools/route.ts";
import { routeTable } from "../net-tools/route-table.ts";
import { OptionReader } from "../options.ts";
import type { Tool, ToolContext, ToolOutput } from "../tool.ts";

const BANNER = "BusyBox v1.35.0 (Debian 1:1.35.0-4+deb12u1+b1) multi-call binary.\n\n";
const ok = (stdout: string): ToolOutput => ({ stdout, stderr: "", status: 0 });

function hardwareText(dev: NetDevice): string {
  if (dev.ops.kind === "ipip") throw new NotModelledError("what ifconfig prints of a tunnel");
  if ((dev.flags & IFF_LOOPBACK) !== 0) return "Local Loopback  ";
  return `Ethernet  HWaddr ${formatMac(dev.addrHi, dev.addrLo).toUpperCase()}  `;
}

function interfaceText({ name, dev, isAlias }: Interface): string {
  const lines = [`${name.padEnd(10)}Link encap:${hardwareText(dev)}`];
  const address = dev.in4 === null ? undefined : addressesOf(dev).find(({ label }) => label === name);
  if (address !== undefined) {
    const broadcast = (dev.flags & IFF_BROADCAST) === 0 ? "" : `  Bcast:${formatIp4(address.broadcast)}`;
    const mask = formatIp4(prefixToMask(address.prefixLen));
    lines.push(`          inet addr:${formatIp4(address.local)}${broadcast}  Mask:${mask}`);
  }
  const names = flagNames(dev);
  lines.push(`          ${names.length === 0 ? "[NO FLAGS]" : names.join(" ")}  MTU:${dev.mtu}  Metric:1`);
  if (!isAlias) lines.push(...countLines(dev));
  return `${lines.join("\n")}\n\n`;
}

function countLines(dev: NetDevice): string[] {
  const { rx, tx } = statsJson(dev);
  const bytes = (way: string, count: number): string => `${way} bytes:${bytesText(count)}`;
  return [
    `          RX packets:${rx.packets} errors:${rx.errors} dropped:${rx.dropped} overruns:0 frame:0`,
    `          TX packets:${tx.packets} errors:${tx.errors} dropped:${tx.dropped} overruns:0 carrier:${tx.carrier_errors}`,
    `          collisions:${tx.collisions} txqueuelen:${dev.txQueueLen} `,
    `          ${bytes("RX", rx.bytes)}  ${bytes("TX", tx.bytes)}`,
  ];
}

export const busyboxIfconfig: Tool<readonly string[], ToolOutput> = {
  name: "ifconfig",
  parse: (argv) => argv,
  run(argv, context): ToolOutput {
    const words = argv.filter((word) => word !== "-a");
    if (words.length > 1) return ok(ifconfig.run(argv, context) as string);
    const all = words.length < argv.length || words.length === 1;
    const shown = interfacesOf(context.ns, all).filter(({ name }) => words.length === 0 || name === words[0]);
    if (words.length === 1 && shown.length === 0)
      throw new UsageError(
        `ifconfig: ${words[0]}: error fetching interface information: Device not found`,
        1,
      );
    return ok(shown.map(interfaceText).join(""));
  },
  render: (result) => result,
  failure: (error) =>
    error instanceof SysError
      ? { stdout: "", stderr: `ifconfig: SIOCSIFADDR: ${strerror(error.code)}\n`, status: 1 }
      : null,
};

/** Words that it does not take get a text of its own, which is not modelled. */
function orNotModelled<T>(what: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof UsageError)
      throw new NotModelledError(`what busybox says about these words of ${what}`);
    throw error;
  }
}

export const busyboxRoute: Tool<RouteArgs, ToolOutput> = {
  name: "route",
  parse: (argv) => orNotModelled("route", () => parseRouteWords(argv)),
  *run(args, context): Co<ToolOutput> {
    if (args.kind === "show") return ok(yield* routeTable(args.numeric, args.extended, context, true));
    const { kind, words } = args;
    orNotModelled("route", () => changeRoute(kind, words, context));
    return ok("");
  },
  render: (result) => result,
  failure(error, args) {
    if (!(error instanceof SysError) || args === null) return null;
    const call = args.kind === "del" ? "SIOCDELRT" : "SIOCADDRT";
    return { stdout: "", stderr: `route: ${call}: ${strerror(error.code)}\n`, status: 1 };
  },
};

export const busyboxArp: Tool<ArpArgs, ToolOutput> = {
  name: "arp",
  parse: (argv) => orNotModelled("arp", () => parseArp(argv)),
  *run(args, context): Co<ToolOutput> {
    if (args.verb !== "show") return orNotModelled("arp", () => changeArp(args, context));
    const all = arpEntries(context);
    const [host] = args.words;
    const shown = all.filter(
      (n) =>
        (host === undefined || n.ip === parseIp4(host)) && (args.device === "" || n.dev.name === args.device),
    );
    if (shown.length === 0 && (host !== undefined || args.device !== ""))
      return ok(`No match found in ${all.length} entries\n`);
    const addrs = shown.map(({ ip }) => ip);
    const names = yield* addressTexts(addrs, args.numeric, context.process);
    const lines = shown.map((n) => {
      const number = formatIp4(n.ip);
      const name = names.get(n.ip)!;
      const hardware = isComplete(n) ? `${formatMac(n.haHi, n.haLo)} [ether]` : "<incomplete>";
      return `${name === number ? "?" : name} (${number}) at ${hardware} ${isPermanent(n) ? "PERM" : ""} on ${n.dev.name}\n`;
    });
    return ok(lines.join(""));
  },
  render: (result) => result,
};

const NETSTAT_USAGE = `${BANNER}Usage: netstat [-ral] [-tuwx] [-en]

Display networking information

	-r	Routing table
	-a	All sockets
	-l	Listening sockets
		Else: connected sockets
	-t	TCP sockets
	-u	UDP sockets
	-w	Raw sockets
	-x	Unix sockets
		Else: all socket types
	-e	Other/more information
	-n	Don't resolve names
`;

function netstatLetters(argv: readonly string[]): ReadonlySet<string> {
  const reader = new OptionReader("netstat", argv, "ralntuwxe", 1);
  let letters: Set<string>;
  try {
    letters = new Set(reader.options().map(({ option }) => option));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`${error.message}\n${NETSTAT_USAGE}`, 1);
  }
  for (const letter of "wxe")
    if (letters.has(letter)) throw new NotModelledError(`busybox netstat -${letter}`);
  if (letters.has("r")) return letters;
  if (!letters.has("t") && !letters.has("u")) throw new NotModelledError("busybox netstat without -t or -u");
  if (!letters.has("n")) throw new NotModelledError("the names of ports in busybox netstat (without -n)");
  return letters;
}

export const busyboxNetstat: Tool<ReadonlySet<string>, ToolOutput> = {
  name: "netstat",
  parse: netstatLetters,
  *run(letters, context: ToolContext): Co<ToolOutput> {
    if (letters.has("r")) return ok(yield* routeTable(letters.has("n"), true, context, true));
    return ok(socketTable(letters, context, true));
  },
  render: (result) => result,
};
