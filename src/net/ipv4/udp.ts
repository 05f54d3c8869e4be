/** Receiving UDP (udp_rcv, udp_queue_rcv_skb, __udp4_lib_err in net/ipv4/udp.c). */
import {
  ICMP_DEST_UNREACH,
  ICMP_FRAG_NEEDED,
  ICMP_PARAMETERPROB,
  ICMP_PORT_UNREACH,
  ICMP_REDIRECT,
  ICMP_SOURCE_QUENCH,
} from "../../wire/icmp.ts";
import { IPPROTO_UDP, ipDaddr, ipHeaderLen, ipSaddr, ipTtl } from "../../wire/ipv4.ts";
import { UDP_HLEN, udpDport, udpLen, udpSport } from "../../wire/udp.ts";
import { DROP } from "../core/drop-reason.ts";
import { RTN_BROADCAST, RTN_MULTICAST } from "../core/dst.ts";
import type { NetNs } from "../core/net-ns.ts";
import { IP_CT_NEW, type Skb } from "../core/skb.ts";
import { skbChecksumOk } from "../core/skb-checksum.ts";
import { TRACE_LOCAL } from "../core/trace.ts";
import { icmpSend } from "./icmp.ts";
import type { NetProtocol } from "./ipv4-net.ts";
import { ipv4UpdatePmtu } from "./route-pmtu.ts";
import { ipv4Redirect } from "./route-redirect.ts";
import { ICMP_ERR_ERRNO, ICMP_ERR_FATAL, IP_PMTUDISC_DONT, skbTruesize, TCP_ESTABLISHED } from "./sock.ts";
import { type UdpNet, udpNetOf } from "./udp-net.ts";
import type { UdpSock } from "./udp-sock.ts";

/** Gives a packet to a socket: its tunnel handler, or its queue. Takes the packet. */
function udpQueueRcvSkb(sk: UdpSock, skb: Skb, net: UdpNet): void {
  if (sk.encapRcv !== null && sk.encapRcv(sk, skb)) return;
  const truesize = skbTruesize(skb.tail - skb.transOff);
  if (sk.rmemAlloc + truesize > sk.rcvBuf && sk.rmemAlloc > 0) {
    net.rcvbufErrors++;
    net.inErrors++;
    skb.drop(DROP.SOCKET_RCVBUFF);
    return;
  }
  if (skb.trace !== null) skb.trace.add(TRACE_LOCAL, 0, 0, sk);
  net.inDatagrams++;
  sk.rmemAlloc += truesize;
  skb.cb0 = truesize;
  sk.receiveQueue.push(skb);
  sk.wq.wake();
}

/** A copy for every socket that listens to the group or broadcast (__udp4_lib_mcast_deliver). Takes the packet. */
function udpMcastDeliver(net: UdpNet, skb: Skb, saddr: number, daddr: number): void {
  const sport = udpSport(skb.view, skb.transOff);
  const dport = udpDport(skb.view, skb.transOff);
  let sk = net.nextMatch(null, saddr, sport, daddr, dport, skb.dev);
  while (sk !== null) {
    const next = net.nextMatch(sk, saddr, sport, daddr, dport, skb.dev);
    if (next === null) {
      udpQueueRcvSkb(sk as UdpSock, skb, net);
      return;
    }
    udpQueueRcvSkb(sk as UdpSock, skb.clone(), net);
    sk = next;
  }
  skb.drop(DROP.NO_SOCKET);
}

