/**
 * Devices as libnetwork handles them (libnetwork osl/interface_linux.go, netutils): every step is a request at the door
 * to the kernel, in Docker's order.
 */
import type { NetDevice } from "../../net/core/net-device.ts";
import type { NetNs } from "../../net/core/net-ns.ts";
import { addressAdd } from "../../net/ctl/address.ts";
import {
  linkAdd,
  linkGet,
  linkSetAddress,
  linkSetDown,
  linkSetMaster,
  linkSetName,
  linkSetNetns,
  linkSetUp,
} from "../../net/ctl/link.ts";
import { linkSetBridge } from "../../net/ctl/link-bridge.ts";
import type { Prng } from "../../util/prng.ts";
import { prefixToMask } from "../../wire/address.ts";

/** `veth` and seven random hexadecimal digits. */
export function randomVethName(prng: Prng): string {
  return `veth${prng.hex(7)}`;
}

/** Upper 16 bits of the MAC addresses that Docker makes: 02:42. */
export const DOCKER_MAC_HI = 0x0242;

/** What an interface gets when it moves into a sandbox. */
export interface InterfaceOptions {
  /** int32; with `prefixLen` > 0. */
  readonly addr?: number;
  readonly prefixLen?: number;
  /** Sets 02:42:<these 32 bits>. */
  readonly macLo?: number;
  readonly master?: NetDevice;
}

/** Address with the broadcast address that the netlink library fills in. */
export function addInterfaceAddress(dev: NetDevice, addr: number, prefixLen: number): void {
  const mask = prefixToMask(prefixLen);
  if (prefixLen < 31) addressAdd(dev, { local: addr, prefixLen, broadcast: (addr & mask) | ~mask });
  else addressAdd(dev, { local: addr, prefixLen });
}

/** Moves `dev` into `ns` under `name`, configures it and sets it up. */
export function addInterface(dev: NetDevice, ns: NetNs, name: string, options: InterfaceOptions): NetDevice {
  linkSetNetns(dev, ns);
  linkSetDown(dev);
  return configureInterface(dev, name, options);
}

/** Makes a bridge in `ns` itself. */
export function addBridgeInterface(
  ns: NetNs,
  hostName: string,
  name: string,
  options: InterfaceOptions,
): NetDevice {
  const dev = linkAdd(ns, { kind: "bridge", name: hostName, txQueueLen: 0 });
  linkSetBridge(dev, { defaultPvid: 0 });
  return configureInterface(dev, name, options);
}

function configureInterface(dev: NetDevice, name: string, options: InterfaceOptions): NetDevice {
  linkSetName(dev, name);
  if (options.macLo !== undefined) linkSetAddress(dev, DOCKER_MAC_HI, options.macLo);
  if (options.addr !== undefined) addInterfaceAddress(dev, options.addr, options.prefixLen!);
  if (options.master !== undefined) linkSetMaster(dev, options.master);
  linkSetUp(dev);
  return dev;
}

/** A veth pair in `ns`; the kernel registers the peer first. */
export function createVethPair(ns: NetNs, name: string, peer: string): { dev: NetDevice; peer: NetDevice } {
  return { dev: linkAdd(ns, { kind: "veth", name, peer, txQueueLen: 0 }), peer: linkGet(ns, peer) };
}

/** A namespace as libnetwork makes or takes it: loopback up. */
export function setupNamespace(ns: NetNs): void {
  linkSetUp(linkGet(ns, "lo"));
}
