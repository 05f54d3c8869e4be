/**
 * A layer 2 segment: a switch that learns, with one cable to each network card. This is the only place where a packet
 * takes time: it is serialised out of the card, travels `latencyNs`, and waits at the receiver's port of the switch when
 * others send there too (cut-through, so an idle port adds nothing). Queues are drop-tail and kept as the time at which
 * a line is free again, so that a frame costs one event a receiver.
 */
import { type EventSink, Lane, type Sim } from "../../sim/sim.ts";
import type { Prng } from "../../util/prng.ts";
import { DROP } from "../core/drop-reason.ts";
import { MacTable } from "../core/mac-table.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { Skb } from "../core/skb.ts";
import { type NicPort, nicPlug, nicReceive, nicSetCarrier, nicUnplug } from "./nic.ts";

/** Properties of a segment; all may be changed while it runs. */
export interface SegmentOptions {
  /** One way, ns. */
  latencyNs: number;
  /** Bits per second of every line; 0: no serialisation delay and no queue. */
  bitsPerSecond: number;
  /** Largest addition to the latency, ns; uniform. */
  jitterNs: number;
  /** Probabilities, 0 to 1. */
  loss: number;
  reorder: number;
  /** Bytes that may wait for a line. */
  queueBytes: number;
  /** Largest IP packet; longer frames are lost. */
  mtu: number;
}

const DEFAULTS: SegmentOptions = {
  latencyNs: 200_000,
  bitsPerSecond: 1_000_000_000,
  jitterNs: 0,
  loss: 0,
  reorder: 0,
  queueBytes: 1_000_000,
  mtu: 1500,
};

/** Preamble, start of frame, checksum and gap between frames, bytes (IEEE 802.3). */
const FRAME_OVERHEAD = 24;
const MIN_FRAME = 60;
const ETH_HLEN = 14;
const VLAN_HLEN = 4;

/** One cable with its port of the switch. */
export class SegmentPort implements NicPort, EventSink {
  readonly segment: Segment;
  readonly dev: NetDevice;
  /** The cable is cut. */
  cut = false;
  /** Ports of different groups do not reach each other (a partition). */
  group = 0;
  /** When the line from the card, and the one to it, are free again, ns. */
  txFreeNs = 0;
  rxFreeNs = 0;
  /** Frames on their way to the card, in order. */
  readonly arrivals: Lane;

  constructor(segment: Segment, dev: NetDevice) {
    this.segment = segment;
    this.dev = dev;
    this.arrivals = new Lane(dev.ns.kernel.sim, this);
  }

  transmit(skb: Skb): void {
    this.segment.transmit(this, skb);
  }

  /** A frame arrives at the card. */
  onEvent(arg: unknown): void {
    const skb = arg as Skb;
    if (this.cut) skb.drop(DROP.CABLE_CUT);
    else nicReceive(this.dev, skb);
  }
}

export class Segment {
  readonly name: string;
  readonly options: SegmentOptions;
  readonly ports: SegmentPort[] = [];
  private readonly sim: Sim;
  private readonly prng: Prng;
  private readonly table = new MacTable<SegmentPort>();

  /** `prng` decides loss, jitter and reordering. */
  constructor(name: string, sim: Sim, prng: Prng, options: Partial<SegmentOptions> = {}) {
    this.name = name;
    this.sim = sim;
    this.prng = prng;
    this.options = { ...DEFAULTS, ...options };
  }

  /** Plugs a card in. */
  attach(dev: NetDevice): SegmentPort {
    const port = new SegmentPort(this, dev);
    this.ports.push(port);
    nicPlug(dev, port);
    return port;
  }

  /** Pulls a card's cable out; frames on their way to it are lost. */
  detach(dev: NetDevice): void {
    const port = this.portOf(dev);
    if (port === undefined) return;
    port.cut = true;
    this.ports.splice(this.ports.indexOf(port), 1);
    nicUnplug(dev);
  }

  portOf(dev: NetDevice): SegmentPort | undefined {
    return this.ports.find((port) => port.dev === dev);
  }

