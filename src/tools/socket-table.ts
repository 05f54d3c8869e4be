/** The sockets of a namespace and what waits in them, as `ss` and `netstat` ask the kernel (tcp_diag.c, /proc/net/tcp, /proc/net/udp). */
import type { NetNs } from "../net/core/net-ns.ts";
import {
  type Sock,
  sockOf,
  TCP_ESTABLISHED,
  TCP_LISTEN,
  TCP_NEW_SYN_RECV,
  TCP_TIME_WAIT,
} from "../net/ipv4/sock.ts";
import { TcpTimewaitSock } from "../net/ipv4/tcp-minisocks.ts";
import { tcpOf } from "../net/ipv4/tcp-net.ts";
import type { TcpSock } from "../net/ipv4/tcp-sock.ts";
import { UdpSock } from "../net/ipv4/udp-sock.ts";
import { IPPROTO_UDP } from "../wire/ipv4.ts";

/** Those that listen, those that are connected, those that only wait for their time; each by their ports. */
export function tcpSockets(ns: NetNs): Sock[] {
  const rank = (sk: Sock): number => (sk.state === TCP_LISTEN ? 0 : sk.state === TCP_TIME_WAIT ? 2 : 1);
  return tcpOf(ns)
    .sockets()
    .filter((sk) => sk.state !== TCP_NEW_SYN_RECV)
    .sort((a, b) => rank(a) - rank(b) || a.sport - b.sport || a.dport - b.dport);
}

export function udpSockets(ns: NetNs): Sock[] {
  return sockOf(ns)
    .boundSockets()
    .filter((sk) => sk.protocol === IPPROTO_UDP);
}

/** Bytes that nobody read yet (who listens: connections that nobody took), and bytes that nobody acknowledged. */
export function socketQueues(sk: Sock): { readonly received: number; readonly unsent: number } {
  if (sk instanceof UdpSock) return { received: sk.rmemAlloc, unsent: 0 };
  if (sk instanceof TcpTimewaitSock || sk.protocol === IPPROTO_UDP) return { received: 0, unsent: 0 };
  const tcp = sk as TcpSock;
  if (tcp.state === TCP_LISTEN) return { received: tcp.acceptQueue.length, unsent: 0 };
  const received = tcp.state >= TCP_ESTABLISHED ? (tcp.rcvNxt - tcp.copiedSeq) | 0 : 0;
  return { received, unsent: (tcp.writeSeq - tcp.sndUna) | 0 };
}
