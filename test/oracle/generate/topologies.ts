/** Topologies from a seed. */
import type { Prng } from "../../../src/util/prng.ts";
import type { Command } from "../case.ts";
import { bridge } from "./bridge.ts";
import { chain } from "./chain.ts";
import { COMMON_PORTS, cable, type Network, subnetLeg, worldUp } from "./network.ts";
import { overlay } from "./overlay.ts";

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
  ["net.ipv4.icmp_echo_ignore_all", ["0", "1"]],
  ["net.ipv4.icmp_echo_ignore_broadcasts", ["0", "1"]],
  ["net.ipv4.icmp_errors_use_inbound_ifaddr", ["0", "1"]],
  ["net.ipv4.ip_forward_use_pmtu", ["0", "1"]],
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
];

function routerExtras(prng: Prng): Command[] {
  const commands: Command[] = [];
  for (const [name, values] of ROUTER_SYSCTLS)
    if (prng.below(5) === 0) commands.push({ ns: "r", run: `sysctl -qw ${name}=${prng.pick(values)}` });
  for (const run of EXTRA_ROUTES) if (prng.below(2) === 0) commands.push({ ns: "r", run });
  if (prng.below(4) === 0) commands.push({ ns: "r", run: `ip link set eth1 mtu ${prng.pick([600, 1000])}` });
  if (prng.below(4) === 0) commands.push({ ns: "r", run: "ip addr add 10.0.0.5/24 dev eth0" });
  if (prng.below(6) === 0) commands.push({ ns: "r", run: "ip addr add 192.0.2.1/32 dev lo" });
  return commands;
}

/** One namespace that forwards between two to four legs. */
function router(prng: Prng): Network {
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
    listeners:
      prng.below(3) === 0
        ? [
            { ns: "r", protocol: "tcp", port: 80 },
            { ns: "r", protocol: "udp", port: 53 },
          ]
        : [],
    legs: legs.map(({ leg }) => leg),
    firewalls: [{ ns: "r", devs: legs.map((_, i) => `eth${i}`) }],
    rules: [],
    targets: [
      "172.16.1.1",
      "172.17.1.1",
      "172.18.1.1",
      "172.19.1.1",
      "172.20.1.1",
      "172.21.1.1",
      "172.22.1.1",
    ].concat(["192.0.2.1", "198.51.100.7", "10.0.0.5"]),
    ports: COMMON_PORTS,
    bridged: false,
  };
}

export const TOPOLOGIES: Readonly<Record<string, (prng: Prng) => Network>> = {
  router,
  chain,
  bridge,
  overlay,
};
