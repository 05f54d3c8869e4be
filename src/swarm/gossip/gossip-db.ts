/**
 * The network state kept by gossip (libnetwork networkdb): each node owns records and tells them to the nodes that take
 * part in the network, every 200 ms to three of them; Lamport clocks order what comes by different ways. Who enters a
 * network, and everybody every 30 s, exchanges whole tables over TCP. Records of a node that failed are forgotten.
 */
import { type Co, sleep, waitFor } from "../../host/process.ts";
import { Timer } from "../../sim/timer.ts";
import { WaitQueue } from "../../sim/wait-queue.ts";
import { SysError } from "../../util/errors.ts";
import type { Prng } from "../../util/prng.ts";
import type { Daemon } from "../daemon.ts";
import type { NetworkDb, TableEvent, TableName, TableWatcher } from "../network/network-db.ts";
import type { Meanings } from "../wire/meanings.ts";
import { dialStream, type StreamEnd } from "../wire/secure-stream.ts";
import { BroadcastQueue } from "./broadcast-queue.ts";
import {
  ATTACHMENT_BYTES,
  type Attachment,
  BULK_BYTES,
  type BulkSync,
  type Entry,
  entryId,
  NETWORK_EVENT_BYTES,
  type NetworkEvent,
  RECORD_BYTES,
  type TableGossip,
  type TableMessage,
  type Value,
} from "./db-messages.ts";
import { GOSSIP_INTERVAL_NS, type MemberDelegate, Memberlist, PACKET_ROOM } from "./memberlist.ts";
import type { Member } from "./members.ts";
import { GOSSIP_PORT } from "./prober.ts";

const GOSSIP_NODES = 3;
const BULK_SYNC_NS = 30_000_000_000;
/** How long a node waits for the tables of another, before it goes on without them. */
const BULK_ANSWER_NS = 30_000_000_000;
const RECONNECT_NS = 1_000_000_000;
const REAP_NS = 1_800_000_000_000;
const STREAM_TIMEOUT_NS = 10_000_000_000;

export class GossipDb implements NetworkDb, MemberDelegate {
  readonly nodeName: string;
  readonly members: Memberlist;
  private readonly daemon: Daemon;
  private readonly meanings: Meanings;
  private readonly prng: Prng;
  private readonly watcher: TableWatcher;
  /** Who takes part in which network: node, then network. */
  private readonly attachments = new Map<string, Map<string, Attachment>>();
  private readonly entries = new Map<string, Entry>();
  private readonly queues = new Map<string, BroadcastQueue<TableMessage>>();
  private readonly failed = new Set<Member>();
  /** Whose tables are waited for, by name. */
  private readonly awaited = new Map<string, WaitQueue>();
  private networkClock = 0;
  private tableClock = 0;
  private readonly phase: number;
  private readonly gossipTimer: Timer;
  private readonly bulkTimer: Timer;
  private readonly reconnectTimer: Timer;

  /**
   * `ip` is the address that this node tells the others, int32; `gossipNs` when its gossip about the members ticks in each
   * interval, undefined: at any time.
   */
  constructor(
    daemon: Daemon,
    meanings: Meanings,
    prng: Prng,
    ip: number,
    watcher: TableWatcher,
    gossipNs: number | undefined,
  ) {
    this.daemon = daemon;
    this.meanings = meanings;
    this.prng = prng;
    this.watcher = watcher;
    this.nodeName = prng.hex(12);
    this.attachments.set(this.nodeName, new Map());
    const chance = prng.stream("members");
    this.members = new Memberlist(daemon, meanings, chance, this.nodeName, ip, this, gossipNs);
    const { sim } = daemon.machine.kernel;
    this.phase = prng.below(GOSSIP_INTERVAL_NS);
    this.gossipTimer = new Timer(sim, () => this.gossip());
    this.bulkTimer = new Timer(sim, () => this.bulkSyncTables());
    this.reconnectTimer = new Timer(sim, () => this.reconnect());
  }

  /** Opens the sockets and, when there is a cluster, joins it at `addr` (int32). */
  start(addr: number | null): void {
    this.members.start();
    this.bulkTimer.armIn(BULK_SYNC_NS);
    if (addr !== null) this.run(() => this.joinCluster(addr));
  }

