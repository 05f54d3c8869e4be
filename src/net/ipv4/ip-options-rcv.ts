/** Options of received packets (ip_rcv_options in net/ipv4/ip_input.c, ip_options_rcv_srr in net/ipv4/ip_options.c). */
import { ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, ICMP_PARAMETERPROB } from "../../wire/icmp.ts";
import { IP_HLEN, ipHeaderLen, ipSaddr, ipTos, setIpDaddr } from "../../wire/ipv4.ts";
import { RTN_LOCAL, RTN_UNICAST } from "../core/dst.ts";
import { IpOptions } from "../core/ip-options.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import { PACKET_HOST, type Skb } from "../core/skb.ts";
import { icmpSend, icmpSendOptions } from "./icmp.ts";
import { inDevOf } from "./in-device.ts";
import { ipOptionsCompile } from "./ip-options-compile.ts";
import { ipv4Of } from "./ipv4-net.ts";
import { ipRouteInputKey } from "./route.ts";

/** Offset of the destination in an IP header: what a strict source route that does not lead here is wrong in. */
const DADDR_OFFSET = 16;

/** Reads the options of a routed packet; false: it must be dropped, its sender was told. */
export function ipRcvOptions(skb: Skb, dev: NetDevice): boolean {
  const { ns } = dev;
  const opt = new IpOptions();
  opt.optlen = ipHeaderLen(skb.view, skb.netOff) - IP_HLEN;
  skb.opt = opt;
  const wrong = ipOptionsCompile(ns, skb.view, skb.netOff, opt, skb);
  if (wrong !== 0) {
    icmpSend(ns, skb, ICMP_PARAMETERPROB, 0, wrong << 24);
    return false;
  }
  if (opt.srr === 0) return true;
  const inDev = inDevOf(dev);
  const accepts =
    inDev === null || (ipv4Of(ns).confAll.acceptSourceRoute & inDev.conf.acceptSourceRoute) !== 0;
  return accepts && ipOptionsRcvSrr(skb, dev, opt);
}

/** A source route: where it ends here the packet stays, else it gets the route to the next station. False: drop it. */
function ipOptionsRcvSrr(skb: Skb, dev: NetDevice, opt: IpOptions): boolean {
  const { ns } = dev;
  const { view, netOff: iph } = skb;
  if (skb.pktType !== PACKET_HOST) return false;
  const type = skb.dst!.type;
  if (type === RTN_UNICAST) {
    if (opt.isStrictroute) icmpSend(ns, skb, ICMP_PARAMETERPROB, 0, DADDR_OFFSET << 24);
    return !opt.isStrictroute;
  }
  if (type !== RTN_LOCAL) return false;
  const srr = iph + opt.srr;
  const length = view.getUint8(srr + 1);
  for (let pointer = view.getUint8(srr + 2); pointer <= length; pointer += 4) {
    if (pointer + 3 > length) {
      icmpSend(ns, skb, ICMP_PARAMETERPROB, 0, (opt.srr + 2) << 24);
      return false;
    }
    const nexthop = view.getInt32(srr + pointer - 1);
    if (ipRouteInputKey(ns, skb, nexthop, ipSaddr(view, iph), ipTos(view, iph), dev, true) !== 0)
      return false;
    const next = skb.dst!.type;
    if (next !== RTN_UNICAST && next !== RTN_LOCAL) return false;
    opt.isChanged = true;
    if (next === RTN_UNICAST) {
      opt.srrIsHit = true;
      opt.nexthop = nexthop;
      return true;
    }
    setIpDaddr(view, iph, nexthop);
  }
  return true;
}

/**
 * Tells the sender of a packet that its next station cannot be reached. The packet may have come another way than by
 * ipRcvFinish, so that its options are read again (ipv4_send_dest_unreach).
 */
export function ipv4SendDestUnreach(ns: NetNs, skb: Skb): void {
  const headerLen = ipHeaderLen(skb.view, skb.netOff);
  if (headerLen === IP_HLEN) {
    icmpSendOptions(ns, skb, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0, null);
    return;
  }
  const opt = new IpOptions();
  opt.optlen = headerLen - IP_HLEN;
  if (ipOptionsCompile(ns, skb.view, skb.netOff, opt, skb) !== 0) return;
  icmpSendOptions(ns, skb, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0, opt);
}
