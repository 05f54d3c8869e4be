/** The tracker of DCCP (nf_conntrack_proto_dccp.c of Linux 6.1; RFC 4340, section 8). */
import { csumFold, csumPartial, pseudoHeaderSum } from "../../../wire/checksum.ts";
import {
  DCCP_HLEN,
  DCCP_PKT_ACK,
  DCCP_PKT_DATA,
  DCCP_PKT_DATAACK,
  DCCP_PKT_INVALID,
  DCCP_PKT_REQUEST,
  DCCP_PKT_RESET,
  DCCP_PKT_RESPONSE,
  dccpAckSeq,
  dccpCscov,
  dccpDoff,
  dccpHeaderLength,
  dccpIsExtended,
  dccpSeq,
  dccpType,
} from "../../../wire/dccp.ts";
import { IPPROTO_DCCP, ipDaddr, ipSaddr } from "../../../wire/ipv4.ts";
import { type Hook, NF_INET_PRE_ROUTING } from "../../core/hooks.ts";
import type { Skb } from "../../core/skb.ts";
import { type Conn, type CtDir, IPS_ASSURED, IPS_SEEN_REPLY } from "./conn.ts";
import type { Conntrack } from "./conntrack-net.ts";
import { nfL4protoLogInvalid } from "./log-invalid.ts";
import { CT_ACCEPT, CT_DROP, CT_IGNORE, CT_INVALID, type CtVerdict } from "./proto.ts";
import {
  CT_DCCP_CLOSEREQ,
  CT_DCCP_CLOSING,
  CT_DCCP_IGNORE,
  CT_DCCP_INVALID,
  CT_DCCP_OPEN,
  CT_DCCP_PARTOPEN,
  CT_DCCP_REQUEST,
  CT_DCCP_RESPOND,
  CT_DCCP_TIMEWAIT,
  DccpTrack,
} from "./track.ts";

const RQ = CT_DCCP_REQUEST;
const RS = CT_DCCP_RESPOND;
const PO = CT_DCCP_PARTOPEN;
const OP = CT_DCCP_OPEN;
const CR = CT_DCCP_CLOSEREQ;
const CG = CT_DCCP_CLOSING;
const TW = CT_DCCP_TIMEWAIT;
const IG = CT_DCCP_IGNORE;
const IV = CT_DCCP_INVALID;

const STATES = 8;
const TYPES = 10;
/** New state by role of the sender, type of packet and old state (columns NONE RQ RS PO OP CR CG TW). */
// biome-ignore format: a table
const DCCP_STATES = Uint8Array.of(
  RQ, RQ, RS, IG, IG, IG, IG, RQ, // Request of the client
  IV, IG, IG, IG, IG, IG, IG, IV, // Response
  IV, IV, IV, IV, OP, CR, CG, IV, // Data
  IV, IV, PO, PO, OP, CR, CG, IV, // Ack
  IV, IV, PO, PO, OP, CR, CG, IV, // DataAck
  IV, IV, IV, IV, IV, IV, IV, IV, // CloseReq
  IV, IV, IV, CG, CG, CG, IV, IV, // Close
  IV, TW, TW, TW, TW, TW, TW, IG, // Reset
  IV, IG, IG, IG, IG, IG, IG, IG, // Sync
  IV, IG, IG, IG, IG, IG, IG, IG, // SyncAck
  IV, IG, IG, IG, IG, IG, IG, RQ, // Request of the server
  IV, RS, RS, IG, IG, IG, IG, IV, // Response
  IV, IV, IV, OP, OP, IV, CG, IV, // Data
  IV, IV, IV, OP, OP, IV, CG, IV, // Ack
  IV, IV, IV, OP, OP, IV, CG, IV, // DataAck
  IV, IV, IV, CR, CR, CR, CR, IV, // CloseReq
  IV, IV, IV, CG, CG, IV, CG, IV, // Close
  IV, TW, TW, TW, TW, TW, TW, TW, // Reset
  IV, IG, IG, IG, IG, IG, IG, IG, // Sync
  IV, IG, IG, IG, IG, IG, IG, IG, // SyncAck
);

