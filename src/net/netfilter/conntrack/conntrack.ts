/**
 * Connection tracking of a namespace, as the other layers see it: start-up and the hooks (nf_conntrack_proto.c,
 * nf_defrag_ipv4.c of Linux 6.1).
 */
import { ipIsFragment } from "../../../wire/ipv4.ts";
import {
  HOOK_NEEDS_CT,
  HOOK_NEEDS_FRAGMENT,
  type Hook,
  NF_ACCEPT,
  NF_INET_LOCAL_IN,
  NF_INET_LOCAL_OUT,
  NF_INET_POST_ROUTING,
  NF_INET_PRE_ROUTING,
  NF_IP_PRI_CONNTRACK,
  NF_IP_PRI_CONNTRACK_CONFIRM,
  NF_IP_PRI_CONNTRACK_DEFRAG,
  NF_STOLEN,
  type Verdict,
} from "../../core/hooks.ts";
import type { NetDevice } from "../../core/net-device.ts";
import type { NetNs } from "../../core/net-ns.ts";
import { IP_CT_UNTRACKED, type Skb } from "../../core/skb.ts";
import {
  IP_DEFRAG_CONNTRACK_BRIDGE_IN,
  IP_DEFRAG_CONNTRACK_IN,
  IP_DEFRAG_CONNTRACK_OUT,
  IP_DEFRAG_ZONES,
  ipDefrag,
} from "../../ipv4/ip-fragment.ts";
import { ctDirOf, nfConntrackConfirm, nfConntrackIn } from "./conntrack-core.ts";
import { Conntrack, conntrackOf, ctOf } from "./conntrack-net.ts";
import { ConntrackSysctls } from "./conntrack-sysctl.ts";

export { conntrackOf, ctOf } from "./conntrack-net.ts";

/** Whose queue a fragment goes to, one for each zone (nf_ct_defrag_user). */
function defragUser(skb: Skb, hook: Hook): number {
  const conn = ctOf(skb);
  const user = conn === null ? 0 : conn.zoneOf(ctDirOf(skb.ctInfo)) * IP_DEFRAG_ZONES;
  return user + directionUser(skb, hook);
}

function directionUser(skb: Skb, hook: Hook): number {
  if (hook === NF_INET_LOCAL_OUT) return IP_DEFRAG_CONNTRACK_OUT;
  return skb.nfBridge === null ? IP_DEFRAG_CONNTRACK_IN : IP_DEFRAG_CONNTRACK_BRIDGE_IN;
}

/** Reassembles before the tables see the packet, also what comes back over lo (ipv4_conntrack_defrag with NAT). */
function conntrackDefrag(ns: NetNs, skb: Skb, hook: Hook): Verdict {
  if (skb.ctInfo === IP_CT_UNTRACKED) return NF_ACCEPT;
  return ipDefrag(ns, skb, defragUser(skb, hook)) ? NF_ACCEPT : NF_STOLEN;
}

function conntrackIn(
  ns: NetNs,
  skb: Skb,
  hook: Hook,
  inDev: NetDevice | null,
  outDev: NetDevice | null,
): Verdict {
  const ct = conntrackOf(ns);
  ct.inDev = inDev;
  ct.outDev = outDev;
  return nfConntrackIn(ct, skb, hook);
}

/** A local packet that is a fragment was meant to be one (IP_NODEFRAG): left alone. */
function conntrackLocal(
  ns: NetNs,
  skb: Skb,
  hook: Hook,
  inDev: NetDevice | null,
  outDev: NetDevice | null,
): Verdict {
  if (!ipIsFragment(skb.view, skb.netOff)) return conntrackIn(ns, skb, hook, inDev, outDev);
  if (ctOf(skb)?.isTemplate === true) skb.ct = null;
  return NF_ACCEPT;
}

function conntrackConfirm(ns: NetNs, skb: Skb): Verdict {
  return nfConntrackConfirm(conntrackOf(ns), skb);
}

/** PernetInit of connection tracking: no hook runs until `conntrackEnable`. */
export function conntrackInit(ns: NetNs): void {
  const ct = new Conntrack(ns);
  ns.conntrack = ct;
  ns.sysctl.register(new ConntrackSysctls(ct));
}

/** Registers the hooks, once: called by whoever needs tracked packets (nat table, state matches). */
export function conntrackEnable(ns: NetNs): void {
  const ct = conntrackOf(ns);
  if (ct.enabled) return;
  ct.enabled = true;
  const defrag = {
    name: "nf_defrag_ipv4",
    priority: NF_IP_PRI_CONNTRACK_DEFRAG,
    fn: conntrackDefrag,
    needs: HOOK_NEEDS_FRAGMENT,
  } as const;
  const confirm = {
    name: "nf_confirm",
    priority: NF_IP_PRI_CONNTRACK_CONFIRM,
    fn: conntrackConfirm,
    needs: HOOK_NEEDS_CT,
  } as const;
  ns.hooks.register({ ...defrag, hook: NF_INET_PRE_ROUTING });
  ns.hooks.register({ ...defrag, hook: NF_INET_LOCAL_OUT });
  const priority = NF_IP_PRI_CONNTRACK;
  ns.hooks.register({ name: "nf_conntrack", priority, hook: NF_INET_PRE_ROUTING, fn: conntrackIn });
  ns.hooks.register({ name: "nf_conntrack", priority, hook: NF_INET_LOCAL_OUT, fn: conntrackLocal });
  ns.hooks.register({ ...confirm, hook: NF_INET_POST_ROUTING });
  ns.hooks.register({ ...confirm, hook: NF_INET_LOCAL_IN });
}
