/**
 * Messages that are to reach everybody (memberlist queue.go, TransmitLimitedQueue): each is sent a limited number of
 * times, those sent least go first (then the longest, then the newest), and a newer one about the same thing takes the
 * place of an older one.
 */

const RETRANSMIT_MULT = 4;

interface Queued<M> {
  readonly message: M;
  readonly bytes: number;
  readonly about: string;
  readonly order: number;
  transmits: number;
}

export class BroadcastQueue<M> {
  private items: Queued<M>[] = [];
  private added = 0;

  get isEmpty(): boolean {
    return this.items.length === 0;
  }

  /** `about` names what the message is about; messages about "" do not replace each other. */
  add(message: M, bytes: number, about: string): void {
    if (about !== "") this.items = this.items.filter((item) => item.about !== about);
    this.items.push({ message, bytes, about, order: this.added++, transmits: 0 });
  }

  /** Messages for one packet of at most `limit` bytes, in a cluster of `members`. */
  take(limit: number, members: number): { messages: M[]; bytes: number } {
    const most = RETRANSMIT_MULT * Math.ceil(Math.log10(members + 1));
    const messages: M[] = [];
    let bytes = 0;
    this.items.sort((a, b) => a.transmits - b.transmits || b.bytes - a.bytes || b.order - a.order);
    for (const item of this.items) {
      if (bytes + item.bytes > limit) continue;
      bytes += item.bytes;
      messages.push(item.message);
      item.transmits++;
    }
    this.items = this.items.filter((item) => item.transmits < most);
    return { messages, bytes };
  }

  clear(): void {
    this.items = [];
  }
}
