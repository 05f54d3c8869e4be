/** Learning from what arrives by VXLAN (drivers/net/vxlan/vxlan_core.c vxlan_snoop). */
import { formatIp4, formatMac } from "../../wire/address.ts";
import type { Skb } from "../core/skb.ts";
import { NUD_REACHABLE } from "../ipv4/neighbour.ts";
import { VxlanRdst } from "./vxlan-fdb.ts";
import type { VxlanDev } from "./vxlan-private.ts";

/**
 * Notes that the frame's source (Ethernet header at `macOff`) is behind the VTEP `srcIp`. True: the frame must be dropped,
 * because a static entry says that the source is behind another one.
 */
export function vxlanSnoop(vxlan: VxlanDev, skb: Skb, srcIp: number): boolean {
  const { dev, fdb } = vxlan;
  const { view, macOff } = skb;
  const hi = view.getUint16(macOff + 6);
  const lo = view.getInt32(macOff + 8);
  if ((hi & 0x100) !== 0 || (hi === 0 && lo === 0)) return true;
  const { sim } = dev.ns.kernel;
  const entry = fdb.findMac(hi, lo, sim);
  if (entry === null) {
    if (dev.isUp) fdb.create(hi, lo, newRemote(vxlan, srcIp), NUD_REACHABLE, sim.now);
    return false;
  }
  const rdst = entry.remotes[0];
  if (rdst.ip === srcIp) return false;
  if (entry.isStatic) return true;
  const from = formatIp4(rdst.ip);
  dev.ns.kernel.printkRatelimited(
    `${dev.name}: ${formatMac(hi, lo)} migrated from ${from} to ${formatIp4(srcIp)}`,
  );
  rdst.ip = srcIp;
  entry.updatedNs = sim.now;
  return false;
}

function newRemote(vxlan: VxlanDev, ip: number): VxlanRdst {
  return new VxlanRdst(ip, vxlan.cfg.dstPort, vxlan.cfg.vni);
}
