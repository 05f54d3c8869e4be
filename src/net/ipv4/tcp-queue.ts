/**
 * The write queue of a connection: the bytes not yet acknowledged in one ring, and records of what they are cut into.
 * Records before `sent` are in flight (the retransmit queue), from `sent` on they wait to be sent (tcp_send_head).
 *
 *     head          sent            tail
 *      | in flight   | not yet sent  |
 */
import { TCP_FIN, TCP_SYN } from "../../wire/tcp.ts";

/** Bits of a record's state (TCPCB_*). */
export const TCPCB_SACKED_ACKED = 1;
export const TCPCB_SACKED_RETRANS = 2;
export const TCPCB_LOST = 4;
/** The record is the last of its buffer: a super packet is one buffer (sk_buff) but several records once it is sent. */
export const TCPCB_SKB_END = 8;
export const TCPCB_EVER_RETRANS = 0x80;

const FIRST_BYTES = 4096;
const FIRST_RECORDS = 16;
/** Memory of a buffer beside its data: the sk_buff and a kmalloc-1024 head (SKB_TRUESIZE in tcp_stream_alloc_skb). */
export const SKB_OVERHEAD = 1280;

export class TcpWriteQueue {
  /** Buffers that hold the records. */
  skbs = 0;
  /** Index of the first record, of the first not sent, and one past the last; they only grow. */
  head = 0;
  sent = 0;
  tail = 0;
  /** Ring of records; index with `& mask`. `end` counts SYN and FIN. */
  mask = FIRST_RECORDS - 1;
  seq = new Int32Array(FIRST_RECORDS);
  end = new Int32Array(FIRST_RECORDS);
  flags = new Uint8Array(FIRST_RECORDS);
  state = new Uint8Array(FIRST_RECORDS);
  sentNs = new Float64Array(FIRST_RECORDS);
  private bytes = new Uint8Array(0);
  /** Sequence number of the first data byte of the connection. */
  private origin = 0;

  /** Starts a stream whose first data byte has number `origin`. */
  start(origin: number): void {
    this.origin = origin;
  }

  /** Data bytes of a record. */
  lengthOf(index: number): number {
    const i = index & this.mask;
    const flags = this.flags[i];
    return (
      ((this.end[i] - this.seq[i]) | 0) -
      ((flags & TCP_SYN) !== 0 ? 1 : 0) -
      ((flags & TCP_FIN) !== 0 ? 1 : 0)
    );
  }

  get hasUnsent(): boolean {
    return this.sent < this.tail;
  }

  get inFlight(): number {
    return this.sent - this.head;
  }

  /** Buffers in flight, of {@link inFlight} segments. */
  get skbsInFlight(): number {
    return this.skbs - (this.tail - this.sent);
  }

  /** Memory that the queue is charged with, bytes (sk_wmem_queued). */
  memory(sndUna: number, writeSeq: number): number {
    const bytes = (writeSeq - sndUna) | 0;
    return bytes <= 0 ? 0 : bytes + this.skbs * SKB_OVERHEAD;
  }

  /** Adds a record behind the last. */
  push(seq: number, end: number, flags: number): void {
    if (this.tail - this.head > this.mask) this.growRecords();
    const i = this.tail++ & this.mask;
    this.seq[i] = seq;
    this.end[i] = end;
    this.flags[i] = flags;
    this.state[i] = TCPCB_SKB_END;
    this.sentNs[i] = 0;
    this.skbs++;
  }

  /** Takes the first record out: it is acknowledged. */
  shift(): void {
    if ((this.state[this.head & this.mask] & TCPCB_SKB_END) !== 0) this.skbs--;
    this.head++;
  }

  /** Stores `count` bytes of `data` from `from` on as the stream's bytes from `seq` on; `una` is the oldest still needed. */
  store(seq: number, data: Uint8Array, from: number, count: number, una: number): void {
    const used = (seq - una) | 0;
    if (used + count > this.bytes.length) this.growBytes(used + count, una, used);
    const mask = this.bytes.length - 1;
    const start = (seq - this.origin) & mask;
    const first = Math.min(count, this.bytes.length - start);
    this.bytes.set(data.subarray(from, from + first), start);
    if (first < count) this.bytes.set(data.subarray(from + first, from + count), 0);
  }

