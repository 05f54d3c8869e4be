/**
 * The network state of a swarm (libnetwork networkdb): tables of records by network and endpoint, told to every node
 * that takes part in the network.
 */
import type { Co } from "../../host/process.ts";
import type { PortConfig } from "../manager/objects.ts";

/** A record of `endpoint_table`. */
export interface EndpointRecord {
  readonly name: string;
  readonly serviceId: string;
  readonly serviceName: string;
  /** int32; 0 when the service has no virtual address. */
  readonly virtualIp: number;
  readonly endpointIp: number;
  readonly ingressPorts: readonly PortConfig[];
  /** Other names of the service, and of its task. */
  readonly aliases: readonly string[];
  readonly taskAliases: readonly string[];
  /** The task is on its way out: no new connections. */
  readonly serviceDisabled: boolean;
}

/** A record of `overlay_peer_table`. */
export interface PeerRecord {
  readonly endpointIp: number;
  readonly prefixLen: number;
  /** VXLAN tunnel endpoint, int32. */
  readonly tunnelIp: number;
}

export type TableName = "endpoint_table" | "overlay_peer_table";

export interface TableEvent {
  readonly kind: "create" | "update" | "delete";
  readonly table: TableName;
  readonly networkId: string;
  readonly key: string;
  /** Name of the node that owns the record. */
  readonly owner: string;
  readonly value: EndpointRecord | PeerRecord;
}

/** What a node does with the records of others. */
export interface TableWatcher {
  tableEvent(event: TableEvent): void;
}

/** A node's view of the network state. */
export interface NetworkDb {
  readonly nodeName: string;
  /** Ends when the nodes of the network have told what they have, or did not in time. */
  joinNetwork(networkId: string): Co<void>;
  leaveNetwork(networkId: string): void;
  create(table: TableName, networkId: string, key: string, value: EndpointRecord | PeerRecord): void;
  update(table: TableName, networkId: string, key: string, value: EndpointRecord | PeerRecord): void;
  remove(table: TableName, networkId: string, key: string): void;
  /** Names and addresses of the nodes that take part in a network. */
  peers(networkId: string): { readonly name: string; readonly ip: number }[];
  /** Leaves the cluster: the node's records vanish everywhere. */
  leave(): void;
  /** Ends without a word, as a power failure does. */
  halt(): void;
}
