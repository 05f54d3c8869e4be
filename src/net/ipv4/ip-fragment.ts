/**
 * Reassembly (RFC 791 3.2, RFC 5722 for overlaps; net/ipv4/ip_fragment.c, net/ipv4/inet_fragment.c). A queue holds the
 * fragments of one packet for one user; a fragment that overlaps another ends the queue, an exact copy is dropped.
 */
import { SEC } from "../../sim/sim.ts";
import { Timer } from "../../sim/timer.ts";
import { hash4 } from "../../util/hash.ts";
import { ICMP_EXC_FRAGTIME, ICMP_TIME_EXCEEDED } from "../../wire/icmp.ts";
import {
  IP_DF,
  IP_MF,
  IP_OFFSET,
  ipChecksumSet,
  ipDaddr,
  ipFragOff,
  ipHeaderLen,
  ipId,
  ipProtocol,
  ipSaddr,
  ipTos,
  setIpFragOff,
  setIpTos,
  setIpTotLen,
} from "../../wire/ipv4.ts";
import { DROP } from "../core/drop-reason.ts";
import { RTN_LOCAL } from "../core/dst.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import { PACKET_HOST, type Skb } from "../core/skb.ts";
import { icmpSend } from "./icmp.ts";
import { ipv4Of } from "./ipv4-net.ts";
import { ipRouteInput } from "./route.ts";

/** Who asks for reassembly (enum ip_defrag_users): queues of different users do not mix. */
export const IP_DEFRAG_LOCAL_DELIVER = 0;
export const IP_DEFRAG_CONNTRACK_IN = 2;
export const IP_DEFRAG_CONNTRACK_OUT = 3;
export const IP_DEFRAG_CONNTRACK_BRIDGE_IN = 4;
/** Connection tracking has users of its own for each zone, so far apart. */
export const IP_DEFRAG_ZONES = 16;

const IP_MAX_BYTES = 65535;
/** What a fragment is charged with against ipfrag_high_thresh (its truesize). */
const FRAGMENT_TRUESIZE = 2304;

/** The fragments of one packet, a list by `Skb.next` in order of offset; cb0 is the offset, cb1 the end, in bytes. */
class FragmentQueue {
  readonly saddr: number;
  readonly daddr: number;
  readonly id: number;
  readonly protocol: number;
  readonly user: number;
  head: Skb | null = null;
  count = 0;
  /** Bytes of data received, and length of the whole once the last fragment is there, else the furthest end. */
  meat = 0;
  length = 0;
  haveFirst = false;
  haveLast = false;
  maxSize = 0;
  maxDfSize = 0;
  ecn = 0;
  dev: NetDevice | null = null;
  next: FragmentQueue | null = null;
  readonly timer: Timer;

  constructor(queues: FragmentQueues, skb: Skb, user: number) {
    const view = skb.view;
    const off = skb.netOff;
    this.saddr = ipSaddr(view, off);
    this.daddr = ipDaddr(view, off);
    this.id = ipId(view, off);
    this.protocol = ipProtocol(view, off);
    this.user = user;
    const { kernel } = queues.ns;
    this.timer = new Timer(kernel.sim, () => {
      kernel.enter();
      queues.expire(this);
      kernel.leave();
    });
  }

  serves(skb: Skb, user: number): boolean {
    const view = skb.view;
    const off = skb.netOff;
    return (
      this.id === ipId(view, off) &&
      this.saddr === ipSaddr(view, off) &&
      this.daddr === ipDaddr(view, off) &&
      this.protocol === ipProtocol(view, off) &&
      this.user === user
    );
  }
}

export class FragmentQueues {
  readonly ns: NetNs;
  private readonly byKey = new Map<number, FragmentQueue>();
  private memBytes = 0;

  constructor(ns: NetNs) {
    this.ns = ns;
  }

  /** The queue of the packet that `skb` belongs to, made when it is new. */
  find(skb: Skb, user: number): FragmentQueue {
    const key = keyOf(skb, user);
    const first = this.byKey.get(key) ?? null;
    for (let q = first; q !== null; q = q.next) if (q.serves(skb, user)) return q;
    const made = new FragmentQueue(this, skb, user);
    made.next = first;
    this.byKey.set(key, made);
    made.timer.armAt(this.ns.kernel.timerNs(ipv4Of(this.ns).sysctls.ipfragTime * SEC));
    return made;
  }

  /** No room for another fragment. */
  get full(): boolean {
    return this.memBytes > ipv4Of(this.ns).sysctls.ipfragHighThresh;
  }

  charge(): void {
    this.memBytes += FRAGMENT_TRUESIZE;
  }

