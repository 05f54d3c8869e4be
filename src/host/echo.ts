/** Echo requests and what comes back, for the ping commands. */
import { ipOptionsGet } from "../net/ipv4/ip-options-compile.ts";
import { pingGetPort } from "../net/ipv4/ping.ts";
import type { RawSock } from "../net/ipv4/raw-sock.ts";
import { SysError } from "../util/errors.ts";
import { ICMP_ECHO, ICMP_ECHOREPLY, ICMP_HLEN, ICMP_REDIRECT } from "../wire/icmp.ts";
import { IP_HLEN, IPPROTO_ICMP } from "../wire/ipv4.ts";
import type { Process } from "./process.ts";
import { openRaw } from "./socket.ts";

const STAMP_BYTES = 16;

export interface EchoReply {
  readonly kind: "reply";
  readonly seq: number;
  readonly ttl: number;
  /** ICMP bytes, header included. */
  readonly length: number;
  readonly from: number;
  readonly atNs: number;
  /** IP options of the packet. */
  readonly options: Uint8Array;
}

export interface EchoError {
  readonly kind: "error";
  readonly seq: number;
  readonly type: number;
  readonly code: number;
  /** Next-hop MTU of "fragmentation needed"; the gateway of a redirect. */
  readonly info: number;
  readonly from: number;
}

/** Where the echo header begins in an IP packet that an ICMP error quotes; -1 when the request is not one with `ident`. */
function quotedEcho(quoted: Uint8Array, ident: number): number {
  const head = (quoted[0] & 15) * 4;
  const view = new DataView(quoted.buffer, quoted.byteOffset, quoted.length);
  return quoted.length >= head + 8 && view.getUint16(head + 4) === ident ? head : -1;
}

export class EchoSocket {
  readonly sk: RawSock;
  readonly ident: number;

  constructor(process: Process) {
    this.sk = openRaw(process, IPPROTO_ICMP);
    this.sk.recvErr = true;
    this.sk.icmpFilter = ~((1 << ICMP_ECHOREPLY) | (1 << 3) | (1 << 5) | (1 << 11) | (1 << 12));
    this.ident = pingGetPort(process.machine.kernel);
  }

  /** Gives the requests IP options (setsockopt IP_OPTIONS). EINVAL. */
  setOptions(bytes: Uint8Array): void {
    this.sk.opt = ipOptionsGet(this.sk.ns, bytes);
    if (this.sk.opt === null) throw new SysError("EINVAL");
  }

  /** Sends request `seq` with `size` data bytes counting up; the first sixteen stand for a time. SysError. */
  send(addr: number, seq: number, size: number): void {
    const data = new Uint8Array(size);
    for (let i = 0; i < size; i++) data[i] = i & 0xff;
    if (size >= STAMP_BYTES) stamp(data, this.sk.ns.kernel.sim.now);
    this.sendData(addr, seq, data);
  }

  /** Sends request `seq` with this data. SysError. */
  sendData(addr: number, seq: number, data: Uint8Array): void {
    const packet = new Uint8Array(8 + data.length);
    packet[0] = ICMP_ECHO;
    packet[4] = this.ident >> 8;
    packet[5] = this.ident & 0xff;
    packet[6] = (seq >> 8) & 0xff;
    packet[7] = seq & 0xff;
    packet.set(data, 8);
    this.sk.send(packet, addr);
  }

  /** The next event of this socket's requests, or null when none waits. */
  next(): EchoReply | EchoError | null {
    this.sk.err = null;
    for (let error = this.sk.errors.shift(); error !== undefined; error = this.sk.errors.shift()) {
      if (error.offender === 0) continue;
      const { quoted, type, code, info } = error;
      const head = quotedEcho(quoted, this.ident);
      if (head < 0) continue;
      return {
        kind: "error",
        seq: (quoted[head + 6] << 8) | quoted[head + 7],
        type,
        code,
        info,
        from: error.offender,
      };
    }
    return this.packet();
  }

  /** The next packet that tells something: a reply, or a redirect, which the kernel reports to nobody. */
  private packet(): EchoReply | EchoError | null {
    for (let got = this.sk.receive(); got !== null; got = this.sk.receive()) {
      const { view, packet } = got;
      const head = (packet[0] & 15) * 4;
      if (packet[head] === ICMP_REDIRECT) {
        const redirect = this.redirect(packet.subarray(head), view.getInt32(12), view.getInt32(head + 4));
        if (redirect !== null) return redirect;
      }
      if (packet[head] !== ICMP_ECHOREPLY || view.getUint16(head + 4) !== this.ident) continue;
      const length = packet.length - head;
      return {
        kind: "reply",
        seq: view.getUint16(head + 6),
        ttl: packet[8],
        length,
        from: view.getInt32(12),
        atNs: got.atNs,
        options: packet.subarray(IP_HLEN, head),
      };
    }
    return null;
  }

  private redirect(icmp: Uint8Array, from: number, gateway: number): EchoError | null {
    const quoted = icmp.subarray(ICMP_HLEN);
    const head = quotedEcho(quoted, this.ident);
    if (head < 0) return null;
    const seq = (quoted[head + 6] << 8) | quoted[head + 7];
    return { kind: "error", seq, type: ICMP_REDIRECT, code: icmp[1], info: gateway, from };
  }
}

/** Writes the time as struct timeval: 64-bit little endian seconds and microseconds. */
function stamp(data: Uint8Array, nowNs: number): void {
  const view = new DataView(data.buffer);
  view.setUint32(0, Math.floor(nowNs / 1e9), true);
  view.setUint32(4, 0, true);
  view.setUint32(8, Math.floor(nowNs / 1e3) % 1_000_000, true);
  view.setUint32(12, 0, true);
}
