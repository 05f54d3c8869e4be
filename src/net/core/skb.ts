/**
 * The packet buffer (include/linux/skbuff.h) and its pool. One ArrayBuffer is seen as `view` (fields) and `bytes`
 * (ranges). `data` and `tail` bound the bytes of the layer that owns the packet now; headers that were already taken
 * off stay in the buffer at `macOff`, `netOff` and `transOff`, as in the kernel.
 *
 *     0        macOff   data=netOff  transOff        tail      buffer end
 *     | headroom | Ethernet | IPv4     | TCP ... payload | tailroom |
 *
 * All 32-bit values (addresses, mark) are int32 numbers: what `view.getInt32` and bit operations give.
 */
import { assert } from "../../util/assert.ts";
import type { DropReason } from "./drop-reason.ts";
import { DROP_REASON_COUNT } from "./drop-reason.ts";
import type { Dst } from "./dst.ts";
import type { IpOptions } from "./ip-options.ts";
import type { NetDevice } from "./net-device.ts";
import { PacketTrace } from "./trace.ts";

/**
 * Bytes kept free in front of a new packet: room for the VXLAN push of 50 B and an ESP one, and for the nested pushes of a
 * tunnel that leads into itself, until the recursion limit of transmission ends them.
 */
export const HEADROOM = 256;
const SMALL_BYTES = 2048;
const LARGE_BYTES = 65536 + 512;

/** skb->pkt_type (if_packet.h). */
export const PACKET_HOST = 0;
export const PACKET_BROADCAST = 1;
export const PACKET_MULTICAST = 2;
export const PACKET_OTHERHOST = 3;
export const PACKET_OUTGOING = 4;
export const PACKET_LOOPBACK = 5;
export type PacketType = 0 | 1 | 2 | 3 | 4 | 5;

/** enum ip_conntrack_info; IP_CT_NEW_REPLY never stays on a packet. */
export const IP_CT_ESTABLISHED = 0;
export const IP_CT_RELATED = 1;
export const IP_CT_NEW = 2;
export const IP_CT_ESTABLISHED_REPLY = 3;
export const IP_CT_RELATED_REPLY = 4;
export const IP_CT_UNTRACKED = 7;

/** The packet has a connection, or was told that it has none (skb->_nfct is set). */
export function hasConntrack(skb: Skb): boolean {
  return skb.ct !== null || skb.ctInfo !== IP_CT_NEW;
}

/** Bits of `Skb.ipcb`: IPCB(skb)->flags (include/net/ip.h) and xfrm's. */
export const IPSKB_FORWARDED = 1;
export const IPSKB_XFRM_TRANSFORMED = 4;
export const IPSKB_FRAG_COMPLETE = 8;
export const IPSKB_REROUTED = 16;
export const IPSKB_DOREDIRECT = 32;

export class Skb {
  buffer: ArrayBuffer;
  view: DataView;
  bytes: Uint8Array;
  /** The same as words in the byte order of the processor, for copying. */
  words: Int32Array;
  /** First byte of the current layer. */
  data = HEADROOM;
  /** One past the last byte. */
  tail = HEADROOM;
  /** Ethernet header, -1 when there is none. */
  macOff = -1;
  netOff = -1;
  transOff = -1;
  /** EtherType, host order number, e.g. 0x0800. */
  protocol = 0;
  pktType: PacketType = PACKET_HOST;
  /** The device it came in by, or goes out by. */
  dev: NetDevice | null = null;
  /** ifindex of the device that first received it in this namespace (skb->skb_iif); 0 when made here. */
  iif = 0;
  mark = 0;
  priority = 0;
  /** Route: null until routed (skb_dst). */
  dst: Dst | null = null;
  /** Next hop, int32, valid with `dst`: gateway, or the destination itself. */
  nextHop = 0;
  /** VLAN tag that is kept beside the frame (skb->vlan_proto, vlan_tci): its EtherType, 0 when there is none. */
  vlanProto = 0;
  vlanTci = 0;
  /** Connection tracking entry (net/netfilter/conntrack `Conn`) and IP_CT_* of this packet in it. */
  ct: unknown = null;
  ctInfo = IP_CT_NEW;
  /** Handled by IPVS (skb->ipvs_property). */
  ipvsProperty = false;
  /** The TRACE target marked it: each rule that it matches is logged (skb->nf_trace). */
  nfTrace = false;
  /** Bridge netfilter's state of a bridged packet (skb->nf_bridge), else null. */
  nfBridge: unknown = null;
  /** xfrm states that it passed inwards (secpath), else null. */
  secPath: unknown = null;
  /** IPSKB_* */
  ipcb = 0;
  /** Options of the IP header as they were read or written (IPCB(skb)->opt); null when there are none or nobody looked. */
  opt: IpOptions | null = null;
  /** Largest fragment that a reassembled packet came in (IPCB frag_max_size), 0 when whole. */
  fragMaxSize = 0;
  /** Bytes of IP data in each of the fragments that it was put together from (frag_list), first to last; null when whole. */
  fragList: number[] | null = null;
  /** The socket that sends it, for TCP/UDP output and TRACE (skb->sk). */
  sk: unknown = null;
  /** What happened to it, when somebody watches. */
  trace: PacketTrace | null = null;
  /** Flow hash taken over from the sending socket (skb->hash, l4_hash); 0 when none: then it is computed on demand. */
  hash = 0;
  /** How many transport headers, from the outermost inwards, are known to have a right checksum (`skb-checksum.ts`). */
  csumLevel = 0;
  /** It came out of a tunnel whose own checksum was right, or none: whoever asks no further takes it as right (skb->csum_valid). */
  csumValid = false;
  /** Its bytes were summed up on the way in, and it has not been forwarded since (CHECKSUM_COMPLETE). */
  csumComplete = false;
  /** Free for the layer that owns the packet (skb->cb): sequence numbers of TCP, times. */
  cb0 = 0;
  cb1 = 0;
  cb2 = 0;
  cb3 = 0;
  /** Link of whatever list it is in. */
  next: Skb | null = null;
  /** 1 while handed out; guards against double frees. */
  live = 0;
  readonly pool: SkbPool;

