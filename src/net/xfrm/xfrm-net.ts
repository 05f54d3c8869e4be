/** Policies and states of one namespace (struct netns_xfrm), and how packets find them. */

import type { Prng } from "../../util/prng.ts";
import type { Kernel } from "../core/kernel.ts";
import type { NetNs } from "../core/net-ns.ts";
import type { XfrmDir, XfrmPolicy } from "./xfrm-policy.ts";
import { selectorMatch, XfrmFlow } from "./xfrm-selector.ts";
import type { XfrmState } from "./xfrm-state.ts";

/** What all namespaces of a kernel share. */
interface XfrmShared {
  /** The ESP module is loaded: protocol 50 has a handler. */
  espLoaded: boolean;
  /** Next number of a policy, without its direction. */
  nextIndex: number;
}

export class XfrmNet {
  readonly ns: NetNs;
  readonly prng: Prng;
  readonly shared: XfrmShared;
  /** The packet in hand, as selectors see it. */
  readonly flow = new XfrmFlow();
  /** Newest first, as they are listed. */
  readonly states: XfrmState[] = [];
  /** Newest first, as they are listed. */
  readonly policies: XfrmPolicy[] = [];
  private readonly bySpi = new Map<number, XfrmState[]>();
  private readonly byDaddr = new Map<number, XfrmState[]>();
  /** By direction, in the order in which they are asked: priority, then age. */
  private readonly byDir: readonly XfrmPolicy[][] = [[], [], []];

  constructor(ns: NetNs, shared: XfrmShared) {
    this.ns = ns;
    this.shared = shared;
    this.prng = ns.kernel.prng.stream(`xfrm/${ns.id}`);
  }

  count(dir: XfrmDir): number {
    return this.byDir[dir].length;
  }

  insertState(x: XfrmState): void {
    this.states.unshift(x);
    addTo(this.bySpi, x.spec.spi, x);
    addTo(this.byDaddr, x.spec.daddr, x);
  }

  removeState(x: XfrmState): void {
    takeFrom(this.states, x);
    takeFrom(this.bySpi.get(x.spec.spi)!, x);
    takeFrom(this.byDaddr.get(x.spec.daddr)!, x);
  }

  insertPolicy(policy: XfrmPolicy): void {
    this.policies.unshift(policy);
    const list = this.byDir[policy.spec.dir];
    let i = list.length;
    while (i > 0 && list[i - 1].spec.priority > policy.spec.priority) i--;
    list.splice(i, 0, policy);
  }

  removePolicy(policy: XfrmPolicy): void {
    takeFrom(this.policies, policy);
    takeFrom(this.byDir[policy.spec.dir] as XfrmPolicy[], policy);
  }

  /** The state that a received packet names (xfrm_state_lookup); null when there is none. */
  lookupState(mark: number, daddr: number, spi: number): XfrmState | null {
    const list = this.bySpi.get(spi);
    if (list === undefined) return null;
    for (let i = 0; i < list.length; i++) {
      const { spec } = list[i];
      if (spec.daddr === daddr && (mark & spec.mark.mask) === spec.mark.value) return list[i];
    }
    return null;
  }

  /** The state for a packet that leaves under a template (xfrm_state_find); the youngest of several. */
  findState(daddr: number, saddr: number, reqid: number, spi: number): XfrmState | null {
    const list = this.byDaddr.get(daddr);
    if (list === undefined) return null;
    const { flow } = this;
    let best: XfrmState | null = null;
    for (let i = list.length - 1; i >= 0; i--) {
      const x = list[i];
      const { spec } = x;
      if (spec.reqid !== reqid || (spi !== 0 && spec.spi !== spi) || x.expired) continue;
      if (spec.saddr !== saddr && spec.saddr !== 0) continue;
      if ((flow.mark & spec.mark.mask) !== spec.mark.value || !selectorMatch(x.sel, flow)) continue;
      if (best === null || best.current.addTime < x.current.addTime) best = x;
    }
    return best;
  }

  /** The policy of that direction for `flow` (xfrm_policy_lookup); null when none matches. */
  lookupPolicy(dir: XfrmDir): XfrmPolicy | null {
    const list = this.byDir[dir];
    const { flow } = this;
    for (let i = 0; i < list.length; i++) {
      const { spec } = list[i];
      if ((flow.mark & spec.mark.mask) === spec.mark.value && selectorMatch(spec.sel, flow)) return list[i];
    }
    return null;
  }
}

function addTo(map: Map<number, XfrmState[]>, key: number, x: XfrmState): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [x]);
  else list.push(x);
}

function takeFrom<T>(list: T[], item: T): void {
  const i = list.indexOf(item);
  if (i >= 0) list.splice(i, 1);
}

function sharedOf(kernel: Kernel): XfrmShared {
  return (kernel.initNs.xfrm as XfrmNet | null)?.shared ?? { espLoaded: false, nextIndex: 0 };
}

/** xfrm of `ns`, made on first use; the kernel's first namespace holds what is shared. */
export function xfrmOf(ns: NetNs): XfrmNet {
  const { kernel } = ns;
  if (kernel.initNs.xfrm === null) kernel.initNs.xfrm = new XfrmNet(kernel.initNs, sharedOf(kernel));
  if (ns.xfrm === null) ns.xfrm = new XfrmNet(ns, sharedOf(kernel));
  return ns.xfrm as XfrmNet;
}
