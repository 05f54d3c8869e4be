/**
 * The five IPv4 hooks (include/uapi/linux/netfilter.h, netfilter_ipv4.h). Upper layers register entries per namespace;
 * `nfHook` walks them by priority. With nothing registered a hook costs one array read.
 */
import { IP_MF, IP_OFFSET } from "../../wire/ipv4.ts";
import { DROP } from "./drop-reason.ts";
import type { NetDevice } from "./net-device.ts";
import type { NetNs } from "./net-ns.ts";
import type { Skb } from "./skb.ts";

export const NF_INET_PRE_ROUTING = 0;
export const NF_INET_LOCAL_IN = 1;
export const NF_INET_FORWARD = 2;
export const NF_INET_LOCAL_OUT = 3;
export const NF_INET_POST_ROUTING = 4;
export const NF_INET_NUMHOOKS = 5;
/** Hook number. */
export type Hook = 0 | 1 | 2 | 3 | 4;

export const NF_DROP = 0;
export const NF_ACCEPT = 1;
export const NF_STOLEN = 2;
export const NF_STOP = 5;
/** NF_DROP: the caller of the entry frees it. NF_STOLEN: the entry took the packet. */
export type Verdict = 0 | 1 | 2 | 5;

export const NF_IP_PRI_RAW_BEFORE_DEFRAG = -450;
export const NF_IP_PRI_CONNTRACK_DEFRAG = -400;
export const NF_IP_PRI_RAW = -300;
export const NF_IP_PRI_CONNTRACK = -200;
export const NF_IP_PRI_MANGLE = -150;
export const NF_IP_PRI_NAT_DST = -100;
export const NF_IP_PRI_FILTER = 0;
export const NF_IP_PRI_SECURITY = 50;
export const NF_IP_PRI_NAT_SRC = 100;
export const NF_IP_PRI_CONNTRACK_HELPER = 300;
export const NF_IP_PRI_CONNTRACK_CONFIRM = 0x7fffffff;

/**
 * An entry's function. `inDev` is null on LOCAL_OUT and POST_ROUTING of local packets, `outDev` before routing; `priv` is
 * the entry's.
 */
export type HookFn = (
  ns: NetNs,
  skb: Skb,
  hook: Hook,
  inDev: NetDevice | null,
  outDev: NetDevice | null,
  priv: unknown,
) => Verdict;

/** What a packet must have so that an entry has anything to do with it; others are not even shown to it. */
export const HOOK_NEEDS_NOTHING = 0;
export const HOOK_NEEDS_CT = 1;
export const HOOK_NEEDS_NF_BRIDGE = 2;
export const HOOK_NEEDS_FRAGMENT = 3;
export type HookNeed = 0 | 1 | 2 | 3;

export interface HookEntry {
  readonly name: string;
  readonly hook: Hook;
  readonly priority: number;
  readonly fn: HookFn;
  /** Given to `fn` (nf_hook_entry->priv). */
  readonly priv?: unknown;
  readonly needs?: HookNeed;
}

/** An entry as it runs: all of one shape, whatever the entries look like. */
class HookSlot {
  readonly priority: number;
  readonly needs: HookNeed;
  readonly fn: HookFn;
  readonly priv: unknown;

  constructor({ priority, needs, fn, priv }: HookEntry) {
    this.priority = priority;
    this.needs = needs ?? HOOK_NEEDS_NOTHING;
    this.fn = fn;
    this.priv = priv ?? null;
  }
}

export class HookTable {
  private readonly entries: HookEntry[][] = [[], [], [], [], []];
  private readonly running: HookSlot[][] = [[], [], [], [], []];

  /** Registers; of equal priorities the one that came last runs first (nf_hook_entries_grow). */
  register(entry: HookEntry): void {
    const list = this.entries[entry.hook];
    let i = list.length;
    while (i > 0 && list[i - 1].priority >= entry.priority) i--;
    list.splice(i, 0, entry);
    this.running[entry.hook].splice(i, 0, new HookSlot(entry));
  }

  unregister(entry: HookEntry): void {
    const list = this.entries[entry.hook];
    const i = list.indexOf(entry);
    if (i < 0) return;
    list.splice(i, 1);
    this.running[entry.hook].splice(i, 1);
  }

  /** The entries of a hook in the order they run. */
  list(hook: Hook): readonly HookEntry[] {
    return this.entries[hook];
  }

  /** The same as {@link nfHook} walks them. */
  slots(hook: Hook): readonly HookSlot[] {
    return this.running[hook];
  }
}

function concerns(needs: HookNeed, skb: Skb): boolean {
  if (needs === HOOK_NEEDS_CT) return skb.ct !== null;
  if (needs === HOOK_NEEDS_NF_BRIDGE) return skb.nfBridge !== null;
  return (skb.view.getUint16(skb.netOff + 6) & (IP_MF | IP_OFFSET)) !== 0;
}

/**
 * Runs the entries of `hook` whose priority is at least `minPriority`. NF_ACCEPT: go on. Otherwise the packet is gone:
 * dropped (freed here) or stolen.
 */
export function nfHook(
  ns: NetNs,
  hook: Hook,
  skb: Skb,
  inDev: NetDevice | null,
  outDev: NetDevice | null,
  minPriority = -0x80000000,
): Verdict {
  const list = ns.hooks.slots(hook);
  for (let i = 0; i < list.length; i++) {
    const slot = list[i];
    if (slot.priority < minPriority) continue;
    if (slot.needs !== HOOK_NEEDS_NOTHING && !concerns(slot.needs, skb)) continue;
    const verdict = slot.fn(ns, skb, hook, inDev, outDev, slot.priv);
    if (verdict === NF_ACCEPT) continue;
    if (verdict === NF_DROP) {
      skb.drop(DROP.NETFILTER_DROP);
      return NF_DROP;
    }
    return verdict === NF_STOP ? NF_ACCEPT : NF_STOLEN;
  }
  return NF_ACCEPT;
}
