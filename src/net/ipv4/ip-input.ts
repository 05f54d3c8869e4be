/** IPv4 on its way in (net/ipv4/ip_input.c; RFC 791, RFC 1122 3.2.1). */

import {
  ICMP_DEST_UNREACH,
  ICMP_HOST_UNREACH,
  ICMP_NET_UNREACH,
  ICMP_PKT_FILTERED,
  ICMP_PROT_UNREACH,
} from "../../wire/icmp.ts";
import {
  IPPROTO_ESP,
  IPPROTO_TCP,
  ipChecksumOk,
  ipHeaderLen,
  ipIsFragment,
  ipProtocol,
  ipTotLen,
} from "../../wire/ipv4.ts";
import { TCP_HLEN } from "../../wire/tcp.ts";
import { DROP } from "../core/drop-reason.ts";
import {
  RTN_BLACKHOLE,
  RTN_BROADCAST,
  RTN_LOCAL,
  RTN_MULTICAST,
  RTN_PROHIBIT,
  RTN_UNICAST,
} from "../core/dst.ts";
import { NF_ACCEPT, NF_INET_LOCAL_IN, NF_INET_PRE_ROUTING, nfHook } from "../core/hooks.ts";
import type { NetDevice } from "../core/net-device.ts";
import { PACKET_BROADCAST, PACKET_HOST, PACKET_MULTICAST, PACKET_OTHERHOST, type Skb } from "../core/skb.ts";
import { icmpSend } from "./icmp.ts";
import { inDevOf } from "./in-device.ts";
import { ipForward } from "./ip-forward.ts";
import { IP_DEFRAG_LOCAL_DELIVER, ipDefrag } from "./ip-fragment.ts";
import { ipRcvOptions } from "./ip-options-rcv.ts";
import { ipv4Of } from "./ipv4-net.ts";
import { ipRouteInput } from "./route.ts";
import { tcpOf } from "./tcp-net.ts";

const IP_HLEN = 20;

/** A received IPv4 packet: `data` behind the Ethernet header, `netOff` there too. Takes it (ip_rcv). */
export function ipRcv(skb: Skb, dev: NetDevice): void {
  if (skb.pktType === PACKET_OTHERHOST) {
    skb.drop(DROP.OTHERHOST);
    return;
  }
  const off = skb.data;
  const view = skb.view;
  const length = skb.tail - off;
  if (length < IP_HLEN) {
    skb.drop(DROP.PKT_TOO_SMALL);
    return;
  }
  const first = view.getUint8(off);
  const headerLen = (first & 0x0f) << 2;
  if (first >>> 4 !== 4 || headerLen < IP_HLEN || headerLen > length) {
    skb.drop(DROP.IP_HDR);
    return;
  }
  if (!ipChecksumOk(view, off)) {
    skb.drop(DROP.BAD_CSUM);
    return;
  }
  const totLen = ipTotLen(view, off);
  if (totLen > length || totLen < headerLen) {
    skb.drop(totLen > length ? DROP.PKT_TOO_SMALL : DROP.IP_HDR);
    return;
  }
  skb.trim(totLen);
  skb.netOff = off;
  skb.transOff = off + headerLen;
  skb.ipcb = 0;
  skb.opt = null;
  skb.fragMaxSize = 0;
  skb.sk = null;
  if (nfHook(dev.ns, NF_INET_PRE_ROUTING, skb, dev, null) === NF_ACCEPT) ipRcvFinish(skb);
}

/** Behind PRE_ROUTING: route, then in or on. Takes the packet; bridge netfilter enters here too (ip_rcv_finish). */
export function ipRcvFinish(skb: Skb): void {
  const dev = skb.dev!;
  if (skb.dst === null) {
    if (skb.fragList !== null) earlyDemux(skb, dev);
    const reason = ipRouteInput(dev.ns, skb, dev);
    if (reason !== 0) {
      skb.drop(reason);
      return;
    }
  }
  if (ipHeaderLen(skb.view, skb.netOff) > IP_HLEN && !ipRcvOptions(skb, dev)) {
    skb.drop(DROP.IP_HDR);
    return;
  }
  const type = skb.dst!.type;
  if ((skb.pktType === PACKET_BROADCAST || skb.pktType === PACKET_MULTICAST) && isUnicastType(type)) {
    const net = ipv4Of(dev.ns);
    const inDev = inDevOf(dev);
    const dropped =
      net.confAll.dropUnicastInL2Multicast | (inDev === null ? 0 : inDev.conf.dropUnicastInL2Multicast);
    if (dropped !== 0) {
      skb.drop(DROP.IP_MARTIAN);
      return;
    }
  }
  dstInput(skb);
}

