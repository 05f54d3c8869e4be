/**
 * The hash of a flow (net/core/flow_dissector.c): from addresses, protocol and ports in a canonical order, so that both
 * directions hash alike under one key; without ports for fragments and for protocols that have none. The kernel's key is
 * random per boot, so its values cannot be predicted; here they come from `kernel.hashKey`.
 */
import { hash4 } from "../../util/hash.ts";
import {
  IP_MF,
  IP_OFFSET,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  ipDaddr,
  ipFragOff,
  ipHeaderLen,
  ipProtocol,
  ipSaddr,
} from "../../wire/ipv4.ts";
import { ETH_HLEN, ETH_P_IP } from "./dev.ts";
import type { Skb } from "./skb.ts";
import { skbSockHash } from "./skb-scrub.ts";
import { isVlanProtocol, VLAN_HLEN } from "./vlan.ts";

const IP_HLEN = 20;
/** A tag without its drop eligible bit. */
const VLAN_KEY = 0xefff;

/** The hash of the frame at `ethOff`: that of the sending socket when the packet has one, else of its headers; never 0. */
export function skbGetHash(skb: Skb, ethOff: number, key: number): number {
  const sock = skbSockHash(skb);
  if (sock !== 0) return sock;
  const { view } = skb;
  let type = view.getUint16(ethOff + 12);
  let off = ethOff + ETH_HLEN;
  const seed = isVlanProtocol(type) && skb.tail >= off + VLAN_HLEN ? vlanSeed(view, off, key) : key;
  while (isVlanProtocol(type) && skb.tail >= off + VLAN_HLEN) {
    type = view.getUint16(off + 2);
    off += VLAN_HLEN;
  }
  if (type !== ETH_P_IP || skb.tail < off + IP_HLEN) return hash4(type, 0, 0, 0, seed) || 1;
  const protocol = ipProtocol(view, off);
  let ports = 0;
  const hasPorts = protocol === IPPROTO_TCP || protocol === IPPROTO_UDP || protocol === IPPROTO_SCTP;
  if (hasPorts && (ipFragOff(view, off) & (IP_MF | IP_OFFSET)) === 0) {
    const l4 = off + ipHeaderLen(view, off);
    if (skb.tail >= l4 + 4) ports = canonicalPorts(view.getUint16(l4), view.getUint16(l4 + 2));
  }
  const saddr = ipSaddr(view, off);
  const daddr = ipDaddr(view, off);
  const low = daddr >>> 0 < saddr >>> 0 ? daddr : saddr;
  const high = low === saddr ? daddr : saddr;
  return hash4(low, high, ports, protocol, seed) || 1;
}

/** The outermost VLAN tag is part of the flow (FLOW_DISSECTOR_KEY_VLAN): its type, VLAN and priority, and what follows it. */
function vlanSeed(view: DataView, off: number, key: number): number {
  return hash4(view.getUint16(off - 2), view.getUint16(off) & VLAN_KEY, view.getUint16(off + 2), 0, key);
}

function canonicalPorts(a: number, b: number): number {
  return a < b ? (a << 16) | b : (b << 16) | a;
}

/**
 * The outer UDP source port of a tunnelled frame (udp_flow_src_port in include/net/udp.h): the flow's hash mapped to
 * `min` <= port < `max`.
 */
export function udpFlowSrcPort(skb: Skb, ethOff: number, key: number, min: number, max: number): number {
  const hash = skbGetHash(skb, ethOff, key);
  const spread = (hash ^ (hash << 16)) >>> 0;
  return min + Math.floor((spread * (max - min)) / 0x1_0000_0000);
}
