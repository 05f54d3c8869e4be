/** Stations on one bridge, with or without an address of the machine, with or without the firewall on bridged packets. */
import type { Prng } from "../../../src/util/prng.ts";
import type { Command } from "../case.ts";
import {
  COMMON_PORTS,
  cable,
  type Leg,
  machineMac,
  type Network,
  server,
  stationMac,
  worldUp,
} from "./network.ts";

const BRIDGE_MAC = machineMac(0x20);
const PORT_SETTINGS = [
  "hairpin on",
  "learning off",
  "flood off",
  "isolated on",
  "mcast_flood off",
  "bcast_flood off",
];

function leg(number: number, address: string): Leg {
  return {
    at: `w${number}`,
    gatewayMac: BRIDGE_MAC,
    stationMac: stationMac(number),
    address,
    hosts: [`10.5.0.${10 + number}`, `10.5.0.${20 + number}`, `10.5.0.${30 + number}`],
    broadcast: "10.5.0.255",
  };
}

export function bridge(prng: Prng): Network {
  const count = 2 + prng.below(3);
  const address = prng.below(3) === 0 ? "" : "10.5.0.1";
  const legs = Array.from({ length: count }, (_, i) => leg(i, address));
  const setup: Command[] = [{ ns: "b", run: `ip link add br0 address ${BRIDGE_MAC} type bridge` }];
  for (let i = 0; i < count; i++) {
    setup.push(...cable("b", `p${i}`, `w${i}`, i), { ns: "b", run: `ip link set p${i} master br0` });
    setup.push({ ns: "b", run: `ip link set p${i} up` });
    if (prng.below(4) === 0)
      setup.push({ ns: "b", run: `ip link set p${i} type bridge_slave ${prng.pick(PORT_SETTINGS)}` });
  }
  setup.push(...worldUp(count));
  if (address !== "") setup.push({ ns: "b", run: `ip addr add ${address}/24 brd + dev br0` });
  setup.push({ ns: "b", run: "ip link set br0 up" }, { ns: "b", run: "ip link set lo up" });
  setup.push({ ns: "b", run: `sysctl -qw net.bridge.bridge-nf-call-iptables=${prng.below(2)}` });
  setup.push({ ns: "b", run: `sysctl -qw net.ipv4.ip_forward=${prng.below(2)}` });
  return {
    namespaces: ["b"],
    setup,
    stations: legs.map(({ at, stationMac: mac, hosts }) => ({ at, mac, addresses: hosts.slice(0, 2) })),
    listeners: address === "" || prng.below(4) > 0 ? [] : [server("b", "tcp", 80, prng)],
    legs,
    firewalls: [{ ns: "b", devs: ["br0", ...legs.map((_, i) => `p${i}`)] }],
    rules: [],
    targets: ["10.5.0.77"],
    ports: COMMON_PORTS,
    bridged: true,
  };
}
