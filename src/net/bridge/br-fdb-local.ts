/**
 * What changes the forwarding database (net/bridge/br_fdb.c): learning from frames, and the addresses of the bridge and
 * its ports.
 */
import { SEC } from "../../sim/sim.ts";
import { formatMac } from "../../wire/address.ts";
import type { FdbEntry } from "./br-fdb.ts";
import type { Bridge, BridgePort } from "./br-private.ts";

type Entry = FdbEntry<BridgePort>;

const WARN_INTERVAL_NS = 5 * SEC;

export function brFdbFind(br: Bridge, addrHi: number, addrLo: number, vlan: number): Entry | null {
  // Times are compared here and not handed on: a number that is no small integer would be boxed for every packet.
  const entry = br.fdb.lookup(addrHi, addrLo, vlan);
  if (entry === null || !entry.ages || entry.updatedNs + br.ageingNs > br.dev.ns.kernel.sim.now) return entry;
  br.fdb.delete(entry);
  return null;
}

/** Learns that a source address is behind `port` (br_fdb_update). */
export function brFdbUpdate(br: Bridge, port: BridgePort, addrHi: number, addrLo: number): void {
  if (br.ageingNs === 0) return;
  const { sim } = br.dev.ns.kernel;
  const entry = brFdbFind(br, addrHi, addrLo, 0);
  if (entry === null) {
    br.fdb.create(addrHi, addrLo, 0, port, sim.now);
    return;
  }
  if (entry.local) {
    warnOwnAddress(br, port, addrHi, addrLo, sim.now);
    return;
  }
  entry.updatedNs = sim.now;
  if (entry.port !== port && !entry.sticky) entry.port = port;
}

function warnOwnAddress(br: Bridge, port: BridgePort, addrHi: number, addrLo: number, now: number): void {
  if (now < br.warnedNs + WARN_INTERVAL_NS) return;
  br.warnedNs = now;
  const addr = formatMac(addrHi, addrLo);
  br.dev.ns.kernel.printk(
    `${br.dev.name}: received packet on ${port.dev.name} with own address as source address (addr:${addr}, vlan:0)`,
  );
}

/** Notes an address of a port, or of the bridge itself (`port` null) (fdb_add_local). */
export function brFdbAddLocal(
  br: Bridge,
  port: BridgePort | null,
  addrHi: number,
  addrLo: number,
  vlan: number,
): void {
  if ((addrHi & 0x100) !== 0 || (addrHi === 0 && addrLo === 0)) return;
  const old = brFdbFind(br, addrHi, addrLo, vlan);
  if (old !== null) {
    if (old.local) return;
    br.fdb.delete(old);
  }
  const entry = br.fdb.create(addrHi, addrLo, vlan, port, br.dev.ns.kernel.sim.now);
  entry.local = true;
  entry.isStatic = true;
}

/** Takes a local address away, unless another port or the bridge has it too (fdb_delete_local). */
export function brFdbDeleteLocal(br: Bridge, port: BridgePort | null, entry: Entry): void {
  for (const other of br.ports) {
    if (other === port || other.dev.addrHi !== entry.addrHi || other.dev.addrLo !== entry.addrLo) continue;
    if (entry.vlan !== 0 && other.pvid !== entry.vlan) continue;
    entry.port = other;
    entry.addedByUser = false;
    return;
  }
  const own = br.dev.addrHi === entry.addrHi && br.dev.addrLo === entry.addrLo;
  if (port !== null && own && (entry.vlan === 0 || br.hasPvid)) {
    entry.port = null;
    entry.addedByUser = false;
    return;
  }
  br.fdb.delete(entry);
}

/** Local entries of `port` (null: the bridge's own) with that address, any VLAN or the given one. */
function localEntries(br: Bridge, port: BridgePort | null): Entry[] {
  return br.fdb
    .list(br.dev.ns.kernel.sim.now, br.ageingNs)
    .filter((entry) => entry.local && entry.port === port && !entry.addedByUser);
}

/** The bridge device gets another address (br_fdb_change_mac_address): called before it has it. */
export function brFdbChangeMacAddress(br: Bridge, addrHi: number, addrLo: number): void {
  const { dev } = br;
  for (const vlan of br.hasPvid ? [0, br.defaultPvid] : [0]) {
    const old = brFdbFind(br, dev.addrHi, dev.addrLo, vlan);
    if (old !== null && old.local && old.port === null && !old.addedByUser) brFdbDeleteLocal(br, null, old);
    brFdbAddLocal(br, null, addrHi, addrLo, vlan);
  }
}

/** A port has another address (br_fdb_changeaddr). */
export function brFdbChangeAddr(port: BridgePort): void {
  const { br, dev } = port;
  for (const entry of localEntries(br, port)) brFdbDeleteLocal(br, port, entry);
  brFdbAddLocal(br, port, dev.addrHi, dev.addrLo, 0);
  if (port.pvid !== 0) brFdbAddLocal(br, port, dev.addrHi, dev.addrLo, port.pvid);
}

/** Forgets what is behind a port: learnt addresses, with `all` also static and local ones (br_fdb_delete_by_port). */
export function brFdbDeleteByPort(br: Bridge, port: BridgePort, all: boolean): void {
  for (const entry of br.fdb.list(br.dev.ns.kernel.sim.now, br.ageingNs)) {
    if (entry.port !== port || (!all && !entry.ages)) continue;
    if (entry.local) brFdbDeleteLocal(br, port, entry);
    else br.fdb.delete(entry);
  }
}

/** The VLAN of a port or of the bridge (`port` null) changed from `from` to `to`; 0 is none. */
export function brFdbChangePvid(br: Bridge, port: BridgePort | null, from: number, to: number): void {
  const dev = port === null ? br.dev : port.dev;
  const old = from === 0 ? null : brFdbFind(br, dev.addrHi, dev.addrLo, from);
  if (old !== null && old.local && old.port === port) brFdbDeleteLocal(br, port, old);
  if (to !== 0) brFdbAddLocal(br, port, dev.addrHi, dev.addrLo, to);
}
