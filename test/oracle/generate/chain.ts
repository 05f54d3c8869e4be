/**
 * The path of a published port as Docker lays it: host, bridge, a namespace between, a second bridge, container; with DNAT
 * on the host, DNAT and SNAT between, REDIRECT in the container.
 */
import type { Prng } from "../../../src/util/prng.ts";
import type { Command } from "../case.ts";
import { cable, machineMac, type Network, server, subnetLeg, worldUp } from "./network.ts";

const BRIDGES = { gw: 0x20, inner: 0x21 };

/** A cable from `ns` (bridged there) to an interface of another namespace. */
function plug(ns: string, port: string, bridge: string, to: string, number: number): Command[] {
  const dev = `t${number}`;
  return [
    {
      ns,
      run: `ip link add ${port} address ${machineMac(number)} type veth peer name ${dev} address ${machineMac(number + 1)}`,
    },
    { ns, run: `ip link set ${dev} netns @${to}` },
    { ns, run: `ip link set ${port} master ${bridge}` },
    { ns, run: `ip link set ${port} up` },
  ];
}

function address(ns: string, dev: string, name: string, cidrs: readonly string[]): Command[] {
  return [
    { ns, run: `ip link set ${dev} name ${name}` },
    ...cidrs.map((cidr) => ({ ns, run: `ip addr add ${cidr} dev ${name}` })),
    { ns, run: `ip link set ${name} up` },
  ];
}

function links(): Command[] {
  return [
    ...cable("h", "eth0", "w0", 0),
    ...cable("h", "eth1", "w1", 1),
    ...worldUp(2),
    { ns: "h", run: `ip link add gw address ${machineMac(BRIDGES.gw)} type bridge` },
    ...plug("h", "p0", "gw", "s", 0x10),
    ...plug("h", "p1", "gw", "c", 0x12),
    { ns: "o", run: `ip link add br0 address ${machineMac(BRIDGES.inner)} type bridge` },
    ...plug("o", "q0", "br0", "s", 0x14),
    ...plug("o", "q1", "br0", "c", 0x16),
  ];
}

function addresses(): Command[] {
  return [
    { ns: "o", run: "ip addr add 10.8.0.1/24 dev br0" },
    { ns: "o", run: "ip link set br0 up" },
    { ns: "h", run: "ip addr add 10.9.0.1/24 brd + dev gw" },
    { ns: "h", run: "ip link set gw up" },
    ...["h", "s", "c", "o"].map((ns) => ({ ns, run: "ip link set lo up" })),
    { ns: "h", run: "ip addr add 10.0.0.1/24 brd + dev eth0" },
    { ns: "h", run: "ip link set eth0 up" },
    { ns: "h", run: "ip addr add 10.1.0.1/24 brd + dev eth1" },
    { ns: "h", run: "ip link set eth1 up" },
    { ns: "h", run: "sysctl -qw net.ipv4.ip_forward=1" },
    ...address("s", "t20", "eth0", ["10.8.0.2/24", "10.8.0.5/32"]),
    ...address("s", "t16", "eth1", ["10.9.0.2/24"]),
    { ns: "s", run: "ip route add default via 10.9.0.1" },
    { ns: "s", run: "sysctl -qw net.ipv4.ip_forward=1" },
    ...address("c", "t22", "eth0", ["10.8.0.6/24"]),
    ...address("c", "t18", "eth1", ["10.9.0.3/24"]),
    { ns: "c", run: "ip route add default via 10.9.0.1" },
  ];
}

/** What Docker would program for a published port 8080 (TCP) and 53 (UDP). */
function publishedRules(): Command[] {
  const host = [
    "iptables -t nat -N DOCKER-INGRESS",
    "iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER-INGRESS",
    "iptables -t nat -A OUTPUT -m addrtype --dst-type LOCAL -j DOCKER-INGRESS",
    "iptables -t nat -A POSTROUTING -o gw -m addrtype --src-type LOCAL -j MASQUERADE",
    "iptables -t nat -A POSTROUTING -s 10.9.0.0/24 ! -o gw -j MASQUERADE",
    "iptables -t nat -A DOCKER-INGRESS -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.9.0.2:8080",
    "iptables -t nat -A DOCKER-INGRESS -p udp -m udp --dport 53 -j DNAT --to-destination 10.9.0.2:53",
    "iptables -t nat -A DOCKER-INGRESS -j RETURN",
    "iptables -P FORWARD DROP",
    "iptables -A FORWARD -p tcp -m tcp --dport 8080 -j ACCEPT",
    "iptables -A FORWARD -p udp -m udp --dport 53 -j ACCEPT",
    "iptables -A FORWARD -o gw -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "iptables -A FORWARD -i gw ! -o gw -j ACCEPT",
    "iptables -A FORWARD -i gw -o gw -j DROP",
  ];
  const between = [
    "iptables -t mangle -A PREROUTING -p tcp -m tcp --dport 8080 -j MARK --set-xmark 0x100/0xffffffff",
    "iptables -t nat -A PREROUTING -d 10.9.0.2/32 -j DNAT --to-destination 10.8.0.6",
    "iptables -t nat -A POSTROUTING -d 10.8.0.0/24 -j SNAT --to-source 10.8.0.2",
  ];
  const container = [
    "iptables -t nat -A PREROUTING -d 10.8.0.6/32 -p tcp -m tcp --dport 8080 -j REDIRECT --to-ports 80",
    "iptables -A INPUT -d 10.8.0.6/32 -p tcp -m tcp --dport 80 -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT",
    "iptables -A INPUT -d 10.8.0.6/32 -p tcp -j DROP",
    "iptables -A OUTPUT -s 10.8.0.6/32 -p tcp -m tcp --sport 80 -m conntrack --ctstate ESTABLISHED -j ACCEPT",
    "iptables -A OUTPUT -s 10.8.0.6/32 -p tcp -j DROP",
  ];
  const of = (ns: string, runs: string[]): Command[] => runs.map((run) => ({ ns, run }));
  return [...of("h", host), ...of("s", between), ...of("c", container)];
}

export function chain(prng: Prng): Network {
  const legs = [subnetLeg(0), subnetLeg(1)];
  return {
    namespaces: ["h", "s", "o", "c"],
    setup: [...links(), ...addresses()],
    stations: legs.map(({ station }) => station),
    listeners: [
      ...(prng.below(3) === 0 ? [server("c", "tcp", 80, prng)] : []),
      ...(prng.below(2) === 0 ? [server("c", "udp", 53, prng)] : []),
    ],
    legs: legs.map(({ leg }) => leg),
    firewalls: [
      { ns: "h", devs: ["eth0", "eth1", "gw"] },
      { ns: "s", devs: ["eth0", "eth1"] },
      { ns: "c", devs: ["eth0", "eth1"] },
    ],
    rules: publishedRules(),
    targets: ["10.0.0.1", "10.0.0.1", "10.1.0.1", "10.9.0.2", "10.9.0.3", "10.8.0.6"],
    ports: [8080, 8080, 53, 80],
    bridged: false,
  };
}
