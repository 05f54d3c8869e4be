/** A device as `ip link` and `ip addr` print it (iproute2 6.1 ip/ipaddress.c print_linkinfo), in text and JSON. */
import { bridgeOf, bridgePortOf } from "../../net/bridge/br-private.ts";
import { devGetFlags, IFF_RUNNING, operStateOf } from "../../net/core/link-watch.ts";
import {
  IFF_ALLMULTI,
  IFF_BROADCAST,
  IFF_LOOPBACK,
  IFF_LOWER_UP,
  IFF_MULTICAST,
  IFF_NOARP,
  IFF_POINTOPOINT,
  IFF_PROMISC,
  IFF_UP,
  type NetDevice,
} from "../../net/core/net-device.ts";
import { type IpTunnel, ipTunnelOf } from "../../net/drivers/ip-tunnel.ts";
import { nicOf } from "../../net/drivers/nic.ts";
import { vlanDevOf } from "../../net/drivers/vlan-dev.ts";
import { vxlanOf } from "../../net/drivers/vxlan-private.ts";
import { formatIp4, formatMac } from "../../wire/address.ts";
import type { IpOptions } from "./ip-options.ts";
import {
  bridgeFields,
  bridgeSlaveFields,
  type Field,
  Fixed2,
  fieldsJson,
  fieldsText,
  tsoMaxSize,
  vxlanFields,
} from "./link-detail.ts";
import { ipTunnelFields } from "./link-iptnl.ts";
import { statsJson, statsText } from "./link-stats.ts";
import { vlanFields } from "./link-vlan.ts";

const FLAGS: readonly (readonly [number, string])[] = [
  [IFF_LOOPBACK, "LOOPBACK"],
  [IFF_BROADCAST, "BROADCAST"],
  [IFF_POINTOPOINT, "POINTOPOINT"],
  [IFF_MULTICAST, "MULTICAST"],
  [IFF_NOARP, "NOARP"],
  [IFF_ALLMULTI, "ALLMULTI"],
  [IFF_PROMISC, "PROMISC"],
  [IFF_UP, "UP"],
  [IFF_LOWER_UP, "LOWER_UP"],
];

const BROADCAST_MAC = "ff:ff:ff:ff:ff:ff";
const ZERO_MAC = "00:00:00:00:00:00";

/** Which device it hangs on: index, and the number of its namespace, -1 when that is the same. */
function linkOf(dev: NetDevice): { index: number; netnsid: number; name: string; down: boolean } | null {
  if (dev.link !== null) {
    const netnsid = dev.ns.netnsId(dev.link.ns);
    return { index: dev.link.ifindex, netnsid, name: dev.link.name, down: netnsid < 0 && !dev.link.isUp };
  }
  if (ipTunnelOf(dev) !== null && dev.linkIndex === 0)
    return { index: 0, netnsid: dev.ns.netnsId(dev.linkNs!), name: "NONE", down: false };
  const lower = dev.linkIndex === 0 ? undefined : dev.linkNs?.deviceByIndex(dev.linkIndex);
  if (dev.linkNs !== null && dev.linkNs !== dev.ns) {
    // Without a lower device the kernel reports the device's own index.
    const index = dev.linkIndex === 0 ? dev.ifindex : dev.linkIndex;
    return { index, netnsid: dev.ns.netnsId(dev.linkNs), name: "", down: false };
  }
  return lower === undefined
    ? null
    : { index: lower.ifindex, netnsid: -1, name: lower.name, down: !lower.isUp };
}

/** Names of the flags in `<...>`. */
export function linkFlags(dev: NetDevice): string[] {
  const flags = devGetFlags(dev);
  const names: string[] = [];
  if ((flags & IFF_UP) !== 0 && (flags & IFF_RUNNING) === 0) names.push("NO-CARRIER");
  for (const [bit, name] of FLAGS) if ((flags & bit) !== 0) names.push(name);
  if (linkOf(dev)?.down) names.push("M-DOWN");
  return names;
}

