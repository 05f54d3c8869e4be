/**
 * What `ip -d` tells of a device beyond its addresses (iproute2 6.1 ip/iplink_bridge.c, iplink_bridge_slave.c,
 * iplink_vxlan.c), as fields that the text and the JSON form share. What is not modelled (spanning tree, multicast snooping) has
 * the kernel's start values.
 */
import { BR_STATE_FORWARDING, type Bridge, type BridgePort, bridgeOf } from "../../net/bridge/br-private.ts";
import type { NetDevice } from "../../net/core/net-device.ts";
import type { VxlanDev } from "../../net/drivers/vxlan-private.ts";
import { MS, SEC } from "../../sim/sim.ts";
import { formatIp4 } from "../../wire/address.ts";

/** A number that JSON shows with two decimals. */
export class Fixed2 {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

export type FieldValue =
  | string
  | number
  | boolean
  | Fixed2
  | readonly string[]
  | { readonly [key: string]: number };

export interface Field {
  /** Key in the text, null when only JSON has it; the text shows a bare key when `show` is "". */
  readonly text: string | null;
  /** Key in JSON, null when only the text has it. */
  readonly json: string | null;
  readonly value: FieldValue;
  /** The value in the text where it differs. */
  readonly show?: string;
}

/** `KEY VALUE ` of each field that the text has. */
export function fieldsText(fields: readonly Field[]): string {
  let out = "";
  for (const { text, value, show } of fields) {
    if (text === null) continue;
    const shown = show ?? (value instanceof Fixed2 ? value.value.toFixed(2).padStart(7) : String(value));
    out += shown === "" ? `${text} ` : `${text} ${shown} `;
  }
  return out;
}

export function fieldsJson(fields: readonly Field[]): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const { json, value } of fields) if (json !== null) out[json] = value;
  return out;
}

/** Field with one key for both. */
function same(key: string, value: FieldValue): Field {
  return { text: key, json: key, value };
}

function both(text: string, json: string, value: FieldValue): Field {
  return { text, json, value };
}

function onOff(text: string | null, json: string | null, value: boolean): Field {
  return { text, json, value, show: value ? "on" : "off" };
}

/** Priority and address of a bridge, bytes without leading zeros: `8000.2:42:79:44:57:41`. */
export function bridgeId({ addrHi, addrLo }: NetDevice): string {
  const bytes = [
    addrHi >>> 8,
    addrHi & 255,
    addrLo >>> 24,
    (addrLo >>> 16) & 255,
    (addrLo >>> 8) & 255,
    addrLo & 255,
  ];
  return `8000.${bytes.map((byte) => byte.toString(16)).join(":")}`;
}

/** Seconds until the next run of the garbage collector: the first end of life among learnt addresses. */
function gcTimer(br: Bridge): number {
  const { now } = br.dev.ns.kernel.sim;
  if (!br.dev.isUp) return 0;
  let next = br.ageingNs - ((now - br.openedNs) % Math.max(br.ageingNs, 1));
  for (const entry of br.fdb.list(now, br.ageingNs))
    if (entry.ages) next = Math.min(next, entry.updatedNs + br.ageingNs - now);
  return Math.floor(next / (10 * MS)) / 100;
}

export function bridgeFields(br: Bridge): Field[] {
  const id = bridgeId(br.dev);
  return [
    same("forward_delay", 1500),
    same("hello_time", 200),
    same("max_age", 2000),
    same("ageing_time", br.ageingNs / (SEC / 100)),
    same("stp_state", 0),
    same("priority", 32768),
    same("vlan_filtering", 0),
    same("vlan_protocol", "802.1Q"),
    same("bridge_id", id),
    both("designated_root", "root_id", id),
    same("root_port", 0),
    same("root_path_cost", 0),
    same("topology_change", 0),
    same("topology_change_detected", 0),
    same("hello_timer", new Fixed2(0)),
    same("tcn_timer", new Fixed2(0)),
    same("topology_change_timer", new Fixed2(0)),
    same("gc_timer", new Fixed2(gcTimer(br))),
    same("vlan_default_pvid", br.defaultPvid),
    same("vlan_stats_enabled", 0),
    same("vlan_stats_per_port", 0),
    same("group_fwd_mask", hex(br.groupFwdMask)),
    both("group_address", "group_addr", "01:80:c2:00:00:00"),
    ...MULTICAST_FIELDS,
  ];
}

/** printf's %#x. */
function hex(value: number): string {
  return value === 0 ? "0" : `0x${value.toString(16)}`;
}

const MULTICAST_FIELDS: readonly Field[] = [
  same("mcast_snooping", 1),
  same("no_linklocal_learn", 0),
  same("mcast_vlan_snooping", 0),
  same("mcast_router", 1),
  same("mcast_query_use_ifaddr", 0),
  same("mcast_querier", 0),
  same("mcast_hash_elasticity", 16),
  same("mcast_hash_max", 4096),
  both("mcast_last_member_count", "mcast_last_member_cnt", 2),
  both("mcast_startup_query_count", "mcast_startup_query_cnt", 2),
  both("mcast_last_member_interval", "mcast_last_member_intvl", 100),
  both("mcast_membership_interval", "mcast_membership_intvl", 26000),
  both("mcast_querier_interval", "mcast_querier_intvl", 25500),
  both("mcast_query_interval", "mcast_query_intvl", 12500),
  both("mcast_query_response_interval", "mcast_query_response_intvl", 1000),
  both("mcast_startup_query_interval", "mcast_startup_query_intvl", 3125),
  same("mcast_stats_enabled", 0),
  same("mcast_igmp_version", 2),
  same("mcast_mld_version", 1),
  same("nf_call_iptables", 0),
  same("nf_call_ip6tables", 0),
  same("nf_call_arptables", 0),
];

