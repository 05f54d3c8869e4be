/**
 * The connection table (net/netfilter/ipvs/ip_vs_conn.c). A connection is found from the client's side (client, virtual
 * address) and from the server's (client, real address) under one hash of protocol and client.
 */
import { Timer } from "../../sim/timer.ts";
import { hash3 } from "../../util/hash.ts";
import { HashIndex } from "../../util/hash-index.ts";
import { dropConntrackOf } from "./conntrack.ts";
import type { IpvsNet } from "./ip-vs.ts";
import { type ForwardMethod, IP_VS_CONN_F_MASQ, type IpvsDest } from "./service.ts";
import { JIFFY_NS, jiffiesOf, jiffiesToNs, wheelExpiryNs } from "./timer-wheel.ts";

const SEC = 1_000_000_000;
/** Until the first packet has set a state. */
const INITIAL_TIMEOUT_NS = 3 * SEC;
/** A template that expires while connections refer to it waits on. */
const CONTROLLED_TIMEOUT_NS = 60 * SEC;

/** Ports of a template that is no longer valid. */
const INVALID_PORT = 0xffff;

export class IpvsConn {
  readonly net: IpvsNet;
  readonly id: number;
  protocol = 0;
  /** Client, virtual service, real server: int32 addresses. */
  caddr = 0;
  cport = 0;
  vaddr = 0;
  vport = 0;
  daddr = 0;
  dport = 0;
  dest: IpvsDest | null = null;
  /** That of the destination when the connection was made; a later change does not concern it. */
  method: ForwardMethod = IP_VS_CONN_F_MASQ;
  /** State number of the protocol (ip-vs-proto.ts). */
  state = 0;
  timeoutNs = INITIAL_TIMEOUT_NS;
  /** IP_VS_CONN_F_INACTIVE, _NOOUTPUT, _NFCT, _TEMPLATE, _ONE_PACKET. */
  inactive = true;
  noOutput = false;
  nfct = false;
  template = false;
  onePacket = false;
  /** The persistence template that this one obeys, and how many obey this one. */
  control: IpvsConn | null = null;
  controlled = 0;
  hash = 0;
  /** Counts up with each connection made. */
  serial = 0;
  /** When it should end; its timer may fire later. */
  expiresNs = 0;
  readonly timer: Timer;

  constructor(net: IpvsNet, id: number) {
    this.net = net;
    this.id = id;
    this.timer = new Timer(net.ns.kernel.sim, () => net.conns.expired(this));
  }

  get masquerades(): boolean {
    return this.method === IP_VS_CONN_F_MASQ;
  }
}

/** What names a new connection. */
export interface ConnParams {
  protocol: number;
  caddr: number;
  cport: number;
  vaddr: number;
  vport: number;
  dport: number;
  template: boolean;
  onePacket: boolean;
}

export class ConnTable {
  private readonly net: IpvsNet;
  private readonly index = new HashIndex(64);
  private readonly conns: (IpvsConn | null)[] = [];
  private readonly free: IpvsConn[] = [];
  private readonly key: number;
  private serial = 0;

  constructor(net: IpvsNet) {
    this.net = net;
    this.key = net.ns.kernel.hashKey;
  }

  get size(): number {
    return this.index.size;
  }

  /** All connections and templates, oldest slot first. */
  list(): IpvsConn[] {
    return this.conns.filter((conn): conn is IpvsConn => conn !== null);
  }

  /**
   * The connection of a request (ip_vs_conn_in_get), the newest of equal ones. Templates are not found here, as they have
   * the client port 0, and that is why a client of port 0 is never found.
   */
  findIn(protocol: number, caddr: number, cport: number, vaddr: number, vport: number): IpvsConn | null {
    if (cport === 0) return null;
    const hash = this.hashOf(protocol, caddr, cport);
    let found: IpvsConn | null = null;
    for (let slot = this.index.first(hash); slot >= 0; slot = this.index.next(slot, hash)) {
      const conn = this.conns[this.index.id(slot)]!;
      if (conn.cport !== cport || conn.vport !== vport || conn.caddr !== caddr || conn.vaddr !== vaddr)
        continue;
      if (conn.protocol === protocol && (found === null || conn.serial > found.serial)) found = conn;
    }
    return found;
  }

  /** The connection of a reply from `saddr:sport` to the client (ip_vs_conn_out_get), the newest of equal ones. */
  findOut(protocol: number, saddr: number, sport: number, caddr: number, cport: number): IpvsConn | null {
    const hash = this.hashOf(protocol, caddr, cport);
    let found: IpvsConn | null = null;
    for (let slot = this.index.first(hash); slot >= 0; slot = this.index.next(slot, hash)) {
      const conn = this.conns[this.index.id(slot)]!;
      if (conn.protocol !== protocol || conn.cport !== cport || conn.caddr !== caddr || conn.template)
        continue;
      const masq = conn.masquerades;
      if ((masq ? conn.daddr : conn.vaddr) !== saddr || (masq ? conn.dport : conn.vport) !== sport) continue;
      if (found === null || conn.serial > found.serial) found = conn;
    }
    return found;
  }

  /** A persistence template (ip_vs_ct_in_get). */
  findTemplate(protocol: number, caddr: number, vaddr: number, vport: number): IpvsConn | null {
    const hash = this.hashOf(protocol, caddr, 0);
    for (let slot = this.index.first(hash); slot >= 0; slot = this.index.next(slot, hash)) {
      const conn = this.conns[this.index.id(slot)]!;
      if (
        conn.template &&
        conn.protocol === protocol &&
        conn.caddr === caddr &&
        conn.vaddr === vaddr &&
        conn.vport === vport
      )
        return conn;
    }
    return null;
  }

