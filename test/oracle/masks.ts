/**
 * What may differ between the real kernel and meshwire, all of it here: values that the kernel draws at random. Each is
 * renamed one to one for the length of a case, never ignored.
 *
 * - IP identification of packets that the machine makes itself (ip_idents_reserve): values that no station has sent.
 * - Ports and ICMP ids that NAT chooses when the wanted one is taken, and the source port of VXLAN (a hash under a random
 *   key): values that no station and no rule names. Two VXLAN flows may have the same source port on one side by chance.
 * - Initial sequence numbers of sockets of the machine: a constant difference.
 * - The checksum of a local packet that has not left yet, on `lo` (which finishes none) or quoted in an ICMP error: the
 *   kernel leaves it half done there (CHECKSUM_PARTIAL: the sum of the pseudo header), meshwire finishes it at once.
 *   Quoted on `lo` it may even be half done and translated, so it does not count there.
 * - The time of day in an ICMP timestamp reply and in IP timestamp options.
 * - `use=` of a connection: how many packets hold it at this moment, in queues.
 *
 * The CRC of an SCTP packet is made anew with such a port; quoted in part, it is not looked at then.
 *
 * A renamed value is patched into the checksums around it, so that a checksum stays part of the comparison.
 */
import { optionTimes } from "./option-times.ts";
import {
  type Bytes,
  ETH_HLEN,
  ETH_P_IP,
  get16,
  get32,
  IPPROTO_GRE,
  IPPROTO_ICMP,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  IPPROTO_UDPLITE,
  sctpSum,
  set16,
  sum16,
} from "./packet.ts";

/** A range of bytes under a checksum. */
interface Cover {
  readonly from: number;
  readonly to: number;
  readonly sum: number;
}

/** Flags with a valid VNI and nothing else. */
const VXLAN_FLAGS = 0x08000000;
const UDP_HLEN = 8;
const VXLAN_HLEN = 8;
const TCP_SYN_ACK = 0x12;
/** The sum of a header that is right; also when a timestamp option has counted one more hop that found no room since. */
const CURRENT_SUMS = new Set([0xffff, 0x0010, 0x1000]);
const GRE_KEY = 0x2000;
const GRE_CSUM = 0x8000;
/** Destination unreachable, source quench, redirect, time exceeded, parameter problem: they quote a packet. */
const ICMP_ERRORS = new Set([3, 4, 5, 11, 12]);
const PORT_WORD = /\b(sport|dport|id)=(\d+)/g;
const ICMP_TIMESTAMPREPLY = 14;
const ICMP_QUERIES = new Set([0, 8, 13, 14, 15, 16, 17, 18]);

export class Masks {
  /** Real value -> meshwire's, and back. */
  private readonly ports = new Map<number, number>();
  private readonly renamed = new Map<number, number>();
  /** Source ports of VXLAN, `FLOW PORT` on one side -> port on the other. */
  private readonly flowPorts = new Map<string, number>();
  /** `SIDE PORT` -> the flow that it belongs to. */
  private readonly portFlows = new Map<string, string>();
  /** Two flows have one source port by chance: connection tracking takes them for one connection. */
  collided = false;
  private readonly ids = new Map<string, number>();
  private readonly sequenceShifts = new Set<number>();
  private readonly knownPorts: ReadonlySet<number>;
  private readonly knownIds: ReadonlySet<number>;
  private loopback = false;
  private real: Bytes = new Uint8Array();
  private mesh: Bytes = new Uint8Array();

  /** `knownPorts` and `knownIds` are those that stations and rules use: they are never renamed. */
  constructor(knownPorts: ReadonlySet<number>, knownIds: ReadonlySet<number>) {
    this.knownPorts = knownPorts;
    this.knownIds = knownIds;
  }

  /** The real frame with every value that may differ replaced by meshwire's. */
  rename(real: Bytes, mesh: Bytes, dev: string): Bytes {
    this.loopback = dev === "lo";
    if (real.length !== mesh.length) return real;
    this.real = real.slice();
    this.mesh = mesh;
    this.ethernet(0, []);
    return this.real;
  }

  /** A line of conntrack with every port that may differ replaced by that of meshwire's line. */
  renameLine(real: string, mesh: string): string {
    const theirs = [...mesh.matchAll(PORT_WORD)];
    let index = 0;
    return real.replace(PORT_WORD, (whole, key, value) => {
      const port = Number(theirs[index++]?.[2] ?? value);
      return this.mayRename(Number(value), port) ? `${key}=${port}` : whole;
    });
  }