/**
 * Before a packet is routed its socket is looked for: a reassembled one then has its TCP header in one piece, and leaves in
 * pieces of another size where it came in smaller ones (tcp_v4_early_demux).
 */
function earlyDemux(skb: Skb, dev: NetDevice): void {
  if (
    ipv4Of(dev.ns).sysctls.ipEarlyDemux === 0 ||
    tcpOf(dev.ns).earlyDemux === 0 ||
    skb.pktType !== PACKET_HOST
  )
    return;
  if (ipProtocol(skb.view, skb.netOff) === IPPROTO_TCP)
    skb.ensureWritable(skb.transOff, skb.transOff + TCP_HLEN);
}

function isUnicastType(type: number): boolean {
  return type !== RTN_BROADCAST && type !== RTN_MULTICAST;
}

/** Where a routed packet goes: here, on, or back as an error (dst_input). `data` at the IP header. Takes it. */
export function dstInput(skb: Skb): void {
  const type = skb.dst!.type;
  if (type === RTN_UNICAST) ipForward(skb);
  else if (type === RTN_LOCAL || type === RTN_BROADCAST || type === RTN_MULTICAST) ipLocalDeliver(skb);
  else ipError(skb);
}

/** A packet without a route: its sender is told, where this machine forwards at all (ip_error). */
function ipError(skb: Skb): void {
  const dev = skb.dev!;
  const ns = dev.ns;
  const net = ipv4Of(ns);
  const dst = skb.dst!;
  const inDev = inDevOf(dev);
  if (inDev === null || inDev.conf.forwarding === 0) {
    skb.drop(DROP.IP_NOT_FORWARDING);
    return;
  }
  if (dst.type === RTN_BLACKHOLE) {
    skb.drop(DROP.IP_NOROUTE);
    return;
  }
  const now = ns.kernel.sim.now;
  if (net.peers.get(skb.view.getInt32(skb.netOff + 12), now).allowError(now)) {
    const code = dst === net.noRouteDst ? ICMP_NET_UNREACH : ICMP_HOST_UNREACH;
    icmpSend(ns, skb, ICMP_DEST_UNREACH, dst.type === RTN_PROHIBIT ? ICMP_PKT_FILTERED : code, 0);
  }
  skb.drop(DROP.IP_NOROUTE);
}

/** Delivers here: reassembly, LOCAL_IN, transport. `data` at the IP header. Takes the packet (ip_local_deliver). */
export function ipLocalDeliver(skb: Skb): void {
  const dev = skb.dev!;
  if (ipIsFragment(skb.view, skb.netOff) && !ipDefrag(dev.ns, skb, IP_DEFRAG_LOCAL_DELIVER)) return;
  if (nfHook(dev.ns, NF_INET_LOCAL_IN, skb, dev, null) === NF_ACCEPT) ipLocalDeliverFinish(skb);
}

/** Behind LOCAL_IN: raw sockets, then the transport; ICMP when there is none (ip_protocol_deliver_rcu). Takes the packet. */
export function ipLocalDeliverFinish(skb: Skb): void {
  const ns = skb.dev!.ns;
  const net = ipv4Of(ns);
  const protocol = ipProtocol(skb.view, skb.netOff);
  // What is still wrapped up is not asked yet; the packet inside will be.
  if (net.xfrmPolicyCheck !== null && protocol !== IPPROTO_ESP && !net.xfrmPolicyCheck(ns, 0, skb)) {
    skb.drop(DROP.XFRM_POLICY);
    return;
  }
  skb.data = skb.transOff;
  const raw = net.rawDeliver !== null && net.rawDeliver(skb, protocol);
  const transport = net.protocols[protocol];
  if (transport !== null) {
    transport.rcv(skb);
    return;
  }
  if (raw) {
    skb.consume();
    return;
  }
  icmpSend(ns, skb, ICMP_DEST_UNREACH, ICMP_PROT_UNREACH, 0);
  skb.drop(DROP.IP_NOPROTO);
}