/** The name with what it hangs on: `veth0@if6`, `veth0@veth1`, `eth0`. */
export function linkName(dev: NetDevice): string {
  const link = linkOf(dev);
  if (link === null) return dev.name;
  return `${dev.name}@${link.netnsid >= 0 && link.index !== 0 ? `if${link.index}` : link.name}`;
}

function linkKind(dev: NetDevice): { kind: string; fields: Field[] } | null {
  const br = bridgeOf(dev);
  if (br !== null) return { kind: "bridge", fields: bridgeFields(br) };
  const vxlan = vxlanOf(dev);
  if (vxlan !== null) return { kind: "vxlan", fields: vxlanFields(vxlan) };
  const tunnel = ipTunnelOf(dev);
  if (tunnel !== null) return { kind: "ipip", fields: ipTunnelFields(tunnel) };
  const vlan = vlanDevOf(dev);
  if (vlan !== null) return { kind: "vlan", fields: vlanFields(vlan) };
  const { kind } = dev.ops;
  return kind === "veth" || kind === "dummy" ? { kind, fields: [] } : null;
}

/** Queues and segmentation limits. */
function limitFields(dev: NetDevice): Field[] {
  const fields: [string, number][] = [
    ["gso_max_size", 65536],
    ["gso_max_segs", 65535],
    ["tso_max_size", tsoMaxSize(dev)],
    ["tso_max_segs", 65535],
    ["gro_max_size", 65536],
  ];
  const nic = nicOf(dev);
  const parents: Field[] = [];
  if (nic !== null && nic.parentBus !== "")
    parents.push({ text: "parentbus", json: "parentbus", value: nic.parentBus });
  if (nic !== null && nic.parentDev !== "")
    parents.push({ text: "parentdev", json: "parentdev", value: nic.parentDev });
  return [
    { text: "numtxqueues", json: "num_tx_queues", value: 1 },
    ...fields.map(([key, value]) => ({ text: key, json: key, value })),
    ...parents,
  ];
}

/** The first line: index, name, flags, MTU and so on. `mode` is shown by `ip link` only. */
function headLine(dev: NetDevice, isLink: boolean): string {
  let line = `${dev.ifindex}: ${linkName(dev)}: <${linkFlags(dev).join(",")}> mtu ${dev.mtu} qdisc ${qdiscOf(dev)} `;
  if (dev.master !== null) line += `master ${dev.master.name} `;
  line += `state ${operStateOf(dev)} `;
  if (isLink) line += "mode DEFAULT ";
  line += "group default ";
  if (dev.txQueueLen > 0) line += `qlen ${dev.txQueueLen}`;
  return line;
}

/** Kind of link (ARPHRD_*), the device's address on it and that of everybody, or of the other end. */
function hardware(dev: NetDevice): { type: string; address: string; broadcast: string } {
  const tunnel: IpTunnel | null = ipTunnelOf(dev);
  if (tunnel !== null) {
    const { local, remote } = tunnel.parms;
    return { type: "ipip", address: formatIp4(local), broadcast: formatIp4(remote) };
  }
  const address = formatMac(dev.addrHi, dev.addrLo);
  return (dev.flags & IFF_LOOPBACK) !== 0
    ? { type: "loopback", address, broadcast: ZERO_MAC }
    : { type: "ether", address, broadcast: BROADCAST_MAC };
}

function pointsOut(dev: NetDevice): boolean {
  return (dev.flags & IFF_POINTOPOINT) !== 0;
}

function qdiscOf(dev: NetDevice): string {
  return dev.qdiscAttached ? dev.qdisc : "noop";
}

/** The lines of a device. `isLink`: `ip link`, else `ip addr`, which adds its addresses behind. */
export function linkText(dev: NetDevice, options: IpOptions, isLink: boolean): string {
  const nl = options.oneline ? "\\" : "\n";
  let text = headLine(dev, isLink);
  if (options.family === 0 || options.details || isLink) {
    const { type, address, broadcast } = hardware(dev);
    text += `${nl}    link/${type} ${address} ${pointsOut(dev) ? "peer" : "brd"} ${broadcast}`;
    const link = linkOf(dev);
    if (link !== null && link.netnsid >= 0) text += ` link-netnsid ${link.netnsid}`;
  }
  if (options.details) text += detailText(dev, isLink, nl);
  if (options.stats && isLink) text += nl + statsText(dev, nl);
  return `${text}\n`;
}

