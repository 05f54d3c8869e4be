/**
 * Data that arrives: the receive queue, out-of-order segments and SACK, the delayed ACK engine, the growth of the window
 * (tcp_data_queue and around it in net/ipv4/tcp_input.c).
 */
import { TCP_FIN, TCP_PSH } from "../../wire/tcp.ts";
import { DROP } from "../core/drop-reason.ts";
import type { Skb } from "../core/skb.ts";
import { skbTruesize } from "./sock.ts";
import { tcpEcnCheckCe } from "./tcp-ecn.ts";
import { tcpOf } from "./tcp-net.ts";
import { TCP_ATO_MIN_NS, tcpSendAck, tcpSendDelayedAck } from "./tcp-output.ts";
import type { TcpSegment } from "./tcp-segment.ts";
import {
  ACK_NOW,
  ACK_PUSHED,
  ACK_PUSHED2,
  ACK_SCHED,
  ACK_TIMER,
  after,
  before,
  TCP_MSS_DEFAULT,
  type TcpSock,
} from "./tcp-sock.ts";
import { tcpNewWindow, tcpSpace, tcpWinFromSpace } from "./tcp-window.ts";

const TCP_MAX_QUICKACKS = 16;
/** ACKs that go at once when congestion is told. */
const ECN_QUICKACKS = 2;
const MIN_HINT = 88;
const COMP_SACK_NR = 44;
const COMP_SACK_DELAY_NS = 1_000_000;

/** What a FIN in order does; given by the caller, as it changes the state of the connection. */
export type FinHandler = (sk: TcpSock) => void;

function incrQuickack(sk: TcpSock, most = TCP_MAX_QUICKACKS): void {
  let acks = Math.floor(sk.rcvWnd / (2 * sk.rcvMss));
  if (acks === 0) acks = 2;
  acks = Math.min(acks, most);
  if (acks > sk.quick) sk.quick = acks;
}

/** The next ACKs go out at once (tcp_enter_quickack_mode). */
export function tcpEnterQuickack(sk: TcpSock, most = TCP_MAX_QUICKACKS): void {
  incrQuickack(sk, most);
  sk.pingpong = false;
  sk.atoNs = TCP_ATO_MIN_NS;
}

/** Learns the size of the peer's segments (tcp_measure_rcv_mss). */
function measureRcvMss(sk: TcpSock, seg: TcpSegment): void {
  const last = sk.lastSegSize;
  sk.lastSegSize = 0;
  if (seg.len >= sk.rcvMss) {
    sk.rcvMss = Math.min(seg.len, sk.advmss);
    return;
  }
  const withHeader = seg.len + seg.headerLen;
  if (withHeader >= TCP_MSS_DEFAULT + 20 || (withHeader >= MIN_HINT + 20 && (seg.flags & TCP_PSH) === 0)) {
    const size = withHeader - sk.headerLen;
    sk.lastSegSize = size;
    if (size === last) {
      sk.rcvMss = size;
      return;
    }
  }
  if ((sk.ackPending & ACK_PUSHED) !== 0) sk.ackPending |= ACK_PUSHED2;
  sk.ackPending |= ACK_PUSHED;
}

function rcvRttUpdate(sk: TcpSock, sampleUs: number, windowDependent: boolean): void {
  const current = sk.rcvRttUs;
  if (current === 0) sk.rcvRttUs = sampleUs << 3;
  else if (!windowDependent) sk.rcvRttUs = current + sampleUs - (current >> 3);
  else if (sampleUs << 3 < current) sk.rcvRttUs = sampleUs << 3;
}

/** Round trip as the receiver sees it: the time that one window of data takes (tcp_rcv_rtt_measure). */
function rcvRttMeasure(sk: TcpSock): void {
  const { now } = sk.ns.kernel.sim;
  if (sk.rcvRttTimeNs !== 0) {
    if (before(sk.rcvNxt, sk.rcvRttSeq)) return;
    rcvRttUpdate(sk, Math.max(1, Math.floor((now - sk.rcvRttTimeNs) / 1000)), true);
  }
  sk.rcvRttSeq = (sk.rcvNxt + sk.rcvWnd) | 0;
  sk.rcvRttTimeNs = now;
}

