/** TCP over IPv4: finding the socket of a segment, ICMP errors (net/ipv4/tcp_ipv4.c). */
import {
  ICMP_DEST_UNREACH,
  ICMP_FRAG_NEEDED,
  ICMP_PARAMETERPROB,
  ICMP_REDIRECT,
  ICMP_TIME_EXCEEDED,
} from "../../wire/icmp.ts";
import { ipDaddr, ipHeaderLen, ipSaddr } from "../../wire/ipv4.ts";
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from "../../wire/tcp.ts";
import { TcpOptions } from "../../wire/tcp-options.ts";
import { DROP } from "../core/drop-reason.ts";
import { RTN_LOCAL } from "../core/dst.ts";
import type { NetNs } from "../core/net-ns.ts";
import { PACKET_HOST, PACKET_LOOPBACK, type Skb } from "../core/skb.ts";
import { skbChecksumOk } from "../core/skb-checksum.ts";
import { TRACE_LOCAL } from "../core/trace.ts";
import type { NetProtocol } from "./ipv4-net.ts";
import { updatePmtu } from "./route-exception.ts";
import { ipDoRedirect } from "./route-redirect.ts";
import {
  ICMP_ERR_ERRNO,
  type Sock,
  TCP_ESTABLISHED,
  TCP_LISTEN,
  TCP_NEW_SYN_RECV,
  TCP_SYN_RECV,
  TCP_SYN_SENT,
  TCP_TIME_WAIT,
} from "./sock.ts";
import { skDstCheck } from "./sock-route.ts";
import { tcpRcvEstablished, tcpRcvStateProcess } from "./tcp-input.ts";
import {
  TCP_TW_ACK,
  TCP_TW_RST,
  TCP_TW_SYN,
  type TcpReqSock,
  type TcpTimewaitSock,
  tcpTimewaitProcess,
} from "./tcp-minisocks.ts";
import { tcpOf } from "./tcp-net.ts";
import { tcpSimpleRetransmit } from "./tcp-pmtu.ts";
import { replyToSegment, tcpSendReply, tcpSendReset } from "./tcp-reply.ts";
import { REQ_DROP, REQ_RESET, reqDrop, reqQueueAdd, tcpCheckReq, tcpConnRequest } from "./tcp-request.ts";
import { segment, type TcpSegment } from "./tcp-segment.ts";
import { before, type TcpSock } from "./tcp-sock.ts";
import { tcpFail } from "./tcp-state.ts";
import { tcpDstMtu, tcpSyncMss } from "./tcp-window.ts";

const ackOptions = new TcpOptions();

/** A TCP segment for this machine: `data` at its header. Takes the packet. */
function tcpV4Rcv(ns: NetNs, skb: Skb): void {
  const net = tcpOf(ns);
  const off = skb.data;
  skb.transOff = off;
  net.inSegs++;
  const len = skb.tail - off;
  const headerLen = len >= 20 ? (skb.view.getUint8(off + 12) >>> 4) << 2 : 0;
  if (headerLen < 20 || headerLen > len || (skb.pktType !== PACKET_HOST && skb.pktType !== PACKET_LOOPBACK)) {
    skb.drop(DROP.PKT_TOO_SMALL);
    return;
  }
  if (!skbChecksumOk(skb, skb.netOff, off, len)) {
    net.inErrs++;
    skb.drop(DROP.BAD_CSUM);
    return;
  }
  const seg = segment;
  seg.parse(skb);
  const sk =
    net.lookupEstablished(seg.saddr, seg.sport, seg.daddr, seg.dport) ??
    net.lookupListener(seg.daddr, seg.dport, skb.dev);
  if (sk === null) {
    tcpSendReset(ns, skb, seg);
    skb.drop(DROP.NO_SOCKET);
    return;
  }
  if (skb.trace !== null) skb.trace.add(TRACE_LOCAL, 0, 0, sk);
  if (sk.owned) (sk as TcpSock).backlogQueue.push(skb);
  else if (sk.state === TCP_ESTABLISHED) tcpRcvEstablished(sk as TcpSock, skb, seg);
  else rcvOther(ns, sk, skb, seg);
}

/** A segment that waited for a system call to end. Takes the packet. */
export function tcpV4BacklogRcv(sk: TcpSock, skb: Skb): void {
  segment.parse(skb);
  if (sk.state === TCP_ESTABLISHED) tcpRcvEstablished(sk, skb, segment);
  else rcvOther(sk.ns, sk, skb, segment);
}

/** A segment for a socket that is not established. */
function rcvOther(ns: NetNs, sk: Sock, skb: Skb, seg: TcpSegment): void {
  if (sk.state === TCP_LISTEN) rcvListen(sk as TcpSock, skb, seg, 0);
  else if (sk.state === TCP_TIME_WAIT) rcvTimewait(ns, sk as TcpTimewaitSock, skb, seg);
  else if (sk.state === TCP_NEW_SYN_RECV) rcvRequest(ns, sk as TcpReqSock, skb, seg);
  else if (tcpRcvStateProcess(sk as TcpSock, skb, seg)) {
    tcpSendReset(ns, skb, seg);
    skb.drop(DROP.TCP_INVALID);
  }
}

