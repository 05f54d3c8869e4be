/** Routes of sockets: looked up once and kept until the tables change (sk_dst_check, ip_route_connect). */
import { SysError } from "../../util/errors.ts";
import { type Dst, RTN_BROADCAST } from "../core/dst.ts";
import { setFlow } from "./fib-multipath.ts";
import { ipOptionsHop } from "./ip-options.ts";
import { ipv4Of } from "./ipv4-net.ts";
import { INADDR_LOOPBACK, ipRouteOutput, routeSource } from "./route.ts";
import { dstMtu, dstMtuLocked } from "./route-exception.ts";
import { IP_PMTUDISC_DONT, IP_PMTUDISC_WANT, type Sock } from "./sock.ts";

/** The kept route of a connected socket, looked up again when it is out of date; null when there is none any more. */
export function skDstCheck(sk: Sock): Dst | null {
  const generation = ipv4Of(sk.ns).routeGeneration;
  if (sk.dst !== null && sk.dstGeneration === generation) return sk.dst;
  const oif = sk.boundDev === null ? 0 : sk.boundDev.ifindex;
  setFlow(sk.ns, sk.protocol, sk.sport, sk.dport);
  sk.dst = ipRouteOutput(sk.ns, ipOptionsHop(sk.opt, sk.daddr), sk.saddr, oif, sk.mark, sk.tos);
  sk.dstGeneration = generation;
  return sk.dst;
}

/**
 * Path MTU of packets from `saddr` of a socket to `daddr`, less what xfrm adds to them (dst_mtu). For ICMP the ports are type
 * and code.
 */
export function skDstMtu(
  sk: Sock,
  dst: Dst,
  proto: number,
  saddr: number,
  daddr: number,
  sport: number,
  dport: number,
): number {
  const mtu = dstMtu(sk.ns, dst, daddr);
  const { xfrmMtu } = ipv4Of(sk.ns);
  return xfrmMtu === null ? mtu : xfrmMtu(sk.ns, dst, mtu, proto, saddr, daddr, sport, dport, sk.mark);
}

/** Whether packets of a socket to `daddr` carry DF (ip_dont_fragment): not where the path MTU is below route.min_pmtu. */
export function ipDontFragment(sk: Sock, dst: Dst, daddr: number): boolean {
  if (sk.pmtuDisc === IP_PMTUDISC_DONT) return false;
  return sk.pmtuDisc !== IP_PMTUDISC_WANT || !dstMtuLocked(sk.ns, dst, daddr);
}

/**
 * Where a packet to `daddr` goes: one to 0.0.0.0 to this machine, at the socket's own address or at 127.0.0.1
 * (ip_route_output_key_hash_rcu).
 */
export function skDestination(sk: Sock, daddr: number): number {
  return daddr || sk.saddr || INADDR_LOOPBACK;
}

/** Result of {@link skRouteOutput}, overwritten by the next call. */
const found: { dst: Dst | null; source: number } = { dst: null, source: 0 };

/**
 * Route from a socket to `daddr` and the source address it gives; the result is valid until the next call. Throws the
 * routing errno, EACCES for a broadcast address unless `broadcast`.
 */
export function skRouteOutput(
  sk: Sock,
  daddr: number,
  broadcast = false,
  dport = sk.dport,
): { dst: Dst; source: number } {
  const oif = sk.boundDev === null ? 0 : sk.boundDev.ifindex;
  setFlow(sk.ns, sk.protocol, sk.sport, dport);
  const dst = ipRouteOutput(sk.ns, daddr, sk.saddr, oif, sk.mark, sk.tos);
  if (dst === null) throw new SysError(ipv4Of(sk.ns).routeError);
  if (dst.type === RTN_BROADCAST && !broadcast) throw new SysError("EACCES");
  found.dst = dst;
  found.source = sk.saddr !== 0 ? sk.saddr : routeSource(dst, daddr);
  return found as { dst: Dst; source: number };
}
