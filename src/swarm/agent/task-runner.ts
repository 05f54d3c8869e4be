/**
 * One task on its node (swarmkit agent/exec/controller.go, daemon/cluster/executor/container): accepted, prepared,
 * started, watched, shut down, removed. How long each step takes is drawn from a random stream.
 */
import type { Co } from "../../host/process.ts";
import { after } from "../clock.ts";
import type { Container } from "../container.ts";
import { DockerError } from "../docker-error.ts";
import type { Engine } from "../engine.ts";
import type { StatusReport } from "../manager/dispatcher.ts";
import { isTerminal, type NetworkObject, stateRank, type TaskObject } from "../manager/objects.ts";

const MS = 1_000_000;
const ATTACHMENT_WAIT_NS = 30_000_000_000;
const ATTACHMENT_POLL_NS = 50 * MS;
/** Between "no new connections" and the stop: gossip must have told everybody. */
const GOSSIP_CONVERGE_NS = 2_000_000_000;
/** Until the engine hears that a process has ended: its sockets close in a network that still stands. */
const EXIT_EVENT_NS = 100 * MS;
/** Distance between tasks whose order of starting is pinned. */
const PINNED_STEP_NS = 500 * MS;

/** What a runner needs of its agent. */
export interface RunnerHost {
  readonly engine: Engine;
  /** Load-balancer address of this node on a network; undefined while it has none. */
  balancerAddr(networkId: string): number | undefined;
  network(networkId: string): NetworkObject | undefined;
  report(taskId: string, status: StatusReport): void;
  removed(taskId: string): void;
  removeUnusedNetworks(): void;
}

type Phase = "preparing" | "prepared" | "starting" | "running" | "stopping" | "ended";

export class TaskRunner {
  private readonly host: RunnerHost;
  private task: TaskObject;
  private phase: Phase = "preparing";
  private container: Container | null = null;
  private removing = false;
  private readonly delays: { readonly prepareNs: number; readonly startNs: number };

  constructor(host: RunnerHost, task: TaskObject) {
    this.host = host;
    this.task = task;
    this.delays = this.drawDelays();
    this.report({ state: "accepted", message: "accepted" });
    this.report({ state: "preparing", message: "preparing" });
    this.prepare(0);
  }

  /** The manager's wish may have changed. */
  update(task: TaskObject): void {
    this.task = task;
    if (task.desired === "remove") this.removing = true;
    if (stateRank(task.desired) > stateRank("running")) this.shutdown();
    else if (task.desired === "running" && this.phase === "prepared") this.start();
  }

  /** Networks that must stay on this node for this task. */
  neededNetworks(): string[] {
    return this.phase === "ended" ? [] : this.task.networks.map(({ networkId }) => networkId);
  }

  private prepare(waitedNs: number): void {
    if (this.phase !== "preparing") return;
    const missing = this.task.networks.some(
      ({ networkId }) => this.host.balancerAddr(networkId) === undefined,
    );
    if (missing) {
      if (waitedNs >= ATTACHMENT_WAIT_NS)
        this.reject("node is missing network attachments, ip addresses may be exhausted");
      else this.later(ATTACHMENT_POLL_NS, () => this.prepare(waitedNs + ATTACHMENT_POLL_NS));
      return;
    }
    this.host.engine.daemon.go(() => this.createNetworks());
  }

  private *createNetworks(): Co<void> {
    const { engine } = this.host;
    if (engine.findImage(this.task.spec.image) !== null)
      for (const { networkId } of this.networkOrder()) yield* this.createNetwork(networkId);
    this.later(this.delays.prepareNs, () => engine.daemon.go(() => this.pull()));
  }

  /** The networks of a task are kept in a Go map: which comes first is chance, unless a pin says. */
  private networkOrder(): TaskObject["networks"][number][] {
    const { id, networks } = this.task;
    const { fabric, prng } = this.host.engine;
    const list = prng.stream(`networks of ${id}`).shuffle([...networks]);
    const order = fabric.pins.task(this.task)?.networks ?? [];
    const rank = (networkId: string): number => {
      const i = order.indexOf(this.host.network(networkId)?.name ?? "");
      return i < 0 ? order.length : i;
    };
    return list.sort((a, b) => rank(a.networkId) - rank(b.networkId));
  }

  /** The registry is asked even for an image that is here; what it does not give is taken from the machine. */
  private *pull(): Co<void> {
    const { engine } = this.host;
    yield* engine.registry.reach();
    if (engine.findImage(this.task.spec.image) === null)
      this.reject(`No such image: ${this.task.spec.image}`);
    else this.prepared();
  }

