/** The check of a received packet's source address (net/ipv4/fib_frontend.c fib_validate_source; RFC 3704). */
import { RTN_LOCAL, RTN_UNICAST } from "../core/dst.ts";
import type { NetDevice } from "../core/net-device.ts";
import { RT_SCOPE_HOST } from "./fib.ts";
import { fibLookup } from "./fib-rules.ts";
import type { InDevice } from "./in-device.ts";
import type { Ipv4Net } from "./ipv4-net.ts";

/**
 * Checks a packet's source address (fib_validate_source). Negative: refused, -1 martian, -2 by rp_filter; else 1 when the
 * source is a neighbour on the link, 0 otherwise. `oif`: ifindex that the packet would leave by, 0 when it stays.
 */
export function fibValidateSource(
  net: Ipv4Net,
  src: number,
  dst: number,
  tos: number,
  oif: number,
  dev: NetDevice,
  inDev: InDevice,
  mark: number,
): number {
  const rpf = Math.max(net.confAll.rpFilter, inDev.conf.rpFilter);
  const sendRedirects = (net.confAll.sendRedirects | inDev.conf.sendRedirects) !== 0;
  const acceptLocal = (net.confAll.acceptLocal | inDev.conf.acceptLocal) !== 0;
  if (rpf === 0 && (dev.ifindex !== oif || !sendRedirects)) {
    if (acceptLocal) return 0;
    if (!net.rules.custom) return net.localAddrs.has(src) ? -1 : 0;
  }
  net.rules.turnFlow();
  // A rule about the incoming device sees the one by which the packet would leave.
  const found = fibLookup(net.ns, net.rules, src, dst, tos, oif, 0, srcMark(net, inDev, mark));
  if (found === null || found.dev === null) return rpf !== 0 ? -2 : 0;
  if (found.type !== RTN_UNICAST && (found.type !== RTN_LOCAL || !acceptLocal)) return -1;
  if (found.uses(dev)) return found.nhScope >= RT_SCOPE_HOST ? 1 : 0;
  if (inDev.addresses.length === 0) return rpf !== 0 ? -2 : 0;
  if (rpf === 1) return -2;
  const back = fibLookup(net.ns, net.rules, src, dst, tos, oif, dev.ifindex, srcMark(net, inDev, mark));
  return back !== null && back.type === RTN_UNICAST && back.nhScope >= RT_SCOPE_HOST ? 1 : 0;
}

function srcMark(net: Ipv4Net, inDev: InDevice, mark: number): number {
  return (net.confAll.srcValidMark | inDev.conf.srcValidMark) !== 0 ? mark : 0;
}
