/**
 * Containers outside of the services on networks of the swarm (daemon/cluster/networks.go AttachNetwork, DetachNetwork):
 * the engine asks a manager for an address and waits until this node has the network.
 */
import type { Co } from "../host/process.ts";
import type { Sim } from "../sim/sim.ts";
import { WaitQueue } from "../sim/wait-queue.ts";
import { SysError } from "../util/errors.ts";
import type { DispatcherClient } from "./agent/dispatcher-client.ts";
import { DockerError } from "./docker-error.ts";
import { RpcError } from "./manager/control-api.ts";
import type { AttachRequest } from "./manager/resource-allocator.ts";

const REQUEST_TIMEOUT_NS = 20_000_000_000;
const TIMED_OUT = "context deadline exceeded";

/** The part of the agent that speaks with the manager's resource allocator. */
export type ResourceClient = Pick<DispatcherClient, "attachNetwork" | "detachNetwork">;

/** What a manager has given. */
export interface Grant {
  readonly networkId: string;
  readonly addr: number;
}

export class Attachers {
  private readonly sim: Sim;
  private readonly grants = new Map<string, Grant>();
  /** Task by network and container. */
  private readonly tasks = new Map<string, string>();
  private readonly news = new WaitQueue();

  constructor(sim: Sim) {
    this.sim = sim;
  }

  /** An address for a container on the network `target`. DockerError: refused, or not in time. */
  *attach(client: ResourceClient, request: AttachRequest): Co<Grant> {
    const deadlineNs = this.sim.now + REQUEST_TIMEOUT_NS;
    const taskId = yield* this.request(client, request, deadlineNs);
    for (;;) {
      const grant = this.grants.get(taskId);
      if (grant !== undefined) {
        this.tasks.set(`${grant.networkId} ${request.containerId}`, taskId);
        return grant;
      }
      if (this.sim.now >= deadlineNs) break;
      yield { queues: [this.news], timeoutNs: deadlineNs - this.sim.now };
    }
    client.detachNetwork(taskId);
    throw new DockerError(
      `attaching to network failed, make sure your network options are correct and check manager logs: ${TIMED_OUT}`,
    );
  }

  /** The task has its network here. */
  granted(taskId: string, networkId: string, addr: number): void {
    this.grants.set(taskId, { networkId, addr });
    this.news.wake();
  }

  /** The container has left the network. */
  detach(client: ResourceClient | null, networkId: string, containerId: string): void {
    const key = `${networkId} ${containerId}`;
    const taskId = this.tasks.get(key);
    if (taskId === undefined) return;
    this.tasks.delete(key);
    this.grants.delete(taskId);
    client?.detachNetwork(taskId);
  }

  private *request(client: ResourceClient, request: AttachRequest, deadlineNs: number): Co<string> {
    try {
      return yield* client.attachNetwork(request, deadlineNs);
    } catch (error) {
      if (!(error instanceof RpcError) && !(error instanceof SysError)) throw error;
      const why = error instanceof RpcError ? error.message : TIMED_OUT;
      throw new DockerError(`Could not attach to network ${request.target}: ${why}`);
    }
  }
}
