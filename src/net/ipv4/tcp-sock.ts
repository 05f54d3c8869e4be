/**
 * State of a TCP connection (struct tcp_sock, inet_connection_sock in include/linux/tcp.h). What changes it stands in
 * `tcp.ts` (calls), `tcp-input.ts`, `tcp-output.ts`, `tcp-timer.ts`. Sequence numbers are int32: compare with
 * `(a - b) | 0`. Times are ns, round trips us as in the kernel.
 */

import { Timer } from "../../sim/timer.ts";
import { IPPROTO_TCP } from "../../wire/ipv4.ts";
import type { Tasklet } from "../core/kernel.ts";
import type { NetNs } from "../core/net-ns.ts";
import type { Skb } from "../core/skb.ts";
import { SkbQueue, Sock } from "./sock.ts";
import { CubicState } from "./tcp-cubic.ts";
import type { TcpReqSock } from "./tcp-minisocks.ts";
import { TcpWriteQueue } from "./tcp-queue.ts";

export const TCP_NAGLE_OFF = 1;
export const TCP_NAGLE_CORK = 2;
export const TCP_NAGLE_PUSH = 4;

/** Congestion states (enum tcp_ca_state). */
export const TCP_CA_OPEN = 0;
export const TCP_CA_DISORDER = 1;
export const TCP_CA_CWR = 2;
export const TCP_CA_RECOVERY = 3;
export const TCP_CA_LOSS = 4;

/** Bits of `ackPending` (ICSK_ACK_*). */
export const ACK_SCHED = 1;
export const ACK_TIMER = 2;
export const ACK_PUSHED = 4;
export const ACK_PUSHED2 = 8;
export const ACK_NOW = 16;

/** What the retransmit timer is armed for (icsk_pending). */
export const TIME_NONE = 0;
export const TIME_RETRANS = 1;
export const TIME_PROBE0 = 3;
export const TIME_LOSS_PROBE = 5;
export const TIME_REO_TIMEOUT = 6;

export const RCV_SHUTDOWN = 1;
export const SEND_SHUTDOWN = 2;

export const TCP_INIT_CWND = 10;
export const TCP_INFINITE_SSTHRESH = 0x7fffffff;
export const TCP_MSS_DEFAULT = 536;

/** What the timers and the tasklet of a connection call; set by the layer above this file. */
export interface TcpTimerHandlers {
  write(sk: TcpSock): void;
  delack(sk: TcpSock): void;
  keep(sk: TcpSock): void;
  tsq(sk: TcpSock): void;
}

export class TcpSock extends Sock implements Tasklet {
  shutdown = 0;
  /** Listener: longest queue of connections to accept, those ready, and half-open ones. */
  backlog = 0;
  readonly acceptQueue: TcpSock[] = [];
  requests = 0;
  /** The request that this connection came from, until its handshake is done. */
  request: TcpReqSock | null = null;
  /** No process holds it any more (SOCK_DEAD). */
  orphan = false;
  noDelay = false;
  keepAlive = false;
  /** SO_LINGER with time 0: close sends RST. */
  lingerReset = false;

  rcvNxt = 0;
  rcvWup = 0;
  copiedSeq = 0;
  rcvWnd = 0;
  rcvWscale = 0;
  windowClamp = 0;
  rcvSsthresh = 0;
  rcvBuf = 0;
  rcvBufLocked = false;
  rmemAlloc = 0;
  readonly receiveQueue = new SkbQueue();
  /** Segments that came while a system call held the socket (sk_backlog). */
  readonly backlogQueue = new SkbQueue();
  /** Out-of-order segments by sequence number; `cb0` is the first, `cb1` one past the last. */
  ofoHead: Skb | null = null;
  /** SACK blocks to send, newest first; a D-SACK stands apart. */
  sackNum = 0;
  readonly sackLeft = new Int32Array(4);
  readonly sackRight = new Int32Array(4);
  dsack = false;
  dsackLeft = 0;
  dsackRight = 0;
  /** Receiver's round trip estimate, us * 8. */
  rcvRttUs = 0;
  rcvRttLastTsEcr = 0;
  rcvRttSeq = 0;
  rcvRttTimeNs = 0;
  rcvqSpace = 0;
  rcvqSeq = 0;
  rcvqTimeNs = 0;
  tsRecent = 0;
  /** When tsRecent was taken, ns; -1 when there is none. */
  tsRecentStampNs = -1;
  rcvTsEcr = 0;
  sawTstamp = false;

  ackPending = 0;
  quick = 0;
  pingpong = false;
  atoNs = 0;
  lrcvTimeNs = 0;
  /** Time of the last acceptable ACK, ns. */
  rcvTstampNs = 0;
  rcvMss = TCP_MSS_DEFAULT;
  lastSegSize = 0;
  dupAckCounter = 0;
  compressedAckRcvNxt = 0;
  compressedAck = 0;
  /** When the delayed (or compressed) ACK is due, ns. */
  ackTimeoutNs = 0;
  /** Time of the last challenge ACK that answered an out-of-window segment, ns. */
  lastOowAckNs = -1e18;