  /** Takes a queue out (inet_frag_kill); its fragments stay with it. */
  kill(q: FragmentQueue): void {
    q.timer.cancel();
    this.memBytes -= q.count * FRAGMENT_TRUESIZE;
    const key = keyOfQueue(q);
    let at = this.byKey.get(key) ?? null;
    if (at === q) {
      if (q.next === null) this.byKey.delete(key);
      else this.byKey.set(key, q.next);
      return;
    }
    while (at !== null && at.next !== q) at = at.next;
    if (at !== null) at.next = q.next;
  }

  /** Forgets what came by a device that goes. */
  flushDev(dev: NetDevice): void {
    for (const first of [...this.byKey.values()]) {
      for (let q: FragmentQueue | null = first; q !== null; q = q.next) {
        if (q.dev !== dev) continue;
        this.kill(q);
        freeAll(q, DROP.DEV_DOWN);
      }
    }
  }

  /** The rest did not come in time: the sender is told, when the first fragment is there (ip_expire). */
  expire(q: FragmentQueue): void {
    this.kill(q);
    const first = q.head;
    if (first !== null && q.haveFirst && q.dev !== null && q.dev.isUp) {
      first.dev = q.dev;
      first.dst = null;
      if (ipRouteInput(this.ns, first, q.dev) === 0) {
        const elsewhere = isConntrackUser(q.user) && first.dst!.type !== RTN_LOCAL;
        if (!elsewhere) icmpSend(this.ns, first, ICMP_TIME_EXCEEDED, ICMP_EXC_FRAGTIME, 0);
      }
    }
    freeAll(q, DROP.FRAG_TIMEOUT);
  }
}

function isConntrackUser(zoned: number): boolean {
  const user = zoned % IP_DEFRAG_ZONES;
  return user === IP_DEFRAG_CONNTRACK_IN || user === IP_DEFRAG_CONNTRACK_BRIDGE_IN;
}

function keyOf(skb: Skb, user: number): number {
  const view = skb.view;
  const off = skb.netOff;
  const idProto = (ipId(view, off) << 8) | ipProtocol(view, off);
  return hash4(ipSaddr(view, off), ipDaddr(view, off), idProto, user, 0);
}

function keyOfQueue(q: FragmentQueue): number {
  return hash4(q.saddr, q.daddr, (q.id << 8) | q.protocol, q.user, 0);
}

function freeAll(q: FragmentQueue, reason: number): void {
  for (let skb = q.head; skb !== null; ) {
    const next = skb.next;
    skb.next = null;
    skb.drop(reason);
    skb = next;
  }
  q.head = null;
}

/**
 * Gives a fragment to its queue; `data` at the IP header. true: `skb` is the whole packet now. false: it was taken, queued
 * or dropped (ip_defrag).
 */
export function ipDefrag(ns: NetNs, skb: Skb, user: number): boolean {
  const queues = ipv4Of(ns).fragments;
  skb.netOff = skb.data;
  if (queues.full) {
    skb.drop(DROP.FRAG_BAD);
    return false;
  }
  const q = queues.find(skb, user);
  const reason = fragQueue(queues, q, skb);
  if (reason !== 0) {
    skb.drop(reason);
    return false;
  }
  if (!q.haveFirst || !q.haveLast || q.meat !== q.length) return false;
  return reassemble(queues, q, skb);
}

/** ip_frag_queue. 0: queued. Otherwise the reason to drop the fragment; a bad one takes the queue along. */
function fragQueue(queues: FragmentQueues, q: FragmentQueue, skb: Skb): number {
  const view = skb.view;
  const off = skb.netOff;
  const field = ipFragOff(view, off);
  const headerLen = ipHeaderLen(view, off);
  const start = (field & IP_OFFSET) << 3;
  let end = start + (skb.tail - off) - headerLen;
  if ((field & IP_MF) === 0) {
    if (end < q.length || (q.haveLast && end !== q.length)) return badQueue(queues, q);
    q.haveLast = true;
    q.length = end;
  } else {
    if ((end & 7) !== 0) {
      end &= ~7;
      skb.tail = off + headerLen + (end - start);
    }
    if (end > q.length) {
      if (q.haveLast) return badQueue(queues, q);
      q.length = end;
    }
  }
  if (end === start) return badQueue(queues, q);
  skb.cb0 = start;
  skb.cb1 = end;
  const placed = insert(q, skb);
  if (placed !== 0) {
    if (placed < 0) return DROP.FRAG_BAD;
    return badQueue(queues, q);
  }
  q.count++;
  queues.charge();
  q.dev = skb.dev;
  q.meat += end - start;
  q.ecn |= 1 << (ipTos(view, off) & 3);
  if (start === 0) q.haveFirst = true;
  const size = end - start + headerLen;
  if (size > q.maxSize) q.maxSize = size;
  if ((field & IP_DF) !== 0 && size > q.maxDfSize) q.maxDfSize = size;
  return 0;
}

