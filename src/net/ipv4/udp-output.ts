/** Sending a UDP datagram (udp_sendmsg, udp_send_skb in net/ipv4/udp.c; __ip_make_skb in net/ipv4/ip_output.c). */
import { SysError } from "../../util/errors.ts";
import { csumFold, csumPartial, pseudoHeaderSum } from "../../wire/checksum.ts";
import { IP_HLEN, IPPROTO_UDP } from "../../wire/ipv4.ts";
import { UDP_HLEN } from "../../wire/udp.ts";
import { ipSelectIdent } from "./ip-ident.ts";
import { ipOptionsBuild, ipOptionsHop } from "./ip-options.ts";
import { ipBuildHeader, ipLocalOut } from "./ip-output.ts";
import { ipv4Of } from "./ipv4-net.ts";
import { skbSetRoute } from "./route.ts";
import { IP_PMTUDISC_DO, IP_PMTUDISC_PROBE, type Sock, type SockError } from "./sock.ts";
import { ipDontFragment, skDestination, skDstMtu, skRouteOutput } from "./sock-route.ts";
import { udpNetOf } from "./udp-net.ts";

/**
 * Builds and sends one datagram. EMSGSIZE when the socket forbids fragments and it is too long; routing errors; EPERM when a
 * rule drops it.
 */
export function udpSendSkb(
  sk: Sock & { broadcast: boolean; pushError(error: SockError): void },
  data: Uint8Array,
  to: number,
  dport: number,
): void {
  const { opt } = sk;
  const daddr = skDestination(sk, to);
  const hop = ipOptionsHop(opt, daddr);
  const optlen = opt === null ? 0 : opt.optlen;
  const { dst, source } = skRouteOutput(sk, hop, sk.broadcast, dport);
  const udpLen = data.length + UDP_HLEN;
  const mtu =
    sk.pmtuDisc === IP_PMTUDISC_PROBE
      ? dst.dev.mtu
      : skDstMtu(sk, dst, IPPROTO_UDP, source, daddr, sk.sport, dport);
  const fits = udpLen + IP_HLEN + optlen <= mtu;
  if (!fits && sk.pmtuDisc >= IP_PMTUDISC_DO) {
    sk.pushError({ errno: "EMSGSIZE", type: 0, code: 0, info: mtu - optlen, offender: 0, ttl: 0, dport });
    throw new SysError("EMSGSIZE");
  }
  const df = fits && ipDontFragment(sk, dst, hop);
  const skb = sk.ns.kernel.pool.alloc(udpLen + IP_HLEN + optlen);
  skb.data += IP_HLEN + optlen;
  skb.tail = skb.data;
  const off = skb.put(udpLen);
  const view = skb.view;
  view.setUint16(off, sk.sport);
  view.setUint16(off + 2, dport);
  view.setUint16(off + 4, udpLen);
  view.setUint16(off + 6, 0);
  skb.bytes.set(data, off + UDP_HLEN);
  const sum = csumPartial(view, off, udpLen, pseudoHeaderSum(source, daddr, IPPROTO_UDP, udpLen));
  view.setUint16(off + 6, csumFold(sum) || 0xffff);
  skb.csumLevel = 1;
  skbSetRoute(skb, dst, hop);
  skb.sk = sk;
  skb.mark = sk.mark;
  let id = 0;
  if (sk.daddr !== 0) {
    id = sk.inetId;
    sk.inetId = (id + 1) & 0xffff;
  } else if (!df || sk.pmtuDisc < IP_PMTUDISC_DO) id = ipSelectIdent(sk.ns, source, hop, IPPROTO_UDP);
  const ttl = sk.ttl || ipv4Of(sk.ns).defaultTtl;
  ipBuildHeader(skb, source, daddr, IPPROTO_UDP, sk.tos, ttl, df, id, optlen);
  if (opt !== null) ipOptionsBuild(sk.ns, skb, opt, daddr);
  if (!ipLocalOut(sk.ns, skb)) throw new SysError("EPERM");
  udpNetOf(sk.ns).outDatagrams++;
}
