/** Window and segment sizes (tcp_select_initial_window, __tcp_select_window, tcp_sync_mss in net/ipv4/tcp_output.c). */
import { IPPROTO_TCP } from "../../wire/ipv4.ts";
import type { Dst } from "../core/dst.ts";
import type { NetNs } from "../core/net-ns.ts";
import { dstMtu } from "./route-exception.ts";
import { skDstCheck, skDstMtu } from "./sock-route.ts";
import { tcpOf } from "./tcp-net.ts";
import { TCP_MSS_DEFAULT, type TcpSock } from "./tcp-sock.ts";

const U16_MAX = 0xffff;
const MAX_WSCALE = 14;
const MIN_SND_MSS = 48;
const MIN_ADVMSS = 256;
const MAX_PMTU = 65535;
const TCP_MIN_MSS = 88;
/** net.core.rmem_max. */
const RMEM_MAX = 212992;
/** Most bytes of a super packet (sk_gso_max_size), and room for its headers. */
export const GSO_MAX_SIZE = 65536;
/** 128 bytes and room for tunnels, of a kernel without wireless networks. */
export const MAX_TCP_HEADER = 256;

/** Window that a buffer of `space` bytes allows (tcp_adv_win_scale 1: half of it). */
export function tcpWinFromSpace(space: number): number {
  return space <= 0 ? space : space >> 1;
}

export function tcpSpace(sk: TcpSock): number {
  return tcpWinFromSpace(sk.rcvBuf - sk.rmemAlloc);
}

export function tcpFullSpace(sk: TcpSock): number {
  return tcpWinFromSpace(sk.rcvBuf);
}

/** Result of {@link tcpSelectInitialWindow}, overwritten by the next call. */
export const initialWindow = { rcvWnd: 0, windowClamp: 0, wscale: 0 };

/** First window, its shift, and the largest that can be offered, for a buffer that allows `space` bytes. */
export function tcpSelectInitialWindow(
  ns: NetNs,
  spaceBytes: number,
  mss: number,
  clamp: number,
  wscaleOk: boolean,
): void {
  let windowClamp = clamp === 0 ? U16_MAX << MAX_WSCALE : clamp;
  let space = Math.min(windowClamp, Math.max(spaceBytes, 0));
  if (space > mss) space -= space % mss;
  initialWindow.rcvWnd = Math.min(space, U16_MAX);
  let wscale = 0;
  if (wscaleOk) {
    space = Math.min(Math.max(space, tcpOf(ns).rmem[2], RMEM_MAX), windowClamp);
    wscale = Math.min(Math.max(31 - Math.clz32(space) - 15, 0), MAX_WSCALE);
  }
  windowClamp = Math.min(U16_MAX << wscale, windowClamp);
  initialWindow.windowClamp = windowClamp;
  initialWindow.wscale = wscale;
}

/** MSS that a route lets us announce (ipv4_default_advmss). */
export function dstAdvmss(ns: NetNs, dst: Dst, daddr: number): number {
  return Math.min(Math.max(dstMtu(ns, dst, daddr) - 40, MIN_ADVMSS), MAX_PMTU - 40);
}

/** Largest segment for a path MTU: below the peer's MSS, IP options and timestamps taken off (tcp_mtu_to_mss). */
function tcpMtuToMss(sk: TcpSock, pmtu: number): number {
  const mss = Math.min(pmtu - 40, sk.mssClamp) - (sk.opt === null ? 0 : sk.opt.optlen);
  return Math.max(mss, MIN_SND_MSS) - (sk.headerLen - 20);
}

/** No more than half of the largest window that the peer ever offered (tcp_bound_to_half_wnd). */
function tcpBoundToHalfWnd(sk: TcpSock, size: number): number {
  const cutoff = sk.maxWindow > TCP_MSS_DEFAULT ? sk.maxWindow >>> 1 : sk.maxWindow;
  return cutoff !== 0 && size > cutoff ? Math.max(cutoff, 68 - sk.headerLen) : size;
}