  *joinNetwork(networkId: string): Co<void> {
    this.attach(networkId, false);
    this.queues.set(networkId, new BroadcastQueue());
    yield* this.bulkSync(this.nodesOf(networkId), true);
  }

  leaveNetwork(networkId: string): void {
    if (!this.isAttached(this.nodeName, networkId)) return;
    for (const [id, { event }] of [...this.entries]) {
      if (event.networkId !== networkId) continue;
      if (event.owner === this.nodeName) this.remove(event.table, networkId, event.key);
      else this.entries.delete(id);
    }
    this.attach(networkId, true);
  }

  create(table: TableName, networkId: string, key: string, value: Value): void {
    this.publish("create", table, networkId, key, value);
  }

  update(table: TableName, networkId: string, key: string, value: Value): void {
    if (this.ownEntry(table, networkId, key) !== null) this.publish("update", table, networkId, key, value);
  }

  remove(table: TableName, networkId: string, key: string): void {
    const entry = this.ownEntry(table, networkId, key);
    if (entry !== null) this.publish("delete", table, networkId, key, entry.event.value);
  }

  peers(networkId: string): { readonly name: string; readonly ip: number }[] {
    return [...this.members.members.values()].filter(
      ({ name, state }) => (state === "alive" || state === "suspect") && this.isAttached(name, networkId),
    );
  }

  leave(): void {
    for (const [networkId, { leave }] of [...this.attachments.get(this.nodeName)!])
      if (!leave) this.leaveNetwork(networkId);
    this.members.leave();
    this.halt();
  }

  halt(): void {
    for (const timer of [this.gossipTimer, this.bulkTimer, this.reconnectTimer]) timer.cancel();
    this.members.halt();
  }

  joined(member: Member): void {
    if (!this.attachments.has(member.name)) this.attachments.set(member.name, new Map());
    if (this.failed.delete(member)) this.run(() => this.welcomeBack(member));
    // The same machine under a new name: it has been started anew, the old one does not come back.
    for (const old of this.failed) if (old.ip === member.ip) this.failed.delete(old);
  }

  /** What the node owned is gone. A failed one is looked for until it is back. */
  gone(member: Member): void {
    for (const [id, { event, reapNs }] of [...this.entries]) {
      if (event.owner !== member.name) continue;
      this.entries.delete(id);
      if (reapNs < 0 && this.isAttached(this.nodeName, event.networkId))
        this.watcher.tableEvent({ ...event, kind: "delete" });
    }
    this.attachments.delete(member.name);
    if (member.state !== "dead") return;
    this.failed.add(member);
    if (!this.reconnectTimer.armed) this.reconnectTimer.armIn(RECONNECT_NS);
  }

  message(body: unknown): void {
    const message = body as NetworkEvent | TableGossip;
    if (message.kind === "network") this.networkEvent(message, true);
    else for (const one of message.messages) if (this.tableMessage(one, false)) this.enqueue(one);
  }

  localState(): { readonly body: unknown; readonly bytes: number } {
    const events: NetworkEvent[] = [];
    for (const [node, networks] of this.attachments)
      for (const [networkId, { leave, ltime }] of networks)
        events.push({ kind: "network", node, networkId, leave, ltime });
    return { body: events, bytes: ATTACHMENT_BYTES * events.length };
  }

  mergeState(body: unknown): void {
    for (const event of body as readonly NetworkEvent[]) this.networkEvent(event, false);
  }

  private run(routine: () => Co<void>): void {
    this.daemon.go(routine);
  }

  private *joinCluster(addr: number): Co<void> {
    yield* this.members.join(addr);
    const own = [...this.attachments.get(this.nodeName)!].filter(([, { leave }]) => !leave);
    for (const [networkId] of own) yield* this.bulkSync(this.nodesOf(networkId), true);
  }

  private isAttached(node: string, networkId: string): boolean {
    const attachment = this.attachments.get(node)?.get(networkId);
    return attachment !== undefined && !attachment.leave;
  }

  /** Other nodes of a network. */
  private nodesOf(networkId: string): Member[] {
    return this.members.others().filter(({ name }) => this.isAttached(name, networkId));
  }

