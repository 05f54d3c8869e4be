/** The path takes less than was sent: what is in flight is cut anew and sent again (tcp_simple_retransmit, tcp_input.c). */
import { TCP_FIN, TCP_PSH } from "../../wire/tcp.ts";
import { currentSsthresh } from "./tcp-cong.ts";
import { hystartReset } from "./tcp-hystart.ts";
import { TCPCB_LOST, TCPCB_SACKED_ACKED, TCPCB_SACKED_RETRANS, TCPCB_SKB_END } from "./tcp-queue.ts";
import { tcpMarkLost } from "./tcp-recovery.ts";
import { TCP_CA_LOSS, type TcpSock } from "./tcp-sock.ts";
import { tcpXmitRetransmitQueue } from "./tcp-xmit.ts";

/** Puts the records of a buffer from `index` on together again, as far as one thing holds of them. */
function joinBuffer(sk: TcpSock, index: number): void {
  const { queue } = sk;
  const { mask, state } = queue;
  while ((state[index & mask] & TCPCB_SKB_END) === 0 && index + 1 < queue.sent) {
    const here = state[index & mask];
    if (((here ^ state[(index + 1) & mask]) & ~TCPCB_SKB_END) !== 0) return;
    if ((here & TCPCB_LOST) !== 0) sk.lostOut--;
    if ((here & TCPCB_SACKED_RETRANS) !== 0) sk.retransOut--;
    queue.join(index);
  }
}

/** Marks the buffer at `index` lost and cuts it into segments of `mss`; the index behind it. */
function loseBuffer(sk: TcpSock, index: number, mss: number): number {
  const { queue } = sk;
  if ((queue.state[index & queue.mask] & TCPCB_SACKED_ACKED) !== 0) return index + 1;
  joinBuffer(sk, index);
  tcpMarkLost(sk, index);
  let at = index;
  for (let left = queue.lengthOf(index); left > mss; left -= mss) {
    queue.splitSegment(at++, mss, TCP_PSH | TCP_FIN);
    sk.lostOut++;
  }
  return at + 1;
}

/**
 * Everything in flight that is longer than `mss` is lost. It is not the sign of congestion that a loss is: the window stays,
 * in its new unit.
 */
export function tcpSimpleRetransmit(sk: TcpSock, mss: number): void {
  const { queue } = sk;
  for (let index = queue.head; index < queue.sent; )
    index = queue.lengthOf(index) > mss ? loseBuffer(sk, index, mss) : index + 1;
  if (sk.lostOut === 0) return;
  if (sk.caState !== TCP_CA_LOSS) {
    sk.highSeq = sk.sndNxt;
    sk.sndSsthresh = currentSsthresh(sk);
    sk.priorSsthresh = 0;
    sk.undoMarker = 0;
    sk.caState = TCP_CA_LOSS;
    sk.cubic.reset();
    hystartReset(sk);
  }
  tcpXmitRetransmitQueue(sk);
}
