/**
 * Virtual time: a clock and an event queue ordered by (time, sequence). Times are nanoseconds since the start of the
 * lab, as integers in a double (exact for 104 days). Nothing else moves time.
 */
import { assert } from "../util/assert.ts";

export const US = 1_000;
export const MS = 1_000_000;
export const SEC = 1_000_000_000;

/** What an event calls. A sink is a long-lived object; `arg` is what was given to {@link Sim.schedule}. */
export interface EventSink {
  onEvent(arg: unknown): void;
}

const INITIAL = 256;

export class Sim {
  /** Virtual now, ns since the start. */
  now = 0;
  private times = new Float64Array(INITIAL);
  private sequences = new Float64Array(INITIAL);
  private sinks: (EventSink | null)[] = new Array<EventSink | null>(INITIAL).fill(null);
  private args: unknown[] = new Array<unknown>(INITIAL).fill(null);
  private size = 0;
  private sequence = 0;

  /** Calls `sink.onEvent(arg)` at `atNs` (not before now). Equal times run in the order of scheduling. */
  schedule(atNs: number, sink: EventSink, arg: unknown = null): void {
    assert(atNs >= this.now, "event in the past");
    if (this.size === this.times.length) this.grow();
    let i = this.size++;
    const sequence = this.sequence++;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (this.times[parent] <= atNs) break;
      this.move(parent, i);
      i = parent;
    }
    this.put(i, atNs, sequence, sink, arg);
  }

  /** Time of the next event, or Infinity. */
  nextNs(): number {
    return this.size === 0 ? Number.POSITIVE_INFINITY : this.times[0];
  }

  /** Runs the next event; false when there is none. */
  step(): boolean {
    if (this.size === 0) return false;
    const sink = this.sinks[0]!;
    const arg = this.args[0];
    this.now = this.times[0];
    this.removeFirst();
    sink.onEvent(arg);
    return true;
  }

  /** Runs all events up to and including `untilNs`, then sets the clock there. */
  runUntil(untilNs: number): void {
    while (this.size > 0 && this.times[0] <= untilNs) this.step();
    if (untilNs > this.now) this.now = untilNs;
  }

  private removeFirst(): void {
    const last = --this.size;
    const time = this.times[last];
    const sequence = this.sequences[last];
    const sink = this.sinks[last]!;
    const arg = this.args[last];
    this.sinks[last] = null;
    this.args[last] = null;
    if (last === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= last) break;
      if (child + 1 < last && this.before(child + 1, child)) child++;
      if (this.times[child] > time || (this.times[child] === time && this.sequences[child] > sequence)) break;
      this.move(child, i);
      i = child;
    }
    this.put(i, time, sequence, sink, arg);
  }

  private before(a: number, b: number): boolean {
    const d = this.times[a] - this.times[b];
    return d < 0 || (d === 0 && this.sequences[a] < this.sequences[b]);
  }

  private move(from: number, to: number): void {
    this.times[to] = this.times[from];
    this.sequences[to] = this.sequences[from];
    this.sinks[to] = this.sinks[from];
    this.args[to] = this.args[from];
  }

  private put(i: number, time: number, sequence: number, sink: EventSink, arg: unknown): void {
    this.times[i] = time;
    this.sequences[i] = sequence;
    this.sinks[i] = sink;
    this.args[i] = arg;
  }

  private grow(): void {
    const size = this.times.length * 2;
    const times = new Float64Array(size);
    const sequences = new Float64Array(size);
    times.set(this.times);
    sequences.set(this.sequences);
    this.times = times;
    this.sequences = sequences;
    for (let i = this.sinks.length; i < size; i++) {
      this.sinks.push(null);
      this.args.push(null);
    }
  }
}
