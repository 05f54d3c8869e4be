/** The state of IPVS in a namespace (struct netns_ipvs in include/net/ip_vs.h, net/netfilter/ipvs/ip_vs_ctl.c). */
import { Timer } from "../../sim/timer.ts";
import type { HookEntry } from "../core/hooks.ts";
import type { NetNs } from "../core/net-ns.ts";
import { ConnTable } from "./conn.ts";
import { DestTrash } from "./dest-trash.ts";
import type { IpvsService, ServiceKey } from "./service.ts";
import { type Estimator, IpvsStats } from "./stats.ts";

/** net.ipv4.vs.*, those that change what packets do. */
export interface IpvsSysctls {
  conntrack: number;
  connReuseMode: number;
  expireNodestConn: number;
  expireQuiescentTemplate: number;
  snatReroute: number;
  sloppyTcp: number;
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
  readonly totals: IpvsStats;
  readonly sysctl: IpvsSysctls = {
    conntrack: 0,
    connReuseMode: 1,
    expireNodestConn: 0,
    expireQuiescentTemplate: 0,
    snatReroute: 1,
    sloppyTcp: 0,
  };
  /** `ipvsadm --set`: seconds of ESTABLISHED, FIN_WAIT and UDP. */
  readonly timeoutsSec = { tcp: 900, tcpFin: 120, udp: 300 };
  /** Number of services by kind, so that a packet asks only where one can be (fwm_services, num_services). */
  fwmarkServices = 0;
  addressServices = 0;
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
    let anyPort: IpvsService | null = null;
    for (let i = 0; i < list.length; i++) {
      const key = list[i].key;
      if (key.fwmark !== 0 || key.protocol !== protocol || key.addr !== addr) continue;
      if (key.port === port) return list[i];
      if (key.port === 0 && list[i].options.persistentSec > 0) anyPort = list[i];
    }
    return anyPort;
  }
}

/** IPVS state of a namespace; `ipvsInit` made it. */
export function ipvsOf(ns: NetNs): IpvsNet {
  return ns.ipvs as IpvsNet;
}
