/** Start-up of the transports of a namespace (inet_init in net/ipv4/af_inet.c). */
import { IPPROTO_IGMP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE } from "../../wire/ipv4.ts";
import type { NetNs } from "../core/net-ns.ts";
import { ipv4Of, type NetProtocol } from "./ipv4-net.ts";
import { rawIcmpError, rawLocalDeliver } from "./raw-sock.ts";
import { tcpProtocol } from "./tcp-ipv4.ts";
import { tcpRegisterSysctls } from "./tcp-net.ts";
import { udpProtocol } from "./udp.ts";
import { udpliteProtocol } from "./udplite.ts";

/** Queries and reports are heard and change nothing: the only group is that of all hosts, which is never reported. */
const IGMP_PROTOCOL: NetProtocol = { rcv: (skb) => skb.consume(), err: () => {} };

/** PernetInit of TCP, UDP and raw sockets; runs after IPv4's own. */
export function transportInit(ns: NetNs): void {
  const ipv4 = ipv4Of(ns);
  ipv4.protocols[IPPROTO_TCP] = tcpProtocol(ns);
  ipv4.protocols[IPPROTO_UDP] = udpProtocol(ns);
  ipv4.protocols[IPPROTO_UDPLITE] = udpliteProtocol(ns);
  ipv4.protocols[IPPROTO_IGMP] = IGMP_PROTOCOL;
  ipv4.rawDeliver = (skb, protocol) => rawLocalDeliver(ns, skb, protocol);
  ipv4.rawErr = (skb, type, code, info) => rawIcmpError(ns, skb, type, code, info);
  tcpRegisterSysctls(ns);
}
