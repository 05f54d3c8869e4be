/** Protected packets that arrive, and what policies ask of all others (net/xfrm/xfrm_input.c, net/ipv4/xfrm4_input.c). */
import { ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED } from "../../wire/icmp.ts";
import { ipChecksumSet, ipDaddr, ipHeaderLen, ipSaddr, setIpTotLen } from "../../wire/ipv4.ts";
import { DROP } from "../core/drop-reason.ts";
import { NF_ACCEPT, NF_INET_PRE_ROUTING, nfHook } from "../core/hooks.ts";
import type { NetNs } from "../core/net-ns.ts";
import { IP_CT_NEW, type Skb } from "../core/skb.ts";
import { TRACE_XFRM_IN } from "../core/trace.ts";
import { inDevOf } from "../ipv4/in-device.ts";
import { ipRcvFinish } from "../ipv4/ip-input.ts";
import { ipv4Of, type NetProtocol } from "../ipv4/ipv4-net.ts";
import { ipRouteOutput } from "../ipv4/route.ts";
import { updatePmtu } from "../ipv4/route-exception.ts";
import { ESP_HLEN, espInput } from "./esp4.ts";
import { xfrmOf } from "./xfrm-net.ts";
import type { XfrmDir, XfrmTmpl } from "./xfrm-policy.ts";
import { decodeSession, selectorMatch } from "./xfrm-selector.ts";
import { realSeconds, type XfrmState } from "./xfrm-state.ts";

/** An ESP packet for this machine: `data` at its header. Takes the packet (xfrm4_rcv, xfrm_input). */
function espRcv(ns: NetNs, skb: Skb): void {
  const { view } = skb;
  skb.transOff = skb.data;
  const net = xfrmOf(ns);
  const whole = skb.tail - skb.data >= ESP_HLEN;
  const spi = whole ? view.getInt32(skb.data) : 0;
  const x = whole ? net.lookupState(skb.mark, ipDaddr(view, skb.netOff), spi) : null;
  if (x === null) {
    skb.drop(DROP.XFRM_STATE);
    return;
  }
  const seq = view.getInt32(skb.data + 4);
  const now = ns.kernel.sim.now;
  if (x.expired || !x.replayCheck(seq) || !x.checkExpire(now)) {
    skb.drop(DROP.XFRM_STATE);
    return;
  }
  const reason = espInput(x, skb);
  if (reason !== 0) {
    skb.drop(reason);
    return;
  }
  x.replayAdvance(seq);
  x.count(skb.tail - skb.data);
  if (skb.trace !== null) skb.trace.add(TRACE_XFRM_IN, spi, seq, x);
  const path = skb.secPath as readonly XfrmState[] | null;
  skb.secPath = path === null ? x.secPath : [...path, x];
  transportFinish(ns, skb);
}

/** The packet inside begins anew at PRE_ROUTING, with a connection of its own (xfrm4_transport_finish). Takes it. */
function transportFinish(ns: NetNs, skb: Skb): void {
  skb.data = skb.netOff;
  setIpTotLen(skb.view, skb.data, skb.tail - skb.data);
  ipChecksumSet(skb.view, skb.data);
  skb.ct = null;
  skb.ctInfo = IP_CT_NEW;
  if (nfHook(ns, NF_INET_PRE_ROUTING, skb, skb.dev, null) === NF_ACCEPT)
    ns.kernel.kthreads.queueWork(skb, ipRcvFinish);
}

/** An ICMP error about a packet of ours: a smaller path MTU counts when the SA is known (esp4_err). */
function espErr(ns: NetNs, skb: Skb, type: number, code: number, info: number): void {
  if (type !== ICMP_DEST_UNREACH || code !== ICMP_FRAG_NEEDED) return;
  const { view, data } = skb;
  const daddr = ipDaddr(view, data);
  const spi = view.getInt32(data + ipHeaderLen(view, data));
  if (xfrmOf(ns).lookupState(skb.mark, daddr, spi) === null) return;
  const dst = ipRouteOutput(ns, daddr, ipSaddr(view, data), 0, 0);
  if (dst !== null) updatePmtu(ns, dst, daddr, info);
}

/** ESP as the IP layer calls it. */
export function espProtocol(ns: NetNs): NetProtocol {
  return {
    rcv: (skb) => espRcv(ns, skb),
    err: (skb, type, code, info) => espErr(ns, skb, type, code, info),
  };
}

/**
 * Slot `Ipv4Net.xfrmPolicyCheck`: whether a packet came the way that the policies of `dir` want (__xfrm_policy_check); the IP
 * header stands at `netOff`.
 */
export function xfrmPolicyCheck(ns: NetNs, dir: XfrmDir, skb: Skb): boolean {
  const inDev = inDevOf(skb.dev!);
  if (inDev !== null && (inDev.conf.disablePolicy | ipv4Of(ns).confAll.disablePolicy) !== 0) return true;
  const net = xfrmOf(ns);
  const path = skb.secPath as readonly XfrmState[] | null;
  decodeSession(net.flow, skb, skb.mark, 0);
  if (path !== null)
    for (let i = 0; i < path.length; i++) if (!selectorMatch(path[i].sel, net.flow)) return false;
  const policy = net.lookupPolicy(dir);
  if (policy === null) return true;
  policy.current.useTime = realSeconds(ns.kernel.sim.now);
  const { action, tmpl } = policy.spec;
  if (action === "block") return false;
  return tmpl === null || tmpl.optional || (path !== null && meets(path, tmpl));
}

function meets(path: readonly XfrmState[], tmpl: XfrmTmpl): boolean {
  for (let i = 0; i < path.length; i++) {
    const { spec } = path[i];
    if (tmpl.spi !== 0 && tmpl.spi !== spec.spi) continue;
    if (tmpl.reqid === 0 || tmpl.reqid === spec.reqid) return true;
  }
  return false;
}
