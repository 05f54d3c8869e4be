/** Building and sending segments (net/ipv4/tcp_output.c). */
import { csumFold, csumPartial, pseudoHeaderSum } from "../../wire/checksum.ts";
import { IP_HLEN, IPPROTO_TCP } from "../../wire/ipv4.ts";
import { TCP_ACK, TCP_HLEN, TCP_PSH, TCP_RST, TCP_SYN } from "../../wire/tcp.ts";
import { ipOptionsBuild, ipOptionsHop } from "./ip-options.ts";
import { ipBuildHeader, ipLocalOut } from "./ip-output.ts";
import { ipv4Of } from "./ipv4-net.ts";
import { skbSetRoute } from "./route.ts";
import { TCP_CLOSE } from "./sock.ts";
import { ipDontFragment, skDstCheck } from "./sock-route.ts";
import { tcpEventDataSent } from "./tcp-cong.ts";
import { tcpEcnSend, tcpEcnSendSyn, tcpEcnTos } from "./tcp-ecn.ts";
import { tcpOf } from "./tcp-net.ts";
import { tcpRearmRto } from "./tcp-rto.ts";
import { ACK_PUSHED, ACK_SCHED, ACK_TIMER, type TcpSock, TIME_LOSS_PROBE } from "./tcp-sock.ts";
import { tcpEstablishedOptionsLen, tcpSackBlocks, tcpSelectWindow } from "./tcp-window.ts";

/** Least and usual delay of an ACK. */
export const TCP_ATO_MIN_NS = 40_000_000;

/** Timestamps and SACK blocks of an established connection, at `at`. */
function writeEstablishedOptions(sk: TcpSock, view: DataView, at: number): void {
  let off = at;
  if (sk.tstampOk) {
    view.setInt32(off, 0x0101080a);
    view.setInt32(off + 4, sk.timestamp());
    view.setInt32(off + 8, sk.tsRecent);
    off += 12;
  }
  const blocks = tcpSackBlocks(sk, sk.tstampOk ? 12 : 0);
  if (blocks === 0) return;
  view.setInt32(off, 0x01010500 | (2 + 8 * blocks));
  off += 4;
  let left = blocks;
  if (sk.dsack) {
    view.setInt32(off, sk.dsackLeft);
    view.setInt32(off + 4, sk.dsackRight);
    off += 8;
    left--;
    sk.dsack = false;
  }
  for (let i = 0; i < left; i++, off += 8) {
    view.setInt32(off, sk.sackLeft[i]);
    view.setInt32(off + 4, sk.sackRight[i]);
  }
}

/** Options of a SYN, at `at`; returns their length. `mss` and the rest as the connection offers them. */
function writeSynOptions(sk: TcpSock, view: DataView, at: number): number {
  let off = at;
  view.setInt32(off, (2 << 24) | (4 << 16) | sk.advmss);
  off += 4;
  if (sk.tstampOk) {
    view.setInt32(off, sk.sackOk ? 0x0402080a : 0x0101080a);
    view.setInt32(off + 4, sk.timestamp());
    view.setInt32(off + 8, sk.tsRecent);
    off += 12;
  } else if (sk.sackOk) {
    view.setInt32(off, 0x01010402);
    off += 4;
  }
  if (sk.wscaleOk) {
    view.setInt32(off, 0x01030300 | sk.rcvWscale);
    off += 4;
  }
  return off - at;
}

/**
 * Sends one segment: sequence number `seq`, `flags`, and `len` bytes of the write queue from `seq` on, for the first time when
 * it `isNew` (__tcp_transmit_skb, __ip_queue_xmit). False when there is no route.
 */
export function tcpTransmit(sk: TcpSock, seq: number, len: number, flags: number, isNew = false): boolean {
  const dst = skDstCheck(sk);
  if (dst === null) return false;
  const { ns } = sk;
  const syn = (flags & TCP_SYN) !== 0;
  const maxOptions = syn ? 40 : tcpEstablishedOptionsLen(sk);
  const skb = ns.kernel.pool.alloc(IP_HLEN + TCP_HLEN + maxOptions + len);
  const { view } = skb;
  const off = skb.data + IP_HLEN;
  let optionsLen = maxOptions;
  if (syn) optionsLen = writeSynOptions(sk, view, off + TCP_HLEN);
  else if (maxOptions > 0) writeEstablishedOptions(sk, view, off + TCP_HLEN);
  const headerLen = TCP_HLEN + optionsLen;
  skb.data = off;
  skb.tail = off + headerLen + len;
  view.setUint16(off, sk.sport);
  view.setUint16(off + 2, sk.dport);
  view.setInt32(off + 4, seq);
  view.setInt32(off + 8, (flags & TCP_ACK) !== 0 ? sk.rcvNxt : 0);
  const carriesNew = isNew && len > 0;
  view.setUint16(off + 12, (headerLen << 10) | flags | tcpEcnSend(sk, flags, carriesNew));
  view.setUint16(off + 14, syn ? Math.min(sk.rcvWnd, 0xffff) : tcpSelectWindow(sk));
  view.setInt32(off + 16, 0);
  if (len > 0) sk.queue.copy(seq, len, skb.bytes, off + headerLen);
  const total = headerLen + len;
  const sum = csumPartial(view, off, total, pseudoHeaderSum(sk.saddr, sk.daddr, IPPROTO_TCP, total));
  view.setUint16(off + 16, csumFold(sum));
  skb.csumLevel = 1;
  if ((flags & TCP_ACK) !== 0) tcpEventAckSent(sk);
  if (len > 0) tcpEventDataSent(sk);
  tcpOf(ns).outSegs++;
  sk.wstampNs = ns.kernel.sim.now;
  const { opt } = sk;
  const hop = ipOptionsHop(opt, sk.daddr);
  skbSetRoute(skb, dst, hop);
  skb.sk = sk;
  skb.mark = sk.mark;
  const id = sk.inetId;
  sk.inetId = (id + 1) & 0xffff;
  const ttl = sk.ttl || ipv4Of(ns).defaultTtl;
  const df = ipDontFragment(sk, dst, hop);
  const tos = sk.tos | tcpEcnTos(sk, carriesNew);
  ipBuildHeader(skb, sk.saddr, sk.daddr, IPPROTO_TCP, tos, ttl, df, id, opt === null ? 0 : opt.optlen);
  if (opt !== null) ipOptionsBuild(ns, skb, opt, sk.daddr);
  ipLocalOut(ns, skb);
  return true;
}

