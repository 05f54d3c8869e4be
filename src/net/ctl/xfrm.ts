/** Policies and states: what XFRM_MSG_NEWSA, DELSA, NEWPOLICY, DELPOLICY and the like do (net/xfrm/xfrm_user.c). */
import { NotModelledError, SysError } from "../../util/errors.ts";
import { IPPROTO_ESP } from "../../wire/ipv4.ts";
import type { Kernel } from "../core/kernel.ts";
import type { NetNs } from "../core/net-ns.ts";
import { ipv4Of } from "../ipv4/ipv4-net.ts";
import { type AeadFactory, nobleGcm } from "../xfrm/aead.ts";
import { espProtocol, xfrmPolicyCheck } from "../xfrm/xfrm-input.ts";
import { type XfrmNet, xfrmOf } from "../xfrm/xfrm-net.ts";
import { xfrmMtu, xfrmOutput } from "../xfrm/xfrm-output.ts";
import {
  XFRM_POLICY_FWD,
  XFRM_POLICY_IN,
  XFRM_POLICY_OUT,
  type XfrmDir,
  XfrmPolicy,
  type XfrmPolicySpec,
} from "../xfrm/xfrm-policy.ts";
import { sameSelector, type XfrmMark, type XfrmSelector } from "../xfrm/xfrm-selector.ts";
import { realSeconds, XfrmLifetime, XfrmState, type XfrmStateSpec } from "../xfrm/xfrm-state.ts";

export const RFC4106 = "rfc4106(gcm(aes))";
const SALT_BYTES = 4;
const KEY_BYTES = [16, 24, 32];
const ICV_BITS = [64, 96, 128];
const REPLAY_WINDOW_MAX = 32;
const NO_CIPHER = "Error: Kernel was unable to initialize cryptographic operations.";

/** Names one state; `mark` is a packet's. */
export interface XfrmStateId {
  readonly daddr: number;
  readonly spi: number;
  readonly mark?: number;
}

/** Names one policy. */
export interface XfrmPolicyId {
  readonly sel: XfrmSelector;
  readonly dir: XfrmDir;
  readonly mark: XfrmMark;
}

/** Gives a namespace of a kernel that has ESP its handler of protocol 50 (a PernetInit, behind that of IPv4). */
export function xfrmInit(ns: NetNs): void {
  if (ns.id !== 0 && xfrmOf(ns.kernel.initNs).shared.espLoaded) registerEsp(ns);
}

function registerEsp(ns: NetNs): void {
  ipv4Of(ns).protocols[IPPROTO_ESP] = espProtocol(ns);
}

/** The first ESP state loads the module: only then does the machine take protocol 50. */
function loadEsp(kernel: Kernel, net: XfrmNet): void {
  if (net.shared.espLoaded) return;
  net.shared.espLoaded = true;
  for (const ns of kernel.namespaces) registerEsp(ns);
}

function checkSpec(spec: XfrmStateSpec): void {
  if (spec.algorithm !== RFC4106) throw new NotModelledError(`xfrm algorithm ${spec.algorithm}`);
  if (spec.replayWindow > REPLAY_WINDOW_MAX) throw new NotModelledError("xfrm replay window above 32");
  const keyFits = KEY_BYTES.includes(spec.key.length - SALT_BYTES);
  if (!keyFits || !ICV_BITS.includes(spec.icvBits)) throw new SysError("EINVAL", NO_CIPHER);
}

function sameStateId(x: XfrmState, spec: XfrmStateSpec): boolean {
  const { daddr, spi, mark } = x.spec;
  return daddr === spec.daddr && spi === spec.spi && (spec.mark.value & mark.mask) === mark.value;
}

/**
 * Adds a state. EEXIST when there is one with that destination and SPI, EINVAL for a key or ICV of a wrong length. `cipher`
 * makes the cipher of its key.
 */
export function xfrmStateAdd(ns: NetNs, spec: XfrmStateSpec, cipher: AeadFactory = nobleGcm): void {
  checkSpec(spec);
  const net = xfrmOf(ns);
  loadEsp(ns.kernel, net);
  if (net.states.some((x) => sameStateId(x, spec))) throw new SysError("EEXIST");
  const aes = cipher(spec.key.subarray(0, spec.key.length - SALT_BYTES));
  const addTime = realSeconds(ns.kernel.sim.now);
  net.insertState(new XfrmState(spec, aes, net.prng.i32(), net.prng.i32(), addTime));
}