  /** A line with meshwire's number for every port that has one so far, else a question mark: to put lines in order. */
  sortKey(line: string, side: "real" | "mesh"): string {
    return line.replace(PORT_WORD, (whole, key, value) => {
      const port = Number(value);
      if (this.knownPorts.has(port)) return whole;
      const name = side === "real" ? this.ports.get(port) : this.renamed.has(port) ? port : undefined;
      return `${key}=${name ?? "?"}`;
    });
  }

  private ethernet(off: number, covers: readonly Cover[]): void {
    if (this.real.length < off + ETH_HLEN || get16(this.real, off + 12) !== ETH_P_IP) return;
    this.ip(off + ETH_HLEN, covers);
  }

  private ip(off: number, covers: readonly Cover[]): void {
    const { real, mesh } = this;
    const headerLength = (real[off] & 15) * 4;
    if (real.length < off + 20 || headerLength < 20 || real.length < off + headerLength) {
      this.cutHeader(off, covers);
      return;
    }
    const inHeader = [...covers, { from: off, to: off + headerLength, sum: off + 10 }];
    // A time that was filled in changes the checksum only when the packet leaves: an error quotes it before.
    const current = CURRENT_SUMS.has(sum16(real, off, off + headerLength));
    for (const { at, latest } of optionTimes(real, off, headerLength))
      this.time(off, at, current || !latest ? inHeader : covers);
    this.identification(off, inHeader);
    if ((get16(real, off + 6) & 0x1fff) !== 0 || real[off + 9] !== mesh[off + 9]) return;
    const l4 = off + headerLength;
    const known = this.withoutPartial(off, headerLength, this.withoutCut(off, l4, covers));
    this.transport(real[off + 9], l4, known);
  }

  /** What is left of the header of a packet that is quoted within a quote. */
  private cutHeader(off: number, covers: readonly Cover[]): void {
    const { real } = this;
    if (covers.length === 0 || real.length < off + 6) return;
    const summed = real.length >= off + 12;
    this.identification(off, summed ? [...covers, { from: off, to: real.length, sum: off + 10 }] : covers);
  }

  /** The sum of a quoted error goes over what it quotes itself, with its times, even where that is cut off. */
  private withoutCut(off: number, l4: number, covers: readonly Cover[]): readonly Cover[] {
    const { real } = this;
    const cut = off + get16(real, off + 2) > real.length && l4 + 4 <= real.length;
    if (!cut || real[off + 9] !== IPPROTO_ICMP || !ICMP_ERRORS.has(real[l4])) return covers;
    this.write(l4 + 2, get16(this.mesh, l4 + 2), covers);
    return [...covers, { from: 0, to: 0, sum: l4 + 2 }];
  }

  /** Finishes a half-done checksum as meshwire has it; then it covers nothing more of what is renamed. */
  private withoutPartial(off: number, headerLength: number, covers: readonly Cover[]): readonly Cover[] {
    const { real } = this;
    const protocol = real[off + 9];
    if (protocol !== IPPROTO_TCP && protocol !== IPPROTO_UDP) return covers;
    const at = off + headerLength + (protocol === IPPROTO_TCP ? 16 : 6);
    if (at + 2 > real.length || get16(real, at) === get16(this.mesh, at)) return covers;
    const length = get16(real, off + 2) - headerLength;
    const quoted = this.loopback && covers.length > 0;
    if (!quoted && get16(real, at) !== sum16(real, off + 12, off + 20, protocol + length)) return covers;
    this.write(at, get16(this.mesh, at), covers);
    return [...covers, { from: 0, to: 0, sum: at }];
  }

  private identification(off: number, covers: readonly Cover[]): void {
    const id = get16(this.real, off + 4);
    const meshId = get16(this.mesh, off + 4);
    if (id === meshId || this.knownIds.has(id)) return;
    const flow = [...this.real.subarray(off + 12, off + 20), this.real[off + 9], id].join(".");
    if (this.rename16(this.ids, flow, meshId)) this.write(off + 4, meshId, covers);
  }