/** The whole packet is spoilt: all its fragments go. */
function badQueue(queues: FragmentQueues, q: FragmentQueue): number {
  queues.kill(q);
  freeAll(q, DROP.FRAG_BAD);
  return DROP.FRAG_BAD;
}

/** Puts the fragment in its place. 0: done, -1: a copy of what is there, 1: it overlaps (inet_frag_queue_insert). */
function insert(q: FragmentQueue, skb: Skb): number {
  let before: Skb | null = null;
  let at = q.head;
  while (at !== null && at.cb0 < skb.cb1) {
    if (at.cb1 > skb.cb0) return skb.cb0 >= at.cb0 && skb.cb1 <= at.cb1 ? -1 : 1;
    before = at;
    at = at.next;
  }
  skb.next = at;
  if (before === null) q.head = skb;
  else before.next = skb;
  return 0;
}

/** ECN bits of the whole by those of the parts (RFC 3168 5.3, ip_frag_ecn_table); -1: must be dropped. */
function reassembledEcn(seen: number): number {
  if ((seen & 1) !== 0 && seen !== 1) return -1;
  return (seen & 8) !== 0 ? 3 : 0;
}

/**
 * Joins the fragments in the buffer of the first and moves that into `skb`, the packet that the caller holds
 * (ip_frag_reasm). false: too long, or the ECN bits contradict; all is freed.
 */
function reassemble(queues: FragmentQueues, q: FragmentQueue, skb: Skb): boolean {
  queues.kill(q);
  const first = q.head!;
  const headerLen = ipHeaderLen(first.view, first.netOff);
  const ecn = reassembledEcn(q.ecn);
  const total = headerLen + q.length;
  if (total > IP_MAX_BYTES || ecn < 0) {
    freeAll(q, DROP.FRAG_BAD);
    return false;
  }
  const whole = queues.ns.kernel.pool.alloc(total);
  const off = whole.put(total);
  whole.bytes.set(first.bytes.subarray(first.netOff, first.netOff + headerLen), off);
  for (let part: Skb | null = q.head; part !== null; part = part.next) {
    const from = part.netOff + ipHeaderLen(part.view, part.netOff);
    whole.bytes.set(part.bytes.subarray(from, from + part.cb1 - part.cb0), off + headerLen + part.cb0);
  }
  const df = q.maxDfSize === q.maxSize;
  setIpFragOff(whole.view, off, df ? IP_DF : 0);
  setIpTotLen(whole.view, off, total);
  setIpTos(whole.view, off, ipTos(whole.view, off) | ecn);
  ipChecksumSet(whole.view, off);
  const sizes = q.user === IP_DEFRAG_LOCAL_DELIVER ? null : fragmentSizes(q);
  adopt(q, first, skb, whole, off, headerLen);
  skb.fragList = sizes;
  skb.fragMaxSize = Math.max(q.maxDfSize, q.maxSize);
  return true;
}

/** Bytes of data of each fragment. */
function fragmentSizes(q: FragmentQueue): number[] {
  const sizes: number[] = [];
  for (let part = q.head; part !== null; part = part.next) sizes.push(part.cb1 - part.cb0);
  return sizes;
}

/** `skb` becomes the whole packet: the buffer of `whole`, the fields of the first fragment; the others are freed. */
function adopt(q: FragmentQueue, first: Skb, skb: Skb, whole: Skb, off: number, headerLen: number): void {
  const macGap = first.netOff - first.macOff;
  if (first.macOff >= 0) whole.bytes.set(first.bytes.subarray(first.macOff, first.netOff), off - macGap);
  skb.macOff = first.macOff >= 0 ? off - macGap : -1;
  skb.vlanProto = first.vlanProto;
  skb.vlanTci = first.vlanTci;
  skb.mark = first.mark;
  skb.iif = first.iif;
  skb.pktType = first.pktType;
  skb.ct = first.ct;
  skb.ctInfo = first.ctInfo;
  skb.ipcb = first.ipcb;
  skb.opt = first.opt;
  skb.nfBridge = first.nfBridge;
  skb.csumLevel = 0;
  skb.csumValid = first.csumValid;
  skb.swapBuffers(whole);
  skb.data = off;
  skb.tail = off + headerLen + q.length;
  skb.netOff = off;
  skb.transOff = off + headerLen;
  whole.consume();
  for (let part = q.head; part !== null; ) {
    const next: Skb | null = part.next;
    part.next = null;
    if (part !== skb) part.consume();
    part = next;
  }
  q.head = null;
  skb.next = null;
  if (skb.pktType === PACKET_HOST && skb.dst === null) skb.dst = first.dst;
}
