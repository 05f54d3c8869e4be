/**
 * Records the frames of many devices into growing buffers: per frame only numbers and bytes are stored, so a capture
 * costs a copy and nothing else. Files are made afterwards.
 *
 *     meta, 5 doubles a frame:  time ns | interface * 8 + packet type | place in the store | length | trace records so far
 */
import { devSetPromiscuity } from "../net/core/dev-rx-flags.ts";
import { IFF_LOOPBACK, type NetDevice, type Tap } from "../net/core/net-device.ts";
import { PACKET_OUTGOING, type PacketType, type Skb, type SkbPool } from "../net/core/skb.ts";
import { PacketTrace } from "../net/core/trace.ts";
import { SEC, type Sim } from "../sim/sim.ts";
import { WaitQueue } from "../sim/wait-queue.ts";
import { EPOCH_SECONDS } from "../sim/wall-clock.ts";
import { type CapturedFrame, LINKTYPE_ETHERNET, LINKTYPE_RAW } from "./frame.ts";
import { FrameStore } from "./frame-store.ts";
import { PcapWriter } from "./pcap.ts";
import { addTap, removeTap } from "./tap.ts";

const META = 5;

/** Whether a frame `bytes[off, off+lenBytes)` is wanted. */
export type FramePredicate = (
  bytes: Uint8Array,
  view: DataView,
  off: number,
  lenBytes: number,
  linkType?: number,
) => boolean;

export interface RecorderOptions {
  /** Puts the devices into promiscuous mode while they are recorded. */
  readonly promiscuous?: boolean;
  /** Has every packet keep a trace, for comments. */
  readonly traces?: boolean;
  /** Records only frames that it takes; null or absent takes all. */
  readonly filter?: FramePredicate | null;
}

/** An interface of the capture. */
export interface RecordedInterface {
  readonly machine: string;
  /** `host`, `ingress_sbox`, `ovl-mynet`, `ctr-web.1` … */
  readonly netns: string;
  readonly name: string;
  /** LINKTYPE_* of its frames. */
  readonly linkType: number;
}

/** The tap of one device: knows its interface number, so that a frame needs no lookup. */
class PortTap implements Tap {
  readonly recorder: Recorder;
  readonly interfaceId: number;
  readonly dev: NetDevice;

  constructor(recorder: Recorder, interfaceId: number, dev: NetDevice) {
    this.recorder = recorder;
    this.interfaceId = interfaceId;
    this.dev = dev;
  }

  frame(_dev: NetDevice, skb: Skb, frameOff: number, outgoing: boolean): void {
    // libpcap leaves out what the loopback device sends: the same frame is about to be received.
    if (outgoing && (this.dev.flags & IFF_LOOPBACK) !== 0) return;
    this.recorder.append(this.interfaceId, skb, frameOff, outgoing);
  }
}

export class Recorder {
  readonly interfaces: RecordedInterface[] = [];
  /** Frames recorded so far. */
  frameCount = 0;
  /** Woken when a frame was recorded. */
  readonly arrived = new WaitQueue();
  private readonly sim: Sim;
  private readonly options: RecorderOptions;
  private readonly filter: FramePredicate | null;
  private taps: PortTap[] = [];
  /** The pool whose packets get traces for this recorder, null while none do. */
  private tracedPool: SkbPool | null = null;
  private meta = new Float64Array(META * 64);
  private readonly store = new FrameStore();
  private readonly traceRefs: (PacketTrace | null)[] = [];

  constructor(sim: Sim, options: RecorderOptions = {}) {
    this.sim = sim;
    this.options = options;
    this.filter = options.filter ?? null;
  }

  /** Records a device from now on; returns its interface number. Twice is once; a known label gets its old number. */
  attach(dev: NetDevice, machine: string, netns: string): number {
    const running = this.taps.find((tap) => tap.dev === dev);
    if (running !== undefined) return running.interfaceId;
    let id = this.interfaces.findIndex(
      (one) => one.machine === machine && one.netns === netns && one.name === dev.name,
    );
    const linkType = dev.hardHeaderLen === 0 ? LINKTYPE_RAW : LINKTYPE_ETHERNET;
    if (id < 0) id = this.interfaces.push({ machine, netns, name: dev.name, linkType }) - 1;
    const tap = new PortTap(this, id, dev);
    this.taps.push(tap);
    addTap(dev, tap);
    this.startTracing(dev.ns.kernel.pool);
    if (this.options.promiscuous === true) devSetPromiscuity(dev, 1);
    return id;
  }