  private transport(protocol: number, off: number, outer: readonly Cover[]): void {
    const { real } = this;
    const to = real.length;
    if (to < off + 8) {
      if (protocol === IPPROTO_TCP || protocol === IPPROTO_UDP)
        for (let at = off; at < off + 4 && at + 2 <= to; at += 2) this.port(at, outer);
      return;
    }
    if (protocol === IPPROTO_UDP) {
      const covers = this.transportCover(outer, off, off + 6);
      const tunnels = this.isVxlan(off + UDP_HLEN);
      if (tunnels) this.flowPort(off, covers);
      else this.port(off, covers);
      this.port(off + 2, covers);
      if (tunnels) this.ethernet(off + UDP_HLEN + VXLAN_HLEN, covers);
    } else if (protocol === IPPROTO_TCP) {
      const covers = this.transportCover(outer, off, off + 16);
      this.port(off, covers);
      this.port(off + 2, covers);
      this.sequence(off, covers);
    } else if (protocol === IPPROTO_SCTP) {
      this.sctp(off, outer);
    } else if (protocol === IPPROTO_UDPLITE) {
      const covers = this.transportCover(outer, off, off + 6);
      this.port(off, covers);
      this.port(off + 2, covers);
    } else if (protocol === IPPROTO_ICMP) {
      const covers = this.transportCover(outer, off, off + 2);
      if (ICMP_QUERIES.has(real[off])) this.port(off + 4, covers);
      else if (ICMP_ERRORS.has(real[off])) this.ip(off + 8, covers);
      if (real[off] === ICMP_TIMESTAMPREPLY) this.times(off + 12, covers);
      // Of a quoted one that is cut the sum is about times that are not there.
      if (real[off] === ICMP_TIMESTAMPREPLY && to < off + 20)
        this.write(off + 2, get16(this.mesh, off + 2), outer);
    }
  }

  /** A CRC is made anew where it was right; of what is quoted only in part it cannot be told. */
  private sctp(off: number, covers: readonly Cover[]): void {
    const { real } = this;
    const right = sctpSum(real.subarray(off));
    const wasRight = right.every((byte, i) => real[off + 8 + i] === byte);
    const before = get32(real, off);
    this.port(off, covers);
    this.port(off + 2, covers);
    if (before === get32(real, off) || real.length < off + 12) return;
    const sum = wasRight ? sctpSum(real.subarray(off)) : [...this.mesh.subarray(off + 8, off + 12)];
    this.write(off + 8, (sum[0] << 8) | sum[1], covers);
    this.write(off + 10, (sum[2] << 8) | sum[3], covers);
  }

  /** By the header: the port may have been translated. */
  private isVxlan(off: number): boolean {
    const { real } = this;
    return (
      real.length >= off + VXLAN_HLEN + ETH_HLEN && get32(real, off) === VXLAN_FLAGS && real[off + 7] === 0
    );
  }

  /** Adds the checksum of a transport header: unless it is cut off, not used, or finished already. */
  private transportCover(outer: readonly Cover[], from: number, sum: number): readonly Cover[] {
    const { real } = this;
    const absent = sum + 2 > real.length || (sum === from + 6 && get16(real, sum) === 0);
    if (absent || outer.some((cover) => cover.sum === sum)) return outer;
    return [...outer, { from, to: real.length, sum }];
  }

  /** When the request came and when the answer left, ms since midnight. */
  private times(off: number, covers: readonly Cover[]): void {
    for (let at = off; at < off + 8 && at + 2 <= this.real.length; at += 2)
      this.write(at, get16(this.mesh, at), covers);
  }

  /** Four bytes in the header at `ip`; words count from there, and an option may begin within one. */
  private time(ip: number, from: number, covers: readonly Cover[]): void {
    for (let at = from - ((from - ip) & 1); at < from + 4; at += 2) {
      const ours = at < from ? 0x00ff : at + 1 === from + 4 ? 0xff00 : 0xffff;
      this.write(at, (get16(this.real, at) & ~ours) | (get16(this.mesh, at) & ours), covers);
    }
  }

  private port(off: number, covers: readonly Cover[]): void {
    const meshPort = get16(this.mesh, off);
    if (this.mayRename(get16(this.real, off), meshPort)) this.write(off, meshPort, covers);
  }

