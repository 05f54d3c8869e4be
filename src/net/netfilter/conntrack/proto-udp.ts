/** The trackers of UDP (nf_conntrack_proto_udp.c), of GRE and of protocols without ports (nf_conntrack_proto_generic.c). */

import { SEC } from "../../../sim/sim.ts";
import { IPPROTO_UDP, IPPROTO_UDPLITE } from "../../../wire/ipv4.ts";
import { UDP_HLEN } from "../../../wire/udp.ts";
import { udpliteCoverage, udpliteSumOk } from "../../../wire/udplite.ts";
import { type Hook, NF_INET_PRE_ROUTING } from "../../core/hooks.ts";
import type { Skb } from "../../core/skb.ts";
import { skbChecksumOk } from "../../core/skb-checksum.ts";
import { type Conn, IPS_ASSURED, IPS_CONFIRMED, IPS_NAT_CLASH, IPS_SEEN_REPLY } from "./conn.ts";
import type { Conntrack } from "./conntrack-net.ts";
import { nfL4protoLogInvalid } from "./log-invalid.ts";
import { CT_ACCEPT, CT_INVALID, type CtVerdict } from "./proto.ts";

/** Traffic in both directions for this long makes a stream. */
const STREAM_AFTER_NS = 2 * SEC;

/** A datagram that is damaged: why, null when it is good (udp_error). */
function udpError(ct: Conntrack, skb: Skb, off: number, hook: Hook): string | null {
  const { view, tail } = skb;
  if (off + UDP_HLEN > tail) return "short packet";
  const lenBytes = view.getUint16(off + 4);
  if (lenBytes > tail - off || lenBytes < UDP_HLEN) return "truncated/malformed packet";
  if (view.getUint16(off + 6) === 0 || hook !== NF_INET_PRE_ROUTING || ct.checksum === 0) return null;
  return skbChecksumOk(skb, skb.netOff, off, tail - off) ? null : "bad checksum";
}

/** Tracks a UDP datagram; `off` is its header. */
export function udpPacket(ct: Conntrack, conn: Conn, skb: Skb, off: number, hook: Hook): CtVerdict {
  const error = udpError(ct, skb, off, hook);
  if (error !== null) {
    nfL4protoLogInvalid(ct, skb, IPPROTO_UDP, error);
    return CT_INVALID;
  }
  if ((conn.status & IPS_CONFIRMED) === 0) conn.streamNs = ct.now + STREAM_AFTER_NS;
  if ((conn.status & IPS_SEEN_REPLY) === 0) {
    ct.refresh(conn, ct.udpTimeout);
    return CT_ACCEPT;
  }
  if (ct.now <= conn.streamNs) {
    ct.refresh(conn, ct.udpTimeout);
    return CT_ACCEPT;
  }
  ct.refresh(conn, ct.udpTimeoutStream);
  if ((conn.status & IPS_NAT_CLASH) === 0) conn.status |= IPS_ASSURED;
  return CT_ACCEPT;
}

/** A datagram whose checksum, which it must have, is wrong for what it covers (udplite_error). */
function udpliteError(ct: Conntrack, skb: Skb, off: number, hook: Hook): string | null {
  const { view, tail, netOff } = skb;
  const lenBytes = tail - off;
  if (lenBytes < UDP_HLEN) return "short packet";
  const covered = udpliteCoverage(view, off, lenBytes);
  if (covered < 0) return "invalid checksum coverage";
  if (view.getUint16(off + 6) === 0) return "checksum missing";
  if (hook !== NF_INET_PRE_ROUTING || ct.checksum === 0) return null;
  // With the number of UDP, so that whatever has a right checksum by RFC 3828 is wrong here.
  return udpliteSumOk(view, netOff, off, lenBytes, covered, IPPROTO_UDP) ? null : "bad checksum";
}

/** Tracks a UDP-Lite datagram: an answer makes a stream at once. */
export function udplitePacket(ct: Conntrack, conn: Conn, skb: Skb, off: number, hook: Hook): CtVerdict {
  const error = udpliteError(ct, skb, off, hook);
  if (error !== null) {
    nfL4protoLogInvalid(ct, skb, IPPROTO_UDPLITE, error);
    return CT_INVALID;
  }
  if ((conn.status & IPS_SEEN_REPLY) === 0) {
    ct.refresh(conn, ct.udpTimeout);
    return CT_ACCEPT;
  }
  ct.refresh(conn, ct.udpTimeoutStream);
  if ((conn.status & IPS_NAT_CLASH) === 0) conn.status |= IPS_ASSURED;
  return CT_ACCEPT;
}

const GRE_TIMEOUT_SEC = 30;
const GRE_TIMEOUT_STREAM_SEC = 180;

/** Tracks a GRE packet (nf_conntrack_proto_gre.c). */
export function grePacket(ct: Conntrack, conn: Conn): CtVerdict {
  const stream = (conn.status & IPS_SEEN_REPLY) !== 0;
  ct.refresh(conn, stream ? GRE_TIMEOUT_STREAM_SEC : GRE_TIMEOUT_SEC);
  if (stream) conn.status |= IPS_ASSURED;
  return CT_ACCEPT;
}

/** Tracks a packet of a protocol that nothing more is known about. */
export function genericPacket(ct: Conntrack, conn: Conn): CtVerdict {
  ct.refresh(conn, ct.genericTimeout);
  return CT_ACCEPT;
}
