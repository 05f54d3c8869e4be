/**
 * A capture as lines that two runs of the same traffic share: what is random (ports, ids, sequence numbers, random MACs)
 * is renamed or made relative, what belongs to the control plane is left out. Grouped by conversation.
 */
import { createHash } from "node:crypto";
import { readCapture } from "../../src/capture/read-capture.ts";
import { formatIp4, formatMac } from "../../src/wire/address.ts";
import * as arp from "../../src/wire/arp.ts";
import * as eth from "../../src/wire/ethernet.ts";
import * as ip from "../../src/wire/ipv4.ts";
import * as tcp from "../../src/wire/tcp.ts";

export interface Conversation {
  /** Protocol and ends, random ports masked. */
  readonly key: string;
  readonly lines: string[];
}

const CONTROL_PORTS = new Set([7946, 2377]);
/** The usual one, and the one that a page gives its swarm (`--data-path-port`). */
const VXLAN_PORTS: readonly number[] = [4789, 7777];
const EPHEMERAL = 32768;

interface Flow {
  readonly lines: string[];
  /** Lowest sequence number by sender, and what follows the first FIN. */
  readonly isn: Map<string, number>;
  readonly close: Map<string, string[]>;
  closing: boolean;
  readonly lastAck: Map<string, string>;
}

/** The conversations of a file in the order of their first frames. */
export function conversations(bytes: Uint8Array, file: string): Conversation[] {
  const flows = new Map<string, Flow>();
  const keys = new Map<string, string>();
  for (const frame of readCapture(bytes, file).frames) new FrameReader(frame.bytes, flows, keys).read();
  return [...flows].map(([id, flow]) => ({ key: keys.get(id)!, lines: [...flow.lines, ...closing(flow)] }));
}

function closing(flow: Flow): string[] {
  const out: string[] = [];
  for (const sender of [...flow.lastAck.keys()].sort()) {
    out.push(...(flow.close.get(sender) ?? []), `${sender} last ${flow.lastAck.get(sender)}`);
  }
  return out;
}

class FrameReader {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly flows: Map<string, Flow>;
  private readonly keys: Map<string, string>;
  private outer = "";