function detailText(dev: NetDevice, isLink: boolean, nl: string): string {
  let text = ` promiscuity ${dev.promiscuity}  allmulti ${dev.allmulti} minmtu ${dev.minMtu} maxmtu ${dev.maxMtu} `;
  const kind = linkKind(dev);
  if (kind !== null) text += `${nl}    ${kind.kind} ${fieldsText(kind.fields)}`;
  const port = bridgePortOf(dev);
  if (port !== null) text += `${nl}    bridge_slave ${fieldsText(bridgeSlaveFields(port))}`;
  if (isLink) text += "addrgenmode eui64 ";
  return text + fieldsText(limitFields(dev));
}

/** One line of `ip -br link`. */
export function linkBrief(dev: NetDevice): string {
  return `${briefHead(dev)}${hardware(dev).address} <${linkFlags(dev).join(",")}> \n`;
}

/** Name and state as `ip -br` starts a line. */
export function briefHead(dev: NetDevice): string {
  return `${linkName(dev).padEnd(16)} ${operStateOf(dev).padEnd(14)} `;
}

/** The device as JSON has it. */
export function linkJson(dev: NetDevice, options: IpOptions, isLink: boolean): Record<string, unknown> {
  const link = linkOf(dev);
  const out: Record<string, unknown> = { ifindex: dev.ifindex };
  if (link !== null) {
    if (link.index === 0) out.link = null;
    else if (link.netnsid >= 0) out.link_index = link.index;
    else out.link = link.name;
  }
  out.ifname = dev.name;
  out.flags = linkFlags(dev);
  out.mtu = dev.mtu;
  out.qdisc = qdiscOf(dev);
  if (dev.master !== null) out.master = dev.master.name;
  out.operstate = operStateOf(dev);
  if (isLink) out.linkmode = "DEFAULT";
  out.group = "default";
  if (dev.txQueueLen > 0) out.txqlen = dev.txQueueLen;
  const { type, address, broadcast } = hardware(dev);
  out.link_type = type;
  out.address = address;
  if (pointsOut(dev)) out.link_pointtopoint = true;
  out.broadcast = broadcast;
  if (link !== null && link.netnsid >= 0) out.link_netnsid = link.netnsid;
  if (options.details) Object.assign(out, detailJson(dev, isLink));
  if (options.stats && isLink) out.stats64 = statsJson(dev);
  return out;
}

function detailJson(dev: NetDevice, isLink: boolean): Record<string, unknown> {
  const out: Record<string, unknown> = {
    promiscuity: dev.promiscuity,
    allmulti: dev.allmulti,
    min_mtu: dev.minMtu,
    max_mtu: dev.maxMtu,
  };
  const kind = linkKind(dev);
  const port = bridgePortOf(dev);
  const info: Record<string, unknown> = {};
  if (kind !== null) info.info_kind = kind.kind;
  if (kind !== null && kind.fields.length > 0) info.info_data = fieldsJson(kind.fields);
  if (port !== null) {
    info.info_slave_kind = "bridge";
    info.info_slave_data = fieldsJson(bridgeSlaveFields(port));
  }
  if (Object.keys(info).length > 0) out.linkinfo = info;
  if (isLink) out.inet6_addr_gen_mode = "eui64";
  return Object.assign(out, fieldsJson(limitFields(dev)));
}

/** JSON on one line as iproute2 writes it: timers keep their two decimals. */
export function toJson(value: unknown): string {
  if (value instanceof Fixed2) return value.value.toFixed(2);
  if (Array.isArray(value)) return `[${value.map(toJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, item]) => `${JSON.stringify(key)}:${toJson(item)}`)
    .join(",")}}`;
}
