/**
 * Encrypted overlays (libnetwork drivers/overlay/encryption.go): for each remote node one state to send by, one to receive
 * by for each key, and the policy that sends marked VXLAN packets through. What is there stays when the last endpoint of a
 * network leaves; the next membership of a swarm begins with none.
 */
import type { NetNs } from "../../net/core/net-ns.ts";
import { addressesOf } from "../../net/ctl/address.ts";
import { routeGet, TO_ANYWHERE } from "../../net/ctl/route-get.ts";
import {
  RFC4106,
  xfrmPolicyAdd,
  xfrmPolicyDel,
  xfrmPolicyDump,
  xfrmStateAdd,
  xfrmStateDel,
  xfrmStateDump,
} from "../../net/ctl/xfrm.ts";
import { XFRM_POLICY_OUT, type XfrmPolicySpec } from "../../net/xfrm/xfrm-policy.ts";
import { ANY_MARK, ANY_SELECTOR } from "../../net/xfrm/xfrm-selector.ts";
import { NO_LIMITS } from "../../net/xfrm/xfrm-state.ts";
import { IPPROTO_UDP } from "../../wire/ipv4.ts";
import type { DriverKey, KeyedDriver } from "./key-ring.ts";

/** Mark of packets to encrypt, and the request id of all states. */
export const ENCRYPTION_MARK = 0xd0c4e3;
/** The policy names this port, whatever the data path port is. */
const VXLAN_PORT = 4789;
const ICV_BITS = 64;
const SALT_BYTES = 4;

/** SPIs of one key towards one node. */
interface SpiPair {
  readonly forward: number;
  readonly reverse: number;
}

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** FNV-1a over both addresses as IPv4-mapped IPv6 ones with the key's tag between them. */
export function buildSpi(src: number, dst: number, tag: number): number {
  let hash = FNV_OFFSET;
  const mapped = (addr: number): void => {
    for (let i = 0; i < 10; i++) hash = Math.imul(hash, FNV_PRIME);
    for (let i = 0; i < 2; i++) hash = Math.imul(hash ^ 0xff, FNV_PRIME);
    word(addr);
  };
  const word = (value: number): void => {
    for (let shift = 24; shift >= 0; shift -= 8)
      hash = Math.imul(hash ^ ((value >>> shift) & 0xff), FNV_PRIME);
  };
  mapped(src);
  word(tag);
  mapped(dst);
  return hash | 0;
}

export class OverlayEncryption implements KeyedDriver {
  private readonly ns: NetNs;
  /** Address that the other nodes know this one by. */
  private readonly advertise: number;
  /** The first one is the one to send with. */
  private keys: DriverKey[] = [];
  /** Remote nodes with the SPIs of each key, in the order of the keys. */
  private readonly nodes = new Map<number, SpiPair[]>();

  constructor(ns: NetNs, advertise: number) {
    this.ns = ns;
    this.advertise = advertise;
  }

  /** Begins with these keys: states and policies of an earlier membership go. */
  setKeys(keys: readonly DriverKey[]): void {
    for (const { spec } of [...xfrmPolicyDump(this.ns)])
      if (spec.mark.value === ENCRYPTION_MARK) xfrmPolicyDel(this.ns, spec);
    for (const { spec } of [...xfrmStateDump(this.ns)])
      if (spec.reqid === ENCRYPTION_MARK) xfrmStateDel(this.ns, { daddr: spec.daddr, spi: spec.spi });
    this.keys = [...keys];
    this.nodes.clear();
  }

  /** The keys have rotated: receive by the new one, send by the next one, forget the oldest one (updateNodeKey). */
  updateKeys(added: DriverKey | null, primary: number, pruned: number | null): void {
    if (added !== null) this.keys.push(added);
    const next = this.keys.findIndex(({ tag }) => tag === primary);
    const gone = this.keys.findIndex(({ tag }) => tag === pruned);
    for (const [remote, spis] of this.nodes) this.updateNode(remote, spis, added, next, gone);
    rearrange(this.keys, next, gone);
  }