/** The same from the echoed timestamp of a full segment (tcp_rcv_rtt_measure_ts). */
export function tcpRcvRttMeasureTs(sk: TcpSock, seg: TcpSegment): void {
  if (!seg.options.timestamps || sk.rcvTsEcr === sk.rcvRttLastTsEcr) return;
  sk.rcvRttLastTsEcr = sk.rcvTsEcr;
  if (seg.len < sk.rcvMss) return;
  const ms = (sk.timestamp() - sk.rcvTsEcr) | 0;
  if (ms >= 0 && ms < 2_000_000) rcvRttUpdate(sk, Math.max(ms, 1) * 1000, false);
}

/** Raises the window after a well filled segment (tcp_grow_window). */
function growWindow(sk: TcpSock, len: number, truesize: number): void {
  const room = Math.min(sk.windowClamp, tcpSpace(sk)) - sk.rcvSsthresh;
  if (room <= 0) return;
  let incr = 0;
  if (tcpWinFromSpace(truesize) <= len) incr = 2 * sk.advmss;
  else {
    let size = tcpWinFromSpace(truesize) >> 1;
    let window = tcpWinFromSpace(tcpOf(sk.ns).rmem[2]) >> 1;
    while (sk.rcvSsthresh <= window) {
      if (size <= len) {
        incr = 2 * sk.rcvMss;
        break;
      }
      size >>= 1;
      window >>= 1;
    }
  }
  if (incr === 0) return;
  sk.rcvSsthresh += Math.min(room, Math.max(incr, 2 * len));
  sk.quick |= 1;
}

/** Whether the data was marked on its way; then the next ACKs tell of it, at once. */
function ecnCheckCe(sk: TcpSock, skb: Skb): void {
  if (sk.ecnFlags !== 0 && tcpEcnCheckCe(sk, skb)) tcpEnterQuickack(sk, ECN_QUICKACKS);
}

/** New data: an ACK is due, and the engine learns the rhythm (tcp_event_data_recv). */
function eventDataRecv(sk: TcpSock, skb: Skb, seg: TcpSegment, truesize: number): void {
  sk.ackPending |= ACK_SCHED;
  measureRcvMss(sk, seg);
  rcvRttMeasure(sk);
  const { now } = sk.ns.kernel.sim;
  if (sk.atoNs === 0) {
    incrQuickack(sk);
    sk.atoNs = TCP_ATO_MIN_NS;
  } else {
    const gap = now - sk.lrcvTimeNs;
    if (gap <= TCP_ATO_MIN_NS / 2) sk.atoNs = sk.atoNs / 2 + TCP_ATO_MIN_NS / 2;
    else if (gap < sk.atoNs) sk.atoNs = Math.min(sk.atoNs / 2 + gap, sk.rtoNs);
    else if (gap > sk.rtoNs) incrQuickack(sk);
  }
  sk.lrcvTimeNs = now;
  ecnCheckCe(sk, skb);
  if (seg.len >= 128) growWindow(sk, seg.len, truesize);
}

/** Puts a segment behind the others; `cb0` first number, `cb2` memory. */
function queueRcv(sk: TcpSock, skb: Skb, end: number): void {
  sk.rcvNxt = end;
  sk.rmemAlloc += skb.cb2;
  sk.receiveQueue.push(skb);
}

/** Drops out-of-order segments: to make room (tcp_prune_ofo_queue), or since nothing can follow a FIN (tcp_fin). */
export function tcpPruneOfo(sk: TcpSock): void {
  let skb = sk.ofoHead;
  while (skb !== null) {
    const next: Skb | null = skb.next;
    sk.rmemAlloc -= skb.cb2;
    skb.next = null;
    skb.drop(DROP.SOCKET_RCVBUFF);
    skb = next;
  }
  sk.ofoHead = null;
  sk.sackNum = 0;
}

