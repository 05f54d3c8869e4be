/**
 * The network state of a swarm (libnetwork networkdb): tables of records by network and endpoint, told to every node
 * that takes part in the network. A record reaches a node after a gossip delay of its own; records that one node
 * publishes at the same moment travel together, and later ones do not overtake them. A node that enters a network
 * learns what is there by a bulk sync, in the order of the keys.
 */
import type { Sim } from "../../sim/sim.ts";
import type { Prng } from "../../util/prng.ts";
import { after } from "../clock.ts";
import type { PortConfig } from "../manager/objects.ts";

const GOSSIP_INTERVAL_NS = 200_000_000;

/** A record of `endpoint_table`. */
export interface EndpointRecord {
  readonly name: string;
  readonly serviceId: string;
  readonly serviceName: string;
  /** int32; 0 when the service has no virtual address. */
  readonly virtualIp: number;
  readonly endpointIp: number;
  readonly ingressPorts: readonly PortConfig[];
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
  joinNetwork(networkId: string): void;
  leaveNetwork(networkId: string): void;
  create(table: TableName, networkId: string, key: string, value: EndpointRecord | PeerRecord): void;
  update(table: TableName, networkId: string, key: string, value: EndpointRecord | PeerRecord): void;
  remove(table: TableName, networkId: string, key: string): void;
  /** Names and addresses of the nodes that take part in a network. */
  peers(networkId: string): { readonly name: string; readonly ip: number }[];
  /** Leaves the cluster: the node's records vanish everywhere. */
  leave(): void;
}

interface Entry {
  readonly table: TableName;
  readonly key: string;
  value: EndpointRecord | PeerRecord;
}

class Member implements NetworkDb {
  readonly nodeName: string;
  readonly ip: number;
  readonly watcher: TableWatcher;
  readonly networks = new Set<string>();
  /** Own records, by network. */
  readonly own = new Map<string, Entry[]>();
  /** Others' records that this node knows: `table/network/key`. */
  readonly known = new Set<string>();
  /** When the last record of another member was sent here, and when it arrives. */
  readonly inbound = new Map<Member, { sentNs: number; arrivesNs: number }>();
  alive = true;
  private readonly group: GossipGroup;

  constructor(group: GossipGroup, nodeName: string, ip: number, watcher: TableWatcher) {
    this.group = group;
    this.nodeName = nodeName;
    this.ip = ip;
    this.watcher = watcher;
  }

  joinNetwork(networkId: string): void {
    if (this.networks.has(networkId)) return;
    this.networks.add(networkId);
    this.group.bulkSync(this, networkId);
  }

  leaveNetwork(networkId: string): void {
    if (!this.networks.delete(networkId)) return;
    for (const { table, key } of [...(this.own.get(networkId) ?? [])]) this.remove(table, networkId, key);
    for (const id of [...this.known]) if (id.split("/")[1] === networkId) this.known.delete(id);
  }

  create(table: TableName, networkId: string, key: string, value: EndpointRecord | PeerRecord): void {
    const entries = this.own.get(networkId);
    if (entries === undefined) this.own.set(networkId, [{ table, key, value }]);
    else entries.push({ table, key, value });
    this.group.publish(this, { kind: "create", table, networkId, key, owner: this.nodeName, value });
  }

  update(table: TableName, networkId: string, key: string, value: EndpointRecord | PeerRecord): void {
    const entry = this.find(table, networkId, key);
    if (entry === undefined) return;
    entry.value = value;
    this.group.publish(this, { kind: "update", table, networkId, key, owner: this.nodeName, value });
  }

  remove(table: TableName, networkId: string, key: string): void {
    const entry = this.find(table, networkId, key);
    if (entry === undefined) return;
    const entries = this.own.get(networkId)!;
    entries.splice(entries.indexOf(entry), 1);
    this.group.publish(this, {
      kind: "delete",
      table,
      networkId,
      key,
      owner: this.nodeName,
      value: entry.value,
    });
  }

  peers(networkId: string): { readonly name: string; readonly ip: number }[] {
    return this.group.members
      .filter((member) => member.alive && member.networks.has(networkId))
      .map((member) => ({ name: member.nodeName, ip: member.ip }));
  }

