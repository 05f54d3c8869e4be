/**
 * A virtual machine whose host gives it the processor only now and then (steal time): pauses before a frame is taken from the
 * card, as a lab page pins them. Without them a frame is taken when it arrives.
 */
import type { EventSink } from "../../sim/sim.ts";
import type { Pinned } from "../../util/pinned.ts";
import type { Kernel } from "./kernel.ts";
import type { Skb } from "./skb.ts";

export class RxPauses implements EventSink {
  private readonly kernel: Kernel;
  private readonly pauses: Pinned<number>;
  private readonly take: (skb: Skb) => void;
  /** When the last frame was or will be taken, ns. */
  private lastNs = 0;

  /** `take` is what a card does with a frame. */
  constructor(kernel: Kernel, pauses: Pinned<number>, take: (skb: Skb) => void) {
    this.kernel = kernel;
    this.pauses = pauses;
    this.take = take;
  }

  /** A frame that arrived, `data` behind its Ethernet header: taken once its pause since the one before is over. */
  arrive(skb: Skb): void {
    const { sim } = this.kernel;
    this.lastNs = Math.max(sim.now, this.lastNs + (this.pauses.take(sim.now) ?? 0));
    if (this.lastNs > sim.now) sim.schedule(this.lastNs, this, skb);
    else this.take(skb);
  }

  onEvent(arg: unknown): void {
    this.take(arg as Skb);
  }
}
