/** `netstat` of net-tools 2.10: sockets of TCP and UDP with -n, routes (-r) and devices (-i). */
import type { Co } from "../../host/process.ts";
import { type Sock, TCP_CLOSE, TCP_LISTEN } from "../../net/ipv4/sock.ts";
import { NotModelledError } from "../../util/errors.ts";
import { formatIp4 } from "../../wire/address.ts";
import { OptionReader } from "../options.ts";
import { socketQueues, tcpSockets, udpSockets } from "../socket-table.ts";
import type { Tool, ToolContext, ToolOutput } from "../tool.ts";
import { interfaceTable } from "./interfaces.ts";
import { routeTable } from "./route-table.ts";

const STATES: Readonly<Record<number, string>> = {
  1: "ESTABLISHED",
  2: "SYN_SENT",
  3: "SYN_RECV",
  4: "FIN_WAIT1",
  5: "FIN_WAIT2",
  6: "TIME_WAIT",
  7: "CLOSE",
  8: "CLOSE_WAIT",
  9: "LAST_ACK",
  10: "LISTEN",
  11: "CLOSING",
  12: "SYN_RECV",
};
const LONGS = {
  tcp: "t",
  udp: "u",
  listening: "l",
  numeric: "n",
  all: "a",
  programs: "p",
  route: "r",
  interfaces: "i",
  wide: "W",
  statistics: "s",
  extend: "e",
};

function parse(argv: readonly string[]): ReadonlySet<string> {
  const reader = new OptionReader("netstat", argv, "tulnapriWs4evoc6wxgMNFC", 3, LONGS);
  const letters = new Set(reader.options().map(({ option }) => option));
  for (const letter of "sevoc6wxgMNFC")
    if (letters.has(letter)) throw new NotModelledError(`netstat -${letter}`);
  if (reader.rest.length > 0) throw new NotModelledError(`netstat ${reader.rest.join(" ")}`);
  if (letters.has("r") || letters.has("i")) return letters;
  if (!letters.has("t") && !letters.has("u"))
    throw new NotModelledError("the sockets of netstat without -t or -u");
  if (!letters.has("n")) throw new NotModelledError("the names of ports in netstat (without -n)");
  return letters;
}

function endpoint(sk: Sock, addr: number, port: number): string {
  return `${addr === 0 ? (sk.dualStack ? "::" : "0.0.0.0") : formatIp4(addr)}:${port === 0 ? "*" : port}`;
}

function socketLine(sk: Sock, proto: string, programs: boolean): string {
  const { received, unsent } = socketQueues(sk);
  const local = sk.state === TCP_LISTEN || sk.daddr === 0 ? sk.rcvSaddr : sk.saddr;
  const state = proto === "udp" && sk.state === TCP_CLOSE ? "" : STATES[sk.state];
  const cells = [
    `${proto}${sk.dualStack ? "6" : ""}`.padEnd(5),
    String(received).padStart(6),
    String(unsent).padStart(6),
    endpoint(sk, local, sk.sport).padEnd(23),
    endpoint(sk, sk.daddr, sk.dport).padEnd(23),
    state.padEnd(11),
  ];
  const owner = sk.owner === null ? "-" : `${sk.owner.pid}/${sk.owner.comm}`;
  return `${cells.join(" ")}${programs ? ` ${owner.slice(0, 20).padEnd(20)}` : ""}\n`;
}

/** IPv4's before those that serve both; of each what listens first, as the kernel's tables come one after the other. */
export function socketTable(letters: ReadonlySet<string>, { ns }: ToolContext, isBusybox = false): string {
  const programs = letters.has("p");
  const wanted = (listening: boolean): boolean => letters.has("a") || letters.has("l") === listening;
  const lines: string[] = [];
  const byFamily = (all: readonly Sock[]): Sock[] =>
    [...all].sort((a, b) => Number(a.dualStack) - Number(b.dualStack));
  if (letters.has("t"))
    for (const sk of byFamily(tcpSockets(ns)))
      if (wanted(sk.state === TCP_LISTEN)) lines.push(socketLine(sk, "tcp", programs));
  if (letters.has("u"))
    for (const sk of byFamily(udpSockets(ns).sort((a, b) => a.sport - b.sport)))
      if (wanted(sk.state === TCP_CLOSE)) lines.push(socketLine(sk, "udp", programs));
  const which = letters.has("a")
    ? "servers and established"
    : letters.has("l")
      ? "only servers"
      : "w/o servers";
  const head = `Active Internet connections (${which})\n`;
  const columns = "Proto Recv-Q Send-Q Local Address           Foreign Address         State      ";
  const end = isBusybox ? " \n" : "\n";
  const body = lines.map((line) => line.slice(0, -1) + end).join("");
  return `${head}${columns}${programs ? " PID/Program name    " : ""}${end}${body}`;
}

const DEVICES =
  "Kernel Interface table\nIface             MTU    RX-OK RX-ERR RX-DRP RX-OVR    TX-OK TX-ERR TX-DRP TX-OVR Flg\n";

export const netstat: Tool<ReadonlySet<string>, string> = {
  name: "netstat",
  parse,
  *run(letters, context): Co<string> {
    if (letters.has("i")) return interfaceTable(context.ns, letters.has("a"), DEVICES);
    if (letters.has("r")) return yield* routeTable(letters.has("n"), true, context);
    return socketTable(letters, context);
  },
  render: (stdout): ToolOutput => ({ stdout, stderr: "", status: 0 }),
};
