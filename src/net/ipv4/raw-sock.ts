/** Raw sockets of one protocol (net/ipv4/raw.c); `ping` run as root uses one for ICMP. */
import { type Errno, SysError } from "../../util/errors.ts";
import { ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, ICMP_REDIRECT, ICMP_SOURCE_QUENCH } from "../../wire/icmp.ts";
import {
  IP_HLEN,
  IPPROTO_ICMP,
  ipDaddr,
  ipId,
  ipProtocol,
  ipSaddr,
  l4CheckOff,
  l4ChecksumSet,
  setIpId,
  setIpSaddr,
} from "../../wire/ipv4.ts";
import type { NetNs } from "../core/net-ns.ts";
import type { Skb } from "../core/skb.ts";
import { ipSelectIdent } from "./ip-ident.ts";
import { ipOptionsBuild, ipOptionsHop } from "./ip-options.ts";
import { ipBuildHeader, ipLocalOut } from "./ip-output.ts";
import { ipv4Of } from "./ipv4-net.ts";
import { skbSetRoute } from "./route.ts";
import { ipv4UpdatePmtu } from "./route-pmtu.ts";
import { ipv4Redirect } from "./route-redirect.ts";
import {
  ICMP_ERR_ERRNO,
  ICMP_ERR_FATAL,
  IP_PMTUDISC_DO,
  IP_PMTUDISC_DONT,
  SkbQueue,
  Sock,
  skbTruesize,
  sockOf,
  TCP_CLOSE,
  TCP_ESTABLISHED,
} from "./sock.ts";
import { ipDontFragment, skDestination, skDstMtu, skRouteOutput } from "./sock-route.ts";

/** One received packet, from its IP header on. */
export interface RawPacket {
  readonly packet: Uint8Array;
  readonly view: DataView;
  /** When it came, ns. */
  readonly atNs: number;
}

/** An ICMP error about a packet of this socket (IP_RECVERR), from the quoted IP header on. */
export interface RawError {
  readonly errno: Errno;
  readonly type: number;
  readonly code: number;
  /** Next-hop MTU of FRAG_NEEDED. */
  readonly info: number;
  /** Who sent the error, int32; 0 when it was found here. */
  readonly offender: number;
  readonly quoted: Uint8Array;
}

const RCVBUF = 212992;
const ERROR_QUEUE = 64;

export class RawSock extends Sock {
  readonly receiveQueue = new SkbQueue();
  rmemAlloc = 0;
  /** Errors wait in {@link errors} instead of failing the next call. */
  recvErr = false;
  readonly errors: RawError[] = [];
  broadcast = false;
  /** Takes only ICMP types whose bit is clear (ICMP_FILTER). */
  icmpFilter = 0;

  constructor(ns: NetNs, protocol: number) {
    super(ns, protocol);
    rawOf(ns).sockets.push(this);
  }

  bind(addr: number): void {
    this.rcvSaddr = addr;
    this.saddr = addr;
  }

  connect(to: number): void {
    const addr = skDestination(this, to);
    const { source } = skRouteOutput(this, addr, this.broadcast);
    if (this.saddr === 0) this.saddr = source;
    if (this.rcvSaddr === 0) this.rcvSaddr = source;
    this.daddr = addr;
    this.state = TCP_ESTABLISHED;
    this.inetId = sockOf(this.ns).prng.below(65536);
  }

  /**
   * Sends `payload` (the transport packet; its checksum is filled in for ICMP, TCP and UDP) to `addr`. EMSGSIZE, routing
   * errors, the pending error.
   */
  send(payload: Uint8Array, addr: number): void {
    this.throwError();
    const kernel = this.ns.kernel;
    kernel.enter();
    try {
      this.xmit(payload, addr);
    } finally {
      kernel.leave();
    }
  }

