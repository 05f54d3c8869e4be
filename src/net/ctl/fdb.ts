/**
 * Forwarding databases at the door to the kernel: what RTM_NEWNEIGH of the family PF_BRIDGE does (rtnl_fdb_add in
 * net/core/rtnetlink.c, br_fdb_add, vxlan_fdb_add). `self` is the table of the device, `master` that of its bridge.
 */
import { SysError } from "../../util/errors.ts";
import { brFdbFind } from "../bridge/br-fdb-local.ts";
import { type Bridge, type BridgePort, bridgeOf, bridgePortOf } from "../bridge/br-private.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import { type VxlanFdbEntry, VxlanRdst } from "../drivers/vxlan-fdb.ts";
import { type VxlanDev, vxlanOf } from "../drivers/vxlan-private.ts";
import { NUD_NOARP, NUD_PERMANENT, NUD_REACHABLE } from "../ipv4/neighbour.ts";

/** permanent: NUD_PERMANENT (on a bridge: a local address); static: does not age; dynamic: ages. */
export type FdbState = "permanent" | "static" | "dynamic";

export interface FdbSpec {
  /** Upper 16 and lower 32 bits; all zero: the default of a VXLAN device. */
  readonly macHi: number;
  readonly macLo: number;
  /** Remote VTEP of a VXLAN device, int32. */
  readonly dst?: number;
  readonly port?: number;
  readonly vni?: number;
  /** In the table of the bridge that the device is a port of; absent: in the device's own. */
  readonly master?: boolean;
  /** Absent: permanent. */
  readonly state?: FdbState;
  readonly vlan?: number;
}

/** An entry as `bridge fdb` shows it. */
export interface FdbDumpEntry {
  readonly dev: NetDevice;
  readonly macHi: number;
  readonly macLo: number;
  readonly vlan: number;
  /** The bridge that has it, null when it is the device's own. */
  readonly master: NetDevice | null;
  /** Remote VTEP, null when none. */
  readonly dst: number | null;
  /** Where they differ from the device's. */
  readonly port: number | null;
  readonly vni: number | null;
  /** Number of the underlay's namespace, -1 when it is this one. */
  readonly linkNetnsid: number;
  /** "" for an entry that ages. */
  readonly state: "permanent" | "static" | "";
  readonly usedNs: number;
  readonly updatedNs: number;
}

type Mode = "add" | "append" | "replace";

/** Adds; EEXIST when the address is there. EOPNOTSUPP when the device has no such table. */
export function fdbAdd(dev: NetDevice, spec: FdbSpec): void {
  fdbChange(dev, spec, "add");
}

/** Adds a further remote to an entry for all-zero or a group address. */
export function fdbAppend(dev: NetDevice, spec: FdbSpec): void {
  fdbChange(dev, spec, "append");
}

/** Adds or changes. */
export function fdbReplace(dev: NetDevice, spec: FdbSpec): void {
  fdbChange(dev, spec, "replace");
}

/** ENOENT when there is none. */
export function fdbDel(dev: NetDevice, spec: FdbSpec): void {
  const { kernel } = dev.ns;
  const vxlan = vxlanOf(dev);
  if (spec.master !== true && vxlan !== null) {
    vxlanFdbDelete(vxlan, spec, kernel.sim.now);
    return;
  }
  const { br, port } = bridgeTable(dev, spec);
  let found = false;
  for (const vlan of spec.vlan === undefined ? vlansOf(br, port) : [spec.vlan]) {
    const entry = brFdbFind(br, spec.macHi, spec.macLo, vlan);
    if (entry === null || entry.port !== port) continue;
    br.fdb.delete(entry);
    found = true;
  }
  if (!found) throw new SysError("ENOENT", dev.name);
}

/**
 * Entries of a namespace in the kernel's order: by device, and of each first what its bridge knows behind it, then its own.
 * `dev`: only of that device; `br`: only of that bridge and its ports.
 */
export function fdbDump(ns: NetNs, filter: { dev?: NetDevice; br?: NetDevice } = {}): FdbDumpEntry[] {
  const entries: FdbDumpEntry[] = [];
  for (const dev of ns.devices()) {
    if (filter.dev !== undefined && dev !== filter.dev) continue;
    if (filter.br !== undefined && dev !== filter.br && dev.master !== filter.br) continue;
    const port = bridgePortOf(dev);
    if (port !== null) dumpBridge(entries, port.br, port);
    const vxlan = vxlanOf(dev);
    if (vxlan !== null) dumpVxlan(entries, vxlan);
    else dumpMulticast(entries, dev);
    const br = bridgeOf(dev);
    if (br !== null) dumpBridge(entries, br, null);
  }
  return entries;
}

function fdbChange(dev: NetDevice, spec: FdbSpec, mode: Mode): void {
  const vxlan = vxlanOf(dev);
  if (spec.master !== true && vxlan !== null) vxlanFdbUpdate(vxlan, spec, mode);
  else bridgeFdbUpdate(dev, spec, mode);
}

function vxlanFdbUpdate(vxlan: VxlanDev, spec: FdbSpec, mode: Mode): void {
  const { fdb, dev } = vxlan;
  const { macHi, macLo } = spec;
  const now = dev.ns.kernel.sim.now;
  const group = (macHi & 0x100) !== 0 || (macHi === 0 && macLo === 0);
  const state =
    spec.state === "dynamic"
      ? NUD_REACHABLE
      : NUD_NOARP | (spec.state === "static" ? NUD_REACHABLE : NUD_PERMANENT);
  if (mode === "replace" && group) throw new SysError("EOPNOTSUPP", dev.name);
  const rdst = remoteOf(vxlan, spec);
  const entry = fdb.peek(macHi, macLo, now);
  if (entry === null) {
    fdb.create(macHi, macLo, rdst, state, now);
    return;
  }
  if (mode === "add") throw new SysError("EEXIST", dev.name);
  if (entry.state !== state) {
    entry.state = state;
    entry.updatedNs = now;
  }
  const known = findRdst(entry, rdst) >= 0;
  if (mode === "replace" && !known) {
    entry.remotes.splice(0, entry.remotes.length, rdst);
    entry.updatedNs = now;
  } else if (mode === "append" && group && !known) {
    entry.remotes.push(rdst);
    entry.updatedNs = now;
  }
}

