/** meshwire: the same namespaces on one machine of a lab, made by the same command lines in its own shell. */
import type { LabSpec } from "../../src/lab.ts";
import { devQueueXmit } from "../../src/net/core/dev.ts";
import type { NetDevice, Tap } from "../../src/net/core/net-device.ts";
import type { NetNs } from "../../src/net/core/net-ns.ts";
import type { Skb } from "../../src/net/core/skb.ts";
import { LiveLab } from "../../src/scenario/live-lab.ts";
import { MS, US } from "../../src/sim/sim.ts";
import { NO_PINS } from "../../src/swarm/pins.ts";
import { allNamespaces, type Case, type Command, type Listener, WORLD } from "./case.ts";
import { serverProgram } from "./mesh-server.ts";
import { NO_PACE, type Pace, type Seen, type Side } from "./side.ts";

const MACHINE = "m";
/** Virtual time that a frame gets to come to rest at least: about what it takes in reality, far below every rate limit. */
const STEP_NS = 200 * US;
/** The same where servers wake up and answer. */
const SERVED_STEP_NS = 500 * US;
/** And at most, however long the real machine was busy with something else. */
const LONGEST_STEP_NS = 5 * MS;
const DRAIN_NS = 60_000 * MS;

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
  readonly ns: string;
  readonly seen: Seen[];

  constructor(ns: string, seen: Seen[]) {
    this.ns = ns;
    this.seen = seen;
  }

  frame(dev: NetDevice, skb: Skb, frameOff: number, outgoing: boolean): void {
    const bytes = skb.bytes.slice(frameOff, skb.tail);
    this.seen.push({ ns: this.ns, dev: dev.name, outgoing, bytes });
  }
}

export class MeshSide implements Side {
  private readonly live: LiveLab;
  private readonly world: NetNs;
  private readonly serves: boolean;
  private readonly stepNs: number;
  private readonly pace: Pace;
  private injected = 0;
  private rested = 0;
  /** How far the virtual clock is ahead of the other side's, ns. */
  private aheadNs = 0;
  private readonly seen: Seen[] = [];

  /** `pace`: that of the other side, which this one keeps. */
  constructor(one: Case, seed: number, pace = NO_PACE) {
    this.live = new LiveLab({ ...SPEC, seed }, new Map(), false);
    this.serves = one.listeners.length > 0;
    this.stepNs = one.listeners.some(({ does }) => does !== undefined) ? SERVED_STEP_NS : STEP_NS;
    this.pace = pace;
    const machine = this.live.lab.machine(MACHINE);
    machine.kernel.bridgeNetfilter = true;
    for (const name of allNamespaces(one)) this.run({ ns: "host", run: `ip netns add ${name}` });
    for (const command of one.setup) this.run(command);
    for (const command of one.rules) this.run(command);
    for (const listener of one.listeners) this.listen(listener);
    this.world = machine.netns(WORLD);
    this.live.lab.wait(STEP_NS);
    for (const name of allNamespaces(one))
      for (const dev of machine.netns(name).devices()) dev.tap = new FrameTap(name, this.seen);
  }

  inject(devName: string, frame: Uint8Array): void {
    const { lab } = this.live;
    const skb = lab.pool.from(frame);
    skb.dev = this.world.device(devName)!;
    devQueueXmit(skb);
    const gapNs = Math.round((this.pace.gapsMs[this.injected++] ?? this.stepNs / MS) * MS);
    const stepNs = Math.min(Math.max(this.stepNs, gapNs - this.aheadNs), LONGEST_STEP_NS);
    this.aheadNs += stepNs - gapNs;
    lab.wait(stepNs);
  }

  rest(ms: number): void {
    const askedNs = Math.round((this.pace.restsMs[this.rested++] ?? ms) * MS);
    const restNs = Math.max(askedNs - this.aheadNs, 0);
    this.aheadNs += restNs - askedNs;
    this.live.lab.wait(restNs);
  }

  collect(): Seen[] {
    return this.seen.splice(0);
  }

  ask(ns: string, questions: readonly string[]): string[] {
    return questions.map((run) => this.run({ ns, run }));
  }

  /** Lets every queue of neighbours and fragments time out; then nobody may hold a packet, unless a server does. */
  close(): void {
    const { lab } = this.live;
    lab.wait(DRAIN_NS);
    if (!this.serves && lab.pool.outstanding !== 0) throw new Error(`${lab.pool.outstanding} packets leaked`);
  }

  private run({ ns, run }: Command): string {
    const words = run.replace(/@([a-z]\w*)/g, "$1");
    const { status, stdout, stderr } = this.live.shell(MACHINE, words, ns);
    if (status !== 0) throw new Error(`meshwire ${ns}: status ${status}\n${stderr}\n${run}`);
    return stdout;
  }

  private listen(listener: Listener): void {
    const machine = this.live.lab.machine(MACHINE);
    machine.spawn("server", machine.netns(listener.ns), serverProgram(listener));
    this.live.lab.wait(MS);
  }
}
