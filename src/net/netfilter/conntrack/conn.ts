/**
 * One tracked connection (struct nf_conn) with its two tuples (include/net/netfilter/nf_conntrack_tuple.h).
 *
 * Ports stand in the tuple as numbers in host order. ICMP has none; by convention the source port holds the id and the
 * destination port `type << 8 | code`, in both directions. Other protocols have 0.
 */
import type { DccpTrack, SctpTrack } from "./track.ts";

/** Direction of a packet in its connection. */
export const IP_CT_DIR_ORIGINAL = 0;
export const IP_CT_DIR_REPLY = 1;
export type CtDir = 0 | 1;

/** Bits of `Conn.status` (enum ip_conntrack_status). */
export const IPS_EXPECTED = 1 << 0;
export const IPS_SEEN_REPLY = 1 << 1;
export const IPS_ASSURED = 1 << 2;
export const IPS_CONFIRMED = 1 << 3;
export const IPS_SRC_NAT = 1 << 4;
export const IPS_DST_NAT = 1 << 5;
export const IPS_NAT_MASK = IPS_SRC_NAT | IPS_DST_NAT;
export const IPS_SRC_NAT_DONE = 1 << 7;
export const IPS_DST_NAT_DONE = 1 << 8;
export const IPS_NAT_DONE_MASK = IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE;
export const IPS_DYING = 1 << 9;
export const IPS_FIXED_TIMEOUT = 1 << 10;
/** Not a connection: what a rule wants of the packet's own (nf_ct_tmpl_alloc). */
export const IPS_TEMPLATE = 1 << 11;
export const IPS_NAT_CLASH = 1 << 12;

/** Bits of `Conn.zoneFlags` (nf_conntrack_zones.h): the directions that the zone is of; the mark of a packet is the zone. */
export const NF_CT_ZONE_DIR_ORIG = 1 << 0;
export const NF_CT_ZONE_DIR_REPL = 1 << 1;
export const NF_CT_DEFAULT_ZONE_DIR = NF_CT_ZONE_DIR_ORIG | NF_CT_ZONE_DIR_REPL;
export const NF_CT_FLAG_MARK = 1 << 2;

/** enum tcp_conntrack. */
export const TCP_CONNTRACK_NONE = 0;
export const TCP_CONNTRACK_SYN_SENT = 1;
export const TCP_CONNTRACK_SYN_RECV = 2;
export const TCP_CONNTRACK_ESTABLISHED = 3;
export const TCP_CONNTRACK_FIN_WAIT = 4;
export const TCP_CONNTRACK_CLOSE_WAIT = 5;
export const TCP_CONNTRACK_LAST_ACK = 6;
export const TCP_CONNTRACK_TIME_WAIT = 7;
export const TCP_CONNTRACK_CLOSE = 8;
export const TCP_CONNTRACK_SYN_SENT2 = 9;
/** Not a state: the packet makes no sense in the present one. */
export const TCP_CONNTRACK_INVALID = 10;
/** Not a state: let the packet pass and keep the present one. */
export const TCP_CONNTRACK_IGNORE = 11;

/** Names as `conntrack -L` prints them, by TCP_CONNTRACK_*. */
export const TCP_CONNTRACK_NAMES: readonly string[] = [
  "NONE",
  "SYN_SENT",
  "SYN_RECV",
  "ESTABLISHED",
  "FIN_WAIT",
  "CLOSE_WAIT",
  "LAST_ACK",
  "TIME_WAIT",
  "CLOSE",
  "SYN_SENT2",
];

/** What one side of a TCP connection was seen to send (struct ip_ct_tcp_state). Sequence numbers are int32. */
export class TcpPeer {
  /** Highest sequence number sent, plus one. */
  end = 0;
  /** Highest sequence number that the other side allows, plus one. */
  maxEnd = 0;
  /** Largest window that it announced, scaled; 0 before it was seen. An unsigned number. */
  maxWin = 0;
  maxAck = 0;
  scale = 0;
  /** IP_CT_TCP_FLAG_* */
  flags = 0;

  reset(): void {
    this.end = 0;
    this.maxEnd = 0;
    this.maxWin = 0;
    this.maxAck = 0;
    this.scale = 0;
    this.flags = 0;
  }
}

