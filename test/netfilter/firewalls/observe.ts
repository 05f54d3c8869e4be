/** Sends the packets of a firewall's case into one side and collects what comes out, between them the node's commands. */
import { type Step, WORLD } from "../../oracle/case.ts";
import { fromHex, hexOf } from "../../oracle/packet.ts";
import { Peers, type Sending } from "../../oracle/peers.ts";
import type { Observation } from "../../oracle/run-case.ts";
import type { Seen, Side } from "../../oracle/side.ts";
import { type FirewallCase, NODE } from "./node.ts";

const MAX_ROUNDS = 8;
const QUESTIONS = ["iptables-save -c", "conntrack -L 2>/dev/null"];

/** What a golden file holds. */
export interface Golden {
  /** By step: `DEVICE HEX` of what the node sent. */
  readonly frames: readonly (readonly string[])[];
  readonly sent: number;
  readonly texts: Readonly<Record<string, string>>;
}

export function observe({ one, commands }: FirewallCase, side: Side): Observation {
  const peers = new Peers(one);
  const frames = one.steps.map((step, i) => {
    const lines = commands.get(i) ?? [];
    if (lines.length > 0) side.ask(NODE, lines);
    return exchange(side, peers, step).filter(({ ns, outgoing }) => ns === WORLD && !outgoing);
  });
  const answers = side.ask(NODE, QUESTIONS);
  const texts = new Map(QUESTIONS.map((question, i) => [`${NODE}: ${question}`, answers[i]]));
  return { frames, sent: peers.sent, texts, failure: null };
}

function exchange(side: Side, peers: Peers, { at, frame, answer }: Step): Seen[] {
  const first = answer === undefined ? { dev: at ?? "", frame: fromHex(frame ?? "") } : peers.answer(answer);
  const seen: Seen[] = [];
  let due: Sending[] = first === null ? [] : [first];
  for (let round = 0; round < MAX_ROUNDS && due.length > 0; round++) {
    for (const sending of due) side.inject(sending.dev, sending.frame);
    peers.sent += due.length;
    const arrived = side.collect();
    seen.push(...arrived);
    due = peers.hear(arrived);
  }
  return seen;
}

export function toGolden({ frames, sent, texts }: Observation): Golden {
  const line = ({ dev, bytes }: Seen): string => `${dev} ${hexOf(bytes)}`;
  return { frames: frames.map((seen) => seen.map(line)), sent, texts: Object.fromEntries(texts) };
}

export function fromGolden({ frames, sent, texts }: Golden): Observation {
  const seen = (line: string): Seen => {
    const [dev, hex] = line.split(" ");
    return { ns: WORLD, dev, outgoing: false, bytes: fromHex(hex) };
  };
  return {
    frames: frames.map((step) => step.map(seen)),
    sent,
    texts: new Map(Object.entries(texts)),
    failure: null,
  };
}