  private attach(networkId: string, leave: boolean): void {
    const ltime = ++this.networkClock;
    const event: NetworkEvent = { kind: "network", node: this.nodeName, networkId, leave, ltime };
    this.attachments.get(this.nodeName)!.set(networkId, event);
    this.members.broadcast(event, NETWORK_EVENT_BYTES);
  }

  private networkEvent(event: NetworkEvent, spread: boolean): void {
    this.networkClock = Math.max(this.networkClock, event.ltime);
    const { node, networkId, leave } = event;
    const networks = this.attachments.get(node);
    if (node === this.nodeName || networks === undefined) return;
    if ((networks.get(networkId)?.ltime ?? -1) >= event.ltime) return;
    networks.set(networkId, event);
    if (leave) this.forgetAttached(node, networkId);
    if (spread) this.members.broadcast(event, NETWORK_EVENT_BYTES);
  }

  private forgetAttached(node: string, networkId: string): void {
    for (const [id, { event, reapNs }] of [...this.entries]) {
      if (event.owner !== node || event.networkId !== networkId) continue;
      this.entries.delete(id);
      if (reapNs < 0) this.watcher.tableEvent({ ...event, kind: "delete" });
    }
  }

  private ownEntry(table: TableName, networkId: string, key: string): Entry | null {
    const entry = this.entries.get(entryId(table, networkId, key));
    return entry === undefined || entry.reapNs >= 0 || entry.event.owner !== this.nodeName ? null : entry;
  }

  private publish(
    kind: TableEvent["kind"],
    table: TableName,
    networkId: string,
    key: string,
    value: Value,
  ): void {
    const event: TableEvent = { kind, table, networkId, key, owner: this.nodeName, value };
    const message: TableMessage = { kind: "table", event, ltime: ++this.tableClock };
    this.store(message);
    this.enqueue(message);
  }

  private store({ event, ltime }: TableMessage): void {
    const { now } = this.daemon.machine.kernel.sim;
    const reapNs = event.kind === "delete" ? now + REAP_NS : -1;
    this.entries.set(entryId(event.table, event.networkId, event.key), { event, ltime, reapNs });
  }

  /** Takes a record in; false when it is none of ours, or old. */
  private tableMessage(message: TableMessage, bulk: boolean): boolean {
    const { event, ltime } = message;
    if (event.owner === this.nodeName) return false;
    this.tableClock = Math.max(this.tableClock, ltime);
    // A record of a node that is not known to take part, because that news was lost, is not taken.
    if (!this.isAttached(this.nodeName, event.networkId) || !this.isAttached(event.owner, event.networkId))
      return false;
    const old = this.entries.get(entryId(event.table, event.networkId, event.key));
    if (old !== undefined && old.ltime >= ltime) return false;
    if (old === undefined && event.kind === "delete" && !bulk) return false;
    this.store(message);
    if (event.kind !== "delete" || (old !== undefined && old.reapNs < 0)) this.watcher.tableEvent(event);
    return true;
  }

  private enqueue(message: TableMessage): void {
    const { event } = message;
    const queue = this.queues.get(event.networkId);
    if (queue === undefined) return;
    queue.add(message, RECORD_BYTES[event.table], entryId(event.table, event.networkId, event.key));
    this.armGossip();
  }

  private armGossip(): void {
    if (this.gossipTimer.armed || !this.members.isOpen) return;
    const { now } = this.daemon.machine.kernel.sim;
    const ticks = Math.floor((now - this.phase) / GOSSIP_INTERVAL_NS) + 1;
    this.gossipTimer.armAt(this.phase + ticks * GOSSIP_INTERVAL_NS);
  }

  private gossip(): void {
    let more = false;
    for (const [networkId, queue] of this.queues) {
      if (queue.isEmpty) continue;
      const nodes = this.prng.shuffle(this.nodesOf(networkId));
      if (nodes.length === 0) continue;
      const { messages, bytes } = queue.take(PACKET_ROOM, nodes.length + 1);
      const body: TableGossip = { kind: "tables", messages };
      for (const { ip } of nodes.slice(0, GOSSIP_NODES)) this.members.sendTo(ip, body, bytes);
      more ||= !queue.isEmpty;
    }
    if (more) this.armGossip();
  }

