/**
 * net.netfilter.nf_conntrack_log_invalid: a line in the kernel's log about a packet that a tracker refuses
 * (nf_l4proto_log_invalid, nf_conntrack_proto.c of Linux 6.1).
 */
import { IPPROTO_RAW } from "../../../wire/ipv4.ts";
import type { Skb } from "../../core/skb.ts";
import { nfLogTrace } from "../nf-log.ts";
import type { Conntrack } from "./conntrack-net.ts";

/** Says why the packet of protocol `proto` is refused, where the administrator wants to hear of this protocol or of all. */
export function nfL4protoLogInvalid(ct: Conntrack, skb: Skb, proto: number, why: string): void {
  if (ct.logInvalid === 0 || (ct.logInvalid !== proto && ct.logInvalid !== IPPROTO_RAW)) return;
  if (!ct.ns.kernel.nfLogSyslog) return;
  nfLogTrace(ct.ns, skb, ct.inDev, ct.outDev, `nf_ct_proto_${proto}: ${why} `);
}
