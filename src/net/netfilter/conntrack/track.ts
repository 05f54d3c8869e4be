/** What the trackers of SCTP and DCCP remember of a connection (struct ip_ct_sctp, struct nf_ct_dccp). */

/** enum sctp_conntrack. */
export const SCTP_CONNTRACK_NONE = 0;
export const SCTP_CONNTRACK_CLOSED = 1;
export const SCTP_CONNTRACK_COOKIE_WAIT = 2;
export const SCTP_CONNTRACK_COOKIE_ECHOED = 3;
export const SCTP_CONNTRACK_ESTABLISHED = 4;
export const SCTP_CONNTRACK_SHUTDOWN_SENT = 5;
export const SCTP_CONNTRACK_SHUTDOWN_RECD = 6;
export const SCTP_CONNTRACK_SHUTDOWN_ACK_SENT = 7;
export const SCTP_CONNTRACK_HEARTBEAT_SENT = 8;
/** Not a state: the packet makes no sense in the present one. */
export const SCTP_CONNTRACK_MAX = 9;

/** Names by SCTP_CONNTRACK_*. */
export const SCTP_CONNTRACK_NAMES: readonly string[] = [
  "NONE",
  "CLOSED",
  "COOKIE_WAIT",
  "COOKIE_ECHOED",
  "ESTABLISHED",
  "SHUTDOWN_SENT",
  "SHUTDOWN_RECD",
  "SHUTDOWN_ACK_SENT",
  "HEARTBEAT_SENT",
];

/** By direction 0 is the original one, 1 that of the answers. */
export class SctpTrack {
  state = SCTP_CONNTRACK_NONE;
  /** Verification tags that packets of a direction must have, int32. */
  readonly vtag = new Int32Array(2);
  /** An INIT was seen in that direction, its handshake is not over. */
  readonly init = new Uint8Array(2);
  /** A HEARTBEAT came with another tag, in this direction. */
  heartbeatFailed = false;
  lastDir = 0;

  reset(): void {
    this.state = SCTP_CONNTRACK_NONE;
    this.vtag.fill(0);
    this.init.fill(0);
    this.heartbeatFailed = false;
    this.lastDir = 0;
  }
}

/** enum ct_dccp_states. */
export const CT_DCCP_NONE = 0;
export const CT_DCCP_REQUEST = 1;
export const CT_DCCP_RESPOND = 2;
export const CT_DCCP_PARTOPEN = 3;
export const CT_DCCP_OPEN = 4;
export const CT_DCCP_CLOSEREQ = 5;
export const CT_DCCP_CLOSING = 6;
export const CT_DCCP_TIMEWAIT = 7;
/** Not states: let the packet pass and keep the present one; it makes no sense. */
export const CT_DCCP_IGNORE = 8;
export const CT_DCCP_INVALID = 9;

/** Names by CT_DCCP_*. */
export const CT_DCCP_NAMES: readonly string[] = [
  "NONE",
  "REQUEST",
  "RESPOND",
  "PARTOPEN",
  "OPEN",
  "CLOSEREQ",
  "CLOSING",
  "TIMEWAIT",
];

export class DccpTrack {
  state = CT_DCCP_NONE;
  /** Direction in which the client sends. */
  clientDir = 0;
  lastPacket = 0;
  lastDir = 0;
  /** Sequence number of the server's response. */
  handshakeSeq = 0;

  reset(): void {
    this.state = CT_DCCP_NONE;
    this.clientDir = 0;
    this.lastPacket = 0;
    this.lastDir = 0;
    this.handshakeSeq = 0;
  }
}
