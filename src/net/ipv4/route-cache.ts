/**
 * Remembers the routes of recent packets, so that a flow looks its route up once. A direct-mapped table in typed arrays;
 * every entry carries the generation of the routing state it was made in. It is a matter of speed only: with policy
 * rules of a user, which may look at mark and TOS, it is not asked.
 */

import { hash3 } from "../../util/hash.ts";
import type { Dst } from "../core/dst.ts";

const SIZE = 1024;

export class RouteCache {
  private readonly daddrs = new Int32Array(SIZE);
  private readonly saddrs = new Int32Array(SIZE);
  private readonly devs = new Int32Array(SIZE);
  private readonly generations = new Int32Array(SIZE);
  private readonly dsts: (Dst | null)[] = new Array<Dst | null>(SIZE).fill(null);

  /** `dev`: the ifindex that the packet came by, or negative for the one that it must leave by and flags. null: not known. */
  find(daddr: number, saddr: number, dev: number, generation: number): Dst | null {
    const i = hash3(daddr, saddr, dev, 0) & (SIZE - 1);
    if (
      this.generations[i] === generation &&
      this.daddrs[i] === daddr &&
      this.saddrs[i] === saddr &&
      this.devs[i] === dev
    ) {
      return this.dsts[i];
    }
    return null;
  }

  store(daddr: number, saddr: number, dev: number, generation: number, dst: Dst): void {
    const i = hash3(daddr, saddr, dev, 0) & (SIZE - 1);
    this.generations[i] = generation;
    this.daddrs[i] = daddr;
    this.saddrs[i] = saddr;
    this.devs[i] = dev;
    this.dsts[i] = dst;
  }
}