/** Moves what has become in order out of the out-of-order list (tcp_ofo_queue); a FIN among it counts. */
function ofoQueue(sk: TcpSock, fin: FinHandler): void {
  for (let skb = sk.ofoHead; skb !== null && !after(skb.cb0, sk.rcvNxt); skb = sk.ofoHead) {
    sk.ofoHead = skb.next;
    skb.next = null;
    sk.rmemAlloc -= skb.cb2;
    if (!after(skb.cb1, sk.rcvNxt)) {
      skb.consume();
      continue;
    }
    const isFin = (skb.cb3 & TCP_FIN) !== 0;
    queueRcv(sk, skb, skb.cb1);
    if (isFin) {
      fin(sk);
      return;
    }
  }
}

/** Forgets SACK blocks that are in order now (tcp_sack_remove). */
function sackRemove(sk: TcpSock): void {
  if (sk.ofoHead === null) {
    sk.sackNum = 0;
    return;
  }
  let kept = 0;
  for (let i = 0; i < sk.sackNum; i++) {
    if (!before(sk.rcvNxt, sk.sackRight[i])) continue;
    sk.sackLeft[kept] = sk.sackLeft[i];
    sk.sackRight[kept++] = sk.sackRight[i];
  }
  sk.sackNum = kept;
}

/** A block grew or is new: it moves to the front and swallows those it touches (tcp_sack_new_ofo_skb). */
function sackNew(sk: TcpSock, seq: number, end: number): void {
  let left = seq;
  let right = end;
  let kept = 0;
  for (let i = 0; i < sk.sackNum; i++) {
    const l = sk.sackLeft[i];
    const r = sk.sackRight[i];
    if (!after(left, r) && !before(right, l)) {
      if (before(l, left)) left = l;
      if (after(r, right)) right = r;
      continue;
    }
    sk.sackLeft[kept] = l;
    sk.sackRight[kept++] = r;
  }
  kept = Math.min(kept, 3);
  for (let i = kept; i > 0; i--) {
    sk.sackLeft[i] = sk.sackLeft[i - 1];
    sk.sackRight[i] = sk.sackRight[i - 1];
  }
  sk.sackLeft[0] = left;
  sk.sackRight[0] = right;
  sk.sackNum = kept + 1;
}

function dsackSet(sk: TcpSock, left: number, right: number): void {
  if (!sk.sackOk || tcpOf(sk.ns).dsack === 0) return;
  sk.dsack = true;
  sk.dsackLeft = left;
  sk.dsackRight = right;
}

/** A segment beyond a hole (tcp_data_queue_ofo). Takes the packet. */
function dataQueueOfo(sk: TcpSock, skb: Skb, seg: TcpSegment): void {
  ecnCheckCe(sk, skb);
  if (sk.rmemAlloc + skb.cb2 > sk.rcvBuf) {
    skb.drop(DROP.SOCKET_RCVBUFF);
    return;
  }
  sk.ackPending |= ACK_SCHED;
  let prev: Skb | null = null;
  let at = sk.ofoHead;
  while (at !== null && !after(at.cb0, seg.seq)) {
    if (!after(seg.endSeq, at.cb1)) {
      dsackSet(sk, seg.seq, seg.endSeq);
      skb.drop(DROP.TCP_OLD_DATA);
      return;
    }
    prev = at;
    at = at.next;
  }
  while (at !== null && !after(at.cb1, seg.endSeq)) {
    const next: Skb | null = at.next;
    sk.rmemAlloc -= at.cb2;
    at.next = null;
    at.drop(DROP.TCP_OLD_DATA);
    at = next;
  }
  skb.next = at;
  if (prev === null) sk.ofoHead = skb;
  else prev.next = skb;
  sk.rmemAlloc += skb.cb2;
  if (sk.sackOk) sackNew(sk, seg.seq, seg.endSeq);
  growWindow(sk, seg.len, skb.cb2);
}