  private *createNetwork(networkId: string): Co<void> {
    const network = this.host.network(networkId);
    if (network !== undefined)
      yield* this.host.engine.controller.createOverlay(network, this.host.balancerAddr(networkId)!);
  }

  private prepared(): void {
    if (this.phase !== "preparing") return;
    try {
      this.container = this.host.engine.createTaskContainer(this.task);
    } catch (error) {
      if (!(error instanceof DockerError)) throw error;
      this.reject(error.message);
      return;
    }
    this.phase = "prepared";
    this.report({ state: "ready", message: "prepared", containerId: this.container.id });
    if (this.task.desired === "running") this.start();
  }

  private start(): void {
    this.phase = "starting";
    this.report({ state: "starting", message: "starting" });
    this.later(this.delays.startNs, () => this.started());
  }

  private started(): void {
    if (this.phase !== "starting") return;
    const container = this.container!;
    container.onExit = (code) => this.later(EXIT_EVENT_NS, () => this.exited(code));
    const error = this.host.engine.startContainer(container);
    if (error !== null) {
      this.phase = "ended";
      this.report({ state: "failed", message: "starting", err: error });
      return;
    }
    this.phase = "running";
    this.activate(container);
  }

  /** Opens one network after the other to the service's clients; the task runs when all are open. */
  private activate(container: Container): void {
    if (this.phase !== "running") return;
    const { agent } = this.host.engine.controller;
    const waitNs = agent?.enableNext(container.sandbox!) ?? null;
    if (waitNs === null) this.report({ state: "running", message: "started", pid: container.pid });
    else if (waitNs === 0) this.activate(container);
    else this.later(waitNs, () => this.activate(container));
  }

  /** The container ended by itself. */
  private exited(code: number): void {
    if (this.phase !== "running") return;
    this.phase = "ended";
    this.host.engine.releaseSandbox(this.container!);
    if (code === 0) this.report({ state: "complete", message: "finished", exitCode: 0 });
    else
      this.report({
        state: "failed",
        message: "started",
        err: `task: non-zero exit (${code})`,
        exitCode: code,
      });
    if (this.removing) this.remove();
  }

  private shutdown(): void {
    if (this.phase === "ended") {
      if (this.removing) this.remove();
      else this.host.removeUnusedNetworks();
      return;
    }
    if (this.phase === "stopping") return;
    const wasRunning = this.phase === "running";
    this.phase = "stopping";
    if (!wasRunning) {
      this.stopped();
      return;
    }
    const container = this.container!;
    const { engine } = this.host;
    const balanced = container.sandbox!.endpoints.some((endpoint) => endpoint.service !== null);
    engine.controller.agent?.disableService(container.sandbox!);
    this.later(balanced ? GOSSIP_CONVERGE_NS : 0, () => {
      const heard = (): void => this.later(EXIT_EVENT_NS, () => this.stopped());
      container.onExit = heard;
      container.stop(this.task.spec.stopGraceNs, (delayNs, fn) => this.later(delayNs, fn), heard);
    });
  }

  private stopped(): void {
    if (this.phase === "ended") return;
    if (this.container?.state === "running") return;
    this.phase = "ended";
    if (this.container !== null) this.host.engine.releaseSandbox(this.container);
    this.report({ state: "shutdown", message: "shutdown" });
    this.host.removeUnusedNetworks();
    if (this.removing) this.remove();
  }

  private remove(): void {
    if (this.container !== null) this.host.engine.removeContainer(this.container);
    this.container = null;
    this.host.removed(this.task.id);
  }

  private reject(err: string): void {
    this.phase = "ended";
    this.report({ state: "rejected", message: "preparing", err });
  }

  private report(status: StatusReport): void {
    if (!isTerminal(this.task.status.state)) this.host.report(this.task.id, status);
  }

  private later(delayNs: number, fn: () => void): void {
    const { engine } = this.host;
    after(engine.sim, delayNs, () => {
      if (!engine.halted) fn();
    });
  }

  private drawDelays(): { prepareNs: number; startNs: number } {
    const { fabric, prng } = this.host.engine;
    const pin = fabric.pins.task(this.task)?.starts;
    if (pin !== undefined) return { prepareNs: PINNED_STEP_NS * pin, startNs: PINNED_STEP_NS * pin };
    return { prepareNs: 300 * MS + prng.below(400 * MS), startNs: 400 * MS + prng.below(500 * MS) };
  }
}