function rcvListen(sk: TcpSock, skb: Skb, seg: TcpSegment, isn: number): void {
  if ((seg.flags & TCP_ACK) !== 0) tcpSendReset(sk.ns, skb, seg);
  else if (
    (seg.flags & (TCP_SYN | TCP_RST | TCP_FIN)) === TCP_SYN &&
    skb.dst !== null &&
    skb.dst.type === RTN_LOCAL
  ) {
    tcpConnRequest(sk, skb, seg, isn);
    skb.consume();
    return;
  }
  skb.drop(DROP.TCP_INVALID);
}

function rcvRequest(ns: NetNs, req: TcpReqSock, skb: Skb, seg: TcpSegment): void {
  const { listener } = req;
  if (listener.state !== TCP_LISTEN) {
    reqDrop(req);
    tcpSendReset(ns, skb, seg);
    skb.drop(DROP.NO_SOCKET);
    return;
  }
  const child = tcpCheckReq(req, skb, seg);
  if (child === REQ_DROP || child === REQ_RESET) {
    if (child === REQ_RESET) tcpSendReset(ns, skb, seg);
    skb.drop(DROP.TCP_INVALID);
    return;
  }
  const reset = tcpRcvStateProcess(child, skb, seg);
  if (child.state !== TCP_SYN_RECV) reqQueueAdd(listener, child);
  if (!reset) return;
  tcpSendReset(ns, skb, seg);
  skb.drop(DROP.TCP_INVALID);
}

function rcvTimewait(ns: NetNs, tw: TcpTimewaitSock, skb: Skb, seg: TcpSegment): void {
  const what = tcpTimewaitProcess(tw, seg);
  if (what === TCP_TW_SYN) {
    const listener = tcpOf(ns).lookupListener(seg.daddr, seg.dport, skb.dev);
    if (listener !== null) {
      tw.kill();
      rcvListen(listener, skb, seg, (tw.sndNxt + 65537) | 0 || 1);
      return;
    }
  }
  if (what === TCP_TW_ACK || what === TCP_TW_SYN) {
    ackOptions.clear();
    ackOptions.timestamps = tw.tsRecentStampNs >= 0;
    ackOptions.tsVal = tw.timestamp();
    ackOptions.tsEcr = tw.tsRecent;
    if (replyToSegment(ns, skb, tw))
      tcpSendReply(ns, tw, tw.sndNxt, tw.rcvNxt, TCP_ACK, tw.rcvWnd >>> tw.rcvWscale, ackOptions);
  } else if (what === TCP_TW_RST) {
    tcpSendReset(ns, skb, seg);
    tw.kill();
  }
  skb.consume();
}

/** An ICMP error about a segment that was sent from here: `data` at the quoted IP header (tcp_v4_err). */
function tcpV4Err(ns: NetNs, skb: Skb, type: number, code: number, info: number): void {
  const { view } = skb;
  const ip = skb.data;
  const off = ip + ipHeaderLen(view, ip);
  const sk = tcpOf(ns).lookupEstablished(
    ipDaddr(view, ip),
    view.getUint16(off + 2),
    ipSaddr(view, ip),
    view.getUint16(off),
  );
  if (sk === null || sk.state === TCP_TIME_WAIT) return;
  const seq = view.getInt32(off + 4);
  if (sk.state === TCP_NEW_SYN_RECV) {
    const req = sk as TcpReqSock;
    if (seq === req.sntIsn && type === ICMP_DEST_UNREACH && code !== ICMP_FRAG_NEEDED) reqDrop(req);
    return;
  }
  const tcp = sk as TcpSock;
  if (before(seq, tcp.sndUna) || before(tcp.sndNxt, seq)) return;
  if (type === ICMP_DEST_UNREACH && code === ICMP_FRAG_NEEDED) {
    if (tcp.state !== TCP_LISTEN) mtuReduced(tcp, info);
    return;
  }
  if (type === ICMP_REDIRECT) {
    const dst = skDstCheck(tcp);
    if (dst !== null) ipDoRedirect(ns, skb, dst, code, info);
    return;
  }
  let err = ICMP_ERR_ERRNO[code] ?? "EHOSTUNREACH";
  if (type === ICMP_PARAMETERPROB) err = "EIO";
  else if (type === ICMP_TIME_EXCEEDED) err = "EHOSTUNREACH";
  else if (type !== ICMP_DEST_UNREACH) return;
  if (tcp.state === TCP_SYN_SENT || tcp.state === TCP_SYN_RECV) tcpFail(tcp, err);
}

/** The path takes less than we send: smaller segments, and those in flight again (tcp_v4_mtu_reduced). */
function mtuReduced(sk: TcpSock, told: number): void {
  const found = skDstCheck(sk);
  if (found === null) return;
  updatePmtu(sk.ns, found, sk.daddr, told);
  const dst = skDstCheck(sk);
  if (dst === null) return;
  const mtu = tcpDstMtu(sk, dst);
  if (mtu >= sk.pmtuCookie) return;
  tcpSimpleRetransmit(sk, tcpSyncMss(sk, mtu));
}

/** TCP as the IP layer calls it. */
export function tcpProtocol(ns: NetNs): NetProtocol {
  return {
    rcv: (skb) => tcpV4Rcv(ns, skb),
    err: (skb, type, code, info) => tcpV4Err(ns, skb, type, code, info),
  };
}
