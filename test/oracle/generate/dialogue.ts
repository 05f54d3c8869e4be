/**
 * A station talks TCP to a server of the machine: opens, sends, acknowledges, closes; also out of order, again, past the
 * window, with no window of its own, with resets.
 */
import type { Prng } from "../../../src/util/prng.ts";
import type { Answer } from "../case.ts";

/** One move: what the next segment is, in terms of the right one. */
type Move = (prng: Prng) => Omit<Answer, "back">;

const plain = (flags: string, payload = 0): Omit<Answer, "back"> => ({ flags, payload });

const MOVES: readonly (readonly [weight: number, move: Move])[] = [
  [6, (prng) => plain("PA", 1 + prng.below(60))],
  // Nothing as long as a full segment: from Linux 6.6 on the window follows from what such ones take in memory.
  [2, (prng) => plain("A", prng.pick([1, 40, 80]))],
  [4, () => plain("A")],
  [2, () => plain("FA")],
  [1, (prng) => plain("FPA", 1 + prng.below(20))],
  [1, () => plain("R")],
  [1, () => plain("RA")],
  [1, () => plain("S")],
  [1, () => plain("SA")],
  // The same again, a part that is known, a gap, beyond the window.
  [2, (prng) => ({ ...plain("PA", 20), shift: prng.pick([-20, -10, -1, 1, 20, 40, 70_000, -70_000]) })],
  [1, (prng) => ({ ...plain("FA"), shift: prng.pick([-1, 1, 20]) })],
  [1, (prng) => ({ ...plain("R"), shift: prng.pick([-1, 1, 100, 100_000]) })],
  // What was acknowledged already, a part, what is long gone; without data, as whether that is taken depends on the memory that
  // the socket holds (sk_forward_alloc). Later kernels than 6.1 answer an ACK of what was never sent.
  [2, (prng) => ({ ...plain("A"), ackShift: prng.pick([-1, -10, -5000]) })],
  [1, () => ({ ...plain("A"), window: 0 })],
  [1, () => ({ ...plain("A"), window: 20 })],
  [1, () => plain("")],
];

const TOTAL = MOVES.reduce((sum, [weight]) => sum + weight, 0);

/**
 * The segments behind the SYN: the end of the handshake, then anything, most of it about the last packet that came. `ecn`: both
 * sides speak of congestion.
 */
export function dialogue(prng: Prng, ecn: boolean): Answer[] {
  const answers: Answer[] = [{ back: 0, ...plain("A") }];
  let reopened = false;
  for (let i = 2 + prng.below(12); i > 0; i--) {
    const right = { back: prng.below(12) === 0 ? 1 : 0, ...move(prng) };
    const answer = ecn ? marked(prng, right) : right;
    // Later kernels than 6.1 answer an inexact reset also before the handshake is over.
    answers.push(reopened && answer.flags === "R" ? { ...answer, shift: 0 } : answer);
    reopened ||= answer.flags === "S";
  }
  return answers;
}

/** Data that could be marked on its way, or was, and segments that tell of marks. */
function marked(prng: Prng, answer: Answer): Answer {
  if (/[SR]/.test(answer.flags)) return answer;
  const flags = answer.flags + prng.pick(["", "", "", "E", "C", "EC"]);
  return answer.payload > 0
    ? { ...answer, flags, tos: prng.pick([2, 2, 2, 3, 3, 1, 0]) }
    : { ...answer, flags };
}

function move(prng: Prng): Omit<Answer, "back"> {
  let at = prng.below(TOTAL);
  for (const [weight, make] of MOVES) {
    at -= weight;
    if (at < 0) return make(prng);
  }
  return plain("A");
}
