/**
 * Two stations talk TCP through a router that tracks connections, and nearly nothing they say is right: windows and their
 * scales, selective acknowledgements, what is out of order, out of the window, or repeated; connections opened from both
 * sides, in the middle, or again.
 */
import type { Prng } from "../../../src/util/prng.ts";
import type { Answer } from "../case.ts";

type Turn = Omit<Answer, "back">;

const FAR = [-200_000, -70_000, -1500, -40, -1, 1, 20, 40, 1500, 29_200, 70_000, 200_000];

function data(prng: Prng): Turn {
  return { flags: prng.pick(["PA", "A", "PA"]), payload: 1 + prng.below(200) };
}

function sacked(prng: Prng): Turn {
  const first = prng.pick([-100, 10, 100, 1500, 40_000]);
  const second = prng.below(2) === 0 ? [] : [first + 500, first + 700];
  return { flags: "A", payload: 0, sack: [first, first + prng.pick([-50, 100, 200]), ...second] };
}

const TURNS: readonly (readonly [weight: number, make: (prng: Prng) => Turn])[] = [
  [8, data],
  [6, () => ({ flags: "A", payload: 0 })],
  [3, (prng) => ({ ...data(prng), shift: prng.pick(FAR) })],
  [3, (prng) => ({ flags: "A", payload: 0, ackShift: prng.pick(FAR) })],
  [3, sacked],
  [3, (prng) => ({ flags: "A", payload: 0, window: prng.pick([0, 0, 1, 100, 65_535]) })],
  [2, (prng) => ({ flags: "FA", payload: prng.pick([0, 0, 10]) })],
  [1, (prng) => ({ flags: "FA", payload: 0, shift: prng.pick(FAR) })],
  [2, (prng) => ({ flags: "R", payload: 0, shift: prng.pick([0, 0, ...FAR]) })],
  [
    1,
    (prng) => ({ flags: "RA", payload: 0, shift: prng.pick([0, ...FAR]), ackShift: prng.pick([0, ...FAR]) }),
  ],
  [
    2,
    (prng) => ({
      flags: "S",
      payload: 0,
      shift: prng.pick([0, 0, ...FAR]),
      scale: prng.pick([-1, 0, 7, 14, 200]),
    }),
  ],
  [
    2,
    (prng) => ({ flags: "SA", payload: 0, shift: prng.pick([0, 0, ...FAR]), scale: prng.pick([-1, 2, 9]) }),
  ],
  [
    1,
    (prng) => ({ flags: prng.pick(["", "FPU", "SF", "SR", "U", "UA", "F", "FU", "SU", "ECA"]), payload: 0 }),
  ],
];

const TOTAL = TURNS.reduce((sum, [weight]) => sum + weight, 0);

function turn(prng: Prng): Turn {
  let at = prng.below(TOTAL);
  for (const [weight, make] of TURNS) {
    at -= weight;
    if (at < 0) return make(prng);
  }
  return data(prng);
}

/** How a connection comes about: the usual way, from both sides at once, or with something missing. */
function opening(prng: Prng): Turn[] {
  const scale = prng.pick([-1, 0, 2, 7, 14]);
  const synAck: Turn = { flags: "SA", payload: 0, scale };
  const ack: Turn = { flags: "A", payload: 0 };
  return prng.pick([
    [synAck, ack],
    [synAck, ack],
    [synAck, ack, data(prng), ack],
    [{ flags: "S", payload: 0, scale }, synAck, ack],
    [ack, synAck],
    [{ flags: "RA", payload: 0 }],
    [synAck],
    [],
  ]);
}

/** The segments behind the first: most of them about the last packet that came, so that the sides take turns. */
export function segments(prng: Prng): Answer[] {
  const answers: Answer[] = opening(prng).map((one) => ({ back: 0, ...one }));
  for (let i = prng.below(14); i > 0; i--)
    answers.push({ back: prng.pick([0, 0, 0, 1, 1, 2]), ...turn(prng) });
  return answers;
}
