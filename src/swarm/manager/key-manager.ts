/**
 * The keys that the leader gives to all nodes (swarmkit manager/keymanager): three a subsystem; every 12 hours the oldest
 * of each goes and a new one comes.
 */
import type { Sim } from "../../sim/sim.ts";
import type { Prng } from "../../util/prng.ts";
import { after } from "../clock.ts";

export const SUBSYSTEM_GOSSIP = "networking:gossip";
export const SUBSYSTEM_IPSEC = "networking:ipsec";
const SUBSYSTEMS = [SUBSYSTEM_GOSSIP, SUBSYSTEM_IPSEC] as const;
export type Subsystem = (typeof SUBSYSTEMS)[number];

const KEY_BYTES = 16;
const RING_SIZE = 3;
const ROTATION_NS = 12 * 3600 * 1_000_000_000;
/** The Lamport clock of a new cluster starts below this. */
const SKEW = 65536;

export interface EncryptionKey {
  readonly subsystem: Subsystem;
  readonly key: Uint8Array;
  /** Age, and name, of a key: grows with each key of the cluster. */
  readonly lamportTime: number;
}

export class KeyManager {
  /** The keys that are good now. */
  keys: readonly EncryptionKey[];
  private readonly prng: Prng;
  private clock: number;

  /** `changed` hears of each rotation. */
  constructor(sim: Sim, prng: Prng, changed: () => void) {
    this.prng = prng;
    this.clock = prng.below(SKEW);
    this.keys = SUBSYSTEMS.flatMap((subsystem) =>
      Array.from({ length: RING_SIZE }, () => this.allocate(subsystem)),
    );
    const rotate = (): void => {
      this.keys = SUBSYSTEMS.flatMap((subsystem) => this.rotated(subsystem));
      changed();
      after(sim, ROTATION_NS, rotate);
    };
    after(sim, ROTATION_NS, rotate);
  }

  private rotated(subsystem: Subsystem): EncryptionKey[] {
    const keys = this.keys.filter((key) => key.subsystem === subsystem);
    return [...keys.slice(1 - RING_SIZE), this.allocate(subsystem)];
  }

  private allocate(subsystem: Subsystem): EncryptionKey {
    const key = Uint8Array.from({ length: KEY_BYTES }, () => this.prng.below(256));
    return { subsystem, key, lamportTime: ++this.clock };
  }
}
