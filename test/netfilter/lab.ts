/** Kernels, packets and commands for the tests of the packet filter. */

import { Kernel } from "../../src/net/core/kernel.ts";
import type { NetNs } from "../../src/net/core/net-ns.ts";
import { type Skb, SkbPool } from "../../src/net/core/skb.ts";
import { loopbackInit } from "../../src/net/drivers/loopback.ts";
import { ipv4Init } from "../../src/net/ipv4/ipv4-init.ts";
import { conntrackInit } from "../../src/net/netfilter/conntrack/conntrack.ts";
import { netfilterInit } from "../../src/net/netfilter/ip-tables.ts";
import { natInit } from "../../src/net/netfilter/nat/nat.ts";
import { Sim } from "../../src/sim/sim.ts";
import { iptablesTool } from "../../src/tools/iptables/iptables.ts";
import { iptablesRestoreTool } from "../../src/tools/iptables/restore.ts";
import { iptablesSaveTool } from "../../src/tools/iptables/save.ts";
import { runTool } from "../../src/tools/run-tool.ts";
import type { Tool, ToolContext, ToolOutput } from "../../src/tools/tool.ts";
import { Prng } from "../../src/util/prng.ts";
import { parseIp4 } from "../../src/wire/address.ts";
import { ipChecksumSet, l4ChecksumSet } from "../../src/wire/ipv4.ts";

export interface Box {
  readonly sim: Sim;
  readonly pool: SkbPool;
  readonly kernel: Kernel;
  readonly ns: NetNs;
}

export function makeBox(seed = 1): Box {
  const sim = new Sim();
  const pool = new SkbPool();
  const inits = [loopbackInit, ipv4Init, conntrackInit, natInit, netfilterInit];
  const kernel = new Kernel("box", sim, pool, new Prng(seed, "test"), inits);
  return { sim, pool, kernel, ns: kernel.initNs };
}

function run(
  tool: unknown,
  argv: readonly string[],
  ns: NetNs,
  stdin = "",
  files = new Map<string, string>(),
): ToolOutput {
  const context = { ns, stdin, files } as unknown as ToolContext;
  const step = runTool(tool as Tool, argv, context).next();
  if (step.done !== true) throw new Error("the command waits");
  return step.value;
}

/** Words by spaces, or a list. */
const words = (argv: string | readonly string[]): readonly string[] =>
  typeof argv === "string" ? argv.split(" ").filter((word) => word !== "") : argv;

export function iptables(ns: NetNs, argv: string | readonly string[]): ToolOutput {
  return run(iptablesTool, words(argv), ns);
}

/** The command, which must succeed; its stdout. */
export function ok(ns: NetNs, argv: string | readonly string[]): string {
  const { stdout, stderr, status } = iptables(ns, argv);
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

export function save(ns: NetNs, argv: string | readonly string[] = ""): ToolOutput {
  return run(iptablesSaveTool, words(argv), ns);
}

export function restore(ns: NetNs, argv: string | readonly string[], stdin: string): ToolOutput {
  return run(iptablesRestoreTool, words(argv), ns, stdin);
}

export function ip(text: string): number {
  const addr = parseIp4(text);
  if (addr === null) throw new Error(`no address: ${text}`);
  return addr;
}

export interface PacketFields {
  readonly src?: string;
  readonly dst?: string;
  readonly proto?: number;
  readonly ttl?: number;
  /** Raw field: DF 0x4000, MF 0x2000, offset. */
  readonly frag?: number;
  readonly id?: number;
  readonly tos?: number;
  /** What stands behind the IP header. */
  readonly l4: Uint8Array;
}

/** An IP packet with right checksums, `data` at its IP header. */
export function packet(pool: SkbPool, fields: PacketFields): Skb {
  const bytes = new Uint8Array(20 + fields.l4.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0x4500 | (fields.tos ?? 0));
  view.setUint16(2, bytes.length);
  view.setUint16(4, fields.id ?? 0);
  view.setUint16(6, fields.frag ?? 0);
  view.setUint8(8, fields.ttl ?? 64);
  view.setUint8(9, fields.proto ?? 6);
  view.setInt32(12, ip(fields.src ?? "10.0.0.1"));
  view.setInt32(16, ip(fields.dst ?? "10.0.0.2"));
  bytes.set(fields.l4, 20);
  ipChecksumSet(view, 0);
  if (((fields.frag ?? 0) & 0x3fff) === 0) l4ChecksumSet(bytes, view, 0);
  const skb = pool.from(bytes);
  skb.netOff = skb.data;
  skb.transOff = skb.data + 20;
  return skb;
}

/** A TCP header with options (padded by the caller) and payload. */
export function tcp(
  sport: number,
  dport: number,
  flags: number,
  more: { seq?: number; ack?: number; options?: readonly number[]; payload?: number } = {},
): Uint8Array {
  const { seq = 0, ack = 0, options = [], payload = 0 } = more;
  const bytes = new Uint8Array(20 + options.length + payload);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, sport);
  view.setUint16(2, dport);
  view.setUint32(4, seq);
  view.setUint32(8, ack);
  view.setUint16(12, ((5 + options.length / 4) << 12) | flags);
  view.setUint16(14, 64240);
  bytes.set(options, 20);
  return bytes;
}

export function udp(sport: number, dport: number, payload: readonly number[] = []): Uint8Array {
  const bytes = new Uint8Array(8 + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, sport);
  view.setUint16(2, dport);
  view.setUint16(4, bytes.length);
  bytes.set(payload, 8);
  return bytes;
}

export function icmp(type: number, code: number, rest = 0): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setUint16(0, (type << 8) | code);
  new DataView(bytes.buffer).setUint32(4, rest);
  return bytes;
}

/** Hexadecimal of the packet from its IP header on. */
export function hex(skb: Skb): string {
  return Array.from(skb.bytes.subarray(skb.data, skb.tail), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}
