/** A listener's side of the handshake (tcp_conn_request, tcp_check_req, tcp_v4_syn_recv_sock). */
import { hash4 } from "../../util/hash.ts";
import { TCP_ACK, TCP_ECE, TCP_RST, TCP_SYN } from "../../wire/tcp.ts";
import { TcpOptions } from "../../wire/tcp-options.ts";
import { IpOptionsData } from "../core/ip-options.ts";
import type { NetNs } from "../core/net-ns.ts";
import type { Skb } from "../core/skb.ts";
import { ipOptionsEcho } from "./ip-options.ts";
import { sockOf, TCP_LISTEN, TCP_SYN_RECV } from "./sock.ts";
import { skDstCheck } from "./sock-route.ts";
import { tcpEcnChild, tcpEcnGrants } from "./tcp-ecn.ts";
import { inWindow, oowLimited, TcpReqSock } from "./tcp-minisocks.ts";
import { tcpOf } from "./tcp-net.ts";
import { replyToSegment, tcpSendReply } from "./tcp-reply.ts";
import { TCP_RTO_MAX_NS, TCP_TIMEOUT_INIT_NS } from "./tcp-rto.ts";
import type { TcpSegment } from "./tcp-segment.ts";
import { after, type TcpSock } from "./tcp-sock.ts";
import { tcpAllocSock } from "./tcp-timer.ts";
import {
  dstAdvmss,
  initialWindow,
  tcpDstMtu,
  tcpFullSpace,
  tcpInitializeRcvMss,
  tcpSelectInitialWindow,
  tcpSyncMss,
} from "./tcp-window.ts";

const synAckOptions = new TcpOptions();
/** A SYN that offers explicit congestion notification (RFC 3168 6.1.1). */

/** First sequence number of a connection: a keyed hash and a clock of 64 ns (secure_tcp_seq). */
export function secureTcpSeq(ns: NetNs, saddr: number, daddr: number, sport: number, dport: number): number {
  const hash = hash4(saddr, daddr, (sport << 16) | dport, 1, sockOf(ns).key);
  return (hash + (Math.floor(ns.kernel.sim.now / 64) | 0)) | 0;
}

/** Start of the timestamps between two addresses (secure_tcp_ts_off). */
export function secureTcpTsOff(ns: NetNs, saddr: number, daddr: number): number {
  return hash4(saddr, daddr, 0, 2, sockOf(ns).key);
}

/** A SYN for a listener: `isn` is given when it takes over from TIME-WAIT, else 0. The packet stays the caller's. */
export function tcpConnRequest(listener: TcpSock, skb: Skb, seg: TcpSegment, isn: number): void {
  const { ns } = listener;
  const net = tcpOf(ns);
  if (listener.requests >= Math.max(listener.backlog, 1) || listener.acceptQueue.length > listener.backlog) {
    net.listenOverflows++;
    return;
  }
  const req = new TcpReqSock(listener, reqTimer);
  req.rethinkTxHash();
  req.saddr = seg.daddr;
  req.rcvSaddr = seg.daddr;
  req.daddr = seg.saddr;
  req.sport = seg.dport;
  req.dport = seg.sport;
  req.boundDev = listener.boundDev;
  req.mark = listener.mark || (net.fwmarkAccept !== 0 ? skb.mark : 0);
  req.opt = tcpV4SaveOptions(ns, skb);
  const dst = skDstCheck(req);
  if (dst === null || (dst.gateway !== 0 && req.opt !== null && req.opt.isStrictroute)) return;
  const { options } = seg;
  req.rcvIsn = seg.seq;
  req.mss = options.mss > 0 ? options.mss : 536;
  if (listener.userMss > 0 && listener.userMss < req.mss) req.mss = listener.userMss;
  req.tstampOk = options.timestamps && net.timestamps !== 0;
  req.tsRecent = req.tstampOk ? options.tsVal : 0;
  req.sackOk = options.sackPermitted && net.sack !== 0;
  req.wscaleOk = options.wscale >= 0 && net.windowScaling !== 0;
  req.ecnOk = tcpEcnGrants(net.ecn, seg.flags, skb);
  req.sndWscale = req.wscaleOk ? options.wscale : 0;
  req.tsOffset = secureTcpTsOff(ns, req.saddr, req.daddr);
  req.sntIsn = isn !== 0 ? isn : secureTcpSeq(ns, req.saddr, req.daddr, req.sport, req.dport);
  req.advmss = dstAdvmss(ns, dst, req.daddr);
  if (listener.userMss > 0 && listener.userMss < req.advmss) req.advmss = listener.userMss;
  const windowMss = req.advmss - (req.tstampOk ? 12 : 0);
  tcpSelectInitialWindow(ns, tcpFullSpace(listener), windowMss, 0, req.wscaleOk);
  req.rcvWnd = initialWindow.rcvWnd;
  req.windowClamp = initialWindow.windowClamp;
  req.rcvWscale = initialWindow.wscale;
  listener.requests++;
  net.hash(req);
  req.sentAtNs = ns.kernel.sim.now;
  sendSynAck(req);
  req.timer.armAt(ns.kernel.timerNs(TCP_TIMEOUT_INIT_NS));
}

