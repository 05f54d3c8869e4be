/** ARP (RFC 826; net/ipv4/arp.c): questions, answers, and what is learnt from both. */
import { type EventSink, SEC } from "../../sim/sim.ts";
import {
  ARP_LEN,
  ARPOP_REPLY,
  ARPOP_REQUEST,
  arpIsEthIp4,
  arpOp,
  arpShaHi,
  arpShaLo,
  arpSpa,
  arpThaHi,
  arpThaLo,
  arpTpa,
  arpWrite,
} from "../../wire/arp.ts";
import { devQueueXmit, ETH_HLEN, ETH_P_ARP } from "../core/dev.ts";
import { DROP } from "../core/drop-reason.ts";
import { RTN_LOCAL, RTN_UNICAST } from "../core/dst.ts";
import { IFF_LOOPBACK, IFF_NOARP, type NetDevice } from "../core/net-device.ts";
import { PACKET_HOST, PACKET_LOOPBACK, PACKET_OTHERHOST, type Skb } from "../core/skb.ts";
import { RT_SCOPE_HOST, RT_SCOPE_LINK } from "./fib.ts";
import { type InDevice, inDevOf, inetAddrOnlink } from "./in-device.ts";
import { inetConfirmAddr, inetSelectAddr } from "./inet-select-addr.ts";
import { ipv4SendDestUnreach } from "./ip-options-rcv.ts";
import { type Ipv4Net, ipv4Of } from "./ipv4-net.ts";
import {
  NEIGH_UPDATE_F_OVERRIDE,
  type Neighbour,
  NUD_REACHABLE,
  NUD_STALE,
  neighCreate,
  neighLookup,
  neighUpdate,
} from "./neighbour.ts";
import { inetAddrType, ipRouteInputKey, ipRouteOutput } from "./route.ts";

/**
 * Sends an ARP packet out of `dev`: about `tip`, from `sip`; to the MAC `dst`, with `tha` as the target's address
 * (arp_send). Nothing happens on a device without ARP.
 */
export function arpSend(
  dev: NetDevice,
  op: number,
  tip: number,
  sip: number,
  dstHi: number,
  dstLo: number,
  thaHi: number,
  thaLo: number,
): void {
  if ((dev.flags & (IFF_NOARP | IFF_LOOPBACK)) !== 0) return;
  const skb = dev.ns.kernel.pool.alloc(ETH_HLEN + ARP_LEN);
  const off = skb.put(ETH_HLEN + ARP_LEN);
  const view = skb.view;
  view.setUint16(off, dstHi);
  view.setInt32(off + 2, dstLo);
  view.setUint16(off + 6, dev.addrHi);
  view.setInt32(off + 8, dev.addrLo);
  view.setUint16(off + 12, ETH_P_ARP);
  arpWrite(view, off + ETH_HLEN, op, dev.addrHi, dev.addrLo, sip, thaHi, thaLo, tip);
  skb.netOff = off + ETH_HLEN;
  skb.protocol = ETH_P_ARP;
  skb.dev = dev;
  devQueueXmit(skb);
}

/**
 * Asks for the MAC of `n.ip`: by unicast while unicast probes are left, else by broadcast (arp_solicit). `saddr` is the
 * source of the packet that waits, 0 when none does.
 */
export function arpSolicit(n: Neighbour, saddr: number): void {
  const dev = n.dev;
  const inDev = inDevOf(dev);
  if (inDev === null) return;
  const source = solicitSource(dev, inDev, n.ip, saddr);
  if (n.probes < n.parms.ucastSolicit) arpSend(dev, ARPOP_REQUEST, n.ip, source, n.haHi, n.haLo, 0, 0);
  else arpSend(dev, ARPOP_REQUEST, n.ip, source, 0xffff, -1, 0, 0);
}

/** The sender address of a question, by arp_announce. */
function solicitSource(dev: NetDevice, inDev: InDevice, target: number, saddr: number): number {
  const announce = Math.max(ipv4Of(dev.ns).confAll.arpAnnounce, inDev.conf.arpAnnounce);
  let source = 0;
  if (saddr !== 0 && announce < 2 && inetAddrType(dev.ns, saddr) === RTN_LOCAL) {
    if (announce === 0 || inetAddrOnlink(inDev, target, saddr)) source = saddr;
  }
  return source !== 0 ? source : inetSelectAddr(dev, target, RT_SCOPE_LINK);
}