/** A segment with data or FIN, validated; `data` at the data. Takes the packet (tcp_data_queue). */
export function tcpDataQueue(sk: TcpSock, skb: Skb, seg: TcpSegment, fin: FinHandler): void {
  if (seg.seq === seg.endSeq) {
    skb.consume();
    return;
  }
  skb.cb0 = seg.seq;
  skb.cb1 = seg.endSeq;
  skb.cb2 = skbTruesize(seg.len);
  skb.cb3 = seg.flags;
  sk.dsack = false;
  const window = sk.receiveWindow();
  const old = !after(seg.endSeq, sk.rcvNxt);
  const beyond = !before(seg.seq, (sk.rcvNxt + window) | 0);
  if (old || beyond || (window === 0 && before(seg.seq, sk.rcvNxt))) {
    if (old) dsackSet(sk, seg.seq, seg.endSeq);
    tcpEnterQuickack(sk);
    sk.ackPending |= ACK_SCHED;
    skb.drop(DROP.TCP_OLD_DATA);
    return;
  }
  if (after(seg.seq, sk.rcvNxt)) {
    dataQueueOfo(sk, skb, seg);
    return;
  }
  if (sk.rmemAlloc > sk.rcvBuf && sk.ofoHead !== null) tcpPruneOfo(sk);
  if (sk.rmemAlloc > sk.rcvBuf && sk.receiveQueue.length > 0) {
    skb.drop(DROP.SOCKET_RCVBUFF);
    sk.wq.wake();
    return;
  }
  if (before(seg.seq, sk.rcvNxt)) dsackSet(sk, seg.seq, sk.rcvNxt);
  const truesize = skb.cb2;
  queueRcv(sk, skb, seg.endSeq);
  if (seg.len > 0) eventDataRecv(sk, skb, seg, truesize);
  if ((seg.flags & TCP_FIN) !== 0) fin(sk);
  if (sk.ofoHead !== null) {
    ofoQueue(sk, fin);
    if (sk.ofoHead === null) sk.ackPending |= ACK_NOW;
  }
  if (sk.sackNum > 0) sackRemove(sk);
  sk.wq.wake();
}

/** After data: ACK now, later, or not yet (__tcp_ack_snd_check). */
export function tcpAckSndCheck(sk: TcpSock, ofoPossible: boolean): void {
  if ((sk.ackPending & ACK_SCHED) === 0) return;
  const unacked = (sk.rcvNxt - sk.rcvWup) | 0;
  if (
    (unacked > sk.rcvMss && (sk.rcvNxt === sk.copiedSeq || tcpNewWindow(sk) >= sk.rcvWnd)) ||
    (sk.quick > 0 && !sk.pingpong) ||
    (sk.ackPending & ACK_NOW) !== 0
  ) {
    tcpSendAck(sk);
    return;
  }
  if (!ofoPossible || sk.ofoHead === null) {
    tcpSendDelayedAck(sk);
    return;
  }
  compressAck(sk);
}

/** Duplicate ACKs beyond the third are gathered for a moment (tcp_comp_sack_*). */
function compressAck(sk: TcpSock): void {
  if (!sk.sackOk || sk.compressedAck >= COMP_SACK_NR) {
    tcpSendAck(sk);
    return;
  }
  if (sk.compressedAckRcvNxt !== sk.rcvNxt) {
    sk.compressedAckRcvNxt = sk.rcvNxt;
    sk.dupAckCounter = 0;
  }
  if (sk.dupAckCounter < 3) {
    sk.dupAckCounter++;
    tcpSendAck(sk);
    return;
  }
  sk.compressedAck++;
  if (sk.compressedAck > 1) return;
  let rttUs = sk.rcvRttUs;
  if (sk.srttUs !== 0 && sk.srttUs < rttUs) rttUs = sk.srttUs;
  const delay = Math.max(1000, Math.min(COMP_SACK_DELAY_NS, Math.floor((rttUs * 125) / 20)));
  sk.ackPending |= ACK_TIMER;
  sk.ackTimeoutNs = sk.ns.kernel.sim.now + delay;
  sk.delackTimer.armAt(sk.ackTimeoutNs);
}

/** Frees everything that waits to be read. */
export function tcpPurgeReceive(sk: TcpSock): void {
  sk.receiveQueue.purge();
  tcpPruneOfo(sk);
  sk.rmemAlloc = 0;
}
