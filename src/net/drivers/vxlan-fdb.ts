/**
 * The forwarding database of a VXLAN device (drivers/net/vxlan/vxlan_core.c): MAC address to remote VTEPs. Learnt entries
 * age by their last use in either direction; one whose time is over counts as gone, as the kernel's timer is always set to
 * the earliest end of life.
 */
import { SEC, type Sim } from "../../sim/sim.ts";
import type { Dst } from "../core/dst.ts";
import { MacTable } from "../core/mac-table.ts";
import { NUD_NOARP, NUD_PERMANENT } from "../ipv4/neighbour.ts";

const FDB_HASH_BITS = 8n;
const GOLDEN_RATIO_64 = 0x61c8864680b583ebn;
const MASK_64 = 0xffff_ffff_ffff_ffffn;

/** One VTEP behind a MAC address. */
export class VxlanRdst {
  /** int32; 0: none. */
  ip: number;
  readonly port: number;
  readonly vni: number;
  /**
   * The route that was found last, valid while the routes are of that generation (struct dst_cache, which is of one processor).
   * It stays when the address is learnt anew, so that the new VTEP is looked for where the old one was.
   */
  dst: Dst | null = null;
  dstGeneration = 0;

  constructor(ip: number, port: number, vni: number) {
    this.ip = ip;
    this.port = port;
    this.vni = vni;
  }
}

export class VxlanFdbEntry {
  readonly addrHi: number;
  readonly addrLo: number;
  /** In the order in which they were added; never empty. */
  readonly remotes: VxlanRdst[];
  /** NUD_*: PERMANENT and NOARP stay, REACHABLE ages. */
  state: number;
  updatedNs = 0;
  usedNs = 0;
  /** Order of creation, for the dump. */
  readonly serial: number;

  constructor(addrHi: number, addrLo: number, rdst: VxlanRdst, state: number, nowNs: number, serial: number) {
    this.addrHi = addrHi;
    this.addrLo = addrLo;
    this.remotes = [rdst];
    this.state = state;
    this.updatedNs = nowNs;
    this.usedNs = nowNs;
    this.serial = serial;
  }

  get isStatic(): boolean {
    return (this.state & (NUD_PERMANENT | NUD_NOARP)) !== 0;
  }
}

export class VxlanFdb {
  private readonly table = new MacTable<VxlanFdbEntry>();
  private readonly entries = new Set<VxlanFdbEntry>();
  private readonly ageingNs: number;
  private serial = 0;

  /** `ageingSec` 0: entries do not age. */
  constructor(ageingSec: number) {
    this.ageingNs = ageingSec === 0 ? Number.POSITIVE_INFINITY : ageingSec * SEC;
  }

  get size(): number {
    return this.entries.size;
  }

  /** The entry of a MAC address, marked as used now (vxlan_find_mac); null when there is none. */
  findMac(addrHi: number, addrLo: number, sim: Sim): VxlanFdbEntry | null {
    const entry = this.table.get(addrHi, addrLo);
    if (entry === null) return null;
    if (!entry.isStatic && entry.usedNs + this.ageingNs <= sim.now) {
      this.delete(entry);
      return null;
    }
    entry.usedNs = sim.now;
    return entry;
  }

  /** The same without marking it. */
  peek(addrHi: number, addrLo: number, nowNs: number): VxlanFdbEntry | null {
    const entry = this.table.get(addrHi, addrLo);
    return entry === null || this.isOver(entry, nowNs) ? null : entry;
  }

  create(addrHi: number, addrLo: number, rdst: VxlanRdst, state: number, nowNs: number): VxlanFdbEntry {
    const stale = this.table.get(addrHi, addrLo);
    if (stale !== null) this.delete(stale);
    const entry = new VxlanFdbEntry(addrHi, addrLo, rdst, state, nowNs, this.serial++);
    this.table.set(addrHi, addrLo, entry);
    this.entries.add(entry);
    return entry;
  }

  delete(entry: VxlanFdbEntry): void {
    this.table.delete(entry.addrHi, entry.addrLo);
    this.entries.delete(entry);
  }

  /** Forgets what was learnt (vxlan_flush when the device goes down). */
  flushDynamic(): void {
    for (const entry of [...this.entries]) if (!entry.isStatic) this.delete(entry);
  }

  /** Living entries as the kernel dumps them: by hash bucket, newest first within one. */
  list(nowNs: number): VxlanFdbEntry[] {
    for (const entry of [...this.entries]) if (this.isOver(entry, nowNs)) this.delete(entry);
    return [...this.entries].sort((a, b) => ethHash(a) - ethHash(b) || b.serial - a.serial);
  }

  private isOver(entry: VxlanFdbEntry, nowNs: number): boolean {
    return !entry.isStatic && entry.usedNs + this.ageingNs <= nowNs;
  }
}

/** Bucket of an address: the six bytes as a little-endian word, spread by a multiplication (eth_hash). */
function ethHash(entry: VxlanFdbEntry): number {
  let word = 0n;
  for (let i = 5; i >= 0; i--) {
    const byte = i < 2 ? (entry.addrHi >>> (8 * (1 - i))) & 255 : (entry.addrLo >>> (8 * (5 - i))) & 255;
    word = (word << 8n) | BigInt(byte);
  }
  return Number((((word << 16n) * GOLDEN_RATIO_64) & MASK_64) >> (64n - FDB_HASH_BITS));
}
