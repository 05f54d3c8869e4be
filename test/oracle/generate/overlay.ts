/** Two hosts, each with a bridge and a VXLAN device on it, as an overlay network has them. */
import type { Prng } from "../../../src/util/prng.ts";
import type { Command } from "../case.ts";
import { COMMON_PORTS, cable, type Leg, machineMac, type Network, stationMac, worldUp } from "./network.ts";

const HOSTS = [
  { ns: "a", own: "192.168.200.10", other: "192.168.200.11", address: "10.6.0.1" },
  { ns: "b", own: "192.168.200.11", other: "192.168.200.10", address: "10.6.0.254" },
];
const MTU = 1450;

function station(number: number): string {
  return `10.6.0.${10 + number}`;
}

/** Entries for the other host's stations, as a control plane or by hand would make them. */
function entries(ns: string, other: string, there: readonly number[], prng: Prng): Command[] {
  const commands: Command[] = [];
  if (prng.below(3) === 0)
    commands.push({ ns, run: `bridge fdb append 00:00:00:00:00:00 dev vxlan0 dst ${other}` });
  for (const number of there) {
    if (prng.below(5) === 0) continue;
    commands.push({ ns, run: `bridge fdb add ${stationMac(number)} dev vxlan0 dst ${other} self permanent` });
    if (prng.below(4) === 0) continue;
    const neigh = `ip neigh add ${station(number)} lladdr ${stationMac(number)} dev vxlan0 nud permanent`;
    commands.push({ ns, run: neigh });
  }
  return commands;
}

function host(index: number, prng: Prng): Command[] {
  const { ns, own, other, address } = HOSTS[index];
  const number = 0x30 + index * 4;
  const local = [index * 2, index * 2 + 1];
  const there = [2 - index * 2, 3 - index * 2];
  const learning = prng.below(4) === 0 ? " nolearning" : "";
  const proxy = prng.below(4) === 0 ? "" : " proxy l2miss l3miss";
  const mac = machineMac(number);
  const csum = prng.below(6) === 0 ? " noudpcsum" : "";
  const vxlan = `ip link add vxlan0 address ${mac} type vxlan id 4097 dstport 4789${learning}${proxy}${csum}`;
  const runs = [
    `ip link add br0 address ${machineMac(number + 1)} type bridge`,
    `ip link set br0 mtu ${MTU}`,
    vxlan,
    `ip link set vxlan0 mtu ${MTU}`,
    "ip link set vxlan0 master br0",
    "ip link set vxlan0 up",
    `ip addr add ${address}/24 dev br0`,
    "ip link set br0 up",
    "ip link set lo up",
  ];
  const before: Command[] = [
    { ns, run: `ip addr add ${own}/24 brd + dev eth0` },
    { ns, run: "ip link set eth0 up" },
  ];
  const ports = local.flatMap((i) => [
    ...cable(ns, `p${i}`, `w${i}`, i),
    { ns, run: `ip link set p${i} mtu ${MTU}` },
    { ns, run: `ip link set p${i} master br0` },
    { ns, run: `ip link set p${i} up` },
  ]);
  return [...before, ...runs.map((run) => ({ ns, run })), ...ports, ...entries(ns, other, there, prng)];
}

export function overlay(prng: Prng): Network {
  const wire = `ip link add eth0 address ${machineMac(0x38)} type veth peer name eth0b address ${machineMac(0x39)}`;
  const setup: Command[] = [
    { ns: "a", run: wire },
    { ns: "a", run: "ip link set eth0b netns @b" },
    { ns: "b", run: "ip link set eth0b name eth0" },
    ...host(0, prng),
    ...host(1, prng),
    ...worldUp(4),
  ];
  const legs: Leg[] = [0, 1, 2, 3].map((i) => ({
    at: `w${i}`,
    gatewayMac: machineMac(i < 2 ? 0x31 : 0x35),
    stationMac: stationMac(i),
    address: HOSTS[i < 2 ? 0 : 1].address,
    hosts: [station(i), `10.6.0.${20 + i}`, `10.6.0.${30 + i}`],
    broadcast: "10.6.0.255",
  }));
  return {
    namespaces: ["a", "b"],
    setup,
    stations: legs.map(({ at, stationMac: mac, hosts }) => ({ at, mac, addresses: hosts.slice(0, 2) })),
    listeners: [],
    legs,
    firewalls: [
      { ns: "a", devs: ["eth0", "br0"] },
      { ns: "b", devs: ["eth0", "br0"] },
    ],
    rules: [],
    targets: ["10.6.0.77"],
    ports: COMMON_PORTS,
    bridged: true,
  };
}
