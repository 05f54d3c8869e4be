/** Addresses that are answered for though they are others' (struct pneigh_entry; net/core/neighbour.c pneigh_lookup). */
import type { NetDevice } from "../core/net-device.ts";

export interface ProxyEntry {
  readonly ip: number;
  /** null: on every device. */
  readonly dev: NetDevice | null;
}

/** Buckets of the kernel's table, which decide the order of a list. */
function bucketOf(ip: number): number {
  let hash = ip ^ (ip >>> 16);
  hash ^= hash >>> 8;
  hash ^= hash >>> 4;
  return hash & 0xf;
}

export class ProxyNeighbours {
  /** By bucket, the newest first. */
  entries: readonly ProxyEntry[] = [];

  /** Whether questions for that address that come by `dev` are answered. */
  answers(ip: number, dev: NetDevice): boolean {
    for (let i = 0; i < this.entries.length; i++) {
      const entry = this.entries[i];
      if (entry.ip === ip && (entry.dev === dev || entry.dev === null)) return true;
    }
    return false;
  }

  /** The one for that address and device. */
  find(ip: number, dev: NetDevice | null): ProxyEntry | undefined {
    return this.entries.find((entry) => entry.ip === ip && entry.dev === dev);
  }

  add(entry: ProxyEntry): void {
    if (this.find(entry.ip, entry.dev) !== undefined) return;
    this.entries = [entry, ...this.entries].sort((a, b) => bucketOf(a.ip) - bucketOf(b.ip));
  }

  remove(doomed: (entry: ProxyEntry) => boolean): void {
    this.entries = this.entries.filter((entry) => !doomed(entry));
  }
}
