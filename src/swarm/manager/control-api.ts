/**
 * What an engine may ask a manager for (swarmkit api/control.proto): the only way to the store from outside the manager.
 * Refusals are `RpcError`s, whose text is what gRPC makes of code and description.
 */
import type {
  Availability,
  NetworkObject,
  NodeObject,
  Role,
  ServiceObject,
  ServiceSpec,
  TaskObject,
} from "./objects.ts";

export type RpcCode =
  | "InvalidArgument"
  | "NotFound"
  | "AlreadyExists"
  | "FailedPrecondition"
  | "PermissionDenied"
  | "Unimplemented"
  | "Unknown";

export class RpcError extends Error {
  readonly code: RpcCode;
  readonly desc: string;
  constructor(code: RpcCode, desc: string) {
    super(`rpc error: code = ${code} desc = ${desc}`);
    this.name = "RpcError";
    this.code = code;
    this.desc = desc;
  }
}

export interface NetworkSpec {
  readonly name: string;
  readonly driver: string;
  readonly ingress: boolean;
  readonly attachable: boolean;
  readonly internal: boolean;
  readonly labels: ReadonlyMap<string, string>;
  readonly options: ReadonlyMap<string, string>;
  readonly subnet: { addr: number; prefixLen: number } | null;
  readonly gateway: number | null;
}

export interface NodeChange {
  readonly availability?: Availability;
  readonly role?: Role;
  readonly addLabels?: ReadonlyMap<string, string>;
  readonly removeLabels?: readonly string[];
}

export interface ClusterInfo {
  readonly id: string;
  readonly createdNs: number;
  /** Pools of swarm networks, as text: `10.0.0.0/8`. */
  readonly defaultAddrPool: readonly string[];
  readonly subnetSize: number;
  readonly dataPathPort: number;
  readonly workerToken: string;
  readonly managerToken: string;
  readonly leaderId: string;
  /** Node id -> address:port of each manager. */
  readonly managers: ReadonlyMap<string, string>;
}

export interface ControlApi {
  info(): ClusterInfo;
  rotateToken(role: Role): string;

  listNodes(): readonly NodeObject[];
  /** By id, unique id prefix or host name. NotFound otherwise. */
  getNode(reference: string): NodeObject;
  updateNode(id: string, change: NodeChange): void;
  removeNode(id: string, force: boolean): void;

  listNetworks(): readonly NetworkObject[];
  createNetwork(spec: NetworkSpec): NetworkObject;
  removeNetwork(id: string): void;

  listServices(): readonly ServiceObject[];
  getService(reference: string): ServiceObject;
  createService(spec: ServiceSpec): ServiceObject;
  updateService(id: string, spec: ServiceSpec): void;
  rollbackService(id: string): void;
  removeService(id: string): void;

  listTasks(): readonly TaskObject[];
}
