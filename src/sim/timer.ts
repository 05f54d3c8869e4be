/**
 * A timer that can be moved cheaply (kernel/time/timer.c `mod_timer`): moving it later only writes a number, the queue
 * entry that is already there re-arms itself when it comes up. So a timer that is refreshed by every packet costs no
 * queue operation per packet.
 */
import type { EventSink, Sim } from "./sim.ts";

export class Timer implements EventSink {
  /** When it fires, ns; -1 when not armed. */
  expiresNs = -1;
  private queuedNs = -1;
  private readonly sim: Sim;
  private readonly fire: () => void;

  constructor(sim: Sim, fire: () => void) {
    this.sim = sim;
    this.fire = fire;
  }

  get armed(): boolean {
    return this.expiresNs >= 0;
  }

  /** Arms or moves the timer to an absolute time. */
  armAt(atNs: number): void {
    this.expiresNs = atNs;
    if (this.queuedNs < 0 || this.queuedNs > atNs) {
      this.queuedNs = atNs;
      this.sim.schedule(atNs, this, atNs);
    }
  }

  /** Arms or moves the timer to `delayNs` from now. */
  armIn(delayNs: number): void {
    this.armAt(this.sim.now + delayNs);
  }

  cancel(): void {
    this.expiresNs = -1;
  }

  onEvent(arg: unknown): void {
    if (arg !== this.queuedNs) return;
    this.queuedNs = -1;
    if (this.expiresNs < 0) return;
    if (this.expiresNs > this.sim.now) {
      this.queuedNs = this.expiresNs;
      this.sim.schedule(this.expiresNs, this, this.expiresNs);
      return;
    }
    this.expiresNs = -1;
    this.fire();
  }
}
