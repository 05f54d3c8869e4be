/**
 * The forwarding database of a bridge (net/bridge/br_fdb.c): MAC address and VLAN to port. A hash table for the lookup
 * and a list, newest first, for the dump. Learnt entries age: one whose time is over counts as gone, which is what the
 * kernel's garbage collector does, as its next run is always set to the earliest end of life.
 */
import { MacTable } from "../core/mac-table.ts";

export class FdbEntry<Port = unknown> {
  readonly addrHi: number;
  readonly addrLo: number;
  readonly vlan: number;
  /** null: the bridge itself. */
  port: Port | null;
  /** An address of the bridge or of a port: frames for it go up. */
  local = false;
  /** Does not age (NUD_NOARP). */
  isStatic = false;
  addedByUser = false;
  sticky = false;
  updatedNs = 0;
  usedNs = 0;
  prev: FdbEntry<Port> | null = null;
  next: FdbEntry<Port> | null = null;

  constructor(addrHi: number, addrLo: number, vlan: number, port: Port | null, nowNs: number) {
    this.addrHi = addrHi;
    this.addrLo = addrLo;
    this.vlan = vlan;
    this.port = port;
    this.updatedNs = nowNs;
    this.usedNs = nowNs;
  }

  get ages(): boolean {
    return !this.isStatic && !this.local;
  }
}

export class BridgeFdb<Port = unknown> {
  private readonly table = new MacTable<FdbEntry<Port>>();
  private head: FdbEntry<Port> | null = null;

  get size(): number {
    return this.table.size;
  }

  /** The entry of an address, over or not; null when there is none. */
  lookup(addrHi: number, addrLo: number, vlan: number): FdbEntry<Port> | null {
    return this.table.get((vlan << 16) | addrHi, addrLo);
  }

  /** The entry of an address that is not over at `nowNs`, or null (br_fdb_find_rcu). */
  find(addrHi: number, addrLo: number, vlan: number, nowNs: number, ageingNs: number): FdbEntry<Port> | null {
    const entry = this.lookup(addrHi, addrLo, vlan);
    if (entry === null) return null;
    if (entry.ages && entry.updatedNs + ageingNs <= nowNs) {
      this.delete(entry);
      return null;
    }
    return entry;
  }

  /** Adds an entry at the head of the list; the address must not be there. */
  create(addrHi: number, addrLo: number, vlan: number, port: Port | null, nowNs: number): FdbEntry<Port> {
    const entry = new FdbEntry<Port>(addrHi, addrLo, vlan, port, nowNs);
    this.table.set((vlan << 16) | addrHi, addrLo, entry);
    entry.next = this.head;
    if (this.head !== null) this.head.prev = entry;
    this.head = entry;
    return entry;
  }

  delete(entry: FdbEntry<Port>): void {
    this.table.delete((entry.vlan << 16) | entry.addrHi, entry.addrLo);
    if (entry.prev === null) this.head = entry.next;
    else entry.prev.next = entry.next;
    if (entry.next !== null) entry.next.prev = entry.prev;
    entry.prev = null;
    entry.next = null;
  }

  /** Entries that are alive at `nowNs`, newest first. */
  list(nowNs: number, ageingNs: number): FdbEntry<Port>[] {
    const entries: FdbEntry<Port>[] = [];
    for (let entry = this.head; entry !== null; ) {
      const next: FdbEntry<Port> | null = entry.next;
      if (entry.ages && entry.updatedNs + ageingNs <= nowNs) this.delete(entry);
      else entries.push(entry);
      entry = next;
    }
    return entries;
  }
}
