/** Where the director of a case stands: its cards, and who can be reached behind them. */
import { stationMac } from "./frames.ts";

export interface Station {
  readonly card: number;
  /** Last byte of its MAC address. */
  readonly mac: number;
  readonly ip: string;
}

export interface Topology {
  readonly name: string;
  readonly cards: number;
  /** Lines of `ip -batch` in the director. */
  readonly ip: readonly string[];
  readonly vip: string;
  /** A mark leads to this machine, not the address. */
  readonly onlyMarked: boolean;
  readonly clients: readonly Station[];
  /** Addresses of real servers. */
  readonly servers: readonly string[];
  /** Those of the director itself. */
  readonly ownServers: readonly string[];
}

export const VIP = "10.1.0.1";
const BACKENDS = 4;
const CLIENTS = 4;

/** Who takes what is sent to the virtual address on another card, or by a route that does not know the server. */
const NOBODY = 9;

function neighbour(ip: string, mac: number, card: number): string {
  return `neigh add ${ip} lladdr ${stationMac(mac)} dev eth${card} nud permanent`;
}

function clientsOf(net: string, card: number): Station[] {
  return Array.from({ length: CLIENTS }, (_, i) => ({ card, mac: 0x10 + i, ip: `${net}.${10 + i}` }));
}

/** One card to the clients and one to each backend: addresses, links and neighbours of the director. */
export function network(): string[] {
  const lines = ["link set lo up", "link set eth0 up", `addr add ${VIP}/24 dev eth0`];
  for (let i = 1; i <= BACKENDS; i++)
    lines.push(`link set eth${i} up`, `addr add 10.0.${i}.1/24 dev eth${i}`);
  for (const { ip, mac } of clientsOf("10.1.0", 0)) lines.push(neighbour(ip, mac, 0));
  for (let i = 1; i <= BACKENDS; i++) lines.push(neighbour(`10.0.${i}.2`, i, i));
  return lines;
}

/** Arms, with more behind routers: clients behind the first client, servers behind the backends, one way is narrow. */
function arms(vip = VIP): Topology {
  const far = { card: 0, mac: 0x10, ip: "172.16.5.5" };
  const lines = [
    "link set eth4 mtu 1300",
    "route add 172.16.0.0/16 via 10.1.0.10",
    ...[1, 2, 3, 4].map((i) => `route add 10.8.${i}.0/24 via 10.0.${i}.2`),
    "route add unreachable 10.7.0.0/16",
    ...[1, 2, 3, 4].map((i) => neighbour(vip, NOBODY, i)),
  ];
  return {
    name: "arms",
    cards: BACKENDS + 1,
    ip: [...network(), ...lines],
    vip,
    onlyMarked: false,
    clients: [...clientsOf("10.1.0", 0), far],
    servers: ["10.0.1.2", "10.0.2.2", "10.0.3.2", "10.0.4.2", "10.8.2.7", "10.8.4.7"],
    ownServers: [],
  };
}

/** One card: clients, servers and the director on one segment; a server may be a client. */
function oneArm(): Topology {
  const servers = [2, 3, 4].map((i) => ({ card: 0, mac: i, ip: `192.168.1.${i}` }));
  const clients = clientsOf("192.168.1", 0);
  const lines = ["link set lo up", "link set eth0 up", "addr add 192.168.1.1/24 dev eth0"];
  for (const { ip, mac } of [...servers, ...clients]) lines.push(neighbour(ip, mac, 0));
  return {
    name: "one-arm",
    cards: 1,
    ip: [...lines, "addr add 192.168.1.100/24 dev eth0", neighbour("192.168.1.100", NOBODY, 0)],
    vip: "192.168.1.100",
    onlyMarked: false,
    clients: [...clients, servers[0]],
    servers: servers.map(({ ip }) => ip),
    ownServers: [],
  };
}

/** The virtual address is nobody's here: a mark leads its packets to the director. */
function marked(): Topology {
  const lines = [
    "rule add fwmark 256 lookup 100",
    "route add local default dev lo table 100",
    "route add 203.0.113.0/24 via 10.1.0.13",
  ];
  const base = arms("203.0.113.9");
  return { ...base, name: "marked", ip: [...base.ip, ...lines], onlyMarked: true };
}

/** Real servers of the director itself. */
function own(): Topology {
  return { ...arms(), name: "own", ownServers: ["10.1.0.1", "10.0.1.1", "127.0.0.1"] };
}

export const TOPOLOGIES: Readonly<Record<string, () => Topology>> = {
  arms: () => arms(),
  "one-arm": oneArm,
  marked,
  own,
};
