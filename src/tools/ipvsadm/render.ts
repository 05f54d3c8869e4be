/** The text of `ipvsadm` 1.31: listings (print_service_entry, print_conn) and rules (`-S`). */
import type { ConnInfo, DestInfo, Forward, ServiceInfo } from "../../net/ctl/ipvs.ts";
import { formatIp4 } from "../../wire/address.ts";
import { IPPROTO_TCP } from "../../wire/ipv4.ts";
import type { ListFormat } from "./parse.ts";

const SEC = 1_000_000_000;
const FORWARD_OPTION: Record<Forward, string> = { Masq: "-m", Route: "-g", Tunnel: "-i", Local: "-g" };

/** `ipvsadm -L`. */
export function renderList(services: readonly ServiceInfo[], format: ListFormat): string {
  const lines = ["IP Virtual Server version 1.2.1 (size=4096)", ...title(format)];
  for (const service of format.sort ? [...services].sort(byKey) : services) {
    lines.push(serviceLine(service, format));
    const dests = format.sort ? [...service.dests].sort(byAddress) : service.dests;
    for (const dest of dests) lines.push(destLine(dest, format));
  }
  return `${lines.join("\n")}\n`;
}

/** `ipvsadm -Lc`. */
export function renderConns(conns: readonly ConnInfo[]): string {
  const lines = [
    "IPVS connection entries",
    "pro expire state       source             virtual            destination",
  ];
  for (const conn of conns) {
    const seconds = Math.floor(conn.expiresNs / SEC);
    const expire = `${pad2(Math.floor(seconds / 60))}:${pad2(seconds % 60)}`;
    const protocol = conn.protocol === 0 ? "IP" : conn.protocol === IPPROTO_TCP ? "TCP" : "UDP";
    const source = endpoint(conn.caddr, conn.cport).padEnd(18);
    const virtual = endpoint(conn.vaddr, conn.vport).padEnd(18);
    lines.push(
      `${protocol.padEnd(3)} ${expire.padEnd(6)} ${conn.state.padEnd(11)} ${source} ${virtual} ${endpoint(conn.daddr, conn.dport)}`,
    );
  }
  return `${lines.join("\n")}\n`;
}

/** `ipvsadm -S`; the real one says nothing of thresholds. */
export function renderRules(services: readonly ServiceInfo[]): string {
  let out = "";
  for (const service of [...services].sort(byKey)) {
    const name = serviceOption(service);
    out += `-A ${name} -s ${service.options.scheduler}${ruleFlags(service)}\n`;
    for (const dest of [...service.dests].sort(byAddress)) {
      const method = FORWARD_OPTION[dest.forward];
      const tunnel = dest.forward === "Tunnel" ? " --tun-type ipip" : "";
      out += `-a ${name} -r ${endpoint(dest.addr, dest.port)} ${method} -w ${dest.weight}${tunnel}\n`;
    }
  }
  return out;
}

function title(format: ListFormat): string[] {
  const wide = "Prot LocalAddress:Port".padEnd(33);
  if (format.stats)
    return [`${wide}    Conns   InPkts  OutPkts  InBytes OutBytes`, "  -> RemoteAddress:Port"];
  if (format.rate) return [`${wide}      CPS    InPPS   OutPPS    InBPS   OutBPS`, "  -> RemoteAddress:Port"];
  if (format.thresholds)
    return [`${wide} Uthreshold Lthreshold ActiveConn InActConn `, "  -> RemoteAddress:Port"];
  if (format.persistentConns)
    return [`${wide} Weight    PersistConn ActiveConn InActConn `, "  -> RemoteAddress:Port"];
  const tunnel = format.tunnels ? " TunnelInfo   " : "";
  return [
    "Prot LocalAddress:Port Scheduler Flags",
    `  -> RemoteAddress:Port           Forward${tunnel} Weight ActiveConn InActConn`,
  ];
}

