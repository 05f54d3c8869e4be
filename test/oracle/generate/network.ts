/** What the generators know about a topology: where frames go in, and which addresses are worth asking for. */
import type { Prng } from "../../../src/util/prng.ts";
import { type Command, type Listener, type Station, WORLD } from "../case.ts";

/** An interface of the world with the stations behind it. */
export interface Leg {
  /** Interface of the world. */
  readonly at: string;
  /** MAC that stations here send to when they mean the machine. */
  readonly gatewayMac: string;
  readonly stationMac: string;
  /** Address of the machine here; "" when it has none. */
  readonly address: string;
  /** Addresses of stations; the last one answers no ARP. */
  readonly hosts: readonly string[];
  readonly broadcast: string;
}

export interface Network {
  readonly namespaces: readonly string[];
  readonly setup: readonly Command[];
  readonly stations: readonly Station[];
  readonly listeners: readonly Listener[];
  readonly legs: readonly Leg[];
  /** Where firewall rules go: namespace with its interfaces. */
  readonly firewalls: readonly { readonly ns: string; readonly devs: readonly string[] }[];
  /** Rules that belong to the topology (NAT of published ports). */
  readonly rules: readonly Command[];
  /** Addresses that packets are sent to, besides those of stations. */
  readonly targets: readonly string[];
  /** Ports that packets are sent to. */
  readonly ports: readonly number[];
  /** Nothing but connections between stations of two legs, which are tracked. */
  readonly tracked?: boolean;
  /** Frames may go to the MAC of another station directly (bridges). */
  readonly bridged: boolean;
}

/** A server that does something, or nothing. */
export function server(ns: string, protocol: "tcp" | "udp", port: number, prng: Prng): Listener {
  const does = prng.pick([undefined, "echo", "echo", "close"] as const);
  return does === undefined ? { ns, protocol, port } : { ns, protocol, port, does };
}

/** MAC addresses by number: of the machine's interfaces, and of stations. */
export function machineMac(number: number): string {
  return `02:4d:00:00:00:${number.toString(16).padStart(2, "0")}`;
}

export function stationMac(number: number): string {
  return `02:57:00:00:00:${number.toString(16).padStart(2, "0")}`;
}

export const COMMON_PORTS: readonly number[] = [53, 80, 8080];

/** A cable from an interface of a namespace to one of the world, the latter up. */
export function cable(ns: string, dev: string, worldDev: string, number: number): Command[] {
  const peer = `peer name ${worldDev} address ${stationMac(number)}`;
  return [
    { ns, run: `ip link add ${dev} address ${machineMac(number)} type veth ${peer}` },
    { ns, run: `ip link set ${worldDev} netns @${WORLD}` },
  ];
}

/** A leg of the subnet 10.N.0.0/24 with two stations that answer ARP and one that does not. */
export function subnetLeg(number: number): { leg: Leg; station: Station } {
  const at = `w${number}`;
  const hosts = [2, 3, 9].map((host) => `10.${number}.0.${host}`);
  const leg = {
    at,
    gatewayMac: machineMac(number),
    stationMac: stationMac(number),
    address: `10.${number}.0.1`,
    hosts,
    broadcast: `10.${number}.0.255`,
  };
  return { leg, station: { at, mac: stationMac(number), addresses: hosts.slice(0, 2) } };
}

/** Brings up the interfaces of the world. */
export function worldUp(count: number): Command[] {
  return Array.from({ length: count }, (_, i) => ({ ns: WORLD, run: `ip link set w${i} up` }));
}
