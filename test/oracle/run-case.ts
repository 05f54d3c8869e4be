/** Runs a case on both sides and says where they differ. */
import type { Case, Step } from "./case.ts";
import { type Difference, firstDifference } from "./compare.ts";
import { MeshSide } from "./mesh-side.ts";
import { fromHex } from "./packet.ts";
import { Peers, type Sending } from "./peers.ts";
import { pause, RealSide } from "./real-side.ts";
import { type Pace, type Seen, type Side, TooSlowError } from "./side.ts";

/** What came out of one side. */
export interface Observation {
  /** Frames by step; the first entry belongs to the first step. */
  readonly frames: readonly (readonly Seen[])[];
  /** How many frames were sent. */
  readonly sent: number;
  /** Text by `NAMESPACE: COMMAND`. */
  readonly texts: ReadonlyMap<string, string>;
  /** Set when the side broke off. */
  readonly failure: string | null;
}

/** A case must be over before the first timer of a second fires. */
const LIMIT_MS = 900;
/** The steps of a case that rests only behind the last are over before the first delayed ACK is due. */
const BRISK_MS = 36;
/** And the whole is over before the first retransmission. */
const BRISK_LIMIT_MS = 190;
const ATTEMPTS = 4;
/** What a station cannot send: longer than its own MTU. */
const MAX_FRAME = 1514;
/** Rounds of ARP answers after one frame. */
const MAX_ROUNDS = 8;
const BEFORE_TEXT_MS = 12;

export const QUESTIONS = ["iptables-save -c", "conntrack -L 2>/dev/null", "ip neigh show", "ip -s link show"];

/** What was seen in the steps, how many frames were sent, and how long it took. */
export interface Driven {
  readonly frames: Seen[][];
  readonly sent: number;
  readonly stepsMs: number;
  readonly pace: Pace;
}

/** What a comparison showed. */
export interface Comparison {
  readonly frames: number;
  readonly difference: Difference | null;
}

/** Sends the frames of the case and collects what is seen. */
export function drive(one: Case, side: Side): Driven {
  const started = performance.now();
  const peers = new Peers(one);
  const watch = new Watch(side);
  const frames: Seen[][] = [];
  for (const step of one.steps) {
    if (step.restMs !== undefined) watch.rest(step.restMs);
    const first = sendingOf(step, peers);
    const seen = exchange(watch, peers, first === null ? [] : [first]);
    if (one.pauseMs !== undefined) {
      watch.rest(one.pauseMs);
      seen.push(...exchange(watch, peers, []));
    }
    frames.push(seen);
  }
  const stepsMs = performance.now() - started;
  if (one.afterMs !== undefined) {
    watch.rest(one.afterMs);
    frames.at(-1)?.push(...exchange(watch, peers, []));
  }
  return { frames, sent: peers.sent, stepsMs, pace: watch.pace };
}

/** Drives a side by the clock on the wall. */
class Watch {
  readonly pace = { gapsMs: [] as number[], restsMs: [] as number[] };
  private readonly side: Side;
  private since = 0;

  constructor(side: Side) {
    this.side = side;
  }

  inject(dev: string, frame: Uint8Array): void {
    const now = performance.now();
    if (this.since > 0) this.pace.gapsMs.push(now - this.since);
    this.since = now;
    this.side.inject(dev, frame);
  }

  rest(ms: number): void {
    const before = performance.now();
    this.side.rest(ms);
    const took = performance.now() - before;
    this.pace.restsMs.push(took);
    if (this.since > 0) this.since += took;
  }

  collect(): Seen[] {
    return this.side.collect();
  }
}

/** Sends frames, and the ARP answers to what comes back. */
function exchange(side: Watch, peers: Peers, sendings: readonly Sending[]): Seen[] {
  const seen: Seen[] = [];
  let due = sendings;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    for (const { dev, frame } of due) side.inject(dev, frame);
    peers.sent += due.length;
    const arrived = side.collect();
    seen.push(...arrived);
    due = peers.hear(arrived);
    if (due.length === 0) break;
  }
  return seen;
}

function sendingOf({ at, frame, answer }: Step, peers: Peers): Sending | null {
  const sending =
    answer !== undefined ? peers.answer(answer) : { dev: at ?? "", frame: fromHex(frame ?? "") };
  return sending === null || sending.frame.length > MAX_FRAME ? null : sending;
}

function askAll(one: Case, side: Side): Map<string, string> {
  const texts = new Map<string, string>();
  for (const ns of one.namespaces) {
    const answers = side.ask(ns, QUESTIONS);
    QUESTIONS.forEach((question, i) => {
      texts.set(`${ns}: ${question}`, answers[i]);
    });
  }
  return texts;
}

function observeReal(one: Case): Observation & Driven {
  const side = new RealSide(one);
  try {
    const start = performance.now();
    const seen = drive(one, side);
    pause(BEFORE_TEXT_MS);
    const texts = askAll(one, side);
    const brisk = one.afterMs !== undefined;
    const tooSlow = performance.now() - start > (brisk ? BRISK_LIMIT_MS : LIMIT_MS);
    if (tooSlow || (brisk && seen.stepsMs > BRISK_MS))
      throw new TooSlowError("the case took longer than a timer of the kernel");
    return { ...seen, texts, failure: null };
  } finally {
    side.close();
  }
}

function observeMesh(one: Case, seed: number, pace: Pace): Observation {
  try {
    const side = new MeshSide(one, seed, pace);
    const seen = drive(one, side);
    const texts = askAll(one, side);
    side.close();
    return { ...seen, texts, failure: null };
  } catch (error) {
    const failure = (error as Error).stack ?? String(error);
    return { frames: [], sent: 0, texts: new Map(), failure };
  }
}

/** How often a case must differ in a row. */
const LOOKS = 10;

/**
 * A difference of a case, null when both sides agree. One that is there only sometimes (the kernel drew a number that a
 * station uses, or a rate limit was met at a hair's breadth) is none. Throws TooSlowError, and Error for a case that the kernel
 * refuses.
 */
export function runCase(one: Case): Comparison {
  let seen = runOnce(one, 1);
  for (let look = 2; look <= LOOKS && seen.difference !== null; look++) seen = runOnce(one, look);
  return seen;
}

/** As {@link runCase}, but with one look only: for shrinking. */
export function runOnce(one: Case, seed: number): Comparison {
  for (let attempt = 1; ; attempt++) {
    try {
      const real = observeReal(one);
      return {
        frames: real.sent,
        difference: firstDifference(one, real, observeMesh(one, seed, real.pace)),
      };
    } catch (error) {
      if (!(error instanceof TooSlowError) || attempt === ATTEMPTS) throw error;
    }
  }
}
