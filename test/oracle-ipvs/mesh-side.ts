/** meshwire's side of the IPVS oracle: the same director as a namespace of a machine, its cards ending in the test. */
import type { Lab, LabSpec } from "../../src/lab.ts";
import { devQueueXmit } from "../../src/net/core/dev.ts";
import type { NetDevice, Tap } from "../../src/net/core/net-device.ts";
import type { Skb } from "../../src/net/core/skb.ts";
import { linkAdd, linkSetUp } from "../../src/net/ctl/link.ts";
import { LiveLab } from "../../src/scenario/live-lab.ts";
import { MS } from "../../src/sim/sim.ts";
import { NO_PINS } from "../../src/swarm/pins.ts";
import { restoreText } from "../../src/tools/iptables/restore.ts";
import { fromHex, hexOf, icmp, ipv4, set16, sum16 } from "../oracle/packet.ts";
import type { Case, Step } from "./case.ts";

/** Output of a command, frames by card, or nothing to answer. */
export type Answer =
  | { readonly status: number; readonly out: string }
  | readonly (readonly [number, string])[]
  | null;

/** Time that a frame gets; above a tick of either kernel. */
const STEP_NS = 25 * MS;
const MACHINE = "m";
const DIRECTOR = "d";

const SPEC: Omit<LabSpec, "seed"> = {
  segments: [],
  machines: [
    {
      name: MACHINE,
      nics: [],
      docker: false,
      forward: false,
      nameservers: [],
      gateway: null,
      sysctl: [],
      ports: [],
    },
  ],
  images: {},
  pins: NO_PINS,
};

class FrameTap implements Tap {
  private readonly card: number;
  private readonly seen: [number, Uint8Array][];

  constructor(card: number, seen: [number, Uint8Array][]) {
    this.card = card;
    this.seen = seen;
  }

  frame(_dev: NetDevice, skb: Skb, frameOff: number, outgoing: boolean): void {
    if (!outgoing) this.seen.push([this.card, skb.bytes.slice(frameOff, skb.tail)]);
  }
}

/** The answer of the station that got `frame`: ends swapped, other flags. */
export function replyTo(frame: Uint8Array, flags: number): Uint8Array {
  const ip = frame.subarray(14);
  const [saddr, daddr] = [ip.subarray(12, 16), ip.subarray(16, 20)];
  const l4 = ip.slice((ip[0] & 15) * 4);
  const old = l4.slice();
  l4.set(old.subarray(2, 4), 0);
  l4.set(old.subarray(0, 2), 2);
  const isTcp = ip[9] === 6;
  if (isTcp) {
    l4.set(old.subarray(8, 12), 4);
    l4.set(old.subarray(4, 8), 8);
    l4[12] = 0x50;
    l4[13] = flags;
    set16(l4, 18, 0);
  }
  const sumAt = isTcp ? 16 : 6;
  set16(l4, sumAt, 0);
  const pseudo = sum16(
    Uint8Array.from([...daddr, ...saddr, 0, ip[9], l4.length >> 8, l4.length & 255]),
    0,
    12,
  );
  const sum = ~sum16(l4, 0, l4.length, pseudo) & 0xffff;
  set16(l4, sumAt, isTcp ? sum : sum || 0xffff);
  return answer(frame, ip[9], l4);
}

/** An ICMP error of the station that got `frame`. */
export function icmpAbout(frame: Uint8Array, type: number, code: number): Uint8Array {
  return answer(frame, 1, icmp(type, code, [0, 0, 5, 0], frame.subarray(14, 42)));
}

function answer(frame: Uint8Array, protocol: number, payload: Uint8Array): Uint8Array {
  const packet = ipv4(
    { src: frame.subarray(30, 34).join("."), dst: frame.subarray(26, 30).join("."), protocol, id: 77 },
    payload,
  );
  return Uint8Array.from([...frame.subarray(6, 12), ...frame.subarray(0, 6), 8, 0, ...packet]);
}

export class MeshSide {
  readonly live: LiveLab;
  private readonly lab: Lab;
  private readonly seen: [number, Uint8Array][] = [];
  private readonly delivered = new Map<string, [number, Uint8Array]>();

  constructor(one: Case) {
    this.live = new LiveLab({ ...SPEC, seed: one.seed }, new Map(), false);
    this.lab = this.live.lab;
    const { kernel, hostNs } = this.lab.machine(MACHINE);
    const director = kernel.createNs(DIRECTOR, "");
    for (let i = 0; i < one.cards; i++) {
      const peerAddress = { hi: 0x0200, lo: 0x0100 + i };
      linkSetUp(
        linkAdd(hostNs, { kind: "veth", name: `t${i}`, peer: `eth${i}`, peerNs: director, peerAddress }),
      );
    }
    for (const line of one.ip) this.command(`ip ${line}`);
    restoreText(director, one.restore);
    for (const [name, value] of one.sysctl) director.sysctl.set(name, value);
    this.lab.wait(MS);
    for (let i = 0; i < one.cards; i++) hostNs.device(`t${i}`)!.tap = new FrameTap(i, this.seen);
  }

  step(step: Step): Answer {
    if (step.kind === "run" || step.kind === "ask") return this.command(step.run);
    if (step.kind === "wait") {
      this.lab.wait(step.seconds * 1000 * MS);
      return null;
    }
    if (step.kind === "send") return this.inject(0, fromHex(step.frame), step.flow);
    const got = this.delivered.get(`${step.flow}${step.at}`);
    if (got === undefined) return null;
    const [card, frame] = got;
    const bytes = step.kind === "reply" ? replyTo(frame, step.flags) : icmpAbout(frame, step.type, step.code);
    if (step.kind === "icmp" && step.damaged === true) bytes[bytes.length - 1] ^= 1;
    return this.inject(card, bytes, step.flow);
  }

  /** Buffers that somebody still holds when all is over. */
  close(): number {
    this.lab.wait(2_000_000 * MS);
    return this.lab.pool.outstanding;
  }

  private command(run: string): { status: number; out: string } {
    const { status, text } = this.live.shell(MACHINE, run, DIRECTOR);
    this.lab.wait(STEP_NS);
    return { status, out: text };
  }

  private inject(card: number, frame: Uint8Array, flow: string): Answer {
    const skb = this.lab.pool.from(frame);
    skb.dev = this.lab.machine(MACHINE).hostNs.device(`t${card}`)!;
    devQueueXmit(skb);
    this.lab.wait(STEP_NS);
    const frames = this.seen.splice(0);
    for (const [at, bytes] of frames)
      if (bytes[23] !== 1) this.delivered.set(`${flow}${at === 0 ? "c" : "b"}`, [at, bytes]);
    return frames.map(([at, bytes]) => [at, hexOf(bytes)] as const).sort((a, b) => a[0] - b[0]);
  }
}
