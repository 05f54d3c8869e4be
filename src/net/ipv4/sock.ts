/**
 * What every IPv4 socket has (include/net/sock.h, inet_sock.h), and what the sockets of a namespace share: bound ports,
 * memory limits, the random streams behind ports, identifiers and timestamps.
 */

import { WaitQueue } from "../../sim/wait-queue.ts";
import { type Errno, SysError } from "../../util/errors.ts";
import { hash3 } from "../../util/hash.ts";
import { Pinned } from "../../util/pinned.ts";
import type { Prng } from "../../util/prng.ts";
import type { Dst } from "../core/dst.ts";
import type { IpOptionsData } from "../core/ip-options.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import type { Skb } from "../core/skb.ts";
import { ipv4Of } from "./ipv4-net.ts";

/** Who holds a socket, as `ss -p` shows it. */
export interface SockOwner {
  readonly pid: number;
  readonly comm: string;
  readonly fd: number;
}

/** States of a TCP socket (include/net/tcp_states.h); other sockets use ESTABLISHED (connected) and CLOSE. */
export const TCP_ESTABLISHED = 1;
export const TCP_SYN_SENT = 2;
export const TCP_SYN_RECV = 3;
export const TCP_FIN_WAIT1 = 4;
export const TCP_FIN_WAIT2 = 5;
export const TCP_TIME_WAIT = 6;
export const TCP_CLOSE = 7;
export const TCP_CLOSE_WAIT = 8;
export const TCP_LAST_ACK = 9;
export const TCP_LISTEN = 10;
export const TCP_CLOSING = 11;
export const TCP_NEW_SYN_RECV = 12;
export type TcpState = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12;

/**
 * Path MTU discovery (IP_MTU_DISCOVER): never, want (the default: DF, fragment when too long), always, always and without
 * a look at what was found before.
 */
export const IP_PMTUDISC_DONT = 0;
export const IP_PMTUDISC_WANT = 1;
export const IP_PMTUDISC_DO = 2;
export const IP_PMTUDISC_PROBE = 3;
export type PmtuDiscovery = 0 | 1 | 2 | 3;

/** An error about a datagram of a socket that waits in its queue (IP_RECVERR). */
export interface SockError {
  readonly errno: Errno;
  /** ICMP type and code; both 0 when the error was found here. */
  readonly type: number;
  readonly code: number;
  /** Path MTU of EMSGSIZE. */
  readonly info: number;
  /** Who sent the error, int32; 0 when it was found here. */
  readonly offender: number;
  /** Time to live that the ICMP packet came with. */
  readonly ttl: number;
  /** Port that the datagram was for. */
  readonly dport: number;
}

/** Memory that a received packet of `lenBytes` is charged with: a 2 KiB buffer of the driver with its sk_buff. */
export function skbTruesize(lenBytes: number): number {
  return lenBytes <= 1664 ? 2304 : 640 + ((lenBytes + 255) & ~255);
}

