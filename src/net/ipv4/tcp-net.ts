/**
 * TCP of one namespace: connections by their four numbers (inet_hashinfo's ehash), listeners by port, sysctls and
 * counters (struct netns_ipv4 sysctl_tcp_*, TcpExt).
 */
import { SysError } from "../../util/errors.ts";
import { hash3 } from "../../util/hash.ts";
import type { NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import { IntSysctls, type SysctlProvider } from "../core/sysctl.ts";
import { ipv4Of } from "./ipv4-net.ts";
import { type Sock, sockOf } from "./sock.ts";
import type { TcpSock } from "./tcp-sock.ts";

const FIRST_BUCKETS = 256;
const LISTEN_BUCKETS = 64;

/** Three sizes in bytes: least, default, most (tcp_rmem, tcp_wmem). */
export type MemoryLimits = [number, number, number];

export class TcpNet {
  readonly ns: NetNs;
  rmem: MemoryLimits = [4096, 131072, 6291456];
  wmem: MemoryLimits = [4096, 16384, 4194304];
  synRetries = 6;
  synackRetries = 5;
  retries1 = 3;
  retries2 = 15;
  orphanRetries = 0;
  finTimeoutSec = 60;
  timestamps = 1;
  sack = 1;
  earlyDemux = 1;
  dsack = 1;
  ecn = 2;
  fwmarkAccept = 0;
  ecnFallback = 1;
  windowScaling = 1;
  moderateRcvbuf = 1;
  maxSynBacklog = 128;
  somaxconn = 4096;
  abortOnOverflow = 0;
  keepaliveTimeSec = 7200;
  keepaliveProbes = 9;
  keepaliveIntvlSec = 75;
  twReuse = 2;
  slowStartAfterIdle = 1;
  /** Segments sent, received, retransmitted; resets sent; errors: as in /proc/net/snmp. */
  activeOpens = 0;
  passiveOpens = 0;
  attemptFails = 0;
  estabResets = 0;
  inSegs = 0;
  outSegs = 0;
  retransSegs = 0;
  inErrs = 0;
  outRsts = 0;
  listenOverflows = 0;
  private ehash: (Sock | null)[] = new Array<Sock | null>(FIRST_BUCKETS).fill(null);
  private count = 0;
  private readonly listeners: (Sock | null)[] = new Array<Sock | null>(LISTEN_BUCKETS).fill(null);
  private readonly key: number;

  constructor(ns: NetNs) {
    this.ns = ns;
    this.key = sockOf(ns).key;
  }

  private bucket(saddr: number, daddr: number, sport: number, dport: number): number {
    return hash3(saddr, daddr, (sport << 16) | dport, this.key) & (this.ehash.length - 1);
  }

  /** The connection, request or TIME-WAIT socket of a packet from `saddr:sport` to `daddr:dport`. */
  lookupEstablished(saddr: number, sport: number, daddr: number, dport: number): Sock | null {
    let sk = this.ehash[this.bucket(daddr, saddr, dport, sport)];
    while (sk !== null) {
      if (sk.dport === sport && sk.sport === dport && sk.daddr === saddr && sk.saddr === daddr) return sk;
      sk = sk.hashNext;
    }
    return null;
  }

  /** The best listener for `daddr:dport`: address and device given beat any. */
  lookupListener(daddr: number, dport: number, dev: NetDevice | null): TcpSock | null {
    let best: Sock | null = null;
    let bestScore = -1;
    for (let sk = this.listeners[dport & (LISTEN_BUCKETS - 1)]; sk !== null; sk = sk.hashNext) {
      if (sk.sport !== dport || (sk.rcvSaddr !== 0 && sk.rcvSaddr !== daddr)) continue;
      if (sk.boundDev !== null && sk.boundDev !== dev) continue;
      const score = (sk.rcvSaddr !== 0 ? 2 : 0) + (sk.boundDev !== null ? 1 : 0);
      if (score <= bestScore) continue;
      best = sk;
      bestScore = score;
    }
    return best as TcpSock | null;
  }

  hash(sk: Sock): void {
    if (this.count++ >= this.ehash.length) this.grow();
    const i = this.bucket(sk.saddr, sk.daddr, sk.sport, sk.dport);
    sk.hashNext = this.ehash[i];
    this.ehash[i] = sk;
  }

  /** Takes a socket out; nothing when it is not in. */
  unhash(sk: Sock): void {
    if (removeFrom(this.ehash, this.bucket(sk.saddr, sk.daddr, sk.sport, sk.dport), sk)) this.count--;
  }

  hashListener(sk: TcpSock): void {
    const i = sk.sport & (LISTEN_BUCKETS - 1);
    sk.hashNext = this.listeners[i];
    this.listeners[i] = sk;
  }

  unhashListener(sk: TcpSock): void {
    removeFrom(this.listeners, sk.sport & (LISTEN_BUCKETS - 1), sk);
  }

  /** Every listener, then every hashed connection, request and TIME-WAIT socket. */
  sockets(): Sock[] {
    const out: Sock[] = [];
    for (const table of [this.listeners, this.ehash])
      for (const first of table) for (let sk = first; sk !== null; sk = sk.hashNext) out.push(sk);
    return out;
  }

  private grow(): void {
    const old = this.ehash;
    this.ehash = new Array<Sock | null>(old.length * 2).fill(null);
    for (const first of old) {
      let sk = first;
      while (sk !== null) {
        const next = sk.hashNext;
        const i = this.bucket(sk.saddr, sk.daddr, sk.sport, sk.dport);
        sk.hashNext = this.ehash[i];
        this.ehash[i] = sk;
        sk = next;
      }
    }
  }
}

function removeFrom(table: (Sock | null)[], i: number, sk: Sock): boolean {
  let at = table[i];
  if (at === sk) {
    table[i] = sk.hashNext;
    sk.hashNext = null;
    return true;
  }
  while (at !== null && at.hashNext !== sk) at = at.hashNext;
  if (at === null) return false;
  at.hashNext = sk.hashNext;
  sk.hashNext = null;
  return true;
}

/** TCP of `ns`, made on first use. */
export function tcpOf(ns: NetNs): TcpNet {
  const ipv4 = ipv4Of(ns);
  if (ipv4.tcp === null) ipv4.tcp = new TcpNet(ns);
  return ipv4.tcp as TcpNet;
}

/** tcp_rmem and tcp_wmem: three numbers, shown with tabs between. */
class MemorySysctls implements SysctlProvider {
  private readonly net: TcpNet;

  constructor(net: TcpNet) {
    this.net = net;
  }

  names(): string[] {
    return ["net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"];
  }

  get(name: string): string | undefined {
    const limits = this.of(name);
    return limits === null ? undefined : limits.join("\t");
  }

  set(name: string, value: string): boolean {
    const limits = this.of(name);
    if (limits === null) return false;
    const numbers = value.trim().split(/\s+/).map(Number);
    if (numbers.length > 3 || numbers.some((number) => !Number.isInteger(number) || number < 1))
      throw new SysError("EINVAL", `${name} = ${value}`);
    for (let i = 0; i < numbers.length; i++) limits[i] = numbers[i];
    return true;
  }

  private of(name: string): MemoryLimits | null {
    if (name === "net.ipv4.tcp_rmem") return this.net.rmem;
    return name === "net.ipv4.tcp_wmem" ? this.net.wmem : null;
  }
}

/** Registers net.ipv4.tcp_* of the namespace. */
export function tcpRegisterSysctls(ns: NetNs): void {
  const net = tcpOf(ns);
  const max = 0x7fffffff;
  ns.sysctl.register(new MemorySysctls(net));
  ns.sysctl.register(
    new IntSysctls(net, {
      "net.core.somaxconn": ["somaxconn", 0, max],
      "net.ipv4.tcp_syn_retries": ["synRetries", 1, 127],
      "net.ipv4.tcp_synack_retries": ["synackRetries", 0, 255],
      "net.ipv4.tcp_retries1": ["retries1", 0, 255],
      "net.ipv4.tcp_retries2": ["retries2", 0, 255],
      "net.ipv4.tcp_orphan_retries": ["orphanRetries", 0, 255],
      "net.ipv4.tcp_fin_timeout": ["finTimeoutSec", 0, max],
      "net.ipv4.tcp_timestamps": ["timestamps", 0, 2],
      "net.ipv4.tcp_sack": ["sack", 0, 1],
      "net.ipv4.tcp_early_demux": ["earlyDemux", 0, 255],
      "net.ipv4.tcp_dsack": ["dsack", 0, 1],
      "net.ipv4.tcp_ecn": ["ecn", 0, 2],
      "net.ipv4.tcp_fwmark_accept": ["fwmarkAccept", 0, 1],
      "net.ipv4.tcp_ecn_fallback": ["ecnFallback", 0, 1],
      "net.ipv4.tcp_window_scaling": ["windowScaling", 0, 1],
      "net.ipv4.tcp_moderate_rcvbuf": ["moderateRcvbuf", 0, 1],
      "net.ipv4.tcp_max_syn_backlog": ["maxSynBacklog", 1, max],
      "net.ipv4.tcp_abort_on_overflow": ["abortOnOverflow", 0, 1],
      "net.ipv4.tcp_keepalive_time": ["keepaliveTimeSec", 0, max],
      "net.ipv4.tcp_keepalive_probes": ["keepaliveProbes", 0, 255],
      "net.ipv4.tcp_keepalive_intvl": ["keepaliveIntvlSec", 0, max],
      "net.ipv4.tcp_tw_reuse": ["twReuse", 0, 2],
      "net.ipv4.tcp_slow_start_after_idle": ["slowStartAfterIdle", 0, 1],
    }),
  );
}
