/** What the real kernel and meshwire have in common for the comparison. */

/** A frame as a packet socket shows it. */
export interface Seen {
  readonly ns: string;
  readonly dev: string;
  readonly outgoing: boolean;
  readonly bytes: Uint8Array;
}

/** How long a case took by the clock on the wall: numbers of TCP and rate limits go by it. */
export interface Pace {
  /** From each frame that was sent to the next, without the rests between. */
  readonly gapsMs: readonly number[];
  readonly restsMs: readonly number[];
}

export const NO_PACE: Pace = { gapsMs: [], restsMs: [] };

/** The real machine was too busy. */
export class TooSlowError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "TooSlowError";
  }
}

export interface Side {
  /** Sends a frame out of an interface of the world and lets the machine come to rest. */
  inject(dev: string, frame: Uint8Array): void;
  /** Lets time pass. */
  rest(ms: number): void;
  /** What was seen since the last call, in order within each namespace. */
  collect(): Seen[];
  /** Text of commands that ask, in a namespace. */
  ask(ns: string, questions: readonly string[]): string[];
  close(): void;
}