/** Takes a path MTU into account; returns the segment size. */
export function tcpSyncMss(sk: TcpSock, pmtu: number): number {
  sk.pmtuCookie = pmtu;
  sk.mssCache = tcpBoundToHalfWnd(sk, tcpMtuToMss(sk, pmtu));
  return sk.mssCache;
}

/** Bytes of options in the next segment of an established connection (tcp_established_options). */
export function tcpEstablishedOptionsLen(sk: TcpSock): number {
  const base = sk.tstampOk ? 12 : 0;
  const blocks = tcpSackBlocks(sk, base);
  return blocks === 0 ? base : base + 4 + 8 * blocks;
}

/** How many SACK blocks fit beside `base` bytes of options. */
export function tcpSackBlocks(sk: TcpSock, base: number): number {
  const effective = sk.sackNum + (sk.dsack ? 1 : 0);
  return effective === 0 ? 0 : Math.min(effective, (40 - base - 4) >> 3);
}

/** Path MTU of a connection's packets. */
export function tcpDstMtu(sk: TcpSock, dst: Dst): number {
  return skDstMtu(sk, dst, IPPROTO_TCP, sk.saddr, sk.daddr, sk.sport, sk.dport);
}

/** Data bytes of a full segment now (tcp_current_mss). */
export function tcpCurrentMss(sk: TcpSock): number {
  const dst = skDstCheck(sk);
  if (dst !== null) {
    const mtu = tcpDstMtu(sk, dst);
    if (mtu !== sk.pmtuCookie) tcpSyncMss(sk, mtu);
  }
  return sk.mssCache - (20 + tcpEstablishedOptionsLen(sk) - sk.headerLen);
}

/** Most data bytes of a super packet (sk_gso_max_size). */
export function tcpGsoMaxSize(): number {
  return GSO_MAX_SIZE - 1 - MAX_TCP_HEADER;
}

/** Bytes that one super packet may get (tcp_xmit_size_goal). */
export function tcpXmitSizeGoal(sk: TcpSock, mss: number): number {
  const most = tcpBoundToHalfWnd(sk, tcpGsoMaxSize());
  return Math.max(Math.floor(most / mss), 1) * mss;
}

export function tcpInitializeRcvMss(sk: TcpSock): void {
  const hint = Math.min(sk.advmss, sk.mssCache, sk.rcvWnd >> 1, TCP_MSS_DEFAULT);
  sk.rcvMss = Math.max(hint, TCP_MIN_MSS);
}

/** The window that fits what is free now, bytes (__tcp_select_window). */
export function tcpNewWindow(sk: TcpSock): number {
  let mss = sk.rcvMss;
  let free = tcpSpace(sk);
  const allowed = tcpFullSpace(sk);
  const full = Math.min(sk.windowClamp, allowed);
  if (mss > full) {
    mss = full;
    if (mss <= 0) return 0;
  }
  if (free < full >> 1) {
    sk.quick = 0;
    free = (free >> sk.rcvWscale) << sk.rcvWscale;
    if (free < allowed >> 4 || free < mss) return 0;
  }
  if (free > sk.rcvSsthresh) free = sk.rcvSsthresh;
  if (sk.rcvWscale !== 0) return align(free, sk.rcvWscale);
  const window = sk.rcvWnd;
  if (window <= free - mss || window > free) return free - (free % mss);
  return mss === full && free > window + (full >> 1) ? free : window;
}

/** The window field of the next segment; what it offers is never taken back (tcp_select_window). */
export function tcpSelectWindow(sk: TcpSock): number {
  const current = sk.receiveWindow();
  let window = tcpNewWindow(sk);
  if (window < current) window = align(current, sk.rcvWscale);
  sk.rcvWnd = window;
  sk.rcvWup = sk.rcvNxt;
  return Math.min(window, U16_MAX << sk.rcvWscale) >>> sk.rcvWscale;
}

function align(value: number, shift: number): number {
  const unit = 1 << shift;
  return (value + unit - 1) & ~(unit - 1);
}
