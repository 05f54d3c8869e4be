/**
 * A rule as it was written (struct ipt_entry with its matches and target, ip_tables.h and xt_*.h): plain data, in the
 * order of the words. `words/` reads and writes it, `xt-compile.ts` makes it run.
 */

/** Bits of `IpSpec.invert` (IPT_INV_*). */
export const IPT_INV_VIA_IN = 0x01;
export const IPT_INV_VIA_OUT = 0x02;
export const IPT_INV_SRCIP = 0x08;
export const IPT_INV_DSTIP = 0x10;
export const IPT_INV_FRAG = 0x20;
export const IPT_INV_PROTO = 0x40;

/** What is compared before any match (struct ipt_ip). Addresses and masks are int32, already masked. */
export interface IpSpec {
  readonly src: number;
  readonly srcMask: number;
  readonly dst: number;
  readonly dstMask: number;
  /** Interface name, "" for any, with a trailing + for every name that starts so. */
  readonly inIface: string;
  readonly outIface: string;
  /** Protocol number, 0 for any. */
  readonly proto: number;
  /** Second and further fragments only (-f). */
  readonly fragment: boolean;
  readonly invert: number;
}

export interface TcpMatch {
  readonly name: "tcp";
  readonly sports: readonly [number, number];
  readonly dports: readonly [number, number];
  /** TCP option number, 0 for none. */
  readonly option: number;
  readonly flagMask: number;
  readonly flagCmp: number;
  /** XT_TCP_INV_*: 1 source port, 2 destination port, 4 flags, 8 option. */
  readonly invert: number;
}
export interface UdpMatch {
  readonly name: "udp";
  readonly sports: readonly [number, number];
  readonly dports: readonly [number, number];
  /** XT_UDP_INV_*: 1 source port, 2 destination port. */
  readonly invert: number;
}
export interface IcmpMatch {
  readonly name: "icmp";
  /** 255 is any. */
  readonly type: number;
  readonly codes: readonly [number, number];
  readonly invert: boolean;
}
export interface AddrtypeMatch {
  readonly name: "addrtype";
  /** Bit n: RTN_n. 0: not asked. */
  readonly source: number;
  readonly dest: number;
  readonly invertSource: boolean;
  readonly invertDest: boolean;
  readonly limitIfaceIn: boolean;
  readonly limitIfaceOut: boolean;
}
/** XT_CONNTRACK_* bits of `flags` and `invert`. */
export interface ConntrackMatch {
  readonly name: "conntrack";
  readonly flags: number;
  readonly invert: number;
  readonly states: number;
  readonly status: number;
  readonly proto: number;
  /** origsrc, origdst, replsrc, repldst: address and mask. */
  readonly addrs: readonly (readonly [number, number])[];
  /** origsrc, origdst, replsrc, repldst: port range. */
  readonly ports: readonly (readonly [number, number])[];
  readonly expires: readonly [number, number];
}
export interface StateMatch {
  readonly name: "state";
  readonly states: number;
  readonly invert: boolean;
}
export interface MarkMatch {
  readonly name: "mark" | "connmark";
  readonly mark: number;
  readonly mask: number;
  readonly invert: boolean;
}
export interface MultiportMatch {
  readonly name: "multiport";
  readonly which: "sports" | "dports" | "ports";
  readonly ranges: readonly (readonly [number, number])[];
  readonly invert: boolean;
}
export interface CommentMatch {
  readonly name: "comment";
  readonly text: string;
}
export interface IpvsMatch {
  readonly name: "ipvs";
  readonly invert: boolean;
}
export interface IprangeMatch {
  readonly name: "iprange";
  readonly src: readonly [number, number] | null;
  readonly dst: readonly [number, number] | null;
  readonly invertSrc: boolean;
  readonly invertDst: boolean;
}
export interface PhysdevMatch {
  readonly name: "physdev";
  /** Pattern, "" not asked. */
  readonly inDev: string;
  readonly outDev: string;
  /** XT_PHYSDEV_OP_*: 1 in, 2 out, 4 bridged, 8 is-in, 16 is-out. */
  readonly flags: number;
  readonly invert: number;
}
export interface StatisticMatch {
  readonly name: "statistic";
  readonly mode: "random" | "nth";
  /** Of 2^31. */
  readonly probability: number;
  /** nth: period - 1, as the kernel keeps it. */
  readonly every: number;
  readonly packet: number;
  readonly invert: boolean;
}
export interface LimitMatch {
  readonly name: "limit";
  /** Average interval in 1/10000 s. */
  readonly avg: number;
  readonly burst: number;
}
export interface MacMatch {
  readonly name: "mac";
  readonly hi: number;
  readonly lo: number;
  readonly invert: boolean;
}
export interface LengthMatch {
  readonly name: "length" | "tcpmss";
  readonly range: readonly [number, number];
  readonly invert: boolean;
}
export interface TtlMatch {
  readonly name: "ttl";
  readonly op: "eq" | "ne" | "lt" | "gt";
  readonly ttl: number;
}
export interface U32Test {
  /** Number and what leads to the next one: & << >> @, in order; the first has no operator. */
  readonly location: readonly { readonly op: "" | "&" | "<<" | ">>" | "@"; readonly value: number }[];
  readonly values: readonly (readonly [number, number])[];
}
export interface U32Match {
  readonly name: "u32";
  readonly tests: readonly U32Test[];
  readonly invert: boolean;
}
export interface PolicyMatch {
  readonly name: "policy";
  readonly dir: "in" | "out";
  readonly pol: "none" | "ipsec";
}
export interface PkttypeMatch {
  readonly name: "pkttype";
  /** PACKET_* */
  readonly type: number;
  readonly invert: boolean;
}

