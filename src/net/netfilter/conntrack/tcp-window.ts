/**
 * Window tracking of TCP (tcp_in_window, nf_conntrack_proto_tcp.c of Linux 6.1; G. van Rooij, "Real stateful TCP packet
 * filtering in IP Filter"). A segment is good when
 *
 *     I    seq of the segment  <= sender.maxEnd
 *     II   end of the segment   > sender.end - receiver.maxWin
 *     III  ack (or SACK edge)  <= receiver.end
 *     IV   ack                  > receiver.end - max(66000, sender.maxWin)
 *
 * Sequence numbers are int32 and compared by the sign of their difference.
 */
import { IPPROTO_TCP } from "../../../wire/ipv4.ts";
import {
  TCP_ACK,
  TCP_HLEN,
  TCP_RST,
  TCP_SYN,
  tcpAckSeq,
  tcpDoff,
  tcpFlags,
  tcpSeq,
  tcpWindow,
} from "../../../wire/tcp.ts";
import { parseTcpOptions, TcpOptions } from "../../../wire/tcp-options.ts";
import type { Skb } from "../../core/skb.ts";
import {
  type Conn,
  type CtDir,
  IP_CT_DIR_REPLY,
  TCP_CONNTRACK_SYN_RECV,
  TCP_CONNTRACK_SYN_SENT,
  type TcpPeer,
  type TcpTrack,
} from "./conn.ts";
import type { Conntrack } from "./conntrack-net.ts";
import { nfL4protoLogInvalid } from "./log-invalid.ts";

/** Bits of `TcpPeer.flags` (include/uapi/linux/netfilter/nf_conntrack_tcp.h). */
export const IP_CT_TCP_FLAG_WINDOW_SCALE = 0x01;
export const IP_CT_TCP_FLAG_SACK_PERM = 0x02;
export const IP_CT_TCP_FLAG_CLOSE_INIT = 0x04;
export const IP_CT_TCP_FLAG_BE_LIBERAL = 0x08;
export const IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED = 0x10;
export const IP_CT_TCP_FLAG_MAXACK_SET = 0x20;
export const IP_CT_EXP_CHALLENGE_ACK = 0x40;
export const IP_CT_TCP_SIMULTANEOUS_OPEN = 0x80;

/** Verdict of the window check. */
export const NFCT_TCP_ACCEPT = 0;
/** Let it pass, learn nothing from it. */
export const NFCT_TCP_IGNORE = 1;
export const NFCT_TCP_INVALID = 2;
export type NfctTcpAction = 0 | 1 | 2;

/** Index of a segment in the state table by its flags (enum tcp_bit_set). */
export const TCP_SYN_SET = 0;
export const TCP_SYNACK_SET = 1;
export const TCP_FIN_SET = 2;
export const TCP_ACK_SET = 3;
export const TCP_RST_SET = 4;
export const TCP_NONE_SET = 5;

const MAX_ACK_WINDOW = 66000;

const options = new TcpOptions();

/** Everything that the tracker reads of a segment; one for all packets. */
export class TcpSegment {
  view: DataView = new DataView(new ArrayBuffer(0));
  off = 0;
  flags = 0;
  index = TCP_NONE_SET;
  seq = 0;
  ack = 0;
  end = 0;
  win = 0;

  /** `off` is the TCP header, `tail` one past the last byte of the packet. */
  read(view: DataView, off: number, tail: number): void {
    const flags = tcpFlags(view, off);
    this.view = view;
    this.off = off;
    this.flags = flags;
    this.seq = tcpSeq(view, off);
    this.ack = tcpAckSeq(view, off);
    this.win = tcpWindow(view, off);
    this.end = (this.seq + (tail - off - tcpDoff(view, off)) + ((flags >> 1) & 1) + (flags & 1)) | 0;
    if ((flags & TCP_RST) !== 0) this.index = TCP_RST_SET;
    else if ((flags & TCP_SYN) !== 0) this.index = (flags & TCP_ACK) !== 0 ? TCP_SYNACK_SET : TCP_SYN_SET;
    else if ((flags & 1) !== 0) this.index = TCP_FIN_SET;
    else this.index = (flags & TCP_ACK) !== 0 ? TCP_ACK_SET : TCP_NONE_SET;
  }
}

/** Takes scale and SACK permission of a SYN; one without any options leaves what is known (tcp_options). */
export function tcpSenderOptions(segment: TcpSegment, peer: TcpPeer): void {
  if (tcpDoff(segment.view, segment.off) === TCP_HLEN) return;
  peer.scale = 0;
  peer.flags &= IP_CT_TCP_FLAG_BE_LIBERAL;
  parseTcpOptions(segment.view, segment.off, options);
  if (options.sackPermitted) peer.flags |= IP_CT_TCP_FLAG_SACK_PERM;
  if (options.wscale >= 0) {
    peer.scale = options.wscale;
    peer.flags |= IP_CT_TCP_FLAG_WINDOW_SCALE;
  }
}

