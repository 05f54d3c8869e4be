/** Settings of bridges, their ports and VXLAN devices from `ip -j -d addr`; what is not modelled is an error. */
import type { BridgeSettings, BrportSettings } from "../../net/ctl/link-bridge.ts";
import { VXLAN_DEFAULTS, type VxlanConfig } from "../../net/drivers/vxlan-private.ts";
import { parseIp4 } from "../../wire/address.ts";
import type { LinkJson } from "./link-json.ts";

type Values = Readonly<Record<string, unknown>>;
/** Names a setting that is not modelled. */
export type Refuse = (what: string) => void;

/** Settings that must have this value; absent is well too. */
function demand(values: Values, fixed: Readonly<Record<string, unknown>>, refuse: Refuse): void {
  for (const [key, value] of Object.entries(fixed))
    if (values[key] !== undefined && values[key] !== value)
      refuse(`${key} ${typeof values[key] === "object" ? JSON.stringify(values[key]) : String(values[key])}`);
}

const BRIDGE_FIXED = {
  stp_state: 0,
  vlan_filtering: 0,
  nf_call_iptables: 0,
  nf_call_arptables: 0,
  no_linklocal_learn: 0,
  mcast_vlan_snooping: 0,
};

const CENTISECONDS = 100;

export function bridgeSettings(link: LinkJson, refuse: Refuse): BridgeSettings {
  const values = link.linkinfo?.info_data ?? {};
  demand(values, BRIDGE_FIXED, refuse);
  return {
    ageingSec: Number(values.ageing_time ?? 300 * CENTISECONDS) / CENTISECONDS,
    defaultPvid: Number(values.vlan_default_pvid ?? 1),
    groupFwdMask: Number(values.group_fwd_mask ?? 0),
  };
}

const PORT_FIXED = {
  guard: false,
  root_block: false,
  proxy_arp: false,
  proxy_arp_wifi: false,
  neigh_suppress: false,
  vlan_tunnel: false,
  mcast_to_unicast: false,
  locked: false,
  group_fwd_mask: "0",
};

/** What a new port has. */
const PORT_DEFAULTS = {
  hairpin: false,
  learning: true,
  flood: true,
  mcastFlood: true,
  bcastFlood: true,
  isolated: false,
};

export function portSettings(link: LinkJson, refuse: Refuse): BrportSettings {
  const values = link.linkinfo?.info_slave_data ?? {};
  demand(values, PORT_FIXED, refuse);
  const flag = (key: string, otherwise: boolean) => (values[key] ?? otherwise) === true;
  return {
    hairpin: flag("hairpin", PORT_DEFAULTS.hairpin),
    learning: flag("learning", PORT_DEFAULTS.learning),
    flood: flag("flood", PORT_DEFAULTS.flood),
    mcastFlood: flag("mcast_flood", PORT_DEFAULTS.mcastFlood),
    bcastFlood: flag("bcast_flood", PORT_DEFAULTS.bcastFlood),
    isolated: flag("isolated", PORT_DEFAULTS.isolated),
  };
}

/** Number of the port in its bridge, which tells the order in which the ports came. */
export function portNumber(link: LinkJson): number {
  return Number(link.linkinfo?.info_slave_data?.no ?? 0);
}

const VXLAN_FIXED = {
  df: "unset",
  udp_zero_csum6_tx: false,
  udp_zero_csum6_rx: false,
  rsc: false,
  external: false,
  vnifilter: false,
  gbp: false,
  gpe: false,
  remcsum_tx: false,
  remcsum_rx: false,
  ttl_inherit: false,
  limit: 0,
  label: 0,
};

/** Values that the kernel takes in place of a number. */
function amount(
  value: unknown,
  words: Readonly<Record<string, number>>,
  name: string,
  refuse: Refuse,
): number {
  if (value === undefined) return 0;
  const number = words[String(value)] ?? Number(value);
  if (Number.isInteger(number)) return number;
  refuse(`${name} ${String(value)}`);
  return 0;
}

function address(values: Values, key: string, refuse: Refuse): number {
  if (values[key] === undefined) return 0;
  const addr = parseIp4(String(values[key]));
  if (addr === null) refuse(`${key} ${String(values[key])}`);
  return addr ?? 0;
}

/** All but the lower device. */
export function vxlanSettings(link: LinkJson, refuse: Refuse): Omit<VxlanConfig, "lower"> {
  const values = link.linkinfo?.info_data ?? {};
  demand(values, VXLAN_FIXED, refuse);
  for (const key of ["local6", "remote6", "group6"])
    if (key in values) refuse(`${key} ${String(values[key])}`);
  const range = (values.port_range ?? {}) as { low?: number; high?: number };
  return {
    vni: Number(values.id),
    dstPort: Number(values.port ?? VXLAN_DEFAULTS.dstPort),
    local: address(values, "local", refuse),
    remote: address(values, "remote" in values ? "remote" : "group", refuse),
    portMin: range.low ?? 0,
    portMax: range.high ?? 0,
    learning: values.learning !== false,
    proxy: values.proxy === true,
    l2miss: values.l2miss === true,
    l3miss: values.l3miss === true,
    ttl: amount(values.ttl, { auto: 0 }, "ttl", refuse),
    tos: amount(values.tos, { inherit: 1 }, "tos", refuse),
    df: amount(values.df, { unset: 0, set: 1, inherit: 2 }, "df", refuse),
    ageingSec: amount(values.ageing, { none: 0 }, "ageing", refuse),
    udpCsum: values.udp_csum !== false,
  };
}
