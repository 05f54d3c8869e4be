/** Explicit congestion notification (RFC 3168; tcp_ecn_* in net/ipv4/tcp_input.c and tcp_output.c). */
import { ipTos } from "../../wire/ipv4.ts";
import { TCP_ACK, TCP_CWR, TCP_ECE, TCP_SYN } from "../../wire/tcp.ts";
import type { Skb } from "../core/skb.ts";
import { tcpOf } from "./tcp-net.ts";
import type { TcpSock } from "./tcp-sock.ts";

/** Bits of `TcpSock.ecnFlags`: granted by both; the next new data says CWR; ECE until the peer says CWR; it marks. */
const TCP_ECN_OK = 1;
const TCP_ECN_QUEUE_CWR = 2;
const TCP_ECN_DEMAND_CWR = 4;
const TCP_ECN_SEEN = 8;

/** net.ipv4.tcp_ecn: never, asks for it, grants it only. */
const ECN_NEVER = 0;
const ECN_ASKS = 1;

/** ECN bits of TOS: a packet that must not be marked, may be marked, is marked. */
const INET_ECN_MASK = 3;
export const INET_ECN_NOT_ECT = 0;
const INET_ECN_ECT_0 = 2;
const INET_ECN_CE = 3;

const ECN_SETUP = TCP_ECE | TCP_CWR;

/** Flags that a SYN has besides (tcp_ecn_send_syn). */
export function tcpEcnSendSyn(sk: TcpSock): number {
  sk.ecnFlags = tcpOf(sk.ns).ecn === ECN_ASKS ? TCP_ECN_OK : 0;
  return sk.ecnFlags !== 0 ? ECN_SETUP : 0;
}

/** The same when it is sent again: whoever drops such SYNs may let a plain one pass (tcp_ecn_clear_syn). */
export function tcpEcnSendSynAgain(sk: TcpSock): number {
  return sk.ecnFlags !== 0 && tcpOf(sk.ns).ecnFallback === 0 ? ECN_SETUP : 0;
}

/** The SYN-ACK says whether the peer grants it (tcp_ecn_rcv_synack). */
export function tcpEcnRcvSynack(sk: TcpSock, flags: number): void {
  if ((flags & ECN_SETUP) !== TCP_ECE) sk.ecnFlags &= ~TCP_ECN_OK;
}

/** A SYN that crosses ours (tcp_ecn_rcv_syn). */
export function tcpEcnRcvSyn(sk: TcpSock, flags: number): void {
  if ((flags & ECN_SETUP) !== ECN_SETUP) sk.ecnFlags &= ~TCP_ECN_OK;
}

/** Whether a SYN asks for it and gets it (tcp_ecn_create_request): not one that may be marked itself. */
export function tcpEcnGrants(ecn: number, flags: number, skb: Skb): boolean {
  return (flags & ECN_SETUP) === ECN_SETUP && ecn !== ECN_NEVER && ecnOf(skb) === INET_ECN_NOT_ECT;
}

/** A connection begins that was granted it, or not (tcp_ecn_openreq_child). */
export function tcpEcnChild(sk: TcpSock, granted: boolean): void {
  sk.ecnFlags = granted ? TCP_ECN_OK : 0;
}

/**
 * Flags that a segment of an open connection has besides (tcp_ecn_send). `isNew`: it carries data for the first time, and may
 * be marked on its way: see {@link tcpEcnTos}.
 */
export function tcpEcnSend(sk: TcpSock, flags: number, isNew: boolean): number {
  if ((sk.ecnFlags & TCP_ECN_OK) === 0 || (flags & TCP_SYN) !== 0) return 0;
  let more = 0;
  if (isNew && (sk.ecnFlags & TCP_ECN_QUEUE_CWR) !== 0) {
    sk.ecnFlags &= ~TCP_ECN_QUEUE_CWR;
    more = TCP_CWR;
  }
  return (sk.ecnFlags & TCP_ECN_DEMAND_CWR) !== 0 ? more | TCP_ECE : more;
}

/** The ECN bits of its IP header. */
export function tcpEcnTos(sk: TcpSock, isNew: boolean): number {
  return isNew && (sk.ecnFlags & TCP_ECN_OK) !== 0 ? INET_ECN_ECT_0 : INET_ECN_NOT_ECT;
}

/** The window was reduced: the peer shall know (tcp_ecn_queue_cwr). */
export function tcpEcnQueueCwr(sk: TcpSock): void {
  if ((sk.ecnFlags & TCP_ECN_OK) !== 0) sk.ecnFlags |= TCP_ECN_QUEUE_CWR;
}

/** The peer knows of a mark (tcp_ecn_accept_cwr). True: its window may be tiny now, so data is acknowledged at once. */
export function tcpEcnAcceptCwr(sk: TcpSock, flags: number): boolean {
  if ((flags & TCP_CWR) === 0) return false;
  sk.ecnFlags &= ~TCP_ECN_DEMAND_CWR;
  return true;
}

/**
 * Data came, marked or not (tcp_ecn_check_ce). True when the next ACKs must not wait: of a first mark, and of data that could
 * not be marked among such that could, which was probably sent again.
 */
export function tcpEcnCheckCe(sk: TcpSock, skb: Skb): boolean {
  if ((sk.ecnFlags & TCP_ECN_OK) === 0) return false;
  const ecn = ecnOf(skb);
  if (ecn === INET_ECN_NOT_ECT) return (sk.ecnFlags & TCP_ECN_SEEN) !== 0;
  const first = ecn === INET_ECN_CE && (sk.ecnFlags & TCP_ECN_DEMAND_CWR) === 0;
  if (first) sk.ecnFlags |= TCP_ECN_DEMAND_CWR;
  sk.ecnFlags |= TCP_ECN_SEEN;
  return first;
}

/** An ACK tells of a mark (tcp_ecn_rcv_ecn_echo). */
export function tcpEcnEchoed(sk: TcpSock, flags: number): boolean {
  return (sk.ecnFlags & TCP_ECN_OK) !== 0 && (flags & (TCP_ECE | TCP_SYN | TCP_ACK)) === (TCP_ECE | TCP_ACK);
}

function ecnOf(skb: Skb): number {
  return ipTos(skb.view, skb.netOff) & INET_ECN_MASK;
}