/** The highest edge that the segment acknowledges: its ack, or the end of a SACK block beyond (tcp_sack). */
function highestSack(segment: TcpSegment): number {
  let sack = segment.ack;
  parseTcpOptions(segment.view, segment.off, options);
  for (let i = 0; i < options.sackCount; i++) {
    const right = options.sackRight[i];
    if (((right - sack) | 0) > 0) sack = right;
  }
  return sack;
}

/** A SYN or SYN-ACK tells where its sender begins (tcp_init_sender). */
function initSender(sender: TcpPeer, receiver: TcpPeer, segment: TcpSegment, dir: CtDir): void {
  sender.end = segment.end;
  sender.maxEnd = segment.end;
  sender.maxWin = segment.win === 0 ? 1 : segment.win;
  tcpSenderOptions(segment, sender);
  if (dir === IP_CT_DIR_REPLY && (sender.flags & receiver.flags & IP_CT_TCP_FLAG_WINDOW_SCALE) === 0) {
    sender.scale = 0;
    receiver.scale = 0;
  }
}

/** First sight of a sender that was in the middle of its connection. */
function pickUpSender(sender: TcpPeer, receiver: TcpPeer, segment: TcpSegment, sack: number): void {
  sender.end = segment.end;
  const win = segment.win << sender.scale;
  sender.maxWin = win === 0 ? 1 : win;
  sender.maxEnd = (segment.end + sender.maxWin) | 0;
  if (receiver.maxWin === 0) {
    receiver.end = sack;
    receiver.maxEnd = sack;
  } else if (sack === ((receiver.end + 1) | 0)) {
    receiver.end = (receiver.end + 1) | 0;
  }
}

/** Of the segment in work: not to be believed, but let through in the name of nf_conntrack_tcp_be_liberal. */
let liberal = false;

/** The line of a segment that is not good; nothing is said of one that passes all the same (nf_tcp_log_invalid). */
function logInvalid(ct: Conntrack, skb: Skb, text: string): void {
  if (!liberal) nfL4protoLogInvalid(ct, skb, IPPROTO_TCP, text);
}

/** Past what the receiver allows: a little of it is let through, when nothing else is wrong. */
function checkOvershot(
  ct: Conntrack,
  skb: Skb,
  sender: TcpPeer,
  receiver: TcpPeer,
  end: number,
  ackGood: boolean,
): NfctTcpAction {
  const overshot = (end - sender.maxEnd + 1) >>> 0;
  const endAbove = ((end - (sender.end - receiver.maxWin - 1)) | 0) > 0;
  if (receiver.maxWin !== 0 && endAbove && ackGood && overshot <= receiver.maxWin) {
    sender.end = end;
    sender.flags |= IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED;
    if (ct.logInvalid !== 0) logInvalid(ct, skb, `${overshot} bytes more than expected`);
    return NFCT_TCP_IGNORE;
  }
  if (ct.logInvalid !== 0) {
    const bound = (sender.maxEnd + 1) >>> 0;
    logInvalid(ct, skb, `SEQ is over upper bound ${bound} (over the window of the receiver)`);
  }
  return NFCT_TCP_INVALID;
}

/** The four conditions; the scratch values of the segment may have been replaced by what its flags mean. */
function checkWindow(
  ct: Conntrack,
  skb: Skb,
  sender: TcpPeer,
  receiver: TcpPeer,
  seq: number,
  end: number,
  sack: number,
): NfctTcpAction {
  const ackWindow = sender.maxWin > MAX_ACK_WINDOW ? sender.maxWin : MAX_ACK_WINDOW;
  const ackAbove = ((sack - (receiver.end - ackWindow - 1)) | 0) > 0;
  const ackBelow = ((sack - (receiver.end + 1)) | 0) < 0;
  if (((seq - (sender.maxEnd + 1)) | 0) >= 0)
    return checkOvershot(ct, skb, sender, receiver, end, ackAbove && ackBelow);
  if (!ackBelow) {
    if (ct.logInvalid !== 0) {
      const bound = (receiver.end + 1) >>> 0;
      logInvalid(ct, skb, `ACK is over upper bound ${bound} (ACKed data not seen yet)`);
    }
    return NFCT_TCP_INVALID;
  }
  if (receiver.maxWin !== 0 && ((end - (sender.end - receiver.maxWin - 1)) | 0) <= 0) {
    if (ct.logInvalid !== 0) {
      const bound = (sender.end - receiver.maxWin - 1) >>> 0;
      logInvalid(ct, skb, `SEQ is under lower bound ${bound} (already ACKed data retransmitted)`);
    }
    return NFCT_TCP_IGNORE;
  }
  if (ackAbove) return NFCT_TCP_ACCEPT;
  if (ct.logInvalid !== 0) {
    const bound = (receiver.end - ackWindow - 1) >>> 0;
    logInvalid(ct, skb, `ignored ACK under lower bound ${bound} (possible overly delayed)`);
  }
  return NFCT_TCP_IGNORE;
}

