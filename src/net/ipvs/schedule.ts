/** Making a connection for a new flow (ip_vs_schedule, ip_vs_sched_persist in net/netfilter/ipvs/ip_vs_core.c). */
import { formatIp4 } from "../../wire/address.ts";
import { IPPROTO_TCP, IPPROTO_UDP } from "../../wire/ipv4.ts";
import { IFF_LOOPBACK } from "../core/net-device.ts";
import type { Skb } from "../core/skb.ts";
import type { IpvsConn } from "./conn.ts";
import type { IpvsNet } from "./ip-vs.ts";
import { FTP_DATA_PORT, FTP_PORT, type IpvsDest, type IpvsService } from "./service.ts";

const SEC = 1_000_000_000;
/** Protocol of the templates of a firewall mark service (IPPROTO_IP). */
const IPPROTO_IP = 0;

const NO_DEST = "no destination available";

/** Why there is no connection: the packet is not to be scheduled, or no destination takes it. */
export const SCHEDULE_IGNORED = 1;
export const SCHEDULE_NO_DEST = 0;

/** The connection, counted as new; or null, and why in `net.ignored`. */
export function scheduleConn(
  net: IpvsNet,
  skb: Skb,
  service: IpvsService,
  protocol: number,
  caddr: number,
  cport: number,
  vaddr: number,
  vport: number,
): IpvsConn | null {
  net.ignored = SCHEDULE_IGNORED;
  if (cport === FTP_DATA_PORT || isLocalReply(net, skb, protocol, caddr, cport, vaddr, vport)) return null;
  net.ignored = SCHEDULE_NO_DEST;
  const { key, options } = service;
  let template: IpvsConn | null = null;
  let dest: IpvsDest | null;
  let dport: number;
  if (options.persistentSec > 0) {
    template = findOrMakeTemplate(net, service, protocol, caddr, cport, vaddr, vport);
    if (template === null) return null;
    dest = template.dest!;
    dport = vport === key.port && dest.port !== 0 ? dest.port : vport;
  } else {
    // A data connection of FTP without helper.
    if (key.fwmark === 0 && vport !== key.port) return null;
    dest = schedule(net, service, caddr, vaddr, cport);
    if (dest === null) return null;
    dport = dest.port !== 0 ? dest.port : vport;
  }
  const onePacket = options.onePacket && protocol === IPPROTO_UDP;
  const params = { protocol, caddr, cport, vaddr, vport, dport, template: false, onePacket };
  const conn = net.conns.create(params, dest);
  if (template !== null) {
    net.conns.attach(conn, template);
    net.conns.touch(template);
  }
  dest.stats.countConn();
  service.stats.countConn();
  net.totals.countConn();
  return conn;
}

/** Null is told the log (ip_vs_scheduler_err). */
function schedule(
  net: IpvsNet,
  service: IpvsService,
  caddr: number,
  vaddr: number,
  cport: number,
): IpvsDest | null {
  const dest = service.sched.schedule(service, caddr, vaddr, cport);
  if (dest !== null) return dest;
  const { fwmark, protocol, addr, port } = service.key;
  const name =
    fwmark === 0
      ? `${protocol === IPPROTO_TCP ? "TCP" : "UDP"} ${formatIp4(addr)}:${port}`
      : `FWM ${fwmark >>> 0} 0x${(fwmark >>> 0).toString(16).padStart(8, "0").toUpperCase()}`;
  const what = service.sched.allOverloaded() ? `${NO_DEST}: all destinations are overloaded` : NO_DEST;
  net.ns.kernel.printkRatelimited(`IPVS: ${service.options.scheduler}: ${name} - ${what}`);
  return null;
}

/** A reply of a real server on this machine must not be scheduled as a request. */
function isLocalReply(
  net: IpvsNet,
  skb: Skb,
  protocol: number,
  saddr: number,
  sport: number,
  daddr: number,
  dport: number,
): boolean {
  if (skb.dev !== null && (skb.dev.flags & IFF_LOOPBACK) === 0) return false;
  return net.conns.findIn(protocol, daddr, dport, saddr, sport) !== null;
}

/** The template of the client's network, made when there is none whose destination still takes connections. */
function findOrMakeTemplate(
  net: IpvsNet,
  service: IpvsService,
  protocol: number,
  caddr: number,
  cport: number,
  vaddr: number,
  vport: number,
): IpvsConn | null {
  const { fwmark, port } = service.key;
  const network = caddr & service.options.netmask;
  const isOwnPort = vport === port;
  const byMark = !isOwnPort && fwmark !== 0;
  const onePort = isOwnPort && port !== FTP_PORT;
  const proto = byMark ? IPPROTO_IP : protocol;
  const taddr = byMark ? fwmark : vaddr;
  const tport = onePort ? vport : 0;
  const known = net.conns.findTemplate(proto, network, taddr, tport);
  if (known !== null && templateServes(net, known)) return known;
  if (known !== null) net.conns.invalidate(known);
  const dest = schedule(net, service, caddr, vaddr, cport);
  if (dest === null) return null;
  const params = {
    protocol: proto,
    caddr: network,
    cport: 0,
    vaddr: taddr,
    vport: tport,
    dport: onePort ? dest.port : 0,
    template: true,
    onePacket: false,
  };
  const template = net.conns.create(params, dest);
  template.timeoutNs = service.options.persistentSec * SEC;
  return template;
}

/** ip_vs_check_template */
function templateServes(net: IpvsNet, template: IpvsConn): boolean {
  const dest = template.dest;
  if (dest === null || !dest.available) return false;
  return net.sysctl.expireQuiescentTemplate === 0 || dest.weight > 0;
}
