/**
 * A swarm node as a firewall sees it: a card on the LAN, docker_gwbridge with the ingress sandbox behind it, docker0 with a
 * container, Docker's own rules, and the packets that pass such a node on a usual day.
 */
import type { Case, Command, Listener, Station, Step } from "../../oracle/case.ts";
import {
  type Bytes,
  ETH_P_IP,
  ethernet,
  hexOf,
  IPPROTO_ICMP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  icmp,
  ipv4,
  pattern,
  tcp,
  udp,
} from "../../oracle/packet.ts";

export const NODE = "node";
export const HOST = "192.168.200.10";
export const CLIENT = "192.168.200.1";
export const WORKER = "192.168.200.11";
export const STRANGER = "192.168.200.77";
const SANDBOX = "172.18.0.2";
export const CONTAINER = "172.17.0.2";

interface Leg {
  readonly world: string;
  readonly mac: string;
  readonly station: string;
}

export const LAN: Leg = { world: "w0", mac: "02:4d:00:00:00:00", station: "02:57:00:00:00:00" };
const GATEWAY: Leg = { world: "w1", mac: "02:4d:00:00:00:01", station: "02:57:00:00:00:01" };
const BRIDGE0: Leg = { world: "w2", mac: "02:4d:00:00:00:02", station: "02:57:00:00:00:02" };

const STATIONS: readonly Station[] = [
  {
    at: LAN.world,
    mac: LAN.station,
    addresses: [CLIENT, WORKER, STRANGER, "192.168.200.254"],
  },
  { at: GATEWAY.world, mac: GATEWAY.station, addresses: [SANDBOX] },
  { at: BRIDGE0.world, mac: BRIDGE0.station, addresses: [CONTAINER] },
];

const LISTENERS: readonly Listener[] = [
  { ns: NODE, protocol: "tcp", port: 22 },
  { ns: NODE, protocol: "tcp", port: 2377 },
  { ns: NODE, protocol: "udp", port: 7946 },
  { ns: NODE, protocol: "udp", port: 4789 },
];

function inNode(lines: string): Command[] {
  return lines
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .map((run) => ({ ns: NODE, run }));
}

const SETUP: readonly Command[] = [
  ...inNode(`
    ip link add eth0 address ${LAN.mac} type veth peer name w0 address ${LAN.station}
    ip link set w0 netns @world
    ip link add docker_gwbridge address ${GATEWAY.mac} type bridge
    ip link add vethgw address 02:4d:00:00:00:11 type veth peer name w1 address ${GATEWAY.station}
    ip link set w1 netns @world
    ip link set vethgw master docker_gwbridge
    ip link add docker0 address ${BRIDGE0.mac} type bridge
    ip link add vethd address 02:4d:00:00:00:12 type veth peer name w2 address ${BRIDGE0.station}
    ip link set w2 netns @world
    ip link set vethd master docker0
  `),
  ...["w0", "w1", "w2"].map((dev) => ({ ns: "world", run: `ip link set ${dev} up` })),
  ...inNode(`
    ip link set lo up
    ip addr add ${HOST}/24 brd + dev eth0
    ip addr add 172.18.0.1/16 brd + dev docker_gwbridge
    ip addr add 172.17.0.1/16 brd + dev docker0
    ip link set eth0 up
    ip link set docker_gwbridge up
    ip link set docker0 up
    ip link set vethgw up
    ip link set vethd up
    ip route add default via 192.168.200.254
    sysctl -qw net.ipv4.ip_forward=1
  `),
];

/** What Docker 20.10 writes on a node of a swarm with port 8080 published. */
const DOCKER_RULES = `
  iptables -t nat -N DOCKER
  iptables -t nat -N DOCKER-INGRESS
  iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER-INGRESS
  iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
  iptables -t nat -A OUTPUT -m addrtype --dst-type LOCAL -j DOCKER-INGRESS
  iptables -t nat -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
  iptables -t nat -A POSTROUTING -o docker_gwbridge -m addrtype --src-type LOCAL -j MASQUERADE
  iptables -t nat -A POSTROUTING -s 172.18.0.0/16 ! -o docker_gwbridge -j MASQUERADE
  iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
  iptables -t nat -A DOCKER -i docker_gwbridge -j RETURN
  iptables -t nat -A DOCKER -i docker0 -j RETURN
  iptables -t nat -A DOCKER-INGRESS -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.18.0.2:8080
  iptables -t nat -A DOCKER-INGRESS -j RETURN
  iptables -N DOCKER
  iptables -N DOCKER-INGRESS
  iptables -N DOCKER-ISOLATION-STAGE-1
  iptables -N DOCKER-ISOLATION-STAGE-2
  iptables -N DOCKER-USER
  iptables -P FORWARD DROP
  iptables -A FORWARD -j DOCKER-USER
  iptables -A FORWARD -j DOCKER-INGRESS
  iptables -A FORWARD -j DOCKER-ISOLATION-STAGE-1
  iptables -A FORWARD -o docker_gwbridge -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
  iptables -A FORWARD -o docker_gwbridge -j DOCKER
  iptables -A FORWARD -i docker_gwbridge ! -o docker_gwbridge -j ACCEPT
  iptables -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
  iptables -A FORWARD -o docker0 -j DOCKER
  iptables -A FORWARD -i docker0 ! -o docker0 -j ACCEPT
  iptables -A FORWARD -i docker0 -o docker0 -j ACCEPT
  iptables -A FORWARD -i docker_gwbridge -o docker_gwbridge -j DROP
  iptables -A DOCKER-INGRESS -p tcp -m tcp --dport 8080 -j ACCEPT
  iptables -A DOCKER-INGRESS -p tcp -m state --state RELATED,ESTABLISHED -m tcp --sport 8080 -j ACCEPT
  iptables -A DOCKER-INGRESS -j RETURN
  iptables -A DOCKER-ISOLATION-STAGE-1 -i docker_gwbridge ! -o docker_gwbridge -j DOCKER-ISOLATION-STAGE-2
  iptables -A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
  iptables -A DOCKER-ISOLATION-STAGE-1 -j RETURN
  iptables -A DOCKER-ISOLATION-STAGE-2 -o docker_gwbridge -j DROP
  iptables -A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
  iptables -A DOCKER-ISOLATION-STAGE-2 -j RETURN
  iptables -A DOCKER-USER -j RETURN
`;

