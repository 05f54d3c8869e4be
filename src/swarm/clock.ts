/** A call at a later virtual time, for control planes: one small object an event, never on a packet's path. */
import type { EventSink, Sim } from "../sim/sim.ts";

class Call implements EventSink {
  private readonly fn: () => void;
  cancelled = false;

  constructor(fn: () => void) {
    this.fn = fn;
  }

  onEvent(): void {
    if (!this.cancelled) this.fn();
  }
}

/** Something that can still be called off. */
export interface Pending {
  cancelled: boolean;
}

/** Calls `fn` after `delayNs`. */
export function after(sim: Sim, delayNs: number, fn: () => void): Pending {
  const call = new Call(fn);
  sim.schedule(sim.now + delayNs, call);
  return call;
}

/** Runs `fn` once, `delayNs` after the first `trigger`; further triggers meanwhile change nothing. */
export class Debounce {
  private pending = false;
  private readonly sim: Sim;
  private readonly delayNs: number;
  private readonly fn: () => void;

  constructor(sim: Sim, delayNs: number, fn: () => void) {
    this.sim = sim;
    this.delayNs = delayNs;
    this.fn = fn;
  }

  trigger(): void {
    if (this.pending) return;
    this.pending = true;
    after(this.sim, this.delayNs, () => {
      this.pending = false;
      this.fn();
    });
  }
}
