/** Virtual services and their destinations (struct ip_vs_service, struct ip_vs_dest in include/net/ip_vs.h). */
import type { Dst } from "../core/dst.ts";
import type { SchedulerName, SchedulerState } from "./schedulers.ts";
import { type Estimator, IpvsStats } from "./stats.ts";

/** Forwarding methods (IP_VS_CONN_F_FWD_MASK). */
export const IP_VS_CONN_F_MASQ = 0;
export const IP_VS_CONN_F_LOCALNODE = 1;
export const IP_VS_CONN_F_TUNNEL = 2;
export const IP_VS_CONN_F_DROUTE = 3;
export type ForwardMethod = 0 | 1 | 2 | 3;

/** A service on it gets the data connections of passive FTP too. */
export const FTP_PORT = 21;
export const FTP_DATA_PORT = 20;

/** What names a service: a firewall mark, or protocol, address and port. */
export interface ServiceKey {
  /** Non-zero: a firewall mark service; the other fields are 0 then. */
  readonly fwmark: number;
  readonly protocol: number;
  readonly addr: number;
  readonly port: number;
}

/** Options of a service beside its key. */
export interface ServiceOptions {
  scheduler: SchedulerName;
  /** Persistence in seconds; 0 is off. */
  persistentSec: number;
  /** Mask of the client's address for persistence, int32; -1 is /32. */
  netmask: number;
  /** `-o`: one-packet scheduling of UDP. */
  onePacket: boolean;
  /** `-b sh-port`, `-b sh-fallback`. */
  shPort: boolean;
  shFallback: boolean;
}

export class IpvsDest {
  service: IpvsService;
  readonly addr: number;
  /** 0 keeps the port of the packet. */
  readonly port: number;
  weight = 0;
  method: ForwardMethod = IP_VS_CONN_F_MASQ;
  /** Upper and lower connection threshold; 0 is none. */
  upperThreshold = 0;
  lowerThreshold = 0;
  /** IP_VS_DEST_F_AVAILABLE: still in its service; IP_VS_DEST_F_OVERLOAD. */
  available = true;
  overloaded = false;
  activeConns = 0;
  inactConns = 0;
  persistConns = 0;
  /**
   * The way there as it was last looked up (dest_dst), null when it must be again. Who looked it up for direct routing
   * said that the next hop is the address that was asked for; all use it as it is then.
   */
  route: Dst | null = null;
  routeKnowsHop = false;
  readonly stats: IpvsStats;

  constructor(service: IpvsService, addr: number, port: number, estimator: Estimator) {
    this.service = service;
    this.addr = addr;
    this.port = port;
    this.stats = new IpvsStats(estimator);
  }
}

export class IpvsService {
  readonly key: ServiceKey;
  readonly options: ServiceOptions;
  /** The kernel's list: the destination added last is the first. */
  readonly dests: IpvsDest[] = [];
  sched: SchedulerState;
  readonly stats: IpvsStats;

  constructor(key: ServiceKey, options: ServiceOptions, sched: SchedulerState, estimator: Estimator) {
    this.key = key;
    this.options = options;
    this.sched = sched;
    this.stats = new IpvsStats(estimator);
  }
}