  /** The source port of a VXLAN packet: one number on either side for all of the same protocol between two stations. */
  private flowPort(off: number, covers: readonly Cover[]): void {
    const port = get16(this.real, off);
    const meshPort = get16(this.mesh, off);
    if (port === meshPort || this.knownPorts.has(port) || this.knownPorts.has(meshPort)) return;
    const flow = flowOf(this.mesh, off + UDP_HLEN + VXLAN_HLEN);
    this.noteFlow(`real ${port}`, flow);
    this.noteFlow(`mesh ${meshPort}`, flow);
    if (!this.rename16(this.flowPorts, `real ${flow} ${port}`, meshPort)) return;
    if (!this.rename16(this.flowPorts, `mesh ${flow} ${meshPort}`, port)) return;
    if (!this.ports.has(port)) this.ports.set(port, meshPort);
    if (!this.renamed.has(meshPort)) this.renamed.set(meshPort, port);
    this.write(off, meshPort, covers);
  }

  private noteFlow(port: string, flow: string): void {
    const known = this.portFlows.get(port) ?? flow;
    this.portFlows.set(port, known);
    if (known !== flow) this.collided = true;
  }

  private mayRename(port: number, meshPort: number): boolean {
    if (port === meshPort || this.knownPorts.has(port) || this.knownPorts.has(meshPort)) return false;
    const taken = this.renamed.get(meshPort);
    if (taken !== undefined && taken !== port) return false;
    this.renamed.set(meshPort, port);
    return this.rename16(this.ports, port, meshPort);
  }

  private sequence(off: number, covers: readonly Cover[]): void {
    const { real, mesh } = this;
    const fresh = off + 14 <= real.length && (real[off + 13] & TCP_SYN_ACK) === TCP_SYN_ACK;
    for (const field of [off + 4, off + 8]) {
      if (real.length < field + 4) return;
      const shift = (get32(mesh, field) - get32(real, field)) | 0;
      if (shift === 0) continue;
      if (field === off + 4 && fresh) this.sequenceShifts.add(shift);
      if (!this.sequenceShifts.has(shift)) continue;
      this.write(field, get16(mesh, field), covers);
      this.write(field + 2, get16(mesh, field + 2), covers);
    }
  }

  /** Notes that `key` is `value` from now on; false when it is something else already. */
  private rename16<K>(names: Map<K, number>, key: K, value: number): boolean {
    const known = names.get(key);
    if (known === undefined) names.set(key, value);
    return known === undefined || known === value;
  }

  /** Puts a word into the real frame and into the checksums over it (RFC 1624). */
  private write(off: number, value: number, covers: readonly Cover[]): void {
    const old = get16(this.real, off);
    set16(this.real, off, value);
    for (let i = covers.length - 1; i >= 0; i--) {
      const { from, to, sum } = covers[i];
      if (off < from || off >= to || off === sum) continue;
      let folded = (~get16(this.real, sum) & 0xffff) + (~old & 0xffff) + value;
      while (folded > 0xffff) folded = (folded & 0xffff) + (folded >>> 16);
      this.write(sum, ~folded & 0xffff, covers.slice(0, i));
    }
  }
}

/**
 * What the frame at `off` has that the hash of its flow goes by, the same in both directions: protocol and addresses; of a
 * tagged one the first bytes of what follows the tags (src/net/core/flow-dissector.ts says why).
 */
function flowOf(bytes: Bytes, off: number): string {
  const type = get16(bytes, off + 12);
  let ip = off + ETH_HLEN;
  while (isTag(get16(bytes, ip - 2)) && ip + 4 <= bytes.length) ip += 4;
  if (isTag(type)) return [type, ...bytes.subarray(ip, ip + 4)].join(".");
  if (type !== ETH_P_IP) return "other";
  const addresses = [get32(bytes, ip + 12), get32(bytes, ip + 16)].sort();
  return [bytes[ip + 9], ...addresses, ...greFlow(bytes, ip)].join(".");
}

/** What tells the flows of GRE between two stations apart: flags, protocol and key. */
function greFlow(bytes: Bytes, ip: number): readonly number[] {
  const gre = ip + (bytes[ip] & 15) * 4;
  const fragment = (get16(bytes, ip + 6) & 0x3fff) !== 0;
  if (bytes[ip + 9] !== IPPROTO_GRE || fragment || bytes.length < gre + 4) return [];
  const flags = get16(bytes, gre);
  const key = gre + ((flags & GRE_CSUM) !== 0 ? 8 : 4);
  const keyed = (flags & GRE_KEY) !== 0 && bytes.length >= key + 4;
  return [flags, get16(bytes, gre + 2), keyed ? get32(bytes, key) : 0];
}

function isTag(type: number): boolean {
  return type === 0x8100 || type === 0x88a8;
}
