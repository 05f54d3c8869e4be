/** Hand-made packets and a namespace to send them through, for the tests of connection tracking and NAT. */
import { expect } from "vitest";
import {
  type Hook,
  NF_ACCEPT,
  NF_INET_POST_ROUTING,
  NF_INET_PRE_ROUTING,
  nfHook,
} from "../../src/net/core/hooks.ts";
import { Kernel, type PernetInit } from "../../src/net/core/kernel.ts";
import type { NetNs } from "../../src/net/core/net-ns.ts";
import { type Skb, SkbPool } from "../../src/net/core/skb.ts";
import type { Conn } from "../../src/net/netfilter/conntrack/conn.ts";
import {
  conntrackEnable,
  conntrackInit,
  conntrackOf,
  ctOf,
} from "../../src/net/netfilter/conntrack/conntrack.ts";
import type { Conntrack } from "../../src/net/netfilter/conntrack/conntrack-net.ts";
import { natInit, natOf } from "../../src/net/netfilter/nat/nat.ts";
import { SEC, Sim } from "../../src/sim/sim.ts";
import { Prng } from "../../src/util/prng.ts";
import { parseIp4 } from "../../src/wire/address.ts";
import {
  ipChecksumOk,
  ipChecksumSet,
  ipHeaderLen,
  ipTotLen,
  l4ChecksumOk,
  l4ChecksumSet,
} from "../../src/wire/ipv4.ts";
import { TcpOptions, tcpOptionsLen, writeTcpOptions } from "../../src/wire/tcp-options.ts";

export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;

export function ip(text: string): number {
  return parseIp4(text)!;
}

export interface Lab {
  sim: Sim;
  pool: SkbPool;
  kernel: Kernel;
  ns: NetNs;
  ct: Conntrack;
  /** Runs virtual time forward. */
  wait(seconds: number): void;
}

/** One namespace with connection tracking and NAT, whose nat table is empty; `below` are layers that come before. */
export function makeLab(seed = 1, below: readonly PernetInit[] = []): Lab {
  const sim = new Sim();
  const pool = new SkbPool();
  const kernel = new Kernel("test", sim, pool, new Prng(seed, "test"), [...below, conntrackInit, natInit]);
  const ns = kernel.initNs;
  conntrackEnable(ns);
  natOf(ns).registerTable(NF_INET_PRE_ROUTING, () => NF_ACCEPT);
  return {
    sim,
    pool,
    kernel,
    ns,
    ct: conntrackOf(ns),
    wait: (seconds) => sim.runUntil(sim.now + seconds * SEC),
  };
}

/** An IP packet; checksums right. `data` of the packet at its IP header. */
export function ipPacket(lab: Lab, proto: number, src: string, dst: string, l4: Uint8Array, ttl = 64): Skb {
  const bytes = new Uint8Array(20 + l4.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, 0x45);
  view.setUint16(2, bytes.length);
  view.setUint8(8, ttl);
  view.setUint8(9, proto);
  view.setInt32(12, ip(src));
  view.setInt32(16, ip(dst));
  bytes.set(l4, 20);
  ipChecksumSet(view, 0);
  l4ChecksumSet(bytes, view, 0);
  const skb = lab.pool.from(bytes);
  skb.netOff = skb.data;
  skb.protocol = 0x0800;
  return skb;
}

export interface TcpFields {
  flags: number;
  seq?: number;
  ack?: number;
  win?: number;
  len?: number;
  options?: Partial<TcpOptions>;
}

export function tcpBytes(sport: number, dport: number, fields: TcpFields): Uint8Array {
  const options = Object.assign(new TcpOptions(), fields.options ?? {});
  const headerLen = 20 + tcpOptionsLen(options);
  const bytes = new Uint8Array(headerLen + (fields.len ?? 0)).fill(0x61, headerLen);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, sport);
  view.setUint16(2, dport);
  view.setInt32(4, fields.seq ?? 0);
  view.setInt32(8, fields.ack ?? 0);
  view.setUint8(12, (headerLen >> 2) << 4);
  view.setUint8(13, fields.flags);
  view.setUint16(14, fields.win ?? 64240);
  writeTcpOptions(view, 20, options);
  return bytes;
}

export function udpBytes(sport: number, dport: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, sport);
  view.setUint16(2, dport);
  view.setUint16(4, bytes.length);
  bytes.set(payload, 8);
  return bytes;
}

export function icmpBytes(type: number, code: number, rest: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, type);
  view.setUint8(1, code);
  view.setInt32(4, rest);
  bytes.set(payload, 8);
  return bytes;
}

/** Sends a packet through hooks; null when it was dropped. The caller frees it. */
export function pass(
  lab: Lab,
  skb: Skb,
  hooks: readonly Hook[] = [NF_INET_PRE_ROUTING, NF_INET_POST_ROUTING],
): Skb | null {
  for (const hook of hooks) if (nfHook(lab.ns, hook, skb, null, null) !== NF_ACCEPT) return null;
  return skb;
}

/** What became of a packet: its connection and IP_CT_* info. The packet is freed. */
export function track(
  lab: Lab,
  skb: Skb,
  hooks?: readonly Hook[],
): { conn: Conn | null; info: number } | null {
  const passed = pass(lab, skb, hooks);
  if (passed === null) return null;
  const result = { conn: ctOf(passed), info: passed.ctInfo };
  passed.consume();
  return result;
}

/** All checksums of the packet are right. */
export function expectGoodChecksums(skb: Skb): void {
  const { view, netOff } = skb;
  const headerLen = ipHeaderLen(view, netOff);
  expect(ipChecksumOk(view, netOff)).toBe(true);
  expect(l4ChecksumOk(skb.bytes, view, netOff, netOff + headerLen, ipTotLen(view, netOff) - headerLen)).toBe(
    true,
  );
}
