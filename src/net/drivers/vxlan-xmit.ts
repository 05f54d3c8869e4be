/** Sending by VXLAN (drivers/net/vxlan/vxlan_core.c vxlan_xmit, arp_reduce, vxlan_xmit_one). */
import {
  ARP_LEN,
  ARPOP_REPLY,
  ARPOP_REQUEST,
  arpIsEthIp4,
  arpOp,
  arpShaHi,
  arpShaLo,
  arpSpa,
  arpTpa,
  arpWrite,
} from "../../wire/arp.ts";
import { inetChecksum, pseudoHeaderSum } from "../../wire/checksum.ts";
import { setEthDst, setEthSrc, setEthType } from "../../wire/ethernet.ts";
import { IP_DF, IP_HLEN, IPPROTO_UDP, ipDaddr, ipTos } from "../../wire/ipv4.ts";
import { UDP_HLEN } from "../../wire/udp.ts";
import { VXLAN_HLEN, vxlanWrite } from "../../wire/vxlan.ts";
import { countRx, countTx, ETH_HLEN, ETH_P_ARP, ETH_P_IP } from "../core/dev.ts";
import { DROP } from "../core/drop-reason.ts";
import type { Dst } from "../core/dst.ts";
import { RTN_LOCAL } from "../core/dst.ts";
import { udpFlowSrcPort } from "../core/flow-dissector.ts";
import { IFF_NOARP, type NetDevice } from "../core/net-device.ts";
import { PACKET_HOST, type Skb } from "../core/skb.ts";
import { skbChecksumEncap } from "../core/skb-checksum.ts";
import { skbScrubPacket } from "../core/skb-scrub.ts";
import { TRACE_ARP_PROXY, TRACE_VXLAN_ENCAP } from "../core/trace.ts";
import { isVlanProtocol, VLAN_HLEN } from "../core/vlan.ts";
import { setFlow } from "../ipv4/fib-multipath.ts";
import { ipSelectIdent } from "../ipv4/ip-ident.ts";
import { ipBuildHeader, ipLocalOut } from "../ipv4/ip-output.ts";
import { ipv4Of } from "../ipv4/ipv4-net.ts";
import { NUD_CONNECTED, neighLookup } from "../ipv4/neighbour.ts";
import { ipRouteOutput, routeSource, skbSetRoute } from "../ipv4/route.ts";
import { dstMtu, updatePmtu } from "../ipv4/route-exception.ts";
import { ipTunnelEcnEncap } from "./tunnel-ecn.ts";
import type { VxlanRdst } from "./vxlan-fdb.ts";
import { iptunnelPmtudAnswers, iptunnelPmtudBuildIcmp } from "./vxlan-pmtu.ts";
import { VXLAN_HEADROOM, type VxlanDev, vxlanNetOf } from "./vxlan-private.ts";
import { vxlanSnoop } from "./vxlan-snoop.ts";

const VXLAN_DF_SET = 1;
const VXLAN_DF_INHERIT = 2;
const INADDR_LOOPBACK = 0x7f000001;

/** ndo_start_xmit: `data` at the inner Ethernet header. Takes the packet. */
export function vxlanXmit(skb: Skb, dev: NetDevice): void {
  const vxlan = dev.priv as VxlanDev;
  const { view, data } = skb;
  if (vxlan.cfg.proxy && view.getUint16(data + 12) === ETH_P_ARP) {
    arpReduce(vxlan, skb);
    return;
  }
  const { sim } = dev.ns.kernel;
  const dstHi = view.getUint16(data);
  const entry = vxlan.fdb.findMac(dstHi, view.getInt32(data + 2), sim) ?? vxlan.fdb.findMac(0, 0, sim);
  if (entry === null) {
    if (vxlan.cfg.l2miss && (dstHi & 0x100) === 0) vxlan.l2Misses++;
    dev.txDropped++;
    skb.drop(DROP.VXLAN_NO_REMOTE);
    return;
  }
  const { remotes } = entry;
  for (let i = 1; i < remotes.length; i++) vxlanXmitOne(vxlan, skb.clone(), remotes[i]);
  vxlanXmitOne(vxlan, skb, remotes[0]);
}

/**
 * Answers an ARP request from the neighbour table of the device, as if the answer came over the tunnel (arp_reduce). No ARP
 * frame is ever encapsulated. Takes the packet.
 */
function arpReduce(vxlan: VxlanDev, skb: Skb): void {
  const { dev } = vxlan;
  const { view } = skb;
  const off = skb.data + ETH_HLEN;
  if ((dev.flags & IFF_NOARP) === 0 && skb.tail < off + ARP_LEN) dev.txDropped++;
  else if ((dev.flags & IFF_NOARP) === 0 && arpIsEthIp4(view, off) && arpOp(view, off) === ARPOP_REQUEST) {
    const target = arpTpa(view, off);
    const first = target >>> 24;
    if (first !== 127 && (first & 0xf0) !== 0xe0) arpReply(vxlan, skb, off, target);
  }
  skb.drop(DROP.VXLAN_ARP_CONSUMED);
}