  leave(): void {
    for (const networkId of [...this.networks]) this.leaveNetwork(networkId);
    this.group.remove(this);
  }

  private find(table: TableName, networkId: string, key: string): Entry | undefined {
    return this.own.get(networkId)?.find((entry) => entry.table === table && entry.key === key);
  }
}

class GossipGroup {
  readonly members: Member[] = [];
  private readonly sim: Sim;
  private readonly prng: Prng;

  constructor(sim: Sim, prng: Prng) {
    this.sim = sim;
    this.prng = prng;
  }

  publish(from: Member, event: TableEvent): void {
    for (const to of this.members)
      if (to !== from && to.networks.has(event.networkId)) this.send(from, to, event);
  }

  bulkSync(to: Member, networkId: string): void {
    for (const from of this.members) {
      if (from === to || !from.alive || !from.networks.has(networkId)) continue;
      const entries = [...(from.own.get(networkId) ?? [])].sort((a, b) => (a.key < b.key ? -1 : 1));
      for (const { table, key, value } of entries)
        this.send(from, to, { kind: "create", table, networkId, key, owner: from.nodeName, value });
    }
  }

  remove(member: Member): void {
    const i = this.members.indexOf(member);
    if (i >= 0) this.members.splice(i, 1);
  }

  /** A member was found dead: what it owned is deleted on every other node. */
  fail(dead: Member): void {
    dead.alive = false;
    for (const [networkId, entries] of dead.own)
      for (const { table, key, value } of entries)
        for (const to of this.members)
          if (to !== dead)
            this.deliver(to, { kind: "delete", table, networkId, key, owner: dead.nodeName, value });
  }

  /** It is back: everybody learns its records anew, and it theirs. */
  revive(member: Member): void {
    member.alive = true;
    for (const networkId of member.networks) {
      this.bulkSync(member, networkId);
      for (const other of this.members)
        if (other !== member && other.networks.has(networkId)) this.bulkSync(other, networkId);
    }
  }

  private send(from: Member, to: Member, event: TableEvent): void {
    const now = this.sim.now;
    let link = to.inbound.get(from);
    if (link === undefined || link.sentNs !== now) {
      const delay = this.prng.below(GOSSIP_INTERVAL_NS);
      link = { sentNs: now, arrivesNs: Math.max(link?.arrivesNs ?? 0, now + delay) };
      to.inbound.set(from, link);
    }
    after(this.sim, link.arrivesNs - now, () => {
      if (from.alive || event.kind === "delete") this.deliver(to, event);
    });
  }

  private deliver(to: Member, event: TableEvent): void {
    if (!to.alive || !to.networks.has(event.networkId)) return;
    const id = `${event.table}/${event.networkId}/${event.key}`;
    if (event.kind === "create") {
      if (to.known.has(id)) return;
      to.known.add(id);
    } else if (!to.known.has(id)) return;
    if (event.kind === "delete") to.known.delete(id);
    to.watcher.tableEvent(event);
  }
}

/** Every swarm's gossip. */
export class GossipFabric {
  private readonly sim: Sim;
  private readonly prng: Prng;
  private readonly groups = new Map<string, GossipGroup>();

  constructor(sim: Sim, prng: Prng) {
    this.sim = sim;
    this.prng = prng;
  }

  /** Enters a swarm's gossip under a random 12-digit name; `ip` is what other nodes show as the peer's address. */
  join(clusterId: string, ip: number, watcher: TableWatcher): NetworkDb {
    let group = this.groups.get(clusterId);
    if (group === undefined) {
      group = new GossipGroup(this.sim, this.prng.stream(clusterId));
      this.groups.set(clusterId, group);
    }
    const member = new Member(group, this.prng.hex(12), ip, watcher);
    group.members.push(member);
    return member;
  }

  /** The machine behind a member died (or is back): the others notice now. */
  setAlive(clusterId: string, db: NetworkDb, alive: boolean): void {
    const group = this.groups.get(clusterId);
    const member = group?.members.find((candidate) => candidate === db);
    if (group === undefined || member === undefined) return;
    if (alive) group.revive(member);
    else group.fail(member);
  }
}
