/**
 * Work that the receive path leaves to the kernel's threads: kworker (kernel/workqueue.c) and ksoftirqd (kernel/softirq.c).
 * A card is polled for one frame, and then for more as long as nobody else wants the processor. As soon as a frame made work
 * for kworker that thread does, so the polling goes on in ksoftirqd, which runs after it: what kworker gives back to the
 * stack waits until then, and the first frame that is polled again comes before it.
 */
import type { EventSink } from "../../sim/sim.ts";
import { Ring } from "../../util/ring.ts";
import { netifReceiveSkb } from "./dev.ts";
import { DROP } from "./drop-reason.ts";
import type { Kernel } from "./kernel.ts";
import type { Skb } from "./skb.ts";

/**
 * From the moment that a program is woken to the moment that it has done something: measured on the recorded machines, whose
 * UDP servers answer 150 to 180 us after the question.
 */
export const WAKEUP_NS = 150_000;
/**
 * From the moment that a kernel thread is woken to its first work: 60 to 160 us on the same machines. This and the next were
 * chosen inside their measured ranges so that the recorded order of one encrypted download comes out: other values there move
 * one of its 510 frames.
 */
const SWITCH_NS = 60_000;
/** Processor time of one ESP frame of 1500 bytes: there 15 us to take it, 35 us to send one. */
const FRAME_NS = 25_000;

const IDLE = 0;
/** kworker is woken. */
const KWORKER = 1;
/** kworker has run; ksoftirqd is to. */
const KSOFTIRQD = 2;

export class Kthreads implements EventSink {
  private readonly kernel: Kernel;
  private phase: 0 | 1 | 2 = IDLE;
  /** Packets for kworker, and what it calls with each. */
  private readonly skbs = new Ring<Skb>(16);
  private readonly finishes = new Ring<(skb: Skb) => void>(16);
  /** Frames in the card that are not polled yet. */
  private readonly frames = new Ring<Skb>(16);

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }

  /** Whether cards are not polled at the moment: their frames go to {@link hold}. */
  get isPending(): boolean {
    return this.phase !== IDLE;
  }

  /** A frame that arrived meanwhile, `data` behind its Ethernet header. */
  hold(skb: Skb): void {
    this.frames.push(skb);
  }

  /** Lets kworker call `finish` with the packet (xfrm_trans_queue). Takes it. */
  queueWork(skb: Skb, finish: (skb: Skb) => void): void {
    this.skbs.push(skb);
    this.finishes.push(finish);
    if (this.phase === IDLE) this.wake(KWORKER, 0);
  }

  /** The power is gone: what waits is lost. */
  purge(): void {
    const { skbs, frames } = this;
    for (let skb = skbs.shift(); skb !== undefined; skb = skbs.shift()) skb.drop(DROP.DEV_DOWN);
    for (let skb = frames.shift(); skb !== undefined; skb = frames.shift()) skb.drop(DROP.DEV_DOWN);
    while (this.finishes.shift() !== undefined);
  }

  onEvent(): void {
    if (this.phase === KWORKER) this.runKworker();
    else this.runKsoftirqd();
  }

  /** Lets a thread run after `busyNs` of other work. */
  private wake(phase: 1 | 2, busyNs: number): void {
    const { sim } = this.kernel;
    this.phase = phase;
    sim.schedule(sim.now + busyNs + SWITCH_NS, this);
  }

  private runKworker(): void {
    const { kernel, skbs, finishes } = this;
    kernel.enter();
    for (let skb = skbs.shift(); skb !== undefined; skb = skbs.shift()) finishes.shift()!(skb);
    if (this.frames.length > 0) {
      this.wake(KSOFTIRQD, 0);
      return;
    }
    this.phase = IDLE;
    kernel.leave();
  }

  /** Still within the section that kworker opened. */
  private runKsoftirqd(): void {
    const { kernel, frames } = this;
    let busyNs = 0;
    for (let skb = frames.shift(); skb !== undefined; skb = frames.shift()) {
      netifReceiveSkb(skb);
      kernel.leave();
      kernel.enter();
      busyNs += FRAME_NS;
    }
    this.phase = IDLE;
    if (this.skbs.length > 0) this.wake(KWORKER, busyNs);
    kernel.leave();
  }
}
