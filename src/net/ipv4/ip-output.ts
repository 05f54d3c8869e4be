/** IPv4 on its way out (net/ipv4/ip_output.c, net/netfilter/utils of ip_route_me_harder in net/ipv4/netfilter.c). */
import { csumFold } from "../../wire/checksum.ts";
import { ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED } from "../../wire/icmp.ts";
import { IP_DF, ipChecksumSet, ipDaddr, ipFragOff, ipSaddr, ipTos, setIpTotLen } from "../../wire/ipv4.ts";
import { ETH_P_IP } from "../core/dev.ts";
import { DROP } from "../core/drop-reason.ts";
import { RTN_BROADCAST, RTN_LOCAL, RTN_MULTICAST, RTN_UNICAST } from "../core/dst.ts";
import { NF_ACCEPT, NF_DROP, NF_INET_LOCAL_OUT, NF_INET_POST_ROUTING, nfHook } from "../core/hooks.ts";
import { IFF_LOOPBACK } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import { IPSKB_REROUTED, PACKET_LOOPBACK, type Skb } from "../core/skb.ts";
import { dissectFlow } from "./fib-multipath.ts";
import { ipDoFragment } from "./ip-do-fragment.ts";
import { ipv4Of } from "./ipv4-net.ts";
import { neighOutput } from "./neighbour.ts";
import { FLOWI_FLAG_ANYSRC, ipRouteOutputKey, skbSetRoute } from "./route.ts";
import { skbDstMtu } from "./route-exception.ts";

const IP_HLEN = 20;

/**
 * Pushes an IP header of 20 bytes in front of `data`: length from the packet, checksum right; sets `netOff`, `transOff`,
 * `protocol`. `df`: DF is set. `ttl` 1..255, `id` 0..65535. `optlen` bytes are left free behind it: ipOptionsBuild fills them
 * and makes the checksum right.
 */
export function ipBuildHeader(
  skb: Skb,
  saddr: number,
  daddr: number,
  proto: number,
  tos: number,
  ttl: number,
  df: boolean,
  id: number,
  optlen = 0,
): void {
  const off = skb.push(IP_HLEN + optlen);
  const view = skb.view;
  const length = skb.tail - off;
  const frag = df ? IP_DF : 0;
  view.setUint16(off, (0x4500 + (optlen << 6)) | tos);
  view.setUint16(off + 2, length);
  view.setUint16(off + 4, id);
  view.setUint16(off + 6, frag);
  view.setUint16(off + 8, (ttl << 8) | proto);
  view.setInt32(off + 12, saddr);
  view.setInt32(off + 16, daddr);
  const addresses = (saddr >>> 16) + (saddr & 0xffff) + (daddr >>> 16) + (daddr & 0xffff);
  view.setUint16(
    off + 10,
    csumFold((0x4500 | tos) + length + (id & 0xffff) + frag + ((ttl << 8) | proto) + addresses),
  );
  skb.netOff = off;
  skb.transOff = off + IP_HLEN + optlen;
  skb.protocol = ETH_P_IP;
}

/**
 * Sends a local packet whose `dst` and `nextHop` are set; `data` at the IP header. Takes it (ip_local_out). False: a rule
 * dropped it (EPERM).
 */
export function ipLocalOut(ns: NetNs, skb: Skb): boolean {
  skb.netOff = skb.data;
  skb.transOff = skb.data + ((skb.view.getUint8(skb.data) & 0x0f) << 2);
  skb.protocol = ETH_P_IP;
  setIpTotLen(skb.view, skb.data, skb.tail - skb.data);
  ipChecksumSet(skb.view, skb.data);
  const kernel = ns.kernel;
  kernel.enter();
  const verdict = nfHook(ns, NF_INET_LOCAL_OUT, skb, null, skb.dst!.dev);
  const passed = verdict === NF_ACCEPT ? ipOutput(skb) : verdict !== NF_DROP;
  kernel.leave();
  return passed;
}

/**
 * Out by `skb.dst` (dst_output): POST_ROUTING, then ipFinishOutput. `data` at the IP header. Takes the packet. False: a rule
 * dropped it.
 */
