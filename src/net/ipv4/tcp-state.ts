/** Beginning and end of a connection's life (tcp_init_transfer, tcp_done, tcp_reset in net/ipv4/tcp_input.c, tcp.c). */
import type { NetNs } from "../core/net-ns.ts";
import { sockOf, TCP_CLOSE, TCP_CLOSE_WAIT, TCP_LISTEN, TCP_SYN_RECV, TCP_SYN_SENT } from "./sock.ts";
import { hystartReset } from "./tcp-hystart.ts";
import { tcpOf } from "./tcp-net.ts";
import { tcpPurgeReceive } from "./tcp-receive.ts";
import { tcpClearXmitTimer, tcpUpdatePacing } from "./tcp-rto.ts";
import type { TcpSegment } from "./tcp-segment.ts";
import { RCV_SHUTDOWN, SEND_SHUTDOWN, TCP_CA_OPEN, TCP_INIT_CWND, type TcpSock } from "./tcp-sock.ts";
import { MAX_TCP_HEADER, tcpFullSpace } from "./tcp-window.ts";

const SHARED_INFO = 320;
const SK_BUFF = 256;

/** Send buffer for twice the congestion window (tcp_sndbuf_expand). */
export function tcpSndbufExpand(sk: TcpSock): void {
  const least = Math.max(sk.mssClamp, sk.mssCache) + MAX_TCP_HEADER + SHARED_INFO;
  const perMss = 2 ** Math.ceil(Math.log2(least)) + SK_BUFF;
  const segments = Math.max(TCP_INIT_CWND, sk.sndCwnd, sk.reordering + 1);
  const memory = 2 * segments * perMss;
  if (sk.sndBuf < memory) sk.sndBuf = Math.min(memory, tcpOf(sk.ns).wmem[2]);
}

/** Buffers and window limits of a new connection (tcp_init_buffer_space). */
function initBufferSpace(sk: TcpSock): void {
  if (!sk.sndBufLocked) tcpSndbufExpand(sk);
  const { now } = sk.ns.kernel.sim;
  sk.rcvqTimeNs = now;
  sk.rcvqSeq = sk.copiedSeq;
  const most = tcpFullSpace(sk);
  if (sk.windowClamp >= most) sk.windowClamp = most;
  if (sk.windowClamp > 2 * sk.advmss && sk.windowClamp + sk.advmss > most)
    sk.windowClamp = Math.max(2 * sk.advmss, most - sk.advmss);
  sk.rcvSsthresh = Math.min(sk.rcvSsthresh, sk.windowClamp);
  sk.sndCwndStampNs = now;
  sk.rcvqSpace = Math.min(sk.rcvSsthresh, sk.rcvWnd, TCP_INIT_CWND * sk.advmss);
}

/** Keeps the timestamp of a segment, to be echoed (tcp_store_ts_recent). */
export function tcpStoreTsRecent(sk: TcpSock, seg: TcpSegment): void {
  sk.tsRecent = seg.options.tsVal;
  sk.tsRecentStampNs = sk.ns.kernel.sim.now;
}

/** A connection is about to be established (tcp_init_transfer). */
export function tcpInitTransfer(sk: TcpSock): void {
  sk.sndCwnd = TCP_INIT_CWND;
  sk.cubic.reset();
  hystartReset(sk);
  sk.caState = TCP_CA_OPEN;
  initBufferSpace(sk);
  tcpUpdatePacing(sk);
}

/** First values of a socket's buffers (tcp_init_sock). */
export function tcpInitBuffers(sk: TcpSock, ns: NetNs): void {
  const net = tcpOf(ns);
  sk.rcvBuf = net.rmem[1];
  sk.sndBuf = net.wmem[1];
}

/** Ends a connection: no timers, no table entries, readers see the end (tcp_done). */
export function tcpDone(sk: TcpSock): void {
  if (sk.state === TCP_SYN_SENT || sk.state === TCP_SYN_RECV) tcpOf(sk.ns).attemptFails++;
  tcpClearXmitTimer(sk);
  sk.delackTimer.cancel();
  sk.keepTimer.cancel();
  unhash(sk);
  sk.state = TCP_CLOSE;
  sk.shutdown = RCV_SHUTDOWN | SEND_SHUTDOWN;
  sk.queue.clear();
  if (sk.orphan) tcpDestroy(sk);
  sk.wq.wake();
}

function unhash(sk: TcpSock): void {
  const net = tcpOf(sk.ns);
  if (sk.state === TCP_LISTEN) net.unhashListener(sk);
  else if (sk.state !== TCP_CLOSE) net.unhash(sk);
  if (sk.sport !== 0) sockOf(sk.ns).release(sk);
}

/** Frees what a socket holds (inet_csk_destroy_sock). */
export function tcpDestroy(sk: TcpSock): void {
  sk.closed = true;
  tcpPurgeReceive(sk);
  sk.queue.clear();
}

/** The peer sent RST (tcp_reset): the reason depends on how far the connection was. */
export function tcpReset(sk: TcpSock): void {
  if (sk.state === TCP_CLOSE) return;
  if (sk.state === TCP_SYN_SENT) sk.err = "ECONNREFUSED";
  else if (sk.state === TCP_CLOSE_WAIT) sk.err = "EPIPE";
  else sk.err = "ECONNRESET";
  tcpOf(sk.ns).estabResets++;
  tcpDone(sk);
}

/** Ends a connection that got no answer, or an ICMP error (tcp_write_err). */
export function tcpFail(sk: TcpSock, err: NonNullable<TcpSock["err"]>): void {
  sk.err = err;
  tcpDone(sk);
}