function arpReply(vxlan: VxlanDev, request: Skb, off: number, target: number): void {
  const { dev } = vxlan;
  const neigh = neighLookup(dev.ns, dev, target);
  if (neigh === null) {
    if (vxlan.cfg.l3miss) vxlan.l3Misses++;
    return;
  }
  if ((neigh.nudState & NUD_CONNECTED) === 0) return;
  const { haHi, haLo } = neigh;
  const entry = vxlan.fdb.findMac(haHi, haLo, dev.ns.kernel.sim);
  // A neighbour that sits on the bridge itself answers by itself.
  if (entry !== null && entry.remotes[0].ip === 0) return;
  const shaHi = arpShaHi(request.view, off);
  const shaLo = arpShaLo(request.view, off);
  const spa = arpSpa(request.view, off);
  const reply = request.pool.alloc(ETH_HLEN + ARP_LEN);
  const start = reply.put(ETH_HLEN + ARP_LEN);
  setEthDst(reply.view, start, shaHi, shaLo);
  setEthSrc(reply.view, start, haHi, haLo);
  setEthType(reply.view, start, ETH_P_ARP);
  arpWrite(reply.view, start + ETH_HLEN, ARPOP_REPLY, haHi, haLo, target, shaHi, shaLo, spa);
  reply.macOff = start;
  reply.data = start + ETH_HLEN;
  reply.protocol = ETH_P_ARP;
  reply.pktType = PACKET_HOST;
  reply.dev = dev;
  if (request.trace !== null) {
    request.trace.add(TRACE_ARP_PROXY, target, 0, dev);
    reply.trace = request.trace.fork();
  }
  dev.ns.kernel.netifRx(reply);
}

/** Wraps a frame up for one VTEP and sends it in the underlay. Takes the packet. */
function vxlanXmitOne(vxlan: VxlanDev, skb: Skb, rdst: VxlanRdst): void {
  const { dev, cfg, net } = vxlan;
  const whole = vlanInetPrepare(skb);
  if (!whole || rdst.ip === 0) {
    dev.txDropped++;
    skb.drop(whole ? DROP.VXLAN_NO_REMOTE : DROP.PKT_TOO_SMALL);
    return;
  }
  const srcPort = vxlanSrcPort(vxlan, skb);
  setFlow(net, IPPROTO_UDP, srcPort, rdst.port);
  const dst = rdstRoute(vxlan, rdst, skb.mark);
  if (dst === null || dst.dev === dev) {
    vxlan.txErrors++;
    if (dst === null && ipv4Of(net).routeError === "ENETUNREACH") vxlan.txCarrierErrors++;
    skb.drop(dst === null ? DROP.IP_NOROUTE : DROP.LOOP);
    return;
  }
  if (dst.type === RTN_LOCAL && rdst.port === cfg.dstPort) {
    encapBypassIfLocal(vxlan, skb, rdst);
    return;
  }
  const mtu = dstMtu(net, dst, rdst.ip) - VXLAN_HEADROOM;
  if (skb.length - ETH_HLEN > mtu && tunnelTooBig(vxlan, skb, mtu)) return;
  vxlanBuildSkb(vxlan, skb, rdst, dst, srcPort);
}

/** The route to a VTEP (vxlan_get_route); kept for packets without a mark, as long as nobody is told of better gateways. */
function rdstRoute({ dev, cfg, net }: VxlanDev, rdst: VxlanRdst, mark: number): Dst | null {
  const { routeGeneration, exceptions, rules } = ipv4Of(net);
  const keeps = mark === 0 && cfg.tos === 0 && exceptions.redirects === 0;
  if (keeps && rdst.dst !== null && rdst.dstGeneration === routeGeneration) {
    rules.forgetFlow();
    return rdst.dst;
  }
  const dst = ipRouteOutput(net, rdst.ip, cfg.local, 0, mark);
  if (keeps && dst !== null && dst.dev !== dev) {
    rdst.dst = dst;
    rdst.dstGeneration = routeGeneration;
  }
  return dst;
}

/** The source port of the outer packet: one for each inner flow. */
function vxlanSrcPort({ dev, cfg, net }: VxlanDev, skb: Skb): number {
  const { localPortRange } = ipv4Of(dev.ns);
  const ranged = cfg.portMin < cfg.portMax;
  const min = ranged ? cfg.portMin : localPortRange[0];
  const max = ranged ? cfg.portMax : localPortRange[1];
  return udpFlowSrcPort(skb, skb.view.getUint16(skb.data + 12), net.kernel.hashKey, min, max);
}

