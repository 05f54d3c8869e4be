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
const LANE_INITIAL = 16;

/**
 * Events of one sink whose times never fall (frames on a cable): a ring, of which only the oldest stands in the queue. They
 * run exactly when and in the order in which they would if each were scheduled by itself.
 */
export class Lane {
  /** Time of the last event that was added, ns. */
  lastNs = 0;
  readonly sim: Sim;
  readonly sink: EventSink;
  private times = new Float64Array(LANE_INITIAL);
  private sequences = new Float64Array(LANE_INITIAL);
  private args: unknown[] = new Array<unknown>(LANE_INITIAL).fill(null);
  private head = 0;
  private count = 0;

  constructor(sim: Sim, sink: EventSink) {
    this.sim = sim;
    this.sink = sink;
  }

  /** Calls the sink with `arg` at `atNs`, which is not before the last one's time. */
  push(atNs: number, arg: unknown): void {
    assert(atNs >= this.lastNs, "event of a lane out of order");
    this.lastNs = atNs;
    const sequence = this.sim.nextSequence();
    if (this.count === this.times.length) this.grow();
    const i = (this.head + this.count) & (this.times.length - 1);
    this.times[i] = atNs;
    this.sequences[i] = sequence;
    this.args[i] = arg;
    if (this.count++ === 0) this.sim.scheduleLane(this);
  }

  get isEmpty(): boolean {
    return this.count === 0;
  }

  /** Time and sequence number of the oldest event. */
  get headNs(): number {
    return this.times[this.head];
  }

  get headSequence(): number {
    return this.sequences[this.head];
  }

  /** Takes the oldest event out; returns its argument. */
  shift(): unknown {
    const i = this.head;
    const arg = this.args[i];
    this.args[i] = null;
    this.head = (i + 1) & (this.times.length - 1);
    this.count--;
    return arg;
  }

  private grow(): void {
    const { times, sequences, args, head } = this;
    const size = times.length;
    this.times = new Float64Array(size * 2);
    this.sequences = new Float64Array(size * 2);
    this.args = new Array<unknown>(size * 2).fill(null);
    for (let i = 0; i < size; i++) {
      const from = (head + i) & (size - 1);
      this.times[i] = times[from];
      this.sequences[i] = sequences[from];
      this.args[i] = args[from];
    }
    this.head = 0;
  }
}

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
    this.insert(atNs, this.sequence++, sink, arg);
  }

  /** A number behind those of all events so far. */
  nextSequence(): number {
    return this.sequence++;
  }

  /** Puts a lane into the queue at the place of its oldest event. Called by the lane when it was empty. */
  scheduleLane(lane: Lane): void {
    this.insert(lane.headNs, lane.headSequence, lane.sink, lane);
  }

  private insert(atNs: number, sequence: number, sink: EventSink, arg: unknown): void {
    assert(atNs >= this.now, "event in the past");
    if (this.size === this.times.length) this.grow();
    let i = this.size++;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const time = this.times[parent];
      if (time < atNs || (time === atNs && this.sequences[parent] < sequence)) break;
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
    if (arg instanceof Lane) {
      const first = arg.shift();
      if (arg.isEmpty) this.removeFirst();
      else {
        this.times[0] = arg.headNs;
        this.sequences[0] = arg.headSequence;
        this.siftDown();
      }
      sink.onEvent(first);
      return true;
    }
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
    if (last > 0) this.move(last, 0);
    this.sinks[last] = null;
    this.args[last] = null;
    if (last > 0) this.siftDown();
  }

  /** Moves the event at the top to its place. It is read from there, so that its time is not boxed for a call. */
  private siftDown(): void {
    const { size } = this;
    const time = this.times[0];
    const sequence = this.sequences[0];
    const sink = this.sinks[0]!;
    const arg = this.args[0];
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= size) break;
      if (child + 1 < size && this.before(child + 1, child)) child++;
      if (this.times[child] > time || (this.times[child] === time && this.sequences[child] > sequence)) break;
      this.move(child, i);
      i = child;
    }
    if (i > 0) this.put(i, time, sequence, sink, arg);
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
