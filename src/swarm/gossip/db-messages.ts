/** What the nodes of a network tell each other (libnetwork networkdb.proto), and how large it is on the wire. */
import type { EndpointRecord, PeerRecord, TableEvent, TableName } from "../network/network-db.ts";
import type { Member } from "./members.ts";

export const NETWORK_EVENT_BYTES = 55;
export const ATTACHMENT_BYTES = 12;
export const BULK_BYTES = 125;
export const RECORD_BYTES = { endpoint_table: 154, overlay_peer_table: 101 } as const;

export type Value = EndpointRecord | PeerRecord;

export interface Entry {
  readonly event: TableEvent;
  readonly ltime: number;
  /** When a deleted record may be forgotten; -1: it is not deleted. */
  readonly reapNs: number;
}

export interface NetworkEvent {
  readonly kind: "network";
  readonly node: string;
  readonly networkId: string;
  readonly leave: boolean;
  readonly ltime: number;
}

export interface TableMessage {
  readonly kind: "table";
  readonly event: TableEvent;
  readonly ltime: number;
}

export interface TableGossip {
  readonly kind: "tables";
  readonly messages: readonly TableMessage[];
}

export interface BulkSync {
  readonly from: Member;
  readonly networks: readonly string[];
  readonly messages: readonly TableMessage[];
  readonly unsolicited: boolean;
  readonly bytes: number;
}

export interface Attachment {
  readonly leave: boolean;
  readonly ltime: number;
}

/** The key of a record. */
export function entryId(table: TableName, networkId: string, key: string): string {
  return `${table}/${networkId}/${key}`;
}
