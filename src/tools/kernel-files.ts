/**
 * Files in which the kernel tells its state: /sys/class/net (net/core/net-sysfs.c), /proc/net (arp.c, fib_trie.c,
 * net-procfs.c) and the folders of /proc/sys.
 */
import { operStateOf } from "../net/core/link-watch.ts";
import { IFF_UP, type NetDevice } from "../net/core/net-device.ts";
import type { NetNs } from "../net/core/net-ns.ts";
import { formatMac } from "../wire/address.ts";
import { statsJson } from "./ip/link-stats.ts";
import { procNetIpvs } from "./ipvsadm/proc.ts";

const PROC_NET = "/proc/net/";
const CLASS_NET = "/sys/class/net";
const ARPHRD_LOOPBACK = 772;
const ARPHRD_ETHER = 1;

/** One value a file: the attributes of a device. */
const ATTRIBUTES: Record<string, (dev: NetDevice) => string | number | null> = {
  address: (dev) => formatMac(dev.addrHi, dev.addrLo),
  mtu: (dev) => dev.mtu,
  ifindex: (dev) => dev.ifindex,
  iflink: (dev) => dev.link?.ifindex ?? (dev.linkIndex || dev.ifindex),
  operstate: (dev) => operStateOf(dev).toLowerCase(),
  carrier: (dev) => ((dev.flags & IFF_UP) === 0 ? null : Number(dev.carrier)),
  flags: (dev) => `0x${(dev.flags & 0xffff).toString(16)}`,
  tx_queue_len: (dev) => dev.txQueueLen,
  addr_len: () => 6,
  addr_assign_type: (dev) => dev.addrAssign,
  type: (dev) => (dev.ops.kind === "loopback" ? ARPHRD_LOOPBACK : ARPHRD_ETHER),
};
const STATISTICS: Record<string, readonly [way: "rx" | "tx", field: string]> = {
  rx_packets: ["rx", "packets"],
  rx_bytes: ["rx", "bytes"],
  rx_errors: ["rx", "errors"],
  rx_dropped: ["rx", "dropped"],
  multicast: ["rx", "multicast"],
  tx_packets: ["tx", "packets"],
  tx_bytes: ["tx", "bytes"],
  tx_errors: ["tx", "errors"],
  tx_dropped: ["tx", "dropped"],
  collisions: ["tx", "collisions"],
};

/** Text of a file of the kernel, null when there is none of that name. */
export function kernelFile(ns: NetNs, path: string): string | null {
  if (path === "/proc/net/dev") return procNetDev(ns);
  if (path.startsWith(PROC_NET)) return procNetIpvs(ns, path.slice(PROC_NET.length)) ?? null;
  if (!path.startsWith(`${CLASS_NET}/`)) return null;
  const [name, attribute, counter] = path.slice(CLASS_NET.length + 1).split("/");
  const dev = ns.device(name);
  if (dev === undefined || attribute === undefined) return null;
  if (attribute === "statistics") {
    const entry = STATISTICS[counter];
    return entry === undefined ? null : `${statsJson(dev)[entry[0]][entry[1]]}\n`;
  }
  const value = ATTRIBUTES[attribute]?.(dev) ?? null;
  return value === null || counter !== undefined ? null : `${value}\n`;
}

/** The names in a folder of the kernel, null when it is none. */
export function kernelFolder(ns: NetNs, path: string): readonly string[] | null {
  if (path === CLASS_NET) return ns.devices().map(({ name }) => name);
  const device = /^\/sys\/class\/net\/([^/]+)(\/statistics|\/bridge|\/brport)?$/.exec(path);
  if (device !== null) return deviceFolder(ns, device[1], device[2] ?? "");
  if (!path.startsWith("/proc/sys/")) return null;
  const prefix = `${path.slice("/proc/sys/".length).replaceAll("/", ".")}.`;
  const below = ns.sysctl.names().filter((name) => name.startsWith(prefix));
  return below.length === 0
    ? null
    : [...new Set(below.map((name) => name.slice(prefix.length).split(".")[0]))];
}

function deviceFolder(ns: NetNs, name: string, folder: string): readonly string[] | null {
  const dev = ns.device(name);
  if (dev === undefined) return null;
  if (folder === "/bridge") return dev.ops.kind === "bridge" ? [] : null;
  if (folder === "/brport") return dev.bridgePort !== null ? [] : null;
  return folder === "" ? [...Object.keys(ATTRIBUTES), "statistics"] : Object.keys(STATISTICS);
}

/** dev_seq_printf_stats */
function procNetDev(ns: NetNs): string {
  const lines = ns.devices().map((dev) => {
    const { rx, tx } = statsJson(dev);
    const cell = (value: number, width: number) => String(value).padStart(width);
    const received = [
      cell(rx.bytes, 7),
      cell(rx.packets, 7),
      cell(rx.errors, 4),
      cell(rx.dropped, 4),
      cell(0, 4),
      cell(0, 5),
      cell(0, 10),
      cell(rx.multicast, 9),
    ];
    const sent = [
      cell(tx.bytes, 8),
      cell(tx.packets, 7),
      cell(tx.errors, 4),
      cell(tx.dropped, 4),
      cell(0, 4),
      cell(tx.collisions, 5),
      cell(tx.carrier_errors, 7),
      cell(0, 10),
    ];
    return `${dev.name.padStart(6)}: ${[...received, ...sent].join(" ")}\n`;
  });
  return `Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n${lines.join("")}`;
}