  private updateNode(
    remote: number,
    spis: SpiPair[],
    added: DriverKey | null,
    next: number,
    gone: number,
  ): void {
    if (added !== null) spis.push(this.spiPair(remote, added));
    if (gone >= 0) this.delState(this.localTo(remote), spis[gone].reverse);
    if (added !== null) this.addState(remote, this.localTo(remote), spis[spis.length - 1].reverse, added);
    if (next > 0) {
      this.addState(this.localTo(remote), remote, spis[next].forward, this.keys[next]);
      xfrmPolicyAdd(this.ns, this.policy(remote, spis[next].forward), true);
      this.delState(remote, spis[0].forward);
    }
    rearrange(spis, next, gone);
  }

  /** Makes sure that traffic with a remote node is encrypted (setupEncryption). */
  setup(remote: number): void {
    const local = this.localTo(remote);
    const spis = this.keys.map((key) => this.spiPair(remote, key));
    this.keys.forEach((key, i) => {
      this.addState(remote, local, spis[i].reverse, key);
      if (i > 0) return;
      this.addState(local, remote, spis[i].forward, key);
      this.addPolicy(this.policy(remote, spis[i].forward));
    });
    this.nodes.set(remote, spis);
  }

  /** Behind a NAT the address that others know is none of this machine's: then the one that it sends from. */
  private localTo(remote: number): number {
    const { ns, advertise } = this;
    const own = ns.devices().some((dev) => addressesOf(dev).some(({ local }) => local === advertise));
    return own ? advertise : routeGet(ns, { ...TO_ANYWHERE, daddr: remote }).source;
  }

  private spiPair(remote: number, { tag }: DriverKey): SpiPair {
    return { forward: buildSpi(this.advertise, remote, tag), reverse: buildSpi(remote, this.advertise, tag) };
  }

  /** The key of a state ends in its salt: the SPI. */
  private addState(saddr: number, daddr: number, spi: number, { key }: DriverKey): void {
    if (this.hasState(daddr, spi)) return;
    const material = new Uint8Array(key.length + SALT_BYTES);
    material.set(key);
    new DataView(material.buffer).setInt32(key.length, spi);
    xfrmStateAdd(this.ns, {
      saddr,
      daddr,
      spi,
      reqid: ENCRYPTION_MARK,
      mark: ANY_MARK,
      sel: ANY_SELECTOR,
      flags: 0,
      seq: 0,
      replayWindow: 0,
      algorithm: RFC4106,
      key: material,
      icvBits: ICV_BITS,
      limits: NO_LIMITS,
    });
  }

  private delState(daddr: number, spi: number): void {
    if (this.hasState(daddr, spi)) xfrmStateDel(this.ns, { daddr, spi });
  }

  private hasState(daddr: number, spi: number): boolean {
    return xfrmStateDump(this.ns).some(({ spec }) => spec.daddr === daddr && spec.spi === spi);
  }

  private addPolicy(policy: XfrmPolicySpec): void {
    const { saddr, daddr } = policy.sel;
    const there = xfrmPolicyDump(this.ns).some(
      ({ spec }) =>
        spec.dir === policy.dir &&
        spec.mark.value === policy.mark.value &&
        spec.sel.saddr === saddr &&
        spec.sel.daddr === daddr,
    );
    if (!there) xfrmPolicyAdd(this.ns, policy, false);
  }

  private policy(remote: number, spi: number): XfrmPolicySpec {
    const saddr = this.localTo(remote);
    return {
      sel: {
        ...ANY_SELECTOR,
        saddr,
        prefixLenS: 32,
        daddr: remote,
        prefixLenD: 32,
        proto: IPPROTO_UDP,
        dport: VXLAN_PORT,
        dportMask: 0xffff,
      },
      dir: XFRM_POLICY_OUT,
      action: "allow",
      priority: 0,
      mark: { value: ENCRYPTION_MARK, mask: -1 },
      tmpl: { saddr, daddr: remote, spi, reqid: ENCRYPTION_MARK, optional: false },
    };
  }
}

/** Puts the next one first, in exchange, and takes the one that is gone out. */
function rearrange<T>(list: T[], next: number, gone: number): void {
  if (next > 0) [list[0], list[next]] = [list[next], list[0]];
  if (gone >= 0) list.splice(gone === 0 && next > 0 ? next : gone, 1);
}
