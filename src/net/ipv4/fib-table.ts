/**
 * A routing table (net/ipv4/fib_trie.c). The kernel keeps a trie; here the routes stand in a list in the order in which
 * the kernel dumps them, and lookups use an index in typed arrays that is built again after a change: a hash of
 * (prefix, length), probed from the longest length that occurs to the shortest.
 */
import { SysError } from "../../util/errors.ts";
import { mix32 } from "../../util/hash.ts";
import { prefixToMask } from "../../wire/address.ts";
import type { FibAlias, FibConfig } from "./fib.ts";
import { inDevOf } from "./in-device.ts";

/** How a new route treats those that are there (NLM_F_*). */
export type FibInsertMode = "exclusive" | "replace" | "change" | "append" | "prepend";

/** Order of a dump: address, longest prefix first, TOS falling, metric rising. */
function compareAlias(a: FibAlias | FibConfig, b: FibAlias | FibConfig): number {
  if (a.dst !== b.dst) return a.dst >>> 0 < b.dst >>> 0 ? -1 : 1;
  if (a.prefixLen !== b.prefixLen) return b.prefixLen - a.prefixLen;
  if (a.tos !== b.tos) return b.tos - a.tos;
  return a.metric - b.metric;
}

export class FibTable {
  readonly id: number;
  /** In the order of a dump. */
  readonly routes: FibAlias[] = [];

  constructor(id: number) {
    this.id = id;
  }

  /**
   * Adds a route (fib_table_insert). EEXIST when it is there, ENOENT when "change" finds nothing. Returns the route
   * that it replaced, or null.
   */
  insert(alias: FibAlias, config: FibConfig, mode: FibInsertMode): FibAlias | null {
    let first = 0;
    while (first < this.routes.length && compareAlias(this.routes[first], config) < 0) first++;
    let end = first;
    while (end < this.routes.length && compareAlias(this.routes[end], config) === 0) end++;
    if (end > first) {
      if (mode === "exclusive") throw new SysError("EEXIST");
      for (let i = first; i < end; i++) {
        if (!this.routes[i].sameRoute(config)) continue;
        if (mode === "replace" || mode === "change") {
          if (i === first) return this.routes.splice(i, 1, alias)[0];
        }
        throw new SysError("EEXIST");
      }
      if (mode === "replace" || mode === "change") return this.routes.splice(first, 1, alias)[0];
    } else if (mode === "change") {
      throw new SysError("ENOENT");
    }
    this.routes.splice(mode === "append" ? end : first, 0, alias);
    return null;
  }

  /** Takes out the routes that `doomed` names; returns them. */
  flush(doomed: (alias: FibAlias) => boolean): FibAlias[] {
    const gone: FibAlias[] = [];
    for (let i = this.routes.length - 1; i >= 0; i--) {
      if (doomed(this.routes[i])) gone.push(...this.routes.splice(i, 1));
    }
    return gone.reverse();
  }
}

/** Longest-prefix match over the routes of one or several tables. */
export class FibIndex {
  private readonly lens: Int32Array;
  private readonly masks: Int32Array;
  private readonly keys: Int32Array;
  private readonly keyLens: Int8Array;
  private readonly heads: (FibAlias | null)[];
  private readonly slotMask: number;

  /** `routes` in lookup order within a prefix: of two equal prefixes the first wins. */
  constructor(routes: readonly FibAlias[]) {
    let size = 16;
    while (size < routes.length * 2) size *= 2;
    this.slotMask = size - 1;
    this.keys = new Int32Array(size);
    this.keyLens = new Int8Array(size).fill(-1);
    this.heads = new Array<FibAlias | null>(size).fill(null);
    for (const alias of routes) this.add(alias);
    const present = [...new Set(routes.map((alias) => alias.prefixLen))].sort((a, b) => b - a);
    this.lens = Int32Array.from(present);
    this.masks = Int32Array.from(present.map(prefixToMask));
  }

  private add(alias: FibAlias): void {
    alias.next = null;
    let slot = mix32(alias.dst ^ (alias.prefixLen << 1)) & this.slotMask;
    while (
      this.keyLens[slot] >= 0 &&
      (this.keys[slot] !== alias.dst || this.keyLens[slot] !== alias.prefixLen)
    ) {
      slot = (slot + 1) & this.slotMask;
    }
    this.keys[slot] = alias.dst;
    this.keyLens[slot] = alias.prefixLen;
    let last = this.heads[slot];
    if (last === null) this.heads[slot] = alias;
    else {
      while (last.next !== null) last = last.next;
      last.next = alias;
    }
  }

  /**
   * The route of `daddr` (fib_table_lookup): longest prefix, then TOS, then metric. `scope`: only routes that are at
   * least as near; `oif`: only by that device, 0 any. null: none.
   */
  lookup(daddr: number, tos: number, oif: number, scope: number): FibAlias | null {
    for (let i = 0; i < this.lens.length; i++) {
      const len = this.lens[i];
      const prefix = daddr & this.masks[i];
      let slot = mix32(prefix ^ (len << 1)) & this.slotMask;
      while (this.keyLens[slot] >= 0) {
        if (this.keys[slot] === prefix && this.keyLens[slot] === len) {
          for (let alias = this.heads[slot]; alias !== null; alias = alias.next) {
            const found = usable(alias, tos, oif, scope);
            if (found !== null) return found;
          }
          break;
        }
        slot = (slot + 1) & this.slotMask;
      }
    }
    return null;
  }
}

/** The route, the first of its next hops that will do, or null. */
function usable(alias: FibAlias, tos: number, oif: number, scope: number): FibAlias | null {
  if (alias.tos !== 0 && alias.tos !== tos) return null;
  if (alias.scope < scope) return null;
  const { paths } = alias;
  if (paths.length === 0) return alias.dev === null || goodHop(alias, oif) ? alias : null;
  for (let i = 0; i < paths.length; i++) if (goodHop(paths[i], oif)) return paths[i];
  return null;
}

/** fib_lookup_good_nhc */
function goodHop(alias: FibAlias, oif: number): boolean {
  return !isOut(alias) && (oif === 0 || alias.dev!.ifindex === oif);
}

/** Nothing is sent by that next hop: its device is down, or its link is and that counts. */
export function isOut(alias: FibAlias): boolean {
  const dev = alias.dev!;
  if (alias.dead) return true;
  if (dev.carrier || !alias.linkDown) return false;
  const inDev = inDevOf(dev);
  return inDev !== null && inDev.conf.ignoreRoutesWithLinkdown !== 0;
}