export type MatchSpec =
  | TcpMatch
  | UdpMatch
  | IcmpMatch
  | AddrtypeMatch
  | ConntrackMatch
  | StateMatch
  | MarkMatch
  | MultiportMatch
  | CommentMatch
  | IpvsMatch
  | IprangeMatch
  | PhysdevMatch
  | StatisticMatch
  | LimitMatch
  | MacMatch
  | LengthMatch
  | TtlMatch
  | U32Match
  | PolicyMatch
  | PkttypeMatch;

export interface VerdictTarget {
  readonly name: "ACCEPT" | "DROP" | "RETURN";
}
/** -j CHAIN, -g CHAIN. */
export interface ChainTarget {
  readonly name: "chain";
  readonly chain: string;
  readonly goto: boolean;
}
export interface RejectTarget {
  readonly name: "REJECT";
  readonly with: RejectWith;
}
export type RejectWith =
  | "icmp-net-unreachable"
  | "icmp-host-unreachable"
  | "icmp-proto-unreachable"
  | "icmp-port-unreachable"
  | "icmp-net-prohibited"
  | "icmp-host-prohibited"
  | "icmp-admin-prohibited"
  | "tcp-reset";
export interface LogTarget {
  readonly name: "LOG";
  /** syslog level 0 to 7 */
  readonly level: number;
  readonly prefix: string;
  /** 1 tcp-sequence, 2 tcp-options, 4 ip-options, 8 uid, 32 macdecode */
  readonly flags: number;
}
/** mark = (mark & ~mask) ^ value */
export interface MarkTarget {
  readonly name: "MARK";
  readonly mark: number;
  readonly mask: number;
}
export interface ConnmarkTarget {
  readonly name: "CONNMARK";
  readonly mode: "set" | "save" | "restore";
  readonly mark: number;
  /** set: ctmask; save and restore: ctmask and nfmask. */
  readonly ctMask: number;
  readonly nfMask: number;
}
export interface NatTarget {
  readonly name: "DNAT" | "SNAT" | "MASQUERADE" | "REDIRECT" | "NETMAP";
  /** NF_NAT_RANGE_* */
  readonly flags: number;
  readonly minAddr: number;
  readonly maxAddr: number;
  readonly minPort: number;
  readonly maxPort: number;
  /** --to-destination A:LO-HI/BASE, 0 none. */
  readonly basePort: number;
}
export interface CtTarget {
  readonly name: "CT";
  /** --notrack, beside which the rest does nothing. */
  readonly notrack: boolean;
  /** 0 with --zone mark. */
  readonly zone: number;
  /** NF_CT_ZONE_DIR_* of --zone-orig and --zone-reply, NF_CT_FLAG_MARK; no direction is both. */
  readonly zoneFlags: number;
}
export interface NotrackTarget {
  readonly name: "NOTRACK";
}
export interface TcpmssTarget {
  readonly name: "TCPMSS";
  /** 65535: clamp to the path MTU. */
  readonly mss: number;
}
export interface TtlTarget {
  readonly name: "TTL";
  readonly mode: "set" | "dec" | "inc";
  readonly ttl: number;
}
export interface TraceTarget {
  readonly name: "TRACE";
}

export type TargetSpec =
  | VerdictTarget
  | ChainTarget
  | RejectTarget
  | LogTarget
  | MarkTarget
  | ConnmarkTarget
  | NatTarget
  | CtTarget
  | NotrackTarget
  | TcpmssTarget
  | TtlTarget
  | TraceTarget;

export interface RuleSpec {
  readonly ip: IpSpec;
  readonly matches: readonly MatchSpec[];
  /** null: the rule only counts. */
  readonly target: TargetSpec | null;
}

export const ANY_IP: IpSpec = {
  src: 0,
  srcMask: 0,
  dst: 0,
  dstMask: 0,
  inIface: "",
  outIface: "",
  proto: 0,
  fragment: false,
  invert: 0,
};
