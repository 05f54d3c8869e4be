/** Probes of `traceroute` 2.1.2 (mod-udp.c, mod-icmp.c, mod-tcp.c): what is sent, and what counts as its answer. */
import type { Process } from "../host/process.ts";
import { closeSocket, openRaw, openUdp } from "../host/socket.ts";
import { pingGetPort } from "../net/ipv4/ping.ts";
import type { RawPacket, RawSock } from "../net/ipv4/raw-sock.ts";
import { dstMtu } from "../net/ipv4/route-exception.ts";
import { IP_PMTUDISC_DO, IP_PMTUDISC_DONT, sockOf } from "../net/ipv4/sock.ts";
import { skRouteOutput } from "../net/ipv4/sock-route.ts";
import { tcpBind, tcpClose, tcpNewSock } from "../net/ipv4/tcp.ts";
import type { TcpSock } from "../net/ipv4/tcp-sock.ts";
import type { UdpSock } from "../net/ipv4/udp-sock.ts";
import { SysError } from "../util/errors.ts";
import { ICMP_DEST_UNREACH, ICMP_ECHO, ICMP_ECHOREPLY, ICMP_TIME_EXCEEDED } from "../wire/icmp.ts";
import { IP_HLEN, IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../wire/ipv4.ts";
import { TCP_HLEN, TCP_SYN } from "../wire/tcp.ts";
import type { TracerouteArgs } from "./traceroute-args.ts";

const DEFAULT_PORT = 33434;
const UDP_PORT = 53;
const TCP_PORT = 80;
const UDP_HLEN = 8;
/** IP length of a probe. */
export const PROBE_LENGTH = 60;

/** An answer. `type` is that of the ICMP packet, -1 for one of the target's own. */
export interface ProbeReply {
  readonly from: number;
  readonly type: number;
  readonly code: number;
  readonly info: number;
  readonly atNs: number;
}

/** Sends the probes of one method and reads what comes back. */
export class Prober {
  readonly addr: number;
  readonly length: number;
  private readonly args: TracerouteArgs;
  private readonly process: Process;
  private readonly icmp: RawSock;
  private readonly tcp: RawSock | null;
  private readonly sockets = new Map<number, UdpSock | TcpSock>();
  private readonly ident: number;
  private port: number;
  private seq = 0;

  constructor(args: TracerouteArgs, addr: number, process: Process) {
    this.args = args;
    this.addr = addr;
    this.process = process;
    this.length = args.length || PROBE_LENGTH;
    this.icmp = openRaw(process, IPPROTO_ICMP);
    this.tcp = args.method === "tcp" ? openRaw(process, IPPROTO_TCP) : null;
    this.ident = pingGetPort(process.machine.kernel);
    const usual = args.method === "tcp" ? TCP_PORT : args.method === "udp" ? UDP_PORT : DEFAULT_PORT;
    this.port = args.port || usual;
  }

  get queues() {
    return this.tcp === null ? [this.icmp.wq] : [this.icmp.wq, this.tcp.wq];
  }

  /** Sends one probe; the result names it in {@link receive}. Throws SysError. */
  send(ttl: number): number {
    if (this.tcp !== null) return this.sendTcp(this.tcp, ttl);
    if (this.args.method === "icmp") return this.sendEcho(ttl);
    return this.sendUdp(ttl);
  }

  /** The next answer and the probe that it belongs to; null when none waits. */
  receive(): { id: number; reply: ProbeReply } | null {
    for (let got = this.icmp.receive(); got !== null; got = this.icmp.receive()) {
      const found = this.matchIcmp(got);
      if (found !== null) return found;
    }
    for (let got = this.tcp?.receive() ?? null; got !== null; got = this.tcp!.receive()) {
      const { view, packet, atNs } = got;
      const head = (packet[0] & 15) * 4;
      const from = view.getInt32(12);
      const id = view.getUint16(head + 2);
      if (from !== this.addr || view.getUint16(head) !== this.port || !this.sockets.has(id)) continue;
      return { id, reply: { from, type: -1, code: 0, info: 0, atNs } };
    }
    return null;
  }

  close(): void {
    closeSocket(this.process, this.icmp);
    if (this.tcp !== null) closeSocket(this.process, this.tcp);
    for (const sk of this.sockets.values()) this.release(sk);
  }

  private release(sk: UdpSock | TcpSock): void {
    if (sk.protocol === IPPROTO_TCP) tcpClose(sk as TcpSock);
    else closeSocket(this.process, sk);
  }

  private tune(sk: UdpSock | RawSock, ttl: number): void {
    sk.ttl = ttl;
    sk.tos = this.args.tos;
    sk.pmtuDisc = this.args.dontFragment ? IP_PMTUDISC_DO : IP_PMTUDISC_DONT;
  }

  /** Data `@ABC…` behind the headers. */
  private filled(headerBytes: number): Uint8Array {
    const data = new Uint8Array(Math.max(this.length - IP_HLEN - headerBytes, 0));
    for (let i = 0; i < data.length; i++) data[i] = 0x40 + (i & 0x3f);
    return data;
  }

  private sendUdp(ttl: number): number {
    const sk = openUdp(this.process, 0, this.args.sourcePort);
    this.tune(sk, ttl);
    sk.connect(this.addr, this.port);
    const id = this.args.method === "default" ? this.port : sk.sport;
    this.sockets.set(id, sk);
    sk.send(this.filled(UDP_HLEN));
    if (this.args.method === "default") this.port = (this.port + 1) & 0xffff;
    return id;
  }

  private sendEcho(ttl: number): number {
    // It fills the whole message, then writes the header over the first of it.
    const packet = this.filled(0);
    const seq = ++this.seq;
    packet.set([ICMP_ECHO, 0, 0, 0, this.ident >> 8, this.ident & 0xff, seq >> 8, seq & 0xff]);
    this.tune(this.icmp, ttl);
    this.icmp.send(packet, this.addr);
    return seq;
  }

  /** A SYN as the kernel itself would send it, from a port that is kept busy meanwhile. */
  private sendTcp(raw: RawSock, ttl: number): number {
    const { ns } = this.process;
    const holder = tcpNewSock(ns);
    const { dst, source } = skRouteOutput(raw, this.addr);
    tcpBind(holder, source, this.args.sourcePort);
    const id = holder.sport;
    const old = this.sockets.get(id);
    if (old !== undefined) this.release(old);
    this.sockets.set(id, holder);
    const mss = dstMtu(ns, dst, this.addr) - IP_HLEN - TCP_HLEN;
    const packet = new Uint8Array(40);
    const view = new DataView(packet.buffer);
    view.setUint16(0, id);
    view.setUint16(2, this.port);
    view.setInt32(4, sockOf(ns).prng.i32());
    view.setUint16(12, ((packet.length / 4) << 12) | TCP_SYN);
    view.setUint16(14, 4 * mss);
    view.setUint32(20, 0x02040000 | mss);
    view.setUint32(24, 0x0402080a);
    view.setUint32(28, Math.floor(ns.kernel.sim.now / 1e6) >>> 0);
    view.setUint32(36, 0x01030302);
    this.tune(raw, ttl);
    raw.send(packet, this.addr);
    return id;
  }

  private matchIcmp({ packet, view, atNs }: RawPacket): { id: number; reply: ProbeReply } | null {
    const icmp = (packet[0] & 15) * 4;
    const type = packet[icmp];
    const from = view.getInt32(12);
    if (type === ICMP_ECHOREPLY && this.args.method === "icmp" && view.getUint16(icmp + 4) === this.ident)
      return { id: view.getUint16(icmp + 6), reply: { from, type: -1, code: 0, info: 0, atNs } };
    if (type !== ICMP_TIME_EXCEEDED && type !== ICMP_DEST_UNREACH) return null;
    const quoted = icmp + 8;
    const inner = quoted + (packet[quoted] & 15) * 4;
    if (packet.length < inner + 8 || view.getInt32(quoted + 16) !== this.addr) return null;
    const id = this.idOf(packet[quoted + 9], view, inner);
    const reply = { from, type, code: packet[icmp + 1], info: view.getUint16(icmp + 6), atNs };
    return id < 0 ? null : { id, reply };
  }

  /** Which probe the quoted transport header is of, -1 for none. */
  private idOf(protocol: number, view: DataView, off: number): number {
    const { method } = this.args;
    if (method === "icmp")
      return protocol === IPPROTO_ICMP && view.getUint16(off + 4) === this.ident
        ? view.getUint16(off + 6)
        : -1;
    if (protocol !== (method === "tcp" ? IPPROTO_TCP : IPPROTO_UDP)) return -1;
    const id = method === "default" ? view.getUint16(off + 2) : view.getUint16(off);
    return this.sockets.has(id) ? id : -1;
  }

  /** Asks a connected UDP socket for an answer of the target itself; true when there is one. */
  answered(id: number): boolean {
    const sk = this.sockets.get(id);
    if (sk === undefined || sk.protocol !== IPPROTO_UDP) return false;
    try {
      return (sk as UdpSock).receive() !== null;
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      return false;
    }
  }

  /** Queue of the UDP socket of a probe. */
  queueOf(id: number) {
    const sk = this.sockets.get(id);
    return sk === undefined || sk.protocol !== IPPROTO_UDP ? [] : [sk.wq];
  }
}
