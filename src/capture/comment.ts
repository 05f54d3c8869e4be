/**
 * The words for what happened to a packet (net/core/trace.ts), for comments in capture files and for `meshwire trace`.
 * One line a record, in the order of events.
 */

import { dropReasonName } from "../net/core/drop-reason.ts";
import { type Dst, RTN_LOCAL } from "../net/core/dst.ts";
import type { NetDevice } from "../net/core/net-device.ts";
import {
  TRACE_ARP_PROXY,
  TRACE_BRIDGE,
  TRACE_CT_NEW,
  TRACE_DROP,
  TRACE_FORWARD,
  TRACE_IPVS_NEW,
  TRACE_JUMP,
  TRACE_LOCAL,
  TRACE_NAT,
  TRACE_POLICY,
  TRACE_ROUTE,
  TRACE_RULE,
  TRACE_VXLAN_DECAP,
  TRACE_VXLAN_ENCAP,
  TRACE_XFRM_IN,
  TRACE_XFRM_OUT,
  type TraceRecord,
} from "../net/core/trace.ts";
import { formatIp4 } from "../wire/address.ts";
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from "../wire/ipv4.ts";

/** What is read of a rule and its chain. */
interface TracedChain {
  readonly name: string;
  readonly table: { readonly name: string };
}

interface TracedRule {
  readonly chain: TracedChain;
  /** The rule's words as iptables-save writes them. */
  readonly text: string;
}

/** What is read of a tracked connection. */
interface TracedConn {
  readonly proto: number;
  readonly origSrc: number;
  readonly origDst: number;
  readonly origSport: number;
  readonly origDport: number;
  readonly replSrc: number;
  readonly replDst: number;
  readonly replSport: number;
  readonly replDport: number;
}

/** What is read of a virtual service's connection. */
interface TracedIpvsConn {
  readonly vaddr: number;
  readonly vport: number;
  readonly daddr: number;
  readonly dport: number;
}

function protoName(proto: number): string {
  if (proto === IPPROTO_TCP) return "tcp";
  if (proto === IPPROTO_UDP) return "udp";
  return proto === IPPROTO_ICMP ? "icmp" : `proto ${proto}`;
}

function endpoint(addr: number, port: number): string {
  return `${formatIp4(addr)}:${port}`;
}

/** The target of a rule in few words: `DNAT to 172.18.0.2:8080`, `MARK set 0x100`. */
function targetText(text: string): string {
  const target = /(?:^| )-[jg] (.*)$/.exec(text)?.[1] ?? "no target";
  return target
    .replace(/ --to-(?:destination|source|ports) /, " to ")
    .replace(/ --set-xmark (0x[0-9a-f]+)\/0xffffffff/, " set $1");
}

function ruleText(record: TraceRecord): string {
  const { chain, text } = record.ref as TracedRule;
  return `${chain.table.name} ${chain.name} #${record.a} ${targetText(text)}`;
}

/** Whether the record is a rule whose target is another chain; then the chain's name, else null. */
function jumpTarget(record: TraceRecord, next: TraceRecord | undefined): string | null {
  if (record.kind !== TRACE_RULE || next === undefined) return null;
  if (next.kind !== TRACE_RULE && next.kind !== TRACE_POLICY) return null;
  const here = (record.ref as TracedRule).chain;
  const there = next.kind === TRACE_RULE ? (next.ref as TracedRule).chain : (next.ref as TracedChain);
  const target = targetText((record.ref as TracedRule).text);
  return here.table.name === there.table.name && target === there.name ? here.name : null;
}

/** What became of one end of the packet: the original tuple's as the rules say, the reply's back to what it was. */
function natText(record: TraceRecord): string {
  const conn = record.ref as TracedConn;
  const orig = [endpoint(conn.origSrc, conn.origSport), endpoint(conn.origDst, conn.origDport)];
  const repl = [endpoint(conn.replSrc, conn.replSport), endpoint(conn.replDst, conn.replDport)];
  const reply = record.b === 1;
  if (record.a === 1)
    return `nat destination ${reply ? `${repl[1]} -> ${orig[0]}` : `${orig[1]} -> ${repl[0]}`}`;
  return `nat source ${reply ? `${repl[0]} -> ${orig[1]}` : `${orig[0]} -> ${repl[1]}`}`;
}