/** The inner packet does not fit into the underlay (skb_tunnel_check_pmtu). True: it was answered and is gone. */
function tunnelTooBig(vxlan: VxlanDev, skb: Skb, mtu: number): boolean {
  const { dev } = vxlan;
  const off = skb.data + ETH_HLEN;
  const isIp = skb.view.getUint16(skb.data + 12) === ETH_P_IP;
  if (skb.dst !== null && isIp) updatePmtu(dev.ns, skb.dst, ipDaddr(skb.view, off), mtu);
  if (dev.bridgePort === null || skb.pktType === PACKET_HOST) return false;
  if (!isIp || !iptunnelPmtudAnswers(skb, off, mtu)) return false;
  iptunnelPmtudBuildIcmp(skb, mtu);
  vxlanEncapBypass(vxlan, vxlan, skb, false);
  return true;
}

/** Pushes VXLAN, UDP and IP headers and sends the result (vxlan_build_skb, udp_tunnel_xmit_skb, iptunnel_xmit). */
function vxlanBuildSkb(vxlan: VxlanDev, skb: Skb, rdst: VxlanRdst, dst: Dst, srcPort: number): void {
  const { dev, cfg, net } = vxlan;
  const { view } = skb;
  const inner = skb.data;
  const { netOff } = skb;
  const macLen = netOff - inner;
  const innerTos = view.getUint16(netOff - 2) === ETH_P_IP ? ipTos(view, netOff) : 0;
  const df = cfg.df === VXLAN_DF_INHERIT ? innerDf(skb, inner) : cfg.df === VXLAN_DF_SET;
  const tos = ipTunnelEcnEncap(cfg.tos === 1 ? innerTos : cfg.tos, innerTos);
  const ttl = cfg.ttl === 0 ? ipv4Of(net).defaultTtl : cfg.ttl;
  const saddr = cfg.local !== 0 ? cfg.local : routeSource(dst, rdst.ip);
  const innerLength = skb.length - macLen;
  skbScrubPacket(skb, net !== dev.ns);
  skbChecksumEncap(skb);
  vxlanWrite(view, skb.push(VXLAN_HLEN), rdst.vni);
  const udp = skb.push(UDP_HLEN);
  const length = skb.length;
  view.setUint16(udp, srcPort);
  view.setUint16(udp + 2, rdst.port);
  view.setUint16(udp + 4, length);
  view.setUint16(udp + 6, 0);
  if (cfg.udpCsum) {
    const sum = pseudoHeaderSum(saddr, rdst.ip, IPPROTO_UDP, length);
    view.setUint16(udp + 6, inetChecksum(view, udp, length, sum) || 0xffff);
  }
  const id = ipSelectIdent(net, saddr, rdst.ip, IPPROTO_UDP);
  ipBuildHeader(skb, saddr, rdst.ip, IPPROTO_UDP, tos, ttl, df, id);
  if (skb.trace !== null) skb.trace.add(TRACE_VXLAN_ENCAP, rdst.ip, rdst.vni, dev);
  skb.protocol = ETH_P_IP;
  skb.macOff = -1;
  skb.netOff = skb.data;
  skb.transOff = skb.data + IP_HLEN;
  skb.dev = dst.dev;
  skbSetRoute(skb, dst, rdst.ip);
  if (ipLocalOut(net, skb)) countTx(dev, innerLength);
  else dev.txDropped++;
}

/** Puts the network header behind all tags (skb_vlan_inet_prepare). False: an IP header does not follow whole. */
function vlanInetPrepare(skb: Skb): boolean {
  const { view, tail } = skb;
  let off = skb.data + ETH_HLEN;
  while (isVlanProtocol(view.getUint16(off - 2)) && off + VLAN_HLEN <= tail) off += VLAN_HLEN;
  skb.netOff = off;
  return view.getUint16(off - 2) !== ETH_P_IP || off + IP_HLEN <= tail;
}

function innerDf({ view }: Skb, inner: number): boolean {
  return view.getUint16(inner + 12) === ETH_P_IP && (view.getUint16(inner + ETH_HLEN + 6) & IP_DF) !== 0;
}

/** The VTEP is this machine: the frame goes to the device of that VNI without a tunnel (encap_bypass_if_local). */
function encapBypassIfLocal(vxlan: VxlanDev, skb: Skb, rdst: VxlanRdst): void {
  const to = vxlanNetOf(vxlan.net).socks.get(rdst.port)?.devs.get(rdst.vni);
  if (to === undefined) {
    vxlan.txErrors++;
    skb.drop(DROP.VXLAN_UNKNOWN_VNI);
    return;
  }
  vxlanEncapBypass(vxlan, to, skb, true);
}

/** Lets `to` receive the frame (vxlan_encap_bypass), `data` at its Ethernet header. */
function vxlanEncapBypass(from: VxlanDev, to: VxlanDev, skb: Skb, snoop: boolean): void {
  skb.pktType = PACKET_HOST;
  skb.dev = to.dev;
  skb.macOff = skb.data;
  skb.protocol = skb.view.getUint16(skb.data + 12);
  skb.data += ETH_HLEN;
  skb.dst = null;
  if (snoop && to.cfg.learning) vxlanSnoop(to, skb, INADDR_LOOPBACK);
  countTx(from.dev, skb.length);
  countRx(to.dev, skb.length);
  to.dev.ns.kernel.netifRx(skb);
}
