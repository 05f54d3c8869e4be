/**
 * First sequence numbers of the TCP conversations seen, for tcpdump's relative numbers (print-tcp.c): a hash of 919
 * chains. A SYN starts its conversation anew and thereby forgets what followed it in its chain, as the real tool does.
 */
const BUCKETS = 919;

/** One conversation; `low` is the end with the smaller port (then address), whose bytes count from `seq`. */
interface Conversation {
  readonly low: string;
  readonly high: string;
  readonly ports: number;
  seq: number;
  ack: number;
}

export class TcpConversations {
  /** Numbers to subtract for the last packet, int32, and whether it went from the high end. */
  seqBase = 0;
  ackBase = 0;
  reverse = false;
  private readonly buckets = new Map<number, Conversation[]>();

  /**
   * Finds the conversation of a packet with ACK. True when it was known: `relativeSeq` and `relativeAck` then apply;
   * false when this packet is its first or a SYN, and prints as it is. Addresses are text of equal length or order.
   */
  note(
    src: string,
    dst: string,
    sport: number,
    dport: number,
    seq: number,
    ack: number,
    syn: boolean,
  ): boolean {
    const reverse = sport > dport || (sport === dport && src > dst);
    const low = reverse ? dst : src;
    const high = reverse ? src : dst;
    const ports = (reverse ? (dport << 16) | sport : (sport << 16) | dport) >>> 0;
    const chain = this.bucket(ports % BUCKETS);
    let index = chain.findIndex((one) => one.ports === ports && one.low === low && one.high === high);
    const known = index >= 0 && !syn;
    if (!known) {
      if (index < 0) index = chain.length;
      chain.length = index;
      const first = { low, high, ports, seq, ack: (ack - 1) | 0 };
      if (reverse) {
        first.ack = seq;
        first.seq = (ack - 1) | 0;
      }
      chain.push(first);
    }
    this.seqBase = chain[index].seq;
    this.ackBase = chain[index].ack;
    this.reverse = reverse;
    return known;
  }

  /** Nothing is relative: for packets without ACK and for -S. */
  none(): void {
    this.seqBase = 0;
    this.ackBase = 0;
    this.reverse = false;
  }

  relativeSeq(seq: number): number {
    return (seq - (this.reverse ? this.ackBase : this.seqBase)) >>> 0;
  }

  relativeAck(ack: number): number {
    return (ack - (this.reverse ? this.seqBase : this.ackBase)) >>> 0;
  }

  private bucket(index: number): Conversation[] {
    let chain = this.buckets.get(index);
    if (chain === undefined) {
      chain = [];
      this.buckets.set(index, chain);
    }
    return chain;
  }
}
