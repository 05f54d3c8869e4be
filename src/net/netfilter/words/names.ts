/**
 * Names for numbers that the words of a rule may use: protocols (/etc/protocols and xtables_chain_protos) and the
 * services that people write (/etc/services). A machine of the lab has no other files of that kind.
 */

/** First name of each protocol number is the one that is printed. */
const PROTOCOLS: readonly (readonly [string, number])[] = [
  ["ip", 0],
  ["all", 0],
  ["icmp", 1],
  ["igmp", 2],
  ["ggp", 3],
  ["ipencap", 4],
  ["st", 5],
  ["tcp", 6],
  ["egp", 8],
  ["igp", 9],
  ["pup", 12],
  ["udp", 17],
  ["hmp", 20],
  ["xns-idp", 22],
  ["rdp", 27],
  ["iso-tp4", 29],
  ["dccp", 33],
  ["xtp", 36],
  ["ddp", 37],
  ["idpr-cmtp", 38],
  ["ipv6", 41],
  ["ipv6-route", 43],
  ["ipv6-frag", 44],
  ["idrp", 45],
  ["rsvp", 46],
  ["gre", 47],
  ["esp", 50],
  ["ah", 51],
  ["skip", 57],
  ["ipv6-icmp", 58],
  ["icmpv6", 58],
  ["ipv6-nonxt", 59],
  ["ipv6-opts", 60],
  ["rspf", 73],
  ["vmtp", 81],
  ["eigrp", 88],
  ["ospf", 89],
  ["ax.25", 93],
  ["ipip", 94],
  ["etherip", 97],
  ["encap", 98],
  ["pim", 103],
  ["ipcomp", 108],
  ["vrrp", 112],
  ["l2tp", 115],
  ["isis", 124],
  ["sctp", 132],
  ["fc", 133],
  ["mobility-header", 135],
  ["ipv6-mh", 135],
  ["mh", 135],
  ["udplite", 136],
  ["mpls-in-ip", 137],
  ["manet", 138],
  ["hip", 139],
  ["shim6", 140],
  ["wesp", 141],
  ["rohc", 142],
];

/** Name, port, and whether it is known for tcp and for udp. */
const SERVICES: readonly (readonly [string, number, "tcp" | "udp" | "both"])[] = [
  ["echo", 7, "both"],
  ["discard", 9, "both"],
  ["ftp-data", 20, "tcp"],
  ["ftp", 21, "tcp"],
  ["ssh", 22, "tcp"],
  ["telnet", 23, "tcp"],
  ["smtp", 25, "tcp"],
  ["domain", 53, "both"],
  ["bootps", 67, "udp"],
  ["bootpc", 68, "udp"],
  ["tftp", 69, "udp"],
  ["http", 80, "tcp"],
  ["kerberos", 88, "both"],
  ["pop3", 110, "tcp"],
  ["sunrpc", 111, "both"],
  ["ntp", 123, "udp"],
  ["tcpmux", 1, "tcp"],
  ["imap2", 143, "tcp"],
  ["snmp", 161, "both"],
  ["bgp", 179, "tcp"],
  ["ldap", 389, "both"],
  ["https", 443, "both"],
  ["isakmp", 500, "udp"],
  ["syslog", 514, "udp"],
  ["submission", 587, "tcp"],
  ["ldaps", 636, "both"],
  ["imaps", 993, "tcp"],
  ["pop3s", 995, "tcp"],
  ["openvpn", 1194, "both"],
  ["nfs", 2049, "both"],
  ["mysql", 3306, "tcp"],
  ["ipsec-nat-t", 4500, "udp"],
  ["postgresql", 5432, "tcp"],
  ["mdns", 5353, "udp"],
  ["http-alt", 8080, "tcp"],
];

/** Number of a protocol by name or decimal (0 to 255); null when there is none. */
export function protocolNumber(text: string): number | null {
  const name = text.toLowerCase();
  const found = PROTOCOLS.find((entry) => entry[0] === name);
  if (found !== undefined) return found[1];
  const number = parseNumber(text);
  return number !== null && number <= 255 ? number : null;
}

/** Name of a protocol, or its number as text. */
export function protocolName(proto: number): string {
  return PROTOCOLS.find((entry) => entry[1] === proto)?.[0] ?? String(proto);
}

/** Port of a service name of a protocol ("" for any of both); null when unknown. */
export function servicePort(name: string, proto: "tcp" | "udp" | ""): number | null {
  const found = SERVICES.find(
    (entry) => entry[0] === name && (proto === "" || entry[2] === "both" || entry[2] === proto),
  );
  return found === undefined ? null : found[1];
}

/** Service name of a port, or its number as text. */
export function serviceName(port: number, proto: "tcp" | "udp"): string {
  const found = SERVICES.find((entry) => entry[1] === port && (entry[2] === "both" || entry[2] === proto));
  return found === undefined ? String(port) : found[0];
}

/** A number as strtoul(3) with base 0 takes it: decimal, 0x, leading 0 octal; null when it is none. */
export function parseNumber(text: string): number | null {
  if (/^0[xX][0-9a-fA-F]+$/.test(text)) return Number.parseInt(text.slice(2), 16);
  if (/^0[0-7]+$/.test(text)) return Number.parseInt(text, 8);
  return /^[0-9]+$/.test(text) ? Number(text) : null;
}