  constructor(pool: SkbPool, byteLength: number) {
    this.pool = pool;
    this.buffer = new ArrayBuffer(byteLength);
    this.view = new DataView(this.buffer);
    this.bytes = new Uint8Array(this.buffer);
    this.words = new Int32Array(this.buffer);
  }

  /** Bytes of the current layer. */
  get length(): number {
    return this.tail - this.data;
  }

  /** Extends the packet by `count` bytes in front; returns the new `data` (skb_push). */
  push(count: number): number {
    this.data -= count;
    assert(this.data >= 0, "skb headroom exhausted");
    return this.data;
  }

  /** Takes `count` bytes off the front; returns the new `data` (skb_pull). */
  pull(count: number): number {
    this.data += count;
    assert(this.data <= this.tail, "skb pulled past its tail");
    return this.data;
  }

  /** Extends the packet by `count` bytes behind; returns the offset of the first (skb_put). */
  put(count: number): number {
    const off = this.tail;
    this.tail += count;
    assert(this.tail <= this.buffer.byteLength, "skb tailroom exhausted");
    return off;
  }

  /** Cuts the packet to `lenBytes` from `data` (skb_trim). */
  trim(lenBytes: number): void {
    if (this.data + lenBytes < this.tail) this.tail = this.data + lenBytes;
  }

  /**
   * The bytes up to the offset `end` come to lie in one piece (pskb_may_pull, skb_ensure_writable): what they reach
   * into of {@link fragList}, whose data begins at `l4Off`, moves to its first fragment.
   */
  ensureWritable(l4Off: number, end: number): void {
    const { fragList } = this;
    if (fragList === null) return;
    let missing = end - l4Off - fragList[0];
    while (missing > 0 && fragList.length > 1) {
      const moved = Math.min(missing, fragList[1]);
      fragList[0] += moved;
      fragList[1] -= moved;
      if (fragList[1] === 0) fragList.splice(1, 1);
      missing -= moved;
    }
  }

  /** A copy with a buffer of its own and all the fields; not in a list. */
  clone(): Skb {
    return this.pool.copy(this);
  }

  /** Exchanges the buffers of two packets; their other fields stay. */
  swapBuffers(other: Skb): void {
    const { buffer, view, bytes, words } = this;
    this.buffer = other.buffer;
    this.view = other.view;
    this.bytes = other.bytes;
    this.words = other.words;
    other.buffer = buffer;
    other.view = view;
    other.bytes = bytes;
    other.words = words;
  }

  /** Frees it, counted under `reason` (kfree_skb_reason). */
  drop(reason: DropReason): void {
    if (this.trace !== null) this.trace.drop(reason);
    this.pool.countDrop(reason);
    this.pool.release(this);
  }

  /** Frees it as used up, no drop (consume_skb). */
  consume(): void {
    this.pool.release(this);
  }

  /** Forgets what must not cross a namespace (skb_scrub_packet with xnet): mark, conntrack, route, IPVS, bridge state. */
  scrub(): void {
    this.mark = 0;
    this.priority = 0;
    this.dst = null;
    this.ct = null;
    this.ctInfo = IP_CT_NEW;
    this.ipvsProperty = false;
    this.nfTrace = false;
    this.nfBridge = null;
    this.secPath = null;
    this.ipcb = 0;
    this.opt = null;
    this.fragMaxSize = 0;
    this.fragList = null;
    this.iif = 0;
    this.sk = null;
    this.pktType = PACKET_HOST;
  }
}