/** IP options of a connection: those that answer the SYN's (tcp_v4_save_options); null for most. */
function tcpV4SaveOptions(ns: NetNs, skb: Skb): IpOptionsData | null {
  if (skb.opt === null || skb.opt.optlen === 0) return null;
  const opt = new IpOptionsData();
  return ipOptionsEcho(ns, opt, skb, skb.opt) && opt.optlen !== 0 ? opt : null;
}

/** Sends the SYN-ACK of a request (tcp_v4_send_synack): no IP id, as no socket counts them. */
function sendSynAck(req: TcpReqSock): void {
  const options = synAckOptions;
  options.clear();
  options.mss = req.advmss;
  options.timestamps = req.tstampOk;
  options.tsVal = req.timestamp();
  options.tsEcr = req.tsRecent;
  options.sackPermitted = req.sackOk;
  options.wscale = req.wscaleOk ? req.rcvWscale : -1;
  const ack = (req.rcvIsn + 1) | 0;
  const window = Math.min(req.rcvWnd, 65535);
  const flags = TCP_SYN | TCP_ACK | (req.ecnOk ? TCP_ECE : 0);
  tcpSendReply(req.ns, req, req.sntIsn, ack, flags, window, options, req.listener);
}

/** No ACK came: the SYN-ACK again, or the request goes (reqsk_timer_handler). */
function reqTimer(req: TcpReqSock): void {
  const { kernel } = req.ns;
  if (req.listener.state !== TCP_LISTEN || req.retransmits >= tcpOf(req.ns).synackRetries) {
    reqDrop(req);
    return;
  }
  req.retransmits++;
  kernel.enter();
  rtxSynAck(req);
  kernel.leave();
}

/** The SYN-ACK once more, by another path if there are several, and the wait for its ACK begins anew (tcp_rtx_synack). */
function rtxSynAck(req: TcpReqSock): void {
  req.rethinkTxHash();
  sendSynAck(req);
  const timeout = Math.min(TCP_TIMEOUT_INIT_NS * 2 ** req.retransmits, TCP_RTO_MAX_NS);
  req.timer.armAt(req.ns.kernel.timerNs(timeout));
}

/** Forgets a request (inet_csk_reqsk_queue_drop). */
export function reqDrop(req: TcpReqSock): void {
  if (req.closed) return;
  req.closed = true;
  req.timer.cancel();
  req.listener.requests--;
  tcpOf(req.ns).unhash(req);
}

/** What {@link tcpCheckReq} found. */
export const REQ_DROP = 0;
export const REQ_RESET = 1;

/** A segment for a request: the new connection that it makes, or REQ_DROP, or REQ_RESET. The packet stays the caller's. */
export function tcpCheckReq(req: TcpReqSock, skb: Skb, seg: TcpSegment): TcpSock | 0 | 1 {
  const { options, flags } = seg;
  const saw = req.tstampOk && options.timestamps;
  const paws = saw && (flags & TCP_RST) === 0 && ((req.tsRecent - options.tsVal) | 0) > 1;
  if (seg.seq === req.rcvIsn && (flags & (TCP_SYN | TCP_ACK | TCP_RST)) === TCP_SYN && !paws) {
    if (!oowLimited(req, seg)) rtxSynAck(req);
    return REQ_DROP;
  }
  const rcvNxt = (req.rcvIsn + 1) | 0;
  if ((flags & TCP_ACK) !== 0 && seg.ack !== ((req.sntIsn + 1) | 0))
    return (flags & TCP_RST) !== 0 ? REQ_DROP : REQ_RESET;
  if (paws || !inWindow(seg.seq, seg.endSeq, rcvNxt, (rcvNxt + req.rcvWnd) | 0)) {
    if ((flags & TCP_RST) === 0 && !oowLimited(req, seg)) sendReqAck(req, skb);
    return REQ_DROP;
  }
  if (saw && !after(seg.seq, rcvNxt)) req.tsRecent = options.tsVal;
  if ((flags & TCP_RST) !== 0 || ((flags & TCP_SYN) !== 0 && seg.seq !== req.rcvIsn)) {
    reqDrop(req);
    return (flags & TCP_RST) !== 0 ? REQ_DROP : REQ_RESET;
  }
  if ((flags & TCP_ACK) === 0) return REQ_DROP;
  const { listener } = req;
  if (listener.acceptQueue.length > listener.backlog) {
    tcpOf(req.ns).listenOverflows++;
    if (tcpOf(req.ns).abortOnOverflow === 0) return REQ_DROP;
    reqDrop(req);
    return REQ_RESET;
  }
  return synRecvSock(req, seg);
}