  readonly queue = new TcpWriteQueue();
  iss = 0;
  sndUna = 0;
  /** Of what was sent, that the peer has acknowledged. */
  bytesAcked = 0;
  sndNxt = 0;
  writeSeq = 0;
  pushedSeq = 0;
  sndSml = 0;
  sndWnd = 0;
  sndWl1 = 0;
  sndWscale = 0;
  maxWindow = 0;
  sndBuf = 0;
  sndBufLocked = false;
  /** Memory of what was sent and is still in the machine's own queues (sk_wmem_alloc), bytes, in the drain of that number. */
  wmemAlloc = 0;
  wmemDrain = -1;
  /** Waits until that memory is given back (TSQ_THROTTLED). */
  tsqThrottled = false;
  /** A writer waits for memory (SOCK_NOSPACE). */
  noSpace = false;
  advmss = 0;
  mssCache = TCP_MSS_DEFAULT;
  mssClamp = TCP_MSS_DEFAULT;
  /** MSS option of the user (TCP_MAXSEG), 0 none. */
  userMss = 0;
  pmtuCookie = 0;
  tstampOk = false;
  sackOk = false;
  wscaleOk = false;
  /** TCP_ECN_* of tcp-ecn.ts. */
  ecnFlags = 0;
  tsOffset = 0;
  headerLen = 20;
  lsndTimeNs = 0;
  wstampNs = 0;

  srttUs = 0;
  mdevUs = 0;
  mdevMaxUs = 0;
  rttvarUs = 0;
  rttSeq = 0;
  minRttUs = 0x7fffffff;
  minRttStampNs = 0;
  rtoNs = 1_000_000_000;
  backoff = 0;
  retransmits = 0;
  probesOut = 0;
  retransStampMs = 0;
  timePending = TIME_NONE;

  caState = TCP_CA_OPEN;
  sndCwnd = TCP_INIT_CWND;
  sndCwndCnt = 0;
  sndCwndClamp = 0x7fffffff;
  sndSsthresh = TCP_INFINITE_SSTHRESH;
  priorSsthresh = 0;
  priorCwnd = 0;
  prrDelivered = 0;
  prrOut = 0;
  highSeq = 0;
  undoMarker = 0;
  undoRetrans = 0;
  sackedOut = 0;
  lostOut = 0;
  retransOut = 0;
  reordering = 3;
  delivered = 0;
  maxPacketsOut = 0;
  cwndUsageSeq = 0;
  isCwndLimited = false;
  sndCwndUsed = 0;
  sndCwndStampNs = 0;
  pacingRate = 0;
  tlpHighSeq = 0;
  tlpRetrans = false;
  /** RACK: send time and end of the newest segment known delivered, its round trip. */
  rackMstampNs = 0;
  rackEndSeq = 0;
  rackRttUs = 0;
  /** Segments were seen to arrive out of order; rounds of wider tolerance after D-SACKs. */
  reordSeen = false;
  /** End of the highest SACK block of before, 0 none. */
  sackHigh = 0;
  readonly cubic = new CubicState();

  /** Retransmits since the start, for `ss -i` and tests. */
  totalRetrans = 0;
  readonly writeTimer: Timer;
  readonly delackTimer: Timer;
  /** Keepalive, and the time that an orphan may stay in FIN_WAIT2 or any in TIME_WAIT. */
  readonly keepTimer: Timer;
  private readonly handlers: TcpTimerHandlers;

  constructor(ns: NetNs, handlers: TcpTimerHandlers) {
    super(ns, IPPROTO_TCP);
    this.handlers = handlers;
    this.rethinkTxHash();
    const { sim } = ns.kernel;
    this.writeTimer = new Timer(sim, () => handlers.write(this));
    this.delackTimer = new Timer(sim, () => handlers.delack(this));
    this.keepTimer = new Timer(sim, () => handlers.keep(this));
  }

  runTasklet(): void {
    this.handlers.tsq(this);
  }

  /** Segments sent and neither acknowledged nor counted out (tcp_packets_in_flight). */
  packetsInFlight(): number {
    return this.queue.inFlight - this.sackedOut - this.lostOut + this.retransOut;
  }

  /** End of the peer's window (tcp_wnd_end). */
  wndEnd(): number {
    return (this.sndUna + this.sndWnd) | 0;
  }

  /** What is left of the window that was offered (tcp_receive_window), bytes. */
  receiveWindow(): number {
    const win = (this.rcvWup + this.rcvWnd - this.rcvNxt) | 0;
    return win < 0 ? 0 : win;
  }

  /** Timestamp clock of this connection: milliseconds and a random offset, int32. */
  timestamp(): number {
    return (Math.floor(this.ns.kernel.sim.now / 1_000_000) + this.tsOffset) | 0;
  }
}

/** a before b in sequence space. */
export function before(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}

export function after(a: number, b: number): boolean {
  return ((b - a) | 0) < 0;
}
