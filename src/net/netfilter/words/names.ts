/**
 * Names for numbers that the words of a rule may use: protocols (/etc/protocols and xtables_chain_protos), and how numbers
 * are read (xtables_strtoul). A machine of the lab has no other file of that kind; services are in services.ts.
 */

/** Those that iptables knows by itself; the first name of a number is the one that is printed (xtables_chain_protos). */
const CHAIN_PROTOS: readonly (readonly [string, number])[] = [
  ["tcp", 6],
  ["sctp", 132],
  ["udp", 17],
  ["udplite", 136],
  ["icmp", 1],
  ["ipv6-icmp", 58],
  ["icmpv6", 58],
  ["esp", 50],
  ["ah", 51],
  ["mobility-header", 135],
  ["ipv6-mh", 135],
  ["mh", 135],
  ["all", 0],
];

/** /etc/protocols: `name|alias NUMBER`; without an alias its capitals are one. */
const PROTOCOLS: readonly (readonly [readonly string[], number])[] = `
ip 0, hopopt 0, icmp 1, igmp 2, ggp 3, ipencap|IP-ENCAP 4, st 5, tcp 6, egp 8, igp 9, pup 12, udp 17, hmp 20,
xns-idp 22, rdp 27, iso-tp4 29, dccp 33, xtp 36, ddp 37, idpr-cmtp 38, ipv6|IPv6 41, ipv6-route|IPv6-Route 43,
ipv6-frag|IPv6-Frag 44, idrp 45, rsvp 46, gre 47, esp|IPSEC-ESP 50, ah|IPSEC-AH 51, skip 57,
ipv6-icmp|IPv6-ICMP 58, ipv6-nonxt|IPv6-NoNxt 59, ipv6-opts|IPv6-Opts 60, rspf|RSPF|CPHB 73, vmtp 81, eigrp 88,
ospf|OSPFIGP 89, ax.25 93, ipip 94, etherip 97, encap 98, pim 103, ipcomp 108, vrrp 112, l2tp 115, isis 124,
sctp 132, fc 133, mobility-header|Mobility-Header 135, udplite|UDPLite 136, mpls-in-ip|MPLS-in-IP 137,
manet 138, hip 139, shim6|Shim6 140, wesp 141, rohc 142, ethernet|Ethernet 143
`
  .trim()
  .split(/,\s/)
  .map((entry) => {
    const [words, number] = entry.split(" ");
    const names = words.split("|");
    return [names.length > 1 ? names : [names[0], names[0].toUpperCase()], Number(number)] as const;
  });

/** Number of a protocol by name or number (0 to 255); null when there is none. */
export function protocolNumber(text: string): number | null {
  const number = parseNumber(text);
  if (number !== null && number <= 255) return number;
  const own = CHAIN_PROTOS.find((entry) => entry[0] === text);
  if (own !== undefined) return own[1];
  return PROTOCOLS.find((entry) => entry[0].includes(text))?.[1] ?? null;
}

/** Name of a protocol; its number as text when it has none, or only in a file that is not asked (`lookup`). */
export function protocolName(proto: number, lookup = true): string {
  const own = CHAIN_PROTOS.find((entry) => entry[1] === proto);
  if (own !== undefined) return own[0];
  const found = lookup ? PROTOCOLS.find((entry) => entry[1] === proto) : undefined;
  return found === undefined ? String(proto) : found[0][0];
}

/**
 * The number that a text begins with as strtoul(3) with base 0 takes it (decimal, 0x, leading 0 octal; blanks and a plus
 * before it), and what follows. null when there is none or a minus stands there.
 */
export function leadingNumber(text: string): { value: number; rest: string } | null {
  const found = /^\s*\+?(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)/.exec(text);
  if (found === null) return null;
  const [all, digits] = found;
  const rest = text.slice(all.length);
  if (/^0[xX]/.test(digits)) return { value: Number.parseInt(digits.slice(2), 16), rest };
  return { value: Number.parseInt(digits, digits.startsWith("0") ? 8 : 10), rest };
}

/** A text that is such a number and nothing else; null when it is none. */
export function parseNumber(text: string): number | null {
  const found = leadingNumber(text);
  return found === null || found.rest !== "" ? null : found.value;
}
