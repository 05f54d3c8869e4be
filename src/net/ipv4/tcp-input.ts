/** Segments of a connection that exists (tcp_rcv_established, tcp_rcv_state_process in net/ipv4/tcp_input.c). */
import { TCP_ACK, TCP_FIN, TCP_PSH, TCP_RST, TCP_SYN } from "../../wire/tcp.ts";
import { DROP } from "../core/drop-reason.ts";
import type { Skb } from "../core/skb.ts";
import {
  TCP_CLOSE,
  TCP_CLOSE_WAIT,
  TCP_CLOSING,
  TCP_ESTABLISHED,
  TCP_FIN_WAIT1,
  TCP_FIN_WAIT2,
  TCP_LAST_ACK,
  TCP_SYN_RECV,
  TCP_SYN_SENT,
  TCP_TIME_WAIT,
} from "./sock.ts";
import { TCP_ACK_TOO_OLD, tcpAck } from "./tcp-ack.ts";
import { oowLimited, TCP_TIMEWAIT_NS, tcpTimeWait } from "./tcp-minisocks.ts";
import { tcpOf } from "./tcp-net.ts";
import { tcpSendAck } from "./tcp-output.ts";
import {
  tcpAckSndCheck,
  tcpDataQueue,
  tcpEnterQuickack,
  tcpPruneOfo,
  tcpRcvRttMeasureTs,
} from "./tcp-receive.ts";
import { tcpRttEstimator } from "./tcp-rto.ts";
import type { TcpSegment } from "./tcp-segment.ts";
import { ACK_SCHED, after, before, RCV_SHUTDOWN, SEND_SHUTDOWN, type TcpSock } from "./tcp-sock.ts";
import { tcpDone, tcpInitTransfer, tcpReset, tcpSndbufExpand, tcpStoreTsRecent } from "./tcp-state.ts";
import { tcpRcvSynSent } from "./tcp-synsent.ts";
import { tcpInitializeRcvMss } from "./tcp-window.ts";
import { tcpDataSndCheck } from "./tcp-xmit.ts";

const PAWS_24_DAYS_NS = 24 * 86_400 * 1_000_000_000;

/** The segment's echo, in the clock of this connection. */
function takeTimestamps(sk: TcpSock, seg: TcpSegment): void {
  sk.sawTstamp = seg.options.timestamps && sk.tstampOk;
  sk.rcvTsEcr = sk.sawTstamp ? seg.options.tsEcr : 0;
}

/** Keeps the timestamp of the segment that the next ACK will echo (tcp_replace_ts_recent). */
function replaceTsRecent(sk: TcpSock, seg: TcpSegment): void {
  if (sk.sawTstamp && !after(seg.seq, sk.rcvWup) && ((sk.tsRecent - seg.options.tsVal) | 0) <= 0)
    tcpStoreTsRecent(sk, seg);
}

/** An old duplicate by its timestamp (tcp_paws_discard). */
function pawsDiscard(sk: TcpSock, seg: TcpSegment): boolean {
  if (!sk.sawTstamp || sk.tsRecentStampNs < 0 || sk.tsRecent === 0) return false;
  if (((sk.tsRecent - seg.options.tsVal) | 0) <= 1) return false;
  if (sk.ns.kernel.sim.now - sk.tsRecentStampNs >= PAWS_24_DAYS_NS) return false;
  const window = seg.window << sk.sndWscale;
  const disordered =
    (seg.flags & TCP_ACK) !== 0 &&
    seg.seq === sk.rcvNxt &&
    seg.seq === seg.endSeq &&
    seg.ack === sk.sndUna &&
    !(after(seg.seq, sk.sndWl1) || (seg.seq === sk.sndWl1 && window > sk.sndWnd)) &&
    ((sk.tsRecent - seg.options.tsVal) | 0) <= sk.rtoNs / 1_000_000;
  return !disordered;
}

function sendDupack(sk: TcpSock, seg: TcpSegment): void {
  if (seg.endSeq !== seg.seq && before(seg.seq, sk.rcvNxt)) {
    tcpEnterQuickack(sk);
    if (sk.sackOk && tcpOf(sk.ns).dsack !== 0) {
      sk.dsack = true;
      sk.dsackLeft = seg.seq;
      sk.dsackRight = after(seg.endSeq, sk.rcvNxt) ? sk.rcvNxt : seg.endSeq;
    }
  }
  tcpSendAck(sk);
}

/** An ACK that asks the peer to prove itself (RFC 5961), at most one in half a second. */
function sendChallengeAck(sk: TcpSock): void {
  const { now } = sk.ns.kernel.sim;
  if (now - sk.lastOowAckNs < 500_000_000) return;
  sk.lastOowAckNs = now;
  tcpSendAck(sk);
}

/** RST at the number before the next, as some stacks send it after a FIN (tcp_reset_check). */
function resetCheck(sk: TcpSock, seg: TcpSegment): boolean {
  return (
    seg.seq === ((sk.rcvNxt - 1) | 0) &&
    (sk.state === TCP_CLOSE_WAIT || sk.state === TCP_LAST_ACK || sk.state === TCP_CLOSING)
  );
}