  /**
   * Sends a packet whose IP header the program built (IP_HDRINCL, raw_send_hdrinc): length and checksum are the kernel's, and a
   * source and an id that are 0. EMSGSIZE when the device does not take it whole.
   */
  sendHeaderIncluded(packet: Uint8Array, addr: number): void {
    this.throwError();
    const { kernel } = this.ns;
    const { dst, source } = skRouteOutput(this, addr, this.broadcast);
    if (packet.length > dst.dev.mtu) throw new SysError("EMSGSIZE");
    kernel.enter();
    try {
      const skb = kernel.pool.alloc(packet.length);
      skb.bytes.set(packet, skb.put(packet.length));
      if (ipSaddr(skb.view, skb.data) === 0) setIpSaddr(skb.view, skb.data, source);
      if (ipId(skb.view, skb.data) === 0)
        setIpId(skb.view, skb.data, ipSelectIdent(this.ns, source, addr, this.protocol));
      skbSetRoute(skb, dst, addr);
      skb.sk = this;
      skb.mark = this.mark;
      if (!ipLocalOut(this.ns, skb)) throw new SysError("EPERM");
    } finally {
      kernel.leave();
    }
  }

  /** The oldest packet, or null. Throws the pending error first. */
  receive(): RawPacket | null {
    this.throwError();
    const skb = this.receiveQueue.shift();
    if (skb === null) return null;
    this.rmemAlloc -= skb.cb0;
    const packet = skb.bytes.slice(skb.netOff, skb.tail);
    const atNs = skb.cb1 * 0x1_0000_0000 + (skb.cb2 >>> 0);
    skb.consume();
    return { packet, view: new DataView(packet.buffer), atNs };
  }

  /** Takes a copy of a received packet. */
  queue(skb: Skb): void {
    const copy = skb.clone();
    copy.cb0 = skbTruesize(copy.tail - copy.netOff);
    if (this.rmemAlloc + copy.cb0 > RCVBUF) {
      copy.consume();
      return;
    }
    const now = this.ns.kernel.sim.now;
    copy.cb1 = Math.floor(now / 0x1_0000_0000);
    copy.cb2 = now | 0;
    copy.cb2 = (now % 0x1_0000_0000) | 0;
    this.rmemAlloc += copy.cb0;
    this.receiveQueue.push(copy);
    this.wq.wake();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.state = TCP_CLOSE;
    const { sockets } = rawOf(this.ns);
    const i = sockets.indexOf(this);
    if (i >= 0) sockets.splice(i, 1);
    this.receiveQueue.purge();
    this.wq.wake();
  }

  private xmit(payload: Uint8Array, to: number): void {
    const { opt } = this;
    const addr = skDestination(this, to);
    const hop = ipOptionsHop(opt, addr);
    const optlen = opt === null ? 0 : opt.optlen;
    const { dst, source } = skRouteOutput(this, hop, this.broadcast);
    const mtu = skDstMtu(this, dst, this.protocol, source, addr, payload[0], payload[1]);
    const total = payload.length + IP_HLEN + optlen;
    const fits = total <= mtu;
    if (!fits && this.pmtuDisc === IP_PMTUDISC_DO) {
      const left = mtu - optlen;
      if (this.recvErr) this.pushError("EMSGSIZE", 0, 0, left, 0, payload);
      throw new SysError("EMSGSIZE", String(left));
    }
    const df = fits && ipDontFragment(this, dst, hop);
    const skb = this.ns.kernel.pool.alloc(total);
    skb.data += IP_HLEN + optlen;
    skb.tail = skb.data;
    skb.bytes.set(payload, skb.put(payload.length));
    skbSetRoute(skb, dst, hop);
    skb.sk = this;
    skb.mark = this.mark;
    let id = 0;
    if (this.daddr !== 0) {
      id = this.inetId;
      this.inetId = (id + 1) & 0xffff;
    } else if (!df || this.pmtuDisc !== IP_PMTUDISC_DO)
      id = ipSelectIdent(this.ns, source, hop, this.protocol);
    const ttl = this.ttl || ipv4Of(this.ns).defaultTtl;
    ipBuildHeader(skb, source, addr, this.protocol, this.tos, ttl, df, id, optlen);
    if (l4CheckOff(this.protocol) >= 0) l4ChecksumSet(skb.bytes, skb.view, skb.data);
    if (opt !== null) ipOptionsBuild(this.ns, skb, opt, addr);
    if (!ipLocalOut(this.ns, skb)) throw new SysError("EPERM");
  }

