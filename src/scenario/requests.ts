/**
 * The TCP connections of a capture, each followed through every address translation, bridge and tunnel: the client's
 * initial sequence number is what stays the same on the whole way (nothing here rewrites it).
 */
import type { RecordedInterface, Recorder } from "../capture/recorder.ts";
import type { LabSpec } from "../lab.ts";
import { formatIp4 } from "../wire/address.ts";
import { ETH_HLEN, ETH_P_IP, ethType } from "../wire/ethernet.ts";
import { IPPROTO_TCP, IPPROTO_UDP, ipDaddr, ipHeaderLen, ipProtocol, ipSaddr, ipTtl } from "../wire/ipv4.ts";
import { TCP_ACK, TCP_RST, TCP_SYN, tcpAckSeq, tcpDport, tcpFlags, tcpSeq, tcpSport } from "../wire/tcp.ts";
import { UDP_HLEN, udpDport } from "../wire/udp.ts";
import { VXLAN_HLEN, VXLAN_PORT } from "../wire/vxlan.ts";

const CONTROL_PORTS: readonly number[] = [2377, 7946];

/** Where a packet was seen, and how it looked there. */
export interface Sighting {
  readonly at: RecordedInterface;
  readonly timeNs: number;
  readonly saddr: number;
  readonly sport: number;
  readonly daddr: number;
  readonly dport: number;
  readonly ttl: number;
}

export interface TcpRequest {
  /** The first packet from interface to interface. */
  readonly there: readonly Sighting[];
  /** Its answer; empty when none came. */
  readonly back: readonly Sighting[];
  readonly refused: boolean;
}

/** Offset of the innermost IPv4 header that carries TCP, -1 when there is none. */
function tcpPacketOffset(view: DataView): number {
  let off = 0;
  for (;;) {
    if (view.byteLength < off + ETH_HLEN + 40 || ethType(view, off) !== ETH_P_IP) return -1;
    const ip = off + ETH_HLEN;
    const l4 = ip + ipHeaderLen(view, ip);
    if (ipProtocol(view, ip) === IPPROTO_TCP) return ip;
    if (ipProtocol(view, ip) !== IPPROTO_UDP || udpDport(view, l4) !== VXLAN_PORT) return -1;
    off = l4 + UDP_HLEN + VXLAN_HLEN;
  }
}

interface Growing {
  there: Sighting[];
  back: Sighting[];
  refused: boolean;
}

/** The connections that began while the recorder ran, in the order of their first packets. */
export function tcpRequests(recorder: Recorder): TcpRequest[] {
  const bySequence = new Map<number, Growing>();
  for (let i = 0; i < recorder.frameCount; i++) {
    const bytes = recorder.frameBytes(i);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const ip = tcpPacketOffset(view);
    if (ip < 0) continue;
    const tcp = ip + ipHeaderLen(view, ip);
    const flags = tcpFlags(view, tcp);
    if ((flags & (TCP_SYN | TCP_RST)) === 0 || isControlPlane(view, tcp)) continue;
    const first = (flags & (TCP_SYN | TCP_ACK)) === TCP_SYN;
    const sequence = first ? tcpSeq(view, tcp) : (tcpAckSeq(view, tcp) - 1) | 0;
    let request = bySequence.get(sequence);
    if (request === undefined) {
      if (!first) continue;
      bySequence.set(sequence, (request = { there: [], back: [], refused: false }));
    }
    const at = recorder.interfaces[recorder.frameInterface(i)];
    const list = first ? request.there : request.back;
    if (list.some((sighting) => sighting.at === at)) continue;
    if ((flags & TCP_RST) !== 0) {
      if (request.back.length > 0 && !request.refused) continue;
      request.refused = true;
    }
    list.push(sightingOf(view, ip, tcp, at, recorder.frameTimeNs(i)));
  }
  return [...bySequence.values()];
}

/** What Docker's managers and gossip say to each other stands in the captures, but is nobody's request. */
function isControlPlane(view: DataView, tcp: number): boolean {
  return CONTROL_PORTS.includes(tcpSport(view, tcp)) || CONTROL_PORTS.includes(tcpDport(view, tcp));
}

function sightingOf(
  view: DataView,
  ip: number,
  tcp: number,
  at: RecordedInterface,
  timeNs: number,
): Sighting {
  return {
    at,
    timeNs,
    saddr: ipSaddr(view, ip),
    sport: tcpSport(view, tcp),
    daddr: ipDaddr(view, ip),
    dport: tcpDport(view, tcp),
    ttl: ipTtl(view, ip),
  };
}

/** The sightings up to the interface that answered: later ones are copies that a bridge flooded. */
function wayThere({ there, back }: TcpRequest): readonly Sighting[] {
  const end = there.findIndex(({ at }) => at === back[0]?.at);
  return end < 0 ? there : there.slice(0, end + 1);
}

function placeName({ machine, netns }: RecordedInterface): string {
  return netns === "host" ? machine : `${netns.replace(/^ctr-/, "")} on ${machine}`;
}

/** One line: who asked which node, who answered, how many routers and interfaces lie between, TTL at both ends. */
export function requestLine(request: TcpRequest, spec: LabSpec): string {
  const first = request.there[0];
  const way = wayThere(request);
  const last = way.at(-1)!;
  const node = spec.machines.find(({ nics }) => nics.some((nic) => nic.address === first.daddr));
  const target = `${formatIp4(first.daddr)}:${first.dport}${node === undefined ? "" : ` (${node.name})`}`;
  const head = `${placeName(first.at)} -> ${target} -> ${placeName(last.at)} ${formatIp4(last.daddr)}:${last.dport}`;
  const hops = first.ttl - last.ttl;
  const count = `${hops} ${hops === 1 ? "hop" : "hops"}, ${way.length} interfaces, TTL ${first.ttl} -> ${last.ttl}`;
  const [answer, home] = [request.back[0], request.back.at(-1)];
  if (answer === undefined || home === undefined) return `${head}: ${count}, no answer`;
  return `${head}: ${count}, ${request.refused ? "refused" : "back"} ${answer.ttl} -> ${home.ttl}`;
}
