/** Opening a connection: the answer to a SYN of ours (tcp_rcv_synsent_state_process in net/ipv4/tcp_input.c). */
import { TCP_ACK, TCP_RST, TCP_SYN } from "../../wire/tcp.ts";
import { DROP } from "../core/drop-reason.ts";
import type { Skb } from "../core/skb.ts";
import { TCP_ESTABLISHED, TCP_SYN_RECV } from "./sock.ts";
import { tcpAck } from "./tcp-ack.ts";
import { tcpEcnRcvSyn, tcpEcnRcvSynack } from "./tcp-ecn.ts";
import { tcpSendAck, tcpTransmit } from "./tcp-output.ts";
import type { TcpSegment } from "./tcp-segment.ts";
import { after, type TcpSock } from "./tcp-sock.ts";
import { tcpInitTransfer, tcpReset, tcpStoreTsRecent } from "./tcp-state.ts";
import { tcpInitializeRcvMss, tcpSyncMss } from "./tcp-window.ts";

/** Options of the peer's SYN. */
function takeSynOptions(sk: TcpSock, seg: TcpSegment): void {
  const { options } = seg;
  sk.mssClamp = options.mss > 0 ? options.mss : 536;
  if (sk.userMss > 0 && sk.userMss < sk.mssClamp) sk.mssClamp = sk.userMss;
  sk.sackOk = sk.sackOk && options.sackPermitted;
  if (options.wscale >= 0 && sk.wscaleOk) sk.sndWscale = options.wscale;
  else {
    sk.wscaleOk = false;
    sk.sndWscale = 0;
    sk.rcvWscale = 0;
    sk.windowClamp = Math.min(sk.windowClamp, 65535);
  }
  if (options.timestamps && sk.tstampOk) {
    sk.sawTstamp = true;
    sk.headerLen = 32;
    tcpStoreTsRecent(sk, seg);
  } else {
    sk.tstampOk = false;
    sk.sawTstamp = false;
    sk.headerLen = 20;
  }
}

/** A segment in SYN-SENT (tcp_rcv_synsent_state_process); result as that of `tcpRcvStateProcess`. */
export function tcpRcvSynSent(sk: TcpSock, skb: Skb, seg: TcpSegment): boolean {
  sk.sawTstamp = seg.options.timestamps;
  sk.rcvTsEcr = seg.options.timestamps ? seg.options.tsEcr : 0;
  if ((seg.flags & TCP_ACK) !== 0) {
    if (!after(seg.ack, sk.sndUna) || after(seg.ack, sk.sndNxt))
      return (seg.flags & TCP_RST) === 0 || discard(skb);
    if ((seg.flags & TCP_RST) !== 0) {
      skb.drop(DROP.TCP_RESET);
      tcpReset(sk);
      return false;
    }
    if ((seg.flags & TCP_SYN) === 0) return discard(skb);
    finishConnect(sk, seg);
    skb.consume();
    tcpSendAck(sk);
    return false;
  }
  if ((seg.flags & TCP_RST) !== 0 || (seg.flags & TCP_SYN) === 0) return discard(skb);
  simultaneousOpen(sk, seg);
  skb.consume();
  return false;
}

function discard(skb: Skb): false {
  skb.drop(DROP.TCP_INVALID);
  return false;
}

/** SYN-ACK of the peer: the connection is established (tcp_finish_connect). */
function finishConnect(sk: TcpSock, seg: TcpSegment): void {
  sk.sndWl1 = seg.seq;
  tcpEcnRcvSynack(sk, seg.flags);
  takeSynOptions(sk, seg);
  tcpAck(sk, seg.ack, seg.seq, seg.window, true, null);
  sk.rcvNxt = (seg.seq + 1) | 0;
  sk.rcvWup = sk.rcvNxt;
  sk.sndWnd = seg.window;
  sk.maxWindow = Math.max(sk.maxWindow, seg.window);
  if (sk.tstampOk) sk.advmss -= 12;
  tcpSyncMss(sk, sk.pmtuCookie);
  tcpInitializeRcvMss(sk);
  sk.copiedSeq = sk.rcvNxt;
  sk.state = TCP_ESTABLISHED;
  sk.lrcvTimeNs = sk.ns.kernel.sim.now;
  tcpInitTransfer(sk);
  sk.lsndTimeNs = sk.ns.kernel.sim.now;
  sk.wq.wake();
}

/** Both sides sent SYN at once (RFC 9293 figure 8). */
function simultaneousOpen(sk: TcpSock, seg: TcpSegment): void {
  sk.state = TCP_SYN_RECV;
  tcpEcnRcvSyn(sk, seg.flags);
  takeSynOptions(sk, seg);
  sk.rcvNxt = (seg.seq + 1) | 0;
  sk.copiedSeq = sk.rcvNxt;
  sk.rcvWup = sk.rcvNxt;
  sk.sndWnd = seg.window;
  sk.sndWl1 = seg.seq;
  sk.maxWindow = seg.window;
  tcpSyncMss(sk, sk.pmtuCookie);
  tcpInitializeRcvMss(sk);
  const { queue } = sk;
  queue.flags[queue.head & queue.mask] |= TCP_ACK;
  tcpTransmit(sk, sk.iss, 0, TCP_SYN | TCP_ACK);
}