  constructor(bytes: Uint8Array, flows: Map<string, Flow>, keys: Map<string, string>) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.flows = flows;
    this.keys = keys;
  }

  read(): void {
    this.ethernet(0);
  }

  private ethernet(off: number): void {
    const type = eth.ethType(this.view, off);
    if (type === eth.ETH_P_ARP) this.arp(off);
    else if (type === eth.ETH_P_IP) this.ipv4(off);
  }

  private arp(off: number): void {
    const body = off + eth.ETH_HLEN;
    const request = arp.arpOp(this.view, body) === arp.ARPOP_REQUEST;
    const spa = formatIp4(arp.arpSpa(this.view, body));
    const tpa = formatIp4(arp.arpTpa(this.view, body));
    const broadcast = eth.isBroadcastMac(eth.ethDstHi(this.view, off), eth.ethDstLo(this.view, off));
    const id = `arp ${[spa, tpa].sort().join(" ")}`;
    if (request && !broadcast) this.probes(id).add(`${spa}>${tpa}`);
    else if (!request && this.probes(id).delete(`${tpa}>${spa}`)) return;
    else this.flow(id, id).lines.push(`${this.macs(off)} ${request ? "who-has" : "is-at"} ${spa} ${tpa}`);
  }

  private probes(id: string): Set<string> {
    const all = PROBES.get(this.flows) ?? new Map<string, Set<string>>();
    PROBES.set(this.flows, all);
    const probes = all.get(id) ?? new Set<string>();
    all.set(id, probes);
    return probes;
  }

  private ipv4(off: number): void {
    const view = this.view;
    const head = off + eth.ETH_HLEN;
    const l4 = head + ip.ipHeaderLen(view, head);
    const protocol = ip.ipProtocol(view, head);
    const hasPorts = (protocol === 6 || protocol === 17) && (ip.ipFragOff(view, head) & ip.IP_OFFSET) === 0;
    const sport = hasPorts ? view.getUint16(l4) : 0;
    const dport = hasPorts ? view.getUint16(l4 + 2) : 0;
    if (CONTROL_PORTS.has(sport) || CONTROL_PORTS.has(dport)) return;
    if (protocol === 1 && this.quotesControl(l4)) return;
    const end = Math.min(head + ip.ipTotLen(view, head), this.bytes.length);
    const header = `ttl=${ip.ipTtl(view, head)} tos=${ip.ipTos(view, head)} id=${ip.ipId(view, head) === 0 ? "0" : "nz"} frag=${ip.ipFragOff(view, head)} len=${end - head} ipsum=${ip.ipChecksumOk(view, head)}`;
    if (protocol === 17 && VXLAN_PORTS.includes(dport)) {
      const ends = `${formatIp4(ip.ipSaddr(view, head))}>${formatIp4(ip.ipDaddr(view, head))}`;
      this.outer += `vxlan[${this.macs(off)} ${ends} ${header} vni=${view.getUint32(l4 + 12) >>> 8}] `;
      this.ethernet(l4 + 16);
      return;
    }
    this.packet(off, head, l4, end, header);
  }

  /** Whether an ICMP error is about traffic of the control plane. */
  private quotesControl(icmp: number): boolean {
    const { view, bytes } = this;
    const quoted = icmp + 8;
    if (![3, 5, 11].includes(view.getUint8(icmp)) || bytes.length < quoted + 28) return false;
    const l4 = quoted + ip.ipHeaderLen(view, quoted);
    return (
      [6, 17].includes(ip.ipProtocol(view, quoted)) &&
      [l4, l4 + 2].some((at) => CONTROL_PORTS.has(view.getUint16(at)))
    );
  }

  private packet(off: number, head: number, l4: number, end: number, header: string): void {
    const view = this.view;
    const protocol = ip.ipProtocol(view, head);
    const src = formatIp4(ip.ipSaddr(view, head));
    const dst = formatIp4(ip.ipDaddr(view, head));
    if (protocol === 6) {
      this.tcp(off, head, l4, end, src, dst, header);
      return;
    }
    if (protocol === ip.IPPROTO_ESP) {
      this.esp(off, l4, src, dst, header);
      return;
    }
    const outer = this.outer === "" ? "" : "vxlan ";
    if (protocol === 17 && (ip.ipFragOff(view, head) & ip.IP_OFFSET) === 0) {
      const [a, b] = [`${src}:${view.getUint16(l4)}`, `${dst}:${view.getUint16(l4 + 2)}`];
      const flow = this.flow(
        `${outer}udp ${[a, b].sort().join(" ")}`,
        `${outer}udp ${[mask(a), mask(b)].sort().join(" ")}`,
      );
      flow.lines.push(
        `${this.outer}${this.macs(off)} ${mask(a)}>${mask(b)} ${header} data=${this.udpDigest(a, b, l4 + 8, end)}`,
      );
      return;
    }
    const flow = this.flow(
      `${outer}ip${protocol} ${[src, dst].sort().join(" ")}`,
      `${outer}ip${protocol} ${[src, dst].sort().join(" ")}`,
    );
    const body =
      protocol === 1
        ? `type=${view.getUint8(l4)} code=${view.getUint8(l4 + 1)} length=${end - l4}`
        : this.digest(l4, end);
    flow.lines.push(`${this.outer}${this.macs(off)} ${src}>${dst} ${header} ${body}`);
  }

  /**
   * Each direction by itself: what is inside cannot be told apart, and data and acknowledgements of it cross as they like.
   */
  private esp(off: number, l4: number, src: string, dst: string, header: string): void {
    const { view } = this;
    const flow = this.flow(`esp ${src} ${dst} ${view.getInt32(l4)}`, `esp ${src} ${dst}`);
    const seq = view.getInt32(l4 + 4);
    if (!flow.isn.has(src)) flow.isn.set(src, seq);
    flow.lines.push(`${this.macs(off)} ${header} seq=${seq - flow.isn.get(src)!}`);
  }

  private tcp(
    off: number,
    head: number,
    l4: number,
    end: number,
    src: string,
    dst: string,
    header: string,
  ): void {
    const view = this.view;
    const a = `${src}:${tcp.tcpSport(view, l4)}`;
    const b = `${dst}:${tcp.tcpDport(view, l4)}`;
    const outer = this.outer === "" ? "" : "vxlan ";
    const flags = tcp.tcpFlags(view, l4);
    const seq = tcp.tcpSeq(view, l4);
    const id = `${outer}tcp ${[a, b].sort().join(" ")}`;
    if ((flags & (tcp.TCP_SYN | tcp.TCP_ACK)) === tcp.TCP_SYN) this.begin(id, a, seq);
    const flow = this.flow(id, `${outer}tcp ${[mask(a), mask(b)].sort().join(" ")}`);
    if (!flow.isn.has(a)) flow.isn.set(a, seq);
    if ((flags & tcp.TCP_ACK) !== 0 && !flow.isn.has(b)) flow.isn.set(b, (tcp.tcpAckSeq(view, l4) - 1) | 0);
    const data = l4 + tcp.tcpDoff(view, l4);
    const relSeq = (seq - flow.isn.get(a)!) >>> 0;
    const ack =
      (flags & tcp.TCP_ACK) === 0 ? "-" : String((tcp.tcpAckSeq(view, l4) - (flow.isn.get(b) ?? 0)) >>> 0);
    const way = `${mask(a)}>${mask(b)}`;
    const fixed = `${this.outer}${this.macs(off)} ${way} ${header} opts=${optionKinds(view, l4 + tcp.TCP_HLEN, data)}`;
    const special = flags & (tcp.TCP_SYN | tcp.TCP_FIN | tcp.TCP_RST);
    if (data < end || special !== 0) {
      const shown = flow.closing || (flags & tcp.TCP_FIN) !== 0 ? flags & ~tcp.TCP_PSH : flags;
      const line = `${fixed} flags=${shown} seq=${relSeq} data=${this.digest(data, end)}`;
      if ((flags & tcp.TCP_FIN) !== 0) flow.closing = true;
      if (flow.closing) push(flow.close, way, line);
      else flow.lines.push(`${line} ack=${ack}`);
    }
    if (ack !== "-") flow.lastAck.set(way, `ack=${ack} ttl=${ip.ipTtl(view, head)}`);
  }

  /** A SYN with another number than the last one between these ends begins another connection. */
  private begin(id: string, sender: string, seq: number): void {
    const old = this.flows.get(id);
    if (old === undefined || !old.isn.has(sender) || old.isn.get(sender) === seq) return;
    const name = `${id} until ${seq}`;
    this.flows.set(name, old);
    this.keys.set(name, this.keys.get(id)!);
    this.flows.delete(id);
  }

  private flow(id: string, key: string): Flow {
    const known = this.flows.get(id);
    if (known !== undefined) return known;
    const flow: Flow = {
      lines: [],
      isn: new Map(),
      close: new Map(),
      closing: false,
      lastAck: new Map(),
    };
    this.flows.set(id, flow);
    this.keys.set(id, key);
    return flow;
  }

  private macs(off: number): string {
    const { view } = this;
    const src = mac(eth.ethSrcHi(view, off), eth.ethSrcLo(view, off));
    return `${src}>${mac(eth.ethDstHi(view, off), eth.ethDstLo(view, off))}`;
  }

  /** What differs from run to run left out: a probe's time, and what is in a DNS message. */
  private udpDigest(a: string, b: string, start: number, end: number): string {
    if (isDns(a) || isDns(b)) return this.dnsDigest(start, end);
    return this.digest(isProbe(a, b) ? Math.min(start + PROBE_HEADER, end) : start, end);
  }

  /** A DNS message without its identifier and the client cookie at its end (RFC 7873). */
  private dnsDigest(start: number, end: number): string {
    const bytes = Buffer.from(this.bytes.subarray(start, end));
    // An echo server where a name server should be: it quotes the query, and with it the identifier.
    const echo = bytes.toString("latin1").match(/^(echo host=\w+ from=[0-9.]+):\d+ len=\d+/);
    if (echo !== null) return `${end - start}B/${echo[1]}`;
    const cookie = bytes.subarray(-12);
    if (cookie.readUInt32BE(0) === 0x000a0008) cookie.fill(0);
    return `${end - start}B/${createHash("sha1").update(bytes.subarray(2)).digest("hex").slice(0, 12)}`;
  }

  /** Payload, with container ids and ports in text masked. */
  private digest(start: number, end: number): string {
    if (start >= end) return "-";
    const text = Buffer.from(this.bytes.subarray(start, end)).toString("latin1");
    const masked = text.replace(/\b[0-9a-f]{12}\b/g, "<id>").replace(/:(\d{5})\b/g, ":<port>");
    return `${end - start}B/${createHash("sha1").update(masked).digest("hex").slice(0, 12)}`;
  }
}