export function ipOutput(skb: Skb): boolean {
  const dst = skb.dst!;
  const type = dst.type;
  if (type !== RTN_UNICAST && type !== RTN_LOCAL) {
    if (type !== RTN_BROADCAST && type !== RTN_MULTICAST) {
      skb.drop(DROP.IP_NOROUTE);
      return true;
    }
    if ((dst.dev.flags & IFF_LOOPBACK) === 0) loopCopyBack(skb);
  }
  const indev = skb.dev;
  const out = dst.dev;
  const ns = out.ns;
  skb.dev = out;
  skb.protocol = ETH_P_IP;
  const { mark } = skb;
  if ((skb.ipcb & IPSKB_REROUTED) === 0) {
    const verdict = nfHook(ns, NF_INET_POST_ROUTING, skb, indev, out);
    if (verdict !== NF_ACCEPT) return verdict !== NF_DROP;
  }
  ipFinishOutput(skb, mark);
  return true;
}

/** Local listeners hear broadcasts and groups that are sent from here: by the same route (ip_mc_output). */
function loopCopyBack(skb: Skb): void {
  const dst = skb.dst!;
  if (dst.type === RTN_MULTICAST && skb.nextHop !== (0xe0000001 | 0)) return;
  const copy = skb.clone();
  copy.dev = dst.dev;
  const ns = dst.dev.ns;
  if (nfHook(ns, NF_INET_POST_ROUTING, copy, null, dst.dev) !== NF_ACCEPT) return;
  copy.macOff = copy.data;
  copy.pktType = PACKET_LOOPBACK;
  ns.kernel.netifRx(copy);
}

/**
 * Behind POST_ROUTING: xfrm, fragments where needed, then the neighbour; `mark` as before POST_ROUTING. Takes the packet
 * (ip_finish_output).
 */
export function ipFinishOutput(skb: Skb, mark: number): void {
  const ns = skb.dst!.dev.ns;
  const net = ipv4Of(ns);
  if (net.xfrmOutput !== null && net.xfrmOutput(ns, skb, mark)) return;
  const length = skb.tail - skb.data;
  const mtu = skbDstMtu(ns, skb, ipDaddr(skb.view, skb.data));
  if (length > mtu || skb.fragMaxSize !== 0) ipFragment(ns, skb, mtu);
  else neighOutput(skb);
}

/** It was put together from fragments, so cutting it again is no harm (skb->ignore_df). */
export function ignoresDf(skb: Skb): boolean {
  return skb.fragMaxSize !== 0 || skb.fragList !== null;
}

/** ip_fragment: cuts, or with DF tells the sender. */
function ipFragment(ns: NetNs, skb: Skb, mtu: number): void {
  const df = (ipFragOff(skb.view, skb.data) & IP_DF) !== 0;
  if (df && (!ignoresDf(skb) || skb.fragMaxSize > mtu)) {
    ipv4Of(ns).icmpSend(ns, skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, mtu);
    skb.drop(DROP.PKT_TOO_BIG);
    return;
  }
  const size = skb.fragMaxSize !== 0 && skb.fragMaxSize < mtu ? skb.fragMaxSize : mtu;
  if (skb.tail - skb.data <= size) neighOutput(skb);
  else ipDoFragment(ns, skb, size, df);
}

/**
 * Routes a local packet again after its addresses, mark or TOS changed (ip_route_me_harder): new `dst` and `nextHop`.
 * false: there is no route; the packet stays the caller's, the errno is in `ipv4Of(ns).routeError`.
 */
export function ipRouteMeHarder(ns: NetNs, skb: Skb): boolean {
  const view = skb.view;
  const off = skb.netOff;
  const saddr = ipSaddr(view, off);
  const daddr = ipDaddr(view, off);
  const tos = ipTos(view, off);
  const { rules } = ipv4Of(ns);
  if (rules.usesPorts) dissectFlow(skb, off, rules.flow);
  const dst = ipRouteOutputKey(ns, daddr, saddr, boundOif(skb), skb.mark, tos, FLOWI_FLAG_ANYSRC);
  if (dst === null) return false;
  skbSetRoute(skb, dst, daddr);
  return true;
}

/** ifindex of the device that the sending socket is bound to, 0 when to none. */
function boundOif(skb: Skb): number {
  const sk = skb.sk as { boundDev?: { ifindex: number } | null } | null;
  return sk === null || sk.boundDev === undefined || sk.boundDev === null ? 0 : sk.boundDev.ifindex;
}