/** Whether the segment may be taken (tcp_validate_incoming); answers it when not. */
function validateIncoming(sk: TcpSock, seg: TcpSegment): boolean {
  const reset = (seg.flags & TCP_RST) !== 0;
  const syn = (seg.flags & TCP_SYN) !== 0;
  if (pawsDiscard(sk, seg) && !reset) {
    if (syn) sendChallengeAck(sk);
    else if (!oowLimited(sk, seg)) sendDupack(sk, seg);
    return false;
  }
  if (before(seg.endSeq, sk.rcvWup) || after(seg.seq, (sk.rcvNxt + sk.receiveWindow()) | 0)) {
    if (!reset) {
      if (syn) sendChallengeAck(sk);
      else if (!oowLimited(sk, seg)) sendDupack(sk, seg);
    } else if (resetCheck(sk, seg)) tcpReset(sk);
    return false;
  }
  if (reset) {
    if (seg.seq === sk.rcvNxt || resetCheck(sk, seg)) tcpReset(sk);
    else sendChallengeAck(sk);
    return false;
  }
  if (syn) {
    sendChallengeAck(sk);
    return false;
  }
  return true;
}

/** The peer ended its direction (tcp_fin). */
function tcpFin(sk: TcpSock): void {
  sk.ackPending |= ACK_SCHED;
  sk.shutdown |= RCV_SHUTDOWN;
  if (sk.state === TCP_ESTABLISHED || sk.state === TCP_SYN_RECV) {
    sk.state = TCP_CLOSE_WAIT;
    sk.pingpong = true;
  } else if (sk.state === TCP_FIN_WAIT1) {
    tcpSendAck(sk);
    sk.state = TCP_CLOSING;
  } else if (sk.state === TCP_FIN_WAIT2) {
    tcpSendAck(sk);
    endInTimeWait(sk);
  }
  tcpPruneOfo(sk);
  sk.wq.wake();
}

function endInTimeWait(sk: TcpSock): void {
  tcpTimeWait(sk, TCP_TIME_WAIT, 0);
  tcpDone(sk);
}

/** ACK, window and options of a valid segment; false when its ACK is not acceptable. */
function takeAck(sk: TcpSock, seg: TcpSegment): number {
  replaceTsRecent(sk, seg);
  return tcpAck(
    sk,
    seg.ack,
    seg.seq,
    seg.window << sk.sndWscale,
    seg.seq !== seg.endSeq,
    seg.options,
    seg.flags,
  );
}

/** New room for a writer that waits (tcp_check_space, sk_stream_write_space). */
function checkSpace(sk: TcpSock): void {
  if (!sk.noSpace) return;
  if (!sk.sndBufLocked && sk.packetsInFlight() < sk.sndCwnd) tcpSndbufExpand(sk);
  const used = sk.queue.memory(sk.sndUna, sk.writeSeq);
  if (sk.sndBuf - used < used >> 1) return;
  sk.noSpace = false;
  sk.wq.wake();
}

/** A segment in the state ESTABLISHED. Takes the packet; `data` at the TCP header. */
export function tcpRcvEstablished(sk: TcpSock, skb: Skb, seg: TcpSegment): void {
  takeTimestamps(sk, seg);
  const plain = (seg.flags & ~TCP_PSH) === TCP_ACK && seg.seq === sk.rcvNxt && !after(seg.ack, sk.sndNxt);
  const fast = plain && sk.rcvWnd !== 0 && !(sk.sawTstamp && ((seg.options.tsVal - sk.tsRecent) | 0) < 0);
  if (!fast) {
    if ((seg.flags & (TCP_ACK | TCP_RST | TCP_SYN)) === 0 || !validateIncoming(sk, seg)) {
      skb.drop(DROP.TCP_INVALID);
      return;
    }
  }
  const taken = takeAck(sk, seg);
  if (taken < 0) {
    if (taken === TCP_ACK_TOO_OLD) sendChallengeAck(sk);
    skb.drop(DROP.TCP_INVALID);
    return;
  }
  if (seg.seq === seg.endSeq) {
    skb.consume();
    tcpDataSndCheck(sk);
    checkSpace(sk);
    return;
  }
  tcpRcvRttMeasureTs(sk, seg);
  skb.pull(seg.headerLen);
  tcpDataQueue(sk, skb, seg, tcpFin);
  finishReceive(sk);
}

/** Sends what the ACK allowed, and the ACK for what came. */
function finishReceive(sk: TcpSock): void {
  if (sk.state === TCP_CLOSE) return;
  tcpDataSndCheck(sk);
  checkSpace(sk);
  tcpAckSndCheck(sk, true);
}