function conntrackText(conn: TracedConn): string {
  const from = endpoint(conn.origSrc, conn.origSport);
  return `conntrack NEW ${protoName(conn.proto)} ${from} -> ${endpoint(conn.origDst, conn.origDport)}`;
}

function ipvsText(record: TraceRecord): string {
  const conn = record.ref as TracedIpvsConn;
  const how = record.a === 1 ? "scheduled" : "known connection";
  return `ipvs ${endpoint(conn.vaddr, conn.vport)} -> ${endpoint(conn.daddr, conn.dport)} (${how})`;
}

function routeText(record: TraceRecord): string {
  const dst = record.ref as Dst;
  if (dst.type === RTN_LOCAL) return "route local";
  return `route via ${formatIp4(record.a)} dev ${dst.dev.name}`;
}

function espText({ a, b }: TraceRecord): string {
  return `spi 0x${(a >>> 0).toString(16).padStart(8, "0")} seq ${b >>> 0}`;
}

function recordText(record: TraceRecord): string {
  switch (record.kind) {
    case TRACE_RULE:
      return ruleText(record);
    case TRACE_NAT:
      return natText(record);
    case TRACE_CT_NEW:
      return conntrackText(record.ref as TracedConn);
    case TRACE_IPVS_NEW:
      return ipvsText(record);
    case TRACE_ROUTE:
      return routeText(record);
    case TRACE_FORWARD:
      return `forward, ttl ${record.a}`;
    case TRACE_BRIDGE:
      return record.ref === null ? "bridge flood" : `bridge to port ${(record.ref as NetDevice).name}`;
    case TRACE_VXLAN_ENCAP:
      return `vxlan encap vni ${record.b} to ${formatIp4(record.a)}`;
    case TRACE_VXLAN_DECAP:
      return `vxlan decap vni ${record.b} from ${formatIp4(record.a)}`;
    case TRACE_XFRM_OUT:
      return `esp encrypt ${espText(record)}`;
    case TRACE_XFRM_IN:
      return `esp decrypt ${espText(record)}`;
    case TRACE_DROP:
      return `drop ${dropReasonName(record.a)}`;
    case TRACE_LOCAL:
      return "delivered to a socket";
    case TRACE_ARP_PROXY:
      return `arp proxy answers for ${formatIp4(record.a)}`;
    case TRACE_POLICY: {
      const chain = record.ref as TracedChain;
      return `${chain.table.name} ${chain.name} policy ${record.a === 0 ? "DROP" : "ACCEPT"}`;
    }
    default:
      return `event ${record.kind}`;
  }
}

/**
 * The lines for these records. A jump and what it led to are one line, a jump that led to nothing is none:
 * `nat PREROUTING -> DOCKER-INGRESS #1 DNAT to 172.18.0.2:8080`.
 */
export function traceLines(records: readonly TraceRecord[]): string[] {
  const lines: string[] = [];
  let path = "";
  for (let i = 0; i < records.length; i++) {
    const from = jumpTarget(records[i], records[i + 1]);
    if (from !== null) {
      path += `${from} -> `;
      continue;
    }
    if (records[i].kind === TRACE_RULE && records[i].b === TRACE_JUMP) continue;
    const text = recordText(records[i]);
    const space = text.indexOf(" ");
    lines.push(path === "" ? text : `${text.slice(0, space)} ${path}${text.slice(space + 1)}`);
    path = "";
  }
  return lines;
}

/** The lines of {@link traceLines} as one text, "" when there are none. */
export function traceText(records: readonly TraceRecord[]): string {
  return traceLines(records).join("\n");
}
