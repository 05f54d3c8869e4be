/** `ss` of iproute2 6.1: the sockets of a namespace as a table. */

import type { NetNs } from "../net/core/net-ns.ts";
import { type Sock, TCP_CLOSE, TCP_LISTEN, TCP_TIME_WAIT } from "../net/ipv4/sock.ts";
import type { TcpSock } from "../net/ipv4/tcp-sock.ts";
import { NotModelledError } from "../util/errors.ts";
import { formatIp4 } from "../wire/address.ts";
import { OptionReader } from "./options.ts";
import { socketQueues, tcpSockets, udpSockets } from "./socket-table.ts";
import type { Tool, ToolOutput } from "./tool.ts";

interface SsArgs {
  tcp: boolean;
  udp: boolean;
  listening: boolean;
  all: boolean;
  processes: boolean;
  header: boolean;
}

const LONGS: Record<string, string> = {
  numeric: "n",
  listening: "l",
  tcp: "t",
  udp: "u",
  processes: "p",
  all: "a",
  ipv4: "4",
  "no-header": "H",
};

const STATES: Record<number, string> = {
  1: "ESTAB",
  2: "SYN-SENT",
  3: "SYN-RECV",
  4: "FIN-WAIT-1",
  5: "FIN-WAIT-2",
  6: "TIME-WAIT",
  7: "UNCONN",
  8: "CLOSE-WAIT",
  9: "LAST-ACK",
  10: "LISTEN",
  11: "CLOSING",
  12: "SYN-RECV",
};

function parseSs(argv: readonly string[]): SsArgs {
  const args: SsArgs = {
    tcp: false,
    udp: false,
    listening: false,
    all: false,
    processes: false,
    header: true,
  };
  const reader = new OptionReader("ss", argv, "nltupa4Horeimsxwf:", 255, LONGS);
  for (const { option } of reader.options()) {
    if (option === "t") args.tcp = true;
    else if (option === "u") args.udp = true;
    else if (option === "l") args.listening = true;
    else if (option === "a") args.all = true;
    else if (option === "p") args.processes = true;
    else if (option === "H") args.header = false;
    else if (option !== "n" && option !== "4" && option !== "r") throw new NotModelledError(`ss -${option}`);
  }
  if (reader.rest.length > 0) throw new NotModelledError(`ss ${reader.rest.join(" ")}`);
  if (!args.tcp && !args.udp) {
    args.tcp = true;
    args.udp = true;
  }
  return args;
}

/** One line before it is padded. */
interface Row {
  readonly cells: readonly string[];
}

function wanted(args: SsArgs, listening: boolean): boolean {
  return args.all || args.listening === listening;
}

function address(sk: Sock, addr: number): string {
  return addr === 0 ? (sk.dualStack ? "*" : "0.0.0.0") : formatIp4(addr);
}

function row(sk: Sock, netid: string, recvq: number, sendq: number): Row {
  const owner =
    sk.owner === null ? "" : ` users:(("${sk.owner.comm}",pid=${sk.owner.pid},fd=${sk.owner.fd}))`;
  const dev = sk.boundDev === null ? "" : `%${sk.boundDev.name}`;
  const local = sk.state === TCP_LISTEN || sk.daddr === 0 ? sk.rcvSaddr : sk.saddr;
  const remotePort = sk.dport === 0 ? "*" : String(sk.dport);
  return {
    cells: [
      netid,
      STATES[sk.state],
      String(recvq),
      String(sendq),
      `${address(sk, local)}${dev}`,
      String(sk.sport),
      address(sk, sk.daddr),
      remotePort,
      owner,
    ],
  };
}

function udpRows(args: SsArgs, ns: NetNs): Row[] {
  return udpSockets(ns)
    .filter((sk) => wanted(args, sk.state === TCP_CLOSE))
    .map((sk) => row(sk, "udp", socketQueues(sk).received, 0));
}

function tcpRows(args: SsArgs, ns: NetNs): Row[] {
  return tcpSockets(ns)
    .filter((sk) => wanted(args, sk.state === TCP_LISTEN))
    .filter((sk) => args.all || sk.state !== TCP_TIME_WAIT || !args.listening)
    .map((sk) => {
      const { received, unsent } = socketQueues(sk);
      return row(sk, "tcp", received, sk.state === TCP_LISTEN ? (sk as TcpSock).backlog : unsent);
    });
}

/** Columns as ss lays them out: widths from the longest cell, addresses to the right of theirs. */
function renderRows(args: SsArgs, rows: readonly Row[]): string {
  const titles = [
    "Netid",
    "State",
    "Recv-Q",
    "Send-Q",
    "Local Address",
    "Port",
    "Peer Address",
    "Port",
    "Process",
  ];
  const right = [false, false, false, false, true, false, true, false, false];
  const delimiter = [" ", " ", " ", " ", ":", " ", ":", "", ""];
  const first = args.tcp && args.udp ? 0 : 1;
  const last = args.processes || args.header ? 9 : 8;
  const lines = args.header ? [{ cells: titles }, ...rows] : rows;
  const cell = (line: Row, i: number): string =>
    i === 8 && !args.processes && line.cells !== titles ? "" : line.cells[i];
  const widths = titles.map((title, i) =>
    Math.max(title.length, ...rows.map((line) => cell(line, i).length)),
  );
  let text = "";
  for (const line of lines) {
    for (let i = first; i < last; i++) {
      const value = cell(line, i);
      text += (right[i] ? value.padStart(widths[i]) : value.padEnd(widths[i])) + delimiter[i];
    }
    text += "\n";
  }
  return text;
}

/** The command. */
export const ss: Tool<SsArgs, Row[]> = {
  name: "ss",
  parse: parseSs,
  run(args, context): Row[] {
    const rows: Row[] = [];
    if (args.udp) rows.push(...udpRows(args, context.ns));
    if (args.tcp) rows.push(...tcpRows(args, context.ns));
    return rows;
  },
  render(rows, args): ToolOutput {
    return { stdout: renderRows(args, rows), stderr: "", status: 0 };
  },
};
