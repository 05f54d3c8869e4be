/** The UDP socket table of a namespace (struct udp_table): buckets by local port. */
import type { NetDevice } from "../core/net-device.ts";
import type { NetNs } from "../core/net-ns.ts";
import { ipv4Of } from "./ipv4-net.ts";
import { type Sock, sockOf } from "./sock.ts";

const BUCKETS = 256;

export class UdpNet {
  /** net.core.rmem_default, bytes. */
  rmemDefault = 212992;
  inDatagrams = 0;
  noPorts = 0;
  inErrors = 0;
  rcvbufErrors = 0;
  outDatagrams = 0;
  private readonly buckets: (Sock | null)[] = new Array<Sock | null>(BUCKETS).fill(null);
  private readonly ns: NetNs;

  constructor(ns: NetNs) {
    this.ns = ns;
  }

  hash(sk: Sock): void {
    const i = sk.sport & (BUCKETS - 1);
    sk.hashNext = this.buckets[i];
    this.buckets[i] = sk;
  }

  unhash(sk: Sock): void {
    const i = sk.sport & (BUCKETS - 1);
    let at = this.buckets[i];
    if (at === sk) {
      this.buckets[i] = sk.hashNext;
      return;
    }
    while (at !== null && at.hashNext !== sk) at = at.hashNext;
    if (at !== null) at.hashNext = sk.hashNext;
  }

  /** The socket that a datagram is for, best match first (udp4_lib_lookup2 with compute_score), or null. */
  lookup(saddr: number, sport: number, daddr: number, dport: number, dev: NetDevice | null): Sock | null {
    let best: Sock | null = null;
    let bestScore = -1;
    for (let sk = this.buckets[dport & (BUCKETS - 1)]; sk !== null; sk = sk.hashNext) {
      if (sk.sport !== dport) continue;
      const score = udpScore(sk, saddr, sport, daddr, dev);
      if (score > bestScore) {
        best = sk;
        bestScore = score;
      }
    }
    return best;
  }

  /** The next socket after `after` (null: the first) that takes a broadcast or multicast datagram. */
  nextMatch(
    after: Sock | null,
    saddr: number,
    sport: number,
    daddr: number,
    dport: number,
    dev: NetDevice | null,
  ): Sock | null {
    let sk = after === null ? this.buckets[dport & (BUCKETS - 1)] : after.hashNext;
    for (; sk !== null; sk = sk.hashNext)
      if (sk.sport === dport && udpScore(sk, saddr, sport, daddr, dev) >= 0) return sk;
    return null;
  }

  /** A free port of the local range from a random start (udp_lib_get_port); 0 when none is free. */
  randomPort(isFree: (port: number) => boolean): number {
    const [low, high] = ipv4Of(this.ns).localPortRange;
    const span = high + 1 - low;
    const start = sockOf(this.ns).prng.below(span);
    for (let i = 0; i < span; i++) {
      const port = low + ((start + i) % span);
      if (isFree(port)) return port;
    }
    return 0;
  }
}

function udpScore(sk: Sock, saddr: number, sport: number, daddr: number, dev: NetDevice | null): number {
  let score = 2;
  if (sk.rcvSaddr !== 0) {
    if (sk.rcvSaddr !== daddr) return -1;
    score += 4;
  }
  if (sk.daddr !== 0) {
    if (sk.daddr !== saddr) return -1;
    score += 4;
  }
  if (sk.dport !== 0) {
    if (sk.dport !== sport) return -1;
    score += 4;
  }
  if (sk.boundDev !== null) {
    if (sk.boundDev !== dev) return -1;
    score += 4;
  }
  return score;
}

/** The table of `ns`, made on first use. */
export function udpNetOf(ns: NetNs): UdpNet {
  const ipv4 = ipv4Of(ns);
  if (ipv4.udp === null) ipv4.udp = new UdpNet(ns);
  return ipv4.udp as UdpNet;
}