  /** Stops recording a device. */
  detach(dev: NetDevice): void {
    const tap = this.taps.find((one) => one.dev === dev);
    if (tap === undefined) return;
    this.taps = this.taps.filter((one) => one !== tap);
    removeTap(dev, tap);
    if (this.options.promiscuous === true) devSetPromiscuity(dev, -1);
  }

  private startTracing(pool: SkbPool): void {
    if (this.options.traces !== true || this.tracedPool !== null) return;
    this.tracedPool = pool;
    pool.tracers++;
  }

  /** Stops recording all devices; what was recorded stays. */
  stop(): void {
    for (const tap of [...this.taps]) this.detach(tap.dev);
    if (this.tracedPool !== null) this.tracedPool.tracers--;
    this.tracedPool = null;
  }

  /** Takes a frame: from `frameOff` to the tail of the packet. */
  append(interfaceId: number, skb: Skb, frameOff: number, outgoing: boolean): void {
    const lenBytes = skb.tail - frameOff;
    if (this.filter !== null) {
      const { linkType } = this.interfaces[interfaceId];
      if (!this.filter(skb.bytes, skb.view, frameOff, lenBytes, linkType)) return;
    }
    const place = this.store.add(skb.words, frameOff, lenBytes);
    const at = this.frameCount * META;
    if (at === this.meta.length) this.growMeta();
    const meta = this.meta;
    meta[at] = this.sim.now;
    meta[at + 1] = interfaceId * 8 + (outgoing ? PACKET_OUTGOING : skb.pktType);
    meta[at + 2] = place;
    meta[at + 3] = lenBytes;
    if (this.options.traces === true) {
      skb.trace ??= new PacketTrace();
      meta[at + 4] = skb.trace.records.length;
      this.traceRefs.push(skb.trace);
    }
    this.frameCount++;
    this.arrived.wake();
  }

  frameTimeNs(index: number): number {
    return this.meta[index * META];
  }

  /** LINKTYPE_* of a frame. */
  frameLinkType(index: number): number {
    return this.interfaces[this.frameInterface(index)].linkType;
  }

  frameInterface(index: number): number {
    return this.meta[index * META + 1] >> 3;
  }

  /** PACKET_OUTGOING, or how the device saw an incoming frame: PACKET_HOST, PACKET_BROADCAST … */
  framePacketType(index: number): PacketType {
    return (this.meta[index * META + 1] & 7) as PacketType;
  }

  frameOutgoing(index: number): boolean {
    return this.framePacketType(index) === PACKET_OUTGOING;
  }

  /** The bytes of a frame; not a copy. */
  frameBytes(index: number): Uint8Array {
    return this.store.at(this.meta[index * META + 2], this.meta[index * META + 3]);
  }

  /** The trace of a frame's packet, null when there was none, and how many records it had when the frame passed. */
  frameTrace(index: number): PacketTrace | null {
    return this.traceRefs[index] ?? null;
  }

  frameTraceCount(index: number): number {
    return this.meta[index * META + 4];
  }

  /** A frame as a reader of the file would get it. */
  frameAt(index: number): CapturedFrame {
    const timeNs = this.frameTimeNs(index);
    const bytes = this.frameBytes(index);
    return {
      sec: wallSec(timeNs),
      nsec: timeNs % SEC,
      bytes,
      origLen: bytes.length,
      interfaceId: this.frameInterface(index),
      comment: "",
    };
  }

  /** The frames of one interface as a classic capture file. */
  pcap(interfaceId: number): Uint8Array {
    const writer = new PcapWriter(false, this.interfaces[interfaceId].linkType);
    for (let i = 0; i < this.frameCount; i++) {
      if (this.frameInterface(i) !== interfaceId) continue;
      const bytes = this.frameBytes(i);
      const timeNs = this.frameTimeNs(i);
      writer.add(wallSec(timeNs), timeNs % SEC, bytes, 0, bytes.length);
    }
    return writer.finish();
  }

  private growMeta(): void {
    const bigger = new Float64Array(this.meta.length * 2);
    bigger.set(this.meta);
    this.meta = bigger;
  }
}

/** Seconds since 1970 of a time of the lab. */
export function wallSec(timeNs: number): number {
  return EPOCH_SECONDS + Math.floor(timeNs / SEC);
}
