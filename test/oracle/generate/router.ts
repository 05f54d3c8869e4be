/** One namespace that routes, with everything that an administrator may set there. */
import type { Prng } from "../../../src/util/prng.ts";
import type { Command } from "../case.ts";
import { COMMON_PORTS, cable, type Network, server, subnetLeg, worldUp } from "./network.ts";

/**
 * What an administrator may set. Not icmp_ratelimit=0, with which Linux 6.1 forgets the credit that a host has for errors of
 * routing, and later ones do not.
 */
const ROUTER_SYSCTLS: readonly (readonly [string, readonly string[]])[] = [
  ["net.ipv4.conf.all.rp_filter", ["0", "1", "2"]],
  ["net.ipv4.conf.eth0.rp_filter", ["0", "1", "2"]],
  ["net.ipv4.conf.eth1.proxy_arp", ["0", "1"]],
  ["net.ipv4.conf.all.send_redirects", ["0", "1"]],
  ["net.ipv4.conf.all.accept_source_route", ["0", "1"]],
  ["net.ipv4.conf.all.arp_ignore", ["0", "1", "2", "8"]],
  ["net.ipv4.conf.all.arp_announce", ["0", "1", "2"]],
  ["net.ipv4.conf.all.arp_filter", ["0", "1"]],
  ["net.ipv4.conf.eth0.arp_accept", ["0", "1"]],
  ["net.ipv4.conf.all.accept_local", ["0", "1"]],
  ["net.ipv4.conf.eth0.route_localnet", ["0", "1"]],
  ["net.ipv4.ip_default_ttl", ["64", "32"]],
  ["net.ipv4.ip_no_pmtu_disc", ["1", "2", "3"]],
  ["net.ipv4.icmp_echo_ignore_all", ["0", "1"]],
  ["net.ipv4.icmp_echo_ignore_broadcasts", ["0", "1"]],
  ["net.ipv4.icmp_errors_use_inbound_ifaddr", ["0", "1"]],
  ["net.ipv4.ip_forward_use_pmtu", ["0", "1"]],
  ["net.ipv4.fwmark_reflect", ["1"]],
  ["net.ipv4.conf.all.src_valid_mark", ["1"]],
  ["net.ipv4.conf.eth1.forwarding", ["0"]],
  ["net.ipv4.conf.eth0.shared_media", ["0"]],
  ["net.ipv4.conf.eth0.accept_redirects", ["0", "1"]],
  ["net.ipv4.conf.all.secure_redirects", ["0"]],
  ["net.ipv4.conf.all.bc_forwarding", ["1"]],
  ["net.ipv4.conf.eth0.bc_forwarding", ["1"]],
  ["net.ipv4.conf.eth0.proxy_arp_pvlan", ["1"]],
  ["net.ipv4.conf.all.drop_gratuitous_arp", ["1"]],
  ["net.ipv4.conf.all.drop_unicast_in_l2_multicast", ["1"]],
  ["net.ipv4.icmp_ratemask", ["0", "6169"]],
  ["net.ipv4.icmp_ignore_bogus_error_responses", ["0"]],
];

/** Parameters of connection tracking, which there are once a rule has loaded it. */
const CONNTRACK_SYSCTLS: readonly (readonly [string, readonly string[]])[] = [
  ["net.netfilter.nf_conntrack_tcp_loose", ["0"]],
  ["net.netfilter.nf_conntrack_tcp_be_liberal", ["1"]],
  ["net.netfilter.nf_conntrack_tcp_ignore_invalid_rst", ["1"]],
  ["net.netfilter.nf_conntrack_checksum", ["0"]],
  ["net.netfilter.nf_conntrack_acct", ["1"]],
  ["net.netfilter.nf_conntrack_udp_timeout", ["7"]],
  ["net.netfilter.nf_conntrack_tcp_max_retrans", ["1", "0"]],
  ["net.netfilter.nf_conntrack_tcp_timeout_max_retrans", ["70"]],
  ["net.netfilter.nf_conntrack_tcp_timeout_unacknowledged", ["20", "1000"]],
  ["net.netfilter.nf_conntrack_sctp_timeout_cookie_wait", ["77"]],
];

const EXTRA_ROUTES: readonly string[] = [
  "ip route add 172.16.0.0/16 via 10.1.0.2",
  "ip route add 172.17.0.0/16 via 10.0.0.3",
  "ip route add default via 10.1.0.3",
  "ip route add blackhole 172.18.0.0/16",
  "ip route add unreachable 172.19.0.0/16",
  "ip route add prohibit 172.20.0.0/16",
  "ip route add 172.21.0.0/16 via 10.1.0.2 mtu 900",
  "ip route add 172.22.0.0/16 dev eth1",
  "ip route add throw 172.23.0.0/16",
  "ip route add 172.24.0.0/16 via 10.1.0.2 src 10.0.0.1",
];

/** Policies, each with the table that it leads to. */
const POLICIES: readonly string[] = [
  "ip rule add fwmark 0x1/0x1 lookup 100",
  "ip rule add fwmark 0x2 lookup 101",
  "ip rule add from 10.0.0.0/24 lookup 100",
  "ip rule add iif eth0 lookup 101",
  "ip rule add to 10.1.0.0/24 lookup 101",
  "ip rule add tos 0x10 lookup 100",
  "ip rule add not from 10.0.0.0/16 lookup 101",
  "ip rule add from 10.0.0.3 prohibit",
  "ip rule add to 172.16.0.0/12 unreachable",
  "ip rule add iif lo lookup 100",
];
const POLICY_ROUTES: readonly string[] = [
  "ip route add default via 10.1.0.3 table 100",
  "ip route add 172.16.0.0/12 via 10.0.0.3 table 100",
  "ip route add 10.1.0.0/24 via 10.0.0.2 table 101",
  "ip route add throw 172.16.0.0/12 table 101",
  "ip route add blackhole 198.51.100.0/24 table 101",
];

