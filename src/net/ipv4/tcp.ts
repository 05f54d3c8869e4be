/** The calls on TCP sockets (net/ipv4/tcp.c, inet_connection_sock.c). None waits: what would block returns null or 0. */
import { SysError } from "../../util/errors.ts";
import { IPPROTO_TCP } from "../../wire/ipv4.ts";
import { TCP_FIN } from "../../wire/tcp.ts";
import { RTN_LOCAL, RTN_MULTICAST, RTN_UNICAST } from "../core/dst.ts";
import type { NetNs } from "../core/net-ns.ts";
import { inetAddrType } from "./route.ts";
import {
  bindConflict,
  sockOf,
  TCP_CLOSE,
  TCP_CLOSE_WAIT,
  TCP_ESTABLISHED,
  TCP_FIN_WAIT1,
  TCP_FIN_WAIT2,
  TCP_LAST_ACK,
  TCP_LISTEN,
  TCP_SYN_RECV,
  TCP_SYN_SENT,
} from "./sock.ts";
import { skDestination, skRouteOutput } from "./sock-route.ts";
import { tcpLock, tcpRelease } from "./tcp-lock.ts";
import { TCP_TIMEWAIT_NS, TcpReqSock, tcpTimeWait } from "./tcp-minisocks.ts";
import { tcpOf } from "./tcp-net.ts";
import { tcpSendActiveReset, tcpSendSyn } from "./tcp-output.ts";
import { tcpCleanupRbuf, tcpRcvSpaceAdjust } from "./tcp-rcvbuf.ts";
import { reqDrop, secureTcpSeq, secureTcpTsOff } from "./tcp-request.ts";
import { TCP_TIMEOUT_INIT_NS, tcpResetXmitTimer } from "./tcp-rto.ts";
import { RCV_SHUTDOWN, SEND_SHUTDOWN, TCP_NAGLE_OFF, type TcpSock, TIME_RETRANS } from "./tcp-sock.ts";
import { tcpDestroy, tcpDone } from "./tcp-state.ts";
import { tcpAllocSock } from "./tcp-timer.ts";
import {
  dstAdvmss,
  initialWindow,
  tcpCurrentMss,
  tcpDstMtu,
  tcpFullSpace,
  tcpInitializeRcvMss,
  tcpSelectInitialWindow,
  tcpSyncMss,
} from "./tcp-window.ts";
import { tcpPushPendingFrames } from "./tcp-xmit.ts";

/** A new TCP socket. */
export function tcpNewSock(ns: NetNs): TcpSock {
  return tcpAllocSock(ns);
}

/** Binds to a local address (0: any) and port (0: choose). EINVAL, EADDRNOTAVAIL, EADDRINUSE. */
export function tcpBind(sk: TcpSock, addr: number, port: number): void {
  if (sk.state !== TCP_CLOSE || sk.sport !== 0) throw new SysError("EINVAL");
  if (addr !== 0 && inetAddrType(sk.ns, addr) !== RTN_LOCAL) throw new SysError("EADDRNOTAVAIL");
  sk.rcvSaddr = addr;
  sk.saddr = addr;
  const net = sockOf(sk.ns);
  const isFree = (candidate: number): boolean => portFree(sk, candidate);
  const chosen = port !== 0 ? port : net.openPort(sk, isFree);
  if (chosen === 0 || (port !== 0 && !isFree(port))) {
    sk.rcvSaddr = 0;
    sk.saddr = 0;
    throw new SysError("EADDRINUSE");
  }
  sk.sport = chosen;
  sk.portLocked = port !== 0;
  net.hold(sk);
}

function portFree(sk: TcpSock, port: number): boolean {
  for (const other of sockOf(sk.ns).holders(IPPROTO_TCP, port)) {
    if (other === sk) continue;
    const reusable = sk.reuseAddr && other.reuseAddr && other.state !== TCP_LISTEN;
    if (bindConflict(sk, other, reusable || (sk.reusePort && other.reusePort))) return false;
  }
  return true;
}

