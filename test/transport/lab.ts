/** Two machines on one lossy wire, and eyes on it, for the tests of transports and programs. */
import { Machine } from "../../src/host/machine.ts";
import { ethTypeTrans, netifReceiveSkb } from "../../src/net/core/dev.ts";
import { DROP } from "../../src/net/core/drop-reason.ts";
import { Kernel } from "../../src/net/core/kernel.ts";
import { IFF_BROADCAST, IFF_MULTICAST, type NetDevice, type Tap } from "../../src/net/core/net-device.ts";
import type { NetNs } from "../../src/net/core/net-ns.ts";
import { type Skb, SkbPool } from "../../src/net/core/skb.ts";
import { addressAdd, broadcastOf } from "../../src/net/ctl/address.ts";
import { loopbackInit } from "../../src/net/drivers/loopback.ts";
import { transportInit } from "../../src/net/ipv4/af-inet.ts";
import { ipv4Init } from "../../src/net/ipv4/ipv4-init.ts";
import { Sim } from "../../src/sim/sim.ts";
import { Prng } from "../../src/util/prng.ts";
import { formatIp4, parseIp4 } from "../../src/wire/address.ts";

export function ip(text: string): number {
  const addr = parseIp4(text);
  if (addr === null) throw new Error(`no address: ${text}`);
  return addr;
}

export interface WireOptions {
  latencyNs?: number;
  jitterNs?: number;
  loss?: number;
  duplicate?: number;
  /** Sees each frame that is sent; false loses it. */
  pass?: (frame: Uint8Array, dev: NetDevice, count: number) => boolean;
}

class Wire {
  readonly ends: NetDevice[] = [];
  readonly options: WireOptions;
  private readonly sim: Sim;
  private readonly prng: Prng;
  private count = 0;

  constructor(sim: Sim, prng: Prng, options: WireOptions) {
    this.sim = sim;
    this.prng = prng;
    this.options = options;
  }

  send(skb: Skb, from: NetDevice): void {
    const { loss = 0, duplicate = 0, pass } = this.options;
    from.txPackets++;
    const frame = skb.bytes.slice(skb.data, skb.tail);
    skb.scrub();
    const to = this.ends[0] === from ? this.ends[1] : this.ends[0];
    const isIp = frame[12] === 8 && frame[13] === 0;
    const lost =
      (isIp && this.prng.fraction() < loss) || (pass !== undefined && !pass(frame, from, this.count++));
    if (this.prng.fraction() < duplicate) this.deliver(skb.clone(), to);
    if (lost) skb.drop(DROP.CABLE_LOSS);
    else this.deliver(skb, to);
  }

  private deliver(skb: Skb, to: NetDevice): void {
    const { latencyNs = 200_000, jitterNs = 0 } = this.options;
    const delay = latencyNs + (jitterNs > 0 ? this.prng.below(jitterNs) : 0);
    const { kernel } = to.ns;
    this.sim.schedule(this.sim.now + delay, {
      onEvent: () => {
        kernel.enter();
        ethTypeTrans(skb, to);
        netifReceiveSkb(skb);
        kernel.leave();
      },
    });
  }
}

/** One frame as a line of text: who, flags, numbers relative to the first seen, window, options. */
export class Eye implements Tap {
  readonly frames: { bytes: Uint8Array; out: boolean; atNs: number }[] = [];
  private readonly sim: Sim;
  private readonly first = new Map<string, number>();

  constructor(sim: Sim, dev: NetDevice) {
    this.sim = sim;
    dev.tap = this;
  }

  frame(_dev: NetDevice, skb: Skb, off: number, outgoing: boolean): void {
    this.frames.push({ bytes: skb.bytes.slice(off, skb.tail), out: outgoing, atNs: this.sim.now });
  }

  ipFrames(protocol: number): { bytes: Uint8Array; out: boolean; atNs: number }[] {
    return this.frames.filter(({ bytes }) => bytes[12] === 8 && bytes[13] === 0 && bytes[23] === protocol);
  }

  tcpLines(): string[] {
    return this.ipFrames(6).map(({ bytes }) => this.tcpLine(bytes));
  }

