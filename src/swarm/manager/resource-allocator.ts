/**
 * Addresses for containers outside of the services (swarmkit manager/resourceapi/allocator.go): a request to attach becomes
 * a task of the node that asks, without a service, which lives until the container has left the network.
 */
import { newId } from "../ids.ts";
import type { Cluster } from "./cluster.ts";
import { RpcError } from "./control-api.ts";
import { DEFAULT_RESTART, type TaskSpec, unallocated } from "./objects.ts";

export interface AttachRequest {
  readonly containerId: string;
  /** Id or name of the network. */
  readonly target: string;
  /** int32; 0: any. */
  readonly addr: number;
}

/** The id of the task that holds the address, or the refusal. */
export function attachNetwork(cluster: Cluster, nodeId: string, request: AttachRequest): string | RpcError {
  const { store } = cluster;
  const { containerId, target, addr } = request;
  const network = store.networks.get(target) ?? store.networkByName(target);
  if (network === null) return new RpcError("NotFound", `network ${target} not found`);
  if (!network.attachable)
    return new RpcError("PermissionDenied", `network ${target} not manually attachable`);
  const meta = store.newMeta();
  const id = newId(cluster.ids);
  store.tasks.set(id, {
    ...meta,
    id,
    serviceId: "",
    serviceName: "",
    slot: 0,
    generation: 1,
    nodeId,
    spec: attachmentSpec(network.id),
    specVersion: 0,
    specPorts: [],
    specMode: "vip",
    desired: "running",
    ...unallocated(meta.createdNs),
    endpointMode: "vip",
    attachment: { containerId, networkId: network.id, addr },
  });
  store.changed();
  return id;
}

/** The container has left: its address is free again. */
export function detachNetwork(cluster: Cluster, taskId: string): void {
  const { store, networks } = cluster;
  const task = store.tasks.get(taskId);
  if (task === undefined) return;
  networks.releaseTask(task);
  store.tasks.delete(taskId);
  store.changed();
}

/** A task that runs nothing. */
function attachmentSpec(networkId: string): TaskSpec {
  return {
    image: "",
    command: [],
    args: [],
    env: [],
    hostname: "",
    constraints: [],
    preferences: [],
    maxReplicasPerNode: 0,
    networks: [networkId],
    containerLabels: new Map(),
    stopGraceNs: 0,
    restart: DEFAULT_RESTART,
    forceUpdate: 0,
  };
}
