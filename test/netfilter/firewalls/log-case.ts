/** LOG with every option in every hook, and packets of every kind that its lines tell apart. */
import type { Step } from "../../oracle/case.ts";
import {
  type Bytes,
  ETH_P_IP,
  ethernet,
  hexOf,
  type IpFields,
  icmp,
  ipv4,
  pattern,
  tcp,
  udp,
} from "../../oracle/packet.ts";
import { CLIENT, type FirewallCase, firewall, HOST, LAN } from "./node.ts";

const RULES = `
  ip neigh add ${CLIENT} lladdr 02:57:00:00:00:00 dev eth0 nud permanent
  ip neigh add 172.18.0.2 lladdr 02:57:00:00:00:01 dev docker_gwbridge nud permanent
  ip neigh add 172.17.0.2 lladdr 02:57:00:00:00:02 dev docker0 nud permanent
  iptables -t raw -A PREROUTING -p udp -m udp --dport 5353 -j TRACE
  iptables -t mangle -A PREROUTING -j LOG
  iptables -t mangle -A PREROUTING -p icmp -j MARK --set-mark 0xbeef
  iptables -t mangle -A INPUT -j LOG --log-prefix "in: " --log-tcp-sequence --log-tcp-options --log-ip-options
  iptables -t mangle -A FORWARD -j LOG --log-prefix fwd --log-macdecode --log-level debug
  iptables -t mangle -A OUTPUT -j LOG --log-uid --log-level 0
  iptables -t mangle -A POSTROUTING -j LOG --log-macdecode --log-prefix "0123456789012345678901234567890"
`;

const SUM = { seq: 1000, ack: 2000, window: 512 };

function lan(fields: Partial<IpFields> & { protocol: number }, body: Bytes, note: string): Step {
  const packet = ipv4({ src: CLIENT, dst: HOST, id: 7, ...fields }, body);
  return { at: LAN.world, frame: hexOf(ethernet(LAN.mac, LAN.station, ETH_P_IP, packet)), note };
}

function segment(flags: string, more: { options?: number[]; dport?: number; doff?: number } = {}): Bytes {
  const { options = [], dport = 9, doff } = more;
  const base = { src: CLIENT, dst: HOST, sport: 40000, dport, flags, options, ...SUM };
  return tcp(doff === undefined ? base : { ...base, doff }, new Uint8Array());
}

const UDP_BODY = udp({ src: CLIENT, dst: HOST, sport: 1000, dport: 53 }, pattern(21, 0x30));
const QUOTED = ipv4({ src: HOST, dst: CLIENT, protocol: 17, id: 9 }, UDP_BODY.subarray(0, 16));
const QUOTED_ICMP = ipv4({ src: HOST, dst: CLIENT, protocol: 1, id: 9 }, icmp(3, 1, [0, 0, 0, 0], QUOTED));

const TRAFFIC: readonly Step[] = [
  lan({ protocol: 6 }, segment("S", { options: [2, 4, 5, 180, 4, 2, 1, 1] }), "SYN with options"),
  lan({ protocol: 6, tos: 0xb8, frag: 0x4000, ttl: 3 }, segment("CEUAPRSF"), "all flags"),
  lan({ protocol: 6 }, segment("A", { doff: 15 }), "a header longer than the segment"),
  lan({ protocol: 6 }, segment("A").subarray(0, 12), "half a TCP header"),
  lan({ protocol: 6, dst: "172.18.0.2" }, segment("S", { dport: 80 }), "forwarded"),
  lan({ protocol: 6, dst: HOST }, segment("S", { dport: 8080 }), "to the published port"),
  lan({ protocol: 17 }, UDP_BODY, "UDP"),
  lan({ protocol: 17 }, udp({ src: CLIENT, dst: HOST, sport: 5, dport: 5353 }, pattern(3, 1)), "traced"),
  lan({ protocol: 17 }, UDP_BODY.subarray(0, 5), "half a UDP header"),
  lan({ protocol: 17, frag: 0x0005 }, UDP_BODY, "a later fragment"),
  lan({ protocol: 136, dst: "172.18.0.2" }, UDP_BODY, "UDP-Lite"),
  lan({ protocol: 17, options: [7, 7, 4, 0, 0, 0, 0] }, UDP_BODY, "with IP options"),
  lan({ protocol: 1 }, icmp(8, 0, [1, 2, 3, 4], pattern(8, 0)), "echo"),
  lan({ protocol: 1 }, icmp(0, 0, [1, 2, 3, 4], pattern(8, 0)), "echo reply"),
  lan({ protocol: 1 }, icmp(3, 1, [0, 0, 0, 0], QUOTED), "unreachable"),
  lan({ protocol: 1 }, icmp(3, 4, [0, 0, 5, 120], QUOTED), "fragmentation needed"),
  lan({ protocol: 1 }, icmp(3, 3, [0, 0, 0, 0], QUOTED_ICMP), "about an error"),
  lan({ protocol: 1 }, icmp(3, 3, [0, 0, 0, 0], QUOTED.subarray(0, 12)), "with too little quoted"),
  lan({ protocol: 1 }, icmp(5, 1, [10, 0, 0, 9], QUOTED), "redirect"),
  lan({ protocol: 1 }, icmp(11, 0, [0, 0, 0, 0], QUOTED), "time exceeded"),
  lan({ protocol: 1 }, icmp(12, 0, [20, 0, 0, 0], QUOTED), "parameter problem"),
  lan({ protocol: 1 }, icmp(4, 0, [0, 0, 0, 0], QUOTED), "source quench"),
  lan({ protocol: 1 }, icmp(13, 0, [0, 1, 0, 2], pattern(4, 0)), "a short timestamp"),
  lan({ protocol: 1 }, icmp(42, 9, [0, 1, 0, 2], pattern(4, 0)), "a type that nobody has"),
  lan({ protocol: 1 }, icmp(8, 0, [1, 2, 3, 4], pattern(8, 0)).subarray(0, 6), "half an ICMP header"),
  lan({ protocol: 50 }, pattern(12, 1), "ESP"),
  lan({ protocol: 51 }, pattern(12, 1), "AH"),
  lan({ protocol: 50 }, pattern(5, 1), "half an ESP header"),
  lan({ protocol: 51, frag: 3 }, pattern(12, 1), "a fragment of AH"),
  lan({ protocol: 47 }, pattern(12, 1), "GRE"),
  lan({ protocol: 17, ttl: 1, dst: "172.17.0.2" }, UDP_BODY, "TTL 1, forwarded"),
  lan({ protocol: 6, frag: 0xa000 }, segment("A"), "evil bit, more fragments"),
];

const { one } = firewall("log", RULES, TRAFFIC);
const HOST_NS = "host";
const moved = <T extends { readonly ns: string }>(list: readonly T[]): T[] =>
  list.map((entry) => ({ ...entry, ns: entry.ns === "node" ? HOST_NS : entry.ns }));

/** In the first namespace of the machine: the kernel logs for no other. */
export const LOG_CASE: FirewallCase = {
  one: { ...one, namespaces: [], setup: moved(one.setup), rules: moved(one.rules), listeners: [] },
  commands: new Map(),
};

/** Virtual time between two packets, so that no ICMP error is held back by its rate limit for long. */
export const LOG_PAUSE_MS = 1000;

/** A line of the kernel's log without the IP id of a packet that the machine made, which is drawn by chance. */
export function logLine(line: string): string {
  return /\bIN= /.test(line) || /^\S*IN= /.test(line) ? line.replace(/ ID=\d+/, " ID=<id>") : line;
}
