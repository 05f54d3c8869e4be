/** The bridge as a device (net/bridge/br_device.c). */
import { countTx, ETH_HLEN } from "../core/dev.ts";
import { linkwatchInitDev } from "../core/link-watch.ts";
import { type DeviceOps, IFF_BROADCAST, IFF_MULTICAST, type NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import type { Skb } from "../core/skb.ts";
import { brFdbAddLocal, brFdbChangePvid, brFdbFind } from "./br-fdb-local.ts";
import { BR_PKT_BROADCAST, BR_PKT_MULTICAST, BR_PKT_UNICAST, brFlood, brForward } from "./br-forward.ts";
import { brDelIf, brWatchPorts } from "./br-if.ts";
import { brHandleFrameFinish } from "./br-input.ts";
import { brNfDevXmit } from "./br-netfilter.ts";
import { Bridge, bridgeOf } from "./br-private.ts";
import { brPortCarrierCheck, brPortStateSelection, brStpDisablePort } from "./br-stp.ts";

const bridgeOps: DeviceOps = {
  kind: "bridge",
  vlanTx: true,
  xmit: brDevXmit,
  open: brDevOpen,
  stop: brDevStop,
  uninit: brDevUninit,
};

/**
 * Makes a bridge, down, with that MAC address (upper 16, lower 32 bits), which gives way to that of the first port. EEXIST
 * when the name is taken.
 */
export function brNewlink(ns: NetNs, name: string, addrHi: number, addrLo: number, ifindex = 0): NetDevice {
  brWatchPorts(ns);
  const dev = ns.addDevice(name, bridgeOps, IFF_BROADCAST | IFF_MULTICAST, 1500, ifindex);
  dev.addrHi = addrHi;
  dev.addrLo = addrLo;
  dev.addrAssign = 1;
  const br = new Bridge(dev);
  dev.priv = br;
  linkwatchInitDev(dev);
  br.hasPvid = true;
  brFdbAddLocal(br, null, addrHi, addrLo, br.defaultPvid);
  return dev;
}

/** Sets the VLAN that ports get; ports that had the old one get the new one (__br_vlan_set_default_pvid). */
export function brSetDefaultPvid(br: Bridge, pvid: number): void {
  const old = br.defaultPvid;
  if (pvid === old) return;
  if (br.hasPvid || old === 0) brFdbChangePvid(br, null, br.hasPvid ? old : 0, pvid);
  br.defaultPvid = pvid;
  br.hasPvid = pvid !== 0;
  for (const port of br.ports) {
    if (port.pvid !== old) continue;
    port.pvid = pvid;
    brFdbChangePvid(br, port, old, pvid);
  }
}

function brDevOpen(dev: NetDevice): void {
  const br = bridgeOf(dev)!;
  br.openedNs = dev.ns.kernel.sim.now;
  for (let i = br.ports.length - 1; i >= 0; i--) brPortCarrierCheck(br.ports[i]);
  brPortStateSelection(br);
}

function brDevStop(dev: NetDevice): void {
  const br = bridgeOf(dev)!;
  for (let i = br.ports.length - 1; i >= 0; i--) brStpDisablePort(br.ports[i]);
  brPortStateSelection(br);
}

function brDevUninit(dev: NetDevice): void {
  const br = bridgeOf(dev)!;
  while (br.ports.length > 0) brDelIf(br, br.ports[0].dev);
}

/** Sends a frame of the machine itself (br_dev_xmit): `data` at the Ethernet header. */
function brDevXmit(skb: Skb, dev: NetDevice): void {
  const br = dev.priv as Bridge;
  const dnated = skb.nfBridge === null ? null : brNfDevXmit(skb);
  if (dnated !== null) {
    brHandleFrameFinish(skb, dnated);
    return;
  }
  countTx(dev, skb.length);
  const { view, data } = skb;
  skb.macOff = data;
  skb.data = data + ETH_HLEN;
  const dstHi = view.getUint16(data);
  const dstLo = view.getInt32(data + 2);
  if ((dstHi & 0x100) !== 0) {
    const broadcast = dstHi === 0xffff && dstLo === -1;
    brFlood(br, null, skb, broadcast ? BR_PKT_BROADCAST : BR_PKT_MULTICAST, false);
    return;
  }
  const entry = brFdbFind(br, dstHi, dstLo, 0);
  if (entry === null) brFlood(br, null, skb, BR_PKT_UNICAST, false);
  else brForward(entry.port, null, skb, false);
}