function routerExtras(prng: Prng): Command[] {
  // Answers for others come after a random time, unless told not to.
  const commands: Command[] = ["eth0", "eth1"].map((dev) => ({
    ns: "r",
    run: `sysctl -qw net.ipv4.neigh.${dev}.proxy_delay=0`,
  }));
  for (const [name, values] of ROUTER_SYSCTLS)
    if (prng.below(5) === 0) commands.push({ ns: "r", run: `sysctl -qw ${name}=${prng.pick(values)}` });
  for (const run of EXTRA_ROUTES) if (prng.below(2) === 0) commands.push({ ns: "r", run });
  if (prng.below(3) === 0) commands.push(...policies(prng));
  if (prng.below(4) === 0) commands.push({ ns: "r", run: `ip link set eth1 mtu ${prng.pick([600, 1000])}` });
  if (prng.below(4) === 0) commands.push({ ns: "r", run: "ip addr add 10.0.0.5/24 dev eth0" });
  if (prng.below(6) === 0) commands.push({ ns: "r", run: "ip addr add 192.0.2.1/32 dev lo" });
  return commands;
}

function policies(prng: Prng): Command[] {
  const commands: Command[] = [];
  for (const run of POLICY_ROUTES) if (prng.below(3) > 0) commands.push({ ns: "r", run });
  for (let i = 1 + prng.below(3); i > 0; i--) commands.push({ ns: "r", run: prng.pick(POLICIES) });
  return commands;
}

/** Behind a rule that wants it: before, the parameters are not there. */
function conntrackParameters(prng: Prng): Command[] {
  const commands: Command[] = [{ ns: "r", run: "iptables -A FORWARD -m conntrack --ctstate NEW" }];
  for (const [name, values] of CONNTRACK_SYSCTLS)
    if (prng.below(3) === 0) commands.push({ ns: "r", run: `sysctl -qw ${name}=${prng.pick(values)}` });
  return commands;
}

/** One namespace that forwards between two to four legs. */
export function router(prng: Prng): Network {
  const count = 2 + prng.below(3);
  const legs = Array.from({ length: count }, (_, i) => subnetLeg(i));
  const forward = prng.below(8) === 0 ? 0 : 1;
  const setup: Command[] = legs.flatMap((_, i) => cable("r", `eth${i}`, `w${i}`, i));
  setup.push(...worldUp(count), { ns: "r", run: "ip link set lo up" });
  for (let i = 0; i < count; i++) {
    setup.push({ ns: "r", run: `ip addr add 10.${i}.0.1/24 brd + dev eth${i}` });
    setup.push({ ns: "r", run: `ip link set eth${i} up` });
  }
  setup.push({ ns: "r", run: `sysctl -qw net.ipv4.ip_forward=${forward}` }, ...routerExtras(prng));
  return {
    namespaces: ["r"],
    setup,
    stations: legs.map(({ station }) => station),
    listeners: prng.below(3) === 0 ? [server("r", "tcp", 80, prng), server("r", "udp", 53, prng)] : [],
    legs: legs.map(({ leg }) => leg),
    firewalls: [{ ns: "r", devs: legs.map((_, i) => `eth${i}`) }],
    rules: prng.below(4) > 0 ? [] : conntrackParameters(prng),
    targets: [
      "172.16.1.1",
      "172.17.1.1",
      "172.18.1.1",
      "172.19.1.1",
      "172.20.1.1",
      "172.21.1.1",
      "172.22.1.1",
      "172.23.1.1",
      "172.24.1.1",
    ].concat(["192.0.2.1", "198.51.100.7", "10.0.0.5"]),
    ports: COMMON_PORTS,
    bridged: false,
  };
}

/** The other side is in the common zone; without --zone-reply, as rules.ts says. */
const ZONES = ["--zone 1", "--zone-orig 1", "--zone mark"];
const WRONG = "iptables -A FORWARD -m conntrack --ctstate INVALID -j DROP";

/** A router that tracks the connections of stations on two sides of it, which do nearly everything wrong. */
export function tracker(prng: Prng): Network {
  const legs = [subnetLeg(0), subnetLeg(1)];
  const setup: Command[] = legs.flatMap((_, i) => cable("r", `eth${i}`, `w${i}`, i));
  setup.push(...worldUp(legs.length), { ns: "r", run: "ip link set lo up" });
  legs.forEach((_, i) => {
    setup.push({ ns: "r", run: `ip addr add 10.${i}.0.1/24 brd + dev eth${i}` });
    setup.push({ ns: "r", run: `ip link set eth${i} up` });
  });
  setup.push({ ns: "r", run: "sysctl -qw net.ipv4.ip_forward=1" });
  const rules = conntrackParameters(prng);
  if (prng.below(3) === 0) rules.push({ ns: "r", run: WRONG });
  if (prng.below(4) === 0)
    rules.push({ ns: "r", run: `iptables -t raw -A PREROUTING -i eth0 -j CT ${prng.pick(ZONES)}` });
  if (prng.below(3) === 0)
    rules.push({ ns: "r", run: "iptables -t nat -A POSTROUTING -o eth1 -j MASQUERADE" });
  return {
    namespaces: ["r"],
    setup,
    stations: legs.map(({ station }) => station),
    listeners: [],
    legs: legs.map(({ leg }) => leg),
    firewalls: [],
    rules,
    targets: [],
    ports: [80, 8080],
    tracked: true,
    bridged: false,
  };
}
