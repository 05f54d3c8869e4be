/**
 * Sockets as programs use them: calls that may wait are routines for `yield*`. All throw SysError with the errno of the real
 * call. A process's sockets are closed when it ends.
 */
import type { NetDevice } from "../net/core/net-device.ts";
import { RawSock } from "../net/ipv4/raw-sock.ts";
import { TCP_ESTABLISHED, TCP_SYN_RECV, TCP_SYN_SENT } from "../net/ipv4/sock.ts";
import {
  tcpAccept,
  tcpBind,
  tcpConnect,
  tcpListen,
  tcpNewSock,
  tcpPoll,
  tcpRecvmsg,
  tcpShutdown,
} from "../net/ipv4/tcp.ts";
import { tcpSendmsg } from "../net/ipv4/tcp-sendmsg.ts";
import { RCV_SHUTDOWN, SEND_SHUTDOWN, type TcpSock } from "../net/ipv4/tcp-sock.ts";
import { type Datagram, UdpSock } from "../net/ipv4/udp-sock.ts";
import { SysError } from "../util/errors.ts";
import { closeFd, install } from "./fd-table.ts";
import { type Co, type Process, waitFor } from "./process.ts";

export interface ConnectOptions {
  /** Give up with ETIMEDOUT after this time, ns. */
  readonly timeoutNs?: number;
  /** Source port; 0 or absent: chosen. */
  readonly sport?: number;
  /** Source address, int32. */
  readonly saddr?: number;
  readonly device?: NetDevice;
  /** TCP_NODELAY. */
  readonly noDelay?: boolean;
  /** TCP_MAXSEG. */
  readonly maxSegment?: number;
  /** false: the source port is not one of those that a lab page pins. */
  readonly usesPins?: boolean;
}

/** A listening TCP socket on `addr` (0: any) and `port`. EADDRINUSE, EADDRNOTAVAIL. */
export function listenTcp(process: Process, addr: number, port: number, backlog = 128): TcpSock {
  const sk = install(process, tcpNewSock(process.ns));
  sk.reuseAddr = true;
  try {
    tcpBind(sk, addr, port);
    tcpListen(sk, backlog);
  } catch (error) {
    closeFd(process, sk);
    throw error;
  }
  return sk;
}

/** Connects to `addr:port`. ECONNREFUSED, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH, EADDRINUSE. */
export function* connectTcp(
  process: Process,
  addr: number,
  port: number,
  options: ConnectOptions = {},
): Co<TcpSock> {
  const { sim } = process.machine.kernel;
  const sk = install(process, tcpNewSock(process.ns));
  try {
    if (options.device !== undefined) sk.boundDev = options.device;
    if (options.noDelay === true) sk.noDelay = true;
    sk.usesPins = options.usesPins ?? true;
    if (options.maxSegment !== undefined) sk.userMss = options.maxSegment;
    if (options.sport || options.saddr) tcpBind(sk, options.saddr ?? 0, options.sport ?? 0);
    const deadline = options.timeoutNs === undefined ? undefined : sim.now + options.timeoutNs;
    tcpConnect(sk, addr, port);
    while (sk.state === TCP_SYN_SENT || sk.state === TCP_SYN_RECV) {
      const left = deadline === undefined ? undefined : deadline - sim.now;
      if (left !== undefined && left <= 0) throw new SysError("ETIMEDOUT");
      yield* waitFor(sk.wq, left);
    }
    sk.throwError();
    return sk;
  } catch (error) {
    closeFd(process, sk);
    throw error;
  }
}

/** The next connection of a listener; null when `timeoutNs` is over. */
export function acceptTcp(process: Process, listener: TcpSock): Co<TcpSock>;
export function acceptTcp(process: Process, listener: TcpSock, timeoutNs: number): Co<TcpSock | null>;
export function* acceptTcp(process: Process, listener: TcpSock, timeoutNs?: number): Co<TcpSock | null> {
  for (;;) {
    const sk = tcpAccept(listener);
    if (sk !== null) return install(process, sk);
    if ((yield* waitFor(listener.wq, timeoutNs)) === "timeout") return null;
  }
}

/** Sends all of `data`. EPIPE, ECONNRESET, ETIMEDOUT. */
export function* sendTcp(sk: TcpSock, data: Uint8Array): Co<void> {
  let sent = 0;
  while (sent < data.length) {
    const count = tcpSendmsg(sk, data, sent);
    sent += count;
    if (sent < data.length && (count === 0 || sk.noSpace)) yield* waitFor(sk.wq);
  }
}

/**
 * What has arrived, at most `max` bytes; waits for at least one byte. Empty at the end of the stream, null when
 * `timeoutNs` is over. ECONNRESET, ETIMEDOUT, ECONNREFUSED.
 */
export function recvTcp(sk: TcpSock, max?: number): Co<Uint8Array>;
export function recvTcp(sk: TcpSock, max: number, timeoutNs: number | undefined): Co<Uint8Array | null>;
export function* recvTcp(sk: TcpSock, max = 65536, timeoutNs?: number): Co<Uint8Array | null> {
  const { sim } = sk.ns.kernel;
  const deadline = timeoutNs === undefined ? undefined : sim.now + timeoutNs;
  for (;;) {
    const data = tcpRecvmsg(sk, max);
    if (data !== null) return data;
    const left = deadline === undefined ? undefined : deadline - sim.now;
    if (left !== undefined && left <= 0) return null;
    yield* waitFor(sk.wq, left);
  }
}

/** Ends our direction of the stream (SHUT_WR). */
export function shutdownTcp(sk: TcpSock): void {
  tcpShutdown(sk, SEND_SHUTDOWN);
}

/** Whether a read would not wait. */
export function readableTcp(sk: TcpSock): boolean {
  return tcpPoll(sk);
}

export function isConnected(sk: TcpSock): boolean {
  return sk.state === TCP_ESTABLISHED && (sk.shutdown & RCV_SHUTDOWN) === 0;
}

/** Closes any socket of the process. */
export function closeSocket(process: Process, sk: TcpSock | UdpSock | RawSock): void {
  closeFd(process, sk);
}

/** A UDP socket bound to `addr` (0: any) and `port` (0: chosen when first used). EADDRINUSE, EADDRNOTAVAIL. */
export function openUdp(process: Process, addr = 0, port = 0): UdpSock {
  const sk = install(process, new UdpSock(process.ns));
  try {
    if (addr !== 0 || port !== 0) sk.bind(addr, port);
  } catch (error) {
    closeFd(process, sk);
    throw error;
  }
  return sk;
}

/** The next datagram; null when `timeoutNs` is over. Throws the error that an ICMP message left. */
export function recvUdp(sk: UdpSock): Co<Datagram>;
export function recvUdp(sk: UdpSock, timeoutNs: number | undefined): Co<Datagram | null>;
export function* recvUdp(sk: UdpSock, timeoutNs?: number): Co<Datagram | null> {
  const { sim } = sk.ns.kernel;
  const deadline = timeoutNs === undefined ? undefined : sim.now + timeoutNs;
  for (;;) {
    const datagram = sk.receive();
    if (datagram !== null) return datagram;
    const left = deadline === undefined ? undefined : deadline - sim.now;
    if (left !== undefined && left <= 0) return null;
    yield* waitFor(sk.wq, left);
  }
}

/** A raw socket of an IP protocol. */
export function openRaw(process: Process, protocol: number): RawSock {
  return install(process, new RawSock(process.ns, protocol));
}
