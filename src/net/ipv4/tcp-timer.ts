/** What happens when a timer of a connection runs out (net/ipv4/tcp_timer.c), and new sockets with these timers. */
import type { NetNs } from "../core/net-ns.ts";
import { TCP_CLOSE, TCP_FIN_WAIT2, TCP_LISTEN, TCP_SYN_RECV, TCP_SYN_SENT, TCP_TIME_WAIT } from "./sock.ts";
import { tcpTimeWait } from "./tcp-minisocks.ts";
import { tcpOf } from "./tcp-net.ts";
import { TCP_ATO_MIN_NS, tcpSendAck, tcpSendActiveReset, tcpXmitProbe } from "./tcp-output.ts";
import { tcpEnterLoss, tcpEnterRecovery, tcpRackMarkLost } from "./tcp-recovery.ts";
import { TCP_RTO_MAX_NS, tcpProbe0WhenNs, tcpRearmRto, tcpResetXmitTimer } from "./tcp-rto.ts";
import {
  ACK_SCHED,
  ACK_TIMER,
  TCP_CA_CWR,
  TCP_CA_RECOVERY,
  TCP_NAGLE_PUSH,
  TcpSock,
  TIME_LOSS_PROBE,
  TIME_NONE,
  TIME_PROBE0,
  TIME_REO_TIMEOUT,
  TIME_RETRANS,
} from "./tcp-sock.ts";
import { tcpDone, tcpFail, tcpInitBuffers } from "./tcp-state.ts";
import { tcpCurrentMss } from "./tcp-window.ts";
import {
  PUSH_PROBE,
  tcpRetransmit,
  tcpTsqWrite,
  tcpWriteWakeup,
  tcpWriteXmit,
  tcpXmitRetransmitQueue,
} from "./tcp-xmit.ts";

/** Retries below which a dead route is not blamed on the socket. */
const ORPHAN_RETRIES_DEFAULT = 8;

/** A new, closed socket with the buffers of its namespace. */
export function tcpAllocSock(ns: NetNs): TcpSock {
  const sk = new TcpSock(ns, handlers);
  tcpInitBuffers(sk, ns);
  return sk;
}

/** SO_KEEPALIVE: an idle connection is asked whether the peer still lives (tcp_set_keepalive). */
export function tcpSetKeepalive(sk: TcpSock, on: boolean): void {
  sk.keepAlive = on;
  if (sk.state === TCP_CLOSE || sk.state === TCP_LISTEN) return;
  if (on) sk.keepTimer.armAt(sk.ns.kernel.timerNs(tcpOf(sk.ns).keepaliveTimeSec * 1e9));
  else sk.keepTimer.cancel();
}

function section(sk: TcpSock, run: (sk: TcpSock) => void): void {
  const { kernel } = sk.ns;
  kernel.enter();
  run(sk);
  kernel.leave();
}

const handlers = {
  write: (sk: TcpSock): void => section(sk, writeTimer),
  delack: (sk: TcpSock): void => section(sk, delackTimer),
  keep: (sk: TcpSock): void => section(sk, keepTimer),
  tsq: tcpTsqWrite,
};

function writeTimer(sk: TcpSock): void {
  if (sk.state === TCP_CLOSE || sk.state === TCP_LISTEN) return;
  const what = sk.timePending;
  sk.timePending = TIME_NONE;
  if (what === TIME_REO_TIMEOUT) reoTimeout(sk);
  else if (what === TIME_LOSS_PROBE) tcpSendLossProbe(sk);
  else if (what === TIME_RETRANS) retransmitTimer(sk);
  else if (what === TIME_PROBE0) probeTimer(sk);
}

function delackTimer(sk: TcpSock): void {
  if (sk.state === TCP_CLOSE || sk.state === TCP_LISTEN) return;
  if (sk.compressedAck > 0) {
    tcpSendAck(sk);
    return;
  }
  if ((sk.ackPending & ACK_TIMER) === 0) return;
  sk.ackPending &= ~ACK_TIMER;
  if ((sk.ackPending & ACK_SCHED) === 0) return;
  if (!sk.pingpong) sk.atoNs = Math.min(sk.atoNs * 2, sk.rtoNs);
  else {
    sk.pingpong = false;
    sk.atoNs = TCP_ATO_MIN_NS;
  }
  tcpSendAck(sk);
}