/** A UDP packet for this machine: `data` at its header. Takes the packet. */
function udpRcv(ns: NetNs, skb: Skb): void {
  const net = udpNetOf(ns);
  const view = skb.view;
  const off = skb.data;
  skb.transOff = off;
  const len = skb.tail - off >= UDP_HLEN ? udpLen(view, off) : 0;
  if (len < UDP_HLEN || len > skb.tail - off) {
    net.inErrors++;
    skb.drop(DROP.PKT_TOO_SMALL);
    return;
  }
  if (skb.tail !== off + len) {
    // Whoever found the checksum right summed up what is cut off now (pskb_trim_rcsum).
    skb.tail = off + len;
    skb.csumLevel = 0;
  }
  if (!skbChecksumOk(skb, skb.netOff, off, len)) {
    net.inErrors++;
    skb.drop(DROP.BAD_CSUM);
    return;
  }
  const saddr = ipSaddr(view, skb.netOff);
  const daddr = ipDaddr(view, skb.netOff);
  const type = skb.dst === null ? 0 : skb.dst.type;
  if (type === RTN_BROADCAST || type === RTN_MULTICAST) {
    udpMcastDeliver(net, skb, saddr, daddr);
    return;
  }
  const sk = net.lookup(saddr, udpSport(view, off), daddr, udpDport(view, off), skb.dev);
  if (sk !== null) {
    udpQueueRcvSkb(sk as UdpSock, skb, net);
    return;
  }
  net.noPorts++;
  // The error is about a packet that has arrived: it is tracked by what it quotes (nf_reset_ct in __udp4_lib_rcv).
  skb.ct = null;
  skb.ctInfo = IP_CT_NEW;
  icmpSend(ns, skb, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0);
  skb.drop(DROP.NO_SOCKET);
}

/** An ICMP error about a datagram sent from here; `data` at the quoted IP header. */
function udpErr(ns: NetNs, skb: Skb, type: number, code: number, info: number): void {
  const view = skb.view;
  const ip = skb.data;
  const off = ip + ipHeaderLen(view, ip);
  const sk = udpNetOf(ns).lookup(
    ipDaddr(view, ip),
    udpDport(view, off),
    ipSaddr(view, ip),
    udpSport(view, off),
    skb.dev,
  ) as UdpSock | null;
  if (sk === null || sk.encapRcv !== null) {
    tunnelErr(ns, skb, type, code, info);
    return;
  }
  if (type === ICMP_REDIRECT) ipv4Redirect(ns, skb, code, info);
  if (type === ICMP_REDIRECT || type === ICMP_SOURCE_QUENCH) return;
  let hard = type === ICMP_PARAMETERPROB;
  let errno = hard ? ("EIO" as const) : ("EHOSTUNREACH" as ReturnType<typeof errnoOf>);
  if (type === ICMP_DEST_UNREACH) {
    if (code === ICMP_FRAG_NEEDED) {
      ipv4UpdatePmtu(ns, skb, info, sk.state === TCP_ESTABLISHED);
      if (sk.pmtuDisc === IP_PMTUDISC_DONT) return;
      errno = "EMSGSIZE";
      hard = true;
    } else {
      errno = errnoOf(code);
      hard = ((ICMP_ERR_FATAL >> code) & 1) !== 0;
    }
  }
  if (!sk.recvErr && (!hard || sk.state !== TCP_ESTABLISHED)) return;
  sk.err = errno;
  const outer = skb.netOff;
  const dport = udpDport(view, off);
  sk.pushError({ errno, type, code, info, offender: ipSaddr(view, outer), ttl: ipTtl(view, outer), dport });
}

/**
 * An error about a packet of a tunnel, whose own socket is the one of the port it was sent to (__udp4_lib_err_encap):
 * only the path MTU is taken from it, and another gateway.
 */
function tunnelErr(ns: NetNs, skb: Skb, type: number, code: number, info: number): void {
  const tooBig = type === ICMP_DEST_UNREACH && code === ICMP_FRAG_NEEDED;
  if (!tooBig && type !== ICMP_REDIRECT) return;
  const view = skb.view;
  const ip = skb.data;
  const off = ip + ipHeaderLen(view, ip);
  const sk = udpNetOf(ns).lookup(
    ipDaddr(view, ip),
    udpSport(view, off),
    ipSaddr(view, ip),
    udpDport(view, off),
    skb.dev,
  ) as UdpSock | null;
  if (sk === null || sk.encapRcv === null) return;
  if (tooBig) ipv4UpdatePmtu(ns, skb, info);
  else ipv4Redirect(ns, skb, code, info);
}

function errnoOf(code: number): (typeof ICMP_ERR_ERRNO)[number] {
  return ICMP_ERR_ERRNO[code] ?? "EHOSTUNREACH";
}

/** UDP as the IP layer calls it. */
export function udpProtocol(ns: NetNs): NetProtocol {
  return {
    rcv: (skb) => udpRcv(ns, skb),
    err: (skb, type, code, info) => udpErr(ns, skb, type, code, info),
  };
}

/** Protocol number, for the registration. */
export const UDP_PROTOCOL = IPPROTO_UDP;
