/** Start-up of IPv4 in a namespace (net/ipv4/af_inet.c inet_init, devinet_init_net, ip_rt_init, icmp_sk_init). */
import type { NetNs } from "../core/net-ns.ts";
import { arpErrorReport, arpRcv, arpSolicit } from "./arp.ts";
import { deviceListener } from "./devinet.ts";
import { FibRules } from "./fib-rules.ts";
import { icmpInit, icmpSend } from "./icmp.ts";
import { icmpProtocol } from "./icmp-input.ts";
import { InetPeers } from "./inet-peer.ts";
import { FragmentQueues } from "./ip-fragment.ts";
import { IdentCounters } from "./ip-ident.ts";
import { ipRcv } from "./ip-input.ts";
import { Ipv4Devconf, NeighParms } from "./ipv4-conf.ts";
import { type ArpOps, Ipv4Net, type Ipv4Parts, ipv4Of } from "./ipv4-net.ts";
import { ipv4SysctlInit } from "./ipv4-sysctl.ts";
import { NeighTable } from "./neigh-table.ts";
import { RouteCache } from "./route-cache.ts";
import { RouteExceptions } from "./route-exception.ts";

const IPPROTO_ICMP = 1;
const arpOps: ArpOps = { solicit: arpSolicit, errorReport: arpErrorReport };

/**
 * Gives a namespace IPv4 (a PernetInit, behind the one of loopback): tables, packet handlers, device listener, sysctls,
 * ICMP. A new namespace copies the parameters of devices from the first one of its kernel, and shares its ICMP limit,
 * its IP identifiers and the limits of its neighbour table.
 */
export function ipv4Init(ns: NetNs): void {
  const first = ns.id === 0 ? null : ipv4Of(ns.kernel.initNs);
  const net = new Ipv4Net(ns, makeParts(ns, first));
  ns.ipv4 = net;
  ns.ipPacket = ipRcv;
  ns.arpPacket = arpRcv;
  net.protocols[IPPROTO_ICMP] = icmpProtocol;
  ns.listeners.push(deviceListener);
  for (const dev of ns.devices()) deviceListener.registered!(dev);
  ipv4SysctlInit(ns, net);
}

function makeParts(ns: NetNs, first: Ipv4Net | null): Ipv4Parts {
  const prng = ns.kernel.prng.stream(`ipv4/${ns.id}`);
  const confDefault = first === null ? new Ipv4Devconf() : first.confDefault.copy();
  if (first === null) confDefault.acceptSourceRoute = 1;
  return {
    confAll: first === null ? new Ipv4Devconf() : first.confAll.copy(),
    confDefault,
    neighDefault: first === null ? new NeighParms() : first.neighDefault.copy(),
    rules: new FibRules(),
    routeCache: new RouteCache(),
    exceptions: new RouteExceptions(),
    neighbours: new NeighTable(ns, prng.stream("neigh"), first === null ? null : first.neighbours),
    peers: new InetPeers(),
    fragments: new FragmentQueues(ns),
    icmp: icmpInit(prng.stream("icmp"), first === null ? null : first.icmp),
    ident: first === null ? new IdentCounters(prng.stream("ident")) : first.ident,
    arpOps,
    icmpSend,
  };
}