/** Any segment with ACK pays a delayed one (tcp_event_ack_sent). */
function tcpEventAckSent(sk: TcpSock): void {
  if (sk.compressedAck > 0) sk.compressedAck = 0;
  if (sk.quick > 0 && (sk.ackPending & ACK_SCHED) !== 0 && --sk.quick === 0) sk.atoNs = TCP_ATO_MIN_NS;
  sk.ackPending = 0;
  sk.delackTimer.cancel();
}

export function tcpSendAck(sk: TcpSock): void {
  if (sk.state === TCP_CLOSE) return;
  tcpTransmit(sk, tcpAcceptableSeq(sk), 0, TCP_ACK);
}

/** Sequence number of a segment without data: inside the peer's window (tcp_acceptable_seq). */
function tcpAcceptableSeq(sk: TcpSock): number {
  const over = (sk.sndNxt - sk.wndEnd()) | 0;
  if (over <= 0 || over < 1 << sk.sndWscale) return sk.sndNxt;
  return sk.wndEnd();
}

/** Arms or keeps the delayed ACK (tcp_send_delayed_ack). */
export function tcpSendDelayedAck(sk: TcpSock): void {
  const { now } = sk.ns.kernel.sim;
  let ato = sk.atoNs;
  if (ato > 40_000_000) {
    let max = sk.pingpong || (sk.ackPending & ACK_PUSHED) !== 0 ? 200_000_000 : 500_000_000;
    if (sk.srttUs !== 0) {
      const rtt = Math.max((sk.srttUs >> 3) * 1000, 40_000_000);
      if (rtt < max) max = rtt;
    }
    ato = Math.min(ato, max);
  }
  ato = Math.min(ato, 200_000_000);
  let due = now + ato;
  if ((sk.ackPending & ACK_TIMER) !== 0) {
    if (sk.ackTimeoutNs <= now + ato / 4) {
      tcpSendAck(sk);
      return;
    }
    if (due > sk.ackTimeoutNs) due = sk.ackTimeoutNs;
  }
  sk.ackPending |= ACK_SCHED | ACK_TIMER;
  sk.ackTimeoutNs = due;
  sk.delackTimer.armAt(sk.ns.kernel.timerNs(due - now));
}

/** Notes that the first record not yet sent is in flight now (tcp_event_new_data_sent). */
export function tcpEventNewDataSent(sk: TcpSock): void {
  const { queue } = sk;
  const prior = queue.inFlight;
  const i = queue.sent & queue.mask;
  queue.sentNs[i] = sk.ns.kernel.sim.now;
  sk.sndNxt = queue.end[i];
  queue.sent++;
  if (prior === 0 || sk.timePending === TIME_LOSS_PROBE) tcpRearmRto(sk);
}

/** Sends the SYN that opens a connection; it stands first in the write queue (tcp_connect). */
export function tcpSendSyn(sk: TcpSock): boolean {
  const { queue } = sk;
  queue.start((sk.iss + 1) | 0);
  queue.push(sk.iss, (sk.iss + 1) | 0, TCP_SYN);
  sk.writeSeq = (sk.iss + 1) | 0;
  queue.sentNs[queue.sent & queue.mask] = sk.ns.kernel.sim.now;
  queue.sent++;
  sk.retransStampMs = 0;
  const ok = tcpTransmit(sk, sk.iss, 0, TCP_SYN | tcpEcnSendSyn(sk));
  sk.sndNxt = sk.writeSeq;
  sk.pushedSeq = sk.writeSeq;
  return ok;
}

/** Aborts by RST (tcp_send_active_reset). */
export function tcpSendActiveReset(sk: TcpSock): void {
  tcpOf(sk.ns).outRsts++;
  tcpTransmit(sk, tcpAcceptableSeq(sk), 0, TCP_ACK | TCP_RST);
}

/** Sets PSH on the last record that waits (tcp_mark_push). */
export function tcpMarkPush(sk: TcpSock): void {
  const { queue } = sk;
  queue.flags[(queue.tail - 1) & queue.mask] |= TCP_PSH;
  sk.pushedSeq = sk.writeSeq;
}

/** A segment for a window probe: one byte that was acknowledged long ago (tcp_xmit_probe_skb). */
export function tcpXmitProbe(sk: TcpSock): void {
  tcpTransmit(sk, (sk.sndUna - 1) | 0, 0, TCP_ACK);
}