  /**
   * Makes a connection bound to `dest` (ip_vs_conn_new). It is hashed unless it is for one packet; its timer runs from
   * {@link touch} on.
   */
  create(params: ConnParams, dest: IpvsDest): IpvsConn {
    const conn = this.free.pop() ?? new IpvsConn(this.net, this.conns.push(null) - 1);
    this.conns[conn.id] = conn;
    conn.protocol = params.protocol;
    conn.caddr = params.caddr;
    conn.cport = params.cport;
    conn.vaddr = params.vaddr;
    conn.vport = params.vport;
    conn.daddr = dest.addr;
    conn.dport = params.dport;
    conn.template = params.template;
    conn.onePacket = params.onePacket;
    conn.dest = dest;
    conn.method = dest.method;
    conn.state = 0;
    conn.timeoutNs = INITIAL_TIMEOUT_NS;
    conn.inactive = true;
    conn.noOutput = dest.method !== IP_VS_CONN_F_MASQ;
    conn.nfct = this.net.sysctl.conntrack !== 0;
    conn.control = null;
    conn.controlled = 0;
    conn.serial = ++this.serial;
    conn.hash = this.hashOf(conn.protocol, conn.caddr, conn.cport);
    if (conn.template) dest.persistConns++;
    else dest.inactConns++;
    const { upperThreshold } = dest;
    if (upperThreshold !== 0 && dest.activeConns + dest.inactConns >= upperThreshold) dest.overloaded = true;
    if (!conn.onePacket) this.index.add(conn.hash, conn.id);
    return conn;
  }

  /** Restarts the timer (ip_vs_conn_put); one for one packet ends. */
  touch(conn: IpvsConn): void {
    if (conn.onePacket) this.expire(conn);
    else this.arm(conn, conn.timeoutNs);
  }

  /** At the next tick (ip_vs_conn_expire_now). */
  expireNow(conn: IpvsConn): void {
    if (conn.timer.armed && jiffiesOf(conn.expiresNs) > jiffiesOf(this.net.ns.kernel.sim.now))
      this.arm(conn, 0);
  }

  /** Puts `conn` under a template. */
  attach(conn: IpvsConn, template: IpvsConn): void {
    conn.control = template;
    template.controlled++;
  }

  /** The timer came up (ip_vs_conn_expire): one that controls others stays. */
  expired(conn: IpvsConn): void {
    if (this.conns[conn.id] === conn) this.expire(conn);
  }

  private expire(conn: IpvsConn): void {
    if (conn.controlled > 0) {
      conn.timeoutNs = CONTROLLED_TIMEOUT_NS;
      this.arm(conn, conn.timeoutNs);
      return;
    }
    conn.timer.cancel();
    this.conns[conn.id] = null;
    if (conn.control !== null) {
      conn.control.controlled--;
      conn.control = null;
    }
    if (!conn.onePacket) {
      this.index.remove(conn.hash, conn.id);
      if (conn.nfct && !conn.template) dropConntrackOf(conn);
    }
    this.unbind(conn);
    // A record of what happened to its packet may still refer to it.
    if (!conn.onePacket) this.free.push(conn);
  }

  private arm(conn: IpvsConn, delayNs: number): void {
    const { now } = this.net.ns.kernel.sim;
    const delayJiffies = delayNs / JIFFY_NS;
    conn.expiresNs = jiffiesToNs(jiffiesOf(now) + delayJiffies);
    // A real far timer fires some seconds late; how many depends on when the machine was booted, so here none.
    conn.timer.armAt(delayJiffies === 0 ? wheelExpiryNs(now, 0) : conn.expiresNs);
  }

  /** A template that serves no longer is found no more, and stays for those that obey it (ip_vs_check_template). */
  invalidate(template: IpvsConn): void {
    template.vport = INVALID_PORT;
    template.dport = INVALID_PORT;
  }

  /** Ends the connections of deleted destinations, and templates that served only those (ip_vs_expire_nodest_conn_flush). */
  expireNodest(): void {
    for (const conn of this.list()) {
      if (conn.dest === null || conn.dest.available || conn.controlled > 0) continue;
      const template = conn.control;
      this.expire(conn);
      if (template !== null && template.controlled === 0) this.expire(template);
    }
  }

  private unbind(conn: IpvsConn): void {
    const dest = conn.dest;
    conn.dest = null;
    if (dest === null) return;
    if (conn.template) dest.persistConns--;
    else if (conn.inactive) dest.inactConns--;
    else dest.activeConns--;
    if (dest.overloaded) dest.overloaded = staysOverloaded(dest);
  }

  private hashOf(protocol: number, caddr: number, cport: number): number {
    return hash3(protocol, caddr, cport, this.key);
  }
}

/** Whether an overloaded destination still is when a connection has gone (ip_vs_unbind_dest). */
function staysOverloaded({ activeConns, inactConns, upperThreshold, lowerThreshold }: IpvsDest): boolean {
  const total = activeConns + inactConns;
  if (lowerThreshold !== 0) return total >= lowerThreshold;
  return upperThreshold !== 0 && total * 4 >= upperThreshold * 3;
}
