/** Runs a case on both sides and says where they differ. */
import type { Case, Step } from "./case.ts";
import { type Difference, firstDifference } from "./compare.ts";
import { MeshSide } from "./mesh-side.ts";
import { fromHex } from "./packet.ts";
import { Peers, type Sending } from "./peers.ts";
import { pause, RealSide } from "./real-side.ts";
import type { Seen, Side } from "./side.ts";

/** What came out of one side. */
export interface Observation {
  /** Frames by step; the first entry belongs to the first step. */
  readonly frames: readonly (readonly Seen[])[];
  /** Text by `NAMESPACE: COMMAND`. */
  readonly texts: ReadonlyMap<string, string>;
  /** Set when the side broke off. */
  readonly failure: string | null;
}

/** A case must be over before the first timer of a second fires. */
const LIMIT_MS = 900;
const ATTEMPTS = 4;
/** Rounds of ARP answers after one frame. */
const MAX_ROUNDS = 8;
const BEFORE_TEXT_MS = 12;

export const QUESTIONS = ["iptables-save -c", "conntrack -L 2>/dev/null", "ip neigh show", "ip -s link show"];

/** The real machine was too busy. */
export class TooSlowError extends Error {
  constructor() {
    super("the case took longer than a timer of the kernel");
    this.name = "TooSlowError";
  }
}

/** Sends the frames of the case and collects what is seen. */
export function drive(one: Case, side: Side): Seen[][] {
  const peers = new Peers(one);
  const frames: Seen[][] = [];
  for (const step of one.steps) {
    const first = sendingOf(step, peers);
    const seen = exchange(side, peers, first === null ? [] : [first]);
    if (one.pauseMs !== undefined) {
      side.rest(one.pauseMs);
      seen.push(...exchange(side, peers, []));
    }
    frames.push(seen);
  }
  return frames;
}

/** Sends frames, and the ARP answers to what comes back. */
function exchange(side: Side, peers: Peers, sendings: readonly Sending[]): Seen[] {
  const seen: Seen[] = [];
  let due = sendings;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    for (const { dev, frame } of due) side.inject(dev, frame);
    const arrived = side.collect();
    seen.push(...arrived);
    due = peers.hear(arrived);
    if (due.length === 0) break;
  }
  return seen;
}

function sendingOf({ at, frame, answer }: Step, peers: Peers): Sending | null {
  if (answer !== undefined) return peers.answer(answer);
  return { dev: at ?? "", frame: fromHex(frame ?? "") };
}

function askAll(one: Case, side: Side): Map<string, string> {
  const texts = new Map<string, string>();
  for (const ns of one.namespaces)
    for (const question of QUESTIONS) texts.set(`${ns}: ${question}`, side.ask(ns, question));
  return texts;
}

function observeReal(one: Case): Observation {
  const side = new RealSide(one);
  try {
    const start = performance.now();
    const frames = drive(one, side);
    pause(BEFORE_TEXT_MS);
    const texts = askAll(one, side);
    if (performance.now() - start > LIMIT_MS) throw new TooSlowError();
    return { frames, texts, failure: null };
  } finally {
    side.close();
  }
}

function observeMesh(one: Case, seed: number): Observation {
  try {
    const side = new MeshSide(one, seed);
    const frames = drive(one, side);
    const texts = askAll(one, side);
    side.close();
    return { frames, texts, failure: null };
  } catch (error) {
    return { frames: [], texts: new Map(), failure: (error as Error).stack ?? String(error) };
  }
}

/**
 * A difference of a case, null when both sides agree. One that is there only sometimes (the kernel drew a number that a
 * station uses) is none. Throws TooSlowError, and Error for a case that the kernel refuses.
 */
export function runCase(one: Case): Difference | null {
  return runOnce(one, 1) === null ? null : runOnce(one, 2);
}

/** As {@link runCase}, but without the second look: for shrinking. */
export function runOnce(one: Case, seed: number): Difference | null {
  for (let attempt = 1; ; attempt++) {
    try {
      return firstDifference(one, observeReal(one), observeMesh(one, seed));
    } catch (error) {
      if (!(error instanceof TooSlowError) || attempt === ATTEMPTS) throw error;
    }
  }
}