function serviceLine(service: ServiceInfo, format: ListFormat): string {
  const name = serviceName(service);
  if (format.stats) return name.padEnd(33) + counters(service.stats, format.exact);
  if (format.rate) return name.padEnd(33) + counters(service.rates, format.exact);
  const { options } = service;
  let line = `${name} ${options.scheduler}`;
  const flags = [options.shFallback ? "sh-fallback" : "", options.shPort ? "sh-port" : ""].filter(
    (flag) => flag !== "",
  );
  if (flags.length > 0) line += ` (${flags.join(",")})`;
  if (options.persistentSec > 0) {
    line += ` persistent ${options.persistentSec}`;
    if (options.netmask !== -1) line += ` mask ${formatIp4(options.netmask)}`;
  }
  return options.onePacket ? `${line} ops` : line;
}

function destLine(dest: DestInfo, format: ListFormat): string {
  const name = `  -> ${endpoint(dest.addr, dest.port).padEnd(28)}`;
  if (format.stats) return name + counters(dest.stats, format.exact);
  if (format.rate) return name + counters(dest.rates, format.exact);
  const conns = `${String(dest.activeConns).padEnd(10)} ${String(dest.inactConns).padEnd(10)}`;
  if (format.thresholds)
    return `${name} ${String(dest.upperThreshold).padEnd(10)} ${String(dest.lowerThreshold).padEnd(10)} ${conns}`;
  if (format.persistentConns)
    return `${name} ${String(dest.weight).padEnd(9)} ${String(dest.persistConns).padEnd(11)} ${conns}`;
  const tunnel = format.tunnels ? ` ${(dest.forward === "Tunnel" ? "ipip" : "n/a").padEnd(13)}` : "";
  return `${name} ${dest.forward.padEnd(7)}${tunnel} ${String(dest.weight).padEnd(6)} ${conns}`;
}

function counters(stats: ServiceInfo["stats"], exact: boolean): string {
  return [stats.conns, stats.inPackets, stats.outPackets, stats.inBytes, stats.outBytes]
    .map((value) => largeNumber(value, exact))
    .join("");
}

/** print_largenum: from a hundred million on in K, M, G, T. */
function largeNumber(value: number, exact: boolean): string {
  if (exact || value < 100_000_000) return String(value).padStart(9);
  const units = ["K", "M", "G", "T"];
  let rest = value;
  let unit = -1;
  do {
    rest = Math.floor(rest / 1000);
    unit++;
  } while (rest >= 100_000_000 && unit < units.length - 1);
  return String(rest).padStart(8) + units[unit];
}

function serviceName({ key }: ServiceInfo): string {
  if (key.fwmark !== 0) return `FWM  ${key.fwmark >>> 0}`;
  return `${key.protocol === IPPROTO_TCP ? "TCP" : "UDP"}  ${endpoint(key.addr, key.port)}`;
}

function serviceOption({ key }: ServiceInfo): string {
  if (key.fwmark !== 0) return `-f ${key.fwmark >>> 0}`;
  return `${key.protocol === IPPROTO_TCP ? "-t" : "-u"} ${endpoint(key.addr, key.port)}`;
}

function ruleFlags({ options }: ServiceInfo): string {
  let out = "";
  if (options.persistentSec > 0) {
    out += ` -p ${options.persistentSec}`;
    if (options.netmask !== -1) out += ` -M ${formatIp4(options.netmask)}`;
  }
  if (options.onePacket) out += " -o";
  const flags = [options.shFallback ? "sh-fallback" : "", options.shPort ? "sh-port" : ""].filter(
    (flag) => flag !== "",
  );
  return flags.length > 0 ? `${out} -b ${flags.join(",")}` : out;
}

/** Marks and addresses are compared by the sign of a difference of 32 bits (ipvs_cmp_services, ipvs_cmp_dests). */
function byKey({ key: a }: ServiceInfo, { key: b }: ServiceInfo): number {
  return (a.fwmark - b.fwmark) | 0 || a.protocol - b.protocol || (a.addr - b.addr) | 0 || a.port - b.port;
}

function byAddress(a: DestInfo, b: DestInfo): number {
  return (a.addr - b.addr) | 0 || a.port - b.port;
}

function endpoint(addr: number, port: number): string {
  return `${formatIp4(addr)}:${port}`;
}

function pad2(value: number): string {
  return String(value).padStart(2, "0");
}