/** struct ip_ct_tcp: both sides, and what the last packet looked like. */
export class TcpTrack {
  readonly orig = new TcpPeer();
  readonly repl = new TcpPeer();
  state = TCP_CONNTRACK_NONE;
  lastDir: CtDir = 0;
  lastIndex = 0;
  retrans = 0;
  lastSeq = 0;
  lastAck = 0;
  lastEnd = 0;
  lastWin = 0;
  lastWscale = 0;
  lastFlags = 0;

  reset(): void {
    this.orig.reset();
    this.repl.reset();
    this.state = TCP_CONNTRACK_NONE;
    this.lastDir = 0;
    this.lastIndex = 0;
    this.retrans = 0;
    this.lastSeq = 0;
    this.lastAck = 0;
    this.lastEnd = 0;
    this.lastWin = 0;
    this.lastWscale = 0;
    this.lastFlags = 0;
  }
}

/** What the listeners for events were told of a connection last (struct nf_conntrack_ecache). */
export class EventCache {
  told = false;
  state = 0;
  status = 0;
  mark = 0;
}

export class Conn {
  proto = 0;
  origSrc = 0;
  origDst = 0;
  origSport = 0;
  origDport = 0;
  replSrc = 0;
  replDst = 0;
  replSport = 0;
  replDport = 0;
  /** IPS_* */
  status = 0;
  mark = 0;
  /** When it expires, absolute ns; while unconfirmed: how long it will live from its confirmation. */
  timeoutNs = 0;
  /** Where its tuples are valid (struct nf_conntrack_zone): one of 65536 tables, in one direction or both. */
  zone = 0;
  /** NF_CT_ZONE_DIR_* */
  zoneFlags = NF_CT_DEFAULT_ZONE_DIR;
  /** TCP only. */
  tcp: TcpTrack | null = null;
  sctp: SctpTrack | null = null;
  dccp: DccpTrack | null = null;
  /** UDP: from then on traffic in both directions makes a stream, absolute ns. */
  streamNs = 0;
  /** ifindex that a MASQUERADE bound it to; 0 when none. */
  masqIndex = 0;
  /** Packets and bytes of the two directions, when `nf_conntrack_acct` was 1 at its birth. */
  acct: Float64Array | null = null;
  /** Made only where somebody listened at its birth. */
  ecache: EventCache | null = null;
  /** Place in the table, -1 when it is in none. */
  index = -1;
  /** The list of all, in order of confirmation. */
  listPrev: Conn | null = null;
  listNext: Conn | null = null;
  /** The chain of those with an equal original source (nat_bysource). */
  natNext: Conn | null = null;
  natHashed = false;

  constructor(proto: number, src: number, dst: number, sport: number, dport: number) {
    this.proto = proto;
    this.origSrc = src;
    this.origDst = dst;
    this.origSport = sport;
    this.origDport = dport;
  }

  /** The zone of its tuple in a direction (nf_ct_zone_id). */
  zoneOf(dir: CtDir): number {
    return (this.zoneFlags & (NF_CT_ZONE_DIR_ORIG << dir)) === 0 ? 0 : this.zone;
  }

  get isTemplate(): boolean {
    return (this.status & IPS_TEMPLATE) !== 0;
  }

  get isConfirmed(): boolean {
    return (this.status & IPS_CONFIRMED) !== 0;
  }

  get isDying(): boolean {
    return (this.status & IPS_DYING) !== 0;
  }

  /** The state of its protocol: TCP_CONNTRACK_*, SCTP_CONNTRACK_*, CT_DCCP_*; -1 for others. */
  get protoState(): number {
    if (this.sctp !== null) return this.sctp.state;
    if (this.dccp !== null) return this.dccp.state;
    return this.tcp === null ? -1 : this.tcp.state;
  }

  /** TCP_CONNTRACK_*, 0 for other protocols. */
  get tcpState(): number {
    return this.tcp === null ? TCP_CONNTRACK_NONE : this.tcp.state;
  }

  /** References, as `conntrack -L` prints them: the table's own. */
  get use(): number {
    return 1;
  }

  /** The connection that it was expected by; helpers do not exist here. */
  get master(): Conn | null {
    return null;
  }
}
