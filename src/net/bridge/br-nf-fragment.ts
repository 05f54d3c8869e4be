/**
 * Cutting a bridged packet again (br_nf_ip_fragment in net/bridge/br_netfilter_hooks.c): connection tracking put its
 * fragments together at PRE_ROUTING, so they leave in pieces of the size in which they came.
 */
import {
  IP_DF,
  IP_MF,
  IP_OFFSET,
  ipChecksumSet,
  ipFragOff,
  ipHeaderLen,
  setIpFragOff,
  setIpTotLen,
} from "../../wire/ipv4.ts";
import { ETH_HLEN } from "../core/dev.ts";
import { DROP } from "../core/drop-reason.ts";
import type { Skb } from "../core/skb.ts";
import { usableSizes } from "../ipv4/ip-do-fragment.ts";

/** Sends one piece, `data` at its IP header with an Ethernet header in front. Takes it. */
export type PieceXmit<To> = (piece: Skb, to: To) => void;

/**
 * Cuts `skb` (`data` at the IP header, Ethernet header in front) for a port whose device has `devMtu`, and sends the pieces.
 * False: it fits as it is and is still the caller's.
 */
export function brNfIpFragment<To>(skb: Skb, devMtu: number, to: To, xmit: PieceXmit<To>): boolean {
  const mtu = skb.fragMaxSize > 0 && skb.fragMaxSize < devMtu ? skb.fragMaxSize : devMtu;
  if (skb.length <= mtu) return false;
  const { view, data } = skb;
  const fragOff = ipFragOff(view, data);
  if ((fragOff & IP_DF) !== 0 && skb.fragMaxSize === 0) {
    skb.drop(DROP.PKT_TOO_BIG);
    return true;
  }
  const headerLen = ipHeaderLen(view, data);
  const room = mtu - headerLen;
  const payloadLen = skb.length - headerLen;
  const sizes = usableSizes(skb.fragList, room);
  for (let at = 0, index = 0; at < payloadLen; index++) {
    const left = payloadLen - at;
    const length = sizes !== null ? sizes[index] : left <= room ? left : room & ~7;
    const last = length === left;
    const piece = skb.pool.alloc(ETH_HLEN + headerLen + length);
    const start = piece.put(ETH_HLEN + headerLen + length);
    piece.bytes.set(skb.bytes.subarray(data - ETH_HLEN, data + headerLen), start);
    const from = data + headerLen + at;
    piece.bytes.set(skb.bytes.subarray(from, from + length), start + ETH_HLEN + headerLen);
    piece.macOff = start;
    piece.data = start + ETH_HLEN;
    piece.netOff = piece.data;
    piece.transOff = piece.data + headerLen;
    piece.protocol = skb.protocol;
    piece.vlanProto = skb.vlanProto;
    piece.vlanTci = skb.vlanTci;
    piece.pktType = skb.pktType;
    piece.dev = skb.dev;
    piece.mark = skb.mark;
    setIpTotLen(piece.view, piece.data, headerLen + length);
    const offset = (fragOff & IP_OFFSET) + (at >> 3);
    const more = !last || (fragOff & IP_MF) !== 0 ? IP_MF : 0;
    setIpFragOff(piece.view, piece.data, offset | more);
    ipChecksumSet(piece.view, piece.data);
    at += length;
    xmit(piece, to);
  }
  skb.consume();
  return true;
}
