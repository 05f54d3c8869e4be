/**
 * Rewriting a packet (nf_nat_proto.c of Linux 6.1): one address with its port, all checksums patched. `iphOff` is the IP
 * header that is meant, which inside an ICMP error is that of the quoted packet.
 */
import { csumPatch16, inetChecksum } from "../../../wire/checksum.ts";
import {
  ICMP_HLEN,
  ICMP_REDIRECT,
  icmpCheck,
  icmpId,
  icmpIsError,
  icmpType,
  setIcmpCheck,
  setIcmpId,
} from "../../../wire/icmp.ts";
import {
  IPPROTO_GRE,
  IPPROTO_ICMP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  ipHeaderLen,
  l4ChecksumOk,
} from "../../../wire/ipv4.ts";
import { rewriteAddress, rewriteTransport } from "../../../wire/rewrite.ts";
import { TCP_HLEN } from "../../../wire/tcp.ts";
import type { Skb } from "../../core/skb.ts";
import { TRACE_NAT } from "../../core/trace.ts";
import {
  type Conn,
  IP_CT_DIR_REPLY,
  IPS_DST_NAT,
  IPS_NAT_DONE_MASK,
  IPS_NAT_MASK,
  IPS_SRC_NAT,
} from "../conntrack/conn.ts";
import { ctDirOf } from "../conntrack/conntrack-core.ts";
import { Tuple } from "../conntrack/tuple.ts";
import { type NatManip, NF_NAT_MANIP_DST, NF_NAT_MANIP_SRC } from "./nat-range.ts";

const target = new Tuple();

/** The shortest transport header, and as much of one as an error quotes at least: with less its ports are not translated. */
const MIN_L4_BYTES = 8;
/** As much of a GRE header as must be there, though nothing in it is translated. */
const GRE_BYTES = 8;

/** What is written to of a transport header: all of a TCP one where it is there. */
function writtenBytes(skb: Skb, protocol: number, off: number): number {
  return protocol === IPPROTO_TCP && off + TCP_HLEN <= skb.tail ? TCP_HLEN : MIN_L4_BYTES;
}

/** Patches the id of a question or an answer; errors have none. */
function icmpManip(skb: Skb, off: number, id: number): void {
  const { view } = skb;
  if (icmpIsError(icmpType(view, off))) return;
  setIcmpCheck(view, off, csumPatch16(icmpCheck(view, off), icmpId(view, off), id));
  setIcmpId(view, off, id);
}

/**
 * Makes the source (or destination) of the packet at `iphOff` that of `to` (nf_nat_ipv4_manip_pkt). For ICMP the id is
 * the source port of `to` in both cases.
 */
function manipPacket(skb: Skb, iphOff: number, to: Tuple, manip: NatManip): void {
  const { view, tail } = skb;
  const off = iphOff + ipHeaderLen(view, iphOff);
  if (skb.fragList !== null) {
    const l4Off = skb.netOff + ipHeaderLen(view, skb.netOff);
    skb.ensureWritable(l4Off, off + writtenBytes(skb, to.proto, off));
  }
  const source = manip === NF_NAT_MANIP_SRC;
  const addr = source ? to.src : to.dst;
  const from = rewriteAddress(view, iphOff, source, addr);
  const { proto } = to;
  if (proto === IPPROTO_TCP || proto === IPPROTO_UDP)
    rewriteTransport(view, tail, proto, off, source, from, addr, source ? to.sport : to.dport);
  else if (proto === IPPROTO_ICMP) icmpManip(skb, off, to.sport);
}

function hasPorts({ proto }: Conn): boolean {
  return proto === IPPROTO_TCP || proto === IPPROTO_UDP;
}

/** Whether packets of that direction have that half rewritten. */
function isManipulated(conn: Conn, manip: NatManip, dir: number): boolean {
  let bit = manip === NF_NAT_MANIP_SRC ? IPS_SRC_NAT : IPS_DST_NAT;
  if (dir === IP_CT_DIR_REPLY) bit ^= IPS_NAT_MASK;
  return (conn.status & bit) !== 0;
}

/** The tuple of the connection that packets of the direction against `dir` have. */
function otherTuple(conn: Conn, dir: number): void {
  if (dir === IP_CT_DIR_REPLY) {
    target.set(conn.proto, conn.origSrc, conn.origDst, conn.origSport, conn.origDport);
  } else {
    target.set(conn.proto, conn.replSrc, conn.replDst, conn.replSport, conn.replDport);
  }
}

/** Translates a packet of a connection (nf_nat_packet), where its direction wants it. false: it must be dropped. */
export function nfNatPacket(skb: Skb, conn: Conn, manip: NatManip): boolean {
  const dir = ctDirOf(skb.ctInfo);
  if (!isManipulated(conn, manip, dir)) return true;
  const { view, netOff, tail, trace } = skb;
  if (conn.proto === IPPROTO_GRE && netOff + ipHeaderLen(view, netOff) + GRE_BYTES > tail) return false;
  otherTuple(conn, dir);
  target.invert();
  manipPacket(skb, netOff, target, manip);
  if (trace !== null) trace.add(TRACE_NAT, manip, dir, conn);
  return true;
}

/**
 * Translates an ICMP error about a packet of a connection, quote and all, so that the receiver sees its own packet
 * (nf_nat_icmp_reply_translation). false: it must be dropped.
 */
export function nfNatIcmpReplyTranslation(skb: Skb, conn: Conn, manip: NatManip): boolean {
  const { view, netOff, tail } = skb;
  const off = netOff + ipHeaderLen(view, netOff);
  if (off + ICMP_HLEN + 20 > tail) return false;
  if (!l4ChecksumOk(skb.bytes, view, netOff, off, tail - off)) return false;
  if (icmpType(view, off) === ICMP_REDIRECT) {
    if ((conn.status & IPS_NAT_DONE_MASK) !== IPS_NAT_DONE_MASK) return false;
    if ((conn.status & IPS_NAT_MASK) !== 0) return false;
  }
  const dir = ctDirOf(skb.ctInfo);
  if (!isManipulated(conn, manip, dir)) return true;
  const inner = off + ICMP_HLEN;
  if (hasPorts(conn) && inner + ipHeaderLen(view, inner) + MIN_L4_BYTES > tail) return false;
  otherTuple(conn, dir);
  const innerManip = manip === NF_NAT_MANIP_SRC ? NF_NAT_MANIP_DST : NF_NAT_MANIP_SRC;
  manipPacket(skb, inner, target, innerManip);
  setIcmpCheck(view, off, 0);
  setIcmpCheck(view, off, inetChecksum(view, off, tail - off));
  target.invert();
  target.proto = IPPROTO_ICMP;
  manipPacket(skb, netOff, target, manip);
  return true;
}