export class Sock {
  readonly ns: NetNs;
  readonly protocol: number;
  state: TcpState = TCP_CLOSE;
  /** Address that it is bound to, int32, 0 for any (inet_rcv_saddr). */
  rcvSaddr = 0;
  /** Source address of what it sends, int32, 0 until known. */
  saddr = 0;
  daddr = 0;
  sport = 0;
  dport = 0;
  /** SO_BINDTODEVICE. */
  boundDev: NetDevice | null = null;
  /** SO_MARK. */
  mark = 0;
  tos = 0;
  /** 0: the default of the namespace. */
  ttl = 0;
  pmtuDisc: PmtuDiscovery = IP_PMTUDISC_WANT;
  /** IP options of its packets (inet_opt). */
  opt: IpOptionsData | null = null;
  reuseAddr = false;
  reusePort = false;
  /** The port was asked for by bind, so that no connection may choose it for itself (SOCK_BINDPORT_LOCK). */
  portLocked = false;
  /** Takes the source ports that a lab page pins for the machine; a daemon's sockets leave them to the page's commands. */
  usesPins = true;
  /** Error that the next call reports (sk_err). */
  err: Errno | null = null;
  /** Woken on every change that a process may wait for. */
  readonly wq = new WaitQueue();
  /** Hash that the flow takes when it is sent from here (sk_txhash), int32; 0 until the socket has a peer: that of the packet. */
  txHash = 0;
  /** Next IP id of a connected socket (inet_id). */
  inetId = 0;
  /** Route of the last packet and the generation of the tables that it was looked up in. */
  dst: Dst | null = null;
  dstGeneration = -1;
  owner: SockOwner | null = null;
  /** Next socket in the same bucket of a table. */
  hashNext: Sock | null = null;
  closed = false;
  /** A system call holds the socket (sock_owned_by_user). */
  owned = false;
  /** Was bound to [::] and takes IPv4 too; only shown (`*:80` in `ss`). */
  dualStack = false;

  constructor(ns: NetNs, protocol: number) {
    this.ns = ns;
    this.protocol = protocol;
    if (ipv4Of(ns).sysctls.ipNoPmtuDisc !== 0) this.pmtuDisc = IP_PMTUDISC_DONT;
  }

  /** Draws a new transmit hash (sk_rethink_txhash). */
  rethinkTxHash(): void {
    this.txHash = sockOf(this.ns).prng.i32() || 1;
  }

  /** Takes the pending error, if any, and throws it. */
  throwError(): void {
    const err = this.err;
    if (err === null) return;
    this.err = null;
    throw new SysError(err);
  }
}

/** What the sockets of a namespace share. */
export class SockNet {
  readonly ns: NetNs;
  /** Source ports that the next sockets take instead of chosen ones, first to last. */
  pinnedPorts = new Pinned<number>();
  readonly prng: Prng;
  /** Key of the hashes of this namespace. */
  readonly key: number;
  /** Sockets that hold a port, by protocol number * 65536 + port. */
  private readonly bound = new Map<number, Sock[]>();
  /** Steps of the port search by destination (table_perturb). */
  private readonly perturb = new Int32Array(256);

  constructor(ns: NetNs) {
    this.ns = ns;
    this.prng = ns.kernel.prng.stream(`sockets/${ns.id}`);
    this.key = this.prng.i32();
    for (let i = 0; i < this.perturb.length; i++) this.perturb[i] = this.prng.i32();
  }

  holders(protocol: number, port: number): readonly Sock[] {
    return this.bound.get(protocol * 65536 + port) ?? [];
  }

  /** Whether any socket of the protocol holds `port`. */
  isBound(protocol: number, port: number): boolean {
    return this.holders(protocol, port).length > 0;
  }

  hold(sk: Sock): void {
    const key = sk.protocol * 65536 + sk.sport;
    const list = this.bound.get(key);
    if (list === undefined) this.bound.set(key, [sk]);
    else list.push(sk);
  }

  release(sk: Sock): void {
    const key = sk.protocol * 65536 + sk.sport;
    const list = this.bound.get(key);
    const i = list === undefined ? -1 : list.indexOf(sk);
    if (list === undefined || i < 0) return;
    list.splice(i, 1);
    if (list.length === 0) this.bound.delete(key);
  }

  /** Every socket that holds a port, ascending by protocol and port. */
  boundSockets(): Sock[] {
    return [...this.bound.entries()].sort((a, b) => a[0] - b[0]).flatMap(([, list]) => list);
  }

