/**
 * What the engines of one lab share: the seed, the pins, the images, and the swarms that exist. A joining engine finds
 * the manager here by address, as it would over 2377/tcp.
 */
import type { Machine } from "../host/machine.ts";
import type { Program } from "../host/process.ts";
import type { NetNs } from "../net/core/net-ns.ts";
import type { Sim } from "../sim/sim.ts";
import type { Prng } from "../util/prng.ts";
import { type ImageTable, imageTable } from "./images.ts";
import type { Cluster } from "./manager/cluster.ts";
import { GossipFabric } from "./network/network-db.ts";
import { NO_PINS, type Pins } from "./pins.ts";

export class SwarmFabric {
  readonly sim: Sim;
  readonly prng: Prng;
  readonly pins: Pins;
  readonly images: ImageTable;
  /** The network state that nodes of one swarm tell each other, by cluster id. */
  readonly gossip: GossipFabric;
  /** Runs a command line in a container's namespace: the lab's shell sets it. Null: only built-in programs run. */
  runCommand: ((machine: Machine, ns: NetNs, argv: readonly string[]) => Program) | null = null;
  private readonly managers = new Map<number, Cluster>();

  constructor(sim: Sim, prng: Prng, pins: Pins = NO_PINS, images: ImageTable = imageTable()) {
    this.sim = sim;
    this.prng = prng;
    this.pins = pins;
    this.images = images;
    this.gossip = new GossipFabric(sim, prng.stream("gossip"));
  }

  /** The swarm whose manager listens at `addr` (int32), or null. */
  managerAt(addr: number): Cluster | null {
    return this.managers.get(addr) ?? null;
  }

  /** A manager listens at `addr` from now on; null: no longer. */
  setManager(addr: number, cluster: Cluster | null): void {
    if (cluster === null) this.managers.delete(addr);
    else this.managers.set(addr, cluster);
  }
}