/** Starts to listen; `backlog` connections may wait. EINVAL, EADDRINUSE. */
export function tcpListen(sk: TcpSock, backlog: number): void {
  if (sk.state !== TCP_CLOSE && sk.state !== TCP_LISTEN) throw new SysError("EINVAL");
  sk.backlog = Math.min(backlog, tcpOf(sk.ns).somaxconn);
  if (sk.state === TCP_LISTEN) return;
  if (sk.sport === 0) tcpBind(sk, 0, 0);
  else if (!portFree(sk, sk.sport)) throw new SysError("EADDRINUSE");
  sk.state = TCP_LISTEN;
  tcpOf(sk.ns).hashListener(sk);
}

/** The oldest connection that waits, or null. EINVAL when the socket does not listen. */
export function tcpAccept(sk: TcpSock): TcpSock | null {
  if (sk.state !== TCP_LISTEN) throw new SysError("EINVAL");
  return sk.acceptQueue.shift() ?? null;
}

/**
 * Sends the SYN to `addr:port` (tcp_v4_connect). The end shows in `state` and `err`. EISCONN, EALREADY, EADDRNOTAVAIL,
 * EADDRINUSE, routing errors.
 */
export function tcpConnect(sk: TcpSock, addr: number, port: number): void {
  if (sk.state === TCP_SYN_SENT || sk.state === TCP_SYN_RECV) throw new SysError("EALREADY");
  if (sk.state !== TCP_CLOSE || sk.closed) throw new SysError("EISCONN");
  const { ns } = sk;
  const daddr = skDestination(sk, addr);
  const { dst, source } = skRouteOutput(sk, daddr, false, port);
  if (dst.type !== RTN_UNICAST && dst.type !== RTN_LOCAL)
    throw new SysError(dst.type === RTN_MULTICAST ? "ENETUNREACH" : "EACCES");
  sk.saddr = source;
  if (sk.rcvSaddr === 0) sk.rcvSaddr = source;
  sk.daddr = daddr;
  sk.dport = port;
  takeConnectPort(sk);
  sk.inetId = sockOf(ns).prng.below(65536);
  sk.iss = secureTcpSeq(ns, source, daddr, sk.sport, port);
  sk.tsOffset = secureTcpTsOff(ns, source, daddr);
  connectInit(sk, tcpDstMtu(sk, dst), dstAdvmss(ns, dst, daddr));
  sk.state = TCP_SYN_SENT;
  tcpOf(ns).hash(sk);
  tcpOf(ns).activeOpens++;
  tcpLock(sk);
  tcpSendSyn(sk);
  tcpResetXmitTimer(sk, TIME_RETRANS, sk.rtoNs);
  tcpRelease(sk);
}

/** Source port of a connection: the bound one if its four numbers are free, or a chosen one. */
function takeConnectPort(sk: TcpSock): void {
  const net = sockOf(sk.ns);
  const tcp = tcpOf(sk.ns);
  if (sk.sport !== 0) {
    if (tcp.lookupEstablished(sk.daddr, sk.dport, sk.saddr, sk.sport) !== null)
      throw new SysError("EADDRNOTAVAIL");
    return;
  }
  const port = net.connectPort(sk, (candidate) => {
    const holders = net.holders(IPPROTO_TCP, candidate);
    if (holders.some((other) => other.portLocked)) return false;
    return holders.length === 0 || tcp.lookupEstablished(sk.daddr, sk.dport, sk.saddr, candidate) === null;
  });
  if (port === 0) throw new SysError("EADDRNOTAVAIL");
  sk.sport = port;
  net.hold(sk);
}

