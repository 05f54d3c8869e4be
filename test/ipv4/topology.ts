/** Namespaces, cables and eyes for the tests of the IP layer. */

import { Kernel } from "../../src/net/core/kernel.ts";
import type { NetDevice, Tap } from "../../src/net/core/net-device.ts";
import type { NetNs } from "../../src/net/core/net-ns.ts";
import { type Skb, SkbPool } from "../../src/net/core/skb.ts";
import { addressAdd, broadcastOf } from "../../src/net/ctl/address.ts";
import { loopbackInit } from "../../src/net/drivers/loopback.ts";
import { vethNewlink } from "../../src/net/drivers/veth.ts";
import { transportInit } from "../../src/net/ipv4/af-inet.ts";
import { icmpPush } from "../../src/net/ipv4/icmp.ts";
import { ipv4Init } from "../../src/net/ipv4/ipv4-init.ts";
import { ipv4Of, type NetProtocol } from "../../src/net/ipv4/ipv4-net.ts";
import { ipRouteOutput, routeSource } from "../../src/net/ipv4/route.ts";
import { Sim } from "../../src/sim/sim.ts";
import { Prng } from "../../src/util/prng.ts";
import { parseIp4 } from "../../src/wire/address.ts";
import { ICMP_ECHO, ICMP_ECHOREPLY, icmpType } from "../../src/wire/icmp.ts";
import { IPPROTO_ICMP } from "../../src/wire/ipv4.ts";

export function ip(text: string): number {
  const addr = parseIp4(text);
  if (addr === null) throw new Error(`no address: ${text}`);
  return addr;
}

export class World {
  readonly sim = new Sim();
  readonly pool = new SkbPool();
  readonly kernel: Kernel;

  constructor(seed = 1) {
    this.kernel = new Kernel("box", this.sim, this.pool, new Prng(seed, "test"), [
      loopbackInit,
      ipv4Init,
      transportInit,
    ]);
  }

  ns(name: string): NetNs {
    const ns = this.kernel.createNs(name, `/run/netns/${name}`);
    ns.setUp(ns.device("lo")!);
    return ns;
  }

  /** Two devices joined by a veth pair, up, with the MACs 02:00:00:00:00:N and N+1. */
  join(a: NetNs, aName: string, b: NetNs, bName: string, mac: number): [NetDevice, NetDevice] {
    const one = vethNewlink(a, aName, b, bName);
    const two = one.link!;
    one.addrHi = 0x0200;
    two.addrHi = 0x0200;
    one.addrLo = mac;
    two.addrLo = mac + 1;
    a.setUp(one);
    b.setUp(two);
    return [one, two];
  }

  run(seconds: number): void {
    this.sim.runUntil(this.sim.now + seconds * 1e9);
  }
}

/** `10.0.0.1/24` on a device, with the broadcast address that Docker fills in. */
export function addr(dev: NetDevice, cidr: string, broadcast = true): void {
  const [text, len] = cidr.split("/");
  const local = ip(text);
  const prefixLen = Number(len);
  addressAdd(dev, { local, prefixLen, broadcast: broadcast ? broadcastOf(local, prefixLen) : 0 });
}

export interface Seen {
  readonly atMs: number;
  readonly out: boolean;
  readonly hex: string;
  readonly bytes: Uint8Array;
}

/** Records the frames of a device. */
export class Eye implements Tap {
  readonly frames: Seen[] = [];
  private readonly sim: Sim;

  constructor(sim: Sim, dev: NetDevice) {
    this.sim = sim;
    dev.tap = this;
  }

  frame(_dev: NetDevice, skb: Skb, off: number, outgoing: boolean): void {
    const bytes = skb.bytes.slice(off, skb.tail);
    const hex = Buffer.from(bytes).toString("hex");
    this.frames.push({ atMs: this.sim.now / 1e6, out: outgoing, hex, bytes });
  }

  /** Frames of IPv4 with this protocol. */
  ip(protocol: number): Uint8Array[] {
    return this.frames.map((f) => f.bytes).filter((b) => b[12] === 8 && b[13] === 0 && b[23] === protocol);
  }

  arp(): Seen[] {
    return this.frames.filter((f) => f.bytes[12] === 8 && f.bytes[13] === 6);
  }
}

/** Sends an echo request of `size` data bytes (0, 1, 2 ...); false when there is no route. */
export function ping(ns: NetNs, daddr: number, size = 56, seq = 1, saddr = 0, mark = 0): boolean {
  const dst = ipRouteOutput(ns, daddr, saddr, 0, mark);
  if (dst === null) return false;
  const skb = ns.kernel.pool.alloc(28 + size);
  skb.data += 20;
  skb.tail = skb.data;
  const at = skb.put(8 + size);
  skb.view.setUint16(at, ICMP_ECHO << 8);
  skb.view.setUint16(at + 2, 0);
  skb.view.setUint16(at + 4, 0x1234);
  skb.view.setUint16(at + 6, seq);
  for (let i = 0; i < size; i++) skb.bytes[at + 8 + i] = i & 0xff;
  skb.mark = mark;
  icmpPush(ns, skb, dst, saddr !== 0 ? saddr : routeSource(dst, daddr), daddr, 0);
  return true;
}

/** Shows `see` every echo reply that arrives, `data` at the ICMP header. */
export function onEchoReply(ns: NetNs, see: (skb: Skb) => void): void {
  const { protocols } = ipv4Of(ns);
  const icmp = protocols[IPPROTO_ICMP]!;
  const rcv = (skb: Skb): void => {
    if (icmpType(skb.view, skb.data) === ICMP_ECHOREPLY) see(skb);
    icmp.rcv(skb);
  };
  protocols[IPPROTO_ICMP] = { ...icmp, rcv };
}

/** Shows `see` every ICMP error about an ICMP packet that arrives, `data` at the quoted IP header. */
export function onIcmpError(
  ns: NetNs,
  see: (skb: Skb, type: number, code: number, info: number) => void,
): void {
  const { protocols } = ipv4Of(ns);
  const icmp = protocols[IPPROTO_ICMP]!;
  const err: NetProtocol["err"] = (skb, type, code, info) => {
    see(skb, type, code, info);
    icmp.err(skb, type, code, info);
  };
  protocols[IPPROTO_ICMP] = { ...icmp, err };
}