  /** Cuts a card's cable: it loses its carrier, frames on the way are lost. */
  cut(port: SegmentPort): void {
    if (port.cut) return;
    port.cut = true;
    nicSetCarrier(port.dev, false);
  }

  heal(port: SegmentPort): void {
    if (!port.cut) return;
    port.cut = false;
    nicSetCarrier(port.dev, true);
  }

  /** Splits the segment: ports in different lists do not reach each other; those in none stay together. Carriers stay. */
  partition(groups: readonly (readonly SegmentPort[])[]): void {
    for (const port of this.ports) port.group = 0;
    for (let i = 0; i < groups.length; i++) for (const port of groups[i]) port.group = i + 1;
  }

  /** Puts a frame of `from`'s card on the line. Takes the packet. */
  transmit(from: SegmentPort, skb: Skb): void {
    const { options, sim } = this;
    if (from.cut) {
      skb.drop(DROP.CABLE_CUT);
      return;
    }
    const length = skb.length;
    if (length > options.mtu + ETH_HLEN + VLAN_HLEN) {
      skb.drop(DROP.MTU);
      return;
    }
    const start = Math.max(sim.now, from.txFreeNs);
    if (!this.fits(start)) {
      from.dev.txDropped++;
      skb.drop(DROP.CABLE_QUEUE_FULL);
      return;
    }
    const doneNs = start + this.serialisationNs(length);
    from.txFreeNs = doneNs;
    if (options.loss > 0 && this.prng.fraction() < options.loss) {
      skb.drop(DROP.CABLE_LOSS);
      return;
    }
    this.forward(from, skb);
  }

  /** The switch: learns, and sends to the port of the address or to all others. The frame is out at `from.txFreeNs`. */
  private forward(from: SegmentPort, skb: Skb): void {
    const { view, data } = skb;
    this.table.set(view.getUint16(data + 6), view.getInt32(data + 8), from);
    const hi = view.getUint16(data);
    const known = (hi & 0x100) === 0 ? this.table.get(hi, view.getInt32(data + 2)) : null;
    if (known !== null) {
      if (known === from || known.group !== from.group) skb.drop(DROP.CABLE_CUT);
      else this.deliver(from, known, skb);
      return;
    }
    let last: SegmentPort | null = null;
    for (let i = 0; i < this.ports.length; i++) {
      const port = this.ports[i];
      if (port === from || port.group !== from.group) continue;
      if (last !== null) this.deliver(from, last, skb.clone());
      last = port;
    }
    if (last === null) skb.consume();
    else this.deliver(from, last, skb);
  }

  private deliver(from: SegmentPort, to: SegmentPort, skb: Skb): void {
    const { options } = this;
    const doneNs = from.txFreeNs;
    if (to.cut) {
      skb.drop(DROP.CABLE_CUT);
      return;
    }
    const outNs = Math.max(doneNs, to.rxFreeNs + this.serialisationNs(skb.length));
    if (outNs > doneNs && !this.fits(outNs - doneNs + this.sim.now)) {
      skb.drop(DROP.CABLE_QUEUE_FULL);
      return;
    }
    to.rxFreeNs = outNs;
    let atNs = outNs + options.latencyNs;
    if (options.jitterNs > 0) atNs += this.prng.below(options.jitterNs + 1);
    if (options.reorder > 0 && this.prng.fraction() < options.reorder) {
      // Held up for another trip, so that frames behind it overtake it.
      this.sim.schedule(atNs + options.latencyNs, to, skb);
      return;
    }
    const { arrivals } = to;
    arrivals.push(atNs < arrivals.lastNs ? arrivals.lastNs : atNs, skb);
  }

  /** Whether the queue of a line that is busy until `freeNs` has room for another frame. */
  private fits(freeNs: number): boolean {
    const { bitsPerSecond, queueBytes } = this.options;
    return ((freeNs - this.sim.now) * bitsPerSecond) / 8e9 <= queueBytes;
  }

  private serialisationNs(lengthBytes: number): number {
    const { bitsPerSecond } = this.options;
    if (bitsPerSecond === 0) return 0;
    return Math.round((Math.max(lengthBytes, MIN_FRAME) + FRAME_OVERHEAD) * (8e9 / bitsPerSecond));
  }
}
