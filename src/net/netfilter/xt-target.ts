/** The targets that do something (net/netfilter/xt_*.c, ipt_REJECT.c, xt_nat.c), but MARK, which the walk does itself. */
import { csumReplace2 } from "../../wire/checksum.ts";
import {
  type Hook,
  NF_ACCEPT,
  NF_DROP,
  NF_INET_LOCAL_OUT,
  NF_INET_PRE_ROUTING,
  type Verdict,
} from "../core/hooks.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import { hasConntrack, IP_CT_NEW, IP_CT_UNTRACKED, type Skb } from "../core/skb.ts";
import { NF_CT_DEFAULT_ZONE_DIR } from "./conntrack/conn.ts";
import { conntrackOf, ctOf } from "./conntrack/conntrack.ts";
import { natMasquerade, natNetmap, natRedirect, nfNatSetupInfo } from "./nat/nat.ts";
import { NF_NAT_MANIP_DST, NF_NAT_MANIP_SRC } from "./nat/nat-range.ts";
import { nfLogPacket } from "./nf-log.ts";
import { nfReject } from "./nf-reject.ts";
import type { ConnmarkTarget, CtTarget, NatTarget, TargetSpec, TtlTarget } from "./rule-spec.ts";
import { tcpmssMangle } from "./xt-tcpmss.ts";

/** The next rule is looked at. */
export const XT_CONTINUE = -1;

/** XT_CONTINUE, or a verdict. */
export function runTarget(
  target: TargetSpec,
  ns: NetNs,
  skb: Skb,
  hook: Hook,
  inDev: NetDevice | null,
  outDev: NetDevice | null,
): Verdict | typeof XT_CONTINUE {
  switch (target.name) {
    case "DNAT":
    case "SNAT":
    case "MASQUERADE":
    case "REDIRECT":
    case "NETMAP":
      return natTarget(target, ns, skb, hook, inDev, outDev);
    case "REJECT":
      nfReject(ns, skb, target.with);
      return NF_DROP;
    case "LOG":
      nfLogPacket(ns, skb, inDev, outDev, target.prefix, target.flags);
      return XT_CONTINUE;
    case "CONNMARK":
      connmark(target, skb);
      return XT_CONTINUE;
    case "CT":
      ctTarget(target, ns, skb);
      return XT_CONTINUE;
    case "NOTRACK":
      if (!hasConntrack(skb)) skb.ctInfo = IP_CT_UNTRACKED;
      return XT_CONTINUE;
    case "TCPMSS":
      return tcpmssMangle(ns, skb, target.mss) ? XT_CONTINUE : NF_DROP;
    case "TTL":
      changeTtl(target, skb);
      return XT_CONTINUE;
    case "TRACE":
      skb.nfTrace = true;
      return XT_CONTINUE;
    default:
      return XT_CONTINUE;
  }
}

function natTarget(
  target: NatTarget,
  ns: NetNs,
  skb: Skb,
  hook: Hook,
  inDev: NetDevice | null,
  outDev: NetDevice | null,
): Verdict {
  if (target.name === "MASQUERADE") return natMasquerade(ns, skb, outDev!, target);
  if (target.name === "REDIRECT") return natRedirect(ns, skb, hook, inDev, target);
  if (target.name === "NETMAP") return natNetmap(ns, skb, hook, target);
  const conn = ctOf(skb);
  if (conn === null) return NF_ACCEPT;
  const manip =
    hook === NF_INET_PRE_ROUTING || hook === NF_INET_LOCAL_OUT ? NF_NAT_MANIP_DST : NF_NAT_MANIP_SRC;
  return nfNatSetupInfo(ns, skb, conn, target, manip);
}

/** xt_CT.c: the first such rule decides. */
function ctTarget(target: CtTarget, ns: NetNs, skb: Skb): void {
  if (hasConntrack(skb)) return;
  if (target.notrack) {
    skb.ctInfo = IP_CT_UNTRACKED;
    return;
  }
  const { zone, zoneFlags } = target;
  const oneWay = (zoneFlags & NF_CT_DEFAULT_ZONE_DIR) !== 0;
  skb.ct = conntrackOf(ns).template(zone, oneWay ? zoneFlags : zoneFlags | NF_CT_DEFAULT_ZONE_DIR);
  skb.ctInfo = IP_CT_NEW;
}

/** xt_connmark.c */
function connmark(target: ConnmarkTarget, skb: Skb): void {
  const conn = ctOf(skb);
  if (conn === null) return;
  if (target.mode === "set") conn.mark = (conn.mark & ~target.ctMask) ^ target.mark;
  else if (target.mode === "save") conn.mark = (conn.mark & ~target.ctMask) ^ (skb.mark & target.nfMask);
  else skb.mark = (skb.mark & ~target.nfMask) ^ (conn.mark & target.ctMask);
}

/** xt_HL.c: the sum stays within 0 and 255. */
function changeTtl(target: TtlTarget, skb: Skb): void {
  const { view, data } = skb;
  const old = view.getUint8(data + 8);
  const wanted =
    target.mode === "set" ? target.ttl : target.mode === "inc" ? old + target.ttl : old - target.ttl;
  const ttl = wanted < 0 ? 0 : wanted > 255 ? 255 : wanted;
  if (ttl === old) return;
  csumReplace2(view, data + 10, old << 8, ttl << 8);
  view.setUint8(data + 8, ttl);
}
