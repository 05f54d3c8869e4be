/** Sockets that are not whole: a handshake that is going on, and TIME-WAIT (net/ipv4/tcp_minisocks.c). */
import { Timer } from "../../sim/timer.ts";
import { IPPROTO_TCP } from "../../wire/ipv4.ts";
import { TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN } from "../../wire/tcp.ts";
import type { NetNs } from "../core/net-ns.ts";
import { Sock, sockOf, TCP_FIN_WAIT2, TCP_NEW_SYN_RECV, TCP_TIME_WAIT, type TcpState } from "./sock.ts";
import { tcpOf } from "./tcp-net.ts";
import type { TcpSegment } from "./tcp-segment.ts";
import { after, before, type TcpSock } from "./tcp-sock.ts";

export const TCP_TIMEWAIT_NS = 60_000_000_000;
export const INVALID_RATE_NS = 500_000_000;

/** A connection request: what a listener knows between SYN and ACK (tcp_request_sock). */
export class TcpReqSock extends Sock {
  readonly listener: TcpSock;
  rcvIsn = 0;
  sntIsn = 0;
  /** The peer's MSS option. */
  mss = 536;
  advmss = 0;
  tstampOk = false;
  tsRecent = 0;
  tsOffset = 0;
  sackOk = false;
  wscaleOk = false;
  /** The peer asked for explicit congestion notification, and the SYN-ACK grants it (tcp_ecn = 2). */
  ecnOk = false;
  sndWscale = 0;
  rcvWscale = 0;
  rcvWnd = 0;
  windowClamp = 0;
  /** SYN-ACKs sent again. */
  retransmits = 0;
  sentAtNs = 0;
  lastOowAckNs = -1e18;
  reflectedMark = 0;
  readonly timer: Timer;

  constructor(listener: TcpSock, onTimer: (req: TcpReqSock) => void) {
    super(listener.ns, IPPROTO_TCP);
    this.listener = listener;
    this.state = TCP_NEW_SYN_RECV;
    this.timer = new Timer(listener.ns.kernel.sim, () => onTimer(this));
  }

  /** Timestamp that its segments carry. */
  timestamp(): number {
    return (Math.floor(this.ns.kernel.sim.now / 1_000_000) + this.tsOffset) | 0;
  }
}

/** What is left of a connection for 60 seconds; FIN_WAIT2 of a closed socket waits here too. */
export class TcpTimewaitSock extends Sock {
  substate: TcpState = TCP_TIME_WAIT;
  rcvNxt = 0;
  sndNxt = 0;
  rcvWnd = 0;
  rcvWscale = 0;
  tsRecent = 0;
  tsRecentStampNs = -1;
  tsOffset = 0;
  lastOowAckNs = -1e18;
  reflectedMark = 0;
  readonly timer: Timer;

  constructor(ns: NetNs) {
    super(ns, IPPROTO_TCP);
    this.state = TCP_TIME_WAIT;
    this.timer = new Timer(ns.kernel.sim, () => this.kill());
  }

  timestamp(): number {
    return (Math.floor(this.ns.kernel.sim.now / 1_000_000) + this.tsOffset) | 0;
  }

  /** Ends it (inet_twsk_kill). */
  kill(): void {
    if (this.closed) return;
    this.closed = true;
    this.timer.cancel();
    tcpOf(this.ns).unhash(this);
    sockOf(this.ns).release(this);
  }
}

/** Puts a TIME-WAIT (or closed FIN_WAIT2) socket in the place of a connection, which the caller then ends (tcp_time_wait). */
export function tcpTimeWait(sk: TcpSock, substate: TcpState, timeoutNs: number): void {
  const tw = new TcpTimewaitSock(sk.ns);
  tw.substate = substate;
  tw.saddr = sk.saddr;
  tw.daddr = sk.daddr;
  tw.sport = sk.sport;
  tw.dport = sk.dport;
  tw.rcvSaddr = sk.rcvSaddr;
  tw.boundDev = sk.boundDev;
  tw.mark = sk.mark;
  tw.reuseAddr = sk.reuseAddr;
  tw.portLocked = sk.portLocked;
  tw.rcvNxt = sk.rcvNxt;
  tw.sndNxt = sk.sndNxt;
  tw.rcvWnd = sk.receiveWindow();
  tw.rcvWscale = sk.rcvWscale;
  tw.tsRecent = sk.tsRecent;
  tw.tsRecentStampNs = sk.tsRecentStampNs;
  tw.tsOffset = sk.tsOffset;
  const net = tcpOf(sk.ns);
  net.unhash(sk);
  net.hash(tw);
  sockOf(sk.ns).hold(tw);
  const least = sk.rtoNs * 3.5;
  armTimewait(tw, substate === TCP_TIME_WAIT ? TCP_TIMEWAIT_NS : Math.max(timeoutNs, least));
}

