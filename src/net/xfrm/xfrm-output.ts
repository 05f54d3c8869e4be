/** Packets that leave and their policies (net/xfrm/xfrm_output.c, xfrm_lookup in xfrm_policy.c, net/ipv4/xfrm4_output.c). */
import { ipHeaderLen } from "../../wire/ipv4.ts";
import { DROP } from "../core/drop-reason.ts";
import type { Dst } from "../core/dst.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import { IP_CT_NEW, IPSKB_XFRM_TRANSFORMED, type Skb } from "../core/skb.ts";
import { TRACE_XFRM_OUT } from "../core/trace.ts";
import { inDevOf } from "../ipv4/in-device.ts";
import { ipLocalOut } from "../ipv4/ip-output.ts";
import { ipv4Of } from "../ipv4/ipv4-net.ts";
import { espMtu, espOutput } from "./esp4.ts";
import { type XfrmNet, xfrmOf } from "./xfrm-net.ts";
import { XFRM_POLICY_OUT, type XfrmPolicy } from "./xfrm-policy.ts";
import { decodeSession } from "./xfrm-selector.ts";
import { realSeconds, type XfrmState } from "./xfrm-state.ts";

/** Whether what leaves by a device is looked at: not on loopback (DST_NOXFRM). */
function transformable(ns: NetNs, dev: NetDevice): boolean {
  const inDev = inDevOf(dev);
  return inDev !== null && (inDev.conf.disableXfrm | ipv4Of(ns).confAll.disableXfrm) === 0;
}

/** The policy for a routed packet that has not been transformed yet; fills `net.flow`. */
function policyOf(net: XfrmNet, skb: Skb, mark: number): XfrmPolicy | null {
  const { dev } = skb.dst!;
  if (!transformable(net.ns, dev)) return null;
  decodeSession(net.flow, skb, mark, dev.ifindex);
  return net.lookupPolicy(XFRM_POLICY_OUT);
}

/** The state that a policy's template names for the packet in `net.flow`. */
function stateOf(net: XfrmNet, policy: XfrmPolicy): XfrmState | null {
  const { tmpl } = policy.spec;
  return tmpl === null ? null : net.findState(net.flow.daddr, net.flow.saddr, tmpl.reqid | 0, tmpl.spi);
}

/**
 * Slot `Ipv4Net.xfrmOutput`: transforms a packet that a policy names and sends the result; `data` at the IP header, `mark`
 * the one it was routed by. True when the packet was taken.
 */
export function xfrmOutput(ns: NetNs, skb: Skb, mark: number): boolean {
  if ((skb.ipcb & IPSKB_XFRM_TRANSFORMED) !== 0) return false;
  const net = xfrmOf(ns);
  skb.netOff = skb.data;
  const policy = policyOf(net, skb, mark);
  if (policy === null) return false;
  policy.current.useTime = realSeconds(ns.kernel.sim.now);
  const { action, tmpl } = policy.spec;
  if (action === "block") {
    skb.drop(DROP.XFRM_POLICY);
    return true;
  }
  if (tmpl === null) return false;
  const x = stateOf(net, policy);
  if (x === null) {
    if (tmpl.optional) return false;
    skb.drop(DROP.XFRM_STATE);
    return true;
  }
  xfrmOutputOne(ns, skb, x);
  return true;
}

/** One transformation; the result is a local packet of its own, with a connection of its own. Takes the packet. */
function xfrmOutputOne(ns: NetNs, skb: Skb, x: XfrmState): void {
  // Numbers never repeat under one key.
  if (!x.checkExpire(ns.kernel.sim.now) || x.replayOseq === -1) {
    skb.drop(DROP.XFRM_STATE);
    return;
  }
  const seq = (x.replayOseq + 1) | 0;
  x.replayOseq = seq;
  x.count(skb.tail - skb.data - ipHeaderLen(skb.view, skb.data));
  espOutput(x, skb, seq);
  if (skb.trace !== null) skb.trace.add(TRACE_XFRM_OUT, x.spec.spi, seq, x);
  skb.secPath = null;
  skb.fragMaxSize = 0;
  skb.ipcb = IPSKB_XFRM_TRANSFORMED;
  skb.ct = null;
  skb.ctInfo = IP_CT_NEW;
  ipLocalOut(ns, skb);
}

/** Slot `Ipv4Net.xfrmMtu`. */
export function xfrmMtu(
  ns: NetNs,
  dst: Dst,
  mtu: number,
  proto: number,
  saddr: number,
  daddr: number,
  sport: number,
  dport: number,
  mark: number,
): number {
  const net = xfrmOf(ns);
  if (!transformable(ns, dst.dev)) return mtu;
  const { flow } = net;
  flow.saddr = saddr;
  flow.daddr = daddr;
  flow.proto = proto;
  flow.sport = sport;
  flow.dport = dport;
  flow.mark = mark;
  flow.oif = dst.dev.ifindex;
  const policy = net.lookupPolicy(XFRM_POLICY_OUT);
  const x = policy === null || policy.spec.action === "block" ? null : stateOf(net, policy);
  return x === null ? mtu : espMtu(x, mtu);
}

/** Whether a packet that leaves will be transformed (dst->xfrm), for `-m policy --dir out`. */
export function xfrmTransforms(ns: NetNs, skb: Skb): boolean {
  if (ipv4Of(ns).xfrmOutput === null || skb.dst === null) return false;
  if ((skb.ipcb & IPSKB_XFRM_TRANSFORMED) !== 0) return false;
  const net = xfrmOf(ns);
  const policy = policyOf(net, skb, skb.mark);
  return policy !== null && policy.spec.action === "allow" && stateOf(net, policy) !== null;
}