function vxlanFdbDelete(vxlan: VxlanDev, spec: FdbSpec, now: number): void {
  const entry = vxlan.fdb.peek(spec.macHi, spec.macLo, now);
  if (entry === null) throw new SysError("ENOENT", vxlan.dev.name);
  if (spec.dst !== undefined) {
    const i = findRdst(entry, remoteOf(vxlan, spec));
    if (i < 0) throw new SysError("ENOENT", vxlan.dev.name);
    if (entry.remotes.length > 1) {
      entry.remotes.splice(i, 1);
      return;
    }
  }
  vxlan.fdb.delete(entry);
}

function remoteOf(vxlan: VxlanDev, spec: FdbSpec): VxlanRdst {
  return new VxlanRdst(spec.dst ?? 0, spec.port ?? vxlan.cfg.dstPort, spec.vni ?? vxlan.cfg.vni);
}

function findRdst(entry: VxlanFdbEntry, rdst: VxlanRdst): number {
  return entry.remotes.findIndex(
    ({ ip, port, vni }) => ip === rdst.ip && port === rdst.port && vni === rdst.vni,
  );
}

/** The bridge table that a request is about. */
function bridgeTable(dev: NetDevice, spec: FdbSpec): { br: Bridge; port: BridgePort | null } {
  const own = bridgeOf(dev);
  if (own !== null) return { br: own, port: null };
  const port = bridgePortOf(dev);
  if (spec.master !== true || port === null) throw new SysError("EOPNOTSUPP", dev.name);
  return { br: port.br, port };
}

/** Without a VLAN a request goes for all that the port has. */
function vlansOf(br: Bridge, port: BridgePort | null): number[] {
  const pvid = port === null ? (br.hasPvid ? br.defaultPvid : 0) : port.pvid;
  return pvid === 0 ? [0] : [0, pvid];
}

function bridgeFdbUpdate(dev: NetDevice, spec: FdbSpec, mode: Mode): void {
  const { br, port } = bridgeTable(dev, spec);
  if (mode === "append") throw new SysError("EINVAL", dev.name);
  if ((spec.macHi & 0x100) !== 0 || (spec.macHi === 0 && spec.macLo === 0))
    throw new SysError("EINVAL", dev.name);
  const now = dev.ns.kernel.sim.now;
  for (const vlan of spec.vlan === undefined ? vlansOf(br, port) : [spec.vlan]) {
    const old = brFdbFind(br, spec.macHi, spec.macLo, vlan);
    if (old !== null && mode === "add") throw new SysError("EEXIST", dev.name);
    const entry = old ?? br.fdb.create(spec.macHi, spec.macLo, vlan, port, now);
    const state = spec.state ?? "permanent";
    entry.port = port;
    entry.local = state === "permanent";
    entry.isStatic = state !== "dynamic";
    entry.addedByUser = true;
    entry.updatedNs = now;
    entry.usedNs = now;
  }
}

function dumpBridge(out: FdbDumpEntry[], br: Bridge, port: BridgePort | null): void {
  for (const entry of br.fdb.list(br.dev.ns.kernel.sim.now, br.ageingNs)) {
    if (entry.port !== port) continue;
    out.push({
      ...OWN,
      dev: port === null ? br.dev : port.dev,
      macHi: entry.addrHi,
      macLo: entry.addrLo,
      vlan: entry.vlan,
      master: br.dev,
      state: entry.local ? "permanent" : entry.isStatic ? "static" : "",
      usedNs: entry.usedNs,
      updatedNs: entry.updatedNs,
    });
  }
}

const OWN = {
  vlan: 0,
  master: null,
  dst: null,
  port: null,
  vni: null,
  linkNetnsid: -1,
  usedNs: 0,
  updatedNs: 0,
};

function dumpVxlan(out: FdbDumpEntry[], vxlan: VxlanDev): void {
  const { dev, cfg, net } = vxlan;
  const linkNetnsid = net === dev.ns ? -1 : dev.ns.netnsId(net);
  for (const entry of vxlan.fdb.list(dev.ns.kernel.sim.now))
    for (const rdst of entry.remotes)
      out.push({
        dev,
        macHi: entry.addrHi,
        macLo: entry.addrLo,
        vlan: 0,
        master: null,
        dst: rdst.ip === 0 ? null : rdst.ip,
        port: rdst.port === cfg.dstPort ? null : rdst.port,
        vni: rdst.vni === cfg.vni ? null : rdst.vni,
        linkNetnsid,
        state:
          (entry.state & NUD_PERMANENT) !== 0 ? "permanent" : (entry.state & NUD_NOARP) !== 0 ? "static" : "",
        usedNs: entry.usedNs,
        updatedNs: entry.updatedNs,
      });
}

/** Group addresses that a device receives: all hosts, on a bridge before it all snoopers (224.0.0.106). */
function dumpMulticast(out: FdbDumpEntry[], dev: NetDevice): void {
  if (!dev.isUp || dev.ops.kind === "loopback") return;
  const groups = bridgeOf(dev) === null ? [0x5e000001] : [0x5e00006a, 0x5e000001];
  for (const macLo of groups) out.push({ ...OWN, dev, macHi: 0x0100, macLo, state: "permanent" });
}