/** Learns from a good segment: how far the sender got, and how far it allows the receiver to go. */
function advance(
  sender: TcpPeer,
  receiver: TcpPeer,
  segment: TcpSegment,
  end: number,
  ack: number,
  sack: number,
) {
  const win = (segment.flags & TCP_SYN) !== 0 ? segment.win : segment.win << sender.scale;
  const senderWin = (win + (sack - ack)) >>> 0;
  if (sender.maxWin < senderWin) sender.maxWin = senderWin;
  if (((end - sender.end) | 0) > 0) {
    sender.end = end;
    sender.flags |= IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED;
  }
  if ((segment.flags & TCP_ACK) !== 0) {
    if ((sender.flags & IP_CT_TCP_FLAG_MAXACK_SET) === 0) {
      sender.maxAck = ack;
      sender.flags |= IP_CT_TCP_FLAG_MAXACK_SET;
    } else if (((ack - sender.maxAck) | 0) > 0) {
      sender.maxAck = ack;
    }
  }
  const beyond = (end - sender.maxEnd) | 0;
  if (receiver.maxWin !== 0 && beyond > 0) receiver.maxWin += beyond;
  const allowed = (sack + win) | 0;
  if (((allowed - (receiver.maxEnd - 1)) | 0) > 0) receiver.maxEnd = win === 0 ? (allowed + 1) | 0 : allowed;
  if (ack === receiver.end) receiver.flags &= ~IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED;
}

/** Counts equal ACKs in a row: they shorten the life of the entry. */
function countRetransmission(
  tcp: TcpTrack,
  dir: CtDir,
  seq: number,
  ack: number,
  end: number,
  win: number,
): void {
  if (
    tcp.lastDir === dir &&
    tcp.lastSeq === seq &&
    tcp.lastAck === ack &&
    tcp.lastEnd === end &&
    tcp.lastWin === win
  ) {
    tcp.retrans++;
    return;
  }
  tcp.lastDir = dir;
  tcp.lastSeq = seq;
  tcp.lastAck = ack;
  tcp.lastEnd = end;
  tcp.lastWin = win;
  tcp.retrans = 0;
}

/** Checks a segment and, when it is good, learns from it. */
export function tcpInWindow(
  ct: Conntrack,
  conn: Conn,
  skb: Skb,
  dir: CtDir,
  segment: TcpSegment,
): NfctTcpAction {
  const tcp = conn.tcp!;
  const sender = dir === 0 ? tcp.orig : tcp.repl;
  const receiver = dir === 0 ? tcp.repl : tcp.orig;
  const { flags } = segment;
  let { seq, ack, end } = segment;
  let sack = (receiver.flags & IP_CT_TCP_FLAG_SACK_PERM) !== 0 ? highestSack(segment) : ack;
  if (sender.maxWin === 0) {
    if ((flags & TCP_SYN) !== 0) {
      initSender(sender, receiver, segment, dir);
      if ((flags & TCP_ACK) === 0) return NFCT_TCP_ACCEPT;
    } else {
      pickUpSender(sender, receiver, segment, sack);
    }
  } else if (
    (flags & TCP_SYN) !== 0 &&
    ((end - sender.end) | 0) > 0 &&
    (tcp.state === TCP_CONNTRACK_SYN_SENT || tcp.state === TCP_CONNTRACK_SYN_RECV)
  ) {
    initSender(sender, receiver, segment, dir);
    if (dir === IP_CT_DIR_REPLY && (flags & TCP_ACK) === 0) return NFCT_TCP_ACCEPT;
  }
  if ((flags & TCP_ACK) === 0 || ((flags & TCP_RST) !== 0 && ack === 0)) {
    ack = receiver.end;
    sack = ack;
  }
  if ((flags & TCP_RST) !== 0 && seq === 0 && tcp.state === TCP_CONNTRACK_SYN_SENT) {
    seq = sender.end;
    end = seq;
  }
  liberal = ct.tcpBeLiberal !== 0 || (sender.flags & IP_CT_TCP_FLAG_BE_LIBERAL) !== 0;
  const action = checkWindow(ct, skb, sender, receiver, seq, end, sack);
  if (action !== NFCT_TCP_ACCEPT) return liberal ? NFCT_TCP_ACCEPT : action;
  advance(sender, receiver, segment, end, ack, sack);
  if (segment.index === TCP_ACK_SET) countRetransmission(tcp, dir, seq, ack, end, segment.win);
  return NFCT_TCP_ACCEPT;
}