/** Windows, sizes and options that the SYN offers (tcp_connect_init). */
function connectInit(sk: TcpSock, mtu: number, advmss: number): void {
  const net = tcpOf(sk.ns);
  sk.tstampOk = net.timestamps !== 0;
  sk.sackOk = net.sack !== 0;
  sk.wscaleOk = net.windowScaling !== 0;
  sk.headerLen = sk.tstampOk ? 32 : 20;
  sk.mssClamp = 65535;
  sk.maxWindow = 0;
  tcpSyncMss(sk, mtu);
  sk.mssClamp = 536;
  sk.advmss = sk.userMss > 0 ? Math.min(advmss, sk.userMss) : advmss;
  tcpInitializeRcvMss(sk);
  tcpSelectInitialWindow(sk.ns, tcpFullSpace(sk), sk.advmss, 0, sk.wscaleOk);
  sk.rcvWnd = initialWindow.rcvWnd;
  sk.windowClamp = initialWindow.windowClamp;
  sk.rcvWscale = initialWindow.wscale;
  sk.rcvSsthresh = sk.rcvWnd;
  sk.sndUna = sk.iss;
  sk.sndNxt = sk.iss;
  sk.sndSml = sk.iss;
  sk.writeSeq = sk.iss;
  sk.sndWnd = 0;
  sk.rcvNxt = 0;
  sk.rcvWup = 0;
  sk.copiedSeq = 0;
  sk.rtoNs = TCP_TIMEOUT_INIT_NS;
  sk.retransmits = 0;
}

/** Whether a read would not wait: data, end of stream, or an error. */
export function tcpPoll(sk: TcpSock): boolean {
  return (
    sk.receiveQueue.length > 0 ||
    sk.err !== null ||
    (sk.shutdown & RCV_SHUTDOWN) !== 0 ||
    sk.acceptQueue.length > 0
  );
}

/**
 * Takes at most `max` received bytes (tcp_recvmsg). Empty at the end of the stream, null when nothing has come yet.
 * ENOTCONN, the pending error.
 */
export function tcpRecvmsg(sk: TcpSock, max: number): Uint8Array | null {
  const available = readable(sk);
  if (available === 0) {
    sk.throwError();
    if ((sk.shutdown & RCV_SHUTDOWN) !== 0) {
      drainFin(sk);
      return new Uint8Array(0);
    }
    if (sk.state === TCP_CLOSE || sk.state === TCP_LISTEN) throw new SysError("ENOTCONN");
    return null;
  }
  const out = new Uint8Array(Math.min(available, max));
  let copied = 0;
  while (copied < out.length) {
    const skb = sk.receiveQueue.head!;
    const offset = (sk.copiedSeq - skb.cb0) | 0;
    const count = Math.min(skb.length - offset, out.length - copied);
    const start = skb.data + offset;
    out.set(skb.bytes.subarray(start, start + count), copied);
    copied += count;
    sk.copiedSeq = (sk.copiedSeq + count) | 0;
    tcpRcvSpaceAdjust(sk);
    if (offset + count >= skb.length) eat(sk);
  }
  drainFin(sk);
  tcpLock(sk);
  if (sk.state !== TCP_CLOSE) tcpCleanupRbuf(sk, copied);
  tcpRelease(sk);
  return out;
}

/** Frees the first packet of the receive queue; its FIN, if any, is read too. */
function eat(sk: TcpSock): void {
  const skb = sk.receiveQueue.shift()!;
  sk.copiedSeq = skb.cb1;
  sk.rmemAlloc -= skb.cb2;
  skb.consume();
}

/** Frees what holds no more data than was read: the FIN. */
function drainFin(sk: TcpSock): void {
  for (let skb = sk.receiveQueue.head; skb !== null; skb = sk.receiveQueue.head) {
    if (((sk.copiedSeq - skb.cb0) | 0) < skb.length) return;
    eat(sk);
  }
}

/** Bytes that wait to be read. */
function readable(sk: TcpSock): number {
  const first = sk.receiveQueue.head;
  if (first === null) return 0;
  const total = (sk.rcvNxt - sk.copiedSeq) | 0;
  const fin = sk.receiveQueue.tail !== null && (sk.receiveQueue.tail.cb3 & TCP_FIN) !== 0 ? 1 : 0;
  return total - fin;
}

