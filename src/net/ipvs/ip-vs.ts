/** The state of IPVS in a namespace (struct netns_ipvs in include/net/ip_vs.h, net/netfilter/ipvs/ip_vs_ctl.c). */
import { Timer } from "../../sim/timer.ts";
import { IPPROTO_TCP } from "../../wire/ipv4.ts";
import type { HookEntry } from "../core/hooks.ts";
import type { NetNs } from "../core/net-ns.ts";
import { ConnTable } from "./conn.ts";
import { Defense } from "./defense.ts";
import { DestTrash } from "./dest-trash.ts";
import { FTP_DATA_PORT, FTP_PORT, IP_VS_CONN_F_MASQ, type IpvsService, type ServiceKey } from "./service.ts";
import { type Estimator, IpvsStats } from "./stats.ts";

const FIRST_USER_PORT = 1024;

/** net.ipv4.vs.*, those that change what packets do. */
export interface IpvsSysctls {
  conntrack: number;
  connReuseMode: number;
  expireNodestConn: number;
  expireQuiescentTemplate: number;
  snatReroute: number;
  sloppyTcp: number;
  natIcmpSend: number;
  scheduleIcmp: number;
  pmtuDisc: number;
}

/** IPVS of one namespace (struct netns_ipvs). */
export class IpvsNet {
  readonly ns: NetNs;
  readonly services: IpvsService[] = [];
  /** Deleted destinations (dest_trash). */
  readonly trash: DestTrash;
  /** Ends connections whose destination was deleted (expire_nodest_conn_work). */
  readonly nodestTimer: Timer;
  readonly conns: ConnTable;
  readonly estimator: Estimator;
  readonly defense = new Defense();
  readonly totals: IpvsStats;
  readonly sysctl: IpvsSysctls = {
    conntrack: 0,
    connReuseMode: 1,
    expireNodestConn: 0,
    expireQuiescentTemplate: 0,
    snatReroute: 1,
    sloppyTcp: 0,
    natIcmpSend: 0,
    scheduleIcmp: 0,
    pmtuDisc: 1,
  };
  /** `ipvsadm --set`: seconds of ESTABLISHED, FIN_WAIT and UDP. */
  readonly timeoutsSec = { tcp: 900, tcpFin: 120, udp: 300 };
  /** Number of services by kind, so that a packet asks only where one can be (fwm_services, num_services). */
  fwmarkServices = 0;
  addressServices = 0;
  /** Why the last packet was not scheduled (schedule.ts). */
  ignored = 0;
  /** Registered while there is a service. */
  hookEntries: readonly HookEntry[] = [];

  constructor(ns: NetNs, estimator: Estimator) {
    this.ns = ns;
    this.estimator = estimator;
    this.totals = new IpvsStats(estimator);
    this.conns = new ConnTable(this);
    this.trash = new DestTrash(ns.kernel.sim);
    this.nodestTimer = new Timer(ns.kernel.sim, () => this.conns.expireNodest());
  }

  /** The service of exactly that key. */
  find(key: ServiceKey): IpvsService | null {
    for (const service of this.services) {
      const other = service.key;
      if (other.fwmark !== key.fwmark) continue;
      if (
        key.fwmark !== 0 ||
        (other.protocol === key.protocol && other.addr === key.addr && other.port === key.port)
      )
        return service;
    }
    return null;
  }

  /**
   * The service that a packet asks for (ip_vs_service_find): by mark if it carries one, then by protocol, address and
   * port, then the persistent service of port 0.
   */
  match(mark: number, protocol: number, addr: number, port: number): IpvsService | null {
    const list = this.services;
    if (mark !== 0 && this.fwmarkServices > 0)
      for (let i = 0; i < list.length; i++) if (list[i].key.fwmark === mark) return list[i];
    if (this.addressServices === 0) return null;
    let ftp: IpvsService | null = null;
    let anyPort: IpvsService | null = null;
    for (let i = 0; i < list.length; i++) {
      const key = list[i].key;
      if (key.fwmark !== 0 || key.protocol !== protocol || key.addr !== addr) continue;
      if (key.port === port) return list[i];
      if (key.port === FTP_PORT) ftp = list[i];
      if (key.port === 0) anyPort = list[i];
    }
    return ftp !== null && this.mayBeFtpData(protocol, port) ? ftp : anyPort;
  }

  /** A port that needs no privilege may be one that an FTP server named. */
  private mayBeFtpData(protocol: number, port: number): boolean {
    return protocol === IPPROTO_TCP && (port === FTP_DATA_PORT || port >= FIRST_USER_PORT);
  }

  /** Whether an address and port is a masqueraded real server of some service (ip_vs_has_real_service). */
  hasRealServer(protocol: number, addr: number, port: number): boolean {
    for (const { key, dests } of this.services) {
      if (key.fwmark === 0 && key.protocol !== protocol) continue;
      for (const dest of dests)
        if (dest.addr === addr && dest.port === port && dest.method === IP_VS_CONN_F_MASQ) return true;
    }
    return false;
  }
}

/** IPVS state of a namespace; `ipvsInit` made it. */
export function ipvsOf(ns: NetNs): IpvsNet {
  return ns.ipvs as IpvsNet;
}
