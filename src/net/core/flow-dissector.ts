/**
 * The hash of a flow (net/core/flow_dissector.c): from addresses, protocol and ports in a canonical order, so that both
 * directions hash alike under one key; without ports for fragments and for protocols that have none. The kernel's key is
 * random per boot, so its values cannot be predicted; here they come from `kernel.hashKey`.
 */
import { hash4 } from "../../util/hash.ts";
import {
  IP_MF,
  IP_OFFSET,
  IPPROTO_AH,
  IPPROTO_DCCP,
  IPPROTO_ESP,
  IPPROTO_GRE,
  IPPROTO_IPIP,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPPROTO_UDPLITE,
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
const ETH_P_TEB = 0x6558;
const GRE_HLEN = 4;
const GRE_CSUM = 0x8000;
const GRE_ROUTING = 0x4000;
const GRE_KEY = 0x2000;
const GRE_SEQ = 0x1000;
const GRE_ACK = 0x0080;
const GRE_VERSION = 0x0007;
const GRE_PROTO_PPP = 0x880b;
const PPP_HLEN = 4;
const PPP_IP = 0x0021;

/** A tag without its drop eligible bit. */
const VLAN_KEY = 0xefff;

/**
 * The hash of a frame with the Ethernet type `type` and its network header at `skb.netOff`: that of the sending socket when
 * the packet has one, else of its headers; never 0. A tag is looked for at the network header, even where the one that the
 * type tells of stands in front of it: of such a frame the first bytes of the IP header are taken for the tag.
 */
export function skbGetHash(skb: Skb, type: number, key: number): number {
  const sock = skbSockHash(skb);
  if (sock !== 0) return sock;
  const { view, tail } = skb;
  let off = skb.netOff;
  let proto = type;
  let seed = key;
  if (isVlanProtocol(proto) && tail >= off + VLAN_HLEN)
    seed = hash4(proto, view.getUint16(off) & VLAN_KEY, view.getUint16(off + 2), 0, key);
  while (isVlanProtocol(proto) && tail >= off + VLAN_HLEN) {
    proto = view.getUint16(off + 2);
    off += VLAN_HLEN;
  }
  return (proto === ETH_P_IP ? hashIp(skb, off, seed) : hash4(proto, 0, 0, 0, seed)) || 1;
}

/** The hash of an IP packet: of the innermost one, where it is IP in IP. */
function hashIp(skb: Skb, off: number, seed: number): number {
  const { view, tail } = skb;
  if (tail < off + IP_HLEN || ipHeaderLen(view, off) < IP_HLEN) return hash4(ETH_P_IP, 0, 0, 0, seed);
  const protocol = ipProtocol(view, off);
  const l4 = off + ipHeaderLen(view, off);
  let ports = 0;
  if ((ipFragOff(view, off) & (IP_MF | IP_OFFSET)) === 0) {
    if (protocol === IPPROTO_IPIP && tail >= l4 + IP_HLEN) return hashIp(skb, l4, seed);
    if (protocol === IPPROTO_GRE && tail >= l4 + GRE_HLEN) return hashGre(skb, off, l4, seed);
    const at = portsOffset(protocol, l4);
    if (at >= 0 && tail >= at + 4) ports = canonicalPorts(view.getUint16(at), view.getUint16(at + 2));
  }
  return hashAddresses(skb, off, ports, protocol, seed);
}

function hashAddresses({ view }: Skb, off: number, ports: number, protocol: number, seed: number): number {
  const saddr = ipSaddr(view, off);
  const daddr = ipDaddr(view, off);
  const low = daddr >>> 0 < saddr >>> 0 ? daddr : saddr;
  const high = low === saddr ? daddr : saddr;
  return hash4(low, high, ports, protocol, seed);
}

/**
 * The hash of a GRE packet (__skb_flow_dissect_gre): of the IP packet in it, else of its key and of what it carries. `off` is
 * its IP header, `gre` behind that.
 */
function hashGre(skb: Skb, off: number, gre: number, seed: number): number {
  const { view, tail } = skb;
  const flags = view.getUint16(gre);
  const version = flags & GRE_VERSION;
  let carried = view.getUint16(gre + 2);
  if ((flags & GRE_ROUTING) !== 0 || version > 1) return hashAddresses(skb, off, 0, IPPROTO_GRE, seed);
  if (version === 1 && (carried !== GRE_PROTO_PPP || (flags & GRE_KEY) === 0))
    return hashAddresses(skb, off, 0, IPPROTO_GRE, hash4(carried, 0, 0, 0, seed));
  let at = gre + GRE_HLEN + ((flags & GRE_CSUM) !== 0 ? 4 : 0);
  let keyed = seed;
  if ((flags & GRE_KEY) !== 0) {
    if (tail < at + 4) return hashAddresses(skb, off, 0, IPPROTO_GRE, hash4(carried, 0, 0, 0, seed));
    keyed = hash4(version === 1 ? view.getUint16(at + 2) : view.getInt32(at), 1, 0, 0, seed);
    at += 4;
  }
  if ((flags & GRE_SEQ) !== 0) at += 4;
  if (version === 1) {
    if ((flags & GRE_ACK) !== 0) at += 4;
    if (tail >= at + PPP_HLEN && view.getUint16(at + 2) === PPP_IP) carried = ETH_P_IP;
    at += PPP_HLEN;
  } else if (carried === ETH_P_TEB && tail >= at + ETH_HLEN) {
    carried = view.getUint16(at + 12);
    at += ETH_HLEN;
  }
  if (carried === ETH_P_IP && tail >= at + IP_HLEN) return hashIp(skb, at, keyed);
  return hashAddresses(skb, off, 0, IPPROTO_GRE, hash4(carried, 0, 0, 0, keyed));
}

/** Where a transport header at `l4` has the four bytes that tell its flows apart (proto_ports_offset); -1: it has none. */
export function portsOffset(protocol: number, l4: number): number {
  switch (protocol) {
    case IPPROTO_TCP:
    case IPPROTO_UDP:
    case IPPROTO_SCTP:
    case IPPROTO_DCCP:
    case IPPROTO_UDPLITE:
    case IPPROTO_ESP:
      return l4;
    case IPPROTO_AH:
      return l4 + 4;
    default:
      return -1;
  }
}

function canonicalPorts(a: number, b: number): number {
  return a < b ? (a << 16) | b : (b << 16) | a;
}

/**
 * The outer UDP source port of a tunnelled frame (udp_flow_src_port in include/net/udp.h): the flow's hash mapped to
 * `min` <= port < `max`.
 */
export function udpFlowSrcPort(skb: Skb, type: number, key: number, min: number, max: number): number {
  const hash = skbGetHash(skb, type, key);
  const spread = (hash ^ (hash << 16)) >>> 0;
  return min + Math.floor((spread * (max - min)) / 0x1_0000_0000);
}