  private relative(key: string, value: number): number {
    const first = this.first.get(key);
    if (first !== undefined) return (value - first) | 0;
    this.first.set(key, value);
    return 0;
  }

  private tcpLine(bytes: Uint8Array): string {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const ipLen = view.getUint16(16);
    const off = 34;
    const flags = view.getUint8(off + 13);
    const names =
      ["F", "S", "R", "P"].filter((_, bit) => flags & (1 << bit)).join("") + (flags & 16 ? "." : "");
    const src = `${formatIp4(view.getInt32(26))}.${view.getUint16(off)}`;
    const dst = `${formatIp4(view.getInt32(30))}.${view.getUint16(off + 2)}`;
    const doff = (view.getUint8(off + 12) >> 4) * 4;
    const len = ipLen - 20 - doff;
    const seq = this.relative(`${src}>${dst}`, view.getInt32(off + 4));
    const ack = flags & 16 ? this.relative(`${dst}>${src}`, view.getInt32(off + 8)) : -1;
    const options = optionNames(bytes.subarray(off + 20, off + doff));
    const id = view.getUint16(18) === 0 ? "0" : "N";
    return `${src.replace(/.*\./, "")} [${names}] seq ${seq} ack ${ack} win ${view.getUint16(off + 14)} id ${id} len ${len} <${options}>`;
  }
}

function optionNames(bytes: Uint8Array): string {
  const names: string[] = [];
  for (let i = 0; i < bytes.length; ) {
    const kind = bytes[i];
    if (kind === 1) names.push("nop");
    if (kind === 2) names.push(`mss ${bytes[i + 2] * 256 + bytes[i + 3]}`);
    if (kind === 3) names.push(`wscale ${bytes[i + 2]}`);
    if (kind === 4) names.push("sackOK");
    if (kind === 5) names.push(`sack ${(bytes[i + 1] - 2) / 8}`);
    if (kind === 8) names.push("TS");
    i += kind <= 1 ? 1 : bytes[i + 1];
  }
  return names.join(",");
}

export class Lab {
  readonly sim = new Sim();
  readonly pool = new SkbPool();
  readonly prng: Prng;
  readonly client: Machine;
  readonly server: Machine;
  readonly wire: Wire;
  readonly clientDev: NetDevice;
  readonly serverDev: NetDevice;

  /** Client 192.168.200.1, server 192.168.200.10; the server's device has `serverMtu`. */
  constructor(seed = 1, options: WireOptions = {}, serverMtu = 1500) {
    this.prng = new Prng(seed, "lab");
    this.wire = new Wire(this.sim, this.prng.stream("wire"), options);
    this.client = this.machine("client");
    this.server = this.machine("server");
    this.clientDev = this.plug(this.client, "192.168.200.1", 1, 1500);
    this.serverDev = this.plug(this.server, "192.168.200.10", 10, serverMtu);
  }

  private machine(name: string): Machine {
    const pernet = [loopbackInit, ipv4Init, transportInit];
    const kernel = new Kernel(name, this.sim, this.pool, this.prng.stream(name), pernet);
    kernel.initNs.setUp(kernel.initNs.device("lo")!);
    return new Machine(name, kernel);
  }

  private plug(machine: Machine, addr: string, mac: number, mtu: number): NetDevice {
    const ns: NetNs = machine.hostNs;
    const ops = { kind: "nic", xmit: (skb: Skb, dev: NetDevice) => this.wire.send(skb, dev) };
    const dev = ns.addDevice("eth0", ops, IFF_BROADCAST | IFF_MULTICAST, mtu);
    dev.addrHi = 0x0200;
    dev.addrLo = mac;
    ns.setUp(dev);
    this.wire.ends.push(dev);
    addressAdd(dev, { local: ip(addr), prefixLen: 24, broadcast: broadcastOf(ip(addr), 24) });
    return dev;
  }

  run(seconds: number): void {
    this.sim.runUntil(this.sim.now + seconds * 1e9);
  }

  /** The client's bytes in order, as `from` to `count`. */
  static pattern(count: number, from = 0): Uint8Array {
    return Uint8Array.from({ length: count }, (_, i) => ((from + i) * 7 + ((from + i) >> 8)) & 0xff);
  }
}
