/**
 * Objects of the cluster store (swarmkit api/objects.proto, specs.proto, types.proto). Addresses are int32; times are
 * virtual nanoseconds.
 */

export interface Meta {
  /** Raft index of the last change. */
  version: number;
  createdNs: number;
  updatedNs: number;
}

export type Role = "worker" | "manager";
export type Availability = "active" | "pause" | "drain";
export type NodeState = "unknown" | "down" | "ready" | "disconnected";

export interface NodeObject extends Meta {
  readonly id: string;
  role: Role;
  availability: Availability;
  readonly labels: Map<string, string>;
  readonly hostname: string;
  state: NodeState;
  message: string;
  /** Address as the managers see it. */
  addr: number;
  /** Load-balancer address by network id, in the order of allocation. */
  readonly attachments: Map<string, number>;
  readonly cpus: number;
  readonly memoryBytes: number;
}

export interface NetworkObject extends Meta {
  readonly id: string;
  readonly name: string;
  readonly driver: string;
  readonly ingress: boolean;
  readonly attachable: boolean;
  readonly internal: boolean;
  readonly labels: Map<string, string>;
  /** Driver options as the user gave them (`encrypted`, `com.docker.network.driver.mtu`). */
  readonly options: Map<string, string>;
  /** As asked for; null: the allocator chooses. */
  readonly wantedSubnet: { addr: number; prefixLen: number } | null;
  readonly wantedGateway: number | null;
  /** Filled by the allocator; prefixLen 0 until then. */
  subnet: number;
  prefixLen: number;
  gateway: number;
  vni: number;
}

export type Protocol = "tcp" | "udp" | "sctp";

export interface PortConfig {
  readonly protocol: Protocol;
  readonly targetPort: number;
  /** 0: the allocator (ingress) or the node (host) chooses. */
  readonly publishedPort: number;
  readonly mode: "ingress" | "host";
  /** Address of the host that a container's port is bound to; absent: all of them. */
  readonly hostIp?: number;
  /** The node takes the first free port from `publishedPort` to this one. */
  readonly publishedLast?: number;
}

export interface RestartPolicy {
  readonly condition: "none" | "on-failure" | "any";
  readonly delayNs: number;
  /** 0: no limit. */
  readonly maxAttempts: number;
}

export interface UpdateConfig {
  readonly parallelism: number;
  readonly delayNs: number;
  readonly failureAction: "pause" | "continue" | "rollback";
  readonly monitorNs: number;
  readonly maxFailureRatio: number;
  readonly order: "stop-first" | "start-first";
}