/** A packet whose next hop did not answer: its sender is told (arp_error_report, ipv4_link_failure). Takes it. */
export function arpErrorReport(skb: Skb): void {
  ipv4SendDestUnreach(skb.dst!.dev.ns, skb);
  skb.drop(DROP.NEIGH_FAILED);
}

/** A received ARP packet: `data` behind the Ethernet header. Takes it (arp_rcv). */
export function arpRcv(skb: Skb, dev: NetDevice): void {
  const noArp = (dev.flags & IFF_NOARP) !== 0 || skb.pktType === PACKET_OTHERHOST;
  if (noArp || skb.pktType === PACKET_LOOPBACK || inDevOf(dev) === null) {
    skb.consume();
    return;
  }
  if (skb.length < ARP_LEN || !arpIsEthIp4(skb.view, skb.data)) {
    skb.drop(DROP.PKT_TOO_SMALL);
    return;
  }
  const op = arpOp(skb.view, skb.data);
  if (op !== ARPOP_REQUEST && op !== ARPOP_REPLY) {
    skb.drop(DROP.UNHANDLED_PROTO);
    return;
  }
  arpProcess(ipv4Of(dev.ns), skb, dev, inDevOf(dev)!);
}

/** arp_process. */
function arpProcess(net: Ipv4Net, skb: Skb, dev: NetDevice, inDev: InDevice): void {
  const view = skb.view;
  const off = skb.data;
  const op = arpOp(view, off);
  const sip = arpSpa(view, off);
  const tip = arpTpa(view, off);
  const shaHi = arpShaHi(view, off);
  const shaLo = arpShaLo(view, off);
  const noLocalnet = (net.confAll.routeLocalnet | inDev.conf.routeLocalnet) === 0;
  const dropGratuitous = (net.confAll.dropGratuitousArp | inDev.conf.dropGratuitousArp) !== 0;
  if (tip >>> 28 === 0xe || (tip >>> 24 === 127 && noLocalnet) || (dropGratuitous && sip === tip)) {
    skb.drop(DROP.ARP_IGNORED);
    return;
  }
  if (sip === 0) {
    // Somebody asks whether an address is free (RFC 2131).
    const ours = op === ARPOP_REQUEST && inetAddrType(net.ns, tip) === RTN_LOCAL;
    if (ours && !arpIgnore(net, inDev, sip, tip)) {
      arpSend(dev, ARPOP_REPLY, sip, tip, shaHi, shaLo, shaHi, shaLo);
    }
    skb.consume();
    return;
  }
  if (op === ARPOP_REQUEST && ipRouteInputKey(net.ns, skb, tip, sip, 0, dev, false) === 0) {
    if (answerRequest(net, skb, dev, inDev, sip, tip, shaHi, shaLo)) {
      skb.consume();
      return;
    }
  }
  learn(net, skb, dev, inDev, op, sip, tip, shaHi, shaLo);
  skb.consume();
}

/** Answers a question for an address of ours, or for one that we proxy; true when that settles the packet. */
function answerRequest(
  net: Ipv4Net,
  skb: Skb,
  dev: NetDevice,
  inDev: InDevice,
  sip: number,
  tip: number,
  shaHi: number,
  shaLo: number,
): boolean {
  const dst = skb.dst!;
  if (dst.type === RTN_LOCAL) {
    if (arpIgnore(net, inDev, sip, tip) || arpFilter(net, inDev, sip, tip, dev)) return true;
    if (neighEvent(dev, sip, shaHi, shaLo)) arpSend(dev, ARPOP_REPLY, sip, tip, shaHi, shaLo, shaHi, shaLo);
    return true;
  }
  if (inDev.conf.forwarding === 0 || dst.type !== RTN_UNICAST) return false;
  const proxied = (net.confAll.proxyArp | inDev.conf.proxyArp) !== 0 && dst.dev !== dev;
  const pvlan = inDev.conf.proxyArpPvlan !== 0 && dst.dev === dev && sip !== tip;
  if (!proxied && !pvlan && (dst.dev === dev || !net.proxies.answers(tip, dev))) return false;
  neighEvent(dev, sip, shaHi, shaLo);
  if (skb.pktType === PACKET_HOST || inDev.neighParms.proxyDelay === 0) {
    arpSend(dev, ARPOP_REPLY, sip, tip, shaHi, shaLo, shaHi, shaLo);
  } else {
    const delayNs = net.neighbours.prng.below(inDev.neighParms.proxyDelay) * (SEC / 100);
    const reply = new ProxyReply(dev, sip, tip, shaHi, shaLo);
    net.ns.kernel.sim.schedule(net.ns.kernel.sim.now + delayNs, reply);
  }
  return true;
}

