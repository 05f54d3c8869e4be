/**
 * The tuple of a packet, read from its headers (nf_ct_get_tuple, nf_conntrack_core.c), and its inversion. A `Tuple` is
 * scratch memory: one a namespace and purpose, never made per packet.
 */
import {
  ICMP_ADDRESS,
  ICMP_ADDRESSREPLY,
  ICMP_ECHO,
  ICMP_ECHOREPLY,
  ICMP_INFO_REPLY,
  ICMP_INFO_REQUEST,
  ICMP_TIMESTAMP,
  ICMP_TIMESTAMPREPLY,
} from "../../../wire/icmp.ts";
import {
  IP_OFFSET,
  IPPROTO_DCCP,
  IPPROTO_GRE,
  IPPROTO_ICMP,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPPROTO_UDPLITE,
  ipDaddr,
  ipFragOff,
  ipHeaderLen,
  ipProtocol,
  ipSaddr,
} from "../../../wire/ipv4.ts";

/** Bytes of a transport header that the tuple needs: both ports, or an ICMP header. */
const PORT_BYTES = 4;
const ICMP_BYTES = 8;
const GRE_VERSION = 7;
const GRE_VERSION_1 = 1;
const GRE_PROTO_PPP = 0x880b;
const GRE_PPTP_BYTES = 8;

/** ICMP types that ask, and the type of the answer; -1 for types that are no conversation (invmap). */
const INVERSE_ICMP = new Int16Array(256).fill(-1);
for (const [ask, answer] of [
  [ICMP_ECHO, ICMP_ECHOREPLY],
  [ICMP_TIMESTAMP, ICMP_TIMESTAMPREPLY],
  [ICMP_INFO_REQUEST, ICMP_INFO_REPLY],
  [ICMP_ADDRESS, ICMP_ADDRESSREPLY],
]) {
  INVERSE_ICMP[ask] = answer;
  INVERSE_ICMP[answer] = ask;
}

/** Protocols whose packets have two ports in front, which the tuple has too. */
export function protoHasPorts(proto: number): boolean {
  return (
    proto === IPPROTO_TCP ||
    proto === IPPROTO_UDP ||
    proto === IPPROTO_SCTP ||
    proto === IPPROTO_UDPLITE ||
    proto === IPPROTO_DCCP
  );
}

export class Tuple {
  src = 0;
  dst = 0;
  sport = 0;
  dport = 0;
  proto = 0;

  set(proto: number, src: number, dst: number, sport: number, dport: number): void {
    this.proto = proto;
    this.src = src;
    this.dst = dst;
    this.sport = sport;
    this.dport = dport;
  }

  /**
   * Reads the packet whose IP header is at `ipOff`; `tail` is one past its last byte. false when it is a later fragment
   * or too short.
   */
  read(view: DataView, ipOff: number, tail: number): boolean {
    if (ipOff + 20 > tail) return false;
    const headerLen = ipHeaderLen(view, ipOff);
    if (headerLen < 20 || (ipFragOff(view, ipOff) & IP_OFFSET) !== 0) return false;
    const off = ipOff + headerLen;
    const proto = ipProtocol(view, ipOff);
    this.proto = proto;
    this.src = ipSaddr(view, ipOff);
    this.dst = ipDaddr(view, ipOff);
    if (protoHasPorts(proto)) {
      if (off + PORT_BYTES > tail) return false;
      this.sport = view.getUint16(off);
      this.dport = view.getUint16(off + 2);
    } else if (proto === IPPROTO_ICMP) {
      if (off + ICMP_BYTES > tail) return false;
      this.sport = view.getUint16(off + 4);
      this.dport = view.getUint16(off);
    } else if (proto === IPPROTO_GRE) {
      return this.readGre(view, off, tail);
    } else {
      this.sport = 0;
      this.dport = 0;
    }
    return true;
  }

  /** The call of PPTP's GRE is its key, that of other GRE is not looked at (gre_pkt_to_tuple). */
  private readGre(view: DataView, off: number, tail: number): boolean {
    this.sport = 0;
    this.dport = 0;
    if (off + PORT_BYTES > tail || (view.getUint16(off) & GRE_VERSION) !== GRE_VERSION_1) return true;
    if (off + GRE_PPTP_BYTES > tail) return true;
    if (view.getUint16(off + 2) !== GRE_PROTO_PPP) return false;
    this.dport = view.getUint16(off + 6);
    return true;
  }

  /** Becomes the tuple of the answer (nf_ct_invert_tuple). false: that kind of ICMP message has none. */
  invert(): boolean {
    const src = this.src;
    this.src = this.dst;
    this.dst = src;
    if (this.proto === IPPROTO_ICMP) {
      const type = INVERSE_ICMP[this.dport >> 8];
      if (type < 0) return false;
      this.dport = (type << 8) | (this.dport & 0xff);
      return true;
    }
    const sport = this.sport;
    this.sport = this.dport;
    this.dport = sport;
    return true;
  }

  copy(from: Tuple): void {
    this.set(from.proto, from.src, from.dst, from.sport, from.dport);
  }

  equals(other: Tuple): boolean {
    return (
      this.src === other.src &&
      this.dst === other.dst &&
      this.sport === other.sport &&
      this.dport === other.dport &&
      this.proto === other.proto
    );
  }
}