/** An ACK on behalf of a request (tcp_v4_reqsk_send_ack). */
function sendReqAck(req: TcpReqSock, skb: Skb): void {
  const saved = req.opt;
  const answerable = replyToSegment(req.ns, skb, req);
  const options = synAckOptions;
  options.clear();
  options.timestamps = req.tstampOk;
  options.tsVal = req.timestamp();
  options.tsEcr = req.tsRecent;
  const window = req.rcvWnd >>> req.rcvWscale;
  const [seq, ack] = [(req.sntIsn + 1) | 0, (req.rcvIsn + 1) | 0];
  if (answerable) tcpSendReply(req.ns, req, seq, ack, TCP_ACK, window, options);
  req.opt = saved;
}

/** Makes the connection of a request whose ACK came, in state SYN-RECV (tcp_v4_syn_recv_sock, tcp_create_openreq_child). */
function synRecvSock(req: TcpReqSock, seg: TcpSegment): TcpSock {
  const { ns, listener } = req;
  const sk = tcpAllocSock(ns);
  sk.saddr = req.saddr;
  sk.rcvSaddr = req.saddr;
  sk.daddr = req.daddr;
  sk.sport = req.sport;
  sk.dport = req.dport;
  sk.boundDev = listener.boundDev;
  sk.reuseAddr = listener.reuseAddr;
  sk.reusePort = listener.reusePort;
  sk.portLocked = true;
  sk.mark = req.mark;
  sk.opt = req.opt;
  sk.ttl = listener.ttl;
  sk.pmtuDisc = listener.pmtuDisc;
  sk.tos = listener.tos;
  sk.noDelay = listener.noDelay;
  sk.keepAlive = listener.keepAlive;
  sk.txHash = req.txHash;
  sk.inetId = sockOf(ns).prng.below(65536);
  inheritNumbers(sk, req, seg);
  const dst = skDstCheck(sk);
  tcpSyncMss(sk, dst === null ? 576 : tcpDstMtu(sk, dst));
  tcpInitializeRcvMss(sk);
  sk.lrcvTimeNs = ns.kernel.sim.now;
  sk.request = req;
  reqDrop(req);
  sk.state = TCP_SYN_RECV;
  tcpOf(ns).hash(sk);
  sockOf(ns).hold(sk);
  return sk;
}

/** Sequence numbers, windows and options that were agreed on. */
function inheritNumbers(sk: TcpSock, req: TcpReqSock, seg: TcpSegment): void {
  const { listener } = req;
  sk.rcvBuf = listener.rcvBuf;
  sk.sndBuf = listener.sndBuf;
  sk.rcvNxt = (req.rcvIsn + 1) | 0;
  sk.rcvWup = sk.rcvNxt;
  sk.copiedSeq = sk.rcvNxt;
  sk.iss = req.sntIsn;
  const first = (req.sntIsn + 1) | 0;
  sk.sndUna = first;
  sk.sndNxt = first;
  sk.writeSeq = first;
  sk.pushedSeq = first;
  sk.sndSml = first;
  sk.queue.start(first);
  sk.rcvWnd = req.rcvWnd;
  sk.rcvSsthresh = req.rcvWnd;
  sk.windowClamp = req.windowClamp;
  sk.rcvWscale = req.rcvWscale;
  sk.sndWscale = req.sndWscale;
  sk.wscaleOk = req.wscaleOk;
  sk.sndWl1 = seg.seq;
  sk.sndWnd = seg.window << req.sndWscale;
  sk.maxWindow = sk.sndWnd;
  sk.tstampOk = req.tstampOk;
  sk.tsOffset = req.tsOffset;
  sk.headerLen = req.tstampOk ? 32 : 20;
  if (req.tstampOk) {
    sk.tsRecent = req.tsRecent;
    sk.tsRecentStampNs = req.ns.kernel.sim.now;
  }
  sk.sackOk = req.sackOk;
  tcpEcnChild(sk, req.ecnOk);
  sk.mssClamp = req.mss;
  sk.advmss = req.advmss;
}

/** The connection of a request is established: the listener hands it out. */
export function reqQueueAdd(listener: TcpSock, child: TcpSock): void {
  tcpOf(listener.ns).passiveOpens++;
  listener.acceptQueue.push(child);
  listener.wq.wake();
}
