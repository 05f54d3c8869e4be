/**
 * Rewriting a packet (nf_nat_proto.c of Linux 6.1): one address with its port, all checksums patched. `iphOff` is the IP
 * header that is meant, which inside an ICMP error is that of the quoted packet.
 */
import { csumPatch16, csumPatch32, inetChecksum } from "../../../wire/checksum.ts";
import { sctpChecksum } from "../../../wire/crc32c.ts";
import { DCCP_CHECK_AT, DCCP_HLEN } from "../../../wire/dccp.ts";
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
  IPPROTO_DCCP,
  IPPROTO_GRE,
  IPPROTO_ICMP,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPPROTO_UDPLITE,
  ipHeaderLen,
  l4ChecksumOk,
} from "../../../wire/ipv4.ts";
import { rewriteAddress, rewriteTransport } from "../../../wire/rewrite.ts";
import { SCTP_HLEN, setSctpCheck } from "../../../wire/sctp.ts";
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
import { protoHasPorts, Tuple } from "../conntrack/tuple.ts";
import { type NatManip, NF_NAT_MANIP_DST, NF_NAT_MANIP_SRC } from "./nat-range.ts";

const target = new Tuple();

/** The shortest transport header, and as much of one as an error quotes at least: with less its ports are not translated. */
const MIN_L4_BYTES = 8;
/** As much of a GRE header as must be there, though nothing in it is translated. */
const GRE_BYTES = 8;

/** What is written to of a transport header: all of a long one where it is there. */
function writtenBytes(skb: Skb, protocol: number, off: number): number {
  const whole = protocol === IPPROTO_TCP ? TCP_HLEN : SCTP_HLEN;
  const long = protocol === IPPROTO_TCP || protocol === IPPROTO_SCTP || protocol === IPPROTO_DCCP;
  return long && off + whole <= skb.tail ? whole : MIN_L4_BYTES;
}

/** Patches the id of a question or an answer; errors have none. */
function icmpManip(skb: Skb, off: number, id: number): void {
  const { view } = skb;
  if (icmpIsError(icmpType(view, off))) return;
  setIcmpCheck(view, off, csumPatch16(icmpCheck(view, off), icmpId(view, off), id));
  setIcmpId(view, off, id);
}

/** A port of SCTP, whose checksum is computed anew, of what there is of the packet; a quote may have none (sctp_manip_pkt). */
function sctpManip(skb: Skb, off: number, source: boolean, port: number): void {
  const { view, tail } = skb;
  view.setUint16(source ? off : off + 2, port);
  if (off + SCTP_HLEN > tail) return;
  setSctpCheck(view, off, sctpChecksum(view, off, tail));
  skb.csumLevel = 0;
}

/** A port of DCCP or UDP-Lite, whose checksum is patched where it is there (dccp_manip_pkt, udplite_manip_pkt). */
function sumManip(
  skb: Skb,
  proto: number,
  off: number,
  source: boolean,
  from: number,
  addr: number,
  port: number,
): void {
  const { view, tail } = skb;
  const at = source ? off : off + 2;
  const old = view.getUint16(at);
  view.setUint16(at, port);
  if (proto === IPPROTO_DCCP && off + DCCP_HLEN > tail) return;
  const check = off + DCCP_CHECK_AT;
  const sum = csumPatch16(csumPatch32(view.getUint16(check), from, addr), old, port);
  view.setUint16(check, sum === 0 && proto === IPPROTO_UDPLITE ? 0xffff : sum);
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
  const port = source ? to.sport : to.dport;
  if (proto === IPPROTO_TCP || proto === IPPROTO_UDP)
    rewriteTransport(view, tail, proto, off, source, from, addr, port);
  else if (proto === IPPROTO_SCTP) sctpManip(skb, off, source, port);
  else if (proto === IPPROTO_DCCP || proto === IPPROTO_UDPLITE)
    sumManip(skb, proto, off, source, from, addr, port);
  else if (proto === IPPROTO_ICMP) icmpManip(skb, off, to.sport);
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
  if (protoHasPorts(conn.proto) && inner + ipHeaderLen(view, inner) + MIN_L4_BYTES > tail) return false;
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