/** A folder of the container that lies elsewhere (api/types/mount). */
export interface Mount {
  readonly type: "volume" | "bind" | "tmpfs";
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

/** 0: none. */
export interface ResourceLimits {
  readonly nanoCpus: number;
  readonly memoryBytes: number;
}

export interface TaskSpec {
  readonly image: string;
  /** Replaces the image's entry point; empty: not given. */
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly hostname: string;
  readonly constraints: readonly string[];
  /** `node.labels.x` of `spread=`. */
  readonly preferences: readonly string[];
  readonly maxReplicasPerNode: number;
  /** Network ids, in the order given. */
  readonly networks: readonly string[];
  /** Other names of the service, by the network's id. */
  readonly aliases?: ReadonlyMap<string, readonly string[]>;
  readonly mounts?: readonly Mount[];
  readonly limits?: ResourceLimits;
  readonly containerLabels: ReadonlyMap<string, string>;
  readonly stopGraceNs: number;
  readonly restart: RestartPolicy;
  readonly forceUpdate: number;
}

export interface ServiceSpec {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  /** null: global. */
  readonly replicas: number | null;
  readonly task: TaskSpec;
  readonly endpointMode: "vip" | "dnsrr";
  readonly ports: readonly PortConfig[];
  readonly update: UpdateConfig;
  readonly rollback: UpdateConfig;
}

export interface VirtualIp {
  readonly networkId: string;
  readonly addr: number;
}

export interface UpdateStatus {
  state: "updating" | "paused" | "completed" | "rollback_started" | "rollback_paused" | "rollback_completed";
  startedNs: number;
  completedNs: number;
  message: string;
}

export interface ServiceObject extends Meta {
  readonly id: string;
  spec: ServiceSpec;
  /** Version of the store when the spec was last changed. */
  specVersion: number;
  previousSpec: ServiceSpec | null;
  /** Allocated ports and addresses. */
  ports: PortConfig[];
  vips: VirtualIp[];
  allocated: boolean;
  updateStatus: UpdateStatus | null;
}

/** In the order of a task's life (api.TaskState); the number is what is compared. */
export const TASK_STATES = [
  "new",
  "pending",
  "assigned",
  "accepted",
  "preparing",
  "ready",
  "starting",
  "running",
  "complete",
  "shutdown",
  "failed",
  "rejected",
  "remove",
  "orphaned",
] as const;
export type TaskState = (typeof TASK_STATES)[number];

const RANK = new Map<TaskState, number>(TASK_STATES.map((state, i) => [state, i]));

/** Place of a state in a task's life. */
export function stateRank(state: TaskState): number {
  return RANK.get(state)!;
}

/** Ended for good, or never to run. */
export function isTerminal(state: TaskState): boolean {
  return stateRank(state) > stateRank("running");
}

export interface NetworkAttachment {
  readonly networkId: string;
  readonly addr: number;
  readonly prefixLen: number;
}

/** What a container outside of the services asks for: an address on an attachable network (api NetworkAttachmentSpec). */
export interface AttachmentSpec {
  readonly containerId: string;
  readonly networkId: string;
  /** int32; 0: the allocator chooses. */
  readonly addr: number;
}

export interface TaskStatus {
  state: TaskState;
  message: string;
  err: string;
  atNs: number;
  containerId: string;
  pid: number;
  exitCode: number;
}

export interface TaskObject extends Meta {
  readonly id: string;
  readonly serviceId: string;
  readonly serviceName: string;
  /** From 1; 0 for tasks of global services. */
  readonly slot: number;
  /** From 1: how many tasks the slot has had. */
  readonly generation: number;
  nodeId: string;
  readonly spec: TaskSpec;
  readonly specVersion: number;
  /** Ports and mode of the endpoint as the spec had them when the task was made. */
  readonly specPorts: readonly PortConfig[];
  readonly specMode: "vip" | "dnsrr";
  desired: TaskState;
  readonly status: TaskStatus;
  /** Ingress first, then in the order of the spec. */
  networks: NetworkAttachment[];
  /** Ports and addresses of the service when the task was allocated. */
  ports: readonly PortConfig[];
  vips: readonly VirtualIp[];
  endpointMode: "vip" | "dnsrr";
  allocated: boolean;
  /** null for tasks of services. */
  readonly attachment: AttachmentSpec | null;
}

/** What every task begins with: nothing is allocated, nobody has reported. */
export function unallocated(
  createdNs: number,
): Pick<TaskObject, "status" | "networks" | "ports" | "vips" | "allocated"> {
  return {
    status: {
      state: "new",
      message: "created",
      err: "",
      atNs: createdNs,
      containerId: "",
      pid: 0,
      exitCode: 0,
    },
    networks: [],
    ports: [],
    vips: [],
    allocated: false,
  };
}

/** `web.1.<task id>`, for global services `web.<node id>.<task id>`. */
export function taskContainerName(task: TaskObject): string {
  return `${task.serviceName}.${task.slot > 0 ? task.slot : task.nodeId}.${task.id}`;
}

/** A service whose published ports go over the routing mesh. */
export function needsIngress(spec: ServiceSpec): boolean {
  return spec.ports.some((port) => port.mode === "ingress");
}

export const DEFAULT_UPDATE: UpdateConfig = {
  parallelism: 1,
  delayNs: 0,
  failureAction: "pause",
  monitorNs: 5_000_000_000,
  maxFailureRatio: 0,
  order: "stop-first",
};

export const DEFAULT_RESTART: RestartPolicy = { condition: "any", delayNs: 5_000_000_000, maxAttempts: 0 };
