/**
 * What is remembered of a remote address for rate limits (net/ipv4/inetpeer.c): one token bucket that ICMP errors,
 * redirects and unreachable answers share, as in the kernel.
 */
import { SEC } from "../../sim/sim.ts";

/** A bucket holds at most this many answers (XRLIM_BURST_FACTOR). */
const XRLIM_BURST_FACTOR = 6;
/** Peers kept before the oldest are forgotten (inet_peer_threshold is far higher; memory decides). */
const PEERS_MAX = 65536;

export class InetPeer {
  rateTokensNs = 0;
  rateLastNs: number;
  redirects = 0;

  /** Born full: as if the last answer was a minute ago. */
  constructor(nowNs: number) {
    this.rateLastNs = nowNs - 60 * SEC;
  }

  /** Takes a token when there is one; a token grows back every `timeoutNs` (inet_peer_xrlim_allow). */
  allow(nowNs: number, timeoutNs: number): boolean {
    this.rateTokensNs = Math.min(this.rateTokensNs + nowNs - this.rateLastNs, XRLIM_BURST_FACTOR * timeoutNs);
    this.rateLastNs = nowNs;
    if (this.rateTokensNs < timeoutNs) return false;
    this.rateTokensNs -= timeoutNs;
    return true;
  }

  /** The limit on answers of ip_error: cost 1 s, burst 5 s. */
  allowError(nowNs: number): boolean {
    this.rateTokensNs = Math.min(this.rateTokensNs + nowNs - this.rateLastNs, 5 * SEC);
    this.rateLastNs = nowNs;
    if (this.rateTokensNs < SEC) return false;
    this.rateTokensNs -= SEC;
    return true;
  }
}

export class InetPeers {
  private readonly byAddr = new Map<number, InetPeer>();

  /** The peer of that address, made when it is new. */
  get(addr: number, nowNs: number): InetPeer {
    let peer = this.byAddr.get(addr);
    if (peer === undefined) {
      if (this.byAddr.size >= PEERS_MAX) this.byAddr.clear();
      peer = new InetPeer(nowNs);
      this.byAddr.set(addr, peer);
    }
    return peer;
  }
}
