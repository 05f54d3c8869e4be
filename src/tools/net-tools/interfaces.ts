/** Devices as net-tools 2.10 shows them (lib/interface.c): `ifconfig`, and the table of `netstat -i` and `ifconfig -s`. */
import { devGetFlags, IFF_RUNNING } from "../../net/core/link-watch.ts";
import {
  IFF_ALLMULTI,
  IFF_BROADCAST,
  IFF_LOOPBACK,
  IFF_MULTICAST,
  IFF_NOARP,
  IFF_POINTOPOINT,
  IFF_PROMISC,
  IFF_UP,
  type NetDevice,
} from "../../net/core/net-device.ts";
import type { NetNs } from "../../net/core/net-ns.ts";
import { addressesOf } from "../../net/ctl/address.ts";
import { NotModelledError, UsageError } from "../../util/errors.ts";
import { formatIp4, formatMac, prefixToMask } from "../../wire/address.ts";
import { statsJson } from "../ip/link-stats.ts";

/** A device, or one of its addresses that has a name of its own (`eth0:1`). */
export interface Interface {
  readonly name: string;
  readonly dev: NetDevice;
  readonly isAlias: boolean;
}

/** In the order of their names; with `all` those that are down as well. */
export function interfacesOf(ns: NetNs, all: boolean): Interface[] {
  const shown = ns.devices().filter((dev) => all || (dev.flags & IFF_UP) !== 0);
  return shown
    .flatMap((dev): Interface[] => {
      const labels = dev.in4 === null ? [] : addressesOf(dev).map(({ label }) => label);
      const aliases = [...new Set(labels)].filter((label) => label !== dev.name && label.includes(":"));
      return [
        { name: dev.name, dev, isAlias: false },
        ...aliases.map((name) => ({ name, dev, isAlias: true })),
      ];
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** In the order in which the letters stand. */
const FLAG_LETTERS = [
  [IFF_ALLMULTI, "A"],
  [IFF_BROADCAST, "B"],
  [IFF_LOOPBACK, "L"],
  [IFF_MULTICAST, "M"],
  [IFF_NOARP, "O"],
  [IFF_POINTOPOINT, "P"],
  [IFF_PROMISC, "P"],
  [IFF_RUNNING, "R"],
  [IFF_UP, "U"],
] as const;

const FLAG_NAMES = [
  [IFF_UP, "UP"],
  [IFF_BROADCAST, "BROADCAST"],
  [IFF_LOOPBACK, "LOOPBACK"],
  [IFF_POINTOPOINT, "POINTOPOINT"],
  [IFF_RUNNING, "RUNNING"],
  [IFF_NOARP, "NOARP"],
  [IFF_PROMISC, "PROMISC"],
  [IFF_ALLMULTI, "ALLMULTI"],
  [IFF_MULTICAST, "MULTICAST"],
] as const;

export function flagNames(dev: NetDevice): string[] {
  const flags = devGetFlags(dev);
  return FLAG_NAMES.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name);
}

function tableLine({ name, dev, isAlias }: Interface): string {
  const flags = devGetFlags(dev);
  const letters = FLAG_LETTERS.filter(([bit]) => (flags & bit) !== 0)
    .map(([, letter]) => letter)
    .join("");
  const head = `${name.padEnd(15)}${String(dev.mtu).padStart(6)}`;
  if (isAlias) return `${head}      - no statistics available -                        ${letters}\n`;
  const { rx, tx } = statsJson(dev);
  const count = (value: number, width: number): string => ` ${String(value).padStart(width)}`;
  const received = count(rx.packets, 8) + count(rx.errors, 6) + count(rx.dropped, 6);
  const sent = count(tx.packets, 8) + count(tx.errors, 6) + count(tx.dropped, 6) + count(0, 6);
  return `${head}${received} ${"0".padEnd(6)}${sent} ${letters}\n`;
}

/** The table; `head` is its first line. */
export function interfaceTable(ns: NetNs, all: boolean, head: string): string {
  return head + interfacesOf(ns, all).map(tableLine).join("");
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** `8796 (8.5 KiB)`: cut, not rounded. */
export function bytesText(bytes: number): string {
  let unit = 0;
  while (unit < UNITS.length - 1 && bytes / 1024 ** unit > 1024) unit++;
  return `${bytes} (${(Math.trunc((bytes * 10) / 1024 ** unit) / 10).toFixed(1)} ${UNITS[unit]})`;
}

function interfaceText({ name, dev, isAlias }: Interface): string {
  const flags = devGetFlags(dev) & 0xffff;
  const lines = [`${name}: flags=${flags}<${flagNames(dev).join(",")}>  mtu ${dev.mtu}`];
  const address = dev.in4 === null ? undefined : addressesOf(dev).find(({ label }) => label === name);
  if (address !== undefined) {
    const mask = `  netmask ${formatIp4(prefixToMask(address.prefixLen))}`;
    const broadcast = (flags & IFF_BROADCAST) === 0 ? "" : `  broadcast ${formatIp4(address.broadcast)}`;
    lines.push(`        inet ${formatIp4(address.local)}${mask}${broadcast}`);
  }
  lines.push(`        ${hardwareText(dev)}`);
  if (!isAlias) lines.push(...countLines(dev));
  return `${lines.join("\n")}\n\n`;
}

function hardwareText(dev: NetDevice): string {
  if (dev.ops.kind === "ipip") throw new NotModelledError("what ifconfig prints of a tunnel");
  const queue = `txqueuelen ${dev.txQueueLen}`;
  if ((dev.flags & IFF_LOOPBACK) !== 0) return `loop  ${queue}  (Local Loopback)`;
  return `ether ${formatMac(dev.addrHi, dev.addrLo)}  ${queue}  (Ethernet)`;
}

function countLines(dev: NetDevice): string[] {
  const { rx, tx } = statsJson(dev);
  return [
    `        RX packets ${rx.packets}  bytes ${bytesText(rx.bytes)}`,
    `        RX errors ${rx.errors}  dropped ${rx.dropped}  overruns 0  frame 0`,
    `        TX packets ${tx.packets}  bytes ${bytesText(tx.bytes)}`,
    `        TX errors ${tx.errors}  dropped ${tx.dropped} overruns 0  carrier ${tx.carrier_errors}  collisions ${tx.collisions}`,
  ];
}

/** `ifconfig`, `ifconfig -a`, `ifconfig NAME`. */
export function interfacesText(ns: NetNs, all: boolean, name: string): string {
  if (name === "") return interfacesOf(ns, all).map(interfaceText).join("");
  const found = interfacesOf(ns, true).find((one) => one.name === name);
  if (found === undefined)
    throw new UsageError(`${name}: error fetching interface information: Device not found`, 1);
  return interfaceText(found);
}
