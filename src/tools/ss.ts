/** `ss` of iproute2 6.1: the sockets of a namespace as a table. */

import type { NetNs } from "../net/core/net-ns.ts";
import {
  type Sock,
  sockOf,
  TCP_CLOSE,
  TCP_ESTABLISHED,
  TCP_LISTEN,
  TCP_NEW_SYN_RECV,
  TCP_TIME_WAIT,
} from "../net/ipv4/sock.ts";
import { TcpTimewaitSock } from "../net/ipv4/tcp-minisocks.ts";
import { tcpOf } from "../net/ipv4/tcp-net.ts";
import type { TcpSock } from "../net/ipv4/tcp-sock.ts";
import { UdpSock } from "../net/ipv4/udp-sock.ts";
import { NotModelledError } from "../util/errors.ts";
import { formatIp4 } from "../wire/address.ts";
import { IPPROTO_UDP } from "../wire/ipv4.ts";
import { OptionReader } from "./options.ts";
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
  const rows: Row[] = [];
  for (const sk of sockOf(ns).boundSockets()) {
    if (sk.protocol !== IPPROTO_UDP || !wanted(args, sk.state === TCP_CLOSE)) continue;
    rows.push(row(sk, "udp", sk instanceof UdpSock ? sk.rmemAlloc : 0, 0));
  }
  return rows;
}

function tcpRows(args: SsArgs, ns: NetNs): Row[] {
  const sockets = tcpOf(ns).sockets();
  const shown = sockets.filter(
    (sk) => wanted(args, sk.state === TCP_LISTEN) && sk.state !== TCP_NEW_SYN_RECV,
  );
  const rank = (sk: Sock): number => (sk.state === TCP_LISTEN ? 0 : sk.state === TCP_TIME_WAIT ? 2 : 1);
  shown.sort((a, b) => rank(a) - rank(b) || a.sport - b.sport || a.dport - b.dport);
  return shown
    .filter((sk) => args.all || sk.state !== TCP_TIME_WAIT || !args.listening)
    .map((sk) => {
      if (sk instanceof TcpTimewaitSock) return row(sk, "tcp", 0, 0);
      const tcp = sk as TcpSock;
      if (tcp.state === TCP_LISTEN) return row(tcp, "tcp", tcp.acceptQueue.length, tcp.backlog);
      const established = tcp.state >= TCP_ESTABLISHED;
      const unread = established ? (tcp.rcvNxt - tcp.copiedSeq) | 0 : 0;
      return row(tcp, "tcp", unread, (tcp.writeSeq - tcp.sndUna) | 0);
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