/** Unicast ARP probes that still wait for their answer, by capture and pair. */
const PROBES = new WeakMap<Map<string, Flow>, Map<string, Set<string>>>();

function push(map: Map<string, string[]>, key: string, line: string): void {
  const list = map.get(key) ?? [];
  list.push(line);
  map.set(key, list);
}

/** From a port of its own to one of those of tracepath: such a probe begins with its number and the time. */
function isProbe(from: string, to: string): boolean {
  const [source, port] = [from, to].map((end) => Number(end.split(":")[1]));
  return source >= EPHEMERAL && port >= 44444 && port < 44444 + 64;
}

const PROBE_HEADER = 24;

/** Port 53, or the port of an embedded DNS server. */
function isDns(end: string): boolean {
  return end.endsWith(":53") || end.startsWith("127.0.0.11:");
}

function mask(end: string): string {
  const [addr, port] = end.split(":");
  return Number(port) >= EPHEMERAL ? `${addr}:P` : end;
}

/** A MAC that was given or made of an address is itself, a random one is `M`. */
function mac(hi: number, lo: number): string {
  const text = formatMac(hi, lo);
  const known = /^(52:54:|ff:ff:|01:00:5e|00:00:00|02:42:(0a|ac:1[0-9a-f]:00:))/.test(text);
  return known ? text : "M";
}

function optionKinds(view: DataView, start: number, end: number): string {
  const out: string[] = [];
  for (let off = start; off < end; ) {
    const kind = view.getUint8(off);
    if (kind === 0) break;
    const length = kind === 1 ? 1 : Math.max(2, view.getUint8(off + 1));
    const value = kind === 2 ? `=${view.getUint16(off + 2)}` : kind === 3 ? `=${view.getUint8(off + 2)}` : "";
    out.push(`${kind}${value}`);
    off += length;
  }
  return out.join(",");
}
