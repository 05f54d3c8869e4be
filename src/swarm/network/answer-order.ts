/**
 * The order of the addresses in an answer of the embedded DNS server (libnetwork resolver.go shuffleAddr): drawn anew for
 * each answer.
 */

import type { Sim } from "../../sim/sim.ts";
import { Pinned, type PinnedPart } from "../../util/pinned.ts";
import type { Prng } from "../../util/prng.ts";
import { parseIp4 } from "../../wire/address.ts";

export class AnswerOrder {
  private readonly sim: Sim;
  private readonly prng: Prng;
  /** By name: the addresses that come first in the next answers. */
  private readonly pinned: ReadonlyMap<string, Pinned<string>>;

  /** `pins`: by name, the address that comes first in each answer that has more than one. */
  constructor(sim: Sim, prng: Prng, pins: Readonly<Record<string, readonly PinnedPart<string>[]>> = {}) {
    this.sim = sim;
    this.prng = prng;
    this.pinned = new Map(
      Object.entries(pins).map(([name, parts]) => [name.toLowerCase(), new Pinned(parts)]),
    );
  }

  /** Puts the addresses (int32) of one answer into an order. */
  arrange(name: string, addrs: number[]): void {
    if (addrs.length < 2) return;
    this.prng.shuffle(addrs);
    const first = this.pinned.get(name.replace(/\.$/, "").toLowerCase())?.take(this.sim.now);
    const i = first === undefined ? -1 : addrs.indexOf(parseIp4(first)!);
    if (i > 0) addrs.unshift(...addrs.splice(i, 1));
  }
}