/** A packet that is damaged (dccp_error): why, null when it is not. */
function dccpError(ct: Conntrack, skb: Skb, off: number, hook: Hook): string | null {
  const { view, tail } = skb;
  const lenBytes = tail - off;
  const doff = dccpDoff(view, off);
  if (doff < DCCP_HLEN || doff > lenBytes) return "nf_ct_dccp: truncated/malformed packet ";
  const words = dccpCscov(view, off);
  const covered = words === 0 ? lenBytes : (words - 1) * 4;
  if (covered > lenBytes) return "nf_ct_dccp: bad checksum coverage ";
  if (hook === NF_INET_PRE_ROUTING && ct.checksum !== 0) {
    const { netOff } = skb;
    const start = pseudoHeaderSum(ipSaddr(view, netOff), ipDaddr(view, netOff), IPPROTO_DCCP, lenBytes);
    if (csumFold(csumPartial(view, off, covered, start)) !== 0) return "nf_ct_dccp: bad checksum ";
  }
  const type = dccpType(view, off);
  if (type >= DCCP_PKT_INVALID) return "nf_ct_dccp: reserved packet type ";
  const short = type === DCCP_PKT_DATA || type === DCCP_PKT_ACK || type === DCCP_PKT_DATAACK;
  return short || dccpIsExtended(view, off) ? null : "nf_ct_dccp: type lacks 48bit sequence numbers";
}

/** First packet of a flow (dccp_new): only a Request; `dccp_loose` would let nothing else in. */
function dccpNew(ct: Conntrack, conn: Conn, skb: Skb, type: number): boolean {
  if (type !== DCCP_PKT_REQUEST) {
    nfL4protoLogInvalid(ct, skb, IPPROTO_DCCP, "invalid state transition ");
    return false;
  }
  if (conn.dccp === null) conn.dccp = new DccpTrack();
  else conn.dccp.reset();
  return true;
}

/** A packet that may open a connection which nobody saw end; the answer to it tells. */
function ignore(ct: Conntrack, conn: Conn, skb: Skb, off: number, dir: CtDir): number {
  const dccp = conn.dccp!;
  const type = dccpType(skb.view, off);
  if (dccp.lastDir !== dir && dccp.lastPacket === DCCP_PKT_REQUEST && type === DCCP_PKT_RESPONSE) {
    dccp.clientDir = 1 - dir;
    dccp.handshakeSeq = dccpSeq(skb.view, off);
    return RS;
  }
  dccp.lastDir = dir;
  dccp.lastPacket = type;
  nfL4protoLogInvalid(ct, skb, IPPROTO_DCCP, "invalid packet");
  return IG;
}

/** What the table's new state means for this packet; the state that it comes to. */
function examine(ct: Conntrack, conn: Conn, skb: Skb, off: number, dir: CtDir, state: number): number {
  const dccp = conn.dccp!;
  const { view } = skb;
  switch (state) {
    case RQ:
      // Opened again by the other side.
      if (dccp.state === TW && dccp.clientDir !== dir) dccp.clientDir = dir;
      return state;
    case RS:
      if (dccp.state === RQ) dccp.handshakeSeq = dccpSeq(view, off);
      return state;
    case PO:
      if (
        dccp.state === RS &&
        dccpType(view, off) === DCCP_PKT_ACK &&
        dccpAckSeq(view, off) === dccp.handshakeSeq
      )
        conn.status |= IPS_ASSURED;
      return state;
    case IG:
      return ignore(ct, conn, skb, off, dir);
    case IV:
      nfL4protoLogInvalid(ct, skb, IPPROTO_DCCP, "invalid state transition");
      return state;
    default:
      return state;
  }
}

/** Tracks a DCCP packet; `off` is its header. */
export function dccpPacket(
  ct: Conntrack,
  conn: Conn,
  skb: Skb,
  off: number,
  dir: CtDir,
  hook: Hook,
): CtVerdict {
  const { view, tail } = skb;
  if (off + DCCP_HLEN > tail) return CT_DROP;
  const error = dccpError(ct, skb, off, hook);
  if (error !== null) {
    nfL4protoLogInvalid(ct, skb, IPPROTO_DCCP, error);
    return CT_INVALID;
  }
  if (off + dccpHeaderLength(view, off) > tail) return CT_DROP;
  const type = dccpType(view, off);
  if (!conn.isConfirmed && !dccpNew(ct, conn, skb, type)) return CT_INVALID;
  if (type === DCCP_PKT_RESET && (conn.status & IPS_SEEN_REPLY) === 0) {
    ct.kill(conn);
    return CT_ACCEPT;
  }
  const dccp = conn.dccp!;
  const role = dccp.clientDir === dir ? 0 : 1;
  const old = dccp.state;
  const state = examine(ct, conn, skb, off, dir, DCCP_STATES[(role * TYPES + type) * STATES + old]);
  if (state === IG) return CT_IGNORE;
  if (state === IV) return CT_INVALID;
  dccp.lastDir = dir;
  dccp.lastPacket = type;
  dccp.state = state;
  ct.refresh(conn, ct.dccpTimeouts[state]);
  return CT_ACCEPT;
}