/** Changes selector and limits of a state; its key stays (xfrm_state_update). ESRCH when there is none. */
export function xfrmStateUpdate(ns: NetNs, spec: XfrmStateSpec): void {
  checkSpec(spec);
  const x = xfrmOf(ns).states.find((state) => sameStateId(state, spec));
  if (x === undefined) throw new SysError("ESRCH");
  x.sel = spec.sel;
  x.limits = spec.limits;
}

/** ESRCH when there is none. */
export function xfrmStateGet(ns: NetNs, { daddr, spi, mark = 0 }: XfrmStateId): XfrmState {
  const x = xfrmOf(ns).lookupState(mark, daddr, spi);
  if (x === null) throw new SysError("ESRCH");
  return x;
}

/** ESRCH when there is none. */
export function xfrmStateDel(ns: NetNs, id: XfrmStateId): void {
  xfrmOf(ns).removeState(xfrmStateGet(ns, id));
}

export function xfrmStateFlush(ns: NetNs): void {
  const net = xfrmOf(ns);
  for (const x of [...net.states]) net.removeState(x);
}

/** The states, newest first. */
export function xfrmStateDump(ns: NetNs): readonly XfrmState[] {
  return xfrmOf(ns).states;
}

function findPolicy(net: XfrmNet, { sel, dir, mark }: XfrmPolicyId): XfrmPolicy | undefined {
  return net.policies.find(
    ({ spec }) =>
      spec.dir === dir &&
      spec.mark.value === mark.value &&
      spec.mark.mask === mark.mask &&
      sameSelector(spec.sel, sel),
  );
}

/** Turns the looks of the IP layer on for the directions that have policies. */
function hookIn(ns: NetNs, net: XfrmNet): void {
  const ipv4 = ipv4Of(ns);
  const checks = net.count(XFRM_POLICY_IN) + net.count(XFRM_POLICY_FWD) > 0;
  const transforms = net.count(XFRM_POLICY_OUT) > 0;
  ipv4.xfrmOutput = transforms ? xfrmOutput : null;
  ipv4.xfrmMtu = transforms ? xfrmMtu : null;
  ipv4.xfrmPolicyCheck = checks ? xfrmPolicyCheck : null;
}

/** Indices of a kernel: 8 apart, the direction in the lower bits (xfrm_gen_index). */
function genIndex(net: XfrmNet, dir: XfrmDir): number {
  const { shared } = net;
  for (;;) {
    const index = shared.nextIndex | dir || 8;
    shared.nextIndex += 8;
    if (net.policies.every((policy) => policy.index !== index)) return index;
  }
}

/** Adds a policy; with `replace` in the place of the one with the same selector, direction and mark. EEXIST without. */
export function xfrmPolicyAdd(ns: NetNs, spec: XfrmPolicySpec, replace: boolean): void {
  const net = xfrmOf(ns);
  const old = findPolicy(net, spec);
  if (old !== undefined && !replace) throw new SysError("EEXIST");
  const index = old?.index ?? genIndex(net, spec.dir);
  if (old !== undefined) net.removePolicy(old);
  net.insertPolicy(new XfrmPolicy(spec, index, new XfrmLifetime(realSeconds(ns.kernel.sim.now))));
  hookIn(ns, net);
}

/** ENOENT when there is none. */
export function xfrmPolicyGet(ns: NetNs, id: XfrmPolicyId): XfrmPolicy {
  const policy = findPolicy(xfrmOf(ns), id);
  if (policy === undefined) throw new SysError("ENOENT");
  return policy;
}

/** ENOENT when there is none. */
export function xfrmPolicyDel(ns: NetNs, id: XfrmPolicyId): void {
  const net = xfrmOf(ns);
  net.removePolicy(xfrmPolicyGet(ns, id));
  hookIn(ns, net);
}

export function xfrmPolicyFlush(ns: NetNs): void {
  const net = xfrmOf(ns);
  for (const policy of [...net.policies]) net.removePolicy(policy);
  hookIn(ns, net);
}

/** The policies, newest first. */
export function xfrmPolicyDump(ns: NetNs): readonly XfrmPolicy[] {
  return xfrmOf(ns).policies;
}
