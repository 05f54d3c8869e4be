/** UDP-Lite arriving at a machine on which no program speaks it (udplite_rcv, net/ipv4/udplite.c of Linux 6.1). */
import { ICMP_DEST_UNREACH, ICMP_PORT_UNREACH } from "../../wire/icmp.ts";
import { IPPROTO_UDPLITE, ipHeaderLen } from "../../wire/ipv4.ts";
import { UDP_HLEN } from "../../wire/udp.ts";
import { udpliteCoverage, udpliteSumOk } from "../../wire/udplite.ts";
import { DROP } from "../core/drop-reason.ts";
import { RTN_BROADCAST, RTN_MULTICAST } from "../core/dst.ts";
import type { NetNs } from "../core/net-ns.ts";
import type { Skb } from "../core/skb.ts";
import { icmpSend } from "./icmp.ts";
import type { NetProtocol } from "./ipv4-net.ts";

function udpliteRcv(ns: NetNs, skb: Skb): void {
  const { view, netOff, tail } = skb;
  const off = netOff + ipHeaderLen(view, netOff);
  const lenBytes = tail - off;
  if (lenBytes < UDP_HLEN) {
    skb.drop(DROP.PKT_TOO_SMALL);
    return;
  }
  const covered = udpliteCoverage(view, off, lenBytes);
  const summed = covered >= 0 && view.getUint16(off + 6) !== 0;
  if (!summed || !udpliteSumOk(view, netOff, off, lenBytes, covered, IPPROTO_UDPLITE)) {
    skb.drop(DROP.BAD_CSUM);
    return;
  }
  const type = skb.dst === null ? 0 : skb.dst.type;
  if (type !== RTN_BROADCAST && type !== RTN_MULTICAST)
    icmpSend(ns, skb, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0);
  skb.drop(DROP.NO_SOCKET);
}

export function udpliteProtocol(ns: NetNs): NetProtocol {
  return { rcv: (skb) => udpliteRcv(ns, skb), err: () => {} };
}
