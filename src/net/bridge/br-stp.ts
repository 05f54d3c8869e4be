/**
 * States of ports and of the bridge without a spanning tree (net/bridge/br_stp_if.c): a port forwards as soon as it is up,
 * the bridge has the carrier of its ports and, unless one was set, their lowest MAC address.
 */
import { netifCarrierOff, netifCarrierOn } from "../core/link-watch.ts";
import { brFdbChangeMacAddress, brFdbDeleteByPort } from "./br-fdb-local.ts";
import { BR_STATE_DISABLED, BR_STATE_FORWARDING, type Bridge, type BridgePort } from "./br-private.ts";

/** NET_ADDR_SET: somebody chose the address. */
const NET_ADDR_SET = 3;

/** Writes a line on a port's state to the kernel log. */
export function brLogPort(port: BridgePort, text: string): void {
  const bridge = port.br.dev;
  bridge.ns.kernel.printk(`${bridge.name}: port ${port.portNo}(${port.dev.name}) entered ${text}`);
}

/** Whether the port's device can pass frames (netif_running and netif_oper_up). */
function canForward(port: BridgePort): boolean {
  return port.br.dev.isUp && port.dev.isUp && port.dev.carrier;
}

/** Brings a port's state in line with its device (br_port_carrier_check). */
export function brPortCarrierCheck(port: BridgePort): void {
  const able = canForward(port);
  if (able && port.state === BR_STATE_DISABLED) {
    brLogPort(port, "blocking state");
    port.state = BR_STATE_FORWARDING;
    brLogPort(port, "forwarding state");
  } else if (!able && port.state !== BR_STATE_DISABLED) brStpDisablePort(port);
  brPortStateSelection(port.br);
}

/** A port stops: what was learnt behind it is forgotten (br_stp_disable_port). */
export function brStpDisablePort(port: BridgePort): void {
  if (port.state !== BR_STATE_DISABLED) {
    port.state = BR_STATE_DISABLED;
    brLogPort(port, "disabled state");
  }
  brFdbDeleteByPort(port.br, port, false);
}

/** The bridge has a carrier while one of its ports forwards (br_port_state_selection). */
export function brPortStateSelection(br: Bridge): void {
  let live = false;
  for (const port of br.ports) if (port.state === BR_STATE_FORWARDING) live = true;
  if (live) netifCarrierOn(br.dev);
  else netifCarrierOff(br.dev);
}

/** Takes the lowest address of the ports unless one was set (br_stp_recalculate_bridge_id). */
export function brStpRecalculateBridgeId(br: Bridge): void {
  if (br.dev.addrAssign === NET_ADDR_SET) return;
  let hi = 0;
  let lo = 0;
  for (const { dev } of br.ports) {
    const none = hi === 0 && lo === 0;
    if (none || dev.addrHi < hi || (dev.addrHi === hi && dev.addrLo >>> 0 < lo >>> 0)) {
      hi = dev.addrHi;
      lo = dev.addrLo;
    }
  }
  if (hi !== br.dev.addrHi || lo !== br.dev.addrLo) brStpChangeBridgeId(br, hi, lo);
}

/** Gives the bridge another address (br_stp_change_bridge_id). */
export function brStpChangeBridgeId(br: Bridge, hi: number, lo: number): void {
  brFdbChangeMacAddress(br, hi, lo);
  br.dev.addrHi = hi;
  br.dev.addrLo = lo;
  for (const listener of br.dev.ns.listeners) listener.addressChanged?.(br.dev);
}
