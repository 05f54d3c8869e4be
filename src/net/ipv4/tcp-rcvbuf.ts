/** The reader's side of the receive buffer: its growth, and the ACKs that reading causes (net/ipv4/tcp_input.c, tcp.c). */
import { tcpOf } from "./tcp-net.ts";
import { tcpSendAck } from "./tcp-output.ts";
import { ACK_PUSHED, ACK_PUSHED2, ACK_SCHED, RCV_SHUTDOWN, type TcpSock } from "./tcp-sock.ts";
import { tcpNewWindow, tcpWinFromSpace } from "./tcp-window.ts";

/** The reader took data of one segment: the buffer may grow with what it takes in a round trip (tcp_rcv_space_adjust). */
export function tcpRcvSpaceAdjust(sk: TcpSock): void {
  const { now } = sk.ns.kernel.sim;
  const timeUs = Math.floor((now - sk.rcvqTimeNs) / 1000);
  if (sk.rcvRttUs === 0 || timeUs < sk.rcvRttUs >> 3) return;
  const copied = (sk.copiedSeq - sk.rcvqSeq) | 0;
  if (copied > sk.rcvqSpace) {
    const net = tcpOf(sk.ns);
    if (net.moderateRcvbuf !== 0 && !sk.rcvBufLocked) {
      let window = copied * 2 + 16 * sk.advmss;
      window += 2 * Math.floor((window * (copied - sk.rcvqSpace)) / sk.rcvqSpace);
      const perSegment = segmentMemory(sk.advmss);
      const buffer = Math.min(Math.floor(window / sk.advmss) * perSegment, net.rmem[2]);
      if (buffer > sk.rcvBuf) {
        sk.rcvBuf = buffer;
        sk.windowClamp = tcpWinFromSpace(buffer);
      }
    }
    sk.rcvqSpace = copied;
  }
  sk.rcvqSeq = sk.copiedSeq;
  sk.rcvqTimeNs = now;
}

/** Memory of a full segment, at least such that half of it holds the data. */
function segmentMemory(advmss: number): number {
  let size = ((advmss + 320 + 63) & ~63) + 576;
  while (tcpWinFromSpace(size) < advmss) size += 128;
  return size;
}

/** After a read: an ACK that waited, or a window that opened (tcp_cleanup_rbuf). */
export function tcpCleanupRbuf(sk: TcpSock, copied: number): void {
  let now = false;
  if ((sk.ackPending & ACK_SCHED) !== 0) {
    const pushed =
      (sk.ackPending & ACK_PUSHED2) !== 0 || ((sk.ackPending & ACK_PUSHED) !== 0 && !sk.pingpong);
    now = ((sk.rcvNxt - sk.rcvWup) | 0) > sk.rcvMss || (copied > 0 && pushed && sk.rmemAlloc === 0);
  }
  if (copied > 0 && !now && (sk.shutdown & RCV_SHUTDOWN) === 0) {
    const window = sk.receiveWindow();
    if (2 * window <= sk.windowClamp) {
      const fresh = tcpNewWindow(sk);
      now = fresh > 0 && fresh >= 2 * window;
    }
  }
  if (now) tcpSendAck(sk);
}
