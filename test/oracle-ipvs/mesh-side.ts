/** meshwire's side of the IPVS oracle: the same director as a namespace of a machine, its cards ending in the test. */
import type { Lab, LabSpec } from "../../src/lab.ts";
import { devQueueXmit } from "../../src/net/core/dev.ts";
import type { NetDevice, Tap } from "../../src/net/core/net-device.ts";
import type { NetNs } from "../../src/net/core/net-ns.ts";
import type { Skb } from "../../src/net/core/skb.ts";
import { linkAdd, linkSetUp } from "../../src/net/ctl/link.ts";
import { UdpSock } from "../../src/net/ipv4/udp-sock.ts";
import { LiveLab } from "../../src/scenario/live-lab.ts";
import { MS } from "../../src/sim/sim.ts";
import { NO_PINS } from "../../src/swarm/pins.ts";
import { restoreText } from "../../src/tools/iptables/restore.ts";
import { procNetIpvs } from "../../src/tools/ipvsadm/proc.ts";
import { SysError } from "../../src/util/errors.ts";
import { fromHex, hexOf, pattern } from "../oracle/packet.ts";
import type { Answer, Case, Step } from "./case.ts";
import { addressNumber, icmpFrame, receiverOf, replyFrames } from "./frames.ts";

/** Time of a step when nobody says how long the real one took; above a tick of either kernel. */
const STEP_MS = 25;
/** The estimator's period and some more. */
const TICK_LIMIT_MS = 2500;
const MACHINE = "m";
const DIRECTOR = "d";
const STATS = "ip_vs_stats";

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

export class MeshSide {
  readonly live: LiveLab;
  private readonly lab: Lab;
  private readonly director: NetNs;
  private readonly seen: [number, Uint8Array][] = [];
  private readonly delivered = new Map<string, [number, Uint8Array]>();
  private readonly sockets = new Map<number, UdpSock>();

  constructor(one: Case) {
    this.live = new LiveLab({ ...SPEC, seed: one.seed }, new Map(), false);
    this.lab = this.live.lab;
    const { kernel, hostNs } = this.lab.machine(MACHINE);
    const director = kernel.createNs(DIRECTOR, "");
    this.director = director;
    for (let i = 0; i < one.cards; i++) {
      const peerAddress = { hi: 0x0200, lo: 0x0100 + i };
      linkSetUp(
        linkAdd(hostNs, { kind: "veth", name: `t${i}`, peer: `eth${i}`, peerNs: director, peerAddress }),
      );
    }
    for (const line of one.ip) this.must(`ip ${line}`);
    restoreText(director, one.restore);
    for (const [name, value] of one.sysctl) director.sysctl.set(name, value);
    for (const line of one.services) this.must(`ipvsadm ${line}`);
    this.lab.wait(MS);
    for (let i = 0; i < one.cards; i++) hostNs.device(`t${i}`)!.tap = new FrameTap(i, this.seen);
  }

  /** Does a step and lets `ms` pass. */
  step(step: Step, ms = STEP_MS): Answer {
    const end = this.lab.sim.now + ms * MS;
    const answer = this.act(step);
    const left = Math.round(end - this.lab.sim.now);
    if (left > 0 && step.kind !== "tick" && step.kind !== "wait") this.lab.wait(left);
    return answer ?? (this.sends(step) ? this.frames(step) : null);
  }

  /** Buffers that somebody still holds when all is over. */
  close(): number {
    this.lab.wait(2_000_000 * MS);
    return this.lab.pool.outstanding;
  }

  private act(step: Step): Answer {
    switch (step.kind) {
      case "run":
      case "ask":
        return this.command(step.run);
      case "wait":
        this.lab.wait(step.seconds * 1000 * MS);
        return null;
      case "tick":
        this.tick();
        return null;
      case "local":
        this.sendLocal(step);
        return null;
      case "send":
        for (const frame of step.frames) this.inject(step.card, fromHex(frame));
        return null;
      default:
        this.answer(step);
        return null;
    }
  }

  /** Whether frames may come of it: not when there was nothing to answer. */
  private sends(step: Step): boolean {
    if (step.kind === "send" || step.kind === "local") return true;
    return (step.kind === "reply" || step.kind === "icmp") && this.delivered.has(step.flow + step.at);
  }

  private answer(step: Extract<Step, { kind: "reply" | "icmp" }>): void {
    const got = this.delivered.get(step.flow + step.at);
    if (got === undefined) return;
    const [card, frame] = got;
    const frames = step.kind === "reply" ? replyFrames(frame, step) : [icmpFrame(frame, step)];
    for (const bytes of frames) this.inject(card, bytes);
  }

  private sendLocal({ sport, dst, dport, size }: Extract<Step, { kind: "local" }>): void {
    let sock = this.sockets.get(sport);
    if (sock === undefined) {
      sock = new UdpSock(this.director);
      sock.bind(0, sport);
      this.sockets.set(sport, sock);
    }
    try {
      sock.send(pattern(size, 1), addressNumber(dst), dport);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
    }
  }

  private tick(): void {
    const before = procNetIpvs(this.director, STATS);
    for (let ms = 0; ms < TICK_LIMIT_MS && procNetIpvs(this.director, STATS) === before; ms++)
      this.lab.wait(MS);
  }

  private must(run: string): void {
    const { status, out } = this.command(run);
    if (status !== 0) throw new Error(`meshwire: status ${status}\n${out}\n${run}`);
  }

  private command(run: string): { status: number; out: string } {
    const { status, text } = this.live.shell(MACHINE, run, DIRECTOR);
    return { status, out: text };
  }

  private inject(card: number, frame: Uint8Array): void {
    const skb = this.lab.pool.from(frame);
    skb.dev = this.lab.machine(MACHINE).hostNs.device(`t${card}`)!;
    devQueueXmit(skb);
  }

  private frames(step: Step): Answer {
    const flow = "flow" in step ? step.flow : "";
    const frames = this.seen.splice(0);
    for (const [card, bytes] of frames) {
      const receiver = receiverOf(bytes);
      if (receiver !== null) this.delivered.set(flow + receiver, [card, bytes]);
    }
    return frames.map(([card, bytes]) => [card, hexOf(bytes)] as const).sort((a, b) => a[0] - b[0]);
  }
}
