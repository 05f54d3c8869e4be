/** Policies: which packets must be transformed how (struct xfrm_policy; net/xfrm/xfrm_policy.c). */

import type { XfrmMark, XfrmSelector } from "./xfrm-selector.ts";
import type { XfrmLifetime } from "./xfrm-state.ts";

export const XFRM_POLICY_IN = 0;
export const XFRM_POLICY_OUT = 1;
export const XFRM_POLICY_FWD = 2;
export type XfrmDir = 0 | 1 | 2;

/** The SA that a policy wants; 0 is any (struct xfrm_tmpl). */
export interface XfrmTmpl {
  readonly saddr: number;
  readonly daddr: number;
  readonly spi: number;
  readonly reqid: number;
  /** `level use`: pass without when there is none. */
  readonly optional: boolean;
}

export interface XfrmPolicySpec {
  readonly sel: XfrmSelector;
  readonly dir: XfrmDir;
  readonly action: "allow" | "block";
  /** Lower goes first. */
  readonly priority: number;
  readonly mark: XfrmMark;
  /** null: nothing is transformed. */
  readonly tmpl: XfrmTmpl | null;
}

export class XfrmPolicy {
  readonly spec: XfrmPolicySpec;
  readonly index: number;
  readonly current: XfrmLifetime;

  constructor(spec: XfrmPolicySpec, index: number, current: XfrmLifetime) {
    this.spec = spec;
    this.index = index;
    this.current = current;
  }
}
