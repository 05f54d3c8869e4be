/** Ports of a bridge (net/bridge/br_if.c), and what a bridge hears of their devices (br.c). */
import { SysError } from "../../util/errors.ts";
import { devSetAllmulti, devSetPromiscuity } from "../core/dev-rx-flags.ts";
import { IFF_LOOPBACK, type NetDevice } from "../core/net-device.ts";
import type { DeviceListener, NetNs } from "../core/net-ns.ts";
import { brFdbAddLocal, brFdbChangeAddr, brFdbDeleteByPort } from "./br-fdb-local.ts";
import { brHandleFrame } from "./br-input.ts";
import { type Bridge, BridgePort, bridgePortOf } from "./br-private.ts";
import {
  brLogPort,
  brPortCarrierCheck,
  brPortStateSelection,
  brStpDisablePort,
  brStpRecalculateBridgeId,
} from "./br-stp.ts";

const DEFAULT_MTU = 1500;
const MAX_PORTS = 1 << 10;

/** Follows the devices of a namespace that are ports; called when a bridge is made there. */
export function brWatchPorts(ns: NetNs): void {
  if (!ns.listeners.includes(portListener)) ns.listeners.push(portListener);
}

/**
 * Makes a device a port (br_add_if). EINVAL for loopback and what has no Ethernet header, ELOOP for a bridge, EBUSY for a port of another bridge and
 * when the bridge is full.
 */
export function brAddIf(br: Bridge, dev: NetDevice): BridgePort {
  if ((dev.flags & IFF_LOOPBACK) !== 0 || dev.hardHeaderLen === 0) throw new SysError("EINVAL", dev.name);
  if (dev.ops.kind === "bridge") throw new SysError("ELOOP", "Error: Can not enslave a bridge to a bridge.");
  if (dev.bridgePort !== null) throw new SysError("EBUSY", dev.name);
  const port = new BridgePort(br, dev, findPortNo(br), portCost(dev), br.defaultPvid);
  devSetAllmulti(dev, 1);
  brLogPort(port, "blocking state");
  brLogPort(port, "disabled state");
  dev.bridgePort = port;
  dev.rxHandler = brHandleFrame;
  dev.master = br.dev;
  br.ports.unshift(port);
  devSetPromiscuity(dev, 1);
  brFdbAddLocal(br, port, dev.addrHi, dev.addrLo, 0);
  if (port.pvid !== 0) brFdbAddLocal(br, port, dev.addrHi, dev.addrLo, port.pvid);
  brStpRecalculateBridgeId(br);
  brPortCarrierCheck(port);
  brMtuAutoAdjust(br);
  return port;
}

/** Takes a port off (br_del_if). EINVAL when the device is no port of this bridge. */
export function brDelIf(br: Bridge, dev: NetDevice): void {
  const port = bridgePortOf(dev);
  if (port === null || port.br !== br) throw new SysError("EINVAL", dev.name);
  brStpDisablePort(port);
  brFdbDeleteByPort(br, port, true);
  br.ports.splice(br.ports.indexOf(port), 1);
  dev.bridgePort = null;
  dev.rxHandler = null;
  dev.master = null;
  devSetAllmulti(dev, -1);
  devSetPromiscuity(dev, -1);
  brMtuAutoAdjust(br);
  brStpRecalculateBridgeId(br);
  brPortStateSelection(br);
}

/** The bridge takes the smallest MTU of its ports until somebody sets one (br_mtu_auto_adjust). */
export function brMtuAutoAdjust(br: Bridge): void {
  if (br.mtuSetByUser) return;
  let mtu = 0;
  for (const { dev } of br.ports) if (mtu === 0 || dev.mtu < mtu) mtu = dev.mtu;
  if (mtu === 0) mtu = DEFAULT_MTU;
  if (br.dev.mtu === mtu) return;
  const oldMtu = br.dev.mtu;
  br.dev.mtu = mtu;
  for (const listener of br.dev.ns.listeners) listener.mtuChanged?.(br.dev, oldMtu);
}

function findPortNo(br: Bridge): number {
  for (let no = 1; no < MAX_PORTS; no++) if (!br.ports.some((port) => port.portNo === no)) return no;
  throw new SysError("EBUSY", "no port number is free");
}

/** Cost by the speed that the driver reports (port_cost): veth says 10 Gbit/s, a VLAN as below, tunnels and virtual cards nothing. */
function portCost(dev: NetDevice): number {
  if (dev.ops.kind === "vlan") return portCost(dev.link!);
  return dev.ops.kind === "veth" ? 2 : 100;
}

const portListener: DeviceListener = {
  up: checkPort,
  down: checkPort,
  carrierChanged: checkPort,
  unregistering(dev) {
    const port = bridgePortOf(dev);
    if (port !== null) brDelIf(port.br, dev);
  },
  addressChanged(dev) {
    const port = bridgePortOf(dev);
    if (port === null) return;
    brFdbChangeAddr(port);
    brStpRecalculateBridgeId(port.br);
  },
  mtuChanged(dev) {
    const port = bridgePortOf(dev);
    if (port !== null) brMtuAutoAdjust(port.br);
  },
};

function checkPort(dev: NetDevice): void {
  const port = bridgePortOf(dev);
  if (port !== null) brPortCarrierCheck(port);
}
