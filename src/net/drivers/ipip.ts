/**
 * IPv4 in IPv4 (net/ipv4/ipip.c, net/ipv4/tunnel4.c, RFC 2003): the device, what comes in as protocol 4, and the module,
 * which gives every namespace its `tunl0`.
 */
import {
  ICMP_DEST_UNREACH,
  ICMP_EXC_TTL,
  ICMP_FRAG_NEEDED,
  ICMP_PORT_UNREACH,
  ICMP_REDIRECT,
  ICMP_SR_FAILED,
  ICMP_TIME_EXCEEDED,
} from "../../wire/icmp.ts";
import { IPPROTO_IPIP, ipDaddr, ipSaddr, ipTos } from "../../wire/ipv4.ts";
import { countRx, ETH_P_IP } from "../core/dev.ts";
import { DROP } from "../core/drop-reason.ts";
import type { Kernel } from "../core/kernel.ts";
import type { DeviceOps, NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import type { Skb } from "../core/skb.ts";
import { skbScrubPacket } from "../core/skb-scrub.ts";
import { icmpSend } from "../ipv4/icmp.ts";
import { ipv4Of, type NetProtocol } from "../ipv4/ipv4-net.ts";
import { ipv4UpdatePmtu } from "../ipv4/route-pmtu.ts";
import { ipv4Redirect } from "../ipv4/route-redirect.ts";
import {
  IP_TUNNEL_ANY,
  type IpTunnel,
  type IpTunnelParms,
  ipTunnelLookup,
  ipTunnelNetOf,
  ipTunnelNewlink,
  ipTunnelOf,
  ipTunnelUninit,
} from "./ip-tunnel.ts";
import { IPTUNNEL_ERR_TIMEO_NS, ipTunnelXmit } from "./ip-tunnel-xmit.ts";
import { ipEcnDecapsulate } from "./tunnel-ecn.ts";

const IP_HLEN = 20;

const ipipOps: DeviceOps = { kind: "ipip", keepsDst: true, xmit: ipipTunnelXmit, uninit: ipTunnelUninit };
const tunnel4Protocol: NetProtocol = { rcv: ipipRcv, err: ipipErr };

/** Loads the module (ipip_init): harmless when it is there. */
export function ipipModuleInit(kernel: Kernel): void {
  if (ipv4Of(kernel.initNs).protocols[IPPROTO_IPIP] !== null) return;
  kernel.printk("ipip: IPv4 and MPLS over IPv4 tunneling driver");
  kernel.registerPernet(ipipInitNet);
}

function ipipInitNet(ns: NetNs): void {
  ipv4Of(ns).protocols[IPPROTO_IPIP] = tunnel4Protocol;
  const dev = ipTunnelNewlink(ns, ipipOps, "tunl0", IP_TUNNEL_ANY, 0, 0);
  ipTunnelNetOf(ns).fallback = ipTunnelOf(dev);
}

/** Makes a tunnel device, down. EEXIST when the name is taken, or a tunnel has these ends. */
export function ipipNewlink(
  ns: NetNs,
  name: string,
  parms: IpTunnelParms,
  mtu: number,
  ifindex: number,
): NetDevice {
  return ipTunnelNewlink(ns, ipipOps, name, parms, mtu, ifindex);
}

/** ndo_start_xmit: `data` at the IP header. Takes the packet. */
function ipipTunnelXmit(skb: Skb, dev: NetDevice): void {
  const tunnel = dev.priv as IpTunnel;
  const wanted = skb.protocol === ETH_P_IP && skb.length >= IP_HLEN;
  if (wanted && (tunnel.parms.protocol === IPPROTO_IPIP || tunnel.parms.protocol === 0)) {
    ipTunnelXmit(tunnel, skb);
    return;
  }
  tunnel.txErrors++;
  skb.drop(DROP.UNHANDLED_PROTO);
}

/** A packet of protocol 4 for this machine, `data` at the inner header (tunnel4_rcv, ipip_tunnel_rcv). Takes it. */
function ipipRcv(skb: Skb): void {
  const { ns, ifindex } = skb.dev!;
  const { view, netOff } = skb;
  if (skb.length < IP_HLEN) {
    skb.drop(DROP.PKT_TOO_SMALL);
    return;
  }
  const saddr = ipSaddr(view, netOff);
  const tunnel = ipTunnelLookup(ipTunnelNetOf(ns), ifindex, saddr, ipDaddr(view, netOff));
  if (tunnel === null) {
    icmpSend(ns, skb, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0);
    skb.drop(DROP.IP_NOPROTO);
    return;
  }
  if (tunnel.parms.protocol !== IPPROTO_IPIP && tunnel.parms.protocol !== 0) {
    skb.drop(DROP.IP_NOPROTO);
    return;
  }
  ipTunnelRcv(tunnel, skb, ipTos(view, netOff));
}

/** ip_tunnel_rcv */
function ipTunnelRcv(tunnel: IpTunnel, skb: Skb, outerTos: number): void {
  const { dev } = tunnel;
  skb.macOff = skb.data;
  skb.netOff = skb.data;
  if (!ipEcnDecapsulate(skb.view, skb.data, outerTos)) {
    tunnel.rxFrameErrors++;
    tunnel.rxErrors++;
    skb.drop(DROP.IP_HDR);
    return;
  }
  countRx(dev, skb.length);
  skbScrubPacket(skb, tunnel.net !== dev.ns);
  skb.hash = 0;
  skb.protocol = ETH_P_IP;
  skb.dev = dev;
  dev.ns.kernel.netifRx(skb);
}

/** An ICMP error about an outer packet, `data` at its header (ipip_err). */
function ipipErr(skb: Skb, type: number, code: number, info: number): void {
  const { ns, ifindex } = skb.dev!;
  const { view, data } = skb;
  const tunnel = ipTunnelLookup(ipTunnelNetOf(ns), ifindex, ipDaddr(view, data), ipSaddr(view, data));
  if (tunnel === null) return;
  if (type === ICMP_DEST_UNREACH && code === ICMP_FRAG_NEEDED) {
    ipv4UpdatePmtu(ns, skb, info);
    return;
  }
  if (type === ICMP_REDIRECT) ipv4Redirect(ns, skb, code, info);
  const unreachable = type === ICMP_DEST_UNREACH && code !== ICMP_SR_FAILED;
  // Where the inner TTL is the outer one, it is the sender's own doing that it ran out.
  const expired = type === ICMP_TIME_EXCEEDED && code === ICMP_EXC_TTL && tunnel.parms.ttl !== 0;
  if (!unreachable && !expired) return;
  if (tunnel.parms.remote === 0) return;
  const { now } = ns.kernel.sim;
  const recent = now < tunnel.errTimeNs + IPTUNNEL_ERR_TIMEO_NS;
  tunnel.errCount = recent ? tunnel.errCount + 1 : 1;
  tunnel.errTimeNs = now;
}
