/**
 * State of connection tracking in one namespace (struct nf_conntrack_net, nf_conntrack_core.c): the table, timeouts,
 * counters, expiry. The table is empty and no hook runs until somebody needs it (`conntrackEnable`).
 */
import { SEC } from "../../../sim/sim.ts";
import { Timer } from "../../../sim/timer.ts";
import type { NetDevice } from "../../core/net-device.ts";
import type { NetNs } from "../../core/net-ns.ts";
import type { Skb } from "../../core/skb.ts";
import { BySource } from "./by-source.ts";
import {
  Conn,
  IPS_ASSURED,
  IPS_CONFIRMED,
  IPS_DYING,
  IPS_FIXED_TIMEOUT,
  IPS_TEMPLATE,
  NF_CT_DEFAULT_ZONE_DIR,
  NF_CT_ZONE_DIR_ORIG,
  NF_CT_ZONE_DIR_REPL,
} from "./conn.ts";
import { ConnTable } from "./conn-table.ts";
import { ConntrackLimits } from "./conntrack-limits.ts";
import { ConntrackEvents } from "./ecache.ts";
import { Tuple } from "./tuple.ts";

/** Timeouts in seconds by TCP_CONNTRACK_*, then max_retrans and unacknowledged. */
export const TCP_TIMEOUT_RETRANS = 10;
export const TCP_TIMEOUT_UNACK = 11;
const TCP_TIMEOUTS = [0, 120, 60, 432000, 120, 60, 30, 120, 10, 120, 300, 300];

/** By SCTP_CONNTRACK_* and CT_DCCP_*. */
const SCTP_TIMEOUTS = [10, 10, 3, 3, 210, 3, 3, 3, 30];
const DCCP_TIMEOUTS = [240, 240, 480, 480, 43200, 64, 64, 240];

/** Least time between two passes over the table. */
const GC_INTERVAL_NS = SEC;
/** Entries that are looked at for one to sacrifice when the table is full. */
const EARLY_DROP_SCAN = 64;

/** Counters of `conntrack -S` (struct ip_conntrack_stat). */
export class ConntrackStats {
  found = 0;
  invalid = 0;
  insert = 0;
  insertFailed = 0;
  drop = 0;
  earlyDrop = 0;
  error = 0;
  searchRestart = 0;
  clashResolve = 0;
  chainTooLong = 0;
}

export class Conntrack {
  readonly ns: NetNs;
  readonly table: ConnTable;
  readonly bySource: BySource;
  readonly stats = new ConntrackStats();
  readonly events = new ConntrackEvents();
  /** Shared by the namespaces of the kernel. */
  readonly limits: ConntrackLimits;
  /** Scratch tuples of the packet in work and of the one quoted in an ICMP error. */
  readonly tuple = new Tuple();
  readonly inner = new Tuple();
  private readonly templates = new Map<number, Conn>();
  /** Zone of the packet in work, by direction. */
  zone = 0;
  zoneFlags = NF_CT_DEFAULT_ZONE_DIR;
  /** Devices of the packet in work: kept only for the lines of `logInvalid`. */
  inDev: NetDevice | null = null;
  outDev: NetDevice | null = null;
  /** Hooks are registered. */
  enabled = false;
  /** Oldest confirmed entry; the rest follows by `listNext`. */
  head: Conn | null = null;
  private last: Conn | null = null;
  private readonly gc: Timer;
  /** net.netfilter.nf_conntrack_*: times in seconds. */
  readonly tcpTimeouts = TCP_TIMEOUTS.slice();
  readonly sctpTimeouts = SCTP_TIMEOUTS.slice();
  readonly dccpTimeouts = DCCP_TIMEOUTS.slice();
  udpTimeout = 30;
  udpTimeoutStream = 120;
  icmpTimeout = 30;
  genericTimeout = 600;
  /** Has no effect: a flow begins with a Request or not at all. */
  dccpLoose = 1;
  tcpLoose = 1;
  tcpBeLiberal = 0;
  tcpIgnoreInvalidRst = 0;
  tcpMaxRetrans = 3;
  checksum = 1;
  acct = 0;
  logInvalid = 0;

  constructor(ns: NetNs) {
    this.ns = ns;
    const first = ns.kernel.initNs as NetNs | undefined;
    this.limits = first === undefined ? new ConntrackLimits() : conntrackOf(first).limits;
    const key = ns.kernel.prng.stream(`conntrack-hash/${ns.id}`).i32();
    this.table = new ConnTable(key);
    this.bySource = new BySource(key);
    this.gc = new Timer(ns.kernel.sim, () => this.collect());
  }

  get now(): number {
    return this.ns.kernel.sim.now;
  }

  /** Confirmed entries, expired ones that nobody collected yet included. */
  get count(): number {
    return this.table.count;
  }

  /**
   * The live entry that has the tuple in one of its directions, or null; `table.foundDir` tells which. Removes what has
   * expired. Who looks from a zone that is of one direction only sees both: its own and the common one.
   */
  find(tuple: Tuple, zoneOrig = 0, zoneReply = 0): Conn | null {
    const conn = this.findUnder(tuple, zoneOrig, zoneOrig, zoneReply);
    if (conn !== null || zoneOrig === zoneReply) return conn;
    return this.findUnder(tuple, zoneReply, zoneOrig, zoneReply);
  }