let nextId = 0x100;

function frame(leg: Leg, src: string, dst: string, protocol: number, body: Bytes, note: string): Step {
  const packet = ipv4({ src, dst, protocol, id: nextId++, frag: 0x4000 }, body);
  return { at: leg.world, frame: hexOf(ethernet(leg.mac, leg.station, ETH_P_IP, packet)), note };
}

function legOf(src: string): Leg {
  return src === SANDBOX ? GATEWAY : src === CONTAINER ? BRIDGE0 : LAN;
}

/** A TCP segment of its own. */
export function segment(src: string, dst: string, ports: [number, number], flags: string, mss = 1460): Step {
  const [sport, dport] = ports;
  const options = flags === "S" ? [2, 4, mss >> 8, mss & 255] : [];
  const numbers = { seq: 0x10000000, ack: flags.includes("A") ? 1 : 0 };
  const body = tcp({ src, dst, sport, dport, ...numbers, flags, options }, new Uint8Array());
  return frame(legOf(src), src, dst, IPPROTO_TCP, body, `${src} ${flags} to ${dst}:${dport}`);
}

export function datagram(src: string, dst: string, ports: [number, number], length = 20): Step {
  const [sport, dport] = ports;
  const body = udp({ src, dst, sport, dport }, pattern(length, 0x30));
  return frame(legOf(src), src, dst, IPPROTO_UDP, body, `${src} UDP to ${dst}:${dport}`);
}

export function echo(src: string, dst: string): Step {
  const body = icmp(8, 0, [0x30, 1, 0, 1], pattern(56, 0));
  return frame(legOf(src), src, dst, IPPROTO_ICMP, body, `${src} pings ${dst}`);
}

/** The answer to what arrived last. */
export function answer(flags: string, payload = 0): Step {
  return { answer: { back: 0, flags, payload }, note: `answer ${flags}` };
}

/** A request to the published port with its answer. */
export function request(src: string, sport: number): Step[] {
  const rest = ["SA", "A"].map((flags) => answer(flags));
  const ends = ["FA", "FA", "A"].map((flags) => answer(flags));
  return [
    segment(src, HOST, [sport, 8080], "S"),
    ...rest,
    answer("PA", 100),
    answer("PA", 500),
    answer("A"),
    ...ends,
  ];
}

/** What passes a node on a usual day. */
export function usualTraffic(): Step[] {
  return [
    ...request(CLIENT, 40000),
    segment(STRANGER, HOST, [40001, 8080], "S"),
    segment(CLIENT, HOST, [40002, 22], "S"),
    segment(STRANGER, HOST, [40003, 2377], "S"),
    segment(STRANGER, HOST, [40004, 9999], "S"),
    segment(CLIENT, HOST, [40005, 8080], "A"),
    datagram(WORKER, HOST, [7946, 7946]),
    datagram(WORKER, HOST, [49152, 4789]),
    datagram(STRANGER, HOST, [49153, 4789]),
    datagram(STRANGER, HOST, [1000, 53]),
    echo(CLIENT, HOST),
    datagram(SANDBOX, "8.8.8.8", [5000, 53]),
    answer("", 40),
    segment(CONTAINER, "1.1.1.1", [5001, 443], "S"),
    answer("SA"),
    segment(CONTAINER, HOST, [5002, 8080], "S"),
    answer("SA"),
    segment(CONTAINER, SANDBOX, [5003, 80], "S"),
  ];
}

/** A step may be a command on the node instead of a packet. */
export interface FirewallCase {
  readonly one: Case;
  /** Commands by the index of the step before which they are typed. */
  readonly commands: ReadonlyMap<number, readonly string[]>;
}

/** Docker's rules, the user's on top (`rules`, a command a line), and packets or commands. */
export function firewall(name: string, rules: string, traffic: readonly (Step | string)[]): FirewallCase {
  const steps: Step[] = [];
  const commands = new Map<number, string[]>();
  for (const part of traffic) {
    if (typeof part !== "string") steps.push(part);
    else commands.set(steps.length, [...(commands.get(steps.length) ?? []), part]);
  }
  const one: Case = {
    name,
    namespaces: [NODE],
    setup: SETUP,
    rules: [...inNode(DOCKER_RULES), ...inNode(rules)],
    stations: STATIONS,
    listeners: LISTENERS,
    steps,
  };
  return { one, commands };
}