/** A proxy's answer to a broadcast question: sent a little later, so that the owner comes first (pneigh_enqueue). */
class ProxyReply implements EventSink {
  private readonly dev: NetDevice;
  private readonly sip: number;
  private readonly tip: number;
  private readonly shaHi: number;
  private readonly shaLo: number;

  constructor(dev: NetDevice, sip: number, tip: number, shaHi: number, shaLo: number) {
    this.dev = dev;
    this.sip = sip;
    this.tip = tip;
    this.shaHi = shaHi;
    this.shaLo = shaLo;
  }

  onEvent(): void {
    if (!this.dev.isUp) return;
    arpSend(this.dev, ARPOP_REPLY, this.sip, this.tip, this.shaHi, this.shaLo, this.shaHi, this.shaLo);
  }
}

/** The target learns the sender: its entry is made or refreshed as STALE (neigh_event_ns). */
function neighEvent(dev: NetDevice, ip: number, haHi: number, haLo: number): boolean {
  const n = neighCreate(dev.ns, dev, ip);
  if (n === null) return false;
  neighUpdate(n, haHi, haLo, NUD_STALE, NEIGH_UPDATE_F_OVERRIDE);
  return true;
}

/** An answer, or a question for somebody else, updates an entry that is there. */
function learn(
  net: Ipv4Net,
  skb: Skb,
  dev: NetDevice,
  inDev: InDevice,
  op: number,
  sip: number,
  tip: number,
  shaHi: number,
  shaLo: number,
): void {
  let n = neighLookup(net.ns, dev, sip);
  const accept = Math.max(net.confAll.arpAccept, inDev.conf.arpAccept);
  const accepts = accept === 1 || (accept === 2 && inetAddrOnlink(inDev, sip, 0));
  if (n === null && !accepts) return;
  const garp = isGratuitous(net, skb, op, sip, tip, shaHi, shaLo);
  if (n === null && (garp || (op === ARPOP_REPLY && inetAddrType(net.ns, sip) === RTN_UNICAST))) {
    n = neighCreate(net.ns, dev, sip);
  }
  if (n === null) return;
  const unlocked = net.ns.kernel.sim.now > n.updatedNs + (n.parms.locktime * SEC) / 100;
  const state = op !== ARPOP_REPLY || skb.pktType !== PACKET_HOST ? NUD_STALE : NUD_REACHABLE;
  neighUpdate(n, shaHi, shaLo, state, unlocked || garp ? NEIGH_UPDATE_F_OVERRIDE : 0);
}

/** arp_is_garp. */
function isGratuitous(
  net: Ipv4Net,
  skb: Skb,
  op: number,
  sip: number,
  tip: number,
  shaHi: number,
  shaLo: number,
): boolean {
  if (tip !== sip) return false;
  if (op === ARPOP_REPLY) {
    const view = skb.view;
    if (arpThaHi(view, skb.data) !== shaHi || arpThaLo(view, skb.data) !== shaLo) return false;
  }
  return inetAddrType(net.ns, sip) === RTN_UNICAST;
}

/** Whether arp_ignore forbids an answer (arp_ignore): 1 only addresses of this device, 2 also same subnet, 8 none. */
function arpIgnore(net: Ipv4Net, inDev: InDevice, sip: number, tip: number): boolean {
  const mode = Math.max(net.confAll.arpIgnore, inDev.conf.arpIgnore);
  if (mode === 0) return false;
  if (mode === 8) return true;
  if (mode > 3) return false;
  const dst = mode === 2 ? sip : 0;
  return (
    inetConfirmAddr(
      net.ns,
      mode === 3 ? null : inDev,
      dst,
      tip,
      mode === 3 ? RT_SCOPE_LINK : RT_SCOPE_HOST,
    ) === 0
  );
}

/** arp_filter: answer only by the device that leads back to the asker. */
function arpFilter(net: Ipv4Net, inDev: InDevice, sip: number, tip: number, dev: NetDevice): boolean {
  if ((net.confAll.arpFilter | inDev.conf.arpFilter) === 0) return false;
  const back = ipRouteOutput(net.ns, sip, tip, 0, 0);
  return back === null || back.dev !== dev;
}