  /** The same as the packet in work sees it. */
  findInZone(tuple: Tuple): Conn | null {
    const { zone, zoneFlags } = this;
    if (zone === 0) return this.find(tuple);
    return this.find(
      tuple,
      (zoneFlags & NF_CT_ZONE_DIR_ORIG) === 0 ? 0 : zone,
      (zoneFlags & NF_CT_ZONE_DIR_REPL) === 0 ? 0 : zone,
    );
  }

  /** The same among the entries whose tuple is filed under `zone` alone. */
  findUnder(tuple: Tuple, zone: number, zoneOrig: number, zoneReply: number): Conn | null {
    for (;;) {
      const { src, dst, sport, dport, proto } = tuple;
      const conn = this.table.find(src, dst, sport, dport, proto, zone, zoneOrig, zoneReply);
      if (conn === null || conn.timeoutNs > this.now) return conn;
      this.kill(conn);
    }
  }

  /** What a packet carries that a rule sends into a zone; `flags` are NF_CT_ZONE_DIR_* and NF_CT_FLAG_MARK. */
  template(zone: number, flags: number): Conn {
    const key = (flags << 16) | zone;
    const known = this.templates.get(key);
    if (known !== undefined) return known;
    const made = new Conn(0, 0, 0, 0, 0);
    made.status = IPS_TEMPLATE | IPS_CONFIRMED;
    made.zone = zone;
    made.zoneFlags = flags;
    this.templates.set(key, made);
    return made;
  }

  /** Puts a new entry into the table; its lifetime begins now. `clash`: only its reply can be found. */
  insert(conn: Conn, clash: boolean): void {
    conn.timeoutNs += this.now;
    this.table.insert(conn, clash);
    conn.listPrev = this.last;
    if (this.last === null) this.head = conn;
    else this.last.listNext = conn;
    this.last = conn;
    this.bySource.insert(conn);
    this.expireBy(conn.timeoutNs);
  }

  /** Deletes an entry (nf_ct_kill); a packet that still refers to it finds it dying. False when it was dying before. */
  kill(conn: Conn): boolean {
    if ((conn.status & IPS_DYING) !== 0) return false;
    conn.status |= IPS_DYING;
    if (conn.index < 0) return true;
    if (conn.ecache !== null) this.events.destroyed(conn);
    this.table.remove(conn);
    this.bySource.remove(conn);
    if (conn.listPrev === null) this.head = conn.listNext;
    else conn.listPrev.listNext = conn.listNext;
    if (conn.listNext === null) this.last = conn.listPrev;
    else conn.listNext.listPrev = conn.listPrev;
    conn.listPrev = null;
    conn.listNext = null;
    return true;
  }

  /** Restarts the lifetime of an entry (nf_ct_refresh). */
  refresh(conn: Conn, seconds: number): void {
    if ((conn.status & IPS_FIXED_TIMEOUT) !== 0) return;
    const ns = seconds * SEC;
    if (conn.index < 0) {
      conn.timeoutNs = ns;
      return;
    }
    const atNs = this.now + ns;
    if (atNs < conn.timeoutNs) this.expireBy(atNs);
    conn.timeoutNs = atNs;
  }

  /** Sets the time of expiry, absolute, and sees that it is kept. */
  setTimeout(conn: Conn, atNs: number): void {
    conn.timeoutNs = atNs;
    this.expireBy(atNs);
  }

  /** Deletes every entry for which `doomed` says so (nf_ct_iterate_cleanup); how many. */
  cleanup(doomed: (conn: Conn) => boolean): number {
    let killed = 0;
    for (let conn = this.head; conn !== null; ) {
      const next: Conn | null = conn.listNext;
      if (doomed(conn) && this.kill(conn)) killed++;
      conn = next;
    }
    return killed;
  }

  /** Makes room in a full table by an entry that is not assured (early_drop). False when there is none near. */
  earlyDrop(): boolean {
    let conn = this.head;
    for (let i = 0; i < EARLY_DROP_SCAN && conn !== null; i++) {
      const next: Conn | null = conn.listNext;
      if (conn.timeoutNs <= this.now) return this.kill(conn);
      if ((conn.status & (IPS_ASSURED | IPS_FIXED_TIMEOUT)) === 0) {
        this.stats.earlyDrop++;
        return this.kill(conn);
      }
      conn = next;
    }
    return false;
  }

  /** Removes what has expired and sleeps until the next entry will. */
  private collect(): void {
    let nextNs = Number.POSITIVE_INFINITY;
    for (let conn = this.head; conn !== null; ) {
      const next: Conn | null = conn.listNext;
      if (conn.timeoutNs <= this.now) this.kill(conn);
      else if (conn.timeoutNs < nextNs) nextNs = conn.timeoutNs;
      conn = next;
    }
    if (nextNs !== Number.POSITIVE_INFINITY) this.expireBy(nextNs);
  }

  private expireBy(atNs: number): void {
    if (this.gc.armed && this.gc.expiresNs <= atNs) return;
    const soonest = this.now + GC_INTERVAL_NS;
    this.gc.armAt(atNs < soonest ? soonest : atNs);
  }
}

/** Connection tracking of a namespace; the lab must have run `conntrackInit`. */
export function conntrackOf(ns: NetNs): Conntrack {
  return ns.conntrack as Conntrack;
}

/** The connection of a packet, or null: not tracked yet, invalid, or untracked on purpose (`skb.ctInfo`). */
export function ctOf(skb: Skb): Conn | null {
  return skb.ct as Conn | null;
}
