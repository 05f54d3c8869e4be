/** ICMP errors in the words of ping and traceroute (pr_icmph of iputils). */
import { formatIp4 } from "../wire/address.ts";
import {
  ICMP_DEST_UNREACH,
  ICMP_FRAG_NEEDED,
  ICMP_REDIRECT,
  ICMP_SOURCE_QUENCH,
  ICMP_TIME_EXCEEDED,
} from "../wire/icmp.ts";

const UNREACHABLE = [
  "Destination Net Unreachable",
  "Destination Host Unreachable",
  "Destination Protocol Unreachable",
  "Destination Port Unreachable",
  "",
  "Source Route Failed",
  "Destination Net Unknown",
  "Destination Host Unknown",
  "Source Host Isolated",
  "Destination Net Prohibited",
  "Destination Host Prohibited",
  "Destination Net Unreachable for Type of Service",
  "Destination Host Unreachable for Type of Service",
  "Packet filtered",
  "Precedence Violation",
  "Precedence Cutoff",
];

const REDIRECTS = ["Network", "Host", "Type of Service and Network", "Type of Service and Host"];

/** `info` is the next-hop MTU of "fragmentation needed", the gateway of a redirect. */
export function icmpErrorText(type: number, code: number, info: number): string {
  if (type === ICMP_DEST_UNREACH) {
    if (code === ICMP_FRAG_NEEDED) return `Frag needed and DF set (mtu = ${info})`;
    return UNREACHABLE[code] ?? `Dest Unreachable, Bad Code: ${code}`;
  }
  if (type === ICMP_TIME_EXCEEDED)
    return code === 0 ? "Time to live exceeded" : "Frag reassembly time exceeded";
  if (type === ICMP_SOURCE_QUENCH) return "Source Quench";
  if (type === ICMP_REDIRECT) {
    const what = code in REDIRECTS ? `Redirect ${REDIRECTS[code]}` : `Redirect, Bad Code: ${code}`;
    return `${what}(New nexthop: ${formatIp4(info)})`;
  }
  return `Bad ICMP type: ${type}`;
}
