/** What a NAT target asks for (struct nf_nat_range2, include/uapi/linux/netfilter/nf_nat.h). */

export const NF_NAT_RANGE_MAP_IPS = 1 << 0;
export const NF_NAT_RANGE_PROTO_SPECIFIED = 1 << 1;
export const NF_NAT_RANGE_PROTO_RANDOM = 1 << 2;
export const NF_NAT_RANGE_PERSISTENT = 1 << 3;
export const NF_NAT_RANGE_PROTO_RANDOM_FULLY = 1 << 4;
export const NF_NAT_RANGE_PROTO_OFFSET = 1 << 5;
export const NF_NAT_RANGE_NETMAP = 1 << 6;
export const NF_NAT_RANGE_PROTO_RANDOM_ALL = NF_NAT_RANGE_PROTO_RANDOM | NF_NAT_RANGE_PROTO_RANDOM_FULLY;

/** Addresses are int32; ports (ICMP: ids) plain numbers. */
export interface NatRange {
  /** NF_NAT_RANGE_* */
  readonly flags: number;
  readonly minAddr: number;
  readonly maxAddr: number;
  readonly minPort: number;
  readonly maxPort: number;
  /** First port of a shifted port map (NF_NAT_RANGE_PROTO_OFFSET). */
  readonly basePort?: number;
}

/** Which half of a packet is rewritten (enum nf_nat_manip_type). */
export const NF_NAT_MANIP_SRC = 0;
export const NF_NAT_MANIP_DST = 1;
export type NatManip = 0 | 1;
