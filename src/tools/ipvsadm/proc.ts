/** The files of IPVS below /proc/net (ip_vs_ctl.c, ip_vs_conn.c, ip_vs_app.c of net/netfilter/ipvs). */
import type { NetNs } from "../../net/core/net-ns.ts";
import {
  type ConnInfo,
  connList,
  type DestInfo,
  HZ,
  type ServiceInfo,
  type StatsSnapshot,
  serviceList,
  totals,
} from "../../net/ctl/ipvs.ts";
import { IPPROTO_TCP } from "../../wire/ipv4.ts";

const SEC = 1_000_000_000;

const FILES: Readonly<Record<string, (ns: NetNs) => string>> = {
  ip_vs: services,
  ip_vs_stats: stats,
  ip_vs_stats_percpu: statsPercpu,
  ip_vs_conn: (ns) => conns(ns, "Expires PEName PEData", (conn) => seconds(conn).padStart(7)),
  ip_vs_conn_sync: (ns) => conns(ns, "Origin Expires", (conn) => `LOCAL  ${seconds(conn).padStart(7)}`),
  ip_vs_app: () => "prot port    usecnt name\n",
};

/** The text of a file, undefined when IPVS has none of that name. */
export function procNetIpvs(ns: NetNs, name: string): string | undefined {
  return FILES[name]?.(ns);
}

function services(ns: NetNs): string {
  const list = serviceList(ns);
  return lines([
    "IP Virtual Server version 1.2.1 (size=4096)",
    "Prot LocalAddress:Port Scheduler Flags",
    "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn",
    ...[...list.filter(({ key }) => key.fwmark === 0), ...list.filter(({ key }) => key.fwmark !== 0)].flatMap(
      (service) => [serviceLine(service), ...service.dests.map(destLine)],
    ),
  ]);
}

function serviceLine({ key, options }: ServiceInfo): string {
  const ops = options.onePacket ? "ops " : "";
  const { persistentSec, netmask, scheduler } = options;
  const persistent = persistentSec === 0 ? "" : `persistent ${persistentSec * HZ} ${hex(netmask, 8)}`;
  if (key.fwmark !== 0) return `FWM  ${hex(key.fwmark, 8)} ${scheduler} ${ops}${persistent}`;
  const name = `${key.protocol === IPPROTO_TCP ? "TCP" : "UDP"}  ${hex(key.addr, 8)}:${hex(key.port, 4)}`;
  return `${name} ${scheduler} ${ops} ${persistent}`;
}

function destLine({ addr, port, forward, weight, activeConns, inactConns }: DestInfo): string {
  const numbers = `${String(weight).padEnd(6)} ${String(activeConns).padEnd(10)} ${String(inactConns).padEnd(10)}`;
  return `  -> ${hex(addr, 8)}:${hex(port, 4)}      ${forward.padEnd(7)} ${numbers}`;
}

function stats(ns: NetNs): string {
  const { stats: counters, rates } = totals(ns);
  return lines([
    "   Total Incoming Outgoing         Incoming         Outgoing",
    "   Conns  Packets  Packets            Bytes            Bytes",
    numbers(counters),
    "",
    " Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s",
    numbers(rates),
  ]);
}

function statsPercpu(ns: NetNs): string {
  const { stats: counters, rates, live } = totals(ns);
  return lines([
    "       Total Incoming Outgoing         Incoming         Outgoing",
    "CPU    Conns  Packets  Packets            Bytes            Bytes",
    `  0 ${numbers(live)}`,
    `  ~ ${numbers(counters)}`,
    "",
    "     Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s",
    `    ${numbers(rates)}`,
  ]);
}

function conns(ns: NetNs, title: string, tail: (conn: ConnInfo) => string): string {
  return lines([
    `Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       ${title}`,
    ...connList(ns).map((conn) => `${connLine(conn)} ${tail(conn)}`),
  ]);
}

function connLine(conn: ConnInfo): string {
  const protocol = conn.protocol === 0 ? "IP" : conn.protocol === IPPROTO_TCP ? "TCP" : "UDP";
  const ends = [
    `${hex(conn.caddr, 8)} ${hex(conn.cport, 4)}`,
    `${hex(conn.vaddr, 8)} ${hex(conn.vport, 4)}`,
    `${hex(conn.daddr, 8)} ${hex(conn.dport, 4)}`,
  ];
  return `${protocol.padEnd(3)} ${ends.join(" ")} ${conn.state.padEnd(11)}`;
}

function seconds({ expiresNs }: ConnInfo): string {
  return String(Math.floor(expiresNs / SEC));
}

function numbers(counters: StatsSnapshot): string {
  const { conns: connCount, inPackets, outPackets, inBytes, outBytes } = counters;
  const packets = [connCount, inPackets, outPackets].map((value) => upper(value).padStart(8));
  return [...packets, ...[inBytes, outBytes].map((value) => upper(value).padStart(16))].join(" ");
}

function hex(value: number, digits: number): string {
  return upper(value >>> 0).padStart(digits, "0");
}

function upper(value: number): string {
  return value.toString(16).toUpperCase();
}

function lines(list: readonly string[]): string {
  return `${list.join("\n")}\n`;
}