  /** Each of our networks once, with a node of it, which shares others too. */
  private bulkSyncTables(): void {
    this.bulkTimer.armIn(BULK_SYNC_NS);
    this.reap();
    const done = new Set<string>();
    for (const [networkId, { leave }] of this.attachments.get(this.nodeName)!) {
      if (leave || done.has(networkId)) continue;
      const nodes = this.nodesOf(networkId);
      if (nodes.length === 0) continue;
      const target = this.prng.pick(nodes);
      for (const common of this.commonNetworks(target)) done.add(common);
      this.run(() => this.bulkSync([target], false));
    }
  }

  private commonNetworks(member: Member): string[] {
    const own = [...this.attachments.get(this.nodeName)!].filter(([, { leave }]) => !leave);
    return own.map(([id]) => id).filter((id) => this.isAttached(member.name, id));
  }

  /** Sends our tables to the nodes, one after the other, and gets theirs. */
  private *bulkSync(nodes: Member[], all: boolean): Co<void> {
    const order = all ? this.prng.shuffle([...nodes]) : nodes;
    for (const node of order) yield* this.exchangeTables(node);
  }

  /** A node that cannot be reached is passed over; one that does not answer is waited for. */
  private *exchangeTables(node: Member): Co<void> {
    const answered = new WaitQueue();
    this.awaited.set(node.name, answered);
    try {
      yield* this.sendTables(node, this.commonNetworks(node), true);
      yield* waitFor(answered, BULK_ANSWER_NS);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
    } finally {
      if (this.awaited.get(node.name) === answered) this.awaited.delete(node.name);
    }
  }

  private *sendTables(node: Member, networks: readonly string[], unsolicited: boolean): Co<void> {
    const stream: StreamEnd<Memberlist> = yield* dialStream(
      this.daemon,
      this.meanings,
      node.ip,
      GOSSIP_PORT,
      STREAM_TIMEOUT_NS,
    );
    const sync = this.tablesOf(networks, unsolicited);
    stream.pushTo(sync.bytes, (other) => (other.delegate as GossipDb).tablesArrived(sync));
    stream.finish();
  }

  private tablesOf(networks: readonly string[], unsolicited: boolean): BulkSync {
    const from = this.members.members.get(this.nodeName)!;
    const messages: TableMessage[] = [];
    let bytes = BULK_BYTES;
    const rank = ({ event }: Entry) => `${event.networkId}/${event.table}/${event.key}`;
    const entries = [...this.entries.values()].filter(({ event }) => networks.includes(event.networkId));
    for (const { event, ltime } of entries.sort((a, b) => (rank(a) < rank(b) ? -1 : 1))) {
      messages.push({ kind: "table", event, ltime });
      bytes += RECORD_BYTES[event.table];
    }
    return { from, networks, messages, unsolicited, bytes };
  }

  private tablesArrived(sync: BulkSync): void {
    for (const message of sync.messages) this.tableMessage(message, true);
    if (sync.unsolicited) this.run(() => this.sendTables(sync.from, sync.networks, false));
    else this.awaited.get(sync.from.name)?.wake();
  }

  private reap(): void {
    const { now } = this.daemon.machine.kernel.sim;
    for (const [id, { reapNs }] of this.entries) if (reapNs >= 0 && reapNs <= now) this.entries.delete(id);
  }

  /** Knocks at a failed node. */
  private reconnect(): void {
    if (this.failed.size === 0) return;
    this.reconnectTimer.armIn(RECONNECT_NS);
    const member = this.prng.pick([...this.failed]);
    this.run(() => this.tryAgain(member));
  }

  private *tryAgain(member: Member): Co<void> {
    yield* this.members.join(member.ip);
  }

  /** Who was thought dead has forgotten us as we have forgotten it: our networks anew, then our tables. */
  private *welcomeBack(member: Member): Co<void> {
    for (const [networkId, { leave }] of [...this.attachments.get(this.nodeName)!])
      if (!leave) this.attach(networkId, false);
    yield* sleep(2 * GOSSIP_INTERVAL_NS);
    yield* this.sendTables(member, this.commonNetworks(member), true);
  }
}