/** Our FIN, behind everything that waits (tcp_send_fin). */
function sendFin(sk: TcpSock): void {
  const { queue } = sk;
  if (queue.hasUnsent) {
    const i = (queue.tail - 1) & queue.mask;
    queue.flags[i] |= TCP_FIN;
    queue.end[i] = (queue.end[i] + 1) | 0;
  } else queue.push(sk.writeSeq, (sk.writeSeq + 1) | 0, TCP_FIN);
  sk.writeSeq = (sk.writeSeq + 1) | 0;
  tcpPushPendingFrames(sk, tcpCurrentMss(sk), TCP_NAGLE_OFF);
}

/** The state after we end our direction; true when a FIN is to be sent (tcp_close_state). */
function closeState(sk: TcpSock): boolean {
  if (sk.state === TCP_ESTABLISHED || sk.state === TCP_SYN_RECV) sk.state = TCP_FIN_WAIT1;
  else if (sk.state === TCP_CLOSE_WAIT) sk.state = TCP_LAST_ACK;
  else {
    if (sk.state === TCP_SYN_SENT) tcpDone(sk);
    return false;
  }
  return true;
}

/** Ends one or both directions: RCV_SHUTDOWN, SEND_SHUTDOWN. ENOTCONN. */
export function tcpShutdown(sk: TcpSock, how: number): void {
  if (sk.state === TCP_CLOSE) throw new SysError("ENOTCONN");
  sk.shutdown |= how;
  if (sk.state === TCP_LISTEN) {
    if ((how & RCV_SHUTDOWN) !== 0) listenStop(sk);
    return;
  }
  tcpLock(sk);
  const open = sk.state === TCP_ESTABLISHED || sk.state === TCP_SYN_SENT || sk.state === TCP_CLOSE_WAIT;
  if ((how & SEND_SHUTDOWN) !== 0 && open && closeState(sk)) sendFin(sk);
  tcpRelease(sk);
  sk.wq.wake();
}

/** Ends a listener: requests go, connections that nobody took are reset (inet_csk_listen_stop). */
function listenStop(sk: TcpSock): void {
  for (const other of tcpOf(sk.ns).sockets())
    if (other instanceof TcpReqSock && other.listener === sk) reqDrop(other);
  tcpDone(sk);
  for (const child of sk.acceptQueue.splice(0)) {
    child.lingerReset = true;
    tcpClose(child);
  }
}

/** Closes a socket for good (tcp_close): FIN, or RST when data was not read. It lives on in the tables until the end. */
export function tcpClose(sk: TcpSock): void {
  if (sk.orphan || sk.closed) return;
  if (sk.state === TCP_LISTEN) listenStop(sk);
  tcpLock(sk);
  const unread = readable(sk) > 0;
  sk.shutdown = RCV_SHUTDOWN | SEND_SHUTDOWN;
  sk.orphan = true;
  if (sk.state === TCP_CLOSE) {
    if (sk.sport !== 0) sockOf(sk.ns).release(sk);
    tcpDestroy(sk);
  } else if (unread || sk.lingerReset) {
    if (sk.state !== TCP_SYN_SENT) tcpSendActiveReset(sk);
    tcpDone(sk);
  } else if (closeState(sk)) sendFin(sk);
  tcpRelease(sk);
  finWait2Orphan(sk);
}

/** A closed socket in FIN_WAIT2 waits as a small one (tcp_close). */
function finWait2Orphan(sk: TcpSock): void {
  if (sk.state !== TCP_FIN_WAIT2) return;
  const timeout = tcpOf(sk.ns).finTimeoutSec * 1_000_000_000;
  if (timeout > TCP_TIMEWAIT_NS) {
    sk.keepTimer.armAt(sk.ns.kernel.timerNs(timeout - TCP_TIMEWAIT_NS));
    return;
  }
  tcpTimeWait(sk, TCP_FIN_WAIT2, timeout);
  tcpDone(sk);
}
