/**
 * What may differ between the real kernel and meshwire, all of it here: values that the kernel draws at random. Each is
 * renamed one to one for the length of a case, never ignored.
 *
 * - IP identification of packets that the machine makes itself (ip_idents_reserve): values that no station has sent.
 * - Ports and ICMP ids that NAT chooses when the wanted one is taken, and the source port of VXLAN (a hash under a random
 *   key): values that no station and no rule names.
 * - Initial sequence numbers of sockets of the machine: a constant difference.
 *
 * A renamed value is patched into the checksums around it, so that a checksum stays part of the comparison.
 */
import {
  type Bytes,
  ETH_HLEN,
  ETH_P_IP,
  get16,
  get32,
  IPPROTO_ICMP,
  IPPROTO_TCP,
  IPPROTO_UDP,
  set16,
} from "./packet.ts";

/** A range of bytes under a checksum. */
interface Cover {
  readonly from: number;
  readonly to: number;
  readonly sum: number;
}

const VXLAN_PORT = 4789;
const UDP_HLEN = 8;
const VXLAN_HLEN = 8;
const TCP_SYN_ACK = 0x12;
/** Destination unreachable, source quench, redirect, time exceeded, parameter problem: they quote a packet. */
const ICMP_ERRORS = new Set([3, 4, 5, 11, 12]);
const ICMP_QUERIES = new Set([0, 8, 13, 14, 15, 16, 17, 18]);

export class Masks {
  /** Real value -> meshwire's, by kind. */
  readonly ports = new Map<number, number>();
  private readonly ids = new Map<string, number>();
  private readonly sequenceShifts = new Set<number>();
  private readonly knownPorts: ReadonlySet<number>;
  private readonly knownIds: ReadonlySet<number>;
  private real: Bytes = new Uint8Array();
  private mesh: Bytes = new Uint8Array();

  /** `knownPorts` and `knownIds` are those that stations and rules use: they are never renamed. */
  constructor(knownPorts: ReadonlySet<number>, knownIds: ReadonlySet<number>) {
    this.knownPorts = knownPorts;
    this.knownIds = knownIds;
  }

  /** The real frame with every value that may differ replaced by meshwire's. */
  rename(real: Bytes, mesh: Bytes): Bytes {
    if (real.length !== mesh.length) return real;
    this.real = real.slice();
    this.mesh = mesh;
    this.ethernet(0, []);
    return this.real;
  }

  /** Ports of a text of conntrack renamed. */
  renameText(text: string): string {
    return text.replace(/\b(sport|dport|id)=(\d+)/g, (whole, key, value) => {
      const to = this.ports.get(Number(value));
      return to === undefined ? whole : `${key}=${to}`;
    });
  }

  private ethernet(off: number, covers: readonly Cover[]): void {
    if (this.real.length < off + ETH_HLEN || get16(this.real, off + 12) !== ETH_P_IP) return;
    this.ip(off + ETH_HLEN, covers);
  }

  private ip(off: number, covers: readonly Cover[]): void {
    const { real, mesh } = this;
    const headerLength = (real[off] & 15) * 4;
    if (real.length < off + 20 || headerLength < 20 || real.length < off + headerLength) return;
    const inHeader = [...covers, { from: off, to: off + headerLength, sum: off + 10 }];
    this.identification(off, inHeader);
    if ((get16(real, off + 6) & 0x1fff) !== 0 || real[off + 9] !== mesh[off + 9]) return;
    this.transport(real[off + 9], off + headerLength, covers);
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
    if (to < off + 8) return;
    if (protocol === IPPROTO_UDP) {
      const covers = get16(real, off + 6) === 0 ? outer : [...outer, { from: off, to, sum: off + 6 }];
      this.port(off, covers);
      this.port(off + 2, covers);
      if (get16(real, off + 2) === VXLAN_PORT) this.ethernet(off + UDP_HLEN + VXLAN_HLEN, covers);
    } else if (protocol === IPPROTO_TCP) {
      const covers = to < off + 18 ? outer : [...outer, { from: off, to, sum: off + 16 }];
      this.port(off, covers);
      this.port(off + 2, covers);
      this.sequence(off, covers);
    } else if (protocol === IPPROTO_ICMP) {
      const covers = [...outer, { from: off, to, sum: off + 2 }];
      if (ICMP_QUERIES.has(real[off])) this.port(off + 4, covers);
      else if (ICMP_ERRORS.has(real[off])) this.ip(off + 8, covers);
    }
  }

  private port(off: number, covers: readonly Cover[]): void {
    const port = get16(this.real, off);
    const meshPort = get16(this.mesh, off);
    if (port === meshPort || this.knownPorts.has(port) || this.knownPorts.has(meshPort)) return;
    if (this.rename16(this.ports, port, meshPort)) this.write(off, meshPort, covers);
  }

  private sequence(off: number, covers: readonly Cover[]): void {
    const { real, mesh } = this;
    if (real.length < off + 20 || real.length !== mesh.length) return;
    const fresh = (real[off + 13] & TCP_SYN_ACK) === TCP_SYN_ACK;
    for (const field of [off + 4, off + 8]) {
      const shift = (get32(mesh, field) - get32(real, field)) | 0;
      if (shift === 0) continue;
      if (field === off + 4 && fresh) this.sequenceShifts.add(shift);
      if (!this.sequenceShifts.has(shift)) continue;
      this.write(field, get16(mesh, field), covers);
      this.write(field + 2, get16(mesh, field + 2), covers);
    }
  }

  /** Notes that `key` is `value` from now on; false when it is something else already, or another one has the value. */
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