function armTimewait(tw: TcpTimewaitSock, delayNs: number): void {
  tw.timer.armAt(tw.ns.kernel.timerNs(delayNs));
}

/** What to do with a segment for a TIME-WAIT socket. */
export const TCP_TW_SUCCESS = 0;
export const TCP_TW_RST = 1;
export const TCP_TW_ACK = 2;
export const TCP_TW_SYN = 3;

/** At most one answer in half a second to segments that carry nothing (tcp_oow_rate_limited). */
export function oowLimited(sk: { ns: NetNs; lastOowAckNs: number }, seg: TcpSegment): boolean {
  if (seg.seq !== seg.endSeq && (seg.flags & TCP_SYN) === 0) return false;
  const { now } = sk.ns.kernel.sim;
  if (now - sk.lastOowAckNs < INVALID_RATE_NS) return true;
  sk.lastOowAckNs = now;
  return false;
}

export function inWindow(seq: number, end: number, left: number, right: number): boolean {
  if (seq === left) return true;
  if (after(end, left) && before(seq, right)) return true;
  return seq === right && seq === end;
}

/** A segment for a closed connection that waits for the peer's FIN. */
function finWait2(tw: TcpTimewaitSock, seg: TcpSegment, pawsReject: boolean): number {
  if (pawsReject || !inWindow(seg.seq, seg.endSeq, tw.rcvNxt, (tw.rcvNxt + tw.rcvWnd) | 0))
    return oowLimited(tw, seg) ? TCP_TW_SUCCESS : TCP_TW_ACK;
  if ((seg.flags & TCP_RST) !== 0) {
    tw.kill();
    return TCP_TW_SUCCESS;
  }
  if ((seg.flags & TCP_SYN) !== 0 && !before(seg.seq, tw.rcvNxt)) return TCP_TW_RST;
  if ((seg.flags & TCP_ACK) === 0 || !after(seg.endSeq, tw.rcvNxt) || seg.endSeq === seg.seq)
    return TCP_TW_SUCCESS;
  if ((seg.flags & TCP_FIN) === 0 || seg.endSeq !== ((tw.rcvNxt + 1) | 0)) return TCP_TW_RST;
  tw.substate = TCP_TIME_WAIT;
  tw.rcvNxt = seg.endSeq;
  if (seg.options.timestamps) tw.tsRecent = seg.options.tsVal;
  armTimewait(tw, TCP_TIMEWAIT_NS);
  return TCP_TW_ACK;
}

/** A segment for a TIME-WAIT socket (tcp_timewait_state_process): TCP_TW_*. */
export function tcpTimewaitProcess(tw: TcpTimewaitSock, seg: TcpSegment): number {
  const saw = seg.options.timestamps && tw.tsRecentStampNs >= 0;
  const old = saw && ((tw.tsRecent - seg.options.tsVal) | 0) > 1;
  const reset = (seg.flags & TCP_RST) !== 0;
  const pawsReject = old && !reset;
  if (tw.substate === TCP_FIN_WAIT2) return finWait2(tw, seg, pawsReject);
  if (!pawsReject && seg.seq === tw.rcvNxt && (seg.seq === seg.endSeq || reset)) {
    if (reset) tw.kill();
    else armTimewait(tw, TCP_TIMEWAIT_NS);
    return TCP_TW_SUCCESS;
  }
  const plainSyn = (seg.flags & (TCP_SYN | TCP_RST | TCP_ACK)) === TCP_SYN;
  const newer = after(seg.seq, tw.rcvNxt) || (saw && ((tw.tsRecent - seg.options.tsVal) | 0) < 0);
  if (plainSyn && !pawsReject && newer) return TCP_TW_SYN;
  if (reset) return TCP_TW_SUCCESS;
  if (pawsReject || (seg.flags & TCP_ACK) !== 0) armTimewait(tw, TCP_TIMEWAIT_NS);
  return oowLimited(tw, seg) ? TCP_TW_SUCCESS : TCP_TW_ACK;
}
