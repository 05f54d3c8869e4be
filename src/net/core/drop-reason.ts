/** Why a packet was dropped (include/net/dropreason-core.h), as small integers for counters and traces. */
const NAMES = [
  "NOT_SPECIFIED",
  "NO_SOCKET",
  "PKT_TOO_SMALL",
  "BAD_CSUM",
  "SOCKET_FILTER",
  "OTHERHOST",
  "IP_HDR",
  "NETFILTER_DROP",
  "IP_RPFILTER",
  "IP_MARTIAN",
  "IP_NOROUTE",
  "IP_NOT_FORWARDING",
  "TTL_EXPIRED",
  "PKT_TOO_BIG",
  "UNHANDLED_PROTO",
  "IP_NOPROTO",
  "DEV_DOWN",
  "DEV_NO_CARRIER",
  "NEIGH_FAILED",
  "NEIGH_QUEUEFULL",
  "NEIGH_DEAD",
  "ARP_IGNORED",
  "BRIDGE_NO_PORT",
  "BRIDGE_NO_EGRESS",
  "BRIDGE_LINK_LOCAL",
  "VXLAN_BAD_HEADER",
  "VXLAN_UNKNOWN_VNI",
  "VXLAN_SOURCE_MAC",
  "VXLAN_WRONG_VTEP",
  "VXLAN_NO_REMOTE",
  "VXLAN_ARP_CONSUMED",
  "CABLE_LOSS",
  "CABLE_QUEUE_FULL",
  "CABLE_CUT",
  "CONNTRACK_CONFIRM",
  "CONNTRACK_FULL",
  "NAT_NO_TUPLE",
  "IPVS_NO_DEST",
  "IPVS_DEST_GONE",
  "IPVS_TTL",
  "FRAG_TIMEOUT",
  "FRAG_BAD",
  "TCP_OLD_DATA",
  "TCP_INVALID",
  "TCP_RESET",
  "TCP_CLOSED",
  "SOCKET_BACKLOG_FULL",
  "SOCKET_RCVBUFF",
  "ICMP_BAD",
  "XFRM_POLICY",
  "XFRM_STATE",
  "MTU",
  "LOOP",
] as const;

export type DropReasonName = (typeof NAMES)[number];
/** Index into the list of reasons. */
export type DropReason = number;

/** Every reason by its name: `DROP.NO_SOCKET`. */
export const DROP: { readonly [K in DropReasonName]: DropReason } = Object.freeze(
  Object.fromEntries(NAMES.map((name, index) => [name, index])),
) as { readonly [K in DropReasonName]: DropReason };

export const DROP_REASON_COUNT = NAMES.length;

export function dropReasonName(reason: DropReason): DropReasonName {
  return NAMES[reason];
}
