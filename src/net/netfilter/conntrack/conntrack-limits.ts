/** What the namespaces of a kernel share: nf_conntrack_max, and the complaint about a full table. */
import type { Kernel } from "../../core/kernel.ts";

const DEFAULT_MAX = 65536;

export class ConntrackLimits {
  /** Most entries of one namespace; 0: no limit. */
  max = DEFAULT_MAX;
  expectMax = 1024;
  buckets = 65536;
  /** Listeners for events in any namespace: while there is one, new connections have events. */
  listeners = 0;

  /** Says that a packet was dropped because the table is full. */
  warnFull(kernel: Kernel): void {
    kernel.printkRatelimited("nf_conntrack: nf_conntrack: table full, dropping packet");
  }
}
