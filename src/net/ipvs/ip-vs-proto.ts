/**
 * Protocol states of a connection and their timeouts (net/netfilter/ipvs/ip_vs_proto_tcp.c, ip_vs_proto_udp.c).
 */
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from "../../wire/tcp.ts";
import type { IpvsConn } from "./conn.ts";

export const IP_VS_TCP_S_NONE = 0;
export const IP_VS_TCP_S_ESTABLISHED = 1;
export const IP_VS_TCP_S_SYN_SENT = 2;
export const IP_VS_TCP_S_SYN_RECV = 3;
export const IP_VS_TCP_S_FIN_WAIT = 4;
export const IP_VS_TCP_S_TIME_WAIT = 5;
export const IP_VS_TCP_S_CLOSE = 6;
export const IP_VS_TCP_S_CLOSE_WAIT = 7;
export const IP_VS_TCP_S_LAST_ACK = 8;
export const IP_VS_TCP_S_LISTEN = 9;
export const IP_VS_TCP_S_SYNACK = 10;

/** State of a template. */
const IP_VS_CTPL_S_ASSURED = 1;

const SEC = 1_000_000_000;
const STATE_NAMES = [
  "NONE",
  "ESTABLISHED",
  "SYN_SENT",
  "SYN_RECV",
  "FIN_WAIT",
  "TIME_WAIT",
  "CLOSE",
  "CLOSE_WAIT",
  "LAST_ACK",
  "LISTEN",
  "SYNACK",
] as const;
/** Seconds by state; ESTABLISHED and FIN_WAIT are what `ipvsadm --set` says. */
const TIMEOUT_SEC = [2, 900, 120, 60, 120, 120, 10, 60, 30, 120, 120];

/** Whose packet it is, as the first index of the tables. */
export const IP_VS_DIR_INPUT = 0;
export const IP_VS_DIR_OUTPUT = 1;
const DIR_INPUT_ONLY = 2;

const SHORT: Record<string, number> = {
  NO: 0,
  ES: 1,
  SS: 2,
  SR: 3,
  FW: 4,
  TW: 5,
  CL: 6,
  CW: 7,
  LA: 8,
  LI: 9,
  SA: 10,
};

/** A table of four rows (syn, fin, ack, rst) over the eleven states. */
function table(rows: readonly string[]): Int8Array {
  return Int8Array.from(rows.flatMap((row) => row.split(" ").map((name) => SHORT[name])));
}

const TRANSITIONS = [
  table([
    "SR ES ES SR SR SR SR SR SR SR SR",
    "CL CW SS TW TW TW CL CW LA LI TW",
    "ES ES SS ES FW TW CL CW CL LI ES",
    "CL CL CL SR CL CL CL CL LA LI SR",
  ]),
  table([
    "SS ES SS SR SS SS SS SS SS LI SR",
    "TW FW SS TW FW TW CL TW LA LI TW",
    "ES ES SS ES FW TW CL CW LA ES ES",
    "CL CL SS CL CL TW CL CL CL CL CL",
  ]),
  table([
    "SR ES ES SR SR SR SR SR SR SR SR",
    "CL FW SS TW FW TW CL CW LA LI TW",
    "ES ES SS ES FW TW CL CW CL LI ES",
    "CL CL CL SR CL CL CL CL LA LI CL",
  ]),
];

function rowOf(flags: number): number {
  if ((flags & TCP_RST) !== 0) return 3;
  if ((flags & TCP_SYN) !== 0) return 0;
  if ((flags & TCP_FIN) !== 0) return 1;
  return (flags & TCP_ACK) !== 0 ? 2 : -1;
}

function isActive(state: number): boolean {
  return (state >= IP_VS_TCP_S_ESTABLISHED && state <= IP_VS_TCP_S_SYN_RECV) || state === IP_VS_TCP_S_SYNACK;
}

/** A TCP packet of the connection: moves its state, its timeout and the destination's counts (set_tcp_state). */
export function tcpStateTransition(conn: IpvsConn, direction: number, flags: number): void {
  let way = direction;
  if (conn.noOutput) {
    if (direction === IP_VS_DIR_OUTPUT) conn.noOutput = false;
    else way = DIR_INPUT_ONLY;
  }
  const row = rowOf(flags);
  const state = row < 0 ? IP_VS_TCP_S_CLOSE : TRANSITIONS[way][row * STATE_NAMES.length + conn.state];
  const dest = conn.dest;
  if (state !== conn.state && dest !== null) {
    const active = isActive(state);
    if (active && conn.inactive) {
      dest.activeConns++;
      dest.inactConns--;
    } else if (!active && !conn.inactive) {
      dest.activeConns--;
      dest.inactConns++;
    }
    conn.inactive = !active;
  }
  if (state === IP_VS_TCP_S_ESTABLISHED && state !== conn.state) assureTemplate(conn);
  conn.state = state;
  conn.timeoutNs = tcpTimeoutSec(conn, state) * SEC;
}

function tcpTimeoutSec(conn: IpvsConn, state: number): number {
  if (state === IP_VS_TCP_S_ESTABLISHED) return conn.net.timeoutsSec.tcp;
  if (state === IP_VS_TCP_S_FIN_WAIT) return conn.net.timeoutsSec.tcpFin;
  return TIMEOUT_SEC[state];
}

/** A connection that works makes its template one that stays (ip_vs_control_assure_ct). */
function assureTemplate({ control }: IpvsConn): void {
  if (control !== null && control.template) control.state = IP_VS_CTPL_S_ASSURED;
}

/** Any UDP packet of the connection. */
export function udpStateTransition(conn: IpvsConn, direction: number): void {
  if (direction === IP_VS_DIR_OUTPUT) assureTemplate(conn);
  conn.timeoutNs = conn.net.timeoutsSec.udp * SEC;
}

/** The state as `ipvsadm -Lc` prints it. */
export function stateName(conn: IpvsConn): string {
  if (conn.template) return conn.state === 0 ? "NONE" : "ASSURED";
  return conn.protocol === 17 ? "UDP" : STATE_NAMES[conn.state];
}
