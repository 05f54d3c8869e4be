/**
 * A task that holds an address for a container outside of the services (daemon/cluster/executor/container/attachment.go):
 * brings the network to this node, tells the engine the address, and runs until the container leaves the network.
 */
import { type Co, sleep } from "../../host/process.ts";
import type { TaskObject } from "../manager/objects.ts";
import type { RunnerHost } from "./task-runner.ts";

const POLL_NS = 50_000_000;
const WAIT_NS = 30_000_000_000;

export class NetworkAttacher {
  private readonly host: RunnerHost;
  private readonly task: TaskObject;

  constructor(host: RunnerHost, task: TaskObject) {
    this.host = host;
    this.task = task;
    host.report(task.id, { state: "accepted", message: "accepted" });
    host.report(task.id, { state: "preparing", message: "preparing" });
    host.engine.daemon.go(() => this.run());
  }

  /** Nothing about an attachment can change. */
  update(_task: TaskObject): void {}

  neededNetworks(): string[] {
    return this.task.networks.map(({ networkId }) => networkId);
  }

  private *run(): Co<void> {
    const host = this.host;
    const task = this.task;
    const { engine } = host;
    const [{ networkId, addr }] = task.networks;
    for (let waitedNs = 0; host.balancerAddr(networkId) === undefined; waitedNs += POLL_NS) {
      if (waitedNs >= WAIT_NS) {
        const err = "node is missing network attachments, ip addresses may be exhausted";
        host.report(task.id, { state: "rejected", message: "preparing", err });
        return;
      }
      yield* sleep(POLL_NS);
    }
    const network = host.network(networkId);
    if (network !== undefined) yield* engine.controller.createOverlay(network, host.balancerAddr(networkId)!);
    host.report(task.id, { state: "ready", message: "prepared" });
    host.report(task.id, { state: "starting", message: "starting" });
    engine.attachers.granted(task.id, networkId, addr);
    host.report(task.id, { state: "running", message: "started" });
  }
}