  pushError(
    errno: Errno,
    type: number,
    code: number,
    info: number,
    offender: number,
    quoted: Uint8Array,
  ): void {
    if (this.errors.length < ERROR_QUEUE) this.errors.push({ errno, type, code, info, offender, quoted });
    this.wq.wake();
  }
}

/** The raw sockets of a namespace, in the order they were opened. */
export class RawNet {
  readonly sockets: RawSock[] = [];
}

export function rawOf(ns: NetNs): RawNet {
  const ipv4 = ipv4Of(ns);
  if (ipv4.raw === null) ipv4.raw = new RawNet();
  return ipv4.raw as RawNet;
}

/** A copy of the packet for every raw socket of the protocol (raw_local_deliver); true when there was one. */
export function rawLocalDeliver(ns: NetNs, skb: Skb, protocol: number): boolean {
  const { sockets } = rawOf(ns);
  let taken = false;
  for (let i = 0; i < sockets.length; i++) {
    const sk = sockets[i];
    if (!rawMatches(sk, protocol, ipSaddr(skb.view, skb.netOff), ipDaddr(skb.view, skb.netOff))) continue;
    taken = true;
    if (protocol === IPPROTO_ICMP && ((sk.icmpFilter >>> (skb.view.getUint8(skb.data) & 31)) & 1) !== 0)
      continue;
    sk.queue(skb);
  }
  return taken;
}

function rawMatches(sk: RawSock, protocol: number, saddr: number, daddr: number): boolean {
  if (sk.protocol !== protocol) return false;
  if (sk.daddr !== 0 && sk.daddr !== saddr) return false;
  return sk.rcvSaddr === 0 || sk.rcvSaddr === daddr;
}

/** An ICMP error about a packet of a raw socket; `data` at the quoted IP header (raw_icmp_error, raw_err). */
export function rawIcmpError(ns: NetNs, skb: Skb, type: number, code: number, info: number): void {
  if (type === ICMP_SOURCE_QUENCH) return;
  const ip = skb.data;
  const view = skb.view;
  for (const sk of rawOf(ns).sockets) {
    if (!rawMatches(sk, ipProtocol(view, ip), ipDaddr(view, ip), ipSaddr(view, ip))) continue;
    if (type === ICMP_REDIRECT) {
      ipv4Redirect(ns, skb, code, info);
      continue;
    }
    let hard = false;
    let errno: Errno = "EHOSTUNREACH";
    if (type === ICMP_DEST_UNREACH) {
      errno = ICMP_ERR_ERRNO[code] ?? "EHOSTUNREACH";
      hard = ((ICMP_ERR_FATAL >> code) & 1) !== 0;
      if (code === ICMP_FRAG_NEEDED) {
        ipv4UpdatePmtu(ns, skb, info);
        hard = sk.pmtuDisc !== IP_PMTUDISC_DONT;
      }
    }
    if (sk.recvErr) sk.pushError(errno, type, code, info, errorSource(skb), skb.bytes.slice(ip, skb.tail));
    if (sk.recvErr || (hard && sk.state === TCP_ESTABLISHED)) {
      sk.err = errno;
      sk.wq.wake();
    }
  }
}

/** Source of the ICMP packet that carries the error; 0 when the error was made here without one. */
function errorSource(skb: Skb): number {
  return skb.netOff >= 0 && skb.netOff < skb.data ? ipSaddr(skb.view, skb.netOff) : 0;
}
