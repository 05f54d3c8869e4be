/** Writing to a connection (tcp_sendmsg in net/ipv4/tcp.c). */
import { SysError } from "../../util/errors.ts";
import { TCP_PSH } from "../../wire/tcp.ts";
import { TCP_CLOSE, TCP_CLOSE_WAIT, TCP_ESTABLISHED, TCP_SYN_RECV, TCP_SYN_SENT } from "./sock.ts";
import { tcpSlowStartAfterIdle } from "./tcp-cong.ts";
import { tcpLock, tcpRelease } from "./tcp-lock.ts";
import { tcpMarkPush } from "./tcp-output.ts";
import { after, SEND_SHUTDOWN, TCP_NAGLE_PUSH, type TcpSock } from "./tcp-sock.ts";
import { tcpCurrentMss, tcpXmitSizeGoal } from "./tcp-window.ts";
import { nonagleOf, tcpPushOne, tcpPushPendingFrames } from "./tcp-xmit.ts";

/** Appends to the waiting record, or begins one; returns how many bytes were taken. */
function appendData(sk: TcpSock, data: Uint8Array, from: number, goal: number, fresh: boolean): number {
  const { queue } = sk;
  let room = 0;
  if (queue.hasUnsent) room = goal - queue.lengthOf(queue.tail - 1);
  if (room <= 0) {
    if (queue.memory(sk.sndUna, sk.writeSeq) >= sk.sndBuf) return 0;
    queue.push(sk.writeSeq, sk.writeSeq, 0);
    room = goal;
  }
  const count = Math.min(room, data.length - from);
  const i = (queue.tail - 1) & queue.mask;
  queue.store(sk.writeSeq, data, from, count, sk.sndUna);
  if (fresh) queue.flags[i] &= ~TCP_PSH;
  sk.writeSeq = (sk.writeSeq + count) | 0;
  queue.end[i] = sk.writeSeq;
  return count;
}

/**
 * Takes bytes of `data` from `from` on into the send buffer and sends what may be sent (tcp_sendmsg); with `from` beyond 0
 * a call that waited goes on. Returns how many were taken; with fewer than all, `noSpace` is set and `wq` is woken when there is
 * room. EPIPE, ENOTCONN, the pending error.
 */
export function tcpSendmsg(sk: TcpSock, data: Uint8Array, from: number): number {
  sk.throwError();
  if ((sk.shutdown & SEND_SHUTDOWN) !== 0 || (sk.state === TCP_CLOSE && sk.daddr !== 0))
    throw new SysError("EPIPE");
  if (sk.state === TCP_SYN_SENT || sk.state === TCP_SYN_RECV) return 0;
  if (sk.state !== TCP_ESTABLISHED && sk.state !== TCP_CLOSE_WAIT) throw new SysError("EPIPE");
  tcpLock(sk);
  tcpSlowStartAfterIdle(sk);
  let taken = 0;
  let mss = tcpCurrentMss(sk);
  let goal = tcpXmitSizeGoal(sk, mss);
  let full = false;
  while (from + taken < data.length) {
    const count = appendData(sk, data, from + taken, goal, from + taken === 0);
    if (count === 0) {
      full = true;
      break;
    }
    taken += count;
    const { queue } = sk;
    if (from + taken >= data.length || queue.lengthOf(queue.tail - 1) < goal) continue;
    if (after(sk.writeSeq, (sk.pushedSeq + (sk.maxWindow >>> 1)) | 0)) {
      tcpMarkPush(sk);
      tcpPushPendingFrames(sk, mss, TCP_NAGLE_PUSH);
    } else if (queue.sent === queue.tail - 1) tcpPushOne(sk, mss);
    mss = tcpCurrentMss(sk);
    goal = tcpXmitSizeGoal(sk, mss);
  }
  if (full) sk.noSpace = true;
  if (taken > 0 && sk.queue.hasUnsent) {
    tcpMarkPush(sk);
    tcpPushPendingFrames(sk, mss, full ? TCP_NAGLE_PUSH : nonagleOf(sk));
  }
  tcpRelease(sk);
  return taken;
}
