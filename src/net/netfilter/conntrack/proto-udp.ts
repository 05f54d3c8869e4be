/** The trackers of UDP (nf_conntrack_proto_udp.c), of GRE and of protocols without ports (nf_conntrack_proto_generic.c). */

import { SEC } from "../../../sim/sim.ts";
import { type Hook, NF_INET_PRE_ROUTING } from "../../core/hooks.ts";
import type { Skb } from "../../core/skb.ts";
import { skbChecksumOk } from "../../core/skb-checksum.ts";
import { type Conn, IPS_ASSURED, IPS_CONFIRMED, IPS_NAT_CLASH, IPS_SEEN_REPLY } from "./conn.ts";
import type { Conntrack } from "./conntrack-net.ts";
import { CT_ACCEPT, CT_INVALID, type CtVerdict } from "./proto.ts";

/** Traffic in both directions for this long makes a stream. */
const STREAM_AFTER_NS = 2 * SEC;

function udpError(ct: Conntrack, skb: Skb, off: number, hook: Hook): boolean {
  const { view, tail } = skb;
  if (off + 8 > tail) return true;
  const lenBytes = view.getUint16(off + 4);
  if (lenBytes > tail - off || lenBytes < 8) return true;
  if (view.getUint16(off + 6) === 0 || hook !== NF_INET_PRE_ROUTING || ct.checksum === 0) return false;
  return !skbChecksumOk(skb, skb.netOff, off, tail - off);
}

/** Tracks a UDP datagram; `off` is its header. */
export function udpPacket(ct: Conntrack, conn: Conn, skb: Skb, off: number, hook: Hook): CtVerdict {
  if (udpError(ct, skb, off, hook)) return CT_INVALID;
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
