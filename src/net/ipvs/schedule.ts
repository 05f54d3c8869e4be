/** Making a connection for a new flow (ip_vs_schedule, ip_vs_sched_persist in net/netfilter/ipvs/ip_vs_core.c). */
import { IPPROTO_UDP } from "../../wire/ipv4.ts";
import type { IpvsConn } from "./conn.ts";
import type { IpvsNet } from "./ip-vs.ts";
import type { IpvsDest, IpvsService } from "./service.ts";

const SEC = 1_000_000_000;
/** Protocol of the templates of a firewall mark service (IPPROTO_IP). */
const IPPROTO_IP = 0;

/** The connection, or null when no destination takes it. */
export function scheduleConn(
  net: IpvsNet,
  service: IpvsService,
  protocol: number,
  caddr: number,
  cport: number,
  vaddr: number,
  vport: number,
): IpvsConn | null {
  let template: IpvsConn | null = null;
  let dest: IpvsDest | null;
  if (service.options.persistentSec > 0) {
    template = findOrMakeTemplate(net, service, protocol, caddr, cport, vaddr, vport);
    dest = template === null ? null : template.dest;
  } else {
    dest = service.sched.schedule(service, caddr, vaddr, cport);
  }
  if (dest === null) return null;
  const dport = dest.port !== 0 ? dest.port : vport;
  const onePacket = service.options.onePacket && protocol === IPPROTO_UDP;
  const params = { protocol, caddr, cport, vaddr, vport, dport, template: false, onePacket };
  const conn = net.conns.create(params, dest);
  if (template !== null) {
    net.conns.attach(conn, template);
    template.timeoutNs = service.options.persistentSec * SEC;
    net.conns.touch(template);
  }
  return conn;
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
  const proto = fwmark !== 0 ? IPPROTO_IP : protocol;
  const taddr = fwmark !== 0 ? fwmark : vaddr;
  const tport = fwmark !== 0 || port === 0 ? 0 : vport;
  const known = net.conns.findTemplate(proto, network, taddr, tport);
  if (known !== null && templateServes(net, known)) return known;
  if (known !== null) net.conns.invalidate(known);
  const dest = service.sched.schedule(service, caddr, vaddr, cport);
  if (dest === null) return null;
  const dport = tport === 0 ? 0 : dest.port !== 0 ? dest.port : vport;
  const params = {
    protocol: proto,
    caddr: network,
    cport: 0,
    vaddr: taddr,
    vport: tport,
    dport,
    template: true,
    onePacket: false,
  };
  return net.conns.create(params, dest);
}

/** ip_vs_check_template */
function templateServes(net: IpvsNet, template: IpvsConn): boolean {
  const dest = template.dest;
  if (dest === null || !dest.available) return false;
  return net.sysctl.expireQuiescentTemplate === 0 || dest.weight > 0;
}
