/** Forwarding (net/ipv4/ip_forward.c; RFC 1812 5.2). */

import { SEC } from "../../sim/sim.ts";
import {
  ICMP_DEST_UNREACH,
  ICMP_EXC_TTL,
  ICMP_FRAG_NEEDED,
  ICMP_REDIR_HOST,
  ICMP_REDIRECT,
  ICMP_SR_FAILED,
  ICMP_TIME_EXCEEDED,
} from "../../wire/icmp.ts";
import { IP_DF, ipDecreaseTtl, ipFragOff, ipSaddr, ipTtl } from "../../wire/ipv4.ts";
import { DROP } from "../core/drop-reason.ts";
import { NF_ACCEPT, NF_INET_FORWARD, nfHook } from "../core/hooks.ts";
import { IPSKB_DOREDIRECT, IPSKB_FORWARDED, PACKET_HOST, type Skb } from "../core/skb.ts";
import { TRACE_FORWARD } from "../core/trace.ts";
import { icmpSend } from "./icmp.ts";
import { inDevOf } from "./in-device.ts";
import { ipForwardOptions } from "./ip-options.ts";
import { ignoresDf, ipOutput } from "./ip-output.ts";
import { ipv4Of } from "./ipv4-net.ts";
import { dstMtuForward } from "./route-exception.ts";

/** Redirects (net/ipv4/route.c): how many before a host is given up, the pause that grows, the silence that forgives. */
const REDIRECT_NUMBER = 9;
const REDIRECT_LOAD_NS = SEC / 50;
const REDIRECT_SILENCE_NS = REDIRECT_LOAD_NS * (1 << (REDIRECT_NUMBER + 1));

/** Forwards a routed packet; `data` at its IP header. Takes it. */
export function ipForward(skb: Skb): void {
  if (skb.pktType !== PACKET_HOST || skb.sk !== null) {
    skb.drop(DROP.NOT_SPECIFIED);
    return;
  }
  skb.csumComplete = false;
  const dev = skb.dev!;
  const ns = dev.ns;
  const net = ipv4Of(ns);
  if (net.xfrmPolicyCheck !== null && !net.xfrmPolicyCheck(ns, 2, skb)) {
    skb.drop(DROP.XFRM_POLICY);
    return;
  }
  const dst = skb.dst!;
  const view = skb.view;
  const off = skb.netOff;
  if (ipTtl(view, off) <= 1) {
    icmpSend(ns, skb, ICMP_TIME_EXCEEDED, ICMP_EXC_TTL, 0);
    skb.drop(DROP.TTL_EXPIRED);
    return;
  }
  if (skb.opt !== null && skb.opt.isStrictroute && dst.gateway !== 0) {
    icmpSend(ns, skb, ICMP_DEST_UNREACH, ICMP_SR_FAILED, 0);
    skb.drop(DROP.IP_NOROUTE);
    return;
  }
  skb.ipcb |= IPSKB_FORWARDED;
  const mtu = dstMtuForward(ns, dst, view.getInt32(off + 16));
  if (skb.tail - off > mtu && exceedsMtu(skb, mtu)) {
    icmpSend(ns, skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, mtu);
    skb.drop(DROP.PKT_TOO_BIG);
    return;
  }
  const ttl = ipDecreaseTtl(view, off);
  if (skb.trace !== null) skb.trace.add(TRACE_FORWARD, ttl, 0, null);
  if ((skb.ipcb & IPSKB_DOREDIRECT) !== 0 && skb.secPath === null && !isSourceRouted(skb))
    ipRtSendRedirect(skb);
  if (nfHook(ns, NF_INET_FORWARD, skb, dev, dst.dev) !== NF_ACCEPT) return;
  if (skb.opt !== null) ipForwardOptions(ns, skb, skb.opt);
  ipOutput(skb);
}

/** ip_exceeds_mtu for a packet that is longer: only with DF; a reassembled one may be cut as it came. */
function exceedsMtu(skb: Skb, mtu: number): boolean {
  if ((ipFragOff(skb.view, skb.netOff) & IP_DF) === 0) return false;
  return !ignoresDf(skb) || skb.fragMaxSize > mtu;
}

function isSourceRouted(skb: Skb): boolean {
  return skb.opt !== null && skb.opt.srr !== 0;
}

/** Tells a neighbour of a shorter way, less and less often (ip_rt_send_redirect). */
function ipRtSendRedirect(skb: Skb): void {
  const ns = skb.dev!.ns;
  const net = ipv4Of(ns);
  const inDev = inDevOf(skb.dst!.dev);
  if (inDev === null || (net.confAll.sendRedirects | inDev.conf.sendRedirects) === 0) return;
  const now = ns.kernel.sim.now;
  const peer = net.peers.get(ipSaddr(skb.view, skb.netOff), now);
  if (now > peer.rateLastNs + REDIRECT_SILENCE_NS) {
    peer.rateTokensNs = 0;
    peer.redirects = 0;
  }
  if (peer.redirects >= REDIRECT_NUMBER) {
    peer.rateLastNs = now;
    return;
  }
  if (peer.redirects !== 0 && now <= peer.rateLastNs + REDIRECT_LOAD_NS * (1 << peer.redirects)) return;
  icmpSend(ns, skb, ICMP_REDIRECT, ICMP_REDIR_HOST, skb.nextHop);
  peer.rateLastNs = now;
  peer.redirects++;
}