/** Hands out packet buffers of two sizes and takes them back; one a lab. */
export class SkbPool {
  /** Buffers handed out and not yet freed; 0 when a lab is idle. */
  outstanding = 0;
  /** Drops by {@link DropReason}. */
  readonly drops = new Float64Array(DROP_REASON_COUNT);
  /** Captures that want to know what happens: while there is one, every new packet gets a trace of its own. */
  tracers = 0;
  private readonly small: Skb[] = [];
  private readonly large: Skb[] = [];

  /** An empty packet with room for `lenBytes` behind {@link HEADROOM}. */
  alloc(lenBytes: number): Skb {
    const fits = lenBytes + HEADROOM <= SMALL_BYTES;
    assert(lenBytes + HEADROOM <= LARGE_BYTES, "packet is too long");
    const skb = (fits ? this.small : this.large).pop() ?? new Skb(this, fits ? SMALL_BYTES : LARGE_BYTES);
    this.outstanding++;
    skb.live = 1;
    skb.data = HEADROOM;
    skb.tail = HEADROOM;
    skb.macOff = -1;
    skb.netOff = -1;
    skb.transOff = -1;
    skb.protocol = 0;
    skb.dev = null;
    skb.next = null;
    skb.trace = this.tracers > 0 ? new PacketTrace() : null;
    skb.nextHop = 0;
    skb.vlanProto = 0;
    skb.hash = 0;
    skb.csumLevel = 0;
    skb.csumValid = false;
    skb.csumComplete = false;
    skb.cb0 = 0;
    skb.cb1 = 0;
    skb.cb2 = 0;
    skb.cb3 = 0;
    skb.scrub();
    return skb;
  }

  /** A packet that holds a copy of `frame`, `data` at its first byte. */
  from(frame: Uint8Array): Skb {
    const skb = this.alloc(frame.length);
    skb.bytes.set(frame, skb.put(frame.length));
    return skb;
  }

  copy(from: Skb): Skb {
    const skb = this.alloc(from.buffer.byteLength - HEADROOM);
    const start = from.macOff >= 0 && from.macOff < from.data ? from.macOff : from.data;
    skb.bytes.set(from.bytes.subarray(start, from.tail), start);
    skb.data = from.data;
    skb.tail = from.tail;
    skb.macOff = from.macOff;
    skb.netOff = from.netOff;
    skb.transOff = from.transOff;
    skb.protocol = from.protocol;
    skb.pktType = from.pktType;
    skb.dev = from.dev;
    skb.iif = from.iif;
    skb.mark = from.mark;
    skb.priority = from.priority;
    skb.dst = from.dst;
    skb.nextHop = from.nextHop;
    skb.vlanProto = from.vlanProto;
    skb.vlanTci = from.vlanTci;
    skb.ct = from.ct;
    skb.ctInfo = from.ctInfo;
    skb.ipvsProperty = from.ipvsProperty;
    skb.nfTrace = from.nfTrace;
    skb.nfBridge = from.nfBridge;
    skb.secPath = from.secPath;
    skb.ipcb = from.ipcb;
    skb.opt = from.opt === null ? null : from.opt.copy();
    skb.fragMaxSize = from.fragMaxSize;
    skb.sk = from.sk;
    skb.hash = from.hash;
    skb.csumLevel = from.csumLevel;
    skb.csumValid = from.csumValid;
    skb.csumComplete = from.csumComplete;
    if (from.trace !== null) skb.trace = from.trace.fork();
    return skb;
  }

  /**
   * Gives `skb` a buffer that holds at least `lenBytes` behind the headroom, keeping its fields and its bytes from
   * `data` on at the same offset (pskb_expand_head). Used by reassembly.
   */
  expand(skb: Skb, lenBytes: number): void {
    if (skb.data + lenBytes <= skb.buffer.byteLength) return;
    const big = this.alloc(LARGE_BYTES - HEADROOM);
    big.bytes.set(skb.bytes.subarray(0, skb.tail), 0);
    skb.swapBuffers(big);
    this.release(big);
  }

  countDrop(reason: DropReason): void {
    this.drops[reason]++;
  }

  release(skb: Skb): void {
    assert(skb.live === 1, "skb freed twice");
    skb.live = 0;
    this.outstanding--;
    skb.dev = null;
    skb.dst = null;
    skb.ct = null;
    skb.nfBridge = null;
    skb.secPath = null;
    skb.opt = null;
    skb.fragList = null;
    skb.sk = null;
    skb.trace = null;
    skb.next = null;
    (skb.buffer.byteLength === SMALL_BYTES ? this.small : this.large).push(skb);
  }
}