  /** Copies `count` bytes of the stream from `seq` on to `out` at `at`. */
  copy(seq: number, count: number, out: Uint8Array, at: number): void {
    const { bytes } = this;
    const start = (seq - this.origin) & (bytes.length - 1);
    const first = Math.min(count, bytes.length - start);
    out.set(bytes.subarray(start, start + first), at);
    if (first < count) out.set(bytes.subarray(0, count - first), at + first);
  }

  /** Cuts record `index` after `count` data bytes into two buffers; PSH and FIN go to the second (tcp_fragment). */
  split(index: number, count: number, pshFin: number): void {
    if (this.tail - this.head > this.mask) this.growRecords();
    const { mask, seq, end, flags, state, sentNs } = this;
    for (let at = this.tail; at > index + 1; at--) {
      const to = at & mask;
      const from = (at - 1) & mask;
      seq[to] = seq[from];
      end[to] = end[from];
      flags[to] = flags[from];
      state[to] = state[from];
      sentNs[to] = sentNs[from];
    }
    this.tail++;
    if (index < this.sent) this.sent++;
    const a = index & mask;
    const b = (index + 1) & mask;
    const cut = (seq[a] + count + ((flags[a] & TCP_SYN) !== 0 ? 1 : 0)) | 0;
    seq[b] = cut;
    end[b] = end[a];
    end[a] = cut;
    flags[b] = flags[a] & ~TCP_SYN;
    flags[a] &= ~pshFin;
    state[b] = state[a];
    state[a] |= TCPCB_SKB_END;
    sentNs[b] = sentNs[a];
    this.skbs++;
  }

  /** The same within one buffer: what is cut leaves as one super packet. */
  splitSegment(index: number, count: number, pshFin: number): void {
    this.split(index, count, pshFin);
    this.state[index & this.mask] &= ~TCPCB_SKB_END;
    this.skbs--;
  }

  /** Makes one record of `index` and the one behind it, which belongs to the same buffer. */
  join(index: number): void {
    const { mask, seq, end, flags, state, sentNs } = this;
    const a = index & mask;
    const b = (index + 1) & mask;
    end[a] = end[b];
    flags[a] |= flags[b];
    state[a] = state[b];
    for (let at = index + 1; at < this.tail - 1; at++) {
      const to = at & mask;
      const from = (at + 1) & mask;
      seq[to] = seq[from];
      end[to] = end[from];
      flags[to] = flags[from];
      state[to] = state[from];
      sentNs[to] = sentNs[from];
    }
    this.tail--;
    if (index + 1 < this.sent) this.sent--;
  }

  /** What follows record `index` is a buffer of its own from now on. */
  endBuffer(index: number): void {
    if ((this.state[index & this.mask] & TCPCB_SKB_END) !== 0) return;
    this.state[index & this.mask] |= TCPCB_SKB_END;
    this.skbs++;
  }

  /** Forgets everything. */
  clear(): void {
    this.head = 0;
    this.sent = 0;
    this.tail = 0;
    this.skbs = 0;
    this.bytes = new Uint8Array(0);
  }

  private growBytes(needed: number, una: number, used: number): void {
    let size = Math.max(this.bytes.length, FIRST_BYTES);
    while (size < needed) size *= 2;
    const bytes = new Uint8Array(size);
    for (let i = 0; i < used; i++) {
      const position = una + i - this.origin;
      bytes[position & (size - 1)] = this.bytes[position & (this.bytes.length - 1)];
    }
    this.bytes = bytes;
  }

  private growRecords(): void {
    const size = (this.mask + 1) * 2;
    const seq = new Int32Array(size);
    const end = new Int32Array(size);
    const flags = new Uint8Array(size);
    const state = new Uint8Array(size);
    const sentNs = new Float64Array(size);
    for (let index = this.head; index < this.tail; index++) {
      const from = index & this.mask;
      const to = index & (size - 1);
      seq[to] = this.seq[from];
      end[to] = this.end[from];
      flags[to] = this.flags[from];
      state[to] = this.state[from];
      sentNs[to] = this.sentNs[from];
    }
    this.mask = size - 1;
    this.seq = seq;
    this.end = end;
    this.flags = flags;
    this.state = state;
    this.sentNs = sentNs;
  }
}
