/**
 * ICMP (nf_conntrack_proto_icmp.c): questions and answers are connections of their own; an error belongs to the
 * connection of the packet that it quotes.
 */
import {
  ICMP_ADDRESS,
  ICMP_ECHO,
  ICMP_INFO_REQUEST,
  ICMP_TIMESTAMP,
  icmpIsError,
  icmpType,
  NR_ICMP_TYPES,
} from "../../../wire/icmp.ts";
import { ipDaddr } from "../../../wire/ipv4.ts";
import { type Hook, NF_INET_PRE_ROUTING } from "../../core/hooks.ts";
import { IP_CT_RELATED, IP_CT_RELATED_REPLY, type Skb } from "../../core/skb.ts";
import { skbChecksumOk } from "../../core/skb-checksum.ts";
import { type Conn, IP_CT_DIR_REPLY } from "./conn.ts";
import type { Conntrack } from "./conntrack-net.ts";
import { CT_ACCEPT, CT_INVALID, type CtVerdict } from "./proto.ts";

const ICMP_HEADER_BYTES = 8;

/** Tracks a question or an answer. */
export function icmpPacket(ct: Conntrack, conn: Conn): CtVerdict {
  const type = conn.origDport >> 8;
  if (type !== ICMP_ECHO && type !== ICMP_TIMESTAMP && type !== ICMP_INFO_REQUEST && type !== ICMP_ADDRESS)
    return CT_INVALID;
  ct.refresh(conn, ct.icmpTimeout);
  return CT_ACCEPT;
}

/** Finds the connection of the quoted packet and attaches it to the error (nf_conntrack_inet_error). */
function inetError(ct: Conntrack, skb: Skb, innerOff: number): CtVerdict {
  const { view, tail } = skb;
  const inner = ct.inner;
  if (!inner.read(view, innerOff, tail) || !inner.invert()) return CT_INVALID;
  const conn = ct.findInZone(inner);
  if (conn === null) return CT_INVALID;
  const dir = ct.table.foundDir;
  const expected = dir === IP_CT_DIR_REPLY ? conn.replDst : conn.origDst;
  if (ipDaddr(view, skb.netOff) !== expected) return CT_INVALID;
  skb.ct = conn;
  skb.ctInfo = dir === IP_CT_DIR_REPLY ? IP_CT_RELATED_REPLY : IP_CT_RELATED;
  return CT_ACCEPT;
}

/**
 * Checks an ICMP packet before it is looked up; `off` is its header. CT_ACCEPT with `skb.ct` set: an error, done;
 * without: a question or an answer.
 */
export function icmpError(ct: Conntrack, skb: Skb, off: number, hook: Hook): CtVerdict {
  const { view, tail } = skb;
  if (off + ICMP_HEADER_BYTES > tail) return CT_INVALID;
  if (hook === NF_INET_PRE_ROUTING && ct.checksum !== 0) {
    if (!skbChecksumOk(skb, skb.netOff, off, tail - off)) return CT_INVALID;
  }
  const type = icmpType(view, off);
  if (type > NR_ICMP_TYPES) return CT_INVALID;
  if (!icmpIsError(type)) return CT_ACCEPT;
  return inetError(ct, skb, off + ICMP_HEADER_BYTES);
}