/** Our FIN is acknowledged: the state goes on; true when the segment is done with. */
function finAcked(sk: TcpSock, seg: TcpSegment): boolean {
  if (sk.sndUna !== sk.writeSeq) return false;
  if (sk.state === TCP_CLOSING) {
    endInTimeWait(sk);
    return true;
  }
  if (sk.state === TCP_LAST_ACK) {
    tcpDone(sk);
    return true;
  }
  if (sk.state !== TCP_FIN_WAIT1) return false;
  sk.state = TCP_FIN_WAIT2;
  sk.shutdown |= SEND_SHUTDOWN;
  sk.wq.wake();
  if (!sk.orphan) return false;
  const fin = (seg.flags & TCP_FIN) !== 0;
  if (seg.endSeq !== seg.seq && after((seg.endSeq - (fin ? 1 : 0)) | 0, sk.rcvNxt)) return false;
  const timeout = tcpOf(sk.ns).finTimeoutSec * 1e9;
  if (timeout > TCP_TIMEWAIT_NS) sk.keepTimer.armAt(sk.ns.kernel.timerNs(timeout - TCP_TIMEWAIT_NS));
  else if (fin) sk.keepTimer.armAt(sk.ns.kernel.timerNs(timeout));
  else {
    tcpTimeWait(sk, TCP_FIN_WAIT2, timeout);
    tcpDone(sk);
    return true;
  }
  return false;
}

/** The ACK that ends the handshake at the accepting side. */
function synRecvEstablished(sk: TcpSock, seg: TcpSegment): void {
  const req = sk.request;
  sk.delivered++;
  if (sk.srttUs === 0 && req !== null && req.retransmits === 0)
    tcpRttEstimator(sk, Math.max(1, Math.floor((sk.ns.kernel.sim.now - req.sentAtNs) / 1000)));
  if (req !== null && req.retransmits === 0) {
    sk.minRttUs = Math.max(1, Math.floor((sk.ns.kernel.sim.now - req.sentAtNs) / 1000));
    sk.minRttStampNs = sk.ns.kernel.sim.now;
  }
  sk.request = null;
  sk.retransStampMs = 0;
  sk.copiedSeq = sk.rcvNxt;
  tcpInitTransfer(sk);
  sk.state = TCP_ESTABLISHED;
  sk.sndUna = seg.ack;
  sk.sndWnd = seg.window << sk.sndWscale;
  sk.sndWl1 = seg.seq;
  if (sk.sndWnd > sk.maxWindow) sk.maxWindow = sk.sndWnd;
  if (sk.tstampOk) sk.advmss -= 12;
  sk.lsndTimeNs = sk.ns.kernel.sim.now;
  tcpInitializeRcvMss(sk);
  sk.wq.wake();
}

/**
 * A segment in any other state than LISTEN, ESTABLISHED and TIME-WAIT (tcp_rcv_state_process). Takes the packet; true when
 * the sender must get a RST, and then the packet stays the caller's.
 */
export function tcpRcvStateProcess(sk: TcpSock, skb: Skb, seg: TcpSegment): boolean {
  if (sk.state === TCP_CLOSE) {
    skb.drop(DROP.TCP_CLOSED);
    return false;
  }
  if (sk.state === TCP_SYN_SENT) return tcpRcvSynSent(sk, skb, seg);
  takeTimestamps(sk, seg);
  if ((seg.flags & (TCP_ACK | TCP_RST | TCP_SYN)) === 0 || !validateIncoming(sk, seg)) {
    skb.drop(DROP.TCP_INVALID);
    return false;
  }
  if ((seg.flags & TCP_ACK) === 0) {
    skb.drop(DROP.TCP_INVALID);
    return false;
  }
  if (takeAck(sk, seg) <= 0 && !(sk.state === TCP_SYN_RECV && seg.ack === sk.sndNxt)) {
    if (sk.state === TCP_SYN_RECV) return true;
    sendChallengeAck(sk);
    skb.drop(DROP.TCP_INVALID);
    return false;
  }
  if (sk.state === TCP_SYN_RECV) synRecvEstablished(sk, seg);
  else if (finAcked(sk, seg)) {
    skb.consume();
    return false;
  }
  return segmentText(sk, skb, seg);
}

/** The data of a segment, by state; true when a RST is due. */
function segmentText(sk: TcpSock, skb: Skb, seg: TcpSegment): boolean {
  const closing = sk.state === TCP_CLOSE_WAIT || sk.state === TCP_CLOSING || sk.state === TCP_LAST_ACK;
  if (closing && !before(seg.seq, sk.rcvNxt)) {
    skb.consume();
    finishReceive(sk);
    return false;
  }
  const fin = (seg.flags & TCP_FIN) !== 0 ? 1 : 0;
  if (sk.state !== TCP_ESTABLISHED && (sk.shutdown & RCV_SHUTDOWN) !== 0)
    if (seg.endSeq !== seg.seq && after((seg.endSeq - fin) | 0, sk.rcvNxt)) {
      tcpReset(sk);
      return true;
    }
  skb.pull(seg.headerLen);
  tcpDataQueue(sk, skb, seg, tcpFin);
  finishReceive(sk);
  return false;
}
