/**
 * The VXLAN device (drivers/net/vxlan/vxlan_core.c, RFC 7348): making it, its socket, its end. The way of a frame is in
 * `vxlan-xmit.ts` and `vxlan-rcv.ts`.
 */
import { SysError } from "../../util/errors.ts";
import { type DeviceOps, IFF_BROADCAST, IFF_MULTICAST, type NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import { NUD_PERMANENT, NUD_REACHABLE } from "../ipv4/neighbour.ts";
import { UdpSock } from "../ipv4/udp-sock.ts";
import { VxlanRdst } from "./vxlan-fdb.ts";
import {
  VXLAN_HEADROOM,
  type VxlanConfig,
  VxlanDev,
  VxlanSock,
  vxlanNetOf,
  vxlanOf,
} from "./vxlan-private.ts";
import { vxlanRcv } from "./vxlan-rcv.ts";
import { vxlanXmit } from "./vxlan-xmit.ts";

const vxlanOps: DeviceOps = {
  kind: "vxlan",
  keepsDst: true,
  xmit: vxlanXmit,
  open: vxlanOpen,
  stop: vxlanStop,
  uninit: vxlanUninit,
};

/**
 * Makes a device, down; its underlay is `ns` for ever. EEXIST when the name is taken, or the VNI on that port. The caller
 * gives it its address.
 */
export function vxlanNewlink(ns: NetNs, name: string, cfg: VxlanConfig, ifindex = 0): NetDevice {
  const net = vxlanNetOf(ns);
  for (const { cfg: other } of net.devs)
    if (other.vni === cfg.vni && other.dstPort === cfg.dstPort)
      throw new SysError("EEXIST", "Error: A VXLAN device with the specified VNI already exists.");
  const mtu = cfg.lower === null ? 1500 : cfg.lower.mtu - VXLAN_HEADROOM;
  const dev = ns.addDevice(name, vxlanOps, IFF_BROADCAST | IFF_MULTICAST, mtu, ifindex);
  dev.operState = "UNKNOWN";
  dev.linkNs = ns;
  dev.linkIndex = cfg.lower?.ifindex ?? 0;
  const vxlan = new VxlanDev(dev, cfg);
  dev.priv = vxlan;
  net.devs.push(vxlan);
  if (cfg.remote !== 0) {
    const rdst = new VxlanRdst(cfg.remote, cfg.dstPort, cfg.vni);
    vxlan.fdb.create(0, 0, rdst, NUD_REACHABLE | NUD_PERMANENT, ns.kernel.sim.now);
  }
  return dev;
}

/** What cannot change while the device is there, and the kernel's words for it (vxlan_nl2conf). */
const FIXED: readonly (readonly [keyof VxlanConfig, string])[] = [
  ["vni", "Error: Cannot change VNI."],
  ["dstPort", "Error: Cannot change port number."],
  ["portMin", "Error: Cannot change port range."],
  ["proxy", "Error: Proxy flag cannot be changed."],
  ["l2miss", "Error: L2miss flag cannot be changed."],
  ["l3miss", "Error: L3miss flag cannot be changed."],
  ["udpCsum", "Error: UDP csum flag cannot be changed."],
];

/** vxlan_changelink: a new default remote takes the place of the old one in the all-zero entry. EOPNOTSUPP. */
export function vxlanChangelink(dev: NetDevice, changes: Partial<VxlanConfig>): void {
  const vxlan = vxlanOf(dev)!;
  const old = vxlan.cfg;
  for (const [key, text] of FIXED)
    if (changes[key] !== undefined && changes[key] !== old[key]) throw new SysError("EOPNOTSUPP", text);
  vxlan.cfg = { ...old, ...changes };
  const { remote } = vxlan.cfg;
  if (remote === old.remote) return;
  const { fdb, net } = vxlan;
  const { now } = net.kernel.sim;
  const entry = fdb.peek(0, 0, now);
  if (remote !== 0 && entry === null) {
    const rdst = new VxlanRdst(remote, old.dstPort, old.vni);
    fdb.create(0, 0, rdst, NUD_REACHABLE | NUD_PERMANENT, now);
  }
  if (entry === null) return;
  if (remote !== 0 && !entry.remotes.some(({ ip }) => ip === remote))
    entry.remotes.push(new VxlanRdst(remote, old.dstPort, old.vni));
  const gone = old.remote === 0 ? -1 : entry.remotes.findIndex(({ ip }) => ip === old.remote);
  if (gone >= 0) entry.remotes.splice(gone, 1);
  if (entry.remotes.length === 0) fdb.delete(entry);
}

/** Joins the socket of the port, which opens with the first device (vxlan_sock_add). EADDRINUSE. */
function vxlanOpen(dev: NetDevice): void {
  const vxlan = vxlanOf(dev)!;
  const { dstPort, vni } = vxlan.cfg;
  const { socks } = vxlanNetOf(vxlan.net);
  let vs = socks.get(dstPort);
  if (vs === undefined) {
    const sock = new UdpSock(vxlan.net);
    sock.bind(0, dstPort);
    vs = new VxlanSock(dstPort, sock);
    sock.userData = vs;
    sock.encapRcv = vxlanRcv;
    socks.set(dstPort, vs);
  }
  vs.devs.set(vni, vxlan);
}

function vxlanStop(dev: NetDevice): void {
  const vxlan = vxlanOf(dev)!;
  vxlan.fdb.flushDynamic();
  const { socks } = vxlanNetOf(vxlan.net);
  const vs = socks.get(vxlan.cfg.dstPort);
  if (vs === undefined || vs.devs.get(vxlan.cfg.vni) !== vxlan) return;
  vs.devs.delete(vxlan.cfg.vni);
  if (vs.devs.size > 0) return;
  vs.sock.close();
  socks.delete(vxlan.cfg.dstPort);
}

function vxlanUninit(dev: NetDevice): void {
  const vxlan = vxlanOf(dev)!;
  const { devs } = vxlanNetOf(vxlan.net);
  devs.splice(devs.indexOf(vxlan), 1);
}