/** Orphans in FIN_WAIT2 go; living connections are asked whether they live (tcp_keepalive_timer). */
function keepTimer(sk: TcpSock): void {
  if (sk.state === TCP_FIN_WAIT2 && sk.orphan) {
    tcpTimeWait(sk, TCP_TIME_WAIT, 0);
    tcpDone(sk);
    return;
  }
  if (!sk.keepAlive || sk.state === TCP_CLOSE || sk.state === TCP_SYN_SENT) return;
  const net = tcpOf(sk.ns);
  const idle = sk.ns.kernel.sim.now - Math.max(sk.lrcvTimeNs, sk.rcvTstampNs);
  if (idle < net.keepaliveTimeSec * 1e9 || sk.queue.inFlight > 0) {
    sk.keepTimer.armAt(sk.ns.kernel.timerNs(Math.max(net.keepaliveTimeSec * 1e9 - idle, 1e9)));
    return;
  }
  if (sk.probesOut >= net.keepaliveProbes) {
    tcpSendActiveReset(sk);
    tcpFail(sk, "ETIMEDOUT");
    return;
  }
  sk.probesOut++;
  tcpXmitProbe(sk);
  sk.keepTimer.armAt(sk.ns.kernel.timerNs(net.keepaliveIntvlSec * 1e9));
}

/** RACK's wait for a late segment is over (tcp_rack_reo_timeout). */
function reoTimeout(sk: TcpSock): void {
  const before = sk.lostOut;
  tcpRackMarkLost(sk);
  if (sk.lostOut > before) {
    if (sk.caState !== TCP_CA_RECOVERY && sk.caState <= TCP_CA_CWR) tcpEnterRecovery(sk);
    tcpXmitRetransmitQueue(sk);
  }
  if (sk.timePending !== TIME_RETRANS && sk.timePending !== TIME_REO_TIMEOUT) tcpRearmRto(sk);
}

/** Sends something at the tail, new or again, to get an ACK that tells what is missing (tcp_send_loss_probe). */
function tcpSendLossProbe(sk: TcpSock): void {
  const { queue } = sk;
  const mss = tcpCurrentMss(sk);
  if (sk.tlpHighSeq === 0) {
    if (queue.hasUnsent && ((queue.seq[queue.sent & queue.mask] - sk.wndEnd()) | 0) < 0) {
      const out = queue.inFlight;
      tcpWriteXmit(sk, mss, TCP_NAGLE_PUSH, PUSH_PROBE);
      if (queue.inFlight > out) {
        sk.tlpRetrans = false;
        sk.tlpHighSeq = sk.sndNxt;
      }
    } else if (queue.inFlight > 0) {
      if (queue.lengthOf(queue.sent - 1) > mss) {
        const cut = (Math.ceil(queue.lengthOf(queue.sent - 1) / mss) - 1) * mss;
        queue.split(queue.sent - 1, cut, 0x09);
      }
      if (tcpRetransmit(sk, queue.sent - 1)) {
        sk.tlpRetrans = true;
        sk.tlpHighSeq = sk.sndNxt;
      }
    }
  }
  tcpRearmRto(sk);
}

/** Too many retries without an answer (tcp_write_timeout); true when the connection ended. */
function writeTimeout(sk: TcpSock): boolean {
  const net = tcpOf(sk.ns);
  let limit: number;
  if (sk.state === TCP_SYN_SENT || sk.state === TCP_SYN_RECV) limit = net.synRetries;
  else {
    limit = net.retries2;
    if (sk.orphan) limit = net.orphanRetries === 0 ? ORPHAN_RETRIES_DEFAULT : net.orphanRetries;
  }
  if (sk.retransmits < limit) return false;
  tcpFail(sk, "ETIMEDOUT");
  return true;
}

/** The retransmission timer (tcp_retransmit_timer). */
function retransmitTimer(sk: TcpSock): void {
  const { queue } = sk;
  if (queue.inFlight === 0) return;
  if (sk.sndWnd === 0 && !sk.orphan && sk.state !== TCP_SYN_SENT && sk.state !== TCP_SYN_RECV) {
    tcpEnterLoss(sk);
    tcpRetransmit(sk, queue.head);
  } else {
    if (writeTimeout(sk)) return;
    sk.rethinkTxHash();
    tcpEnterLoss(sk);
    sk.retransmits++;
    tcpRetransmit(sk, queue.head);
  }
  sk.backoff++;
  sk.rtoNs = Math.min(sk.rtoNs * 2, TCP_RTO_MAX_NS);
  tcpResetXmitTimer(sk, TIME_RETRANS, sk.rtoNs);
}

/** The peer's window is closed: asks whether it opened (tcp_probe_timer, tcp_send_probe0). */
function probeTimer(sk: TcpSock): void {
  const { queue } = sk;
  if (queue.inFlight > 0 || !queue.hasUnsent) {
    sk.probesOut = 0;
    return;
  }
  const limit = sk.orphan ? ORPHAN_RETRIES_DEFAULT : tcpOf(sk.ns).retries2;
  if (sk.probesOut >= limit) {
    tcpFail(sk, "ETIMEDOUT");
    return;
  }
  tcpWriteWakeup(sk);
  if (queue.inFlight > 0) return;
  sk.probesOut++;
  sk.backoff++;
  tcpResetXmitTimer(sk, TIME_PROBE0, tcpProbe0WhenNs(sk));
}