export function portState(port: BridgePort): string {
  return port.state === BR_STATE_FORWARDING ? "forwarding" : "disabled";
}

export function bridgeSlaveFields(port: BridgePort): Field[] {
  const id = bridgeId(port.br.dev);
  const no = port.portNo.toString(16);
  return [
    same("state", portState(port)),
    same("priority", 32),
    same("cost", port.pathCost),
    onOff("hairpin", "hairpin", port.hairpin),
    onOff("guard", "guard", false),
    onOff("root_block", "root_block", false),
    onOff("fastleave", "fastleave", false),
    onOff("learning", "learning", port.learning),
    onOff("flood", "flood", port.flood),
    both("port_id", "id", `0x8${no.padStart(3, "0")}`),
    both("port_no", "no", `0x${no}`),
    same("designated_port", 0x8000 + port.portNo),
    same("designated_cost", 0),
    both("designated_bridge", "bridge_id", id),
    both("designated_root", "root_id", id),
    same("hold_timer", new Fixed2(0)),
    same("message_age_timer", new Fixed2(0)),
    same("forward_delay_timer", new Fixed2(0)),
    same("topology_change_ack", 0),
    same("config_pending", 0),
    onOff("proxy_arp", "proxy_arp", false),
    onOff("proxy_arp_wifi", "proxy_arp_wifi", false),
    both("mcast_router", "multicast_router", 1),
    onOff("mcast_fast_leave", null, false),
    onOff("mcast_flood", "mcast_flood", port.mcastFlood),
    onOff("bcast_flood", "bcast_flood", port.bcastFlood),
    onOff("mcast_to_unicast", "mcast_to_unicast", false),
    onOff("neigh_suppress", "neigh_suppress", false),
    same("group_fwd_mask", "0"),
    same("group_fwd_mask_str", "0x0"),
    onOff("vlan_tunnel", "vlan_tunnel", false),
    onOff("isolated", "isolated", port.isolated),
    onOff("locked", "locked", false),
  ];
}

export function vxlanFields(vxlan: VxlanDev): Field[] {
  const { cfg } = vxlan;
  const fields: Field[] = [both("id", "id", cfg.vni)];
  if (cfg.remote !== 0) {
    const key = cfg.remote >>> 28 === 14 ? "group" : "remote";
    fields.push(same(key, formatIp4(cfg.remote)));
  }
  if (cfg.local !== 0) fields.push(same("local", formatIp4(cfg.local)));
  if (cfg.lower !== null) fields.push(both("dev", "link", cfg.lower.name));
  fields.push(
    {
      text: "srcport",
      json: "port_range",
      value: { low: cfg.portMin, high: cfg.portMax },
      show: `${cfg.portMin} ${cfg.portMax}`,
    },
    both("dstport", "port", cfg.dstPort),
  );
  fields.push({ text: cfg.learning ? null : "nolearning", json: "learning", value: cfg.learning, show: "" });
  for (const key of ["proxy", "l2miss", "l3miss"] as const)
    if (cfg[key]) fields.push({ text: key, json: key, value: true, show: "" });
  if (cfg.tos !== 0)
    fields.push({ text: "tos", json: "tos", value: cfg.tos === 1 ? "inherit" : hex(cfg.tos) });
  fields.push({ text: "ttl", json: "ttl", value: cfg.ttl, show: cfg.ttl === 0 ? "auto" : String(cfg.ttl) });
  const df = ["unset", "set", "inherit"][cfg.df];
  fields.push({ text: cfg.df === 0 ? null : "df", json: "df", value: df, show: df });
  fields.push({
    text: "ageing",
    json: "ageing",
    value: cfg.ageingSec,
    show: cfg.ageingSec === 0 ? "none" : undefined,
  });
  fields.push(
    { text: cfg.udpCsum ? "udpcsum" : "noudpcsum", json: "udp_csum", value: cfg.udpCsum, show: "" },
    { text: "noudp6zerocsumtx", json: "udp_zero_csum6_tx", value: false, show: "" },
    { text: "noudp6zerocsumrx", json: "udp_zero_csum6_rx", value: false, show: "" },
  );
  return fields;
}

const GSO_LEGACY_MAX_SIZE = 65536;
const TSO_MAX_SIZE = 524280;

/** Largest segmentation that the device takes: a bridge the least of its ports. */
export function tsoMaxSize(dev: NetDevice): number {
  const br = bridgeOf(dev);
  if (br !== null && br.ports.length > 0)
    return br.ports.reduce((least, port) => Math.min(least, tsoMaxSize(port.dev)), TSO_MAX_SIZE);
  if (dev.ops.kind === "vlan") return tsoMaxSize(dev.link!);
  return dev.ops.kind === "veth" || dev.ops.kind === "loopback" ? TSO_MAX_SIZE : GSO_LEGACY_MAX_SIZE;
}