  /**
   * A free source port for the connection that `sk` begins (__inet_hash_connect): an offset hashed from the destination, even
   * distances from the range's start first; `isFree` decides. 0 when none is free.
   */
  connectPort(sk: Sock, isFree: (port: number) => boolean): number {
    const pinned = sk.usesPins ? this.pinnedPorts.take(this.ns.kernel.sim.now) : undefined;
    if (pinned !== undefined) return pinned;
    const { saddr, daddr, dport } = sk;
    const [low, high] = ipv4Of(this.ns).localPortRange;
    const span = high + 1 - low;
    const remaining = span > 1 ? span & ~1 : span;
    const offsetHash = hash3(saddr, daddr, dport, this.key);
    const index = offsetHash & (this.perturb.length - 1);
    let offset = (((this.perturb[index] + offsetHash) >>> 0) % remaining) & ~1;
    for (let pass = 0; pass < 2; pass++, offset++) {
      let port = low + offset;
      for (let i = 0; i < remaining; i += 2, port += 2) {
        if (port > high) port -= remaining;
        if (!isFree(port)) continue;
        this.perturb[index] += Math.max(i, this.prng.below(8) * 2) + 2;
        return port;
      }
    }
    return 0;
  }

  /** A free port for bind(0) (inet_csk_find_open_port): odd distances from the range's start first. 0 when none is free. */
  openPort(sk: Sock, isFree: (port: number) => boolean): number {
    const pinned = sk.usesPins ? this.pinnedPorts.take(this.ns.kernel.sim.now) : undefined;
    if (pinned !== undefined) return pinned;
    const [low, high] = ipv4Of(this.ns).localPortRange;
    const span = high + 1 - low;
    const remaining = span > 1 ? span & ~1 : span;
    let offset = this.prng.below(remaining) | 1;
    for (let pass = 0; pass < 2; pass++, offset--) {
      let port = low + offset;
      for (let i = 0; i < remaining; i += 2, port += 2) {
        if (port > high) port -= remaining;
        if (isFree(port)) return port;
      }
    }
    return 0;
  }
}

export function sockOf(ns: NetNs): SockNet {
  const ipv4 = ipv4Of(ns);
  if (ipv4.sock === null) ipv4.sock = new SockNet(ns);
  return ipv4.sock as SockNet;
}

/** Whether two sockets may not hold the same port (inet_csk_bind_conflict): same device or any, same address or any. */
export function bindConflict(a: Sock, b: Sock, reusable: boolean): boolean {
  if (a.boundDev !== null && b.boundDev !== null && a.boundDev !== b.boundDev) return false;
  if (reusable) return false;
  return a.rcvSaddr === 0 || b.rcvSaddr === 0 || a.rcvSaddr === b.rcvSaddr;
}

/** errno of an ICMP destination unreachable code, and whether it ends a connection (icmp_err_convert). */
export const ICMP_ERR_ERRNO: readonly Errno[] = [
  "ENETUNREACH",
  "EHOSTUNREACH",
  "ENOPROTOOPT",
  "ECONNREFUSED",
  "EMSGSIZE",
  "EOPNOTSUPP",
  "ENETUNREACH",
  "EHOSTUNREACH",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EHOSTUNREACH",
  "EHOSTUNREACH",
  "EHOSTUNREACH",
  "EHOSTUNREACH",
];
/** Bit n: code n is fatal. */
export const ICMP_ERR_FATAL = (1 << 2) | (1 << 3) | (0x3f << 6) | (0x7 << 13);

/** A FIFO of packets linked by `next`. */
export class SkbQueue {
  head: Skb | null = null;
  tail: Skb | null = null;
  length = 0;

  push(skb: Skb): void {
    skb.next = null;
    if (this.tail === null) this.head = skb;
    else this.tail.next = skb;
    this.tail = skb;
    this.length++;
  }

  shift(): Skb | null {
    const skb = this.head;
    if (skb === null) return null;
    this.head = skb.next;
    if (this.head === null) this.tail = null;
    skb.next = null;
    this.length--;
    return skb;
  }

  /** Frees everything (skb_queue_purge). */
  purge(): void {
    for (let skb = this.shift(); skb !== null; skb = this.shift()) skb.consume();
  }
}
