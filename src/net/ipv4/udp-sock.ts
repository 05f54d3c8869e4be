/**
 * UDP sockets (net/ipv4/udp.c): table of a namespace, bind, connect, send, receive. What arrives is handled in `udp.ts`.
 */
import { SysError } from "../../util/errors.ts";
import { IPPROTO_UDP } from "../../wire/ipv4.ts";
import { RTN_BROADCAST, RTN_LOCAL, RTN_MULTICAST } from "../core/dst.ts";
import type { NetNs } from "../core/net-ns.ts";
import type { Skb } from "../core/skb.ts";
import { inetAddrType } from "./route.ts";
import { bindConflict, SkbQueue, Sock, type SockError, sockOf, TCP_CLOSE, TCP_ESTABLISHED } from "./sock.ts";
import { skDestination, skRouteOutput } from "./sock-route.ts";
import { type UdpNet, udpNetOf } from "./udp-net.ts";
import { udpSendSkb } from "./udp-output.ts";

/** One received datagram. */
export interface Datagram {
  readonly data: Uint8Array;
  /** int32. */
  readonly saddr: number;
  readonly sport: number;
  readonly daddr: number;
}

/**
 * Sees a packet before it is queued (udp_sk->encap_rcv): `data` and `transOff` stand at the UDP header, `netOff` at the IP
 * header. True when it took the packet.
 */
export type EncapRcv = (sk: UdpSock, skb: Skb) => boolean;

const ERROR_QUEUE = 64;

export class UdpSock extends Sock {
  readonly receiveQueue = new SkbQueue();
  /** Memory charged for what waits, bytes, and its limit (SO_RCVBUF). */
  rmemAlloc = 0;
  rcvBuf: number;
  encapRcv: EncapRcv | null = null;
  /** Free for the owner of a tunnel socket (sk_user_data). */
  userData: unknown = null;
  /** ICMP errors for unconnected sends are reported too, and all wait in {@link errors} (IP_RECVERR). */
  recvErr = false;
  readonly errors: SockError[] = [];
  broadcast = false;

  constructor(ns: NetNs) {
    super(ns, IPPROTO_UDP);
    this.rcvBuf = udpNetOf(ns).rmemDefault;
  }

  /** Binds to a local address (0: any) and port (0: choose). EADDRINUSE, EADDRNOTAVAIL, EINVAL. */
  bind(addr: number, port: number): void {
    if (this.sport !== 0) throw new SysError("EINVAL");
    if (addr !== 0) {
      const type = inetAddrType(this.ns, addr);
      if (type !== RTN_LOCAL && type !== RTN_MULTICAST && type !== RTN_BROADCAST)
        throw new SysError("EADDRNOTAVAIL");
    }
    this.rcvSaddr = addr;
    this.saddr = addr;
    this.takePort(port);
  }

  /** Sets the peer; only its datagrams are received, its ICMP errors are reported. ENETUNREACH and the like. */
  connect(to: number, port: number): void {
    const addr = skDestination(this, to);
    const dst = skRouteOutput(this, addr, false, port);
    if (this.saddr === 0) this.saddr = dst.source;
    if (this.rcvSaddr === 0) this.rcvSaddr = this.saddr;
    this.daddr = addr;
    this.dport = port;
    this.state = TCP_ESTABLISHED;
    this.rethinkTxHash();
    this.inetId = sockOf(this.ns).prng.below(65536);
    if (this.sport === 0) this.takePort(0);
  }

  /**
   * Sends a datagram; `addr` null: to the connected peer. EDESTADDRREQ, EMSGSIZE, EACCES (broadcast), EPERM (a rule dropped
   * it), routing errors, or the pending error.
   */
  send(data: Uint8Array, addr: number | null = null, port = 0): void {
    this.throwError();
    if (addr === null && this.daddr === 0) throw new SysError("EDESTADDRREQ");
    if (data.length > 65507) throw new SysError("EMSGSIZE");
    if (this.sport === 0) this.takePort(0);
    const kernel = this.ns.kernel;
    kernel.enter();
    try {
      udpSendSkb(this, data, addr ?? this.daddr, addr === null ? this.dport : port);
    } finally {
      kernel.leave();
    }
  }

  /** The oldest datagram, or null when none waits. Throws the pending error first. */
  receive(): Datagram | null {
    this.throwError();
    const skb = this.receiveQueue.shift();
    if (skb === null) return null;
    this.rmemAlloc -= skb.cb0;
    const datagram = {
      data: skb.bytes.slice(skb.transOff + 8, skb.tail),
      saddr: skb.view.getInt32(skb.netOff + 12),
      sport: skb.view.getUint16(skb.transOff),
      daddr: skb.view.getInt32(skb.netOff + 16),
    };
    skb.consume();
    return datagram;
  }

  /** Puts an error into the queue of a socket that asked for them. */
  pushError(error: SockError): void {
    if (this.recvErr && this.errors.length < ERROR_QUEUE) this.errors.push(error);
    this.wq.wake();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.state = TCP_CLOSE;
    this.receiveQueue.purge();
    this.rmemAlloc = 0;
    if (this.sport !== 0) {
      udpOf(this.ns).unhash(this);
      sockOf(this.ns).release(this);
    }
    this.wq.wake();
  }

  private takePort(wanted: number): void {
    const net = sockOf(this.ns);
    const isFree = (port: number): boolean =>
      net
        .holders(IPPROTO_UDP, port)
        .every((other) => !bindConflict(this, other, this.reuseAddr && other.reuseAddr));
    let port = wanted;
    if (port === 0 && this.usesPins) port = net.pinnedPorts.take(net.ns.kernel.sim.now) ?? 0;
    if (port === 0) port = udpOf(this.ns).randomPort(isFree);
    if (port === 0 || !isFree(port)) throw new SysError("EADDRINUSE");
    this.sport = port;
    net.hold(this);
    udpOf(this.ns).hash(this);
  }
}

/** The UDP sockets of a namespace. */
export function udpOf(ns: NetNs): UdpNet {
  return udpNetOf(ns);
}
